#include "vxengine/verifier.h"

#include <algorithm>
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
  kAdmitted = 1 << 0,
  kMemory = 1 << 1,          // ModRM.rm may be memory
  kRegister = 1 << 2,        // ModRM.rm may be a register
  kNoAccess = 1 << 3,        // memory is only named: LEA, NOP
  kString = 1 << 4,          // accesses ESI and EDI
  kNeeds67 = 1 << 5,         // though it has no ModRM
  kOpcodeRegister = 1 << 6,  // the opcode's low three bits are a register, of the kind `rm`
  kOnlyDigit0 = 1 << 7,      // the immediate is there only if ModRM.reg is 0: TEST
};
constexpr uint8_t kEither = kMemory | kRegister;

struct Row {
  uint8_t flags = 0;
  Operand reg = kNothing;
  Operand rm = kNothing;
  uint8_t immediate = 0;  // bytes; of branches too
  uint8_t digits = 0;     // bit n: ModRM.reg may be n. Counts if `reg` is kNothing
  uint8_t forms = 0;      // which of kRegisterForms says what is admitted where ModRM.mod is 3
  Flow flow = kNext;
};

// Instructions that ModRM encodes as a whole: bit n says whether ModRM may be C0 + n. For the x87
// those of D8 to DF, but for the transcendental ones and the undocumented; and the fences, 0F AE.
constexpr uint8_t kX87Forms = 1, kFenceForms = 9;
constexpr uint64_t Bits(int first, int last) { return (~0ull >> (63 - (last - first))) << first; }
constexpr uint64_t kRegisterForms[] = {
    0,
    /*D8*/ Bits(0x00, 0x3f),
    /*D9*/ Bits(0x00, 0x10) | Bits(0x20, 0x21) | Bits(0x24, 0x25) | Bits(0x28, 0x2e) |
        Bits(0x34, 0x38) | Bits(0x3a, 0x3a) | Bits(0x3c, 0x3d),
    /*DA*/ Bits(0x00, 0x1f) | Bits(0x29, 0x29),
    /*DB*/ Bits(0x00, 0x1f) | Bits(0x22, 0x23) | Bits(0x28, 0x37),
    /*DC*/ Bits(0x00, 0x0f) | Bits(0x20, 0x3f),
    /*DD*/ Bits(0x00, 0x07) | Bits(0x10, 0x1f) | Bits(0x20, 0x2f),
    /*DE*/ Bits(0x00, 0x0f) | Bits(0x19, 0x19) | Bits(0x20, 0x3f),
    /*DF*/ Bits(0x20, 0x20) | Bits(0x28, 0x37),
    /*fences*/ Bits(0x28, 0x28) | Bits(0x30, 0x30) | Bits(0x38, 0x38),
};

constexpr Row Plain(uint8_t immediate = 0, Flow flow = kNext, uint8_t flags = 0) {
  return {.flags = static_cast<uint8_t>(kAdmitted | flags), .immediate = immediate, .flow = flow};
}
constexpr Row ModRm(Operand reg, Operand rm, uint8_t immediate = 0, uint8_t flags = kEither) {
  return {.flags = static_cast<uint8_t>(kAdmitted | flags),
          .reg = reg,
          .rm = rm,
          .immediate = immediate};
}
constexpr Row Group(uint8_t digits, Operand rm, uint8_t immediate = 0, uint8_t flags = kEither) {
  Row row = ModRm(kNothing, rm, immediate, flags);
  row.digits = digits;
  return row;
}
constexpr Row Forms(uint8_t forms, uint8_t memory_digits) {
  Row row = Group(memory_digits, kNothing);
  row.forms = forms;
  return row;
}
constexpr Row OpcodeRegister(Operand operand, uint8_t immediate = 0) {
  return ModRm(kNothing, operand, immediate, kOpcodeRegister);
}

struct Table {
  Row rows[2][4][256] = {};

  using Opcodes = std::initializer_list<uint8_t>;
  constexpr void Set(Map map, Prefix prefix, Opcodes opcodes, Row row) {
    for (uint8_t opcode : opcodes) rows[map][prefix][opcode] = row;
  }
  constexpr void Range(Map map, Prefix prefix, int first, int last, Row row) {
    for (int opcode = first; opcode <= last; ++opcode) rows[map][prefix][opcode] = row;
  }
  // With operands of 32 bits or, behind 66, of 16 bits.
  constexpr void Sized(Map map, int first, int last, Row row) {
    Range(map, kNoPrefix, first, last, row);
    if (row.immediate == 4) row.immediate = 2;
    Range(map, k66, first, last, row);
  }
  constexpr void Sized(Map map, int opcode, Row row) { Sized(map, opcode, opcode, row); }
};

constexpr void AddOneByteOpcodes(Table& table) {
  constexpr Map kMap = kOneByte;
  for (int base = 0x00; base <= 0x38; base += 8) {  // ADD OR ADC SBB AND SUB XOR CMP
    table.Range(kMap, kNoPrefix, base + 0, base + 0, ModRm(kByte, kByte));
    table.Sized(kMap, base + 1, ModRm(kGpr, kGpr));
    table.Range(kMap, kNoPrefix, base + 2, base + 2, ModRm(kByte, kByte));
    table.Sized(kMap, base + 3, ModRm(kGpr, kGpr));
    table.Range(kMap, kNoPrefix, base + 4, base + 4, Plain(1));
    table.Sized(kMap, base + 5, Plain(4));
  }
  table.Sized(kMap, 0x69, ModRm(kGpr, kGpr, 4));                // IMUL
  table.Sized(kMap, 0x6b, ModRm(kGpr, kGpr, 1));                // IMUL
  table.Range(kMap, kNoPrefix, 0x70, 0x7f, Plain(1, kBranch));  // Jcc
  table.Set(kMap, kNoPrefix, {0x80}, Group(0xff, kByte, 1));
  table.Sized(kMap, 0x81, Group(0xff, kGpr, 4));
  table.Sized(kMap, 0x83, Group(0xff, kGpr, 1));
  table.Set(kMap, kNoPrefix, {0x84, 0x86, 0x88, 0x8a}, ModRm(kByte, kByte));
  for (int opcode : {0x85, 0x87, 0x89, 0x8b}) table.Sized(kMap, opcode, ModRm(kGpr, kGpr));
  table.Sized(kMap, 0x8d, ModRm(kGpr, kNothing, 0, kMemory | kNoAccess));  // LEA
  table.Sized(kMap, 0x90, Plain());                                        // NOP
  table.Set(kMap, kF3, {0x90}, Plain());                                   // PAUSE
  table.Sized(kMap, 0x98, 0x99, Plain());                                  // CWDE, CDQ
  table.Set(kMap, kNoPrefix, {0x9b, 0x9e, 0x9f}, Plain());                 // FWAIT, SAHF, LAHF
  for (uint8_t opcode : {0xa4, 0xa6, 0xaa, 0xac, 0xae}) {  // MOVS CMPS STOS LODS SCAS
    for (Prefix prefix : {kNoPrefix, kF3, kF2}) {
      table.Set(kMap, prefix, {opcode}, Plain(0, kNext, kString | kNeeds67));
      table.Range(kMap, prefix, opcode + 1, opcode + 1, Plain(0, kNext, kString | kNeeds67));
    }
    table.Sized(kMap, opcode + 1, Plain(0, kNext, kString | kNeeds67));
  }
  table.Set(kMap, kNoPrefix, {0xa8}, Plain(1));                        // TEST
  table.Sized(kMap, 0xa9, Plain(4));                                   // TEST
  table.Range(kMap, kNoPrefix, 0xb0, 0xb7, OpcodeRegister(kByte, 1));  // MOV
  table.Sized(kMap, 0xb8, 0xbf, OpcodeRegister(kGpr, 4));              // MOV
  table.Set(kMap, kNoPrefix, {0xc0}, Group(0xbf, kByte, 1));           // shifts, rotations
  table.Sized(kMap, 0xc1, Group(0xbf, kGpr, 1));                       //
  table.Set(kMap, kNoPrefix, {0xd0, 0xd2}, Group(0xbf, kByte));        //
  for (int opcode : {0xd1, 0xd3}) table.Sized(kMap, opcode, Group(0xbf, kGpr));
  table.Set(kMap, kNoPrefix, {0xc3}, Plain(0, kReturn));                 // RET
  table.Set(kMap, kNoPrefix, {0xc6}, Group(0x01, kByte, 1));             // MOV
  table.Sized(kMap, 0xc7, Group(0x01, kGpr, 4));                         // MOV
  table.Set(kMap, kNoPrefix, {0xd8, 0xda, 0xdc, 0xde}, Forms(0, 0xff));  // x87
  table.Set(kMap, kNoPrefix, {0xd9}, Forms(0, 0b10101101));              //
  table.Set(kMap, kNoPrefix, {0xdb}, Forms(0, 0b10101101));              //
  table.Set(kMap, kNoPrefix, {0xdd}, Forms(0, 0b10001101));              //
  table.Set(kMap, kNoPrefix, {0xdf}, Forms(0, 0b11111101));              //
  for (int n = 0; n < 8; ++n) table.rows[kMap][kNoPrefix][0xd8 + n].forms = kX87Forms + n;
  table.Set(kMap, kNoPrefix, {0xe3}, Plain(1, kBranch, kNeeds67));      // JECXZ
  table.Set(kMap, kNoPrefix, {0xe8}, Plain(4, kCall));                  // CALL
  table.Set(kMap, kNoPrefix, {0xe9}, Plain(4, kJump));                  // JMP
  table.Set(kMap, kNoPrefix, {0xeb}, Plain(1, kJump));                  // JMP
  table.Set(kMap, kNoPrefix, {0xf5, 0xf8, 0xf9, 0xfc, 0xfd}, Plain());  // CMC CLC STC CLD STD
  table.Set(kMap, kNoPrefix, {0xf6}, Group(0xfd, kByte, 1, kEither | kOnlyDigit0));  // TEST NOT NEG
  table.Sized(kMap, 0xf7, Group(0xfd, kGpr, 4, kEither | kOnlyDigit0));  // MUL IMUL DIV IDIV
  table.Set(kMap, kNoPrefix, {0xfe}, Group(0x03, kByte));                // INC DEC
  table.Sized(kMap, 0xff, Group(0x03, kGpr));                            // INC DEC
}

constexpr void AddTwoByteOpcodes(Table& table) {
  constexpr Map kMap = kTwoByte;
  table.Set(kMap, kNoPrefix, {0x18}, Group(0x0f, kNothing, 0, kMemory));   // PREFETCH
  table.Sized(kMap, 0x1f, Group(0x01, kNothing, 0, kMemory | kNoAccess));  // NOP; see kNops
  table.Sized(kMap, 0x40, 0x4f, ModRm(kGpr, kGpr));                        // CMOV
  table.Range(kMap, kNoPrefix, 0x80, 0x8f, Plain(4, kBranch));             // Jcc
  table.Range(kMap, kNoPrefix, 0x90, 0x9f, Group(0x01, kByte));            // SETcc
  // BT BTS BTR BTC: a register's bit offset would reach far beyond a memory operand's address.
  for (int opcode : {0xa3, 0xab, 0xb3, 0xbb}) {
    table.Sized(kMap, opcode, ModRm(kGpr, kGpr, 0, kRegister));
  }
  table.Sized(kMap, 0xba, Group(0xf0, kGpr, 1));  // BT BTS BTR BTC
  for (int opcode : {0xa4, 0xac}) table.Sized(kMap, opcode, ModRm(kGpr, kGpr, 1));  // SHLD SHRD
  for (int opcode : {0xa5, 0xad}) table.Sized(kMap, opcode, ModRm(kGpr, kGpr));     // SHLD SHRD
  table.Set(kMap, kNoPrefix, {0xae}, Forms(kFenceForms, 0x80));                   // fences, CLFLUSH
  table.Sized(kMap, 0xaf, ModRm(kGpr, kGpr));                                     // IMUL
  table.Set(kMap, kNoPrefix, {0xb0, 0xc0}, ModRm(kByte, kByte));                  // CMPXCHG XADD
  for (int opcode : {0xb1, 0xc1}) table.Sized(kMap, opcode, ModRm(kGpr, kGpr));   //
  for (int opcode : {0xb6, 0xbe}) table.Sized(kMap, opcode, ModRm(kGpr, kByte));  // MOVZX MOVSX
  for (int opcode : {0xb7, 0xbf}) table.Sized(kMap, opcode, ModRm(kGpr, kGpr));   //
  for (int opcode : {0xbc, 0xbd}) table.Sized(kMap, opcode, ModRm(kGpr, kGpr));   // BSF BSR
  table.Set(kMap, kNoPrefix, {0xc3}, ModRm(kGpr, kNothing, 0, kMemory));          // MOVNTI
  table.Set(kMap, kNoPrefix, {0xc7}, Group(0x02, kNothing, 0, kMemory));          // CMPXCHG8B
  table.Range(kMap, kNoPrefix, 0xc8, 0xcf, OpcodeRegister(kGpr));                 // BSWAP
}

// SSE and SSE2, without what is about MMX registers, approximations (RCPPS, RSQRTPS), MXCSR, and
// MASKMOVDQU, whose address is no ModRM operand's.
constexpr void AddSse(Table& table) {
  constexpr Map kMap = kTwoByte;
  constexpr Row kXmmXmm = ModRm(kXmm, kXmm), kXmmXmmImmediate = ModRm(kXmm, kXmm, 1);
  constexpr Row kXmmMemory = ModRm(kXmm, kNothing, 0, kMemory), kXmmGpr = ModRm(kXmm, kGpr);
  constexpr Row kGprXmm = ModRm(kGpr, kXmm), kGprRegister = ModRm(kGpr, kXmm, 0, kRegister);
  for (Prefix prefix : {kNoPrefix, k66}) {
    table.Set(kMap, prefix, {0x10, 0x11, 0x14, 0x15, 0x28, 0x29, 0x2e, 0x2f, 0x51}, kXmmXmm);
    table.Range(kMap, prefix, 0x54, 0x5f, kXmmXmm);
    table.Set(kMap, prefix, {0x12, 0x13, 0x16, 0x17, 0x2b}, kXmmMemory);
    table.Set(kMap, prefix, {0x50}, kGprRegister);
    table.Set(kMap, prefix, {0xc2, 0xc6}, kXmmXmmImmediate);
  }
  table.Set(kMap, kNoPrefix, {0x12, 0x16}, kXmmXmm);

  table.Range(kMap, k66, 0x60, 0x6d, kXmmXmm);
  table.Set(kMap, k66, {0x6f, 0x74, 0x75, 0x76, 0x7f}, kXmmXmm);
  table.Set(kMap, k66, {0x6e, 0x7e}, kXmmGpr);
  table.Set(kMap, k66, {0x70}, kXmmXmmImmediate);
  table.Set(kMap, k66, {0x71, 0x72}, Group(0b01010100, kXmm, 1, kRegister));
  table.Set(kMap, k66, {0x73}, Group(0b11001100, kXmm, 1, kRegister));
  table.Set(kMap, k66, {0xc4}, ModRm(kXmm, kGpr, 1));
  table.Set(kMap, k66, {0xc5}, ModRm(kGpr, kXmm, 1, kRegister));
  table.Range(kMap, k66, 0xd1, 0xd6, kXmmXmm);
  table.Set(kMap, k66, {0xd7}, kGprRegister);
  table.Range(kMap, k66, 0xd8, 0xe6, kXmmXmm);
  table.Set(kMap, k66, {0xe7}, kXmmMemory);
  table.Range(kMap, k66, 0xe8, 0xef, kXmmXmm);
  table.Range(kMap, k66, 0xf1, 0xf6, kXmmXmm);
  table.Range(kMap, k66, 0xf8, 0xfe, kXmmXmm);

  for (Prefix prefix : {kF3, kF2}) {
    table.Set(kMap, prefix, {0x10, 0x11, 0x51, 0x58, 0x59, 0x5a, 0xe6}, kXmmXmm);
    table.Range(kMap, prefix, 0x5c, 0x5f, kXmmXmm);
    table.Set(kMap, prefix, {0x2a}, kXmmGpr);
    table.Set(kMap, prefix, {0x2c, 0x2d}, kGprXmm);
    table.Set(kMap, prefix, {0x70, 0xc2}, kXmmXmmImmediate);
  }
  table.Set(kMap, kF3, {0x5b, 0x6f, 0x7e, 0x7f}, kXmmXmm);
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

// Bit n: register n may be named. Never RSP, R12, R13, R14; with REX encodings 4 to 7 of bytes are
// SPL to DIL, none of which a guest has.
constexpr uint16_t kGprs = 0x8fef, kBytes = 0x00ff, kRexBytes = 0x8f0f, kXmms = 0x00ff;

// No instruction is longer: the prefixes may not repeat, so that no admitted one exceeds 14 bytes,
// and nothing past the 15th is looked at before it is refused.
constexpr size_t kMaxLength = 15;

struct Instruction {
  const char* refusal = nullptr;  // the rule, or nullptr if it is admitted
  uint8_t length = 0;             // of a refused one: as far as it was read
  uint8_t immediate = 0;          // bytes at its end; of branches, the relative target
  Flow flow = kNext;
  bool writes_r8d = false;  // a MOV to R8D, which may begin an indirect jump or call
};

constexpr bool Has(uint32_t mask, unsigned n) { return (mask >> n & 1) != 0; }

// The rule that forbids register `n` as an operand, or nullptr.
inline const char* CheckRegister(Operand operand, unsigned n, bool has_rex) {
  switch (operand) {
    case kNothing:
      return n < 8 ? nullptr : "REX bit without use";
    case kGpr:
      return Has(kGprs, n) ? nullptr : "register that may not be named";
    case kByte:
      return Has(has_rex ? kRexBytes : kBytes, n) ? nullptr : "register that may not be named";
    case kXmm:
      return Has(kXmms, n) ? nullptr : "XMM8-15";
  }
  return "register";
}

// Decodes what begins at `code`, of which kMaxLength bytes can be read. Its layout first, so that
// refusals can show all of it, then the rules.
Instruction Decode(const uint8_t* code, CodePlacement placement) {
  const uint8_t* p = code;
  Instruction result;
  auto refuse = [&](const char* rule) {
    result.refusal = rule;
    result.length = static_cast<uint8_t>(p - code);
    return result;
  };

  const bool has_65 = *p == 0x65;
  p += has_65;
  const bool has_67 = *p == 0x67;
  p += has_67;
  const bool has_66 = *p == 0x66;
  p += has_66;
  const Prefix repeat = *p == 0xf3 ? kF3 : *p == 0xf2 ? kF2 : kNoPrefix;
  p += repeat != kNoPrefix;
  const uint8_t rex = (*p & 0xf0) == 0x40 ? *p : 0;
  p += rex != 0;
  const unsigned rex_r = rex << 1 & 8, rex_x = rex << 2 & 8, rex_b = rex << 3 & 8;
  const Map map = *p == 0x0f ? kTwoByte : kOneByte;
  p += map == kTwoByte;
  const uint8_t opcode = *p++;

  const Prefix prefix = repeat != kNoPrefix ? repeat : has_66 ? k66 : kNoPrefix;
  const Row& row = kTable.rows[map][prefix][opcode];
  if ((row.flags & kAdmitted) == 0) {
    constexpr uint8_t kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                     0x66, 0x67, 0xf0, 0xf2, 0xf3};
    if (map == kOneByte &&
        ((opcode & 0xf0) == 0x40 ||
         std::find(std::begin(kPrefixes), std::end(kPrefixes), opcode) != std::end(kPrefixes))) {
      return refuse("prefix not admitted, repeated or out of order");
    }
    if (prefix != kNoPrefix && (kTable.rows[map][kNoPrefix][opcode].flags & kAdmitted) != 0) {
      return refuse("opcode not admitted with this prefix");
    }
    return refuse("opcode not admitted");
  }

  // Layout.
  const bool has_modrm = (row.flags & kEither) != 0;
  const uint8_t modrm = has_modrm ? *p++ : 0;
  const unsigned mod = modrm >> 6, digit = modrm >> 3 & 7;
  const bool has_memory = has_modrm && mod != 3;
  const bool has_sib = has_memory && (modrm & 7) == 4;
  const uint8_t sib = has_sib ? *p++ : 0;
  const unsigned low_base = has_sib ? sib & 7 : modrm & 7;
  const bool has_base = has_memory && !(mod == 0 && low_base == 5);
  if (has_memory) p += mod == 1 ? 1 : mod == 2 || !has_base ? 4 : 0;
  if ((row.flags & kOnlyDigit0) == 0 || digit == 0) p += row.immediate;

  // Prefixes.
  if (rex == 0x40) return refuse("REX without bits");
  if ((rex & 8) != 0) return refuse("REX.W outside of a sequence");
  if (has_66 && repeat != kNoPrefix &&
      ((row.flags & kString) == 0 || (kTable.rows[map][k66][opcode].flags & kAdmitted) == 0)) {
    return refuse("prefix 66 besides F2 or F3");
  }
  const bool accesses = (has_memory && (row.flags & kNoAccess) == 0);
  if (has_67 != (accesses || (row.flags & kNeeds67) != 0)) {
    return refuse(has_67 ? "prefix 67 without use" : "memory operand without prefix 67");
  }
  if (placement == CodePlacement::kShared) {
    // Segment overrides do not reach the destination of MOVS and STOS.
    if ((row.flags & kString) != 0) return refuse("string instruction in the shared placement");
    if (has_65 != accesses) {
      return refuse(has_65 ? "prefix 65 without use" : "memory operand without prefix 65");
    }
  } else if (has_65) {
    return refuse("prefix 65 in the exclusive placement");
  }

  // Operands.
  if (!has_modrm) {
    if ((row.flags & kOpcodeRegister) != 0) {
      if ((rex & 6) != 0) return refuse("REX bit without use");
      const char* rule = CheckRegister(row.rm, (opcode & 7) | rex_b, rex != 0);
      if (rule != nullptr) return refuse(rule);
    } else if (rex != 0) {
      return refuse("REX bit without use");
    }
  } else {
    if (const char* rule = CheckRegister(row.reg, digit | rex_r, rex != 0)) return refuse(rule);
    if (has_memory) {
      if ((row.flags & kMemory) == 0) return refuse("memory form not admitted");
      if (row.reg == kNothing && !Has(row.digits, digit)) {
        return refuse("opcode not admitted with this ModRM.reg");
      }
      if (has_base) {
        if (!Has(kGprs, low_base | rex_b)) return refuse("base register that may not be named");
      } else if (!has_sib) {
        return refuse("RIP-relative operand");
      } else if (rex_b != 0) {
        return refuse("REX bit without use");
      }
      if (has_sib) {
        const unsigned index = (sib >> 3 & 7) | rex_x;
        if (index != 4 && !Has(kGprs, index)) return refuse("index register that may not be named");
      } else if (rex_x != 0) {
        return refuse("REX bit without use");
      }
    } else {
      if ((row.flags & kRegister) == 0) return refuse("register form not admitted");
      if (rex_x != 0) return refuse("REX bit without use");
      if (row.forms != 0) {
        if (!Has(kRegisterForms[row.forms] >> 32 * (modrm >> 5 & 1), modrm & 31)) {
          return refuse("opcode not admitted with this ModRM");
        }
      } else if (row.reg == kNothing && !Has(row.digits, digit)) {
        return refuse("opcode not admitted with this ModRM.reg");
      }
      const char* rule = CheckRegister(row.rm, (modrm & 7) | rex_b, rex != 0);
      if (rule != nullptr) return refuse(rule);
    }
  }

  result.length = static_cast<uint8_t>(p - code);
  result.immediate = row.immediate;
  result.flow = row.flow;
  if (map == kOneByte && prefix == kNoPrefix) {
    result.writes_r8d = (opcode == 0x8b && (digit | rex_r) == 8) ||
                        (opcode == 0x89 && !has_memory && ((modrm & 7) | rex_b) == 8);
  }
  if (map == kTwoByte && opcode == 0x1f &&
      std::none_of(std::begin(kNops), std::end(kNops), [&](const auto& nop) {
        return nop.length == result.length && memcmp(nop.bytes, code, nop.length) == 0;
      })) {
    return refuse("NOP not admitted");
  }
  return result;
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
    0x41, 0x81, 0xf8, kAny, kAny, kAny, kAny,  // cmp r8d, imm32
    0x0f, 0x85, kAny, kAny, kAny, kAny,        // jne rel32
};
constexpr int16_t kReturnSiteKeepingFlags[] = {
    0x41, 0x89, 0xca,                          // mov r10d, ecx
    0x41, 0x8d, 0x88, kAny, kAny, kAny, kAny,  // lea ecx, [r8+disp32]
    0x67, 0xe3, 0x08,                          // jecxz
    0x44, 0x89, 0xd1,                          // mov ecx, r10d
    0xe9, kAny, kAny, kAny, kAny,              // jmp rel32
    0x44, 0x89, 0xd1,                          // mov ecx, r10d
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
    int64_t target;     // counted from the start of the code
    Flow flow;          // kBranch, kJump or kCall
    bool stays_inside;  // whether it must
  };

  // Decodes everything from the start to the end, as it will run: nothing is a boundary but what
  // is found here, and the targets of branches must be boundaries.
  bool Sweep() {
    if (offset_ + uint64_t{code_.size()} > uint64_t{1} << 32) {
      return Refuse(0, 0, "region beyond 4 GiB of code");
    }
    is_boundary_.resize(code_.size());
    bool falls = false;
    size_t at = 0, last = 0;
    while (at < code_.size()) {
      if (code_[at] == kInt3) {
        if (falls) return Refuse(last, at - last, "falls through to filling");
        ++at;
        continue;
      }
      last = at;
      AddBoundary(at);
      falls = true;
      if (Metering(&at)) continue;

      uint8_t padded[kMaxLength] = {};
      const uint8_t* bytes = &code_[at];
      const size_t left = code_.size() - at;
      if (left < kMaxLength) {
        memcpy(padded, bytes, left);
        bytes = padded;
      }
      const Instruction instruction = Decode(bytes, rules_.placement);
      if (instruction.length > left) return Refuse(at, left, "cut off by the region's end");
      if (instruction.refusal != nullptr) {
        return Refuse(at, instruction.length, instruction.refusal);
      }
      size_t end = at + instruction.length;
      bool needs_return_site = false;
      switch (instruction.flow) {
        case kNext:
          if (instruction.writes_r8d) {
            if (Matches(end, kIndirectJump)) {
              end += std::size(kIndirectJump);
              falls = false;
            } else if (Matches(end, kIndirectCall)) {
              end += std::size(kIndirectCall);
              needs_return_site = true;
            }
          }
          break;
        case kReturn:
          falls = false;
          break;
        case kJump:
        case kBranch:
        case kCall: {
          const Branch branch = {.begin = at,
                                 .end = end,
                                 .target = Target(end, instruction.immediate),
                                 .flow = instruction.flow,
                                 .stays_inside = instruction.immediate == 1};
          falls = instruction.flow != kJump;
          if (instruction.flow == kCall) {
            if (IsHelper(branch.target)) break;
            needs_return_site = true;
          }
          branches_.push_back(branch);
          break;
        }
      }
      if (needs_return_site && !ReturnSite(&end)) {
        return Refuse(at, end - at, "call without a return site that leads to return_miss");
      }
      at = end;
    }
    if (falls) return Refuse(last, at - last, "falls through to the region's end");
    return true;
  }

  bool CheckTargets() {
    for (const Branch& branch : branches_) {
      const size_t length = branch.end - branch.begin;
      if (IsInside(branch.target)) {
        if (!is_boundary_[branch.target - offset_]) {
          return Refuse(branch.begin, length, "branch to what is no boundary of the region");
        }
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
      region_->branches.push_back({.rel32 = static_cast<uint32_t>(offset_ + branch.end - 4),
                                   .target = target,
                                   .is_call = branch.flow == kCall});
    }
    return true;
  }

  // If a metering sequence begins at `*at`, goes behind it.
  bool Metering(size_t* at) {
    size_t end, branch_end;
    if (Matches(*at, kMetering)) {
      end = branch_end = *at + std::size(kMetering);
    } else if (Matches(*at, kMeteringKeepingFlags)) {
      end = *at + std::size(kMeteringKeepingFlags);
      branch_end = end - kBehindJump;
    } else {
      return false;
    }
    branches_.push_back({.begin = *at,
                         .end = branch_end,
                         .target = Target(branch_end, 4),
                         .flow = kBranch,
                         .stays_inside = true});
    *at = end;
    return true;
  }

  // If a return site begins at `*at`, goes behind it.
  bool ReturnSite(size_t* at) {
    size_t end, branch_end;
    if (Matches(*at, kReturnSite)) {
      end = branch_end = *at + std::size(kReturnSite);
    } else if (Matches(*at, kReturnSiteKeepingFlags)) {
      end = *at + std::size(kReturnSiteKeepingFlags);
      branch_end = end - kBehindJump;
    } else {
      return false;
    }
    const int64_t target = Target(branch_end, 4);
    if (target != rules_.return_miss || IsInside(target)) return false;
    AddBoundary(*at);
    *at = end;
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
