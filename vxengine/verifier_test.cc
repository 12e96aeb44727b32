// The verifier against lists of what it must admit and refuse, written down a second time here, and
// against a disassembler that somebody else wrote: whatever is admitted, of damaged code and of
// random bytes, has the properties that make it safe.
#include "vxengine/verifier.h"

#include <Zydis/Zydis.h>
#include <fnmatch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace vx {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = std::vector<uint8_t>;

constexpr CodePlacement kExclusive = CodePlacement::kExclusive;
constexpr CodePlacement kShared = CodePlacement::kShared;
constexpr CodePlacement kPlacements[] = {kExclusive, kShared};

// Where the code under test lies, and what there is besides.
constexpr uint32_t kOffset = 0x1000;
constexpr uint32_t kMiss = 0x100, kStub = 0x200, kHelper = 0x300, kEntry = 0x9000;
constexpr uint32_t kStubs[] = {kMiss, kStub};
constexpr uint32_t kHelpers[] = {kHelper, 0x340};
constexpr uint32_t kBudget = 0x20;

VerifierRules Rules(CodePlacement placement) {
  VerifierRules rules;
  rules.placement = placement;
  rules.is_entry = [](uint32_t target) { return target == kEntry; };
  rules.stubs = kStubs;
  rules.helpers = kHelpers;
  rules.budget_offset = kBudget;
  return rules;
}

// Bytes from text: "e9 >200" is a JMP whose rel32 leads to offset 0x200.
Code Assemble(const std::string& text) {
  Code code;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word[0] == '>') {
      const uint32_t relative = static_cast<uint32_t>(std::stoul(word.substr(1), nullptr, 16)) -
                                (kOffset + static_cast<uint32_t>(code.size()) + 4);
      for (int i = 0; i < 4; ++i) code.push_back(static_cast<uint8_t>(relative >> (8 * i)));
    } else {
      code.push_back(static_cast<uint8_t>(std::stoul(word, nullptr, 16)));
    }
  }
  return code;
}

std::string ToHex(const Code& code) {
  std::string text;
  char word[4];
  for (uint8_t byte : code) {
    snprintf(word, sizeof(word), "%02x ", byte);
    text += word;
  }
  return text;
}

// The refusal, or "" if it is admitted.
std::string Refusal(const Code& code, const VerifierRules& rules,
                    VerifiedRegion* region = nullptr) {
  VerifiedRegion unused;
  std::string error;
  return VerifyRegion(code, kOffset, rules, region != nullptr ? region : &unused, &error) ? ""
                                                                                          : error;
}

std::string Refusal(const std::string& text, CodePlacement placement,
                    VerifiedRegion* region = nullptr) {
  return Refusal(Assemble(text), Rules(placement), region);
}

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
// Realistic regions, with every sequence.

constexpr char kReturnSite[] = " 45 8d 88 bb dc fe f7 47 0f b6 94 0c ff 0f 00 00 ";

// A function: metering, a loop, calls of regions and helpers, an indirect jump.
std::string Function() {
  return std::string(
             "49 81 6c 24 20 09 00 00 00 0f 88 >1000 "  // metering
             "67 8b 45 08 67 45 89 07 "                 // mov eax, [ebp+8]; mov [r15d], r8d
             "31 c9 67 03 04 8b ff c1 39 d1 75 f6 "     // a loop
             "45 8d 7f fc 67 41 c7 07 45 23 01 08 "     // push of a return address
             "e8 >9000 ") +
         kReturnSite +
         "e8 >300 0f b6 c4 66 c1 e0 03 f7 f1 67 0f b1 08 67 f3 a5 "
         "e8 >1000 " +
         kReturnSite +
         "0f 84 >9000 0f 8f >200 "
         "67 44 8b 04 9d 00 10 00 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1 cc cc cc "  // jump
         "e9 >9000";
}

// In the shared placement, with flags that live across metering, and an indirect call.
std::string SharedFunction() {
  return "41 89 ca 4d 8b 44 24 20 4d 8d 80 f7 ff ff ff 4d 89 44 24 20 41 8b 4c 24 24 "  // metering
         "67 e3 08 44 89 d1 e9 >1000 44 89 d1 "
         "65 67 8b 45 08 65 67 45 89 07 "
         "65 67 66 0f 6f 04 0b 66 0f fe c8 66 0f 73 d8 04 65 67 0f 29 01 f2 0f 58 c1 "
         "65 67 d9 00 d8 c9 65 67 d9 58 04 66 0f 2e c1 "
         "45 8b c3 47 8b 0c 86 4f 8d 0c 29 41 ff d1 " +  // call
         std::string(kReturnSite) +
         "49 81 6c 24 20 03 00 00 00 0f 88 >1000 "
         "65 67 45 8b 40 04 47 8b 0c 86 4f 8d 0c 29 41 ff d1 " +
         kReturnSite + "e8 >200 " + kReturnSite + "c3 cc cc";
}

// Without relative branches, so that what is inserted or left out spoils none.
std::string Jumps() {
  return "89 c8 45 8b c3 47 8b 0c 86 4f 8d 0c 29 41 ff e1 "
         "45 89 d8 47 8b 0c 86 4f 8d 0c 29 41 ff e1 "
         "67 45 8b 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1";
}

const struct {
  std::string code;
  CodePlacement placement;
} kFunctions[] = {{Function(), kExclusive}, {SharedFunction(), kShared}, {Jumps(), kExclusive}};

// ------------------------------------------------------------------------------------------------
// The oracle: decodes with Zydis and looks at operands, where the verifier looks at encodings.

struct Decoded {
  size_t at = 0;
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  size_t end() const { return at + instruction.length; }
  bool Is(std::initializer_list<ZydisMnemonic> mnemonics) const {
    return std::find(mnemonics.begin(), mnemonics.end(), instruction.mnemonic) != mnemonics.end();
  }
};

class Oracle {
 public:
  Oracle(const VerifierRules& rules) : rules_(rules) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
  }

  std::optional<Decoded> Decode(const Code& code, size_t at) const {
    Decoded decoded;
    decoded.at = at;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, code.data() + at, code.size() - at,
                                             &decoded.instruction, decoded.operands))) {
      return std::nullopt;
    }
    return decoded;
  }

  // What is unsafe about a region that was admitted, or "".
  std::string Check(const Code& code, const VerifiedRegion& region) const {
    std::vector<Decoded> all;
    for (size_t at = 0; at < code.size();) {
      const std::optional<Decoded> decoded = Decode(code, at);
      if (!decoded) return "not decoded: " + ToHex(Code(code.begin() + at, code.end()));
      all.push_back(*decoded);
      at = decoded->end();
    }
    std::vector<uint32_t> boundaries;
    std::vector<std::pair<const Decoded*, std::string>> branches;  // and where they must lead
    bool falls = false, returns = false;
    for (size_t i = 0; i < all.size();) {
      if (all[i].Is({ZYDIS_MNEMONIC_INT3})) {
        if (falls) return "falls into filling";
        ++i;
        continue;
      }
      boundaries.push_back(static_cast<uint32_t>(kOffset + all[i].at));
      const bool was_call = std::exchange(returns, false);
      falls = true;
      if (size_t n = Matches(all, i, kReturnSites); was_call) {
        if (n == 0) return "no return site";
        i += n;
      } else if (n = Matches(all, i, kMeterings); n > 0) {
        branches.emplace_back(&all[n == 2 ? i + 1 : i + 7], "inside");
        i += n;
      } else if (n = Matches(all, i, kIndirect); n > 0) {
        if (std::string bad = Ordinary(all[i]); !bad.empty()) return bad;
        falls = returns = all[i + 3].Is({ZYDIS_MNEMONIC_CALL});
        i += n;
      } else {
        if (std::string bad = Ordinary(all[i]); !bad.empty()) return bad + ": " + Text(all[i]);
        const ZydisInstructionCategory category = all[i].instruction.meta.category;
        if (category == ZYDIS_CATEGORY_CALL || category == ZYDIS_CATEGORY_COND_BR ||
            category == ZYDIS_CATEGORY_UNCOND_BR) {
          if (!all[i].operands[0].imm.is_relative) return "indirect: " + Text(all[i]);
          branches.emplace_back(&all[i], "");
        }
        falls = category != ZYDIS_CATEGORY_UNCOND_BR && category != ZYDIS_CATEGORY_RET;
        returns = category == ZYDIS_CATEGORY_CALL && !IsIn(rules_.helpers, Target(all[i]));
        ++i;
      }
    }
    if (falls || returns) return "falls out of the region";
    if (boundaries != region.boundaries) return "other boundaries";

    std::vector<std::pair<uint32_t, uint32_t>> direct, reported;
    for (const auto& [branch, where] : branches) {
      const int64_t target = Target(*branch);
      if (target >= kOffset && target < static_cast<int64_t>(kOffset + code.size())) {
        if (!IsIn(boundaries, target)) return "into an instruction: " + Text(*branch);
        if (where != "inside" && branch->instruction.raw.imm[0].size == 32) {
          direct.emplace_back(kOffset + branch->at + branch->instruction.raw.imm[0].offset, target);
        }
      } else if (where == "inside") {
        return "out of the region: " + Text(*branch);
      } else if (!branch->Is({ZYDIS_MNEMONIC_CALL}) || !IsIn(rules_.helpers, target)) {
        if (branch->instruction.raw.imm[0].size != 32) return "short: " + Text(*branch);
        if (target < 0 || target > UINT32_MAX) return "out of the code: " + Text(*branch);
        if (!IsIn(rules_.stubs, target) && !rules_.is_entry(static_cast<uint32_t>(target))) {
          return "out of the region: " + Text(*branch);
        }
        direct.emplace_back(kOffset + branch->at + branch->instruction.raw.imm[0].offset, target);
      }
    }
    for (const Branch& branch : region.branches) {
      reported.emplace_back(branch.rel32, branch.target);
      if (branch.is_call != (code[branch.rel32 - kOffset - 1] == 0xe8)) return "is_call";
    }
    return direct == reported ? "" : "other direct branches";
  }

  // What is unsafe about an instruction that is no part of a sequence, or "". Of direct branches
  // the targets are not looked at.
  std::string Ordinary(const Decoded& decoded) const {
    const ZydisDecodedInstruction& i = decoded.instruction;
    switch (i.meta.isa_ext) {
      case ZYDIS_ISA_EXT_BASE:
      case ZYDIS_ISA_EXT_X87:
      case ZYDIS_ISA_EXT_SSE:
      case ZYDIS_ISA_EXT_SSE2:
      case ZYDIS_ISA_EXT_PAUSE:
      case ZYDIS_ISA_EXT_CLFSH:
      case ZYDIS_ISA_EXT_LONGMODE:
        break;
      default:
        return "extension";
    }
    switch (i.meta.category) {
      case ZYDIS_CATEGORY_INTERRUPT:
      case ZYDIS_CATEGORY_IO:
      case ZYDIS_CATEGORY_IOSTRINGOP:
      case ZYDIS_CATEGORY_POP:
      case ZYDIS_CATEGORY_PUSH:
      case ZYDIS_CATEGORY_SEGOP:
      case ZYDIS_CATEGORY_SYSCALL:
      case ZYDIS_CATEGORY_SYSRET:
      case ZYDIS_CATEGORY_SYSTEM:
        return "category";
      default:
        break;
    }
    if ((i.attributes & (ZYDIS_ATTRIB_IS_PRIVILEGED | ZYDIS_ATTRIB_HAS_LOCK)) != 0 ||
        i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
      return "attribute";
    }
    if (i.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || (i.raw.rex.W != 0)) return "encoding";
    if (decoded.Is({ZYDIS_MNEMONIC_LDMXCSR, ZYDIS_MNEMONIC_STMXCSR, ZYDIS_MNEMONIC_FLDENV,
                    ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_JRCXZ, ZYDIS_MNEMONIC_CPUID,
                    ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_MASKMOVDQU})) {
      return "mnemonic";
    }
    // A prefix 66 in front of a near branch: Intel's CPUs ignore it, AMD's do not, and Zydis is of
    // Intel's opinion, so that nothing else here would see it.
    if (i.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && i.raw.prefix_count > 0 &&
        !decoded.Is({ZYDIS_MNEMONIC_JECXZ})) {
      return "prefix of a branch";
    }
    const bool uses_stack = decoded.Is({ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_RET});
    for (int n = 0; n < i.operand_count; ++n) {
      const ZydisDecodedOperand& operand = decoded.operands[n];
      const bool is_hidden = operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
      if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) return "far";
      if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        if (uses_stack && is_hidden) continue;
        if (!IsRegister(operand.reg.value, is_hidden)) return "register";
      }
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
      if (uses_stack && is_hidden && operand.mem.base == ZYDIS_REGISTER_RSP) continue;
      for (ZydisRegister part : {operand.mem.base, operand.mem.index}) {
        if (part != ZYDIS_REGISTER_NONE && !IsAddress(part)) return "address";
      }
      if (decoded.Is({ZYDIS_MNEMONIC_LEA, ZYDIS_MNEMONIC_NOP})) continue;
      if (i.address_width != 32) return "address width";
      if (operand.size > 128 && !decoded.Is({ZYDIS_MNEMONIC_CLFLUSH})) return "too much memory";
      const ZydisRegister segment = operand.mem.segment;
      if (rules_.placement == kShared
              ? segment != ZYDIS_REGISTER_GS
              : segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS) {
        return "segment";
      }
      if (decoded.Is(
              {ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC}) &&
          decoded.operands[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return "bit offset";
      }
    }
    return "";
  }

  std::string Text(const Decoded& decoded) const {
    char text[128];
    ZydisFormatterFormatInstruction(&formatter_, &decoded.instruction, decoded.operands,
                                    decoded.instruction.operand_count_visible, text, sizeof(text),
                                    ZYDIS_RUNTIME_ADDRESS_NONE, nullptr);
    return text;
  }

 private:
  using Patterns = std::vector<std::vector<std::string>>;

  // For a budget at 0x20.
  inline static const Patterns kIndirect = {
      {"mov r8d, *", "mov r9d, [[]r14+r8*4[]]", "lea r9, [[]r9+r13*1[]]", "jmp r9"},
      {"mov r8d, *", "mov r9d, [[]r14+r8*4[]]", "lea r9, [[]r9+r13*1[]]", "call r9"},
  };
  inline static const Patterns kReturnSites = {
      {"lea r9d, [[]r8*[]]", "movzx r10d, byte ptr [[]r12+r9*1+0xFFF[]]"},
  };
  inline static const Patterns kMeterings = {
      {"sub qword ptr [[]r12+0x20[]], *", "js *"},
      {"mov r10d, ecx", "mov r8, [[]r12+0x20[]]", "lea r8, [[]r8*[]]", "mov [[]r12+0x20[]], r8",
       "mov ecx, [[]r12+0x24[]]", "jecxz +0x0B", "mov ecx, r10d", "jmp *", "mov ecx, r10d"},
  };

  size_t Matches(const std::vector<Decoded>& all, size_t at, const Patterns& patterns) const {
    for (const std::vector<std::string>& pattern : patterns) {
      if (all.size() - at < pattern.size()) continue;
      bool matches = true;
      for (size_t i = 0; matches && i < pattern.size(); ++i) {
        const Decoded& decoded = all[at + i];
        // Formatting takes long.
        const std::string mnemonic = ZydisMnemonicGetString(decoded.instruction.mnemonic);
        matches = pattern[i].starts_with(mnemonic + " ") &&
                  fnmatch(pattern[i].c_str(), Text(decoded).c_str(), 0) == 0;
      }
      if (matches) return pattern.size();
    }
    return 0;
  }

  static bool IsAddress(ZydisRegister part) {
    if (ZydisRegisterGetClass(part) == ZYDIS_REGCLASS_IP) return false;
    switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, part)) {
      case ZYDIS_REGISTER_RSP:
      case ZYDIS_REGISTER_R12:
      case ZYDIS_REGISTER_R13:
      case ZYDIS_REGISTER_R14:
        return false;
      default:
        return true;
    }
  }

  static bool IsRegister(ZydisRegister value, bool is_hidden) {
    switch (ZydisRegisterGetClass(value)) {
      case ZYDIS_REGCLASS_GPR8:
      case ZYDIS_REGCLASS_GPR16:
      case ZYDIS_REGCLASS_GPR32:
        return IsAddress(value);
      case ZYDIS_REGCLASS_XMM:
        return value <= ZYDIS_REGISTER_XMM7;
      case ZYDIS_REGCLASS_X87:
        return true;
      case ZYDIS_REGCLASS_FLAGS:
      case ZYDIS_REGCLASS_IP:
        return is_hidden;
      default:
        return is_hidden &&
               (value == ZYDIS_REGISTER_X87CONTROL || value == ZYDIS_REGISTER_X87STATUS ||
                value == ZYDIS_REGISTER_X87TAG || value == ZYDIS_REGISTER_MXCSR);
    }
  }

  static int64_t Target(const Decoded& branch) {
    return static_cast<int64_t>(kOffset + branch.end()) + branch.operands[0].imm.value.s;
  }

  template <typename Container>
  static bool IsIn(const Container& container, int64_t value) {
    return std::find(container.begin(), container.end(), value) != container.end();
  }

  const VerifierRules rules_;
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
};

TEST(OracleTest, AgreesOnWhatIsSafe) {
  for (const auto& [text, placement] : kFunctions) {
    VerifiedRegion region;
    ASSERT_EQ(Refusal(text, placement, &region), "");
    EXPECT_EQ(Oracle(Rules(placement)).Check(Assemble(text), region), "");
  }
}

// Were the oracle blind, the tests with it would be worth nothing. Most of what is refused it must
// call unsafe; the rest is refused since no guest needs it or since it is written otherwise.
TEST(OracleTest, SeesWhatIsUnsafe) {
  const Oracle oracle(Rules(kExclusive));
  for (const char* text : {"89 18",
                           "48 01 d8",
                           "89 c4",
                           "83 ec 08",
                           "67 8b 04 24",
                           "67 41 8b 06",
                           "67 42 8b 04 28",
                           "67 8b 05 00 00 00 00",
                           "0f 05",
                           "cd 80",
                           "8e d8",
                           "50",
                           "9d",
                           "44 0f 28 c0",
                           "c5 f8 77",
                           "0f 01 f8",
                           "a4",
                           "67 0f ab 08",
                           "65 67 8b 00",
                           "64 67 8b 00",
                           "f0 67 01 18",
                           "ff 28",
                           "66 e9 00 00 00 00",
                           "67 0f ae 10",
                           "67 0f ae 00",
                           "0f 77",
                           "41 b4 00",
                           "0f c7 f0"}) {
    const std::optional<Decoded> decoded = oracle.Decode(Assemble(text), 0);
    EXPECT_TRUE(!decoded || oracle.Ordinary(*decoded) != "") << text;
  }
  EXPECT_NE(Oracle(Rules(kShared)).Ordinary(*oracle.Decode(Assemble("67 8b 00"), 0)), "");
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

// Whatever bytes are changed: refused, or safe all the same.
class CorruptionTest : public ::testing::TestWithParam<int> {
 protected:
  CorruptionTest()
      : code_(Assemble(kFunctions[GetParam()].code)),
        rules_(Rules(kFunctions[GetParam()].placement)),
        oracle_(rules_) {}

  void Try(const Code& code) {
    VerifiedRegion region;
    std::string error;
    ++tried_;
    if (!VerifyRegion(code, kOffset, rules_, &region, &error)) return;
    ++admitted_;
    const std::string unsafe = oracle_.Check(code, region);
    ASSERT_EQ(unsafe, "") << ToHex(code);
  }

  const Code code_;
  const VerifierRules rules_;
  const Oracle oracle_;
  int tried_ = 0, admitted_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Functions, CorruptionTest, ::testing::Values(0, 1, 2));

TEST_P(CorruptionTest, OfOneByte) {
  for (size_t at = 0; at < code_.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      Code code = code_;
      code[at] = static_cast<uint8_t>(byte);
      ASSERT_NO_FATAL_FAILURE(Try(code));
    }
  }
  EXPECT_GT(admitted_, tried_ / 100);
  EXPECT_LT(admitted_, tried_ / 2);
}

TEST_P(CorruptionTest, OfSeveralBytes) {
  std::mt19937 random(1);
  const auto below = [&](size_t n) { return random() % n; };
  for (int i = 0; i < 100000; ++i) {
    Code code = code_;
    for (size_t n = below(3) + 1; n > 0; --n) {
      const size_t at = below(code.size()), length = below(12) + 1;
      switch (below(4)) {
        case 0:  // change bits
          code[at] ^= 1 << below(8);
          code[below(code.size())] ^= 1 << below(8);
          break;
        case 1:  // leave out
          code.erase(code.begin() + at, code.begin() + std::min(code.size(), at + length));
          break;
        case 2: {  // repeat elsewhere
          const Code part(code.begin() + at, code.begin() + std::min(code.size(), at + length));
          code.insert(code.begin() + below(code.size()), part.begin(), part.end());
          break;
        }
        case 3:
          code.insert(code.begin() + at, below(2) ? "\x65\x66\x67\xf2\xf3\x41\x44\x48"[below(8)]
                                                  : static_cast<char>(random()));
          break;
      }
      if (code.empty()) code.push_back(0xc3);
    }
    ASSERT_NO_FATAL_FAILURE(Try(code));
  }
  EXPECT_GT(admitted_, 100);
}

// ------------------------------------------------------------------------------------------------
// Single instructions.

// The length of the single instruction that `bytes` begins with, if it is admitted: followed by a
// RET.
size_t AdmittedLength(const uint8_t* bytes, size_t max, const VerifierRules& rules,
                      VerifiedRegion* region) {
  uint8_t code[20];
  std::string error;
  for (size_t length = 1; length <= max; ++length) {
    memcpy(code, bytes, length);
    code[length] = 0xc3;
    if (VerifyRegion({code, length + 1}, kOffset, rules, region, &error) &&
        region->boundaries.size() == 2 && region->boundaries[0] == kOffset &&
        region->boundaries[1] == kOffset + length) {
      return length;
    }
  }
  return 0;
}

TEST(VerifierTest, AgreesWithZydisOnRandomInstructions) {
  std::mt19937 random(2);
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  std::set<std::string> mnemonics;
  for (CodePlacement placement : kPlacements) {
    VerifierRules rules = Rules(placement);
    rules.is_entry = [](uint32_t) { return true; };
    const Oracle oracle(rules);
    VerifiedRegion region;
    int admitted = 0;
    for (int i = 0; i < 250000; ++i) {
      Code bytes;
      if (one_in(30)) bytes.push_back("\xf0\x2e\x36\x3e\x26\x64\x66\xf3"[random() % 8]);
      if (placement == kShared ? !one_in(3) : one_in(30)) bytes.push_back(0x65);
      if (!one_in(3)) bytes.push_back(0x67);
      if (one_in(3)) bytes.push_back(0x66);
      if (one_in(5)) bytes.push_back(0xf2 + random() % 2);
      if (one_in(3)) bytes.push_back(0x40 + random() % 16);
      if (one_in(30)) bytes.push_back("\xf0\x65\x67\x66\xf2\xf3\x41\xc5"[random() % 8]);
      if (one_in(2)) bytes.push_back(0x0f);
      bytes.push_back(static_cast<uint8_t>(random()));
      bytes.push_back(static_cast<uint8_t>(random()));
      const bool zeros = one_in(4);
      while (bytes.size() < 18) bytes.push_back(zeros ? 0 : static_cast<uint8_t>(random()));
      const size_t length = AdmittedLength(bytes.data(), 16, rules, &region);
      if (length == 0) continue;
      ++admitted;
      const std::optional<Decoded> decoded = oracle.Decode(bytes, 0);
      ASSERT_TRUE(decoded) << ToHex(bytes);
      ASSERT_EQ(decoded->instruction.length, length) << ToHex(bytes) << oracle.Text(*decoded);
      ASSERT_EQ(oracle.Ordinary(*decoded), "") << ToHex(bytes) << oracle.Text(*decoded);
      ASSERT_LE(length, 15u);
      mnemonics.insert(ZydisMnemonicGetString(decoded->instruction.mnemonic));
    }
    EXPECT_GT(admitted, 10000);
  }
  EXPECT_GT(mnemonics.size(), 300u);
}

// The list of opcodes, written down a second time: what is admitted of each with any ModRM.
// Operands: G general register, B byte register, X XMM register, / digits of ModRM.reg. Behind them
// "m" or "r": memory or registers only.
struct Listed {
  const char* prefixes;  // "-" for none
  const char* opcodes;
  const char* operands;
};

constexpr Listed kListed[] = {
    {"-", "00 02 08 0a 10 12 18 1a 20 22 28 2a 30 32 38 3a 84 86 88 8a", "B B"},
    {"- 66", "01 03 09 0b 11 13 19 1b 21 23 29 2b 31 33 39 3b 69 6b 85 87 89 8b", "G G"},
    {"-", "04 0c 14 1c 24 2c 34 3c a8 9b 9e 9f c3 f5 f8 f9 fc fd", "plain"},
    {"- 66", "05 0d 15 1d 25 2d 35 3d 98 99 a9 90", "plain"},
    {"f3", "90", "plain"},
    {"- f3", "a4 aa ac", "plain"},
    {"- 66 f3", "a5 ab ad", "plain"},
    {"- f2 f3", "a6 ae", "plain"},
    {"- 66 f2 f3", "a7 af", "plain"},
    {"-", "b0 b1 b2 b3 b4 b5 b6 b7", "plain"},
    {"- 66", "b8 b9 ba bb bd be bf", "plain"},
    {"-", "80", "/01234567 B"},
    {"- 66", "81 83", "/01234567 G"},
    {"- 66", "8d", "G G m"},
    {"-", "c0 d0 d2", "/0123457 B"},
    {"- 66", "c1 d1 d3", "/0123457 G"},
    {"-", "c6", "/0 B"},
    {"- 66", "c7", "/0 G"},
    {"-", "f6", "/0234567 B"},
    {"- 66", "f7", "/0234567 G"},
    {"-", "fe", "/01 B"},
    {"- 66", "ff", "/01 G"},
    {"-", "d8 da dc de", "/01234567 - m"},  // x87, but the register forms
    {"-", "d9 db", "/02357 - m"},
    {"-", "dd", "/0237 - m"},
    {"-", "df", "/0234567 - m"},
    {"-", "0f18", "/0123 - m"},
    {"- 66", "0f40 0f41 0f42 0f43 0f44 0f45 0f46 0f47 0f48 0f49 0f4a 0f4b 0f4c 0f4d 0f4e 0f4f",
     "G G"},
    {"-", "0f90 0f91 0f92 0f93 0f94 0f95 0f96 0f97 0f98 0f99 0f9a 0f9b 0f9c 0f9d 0f9e 0f9f",
     "/0 B"},
    {"- 66", "0fa3 0fab 0fb3 0fbb", "G G r"},
    {"- 66", "0fa4 0fa5 0fac 0fad 0faf 0fb1 0fb7 0fbc 0fbd 0fbf 0fc1", "G G"},
    {"- 66", "0fb6 0fbe", "G B"},
    {"-", "0fb0 0fc0", "B B"},
    {"- 66", "0fba", "/4567 G"},
    {"-", "0fc3", "G - m"},
    {"-", "0fc7", "/1 - m"},
    {"-", "0fc8 0fc9 0fca 0fcb 0fcd 0fce 0fcf", "plain"},
    {"-", "0f10 0f11 0f12 0f14 0f15 0f16 0f28 0f29 0f2e 0f2f 0f51", "X X"},
    {"-", "0f54 0f55 0f56 0f57 0f58 0f59 0f5a 0f5b 0f5c 0f5d 0f5e 0f5f 0fc2 0fc6", "X X"},
    {"-", "0f13 0f17 0f2b", "X - m"},
    {"-", "0f50", "G X r"},
    {"66", "0f10 0f11 0f14 0f15 0f28 0f29 0f2e 0f2f 0f51 0f54 0f55 0f56 0f57 0f58 0f59 0f5a",
     "X X"},
    {"66", "0f5b 0f5c 0f5d 0f5e 0f5f 0f60 0f61 0f62 0f63 0f64 0f65 0f66 0f67 0f68 0f69 0f6a",
     "X X"},
    {"66", "0f6b 0f6c 0f6d 0f6f 0f70 0f74 0f75 0f76 0f7f 0fc2 0fc6 0fd1 0fd2 0fd3 0fd4 0fd5",
     "X X"},
    {"66", "0fd6 0fd8 0fd9 0fda 0fdb 0fdc 0fdd 0fde 0fdf 0fe0 0fe1 0fe2 0fe3 0fe4 0fe5 0fe6",
     "X X"},
    {"66", "0fe8 0fe9 0fea 0feb 0fec 0fed 0fee 0fef 0ff1 0ff2 0ff3 0ff4 0ff5 0ff6", "X X"},
    {"66", "0ff8 0ff9 0ffa 0ffb 0ffc 0ffd 0ffe", "X X"},
    {"66", "0f12 0f13 0f16 0f17 0f2b 0fe7", "X - m"},
    {"66", "0f50 0fc5 0fd7", "G X r"},
    {"66", "0f6e 0f7e 0fc4", "X G"},
    {"66", "0f71 0f72", "/246 X r"},
    {"66", "0f73", "/2367 X r"},
    {"f3", "0f10 0f11 0f51 0f58 0f59 0f5a 0f5b 0f5c 0f5d 0f5e 0f5f 0f6f 0f70 0f7e 0f7f", "X X"},
    {"f3", "0fc2 0fe6", "X X"},
    {"f2", "0f10 0f11 0f51 0f58 0f59 0f5a 0f5c 0f5d 0f5e 0f5f 0f70 0fc2 0fe6", "X X"},
    {"f2 f3", "0f2a", "X G"},
    {"f2 f3", "0f2c 0f2d", "G X"},
};

// The register forms of the x87, as the second byte.
const std::map<int, std::vector<std::pair<int, int>>> kX87 = {
    {0xd8, {{0xc0, 0xff}}},
    {0xd9,
     {{0xc0, 0xcf},
      {0xd0, 0xd0},
      {0xe0, 0xe1},
      {0xe4, 0xe5},
      {0xe8, 0xee},
      {0xf4, 0xf8},
      {0xfa, 0xfa},
      {0xfc, 0xfd}}},
    {0xda, {{0xc0, 0xdf}, {0xe9, 0xe9}}},
    {0xdb, {{0xc0, 0xdf}, {0xe2, 0xe3}, {0xe8, 0xf7}}},
    {0xdc, {{0xc0, 0xcf}, {0xe0, 0xff}}},
    {0xdd, {{0xc0, 0xc7}, {0xd0, 0xdf}, {0xe0, 0xef}}},
    {0xde, {{0xc0, 0xcf}, {0xd9, 0xd9}, {0xe0, 0xff}}},
    {0xdf, {{0xe0, 0xe0}, {0xe8, 0xf7}}},
};

// For each value of ModRM, whether it is admitted, as text: a set.
using Forms = std::set<int>;

Forms ExpectedForms(const std::string& operands) {
  Forms forms;
  std::istringstream words(operands);
  std::string reg, rm, only;
  words >> reg >> rm >> only;
  const auto is_in = [](const std::string& kind, int n) {
    if (kind == "-" || kind == "B" || kind == "X") return true;
    if (kind == "G") return n != 4;
    return kind.find(static_cast<char>('0' + n), 1) != std::string::npos;
  };
  for (int modrm = 0; modrm < 256; ++modrm) {
    if (operands == "plain") {
      forms.insert(modrm);
      continue;
    }
    const bool is_memory = modrm < 0xc0;
    if (only == (is_memory ? "r" : "m") || !is_in(reg, modrm >> 3 & 7)) continue;
    // The bytes behind ModRM are 0: SIB is [eax+eax].
    if (is_memory ? (modrm & 0xc7) == 0x05 : !is_in(rm, modrm & 7)) continue;
    forms.insert(modrm);
  }
  return forms;
}

TEST(VerifierTest, EveryOpcodeIsAsListed) {
  std::map<std::string, Forms> expected;  // by prefix and opcode
  for (const Listed& listed : kListed) {
    std::istringstream prefixes(listed.prefixes);
    for (std::string prefix; prefixes >> prefix;) {
      std::istringstream opcodes(listed.opcodes);
      for (std::string opcode; opcodes >> opcode;) {
        const bool is_new =
            expected.emplace(prefix + " " + opcode, ExpectedForms(listed.operands)).second;
        ASSERT_TRUE(is_new) << opcode;
      }
    }
  }
  for (const auto& [opcode, ranges] : kX87) {
    char text[8];
    snprintf(text, sizeof(text), "- %02x", opcode);
    for (const auto& [first, last] : ranges) {
      for (int modrm = first; modrm <= last; ++modrm) expected[text].insert(modrm);
    }
  }
  for (int modrm : {0xe8, 0xf0, 0xf8}) expected["- 0fae"].insert(modrm);
  // The NOPs that have only zeros behind ModRM.
  expected["- 0f1f"] = {0x00, 0x40, 0x44, 0x80, 0x84};
  expected["66 0f1f"] = {0x44, 0x84};
  // Branches, where the byte is a target: behind the branch, or the branch itself.
  for (int opcode = 0x70; opcode < 0x80; ++opcode) {
    char text[8];
    snprintf(text, sizeof(text), "- %02x", opcode);
    expected[text] = {0x00, 0xfe};
    snprintf(text, sizeof(text), "- 0f%02x", opcode + 0x10);
    expected[text] = {0x00};
  }
  expected["- eb"] = {0x00, 0xfe};
  expected["- e3"] = {0x00, 0xfd};
  expected["- e9"] = {0x00};

  VerifierRules rules = Rules(kExclusive);
  rules.is_entry = nullptr;
  VerifiedRegion region;
  std::map<std::string, Forms> actual;
  for (const std::string prefix : {"-", "66", "f3", "f2"}) {
    for (bool is_two_byte : {false, true}) {
      for (int opcode = 0; opcode < 256; ++opcode) {
        if (opcode == 0x0f && !is_two_byte) continue;
        // These as opcodes are further prefixes.
        if (!is_two_byte && ((opcode & 0xf0) == 0x40 || opcode == 0x66 || opcode == 0xf2 ||
                             opcode == 0xf3 || opcode == 0x67 || opcode == 0xcc)) {
          continue;
        }
        char name[16];
        snprintf(name, sizeof(name), "%s %s%02x", prefix.c_str(), is_two_byte ? "0f" : "", opcode);
        for (int modrm = 0; modrm < 256; ++modrm) {
          for (bool has_67 : {false, true}) {
            char text[64];
            snprintf(text, sizeof(text), "%s%s%s%02x %02x 0 0 0 0 0 0 0 0 0 0", has_67 ? "67 " : "",
                     prefix == "-" ? "" : (prefix + " ").c_str(), is_two_byte ? "0f " : "", opcode,
                     modrm);
            const Code bytes = Assemble(text);
            if (AdmittedLength(bytes.data(), bytes.size(), rules, &region) != 0) {
              actual[name].insert(modrm);
            }
          }
        }
      }
    }
  }
  for (const auto& [name, forms] : expected) EXPECT_EQ(actual[name], forms) << name;
  for (const auto& [name, forms] : actual) EXPECT_TRUE(expected.contains(name)) << name;
}

}  // namespace
}  // namespace vx
