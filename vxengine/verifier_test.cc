// The verifier against lists of what it must admit and refuse, and the rule that it must name; and
// what it tells of regions.
#include "vxengine/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <string>

#include "vxengine/verifier_testing.h"

namespace vx::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kRet[] = " c3";

// ------------------------------------------------------------------------------------------------
// Lists.

// Instructions that access no memory.
constexpr const char* kAdmitted[] = {
    "01 d8",                       // add eax, ebx
    "66 01 d8",                    // add ax, bx
    "00 e7",                       // add bh, ah
    "41 00 c0",                    // add r8b, al
    "45 88 fb",                    // mov r11b, r15b
    "04 7f",                       // add al, 127
    "3d 78 56 34 12",              // cmp eax, imm32
    "66 3d 34 12",                 // cmp ax, imm16
    "45 01 c7",                    // add r15d, r8d
    "69 c1 78 56 34 12",           // imul eax, ecx, imm32
    "66 69 c1 34 12",              // imul ax, cx, imm16
    "83 e0 f0",                    // and eax, -16
    "41 81 c7 10 00 00 00",        // add r15d, 16
    "87 d1",                       // xchg ecx, edx
    "8d 04 8d 00 00 00 00",        // lea eax, [rcx*4]
    "45 8d 7f fc",                 // lea r15d, [r15-4]
    "66 8d 04 0b",                 // lea ax, [rbx+rcx]
    "8d 04 25 78 56 34 12",        // lea eax, [imm32]
    "90",                          // nop
    "66 90",                       // xchg ax, ax
    "f3 90",                       // pause
    "98",                          // cwde
    "66 99",                       // cwd
    "9b",                          // fwait
    "9e",                          // sahf
    "9f",                          // lahf
    "a8 01",                       // test al, 1
    "66 a9 34 12",                 // test ax, imm16
    "b4 01",                       // mov ah, 1
    "41 b0 01",                    // mov r8b, 1
    "b8 78 56 34 12",              // mov eax, imm32
    "66 b8 34 12",                 // mov ax, imm16
    "41 bf 78 56 34 12",           // mov r15d, imm32
    "c1 e0 05",                    // shl eax, 5
    "d3 c0",                       // rol eax, cl
    "c7 c0 78 56 34 12",           // mov eax, imm32
    "66 c7 c0 34 12",              // mov ax, imm16
    "f7 c0 78 56 34 12",           // test eax, imm32
    "66 f7 c0 34 12",              // test ax, imm16
    "f6 c4 01",                    // test ah, 1
    "f7 d8",                       // neg eax
    "f7 f9",                       // idiv ecx
    "fe c4",                       // inc ah
    "41 ff c8",                    // dec r8d
    "0f 1f 00",                    // nops
    "0f 1f 40 00",                 //
    "0f 1f 44 00 00",              //
    "66 0f 1f 44 00 00",           //
    "0f 1f 80 00 00 00 00",        //
    "0f 1f 84 00 00 00 00 00",     //
    "66 0f 1f 84 00 00 00 00 00",  //
    "44 0f 44 c1",                 // cmove r8d, ecx
    "0f 94 c4",                    // sete ah
    "41 0f 94 c0",                 // sete r8b
    "0f a3 c8",                    // bt eax, ecx
    "0f ba e0 05",                 // bt eax, 5
    "0f a4 c8 05",                 // shld eax, ecx, 5
    "0f ae e8",                    // lfence
    "0f ae f0",                    // mfence
    "0f ae f8",                    // sfence
    "0f b6 c4",                    // movzx eax, ah
    "66 0f be c1",                 // movsx ax, cl
    "0f bd c1",                    // bsr eax, ecx
    "0f c1 c8",                    // xadd eax, ecx
    "41 0f c8",                    // bswap r8d
    "0f 28 c7",                    // movaps xmm0, xmm7
    "0f 12 c1",                    // movhlps xmm0, xmm1
    "44 0f 50 c1",                 // movmskps r8d, xmm1
    "66 41 0f 6e c0",              // movd xmm0, r8d
    "66 0f 71 d0 05",              // psrlw xmm0, 5
    "66 0f 73 f8 05",              // pslldq xmm0, 5
    "66 44 0f c5 f9 01",           // pextrw r15d, xmm1, 1
    "66 41 0f c4 c7 01",           // pinsrw xmm0, r15d, 1
    "f3 41 0f 2a c0",              // cvtsi2ss xmm0, r8d
    "f2 44 0f 2c c1",              // cvttsd2si r8d, xmm1
    "66 0f d6 c1",                 // movq xmm1, xmm0
    "d8 c1",                       // fadd st, st(1)
    "d9 e8",                       // fld1
    "db e3",                       // fninit
    "df e0",                       // fnstsw ax
    "45 89 c8",                    // mov r8d, r9d
    "41 89 ca",                    // mov r10d, ecx
    "41 81 f8 78 56 34 12",        // cmp r8d, 0x12345678
    "45 8d 88 78 56 34 12",        // lea r9d, [r8+0x12345678]: where there is no call
    "67 e3 00",                    // jecxz
    "75 00",                       // jne
    "eb 00",                       // jmp
    "0f 85 >200",                  // jne stub
    "0f 85 >9000",                 // jne entry
    "e9 >9000 cc cc",              // jmp entry, filling
    "e8 >300",                     // call helper
    "e8 >340 e8 >300",             //
};

// Instructions that do, as they are in the exclusive placement.
constexpr const char* kAdmittedMemory[] = {
    "67 89 18",                    // mov [eax], ebx
    "67 66 89 18",                 // mov [eax], bx
    "67 8b 45 08",                 // mov eax, [ebp+8]
    "67 8b 04 25 78 56 34 12",     // mov eax, [imm32]
    "67 8b 04 8d 78 56 34 12",     // mov eax, [ecx*4+imm32]
    "67 8b 84 cb 78 56 34 12",     // mov eax, [ebx+ecx*8+imm32]
    "67 41 8b 07",                 // mov eax, [r15d]
    "67 43 8b 04 07",              // mov eax, [r15d+r8d]
    "67 8b 04 23",                 // mov eax, [ebx]; SIB without index
    "67 88 20",                    // mov [eax], ah
    "67 41 80 38 05",              // cmp byte [r8d], 5
    "67 41 81 7b 04 01 00 00 00",  // cmp dword [r11d+4], 1
    "67 0f 18 08",                 // prefetcht0
    "67 0f c3 08",                 // movnti
    "67 0f c7 08",                 // cmpxchg8b
    "67 0f b1 08",                 // cmpxchg
    "67 86 08",                    // xchg
    "67 0f ba 28 05",              // bts dword [eax], 5
    "67 0f 94 00",                 // sete [eax]
    "67 0f 2b 00",                 // movntps
    "67 66 0f e7 00",              // movntdq
    "67 66 0f 12 00",              // movlpd
    "67 66 41 0f 6f 04 0b",        // movdqa xmm0, [r11d+ecx]
    "67 f3 43 0f 6f 04 0b",        // movdqu xmm0, [r11d+r9d]
    "67 db 28",                    // fld tword [eax]
    "67 d9 28",                    // fldcw [eax]
    "67 dd 38",                    // fnstsw [eax]
    "67 df 30",                    // fbstp [eax]
};

constexpr const char* kAdmittedStrings[] = {
    "67 a4",        // movsb
    "67 f3 a5",     // rep movsd
    "67 66 f3 a5",  // rep movsw
    "67 f2 ae",     // repne scasb
    "67 66 a7",     // cmpsw
    "67 f3 aa",     // rep stosb
    "67 ad",        // lodsd
};

struct Refused {
  const char* code;
  const char* rule;
};

// In the exclusive placement; in the shared one too, with 65 in front of 67 and of the rest that
// says so ("65").
constexpr Refused kRefused[] = {
    // Prefixes.
    {"f0 67 01 18", "prefix not admitted"},            // lock
    {"2e 67 8b 00", "prefix not admitted"},            // segments
    {"36 67 8b 00", "prefix not admitted"},            //
    {"3e 67 8b 00", "prefix not admitted"},            //
    {"26 67 8b 00", "prefix not admitted"},            //
    {"64 67 8b 00", "prefix not admitted"},            //
    {"67 64 8b 00", "prefix not admitted"},            //
    {"67 67 8b 00", "repeated or out of order"},       //
    {"66 66 01 d8", "repeated or out of order"},       //
    {"66 67 01 18", "repeated or out of order"},       //
    {"f3 66 0f 6f c1", "repeated or out of order"},    //
    {"f3 f3 0f 6f c1", "repeated or out of order"},    //
    {"f3 f2 0f 10 c1", "repeated or out of order"},    //
    {"41 41 01 c0", "repeated or out of order"},       //
    {"41 66 01 c0", "repeated or out of order"},       //
    {"41 67 8b 00", "repeated or out of order"},       //
    {"40 01 d8", "REX without bits"},                  //
    {"40 90", "REX without bits"},                     //
    {"48 01 d8", "REX.W"},                             //
    {"67 4c 89 00", "REX.W"},                          //
    {"48 b8 00 00 00 00 00 00 00 00", "REX.W"},        // mov rax, imm64
    {"48 63 c1", "opcode not admitted"},               // movsxd
    {"48 8d 04 0b", "REX.W"},                          //
    {"66 f3 0f 6f c1", "prefix 66 besides F2 or F3"},  //
    {"66 f3 90", "prefix 66 besides F2 or F3"},        //
    {"66 f2 0f 10 c1", "prefix 66 besides F2 or F3"},  //
    {"67 66 f3 a4", "prefix 66 besides F2 or F3"},     // a byte: 66 does nothing
    {"66 75 00", "opcode not admitted with this prefix"},
    {"66 e9 00 00 00 00", "opcode not admitted with this prefix"},
    {"66 e8 00 00 00 00", "opcode not admitted with this prefix"},
    {"66 0f 85 00 00 00 00", "opcode not admitted with this prefix"},
    {"66 c3", "opcode not admitted with this prefix"},
    {"f3 c3", "opcode not admitted with this prefix"},
    {"f2 c3", "opcode not admitted with this prefix"},
    {"f2 e9 00 00 00 00", "opcode not admitted with this prefix"},
    {"66 00 d8", "opcode not admitted with this prefix"},
    {"f3 01 d8", "opcode not admitted with this prefix"},
    {"f2 89 d8", "opcode not admitted with this prefix"},
    {"f3 0f bc c1", "opcode not admitted with this prefix"},  // tzcnt
    {"f3 0f bd c1", "opcode not admitted with this prefix"},  // lzcnt
    {"66 0f c8", "opcode not admitted with this prefix"},     // bswap ax
    {"67 66 0f c3 08", "opcode not admitted with this prefix"},
    {"66 d8 c1", "opcode not admitted with this prefix"},
    {"f3 d8 c1", "opcode not admitted with this prefix"},
    {"66 0f ae f0", "opcode not admitted with this prefix"},     // tpause
    {"67 66 0f ae 38", "opcode not admitted with this prefix"},  // clflushopt
    {"f3 0f ae e8", "opcode not admitted with this prefix"},     // incssp
    {"67 01 d8", "prefix 67 without use"},
    {"67 90", "prefix 67 without use"},
    {"67 8d 04 0b", "prefix 67 without use"},
    {"67 0f 1f 00", "prefix 67 without use"},
    {"67 75 00", "prefix 67 without use"},
    {"67 e9 00 00 00 00", "prefix 67 without use"},
    {"67 c3", "prefix 67 without use"},
    {"89 18", "memory operand without prefix 67"},
    {"8b 04 25 78 56 34 12", "memory operand without prefix 67"},
    {"0f 18 08", "memory operand without prefix 67"},
    {"d9 00", "memory operand without prefix 67"},
    {"0f 28 00", "memory operand without prefix 67"},
    {"a4", "without prefix 67"},
    {"f3 ab", "without prefix 67"},
    {"e3 00", "without prefix 67"},  // jrcxz
    // Memory operands.
    {"67 8b 05 00 00 00 00", "RIP-relative"},
    {"67 41 8b 05 00 00 00 00", "RIP-relative"},
    {"8d 05 00 00 00 00", "RIP-relative"},
    {"67 8b 04 24", "base that is"},        // rsp
    {"67 8b 44 24 04", "base that is"},     //
    {"67 41 8b 04 24", "base that is"},     // r12
    {"67 41 8b 45 00", "base that is"},     // r13
    {"67 41 8b 44 25 00", "base that is"},  //
    {"67 41 8b 06", "base that is"},        // r14
    {"8d 44 24 04", "base that is"},        //
    {"41 8d 46 04", "base that is"},        //
    {"67 42 8b 04 20", "index that is"},    // r12
    {"67 42 8b 04 28", "index that is"},    // r13
    {"67 42 8b 04 30", "index that is"},    // r14
    {"42 8d 04 30", "index that is"},       //
    {"67 41 8b 04 25 00 00 00 00", "REX bit without use"},
    {"67 42 8b 00", "REX bit without use"},
    // Register operands.
    {"89 c4", "operand that is RSP"},                // mov esp, eax
    {"89 e0", "operand that is RSP"},                //
    {"8b e0", "operand that is RSP"},                //
    {"83 ec 08", "operand that is RSP"},             //
    {"66 83 c4 08", "operand that is RSP"},          //
    {"8d 61 00", "operand that is RSP"},             // lea esp, [rcx]
    {"bc 00 00 00 00", "operand that is RSP"},       //
    {"66 bc 00 00", "operand that is RSP"},          //
    {"0f cc", "operand that is RSP"},                //
    {"41 89 c4", "R12, R13 or R14"},                 //
    {"44 89 e8", "R12, R13 or R14"},                 //
    {"41 be 00 00 00 00", "R12, R13 or R14"},        //
    {"41 0f cd", "R12, R13 or R14"},                 //
    {"41 f7 d6", "R12, R13 or R14"},                 //
    {"0f 44 e0", "operand that is RSP"},             // cmov
    {"66 44 0f 50 e1", "operand that is RSP, R12"},  // movmskpd r12d
    {"66 41 0f 7e c6", "operand that is RSP, R12"},  // movd r14d
    {"66 0f 7e c4", "operand that is RSP"},          //
    {"f2 0f 2c e1", "operand that is RSP"},          //
    {"41 88 e0", "operand that is SPL"},             // mov r8b, spl
    {"41 b4 00", "R12B"},                            //
    {"41 b5 00", "R13B"},                            //
    {"44 88 f0", "R14B"},                            //
    {"41 0f 94 c4", "R12B"},                         //
    {"44 0f b6 c4", "operand that is SPL"},          //
    {"44 0f b6 c5", "BPL"},                          //
    {"44 0f 28 c0", "XMM8-15"},                      //
    {"41 0f 28 c0", "XMM8-15"},                      //
    {"67 44 0f 28 00", "XMM8-15"},                   //
    {"66 41 0f 71 d0 05", "XMM8-15"},                //
    {"66 45 0f 6e c0", "XMM8-15"},                   //
    {"42 01 d8", "REX bit without use"},             //
    {"44 f7 d8", "REX bit without use"},             //
    {"41 90", "REX bit without use"},                // xchg r8d, eax
    {"41 05 00 00 00 00", "REX bit without use"},    //
    {"44 b8 00 00 00 00", "REX bit without use"},    //
    {"41 c3", "REX bit without use"},                //
    {"41 e9 00 00 00 00", "REX bit without use"},    //
    {"41 d8 c1", "REX bit without use"},             //
    {"41 0f ae f0", "REX bit without use"},          //
    {"f3 41 90", "REX bit without use"},             //
    // Opcodes: what guests could do most with. All the others are in EveryOpcode.
    {"0f 05", "opcode not admitted"},        // syscall
    {"0f 34", "opcode not admitted"},        // sysenter
    {"cd 80", "opcode not admitted"},        // int
    {"f4", "opcode not admitted"},           // hlt
    {"50", "opcode not admitted"},           // push
    {"5c", "opcode not admitted"},           // pop rsp
    {"9c", "opcode not admitted"},           // pushf
    {"9d", "opcode not admitted"},           // popf
    {"c9", "opcode not admitted"},           // leave
    {"c2 08 00", "opcode not admitted"},     // ret imm16
    {"cb", "opcode not admitted"},           // retf
    {"cf", "opcode not admitted"},           // iret
    {"8e d8", "opcode not admitted"},        // mov ds, eax
    {"8c d8", "opcode not admitted"},        //
    {"0f a9", "opcode not admitted"},        // pop gs
    {"f3 0f ae d0", "opcode not admitted"},  // wrfsbase
    {"0f 01 f8", "opcode not admitted"},     // swapgs
    {"0f 01 d0", "opcode not admitted"},     // xgetbv
    {"0f a2", "opcode not admitted"},        // cpuid
    {"0f 31", "opcode not admitted"},        // rdtsc
    {"d7", "opcode not admitted"},           // xlat
    {"67 d7", "opcode not admitted"},        //
    {"a1 00 00 00 00 00 00 00 00", "opcode not admitted"},
    {"67 a1 00 00 00 00", "opcode not admitted"},           //
    {"e2 00", "opcode not admitted"},                       // loop
    {"c5 f8 77", "opcode not admitted"},                    // vzeroupper
    {"c4 e1 78 77", "opcode not admitted"},                 //
    {"62 f1 7c 48 28 c0", "opcode not admitted"},           // evex
    {"8f e8 78 c0 c0 05", "opcode not admitted"},           // xop
    {"67 8f 00", "opcode not admitted"},                    // pop [eax]
    {"66 0f 38 00 c1", "opcode not admitted"},              // pshufb
    {"66 0f 3a 0f c1 05", "opcode not admitted"},           // palignr
    {"0f 0f c1 9e", "opcode not admitted"},                 // 3dnow
    {"0f 0b", "opcode not admitted"},                       // ud2
    {"0f 77", "opcode not admitted"},                       // emms
    {"66 0f f7 c1", "opcode not admitted"},                 // maskmovdqu
    {"67 f2 0f f0 00", "opcode not admitted"},              // lddqu
    {"91", "opcode not admitted"},                          // xchg eax, ecx
    {"67 ff 10", "not admitted with this ModRM"},           // call [eax]
    {"ff d0", "not admitted with this ModRM"},              // call rax
    {"ff e0", "not admitted with this ModRM"},              // jmp rax
    {"41 ff e1", "not admitted with this ModRM"},           // jmp r9
    {"41 ff d1", "not admitted with this ModRM"},           // call r9
    {"67 ff 18", "not admitted with this ModRM"},           // call far
    {"67 ff 28", "not admitted with this ModRM"},           // jmp far
    {"67 ff 30", "not admitted with this ModRM"},           // push [eax]
    {"c7 f8 00 00 00 00", "not admitted with this ModRM"},  // xbegin
    {"c6 f8 00", "not admitted with this ModRM"},           // xabort
    {"f7 c8 00 00 00 00", "not admitted with this ModRM"},
    {"c1 f0 05", "not admitted with this ModRM"},        //
    {"8d c0", "not admitted with this ModRM"},           // lea of a register
    {"67 0f a3 08", "not admitted with this ModRM"},     // bt [eax], ecx
    {"67 0f ab 08", "not admitted with this ModRM"},     //
    {"0f c7 c8", "not admitted with this ModRM"},        //
    {"0f c7 f0", "not admitted with this ModRM"},        // rdrand
    {"67 0f ae 00", "not admitted with this ModRM"},     // fxsave
    {"67 0f ae 08", "not admitted with this ModRM"},     // fxrstor
    {"67 0f ae 10", "not admitted with this ModRM"},     // ldmxcsr
    {"67 0f ae 18", "not admitted with this ModRM"},     // stmxcsr
    {"67 0f ae 28", "not admitted with this ModRM"},     // xrstor
    {"67 0f ae 38", "not admitted with this ModRM"},     // clflush
    {"0f ae e9", "not admitted with this ModRM"},        // lfence, otherwise
    {"67 d9 20", "not admitted with this ModRM"},        // fldenv
    {"67 dd 30", "not admitted with this ModRM"},        // fnsave
    {"d9 fe", "not admitted with this ModRM"},           // fsin
    {"0f 2b c0", "not admitted with this ModRM"},        // movntps of a register
    {"66 0f 12 c1", "not admitted with this ModRM"},     //
    {"67 66 0f d7 00", "not admitted with this ModRM"},  //
    {"67 0f 50 00", "not admitted with this ModRM"},     //
    {"0f 94 c8", "not admitted with this ModRM"},        // setcc whose ModRM.reg is not 0
    {"0f 1f c0", "not admitted with this ModRM"},        //
    {"0f 1f 01", "NOP not admitted"},                    //
    {"0f 1f 44 20 00", "NOP not admitted"},              //
    {"0f 1f 40 01", "NOP not admitted"},                 //
    {"66 0f 1f 00", "NOP not admitted"},                 //
    // Branches.
    {"75 01 66 90", "no boundary of the region"},                 //
    {"75 7f", "branch out of the region"},                        //
    {"eb 80", "branch out of the region"},                        //
    {"67 e3 7f", "branch out of the region"},                     //
    {"0f 85 >1001", "no boundary of the region"},                 //
    {"e9 >1003", "no boundary of the region"},                    //
    {"b8 eb fe 90 90 0f 85 >1001", "no boundary of the region"},  // an immediate
    {"e9 >1006 cc cc", "no boundary of the region"},              // filling
    {"e9 >9001", "no entry and no stub"},                         //
    {"e9 >300", "no entry and no stub"},                          // a helper
    {"0f 84 >300", "no entry and no stub"},                       //
    {"e9 >201", "no entry and no stub"},                          //
    {"e9 >fffff000", "branch out of the code"},                   // -4096
    {"e8 >300 cc", "falls through to filling"},                   //
    {"e8 >301 45 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 00", "no entry and no stub"},
    {"e8 >9000", "call without a return site"},  //
    {"e8 >200", "call without a return site"},   //
    {"e8 >1000", "call without a return site"},  //
    {"e8 >9000 90 45 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 00", "call without a return site"},
    {"e8 >9000 45 8d 88 00 00 00 00 47 0f b6 94 0c fe 0f 00 00", "call without a return site"},
    {"e8 >9000 45 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 01", "call without a return site"},
    {"e8 >9000 45 8d 89 00 00 00 00 47 0f b6 94 0c ff 0f 00 00", "call without a return site"},
    {"e8 >9000 4d 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 00", "call without a return site"},
    {"e8 >9000 45 8d 88 00 00 00 00 47 0f b7 94 0c ff 0f 00 00", "call without a return site"},
    {"e8 >9000 45 8d 88 00 00 00 00 90 47 0f b6 94 0c ff 0f 00 00", "call without a return site"},
    {"e8 >9000 41 81 f8 00 00 00 00 0f 85 >100", "call without a return site"},
    {"47 0f b6 94 0c ff 0f 00 00", "memory operand without prefix 67"},
    {"45 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 00", "memory operand without prefix 67"},
    {"90 cc", "falls through to filling"},     //
    {"75 fe cc", "falls through to filling"},  //
    // Sequences, not quite.
    {"47 8b 0c 86", "memory operand without prefix 67"},                         //
    {"67 47 8b 0c 86", "base that is"},                                          //
    {"4f 8d 0c 29", "REX.W"},                                                    //
    {"66 45 89 c8 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // mov r8w, r9w
    {"41 89 ca 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},     // mov r10d, ecx
    {"41 89 c9 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},     // mov r9d, ecx
    {"89 c0 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},        // mov eax, eax
    {"44 8b c1 90 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // between
    {"44 8b c1 47 8b 0c 86 4f 8d 0c 29 90 41 ff e1", "memory operand without"},  //
    {"44 8b c1 47 8b 0c 86 4f 8d 0c 29 41 ff d1", "call without a return site"},
    {"44 8b c1 47 8b 0c 86 4f 8d 0c 29 41 ff e2", "memory operand without"},  // jmp r10
    {"44 8b c1 47 8b 0c 8e 4f 8d 0c 29 41 ff e1", "memory operand without"},  // [r14+r9*4]
    {"44 8b c1 47 8b 0c c6 4f 8d 0c 29 41 ff e1", "memory operand without"},  // [r14+r8*8]
    {"41 b8 00 00 00 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},
    {"45 31 c0 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},
    {"67 41 89 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // mov [r8d], eax
    {"67 45 89 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // mov [r8d], r8d
    {"67 41 8b 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // mov eax, [r8d]
    {"67 44 88 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // mov [eax], r8b
    {"67 44 8a 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},  // mov r8b, [eax]
    {"44 88 c8 47 8b 0c 86 4f 8d 0c 29 41 ff e1", "memory operand without"},
    {"49 81 6c 24 21 05 00 00 00 0f 88 >1000", "REX.W"},  // not the budget
    {"49 81 6c 24 1f 05 00 00 00 0f 88 >1000", "REX.W"},  //
    {"49 81 44 24 20 05 00 00 00 0f 88 >1000", "REX.W"},  // add
    {"49 81 6c 25 20 05 00 00 00 0f 88 >1000", "REX.W"},  // r13
    {"49 81 6c 24 20 05 00 00 00 90", "REX.W"},           //
    {"49 81 6c 24 20 05 00 00 00 0f 88 >200", "branch out of the region"},
    {"49 81 6c 24 20 05 00 00 00 0f 88 >1001", "no boundary of the region"},
    {"41 89 ca 4d 8b 44 24 21 4d 8d 80 fb ff ff ff 4d 89 44 24 20 41 8b 4c 24 24 67 e3 08 44 89 d1 "
     "e9 >1000 44 89 d1",
     "REX.W"},
    {"41 89 ca 4d 8b 44 24 20 4d 8d 80 fb ff ff ff 4d 89 44 24 28 41 8b 4c 24 24 67 e3 08 44 89 d1 "
     "e9 >1000 44 89 d1",
     "REX.W"},
    {"41 89 ca 4d 8b 44 24 20 4d 8d 80 fb ff ff ff 4d 89 44 24 20 41 8b 4c 24 20 67 e3 08 44 89 d1 "
     "e9 >1000 44 89 d1",
     "REX.W"},
    {"41 89 ca 4d 8b 44 24 20 4d 8d 80 fb ff ff ff 4d 89 44 24 20 41 8b 4c 24 24 67 e3 08 44 89 d1 "
     "e9 >200 44 89 d1",
     "branch out of the region"},
    {"4d 8b 44 24 20", "REX.W"},            //
    {"67 41 8b 4c 24 24", "base that is"},  //
};

std::string Behind65(const std::string& text) { return "65 " + text; }

TEST(VerifierTest, AdmitsWhatAccessesNoMemory) {
  for (const std::string text : kAdmitted) {
    for (CodePlacement placement : kPlacements) EXPECT_EQ(Refusal(text + kRet, placement), "");
    EXPECT_THAT(Refusal(Behind65(text), kExclusive), HasSubstr("prefix 65 in the exclusive"));
    EXPECT_THAT(Refusal(Behind65(text), kShared), HasSubstr("prefix 65 without use"));
  }
}

TEST(VerifierTest, AdmitsMemoryOperandsAsThePlacementWantsThem) {
  for (const std::string text : kAdmittedMemory) {
    EXPECT_EQ(Refusal(text + kRet, kExclusive), "");
    EXPECT_EQ(Refusal(Behind65(text) + kRet, kShared), "");
    EXPECT_THAT(Refusal(Behind65(text), kExclusive), HasSubstr("prefix 65 in the exclusive"));
    EXPECT_THAT(Refusal(text, kShared), HasSubstr("memory operand without prefix 65"));
    const std::string without_67 = text.substr(3);
    EXPECT_THAT(Refusal(without_67, kExclusive), HasSubstr("without prefix 67"));
    EXPECT_THAT(Refusal(Behind65(without_67), kShared), HasSubstr("without prefix 67"));
  }
}

TEST(VerifierTest, AdmitsStringInstructionsInTheExclusivePlacementOnly) {
  for (const std::string text : kAdmittedStrings) {
    EXPECT_EQ(Refusal(text + kRet, kExclusive), "");
    EXPECT_THAT(Refusal(text, kShared), HasSubstr("string instruction in the shared"));
    EXPECT_THAT(Refusal(Behind65(text), kShared), HasSubstr("string instruction in the shared"));
    EXPECT_THAT(Refusal(Behind65(text), kExclusive), HasSubstr("prefix 65 in the exclusive"));
  }
}

TEST(VerifierTest, RefusesAndNamesTheRule) {
  for (const Refused& refused : kRefused) {
    const std::string text = refused.code;
    EXPECT_THAT(Refusal(text + kRet, kExclusive), HasSubstr(refused.rule)) << text;
    const bool has_memory = text.starts_with("67 ") && !text.starts_with("67 e3");
    const std::string refusal = Refusal((has_memory ? Behind65(text) : text) + kRet, kShared);
    EXPECT_NE(refusal, "") << text;
    if (refusal.find("string") == std::string::npos && text.find('>') == std::string::npos) {
      EXPECT_THAT(refusal, HasSubstr(refused.rule)) << text;
    }
  }
}

TEST(VerifierTest, RefusalsSayWhereAndWhat) {
  EXPECT_EQ(Refusal("90 89 18 c3", kExclusive),
            "offset 0x1001: 89 18: memory operand without prefix 67");
  EXPECT_EQ(Refusal("90 0f 05 c3", kExclusive), "offset 0x1001: 0f 05: opcode not admitted");
}

// A region ends with its last instruction's last byte, and nothing runs on behind it.
TEST(VerifierTest, NothingLeavesTheEnd) {
  const Code code = Assemble("67 66 41 81 84 08 78 56 34 12 34 12");
  for (size_t length = 1; length < code.size(); ++length) {
    const Code part(code.begin(), code.begin() + length);
    EXPECT_THAT(Refusal(part, Rules(kExclusive)), HasSubstr("cut off")) << length;
  }
  EXPECT_THAT(Refusal(code, Rules(kExclusive)), HasSubstr("falls through to the region's end"));
  for (const char* falling : {"90", "75 fe", "e8 >300", "67 e3 fd", "0f 85 >200"}) {
    EXPECT_THAT(Refusal(falling, kExclusive), HasSubstr("falls through to the region's end"));
    EXPECT_THAT(Refusal(std::string(falling) + " cc", kExclusive), HasSubstr("to filling"));
  }
  const std::string site = "e8 >9000 45 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 00";
  EXPECT_THAT(Refusal(site, kExclusive), HasSubstr("falls through to the region's end"));
  EXPECT_EQ(Refusal(site + kRet, kExclusive), "");
  for (size_t length = 5; length < Assemble(site).size(); ++length) {
    Code part = Assemble(site);
    part.resize(length);
    EXPECT_NE(Refusal(part, Rules(kExclusive)), "") << length;
  }
  for (const char* ending : {"c3", "eb fe", "e9 >200", "e9 >9000", "c3 cc cc cc 90 c3 cc",
                             "44 8b c0 47 8b 0c 86 4f 8d 0c 29 41 ff e1"}) {
    EXPECT_EQ(Refusal(ending, kExclusive), "") << ending;
  }
  EXPECT_EQ(Refusal("", kExclusive), "");
  VerifiedRegion region;
  std::string error;
  const Code ret = {0xc3};
  EXPECT_TRUE(VerifyRegion(ret, UINT32_MAX, Rules(kExclusive), &region, &error)) << error;
  const Code longer = {0x90, 0xc3};
  EXPECT_FALSE(VerifyRegion(longer, UINT32_MAX, Rules(kExclusive), &region, &error));
  EXPECT_THAT(error, HasSubstr("beyond 4 GiB"));
  // 0xfffffff0 + 5 + 0x10b: a target computed in 32 bits would be a stub.
  const Code wraps = {0xe9, 0x0b, 0x01, 0x00, 0x00};
  EXPECT_FALSE(VerifyRegion(wraps, 0xfffffff0, Rules(kExclusive), &region, &error));
  EXPECT_THAT(error, HasSubstr("out of the code"));
}

TEST(VerifierTest, BudgetMustBeInReachOfDisp8) {
  const auto metering = [](uint8_t disp8) {
    Code code = Assemble("49 81 6c 24 00 05 00 00 00 0f 88 >1000 c3");
    code[4] = disp8;
    return code;
  };
  VerifierRules rules = Rules(kExclusive);
  for (uint32_t offset : {0u, 8u, 119u}) {
    rules.budget_offset = offset;
    EXPECT_EQ(Refusal(metering(static_cast<uint8_t>(offset)), rules), "");
  }
  for (uint32_t offset : {120u, 128u, 255u, 256u, 0xffffff80u}) {
    rules.budget_offset = offset;
    EXPECT_THAT(Refusal(metering(static_cast<uint8_t>(offset)), rules), HasSubstr("REX.W"));
  }
}

// The lists are about what lies outside of the region.
TEST(VerifierTest, NoStubOrHelperIsInside) {
  constexpr uint32_t kInside[] = {0x1001};
  VerifierRules rules = Rules(kExclusive);
  rules.helpers = kInside;
  EXPECT_THAT(Refusal(Assemble("e8 >1001 c3"), rules), HasSubstr("without a return site"));
  rules = Rules(kExclusive);
  rules.stubs = kInside;
  rules.is_entry = [](uint32_t) { return true; };
  EXPECT_THAT(Refusal(Assemble("e9 >1001"), rules), HasSubstr("no boundary"));
}

TEST(VerifierTest, TargetsAreEntriesAndStubs) {
  VerifierRules rules = Rules(kExclusive);
  EXPECT_TRUE(VerifyTarget(kEntry, rules));
  EXPECT_TRUE(VerifyTarget(kStub, rules));
  EXPECT_TRUE(VerifyTarget(kMiss, rules));
  EXPECT_FALSE(VerifyTarget(kHelper, rules));
  EXPECT_FALSE(VerifyTarget(kEntry + 1, rules));
  rules.is_entry = nullptr;
  EXPECT_FALSE(VerifyTarget(kEntry, rules));
}

// ------------------------------------------------------------------------------------------------
// Regions.

TEST(VerifierTest, ReportsBoundariesAndBranches) {
  VerifiedRegion region;
  ASSERT_EQ(
      Refusal("90 e8 >9000 45 8d 88 00 00 00 00 47 0f b6 94 0c ff 0f 00 00 0f 84 >200 e8 >300 "
              "49 81 6c 24 20 05 00 00 00 0f 88 >1000 "
              "45 8b c0 47 8b 0c 86 4f 8d 0c 29 41 ff e1 cc cc eb bf",
              kExclusive, &region),
      "");
  EXPECT_THAT(region.boundaries,
              ElementsAre(0x1000, 0x1001, 0x1006, 0x1016, 0x101c, 0x1021, 0x1030, 0x1040));
  ASSERT_EQ(region.branches.size(), 2u);
  EXPECT_EQ(region.branches[0].rel32, 0x1002u);
  EXPECT_EQ(region.branches[0].target, kEntry);
  EXPECT_TRUE(region.branches[0].is_call);
  EXPECT_EQ(region.branches[1].rel32, 0x1018u);
  EXPECT_EQ(region.branches[1].target, kStub);
  EXPECT_FALSE(region.branches[1].is_call);

  EXPECT_NE(Refusal("0f 05", kExclusive, &region), "");
  EXPECT_THAT(region.boundaries, ElementsAre());
  EXPECT_TRUE(region.branches.empty());
}

// A branch to each byte of a region is admitted if the byte is a boundary, and only then.
TEST(VerifierTest, BranchesLeadToBoundariesOnly) {
  for (const auto& [text, placement] : kFunctions) {
    VerifiedRegion region;
    ASSERT_EQ(Refusal(text, placement, &region), "");
    const Code code = Assemble(text);
    const std::set<uint32_t> boundaries(region.boundaries.begin(), region.boundaries.end());
    for (uint32_t target = kOffset; target < kOffset + code.size(); ++target) {
      char jump[32];
      snprintf(jump, sizeof(jump), " e9 >%x", target);
      EXPECT_EQ(Refusal(text + jump, placement) == "", boundaries.count(target) != 0) << target;
    }
  }
}

}  // namespace
}  // namespace vx::testing
