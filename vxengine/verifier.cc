#include "vxengine/verifier.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace vx {
namespace {

// ------------------------------------------------------------------------------------------------
// The list of what is admitted: one row for each opcode map (one byte, or 0F and one byte), each
// prefix of 66, F3 and F2 or none, and each opcode. What has no row is refused.

enum Map : uint8_t { kOneByte, kTwoByte };
enum Prefix : uint8_t { kNoPrefix, k66, kF3, kF2 };

// What a field of ModRM or of the opcode names.
enum Operand : uint8_t {
  kNothing,  // ModRM.reg: a part of the opcode, "digit". ModRM.rm: no register
  kGpr,
  kByte,
  kXmm,
};

// Where control goes.
enum Flow : uint8_t { kNext, kBranch, kJump, kCall, kReturn };

enum Flags : uint8_t {
  kHasModRm = 1 << 0,
  kNoAccess = 1 << 1,  // its memory operand is only named: LEA, NOP
  kString = 1 << 2,    // accesses [ESI] or [EDI]
  kNeeds67 = 1 << 3,   // though it has no memory operand
  kOpcodeRm = 1 << 4,  // the opcode's low three bits stand for ModRM.rm
  kTest = 1 << 5,      // the immediate is there only if ModRM.reg is 0
  kMov = 1 << 6,
  kNop = 1 << 7,
};

// Bit n of `memory` and `registers`: whether the opcode is admitted with an n in ModRM.reg, for
// ModRM.rm a memory operand or a register. Without ModRM, as if it were C0.
struct Row {
  uint8_t memory = 0;
  uint8_t registers = 0;
  uint8_t forms = 0;  // which of kRegisterForms says more
  Operand reg = kNothing;
  Operand rm = kNothing;
  uint8_t immediate = 0;  // bytes; of branches too
  uint8_t flags = 0;
  Flow flow = kNext;
};

// Instructions that ModRM encodes as a whole: bit n says whether ModRM may be C0 + n. For the x87
// those of D8 to DF, but for the transcendental ones and the undocumented; and the fences, 0F AE.
constexpr uint8_t kX87Forms = 1, kFenceForms = 9;
constexpr uint64_t Bits(int first, int last) { return (~0ull >> (63 - (last - first))) << first; }
constexpr uint64_t kRegisterForms[] = {
    /*others*/ Bits(0x00, 0x3f),
    /*D8*/ Bits(0x00, 0x3f),
    /*D9*/ Bits(0x00, 0x10) | Bits(0x20, 0x21) | Bits(0x24, 0x25) | Bits(0x28, 0x2e) |
        Bits(0x34, 0x38) | Bits(0x3a, 0x3a) | Bits(0x3c, 0x3d),
    /*DA*/ Bits(0x00, 0x1f) | Bits(0x29, 0x29),
    /*DB*/ Bits(0x00, 0x1f) | Bits(0x22, 0x23) | Bits(0x28, 0x37),
    /*DC*/ Bits(0x00, 0x0f) | Bits(0x20, 0x3f),
    /*DD*/ Bits(0x00, 0x07) | Bits(0x10, 0x1f) | Bits(0x20, 0x2f),
    /*DE*/ Bits(0x00, 0x0f) | Bits(0x19, 0x19) | Bits(0x20, 0x3f),
    /*DF*/ Bits(0x20, 0x20) | Bits(0x28, 0x37),
    /*0F AE*/ Bits(0x28, 0x28) | Bits(0x30, 0x30) | Bits(0x38, 0x38),
};

constexpr uint8_t kAllDigits = 0xff;
constexpr Row Plain(uint8_t immediate = 0, Flow flow = kNext, uint8_t flags = 0) {
  return {.registers = kAllDigits, .immediate = immediate, .flags = flags, .flow = flow};
}
constexpr Row Group(uint8_t digits, Operand rm, uint8_t immediate = 0, uint8_t flags = 0) {
  return {.memory = digits,
          .registers = digits,
          .rm = rm,
          .immediate = immediate,
          .flags = static_cast<uint8_t>(kHasModRm | flags)};
}
constexpr Row ModRm(Operand reg, Operand rm, uint8_t immediate = 0, uint8_t flags = 0) {
  Row row = Group(kAllDigits, rm, immediate, flags);
  row.reg = reg;
  return row;
}
constexpr Row Forms(uint8_t forms, uint8_t memory_digits) {
  Row row = Group(memory_digits, kNothing);
  row.registers = kAllDigits;
  row.forms = forms;
  return row;
}
constexpr Row OnlyMemory(Row row) {
  row.registers = 0;
  return row;
}
constexpr Row OnlyRegisters(Row row) {
  row.memory = 0;
  return row;
}
constexpr Row OpcodeRegister(Operand operand, uint8_t immediate = 0) {
  Row row = Plain(immediate, kNext, kOpcodeRm);
  row.rm = operand;
  return row;
}

// A sequence of opcodes.
struct Opcodes {
  constexpr Opcodes(int opcode) : first(opcode), last(opcode) {}
  constexpr Opcodes(int first, int last) : first(first), last(last) {}
  int first, last;
};

struct Table {
  Row rows[2][4][256] = {};

  // `prefixes`: a set of 1 << Prefix. Operands have 32 bits or, behind 66, 16.
  constexpr void Add(Map map, int prefixes, std::initializer_list<Opcodes> list, Row row) {
    for (Prefix prefix : {kNoPrefix, k66, kF3, kF2}) {
      if ((prefixes >> prefix & 1) == 0) continue;
      if (prefix == k66 && row.immediate == 4) row.immediate = 2;
      for (Opcodes opcodes : list) {
        for (int n = opcodes.first; n <= opcodes.last; ++n) rows[map][prefix][n] = row;
      }
    }
  }
};

constexpr int kPlain = 1 << kNoPrefix, kOnly66 = 1 << k66, kOnlyF3 = 1 << kF3, kOnlyF2 = 1 << kF2;
constexpr int kSized = kPlain | kOnly66;

constexpr void AddOneByteOpcodes(Table& table) {
  const auto add = [&](int prefixes, std::initializer_list<Opcodes> opcodes, Row row) {
    table.Add(kOneByte, prefixes, opcodes, row);
  };
  constexpr Row kByteByte = ModRm(kByte, kByte), kGprGpr = ModRm(kGpr, kGpr);
  for (int base = 0x00; base <= 0x38; base += 8) {  // ADD OR ADC SBB AND SUB XOR CMP
    add(kPlain, {base + 0, base + 2}, kByteByte);
    add(kSized, {base + 1, base + 3}, kGprGpr);
    add(kPlain, {base + 4}, Plain(1));
    add(kSized, {base + 5}, Plain(4));
  }
  add(kSized, {0x69}, ModRm(kGpr, kGpr, 4));                             // IMUL
  add(kSized, {0x6b}, ModRm(kGpr, kGpr, 1));                             // IMUL
  add(kPlain, {{0x70, 0x7f}}, Plain(1, kBranch));                        // Jcc
  add(kPlain, {0x80}, Group(0xff, kByte, 1));                            // ADD to CMP
  add(kSized, {0x81}, Group(0xff, kGpr, 4));                             // ADD to CMP
  add(kSized, {0x83}, Group(0xff, kGpr, 1));                             // ADD to CMP
  add(kPlain, {0x84, 0x86, 0x88, 0x8a}, kByteByte);                      // TEST XCHG MOV MOV
  add(kSized, {0x85, 0x87}, kGprGpr);                                    // TEST XCHG
  add(kSized, {0x89, 0x8b}, ModRm(kGpr, kGpr, 0, kMov));                 // MOV
  add(kSized, {0x8d}, OnlyMemory(ModRm(kGpr, kNothing, 0, kNoAccess)));  // LEA
  add(kSized | kOnlyF3, {0x90}, Plain());                                // NOP PAUSE
  add(kSized, {0x98, 0x99}, Plain());                                    // CWDE CDQ
  add(kPlain, {0x9b, 0x9e, 0x9f}, Plain());                              // FWAIT SAHF LAHF
  constexpr Row kStrings = Plain(0, kNext, kString | kNeeds67);
  add(kPlain | kOnlyF3, {{0xa4, 0xa7}, {0xaa, 0xaf}}, kStrings);  // MOVS CMPS STOS LODS
  add(kOnlyF2, {0xa6, 0xa7, 0xae, 0xaf}, kStrings);               // SCAS
  add(kOnly66, {0xa5, 0xa7, 0xab, 0xad, 0xaf}, kStrings);
  add(kPlain, {0xa8}, Plain(1));                          // TEST
  add(kSized, {0xa9}, Plain(4));                          // TEST
  add(kPlain, {{0xb0, 0xb7}}, OpcodeRegister(kByte, 1));  // MOV
  add(kSized, {{0xb8, 0xbf}}, OpcodeRegister(kGpr, 4));   // MOV
  add(kPlain, {0xc0}, Group(0xbf, kByte, 1));             // ROL ROR RCL RCR SHL SHR SAR
  add(kSized, {0xc1}, Group(0xbf, kGpr, 1));              // ROL ROR RCL RCR SHL SHR SAR
  add(kPlain, {0xd0, 0xd2}, Group(0xbf, kByte));          // ROL ROR RCL RCR SHL SHR SAR
  add(kSized, {0xd1, 0xd3}, Group(0xbf, kGpr));           // ROL ROR RCL RCR SHL SHR SAR
  add(kPlain, {0xc3}, Plain(0, kReturn));                 // RET
  add(kPlain, {0xc6}, Group(0x01, kByte, 1));             // MOV
  add(kSized, {0xc7}, Group(0x01, kGpr, 4));              // MOV
  add(kPlain, {0xd8}, Forms(kX87Forms + 0, 0b11111111));  // x87
  add(kPlain, {0xd9}, Forms(kX87Forms + 1, 0b10101101));  // but FLDENV FNSTENV
  add(kPlain, {0xda}, Forms(kX87Forms + 2, 0b11111111));  //
  add(kPlain, {0xdb}, Forms(kX87Forms + 3, 0b10101101));  // but FISTTP
  add(kPlain, {0xdc}, Forms(kX87Forms + 4, 0b11111111));  //
  add(kPlain, {0xdd}, Forms(kX87Forms + 5, 0b10001101));  // but FISTTP FRSTOR FNSAVE
  add(kPlain, {0xde}, Forms(kX87Forms + 6, 0b11111111));  //
  add(kPlain, {0xdf}, Forms(kX87Forms + 7, 0b11111101));  // but FISTTP
  add(kPlain, {0xe3}, Plain(1, kBranch, kNeeds67));       // JECXZ
  add(kPlain, {0xe8}, Plain(4, kCall));                   // CALL
  add(kPlain, {0xe9}, Plain(4, kJump));                   // JMP
  add(kPlain, {0xeb}, Plain(1, kJump));                   // JMP
  add(kPlain, {0xf5, 0xf8, 0xf9, 0xfc, 0xfd}, Plain());   // CMC CLC STC CLD STD
  add(kPlain, {0xf6}, Group(0xfd, kByte, 1, kTest));      // TEST NOT NEG MUL IMUL
  add(kSized, {0xf7}, Group(0xfd, kGpr, 4, kTest));       // DIV IDIV
  add(kPlain, {0xfe}, Group(0x03, kByte));                // INC DEC
  add(kSized, {0xff}, Group(0x03, kGpr));                 // INC DEC
}

constexpr void AddTwoByteOpcodes(Table& table) {
  const auto add = [&](int prefixes, std::initializer_list<Opcodes> opcodes, Row row) {
    table.Add(kTwoByte, prefixes, opcodes, row);
  };
  constexpr Row kGprGpr = ModRm(kGpr, kGpr);
  add(kPlain, {0x18}, OnlyMemory(Group(0x0f, kNothing)));                       // PREFETCH
  add(kSized, {0x1f}, OnlyMemory(Group(0x01, kNothing, 0, kNoAccess | kNop)));  // NOP; see kNops
  add(kSized, {{0x40, 0x4f}}, kGprGpr);                                         // CMOV
  add(kPlain, {{0x80, 0x8f}}, Plain(4, kBranch));                               // Jcc
  add(kPlain, {{0x90, 0x9f}}, Group(0x01, kByte));                              // SETcc
  // With memory and a register these would reach 256 MiB around the operand's address.
  add(kSized, {0xa3, 0xab, 0xb3, 0xbb}, OnlyRegisters(kGprGpr));  // BT BTS BTR BTC
  add(kSized, {0xba}, Group(0xf0, kGpr, 1));                      // BT BTS BTR BTC
  add(kSized, {0xa4, 0xac}, ModRm(kGpr, kGpr, 1));                // SHLD SHRD
  add(kSized, {0xa5, 0xad}, kGprGpr);                             // SHLD SHRD
  add(kPlain, {0xae}, Forms(kFenceForms, 0));                     // LFENCE MFENCE SFENCE
  add(kSized, {0xaf}, kGprGpr);                                   // IMUL
  add(kPlain, {0xb0, 0xc0}, ModRm(kByte, kByte));                 // CMPXCHG XADD
  add(kSized, {0xb1, 0xc1}, kGprGpr);                             // CMPXCHG XADD
  add(kSized, {0xb6, 0xbe}, ModRm(kGpr, kByte));                  // MOVZX MOVSX
  add(kSized, {0xb7, 0xbf}, kGprGpr);                             // MOVZX MOVSX
  add(kSized, {0xbc, 0xbd}, kGprGpr);                             // BSF BSR
  add(kPlain, {0xc3}, OnlyMemory(kGprGpr));                       // MOVNTI
  add(kPlain, {0xc7}, OnlyMemory(Group(0x02, kNothing)));         // CMPXCHG8B
  add(kPlain, {{0xc8, 0xcf}}, OpcodeRegister(kGpr));              // BSWAP
}

// SSE and SSE2, without what is about MMX registers, approximations (RCPPS, RSQRTPS), MXCSR, and
// MASKMOVDQU, whose address is no ModRM operand's.
constexpr void AddSse(Table& table) {
  const auto add = [&](int prefixes, std::initializer_list<Opcodes> opcodes, Row row) {
    table.Add(kTwoByte, prefixes, opcodes, row);
  };
  constexpr Row kXmmXmm = ModRm(kXmm, kXmm), kXmmXmmImmediate = ModRm(kXmm, kXmm, 1);
  constexpr Row kXmmMemory = OnlyMemory(kXmmXmm), kXmmGpr = ModRm(kXmm, kGpr);
  constexpr Row kGprXmm = ModRm(kGpr, kXmm), kGprRegister = OnlyRegisters(kGprXmm);
  constexpr int kPacked = kPlain | kOnly66, kScalar = kOnlyF3 | kOnlyF2;
  add(kPacked, {0x10, 0x11, 0x14, 0x15, 0x28, 0x29, 0x2e, 0x2f, 0x51, {0x54, 0x5f}}, kXmmXmm);
  add(kPacked, {0x12, 0x13, 0x16, 0x17, 0x2b}, kXmmMemory);
  add(kPacked, {0x50}, kGprRegister);
  add(kPacked, {0xc2, 0xc6}, kXmmXmmImmediate);
  add(kPlain, {0x12, 0x16}, kXmmXmm);

  add(kOnly66, {{0x60, 0x6d}, 0x6f, {0x74, 0x76}, 0x7f}, kXmmXmm);
  add(kOnly66, {0x6e, 0x7e}, kXmmGpr);
  add(kOnly66, {0x70}, kXmmXmmImmediate);
  add(kOnly66, {0x71, 0x72}, OnlyRegisters(Group(0b01010100, kXmm, 1)));
  add(kOnly66, {0x73}, OnlyRegisters(Group(0b11001100, kXmm, 1)));
  add(kOnly66, {0xc4}, ModRm(kXmm, kGpr, 1));
  add(kOnly66, {0xc5}, OnlyRegisters(ModRm(kGpr, kXmm, 1)));
  add(kOnly66, {0xd7}, kGprRegister);
  add(kOnly66, {0xe7}, kXmmMemory);
  add(kOnly66, {{0xd1, 0xd6}, {0xd8, 0xe6}, {0xe8, 0xef}, {0xf1, 0xf6}, {0xf8, 0xfe}}, kXmmXmm);

  add(kScalar, {0x10, 0x11, 0x51, 0x58, 0x59, 0x5a, {0x5c, 0x5f}, 0xe6}, kXmmXmm);
  add(kScalar, {0x2a}, kXmmGpr);
  add(kScalar, {0x2c, 0x2d}, kGprXmm);
  add(kScalar, {0x70, 0xc2}, kXmmXmmImmediate);
  add(kOnlyF3, {0x5b, 0x6f, 0x7e, 0x7f}, kXmmXmm);
}

constexpr Table kTable = [] {
  Table table;
  AddOneByteOpcodes(table);
  AddTwoByteOpcodes(table);
  AddSse(table);
  return table;
}();

// The NOPs of several bytes, as Intel recommends them.
constexpr struct {
  uint8_t length;
  uint8_t bytes[9];
} kNops[] = {
    {3, {0x0f, 0x1f, 0x00}},
    {4, {0x0f, 0x1f, 0x40, 0x00}},
    {5, {0x0f, 0x1f, 0x44, 0x00, 0x00}},
    {6, {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}},
    {7, {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00}},
    {8, {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}},
    {9, {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}},
};

// ------------------------------------------------------------------------------------------------
// One instruction.

// The rules, in the order in which a refusal names them.
enum Rule : uint8_t {
  kRulePrefix,
  kRuleOpcodePrefix,
  kRuleOpcode,
  kRuleEmptyRex,
  kRuleRexW,
  kRuleTwoPrefixes,
  kRuleString,
  kRuleNo67,
  kRuleNeedless67,
  kRule65,
  kRuleNo65,
  kRuleNeedless65,
  kRuleModRm,
  kRuleRip,
  kRuleBase,
  kRuleIndex,
  kRuleGpr,
  kRuleByte,
  kRuleXmm,
  kRuleRexBit,
  kRuleNop,
};
constexpr const char* kRules[] = {
    "prefix not admitted, repeated or out of order",
    "opcode not admitted with this prefix",
    "opcode not admitted",
    "REX without bits",
    "REX.W outside of a sequence",
    "prefix 66 besides F2 or F3",
    "string instruction in the shared placement",
    "memory operand without prefix 67",
    "prefix 67 without use",
    "prefix 65 in the exclusive placement",
    "memory operand without prefix 65",
    "prefix 65 without use",
    "opcode not admitted with this ModRM",
    "RIP-relative operand",
    "base that is RSP, R12, R13 or R14",
    "index that is R12, R13 or R14",
    "operand that is RSP, R12, R13 or R14",
    "operand that is SPL, BPL, SIL, DIL, R12B, R13B or R14B",
    "operand that is XMM8-15",
    "REX bit without use",
    "NOP not admitted",
};

// By Operand: bit n of `admitted` says whether register n may be named, without REX and with it.
// Behind REX, bytes 4 to 7 are SPL to DIL, none of which a guest has, instead of AH to BH.
constexpr uint16_t kGprs = 0x8fef;
constexpr struct {
  uint16_t admitted[2];
  Rule rule;
} kOperands[] = {
    {{0x00ff, 0x00ff}, kRuleRexBit},
    {{kGprs, kGprs}, kRuleGpr},
    {{0x00ff, 0x8f0f}, kRuleByte},
    {{0x00ff, 0x00ff}, kRuleXmm},
};
constexpr uint16_t kIndexes = kGprs | 1 << 4;  // 4: none

// What the rules admit has at most 14 bytes (65 67 REX 81 ModRM SIB, displacement and immediate of
// four bytes each), since no prefix repeats; so it is nothing that is too long for a CPU, and
// nothing is looked at that is farther from the start.
constexpr size_t kMaxLength = 15;

struct Instruction {
  uint32_t broken = 0;    // a set of 1 << Rule
  uint8_t length = 0;     // as far as it was understood
  uint8_t immediate = 0;  // bytes at its end; of branches, the relative target
  Flow flow = kNext;
  // MOVs that may begin a sequence: to R8D, and of ECX to R10D.
  bool to_r8d = false;
  bool saves_ecx = false;
};

constexpr bool Has(uint64_t set, unsigned n) { return (set >> n & 1) != 0; }

// The rule that is broken where there is no row.
Rule WhyNoRow(Map map, Prefix prefix, uint8_t opcode) {
  constexpr uint8_t kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                   0x66, 0x67, 0xf0, 0xf2, 0xf3};
  const bool is_prefix = std::binary_search(std::begin(kPrefixes), std::end(kPrefixes), opcode);
  if (map == kOneByte && (is_prefix || (opcode & 0xf0) == 0x40)) return kRulePrefix;
  const Row& row = kTable.rows[map][kNoPrefix][opcode];
  return prefix != kNoPrefix && (row.memory | row.registers) != 0 ? kRuleOpcodePrefix : kRuleOpcode;
}

bool IsNop(const uint8_t* code, size_t length) {
  return std::any_of(std::begin(kNops), std::end(kNops), [&](const auto& nop) {
    return nop.length == length && memcmp(nop.bytes, code, length) == 0;
  });
}

// Decodes what begins at `code`, of which kMaxLength bytes can be read. All rules are looked at,
// whatever the instruction is: which of them matter is nothing that a CPU predicts.
inline Instruction Decode(const uint8_t* code, CodePlacement placement) {
  // Up to ModRM there are at most eight bytes; `next` has what is left of them. Shifting it is
  // faster than to read on from where the last prefix ended.
  uint64_t next;
  memcpy(&next, code, sizeof(next));
  const auto consume = [&](bool is_there) {
    next >>= 8 * is_there;
    return is_there;
  };
  const bool has_65 = consume((next & 0xff) == 0x65);
  const bool has_67 = consume((next & 0xff) == 0x67);
  const bool has_66 = consume((next & 0xff) == 0x66);
  const bool is_f3 = (next & 0xff) == 0xf3;
  const bool has_repeat = consume((next & 0xfe) == 0xf2);
  const unsigned rex = (next & 0xf0) == 0x40 ? next & 0xff : 0;
  const bool has_rex = consume(rex != 0);
  const Map map = static_cast<Map>(consume((next & 0xff) == 0x0f));
  const unsigned opcode = next & 0xff;
  const uint8_t* p = code + has_65 + has_67 + has_66 + has_repeat + has_rex + map + 1;
  const unsigned rex_r = rex << 1 & 8, rex_x = rex << 2 & 8, rex_b = rex << 3 & 8;
  const Prefix prefix = static_cast<Prefix>(has_repeat ? kF2 - is_f3 : has_66);
  const Row& row = kTable.rows[map][prefix][opcode];
  const auto flag = [&](Flags flag) { return (row.flags & flag) != 0; };

  const bool has_modrm = flag(kHasModRm);
  const unsigned modrm = has_modrm ? next >> 8 & 0xff : 0xc0 | (flag(kOpcodeRm) ? opcode & 7 : 0);
  p += has_modrm;
  const unsigned mod = modrm >> 6, reg = modrm >> 3 & 7, rm = modrm & 7;
  const bool has_memory = mod != 3;
  const bool has_sib = has_memory & (rm == 4);
  const unsigned sib = *p;
  p += has_sib;
  const unsigned base = has_sib ? sib & 7 : rm, index = sib >> 3 & 7;
  const bool has_base = has_memory & ((mod != 0) | (base != 5));
  const bool has_disp32 = (mod == 2) | (has_memory & !has_base);
  p += (mod == 1) + 4 * has_disp32;
  p += (flag(kTest) & (reg != 0)) ? 0 : row.immediate;

  const bool accesses = has_memory & !flag(kNoAccess);
  const bool needs_67 = accesses | flag(kNeeds67);
  const bool is_shared = placement == CodePlacement::kShared;
  const bool needs_65 = accesses & is_shared;
  uint32_t broken = 0;
  const auto check = [&](Rule rule, bool is_broken) { broken |= uint32_t{is_broken} << rule; };
  check(kRuleEmptyRex, rex == 0x40);
  check(kRuleRexW, (rex & 8) != 0);
  // Behind F2 and F3, 66 counts for string instructions alone.
  check(kRuleTwoPrefixes,
        has_66 & has_repeat & (!flag(kString) | (kTable.rows[map][k66][opcode].registers == 0)));
  // Overrides of segments don't reach what MOVS, STOS and others do at EDI.
  check(kRuleString, is_shared & flag(kString));
  check(kRuleNo67, needs_67 & !has_67);
  check(kRuleNeedless67, has_67 & !needs_67);
  check(kRule65, has_65 & !is_shared);
  check(kRuleNo65, needs_65 & !has_65);
  check(kRuleNeedless65, has_65 & is_shared & !needs_65);
  check(kRuleModRm, (!Has(has_memory ? row.memory : row.registers, reg)) |
                        (!has_memory & !Has(kRegisterForms[row.forms], modrm & 0x3f)));
  // Whether there is a base, REX.B does not count.
  check(kRuleRip, has_memory & !has_base & !has_sib);
  check(kRuleBase, has_base & !Has(kGprs, base | rex_b));
  check(kRuleIndex, has_sib & !Has(kIndexes, index | rex_x));
  check(kOperands[row.reg].rule, !Has(kOperands[row.reg].admitted[has_rex], reg | rex_r));
  check(kOperands[row.rm].rule,
        !has_memory & !Has(kOperands[row.rm].admitted[has_rex], rm | rex_b));
  check(kRuleRexBit, ((rex_x != 0) & !has_sib) | ((rex_b != 0) & has_memory & !has_base));

  if ((row.memory | row.registers) == 0) {
    broken = 1u << WhyNoRow(map, prefix, static_cast<uint8_t>(opcode));
  } else if (flag(kNop)) {
    check(kRuleNop, !IsNop(code, p - code));
  }
  const bool is_mov32 = flag(kMov) && prefix == kNoPrefix;
  const unsigned mov_to = opcode == 0x8b ? reg | rex_r : has_memory ? 0 : rm | rex_b;
  return {.broken = broken,
          .length = static_cast<uint8_t>(p - code),
          .immediate = row.immediate,
          .flow = row.flow,
          .to_r8d = is_mov32 && mov_to == 8,
          .saves_ecx = is_mov32 && rex == 0x41 && modrm == 0xca && opcode == 0x89};
}

// ------------------------------------------------------------------------------------------------
// Sequences: bytes, or what stands for them.

constexpr int16_t kAny = -1, kBudget = -2, kBudgetHigh = -3;
using Sequence = std::span<const int16_t>;

// Behind a MOV to R8D. The MOV makes R8 a guest address, and the table R9 an offset of code.
constexpr int16_t kIndirectJump[] = {
    0x47, 0x8b, 0x0c, 0x86,  // mov r9d, [r14+r8*4]
    0x4f, 0x8d, 0x0c, 0x29,  // lea r9, [r9+r13]
    0x41, 0xff, 0xe1,        // jmp r9
};
constexpr int16_t kIndirectCall[] = {
    0x47, 0x8b, 0x0c, 0x86,  // mov r9d, [r14+r8*4]
    0x4f, 0x8d, 0x0c, 0x29,  // lea r9, [r9+r13]
    0x41, 0xff, 0xd1,        // call r9
};
constexpr int16_t kReturnSite[] = {
    0x45, 0x8d, 0x88, kAny, kAny, kAny, kAny,              // lea r9d, [r8+disp32]
    0x47, 0x0f, 0xb6, 0x94, 0x0c, 0xff, 0x0f, 0x00, 0x00,  // movzx r10d, byte [r12+r9+0xfff]
};
constexpr int16_t kMetering[] = {
    0x49, 0x81, 0x6c, 0x24, kBudget, kAny, kAny, kAny, kAny,  // sub qword [r12+budget], imm32
    0x0f, 0x88, kAny, kAny, kAny,    kAny,                    // js rel32
};
constexpr int16_t kMeteringKeepingFlags[] = {
    0x41, 0x89, 0xca,                                 // mov r10d, ecx
    0x4d, 0x8b, 0x44, 0x24, kBudget,                  // mov r8, [r12+budget]
    0x4d, 0x8d, 0x80, kAny, kAny,        kAny, kAny,  // lea r8, [r8+disp32]
    0x4d, 0x89, 0x44, 0x24, kBudget,                  // mov [r12+budget], r8
    0x41, 0x8b, 0x4c, 0x24, kBudgetHigh,              // mov ecx, [r12+budget+4]
    0x67, 0xe3, 0x08,                                 // jecxz
    0x44, 0x89, 0xd1,                                 // mov ecx, r10d
    0xe9, kAny, kAny, kAny, kAny,                     // jmp rel32
    0x44, 0x89, 0xd1,                                 // mov ecx, r10d
};
// The highest bytes of what the budget changes by: it never grows.
constexpr size_t kUnitsTop = 8, kUnitsTopKeepingFlags = 14;
constexpr size_t kBehindJump = 3;  // the bytes behind rel32 where flags are kept

// ------------------------------------------------------------------------------------------------
// A region.

constexpr uint8_t kInt3 = 0xcc;

class Verifier {
 public:
  Verifier(std::span<const uint8_t> code, uint32_t offset, const VerifierRules& rules,
           VerifiedRegion* region, std::string* error)
      : code_(code), offset_(offset), rules_(rules), region_(region), error_(error) {}

  bool Verify() {
    region_->boundaries.clear();
    region_->branches.clear();
    if (Sweep() && CheckTargets()) return true;
    region_->boundaries.clear();
    region_->branches.clear();
    return false;
  }

 private:
  struct Branch {
    size_t begin;  // of the instruction, and what is behind it, counted from the region's start
    size_t end;
    int64_t target;  // counted from the start of the code
    bool is_call;
    bool stays_inside;  // whether it must
  };

  // Decodes everything from the start to the end, as it will run: nothing is a boundary but what
  // is found here, and the targets of branches must be boundaries.
  bool Sweep() {
    if (offset_ + uint64_t{code_.size()} > uint64_t{1} << 32) {
      return Refuse(0, 0, "region beyond 4 GiB of code");
    }
    is_boundary_.resize(code_.size());
    size_t last = 0;
    bool falls = false;  // whether the last instruction may go on to what is behind it
    for (size_t at = 0, end; at < code_.size(); at = end) {
      if (code_[at] == kInt3) {
        if (falls) return Refuse(last, at - last, "falls through to filling");
        end = at + 1;
        continue;
      }
      last = at;
      AddBoundary(at);
      falls = true;

      const uint8_t* bytes = &code_[at];
      uint8_t padded[kMaxLength];
      const size_t left = code_.size() - at;
      if (left < kMaxLength) {
        memset(padded, 0, kMaxLength);
        bytes = static_cast<uint8_t*>(memcpy(padded, bytes, left));
      }
      const Instruction instruction = Decode(bytes, rules_.placement);
      end = at + instruction.length;
      bool is_call = false;
      if (instruction.broken != 0 || instruction.saves_ecx) {
        if (Metering(at, &end)) continue;
      }
      if (instruction.length > left) return Refuse(at, left, "cut off by the region's end");
      if (instruction.broken != 0) {
        return Refuse(at, instruction.length, kRules[std::countr_zero(instruction.broken)]);
      }
      if (instruction.to_r8d) {
        if (Matches(end, kIndirectJump)) {
          end += std::size(kIndirectJump);
          falls = false;
        } else if (Matches(end, kIndirectCall)) {
          end += std::size(kIndirectCall);
          is_call = true;
        }
      } else if (instruction.flow != kNext) {
        falls = instruction.flow == kBranch || instruction.flow == kCall;
        if (instruction.flow != kReturn) {
          const Branch branch = {.begin = at,
                                 .end = end,
                                 .target = Target(end, instruction.immediate),
                                 .is_call = instruction.flow == kCall,
                                 .stays_inside = instruction.immediate == 1};
          is_call = branch.is_call && !IsHelper(branch.target);
          if (is_call || !branch.is_call) branches_.push_back(branch);
        }
      }
      if (is_call) {
        if (!Matches(end, kReturnSite)) return Refuse(at, end - at, "call without a return site");
        AddBoundary(end);
        end += std::size(kReturnSite);
      }
    }
    if (falls) return Refuse(last, code_.size() - last, "falls through to the region's end");
    return true;
  }

  bool CheckTargets() {
    for (const Branch& branch : branches_) {
      const size_t length = branch.end - branch.begin;
      if (IsInside(branch.target)) {
        if (!is_boundary_[branch.target - offset_]) {
          return Refuse(branch.begin, length, "branch to what is no boundary of the region");
        }
        if (!branch.stays_inside) AddRel32(branch);
        continue;
      }
      if (branch.stays_inside) return Refuse(branch.begin, length, "branch out of the region");
      if (branch.target < 0 || branch.target > int64_t{UINT32_MAX}) {
        return Refuse(branch.begin, length, "branch out of the code");
      }
      const uint32_t target = static_cast<uint32_t>(branch.target);
      if (!VerifyTarget(target, rules_)) {
        return Refuse(branch.begin, length, "branch to what is no entry and no stub");
      }
      AddRel32(branch);
    }
    return true;
  }

  void AddRel32(const Branch& branch) {
    region_->branches.push_back({.rel32 = static_cast<uint32_t>(offset_ + branch.end - 4),
                                 .target = static_cast<uint32_t>(branch.target),
                                 .is_call = branch.is_call});
  }

  // If a metering sequence begins at `at`, sets `*end` to what is behind it.
  bool Metering(size_t at, size_t* end) {
    size_t branch_end;
    if (Matches(at, kMetering)) {
      if (code_[at + kUnitsTop] >= 0x80) return false;
      *end = branch_end = at + std::size(kMetering);
    } else if (Matches(at, kMeteringKeepingFlags)) {
      if (code_[at + kUnitsTopKeepingFlags] < 0x80) return false;
      *end = at + std::size(kMeteringKeepingFlags);
      branch_end = *end - kBehindJump;
    } else {
      return false;
    }
    branches_.push_back({.begin = at,
                         .end = branch_end,
                         .target = Target(branch_end, 4),
                         .is_call = false,
                         .stays_inside = true});
    return true;
  }

  bool Matches(size_t at, Sequence sequence) const {
    if (code_.size() - at < sequence.size()) return false;
    const uint8_t* bytes = &code_[at];
    for (int16_t wanted : sequence) {
      const uint8_t byte = *bytes++;
      switch (wanted) {
        case kAny:
          break;
        case kBudget:
        case kBudgetHigh:
          // Beyond, the displacement would count as negative.
          if (rules_.budget_offset >= 120) return false;
          if (byte != rules_.budget_offset + (wanted == kBudget ? 0 : 4)) return false;
          break;
        default:
          if (byte != wanted) return false;
      }
    }
    return true;
  }

  // Where the branch that ends at `end` with a relative target of `size` bytes leads.
  int64_t Target(size_t end, size_t size) const {
    int32_t relative = static_cast<int8_t>(code_[end - 1]);
    if (size == 4) memcpy(&relative, &code_[end - 4], 4);
    return int64_t{offset_} + static_cast<int64_t>(end) + relative;
  }

  bool IsInside(int64_t target) const {
    return target >= offset_ && target < int64_t{offset_} + static_cast<int64_t>(code_.size());
  }

  bool IsHelper(int64_t target) const {
    return !IsInside(target) &&
           std::binary_search(rules_.helpers.begin(), rules_.helpers.end(), target);
  }

  void AddBoundary(size_t at) {
    is_boundary_[at] = 1;
    region_->boundaries.push_back(static_cast<uint32_t>(offset_ + at));
  }

  bool Refuse(size_t at, size_t length, const char* rule) {
    char text[16];
    snprintf(text, sizeof(text), "0x%llx:", static_cast<unsigned long long>(offset_ + at));
    *error_ = std::string("offset ") + text;
    for (uint8_t byte : code_.subspan(at, length)) {
      snprintf(text, sizeof(text), " %02x", byte);
      *error_ += text;
    }
    *error_ += length > 0 ? ": " : " ";
    *error_ += rule;
    return false;
  }

  const std::span<const uint8_t> code_;
  const uint32_t offset_;
  const VerifierRules& rules_;
  VerifiedRegion* const region_;
  std::string* const error_;
  std::vector<uint8_t> is_boundary_;  // of each byte
  std::vector<Branch> branches_;
};

}  // namespace

bool VerifyRegion(std::span<const uint8_t> code, uint32_t offset, const VerifierRules& rules,
                  VerifiedRegion* region, std::string* error) {
  return Verifier(code, offset, rules, region, error).Verify();
}

bool VerifyTarget(uint32_t target, const VerifierRules& rules) {
  return std::binary_search(rules.stubs.begin(), rules.stubs.end(), target) ||
         (rules.is_entry && rules.is_entry(target));
}

}  // namespace vx
