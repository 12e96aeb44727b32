// Intel SDM vol. 2, chapter 2 and appendix A. One table for the two opcode maps, and small ones for
// SSE, whose meaning a prefix chooses, and x87.

#include "vxengine/translator/guest_instruction.h"

#include <array>

namespace vx {
namespace {

// Flags, short.
constexpr uint16_t kC = kCf, kP = kPf, kA = kAf, kZ = kZf, kS = kSf, kO = kOf;
constexpr uint16_t kAll = kC | kP | kA | kZ | kS | kO;
constexpr uint16_t kLogic = kAll & ~kA;

// What follows an opcode, and what its fields name: a bit set.
enum Format : uint16_t {
  kModRm = 1 << 0,
  kByteRm = 1 << 1,   // ModRM.rm is of 8 bits
  kByteReg = 1 << 2,  // ModRM.reg is
  kNoReg = 1 << 3,    // ModRM.reg names no register
  kImm8 = 1 << 4,
  kImm16 = 1 << 5,
  kImmZ = 1 << 6,  // 4 bytes, or 2 with prefix 66
  kRelative = 1 << 7,
  kOffset = 1 << 8,     // an address of 4 bytes takes a memory operand's place
  kOpcodeReg = 1 << 9,  // the opcode's low three bits name a register
  kMemoryOnly = 1 << 10,
  kRegisterOnly = 1 << 11,
  kNo66 = 1 << 12,  // not with prefix 66
  kBytes = kByteRm | kByteReg,
};

struct Opcode {
  Kind kind = Kind::kInterpret;
  uint16_t format = 0;
  uint16_t reads = 0, written = 0, undefined = 0;
};

constexpr unsigned k0F = 0x100;
using Table = std::array<Opcode, 0x200>;

// What conditions read, by the low four bits of the opcode without the lowest.
constexpr uint16_t kConditionReads[8] = {kO, kC, kZ, kC | kZ, kS, kP, kS | kO, kZ | kS | kO};

constexpr Table MakeTable() {
  Table t{};
  const auto set = [&t](unsigned code, Opcode opcode, unsigned count = 1) {
    for (unsigned n = 0; n < count; ++n) t[code + n] = opcode;
  };
  constexpr Kind kPlain = Kind::kPlain;
  for (unsigned op = 0; op < 8; ++op) {  // ADD OR ADC SBB AND SUB XOR CMP
    const bool logic = op == 1 || op == 4 || op == 6, carry = op == 2 || op == 3;
    const uint16_t reads = carry ? kC : 0, written = logic ? kLogic : kAll;
    const uint16_t undefined = logic ? kA : 0;
    set(op * 8 + 0, {kPlain, kModRm | kBytes, reads, written, undefined});
    set(op * 8 + 1, {kPlain, kModRm, reads, written, undefined});
    set(op * 8 + 2, {kPlain, kModRm | kBytes, reads, written, undefined});
    set(op * 8 + 3, {kPlain, kModRm, reads, written, undefined});
    set(op * 8 + 4, {kPlain, kImm8, reads, written, undefined});
    set(op * 8 + 5, {kPlain, kImmZ, reads, written, undefined});
  }
  set(0x40, {Kind::kIncDec, kOpcodeReg, 0, kAll & ~kC, 0}, 16);
  set(0x50, {Kind::kPush, kOpcodeReg | kNo66}, 8);
  set(0x58, {Kind::kPop, kOpcodeReg | kNo66}, 8);
  set(0x68, {Kind::kPushImmediate, kImmZ | kNo66});
  set(0x69, {kPlain, kModRm | kImmZ, 0, kC | kO, kS | kZ | kA | kP});
  set(0x6a, {Kind::kPushImmediate, kImm8 | kNo66});
  set(0x6b, {kPlain, kModRm | kImm8, 0, kC | kO, kS | kZ | kA | kP});
  for (unsigned cc = 0; cc < 16; ++cc) {
    set(0x70 + cc, {Kind::kJcc, kImm8 | kRelative | kNo66, kConditionReads[cc / 2]});
    set(k0F + 0x80 + cc, {Kind::kJcc, kImmZ | kRelative | kNo66, kConditionReads[cc / 2]});
    set(k0F + 0x40 + cc, {kPlain, kModRm, kConditionReads[cc / 2]});
    set(k0F + 0x90 + cc, {kPlain, kModRm | kByteRm | kNoReg, kConditionReads[cc / 2]});
  }
  set(0x80, {kPlain, kModRm | kByteRm | kNoReg | kImm8});  // flags: by digit, as of all groups
  set(0x81, {kPlain, kModRm | kNoReg | kImmZ});
  set(0x83, {kPlain, kModRm | kNoReg | kImm8});
  set(0x84, {kPlain, kModRm | kBytes, 0, kLogic, kA});
  set(0x85, {kPlain, kModRm, 0, kLogic, kA});
  set(0x86, {kPlain, kModRm | kBytes});
  set(0x87, {kPlain, kModRm});
  set(0x88, {kPlain, kModRm | kBytes});
  set(0x89, {kPlain, kModRm});
  set(0x8a, {kPlain, kModRm | kBytes});
  set(0x8b, {kPlain, kModRm});
  set(0x8d, {kPlain, kModRm | kMemoryOnly});
  set(0x90, {Kind::kNop});
  set(0x91, {Kind::kExchange, kOpcodeReg}, 7);
  set(0x98, {kPlain});
  set(0x99, {kPlain});
  set(0x9b, {kPlain, kNo66});
  set(0x9e, {kPlain, 0, 0, kAll & ~kO});
  set(0x9f, {kPlain, 0, kAll & ~kO});
  set(0xa0, {kPlain, kOffset | kBytes});
  set(0xa1, {kPlain, kOffset});
  set(0xa2, {kPlain, kOffset | kBytes});
  set(0xa3, {kPlain, kOffset});
  set(0xa4, {Kind::kString}, 2);
  set(0xa6, {Kind::kString, 0, kAll}, 2);  // reads: with a count of 0 they leave the flags alone
  set(0xa8, {kPlain, kImm8, 0, kLogic, kA});
  set(0xa9, {kPlain, kImmZ, 0, kLogic, kA});
  set(0xaa, {Kind::kString}, 4);
  set(0xae, {Kind::kString, 0, kAll}, 2);
  set(0xb0, {kPlain, kOpcodeReg | kByteReg | kImm8}, 8);
  set(0xb8, {kPlain, kOpcodeReg | kImmZ}, 8);
  set(0xc0, {kPlain, kModRm | kByteRm | kNoReg | kImm8});
  set(0xc1, {kPlain, kModRm | kNoReg | kImm8});
  set(0xc2, {Kind::kReturn, kImm16 | kNo66});
  set(0xc3, {Kind::kReturn, kNo66});
  set(0xc6, {kPlain, kModRm | kByteRm | kNoReg | kImm8});
  set(0xc7, {kPlain, kModRm | kNoReg | kImmZ});
  set(0xc9, {Kind::kLeave, kNo66});
  set(0xd0, {kPlain, kModRm | kByteRm | kNoReg});
  set(0xd1, {kPlain, kModRm | kNoReg});
  set(0xd2, {kPlain, kModRm | kByteRm | kNoReg});
  set(0xd3, {kPlain, kModRm | kNoReg});
  set(0xd8, {kPlain, kModRm | kNoReg | kNo66}, 8);
  set(0xe2, {Kind::kLoop, kImm8 | kRelative | kNo66});
  set(0xe3, {Kind::kJecxz, kImm8 | kRelative | kNo66});
  set(0xe8, {Kind::kCall, kImmZ | kRelative | kNo66});
  set(0xe9, {Kind::kJump, kImmZ | kRelative | kNo66});
  set(0xeb, {Kind::kJump, kImm8 | kRelative | kNo66});
  set(0xf5, {kPlain, 0, kC, kC});
  set(0xf6, {kPlain, kModRm | kByteRm | kNoReg});
  set(0xf7, {kPlain, kModRm | kNoReg});
  set(0xf8, {kPlain, 0, 0, kC}, 2);
  set(0xfc, {kPlain}, 2);
  set(0xfe, {kPlain, kModRm | kByteRm | kNoReg, 0, kAll & ~kC});
  set(0xff, {kPlain, kModRm | kNoReg, 0, kAll & ~kC});

  set(k0F + 0x05, {Kind::kSystemCall});
  set(k0F + 0x18, {Kind::kNop, kModRm | kNoReg}, 8);  // prefetches and other hints
  // BT BTS BTR BTC of a register.
  set(k0F + 0xa3, {kPlain, kModRm | kRegisterOnly, 0, kC, kO | kS | kA | kP});
  set(k0F + 0xab, t[k0F + 0xa3]);
  set(k0F + 0xb3, t[k0F + 0xa3]);
  set(k0F + 0xbb, t[k0F + 0xa3]);
  set(k0F + 0xa4, {kPlain, kModRm | kImm8 | kNo66});  // SHLD SHRD: flags by count
  set(k0F + 0xa5, {kPlain, kModRm | kNo66});
  set(k0F + 0xac, {kPlain, kModRm | kImm8 | kNo66});
  set(k0F + 0xad, {kPlain, kModRm | kNo66});
  set(k0F + 0xae, {kPlain, kModRm | kNoReg | kNo66});
  set(k0F + 0xaf, {kPlain, kModRm, 0, kC | kO, kS | kZ | kA | kP});
  set(k0F + 0xb0, {kPlain, kModRm | kBytes, 0, kAll});
  set(k0F + 0xb1, {kPlain, kModRm, 0, kAll});
  set(k0F + 0xb6, {kPlain, kModRm | kByteRm});
  set(k0F + 0xb7, {kPlain, kModRm});
  set(k0F + 0xba, {kPlain, kModRm | kNoReg | kImm8, 0, kC, kO | kS | kA | kP});
  set(k0F + 0xbc, {kPlain, kModRm, 0, kZ, kC | kO | kS | kA | kP}, 2);
  set(k0F + 0xbe, {kPlain, kModRm | kByteRm});
  set(k0F + 0xbf, {kPlain, kModRm});
  set(k0F + 0xc0, {kPlain, kModRm | kBytes, 0, kAll});
  set(k0F + 0xc1, {kPlain, kModRm, 0, kAll});
  set(k0F + 0xc7, {kPlain, kModRm | kNoReg | kMemoryOnly, 0, kZ});
  set(k0F + 0xc8, {kPlain, kOpcodeReg}, 8);
  return t;
}

constexpr Table kTable = MakeTable();

// SSE: for which of the prefixes none, 66, F3, F2 (bits 0-3) the opcode is known, and with which
// operands: `forms` has as many letters. V: both ModRM fields XMM; M: the same, memory only; R: the
// same, registers only; I: with an immediate byte besides; G: ModRM.reg is a general register, and
// rm XMM only; C: the same, or memory; E: ModRM.rm is a general register or memory; P: E with an
// immediate, X: G with an immediate; S: shift by an immediate, ModRM.reg a digit; T: integer store,
// movnti; F: compares into EFLAGS; .: not known.
struct SseRow {
  uint8_t first, last;
  char forms[5];
};

constexpr SseRow kSseRows[] = {
    {0x10, 0x11, "VVVV"}, {0x12, 0x12, "VM.."}, {0x13, 0x13, "MM.."}, {0x14, 0x15, "VV.."},
    {0x16, 0x16, "VM.."}, {0x17, 0x17, "MM.."}, {0x28, 0x29, "VV.."}, {0x2a, 0x2a, "..EE"},
    {0x2b, 0x2b, "MM.."}, {0x2c, 0x2d, "..CC"}, {0x2e, 0x2f, "FF.."}, {0x50, 0x50, "GG.."},
    {0x51, 0x51, "VVVV"}, {0x54, 0x57, "VV.."}, {0x58, 0x5a, "VVVV"}, {0x5b, 0x5b, "VVV."},
    {0x5c, 0x5f, "VVVV"}, {0x60, 0x6d, ".V.."}, {0x6e, 0x6e, ".E.."}, {0x6f, 0x6f, ".VV."},
    {0x70, 0x70, ".III"}, {0x71, 0x73, ".S.."}, {0x74, 0x76, ".V.."}, {0x7e, 0x7e, ".EV."},
    {0x7f, 0x7f, ".VV."}, {0xc2, 0xc2, "IIII"}, {0xc3, 0xc3, "T..."}, {0xc4, 0xc4, ".P.."},
    {0xc5, 0xc5, ".X.."}, {0xc6, 0xc6, "II.."}, {0xd1, 0xd6, ".V.."}, {0xd7, 0xd7, ".G.."},
    {0xd8, 0xe5, ".V.."}, {0xe6, 0xe6, ".VVV"}, {0xe7, 0xe7, ".M.."}, {0xe8, 0xef, ".V.."},
    {0xf1, 0xf6, ".V.."}, {0xf8, 0xfe, ".V.."},
};

using SseTable = std::array<std::array<char, 256>, 4>;

constexpr SseTable MakeSseTable() {
  SseTable t{};
  for (const SseRow& row : kSseRows) {
    for (unsigned code = row.first; code <= row.last; ++code) {
      for (unsigned prefix = 0; prefix < 4; ++prefix) {
        if (row.forms[prefix] != '.') t[prefix][code] = row.forms[prefix];
      }
    }
  }
  return t;
}

constexpr SseTable kSseTable = MakeSseTable();

// x87: for each of D8-DF the digits that are known with a memory operand, and the register forms,
// by groups of eight: all (FF), or a bit for each.
struct X87Row {
  uint8_t memory;
  uint8_t registers[8];
};

// Left out, for the interpreter: FLDENV FNSTENV FRSTOR FNSAVE, FNINIT FNCLEX and the
// transcendentals; and FISTTP and the undocumented aliases, which trap.
constexpr X87Row kX87[8] = {
    {0xff, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
    {0xad, {0xff, 0xff, 0x01, 0x00, 0x33, 0x7f, 0xf0, 0x35}},
    {0xff, {0xff, 0xff, 0xff, 0xff, 0x00, 0x02, 0x00, 0x00}},
    {0xad, {0xff, 0xff, 0xff, 0xff, 0x0c, 0xff, 0xff, 0x00}},
    {0xff, {0xff, 0xff, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff}},
    {0x8d, {0xff, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
    {0xff, {0xff, 0xff, 0x00, 0x02, 0xff, 0xff, 0xff, 0xff}},
    {0xfd, {0x00, 0x00, 0x00, 0x00, 0x01, 0xff, 0xff, 0x00}},
};

// Of groups: each digit's flags.
constexpr uint16_t kArithmeticReads[8] = {0, 0, kC, kC, 0, 0, 0, 0};
constexpr bool kArithmeticLogic[8] = {false, true, false, false, true, false, true, false};

class Decoder {
 public:
  Decoder(std::span<const uint8_t> bytes, uint32_t eip, Profile profile, GuestInstruction* result)
      : bytes_(bytes), profile_(profile), i_(*result) {
    i_ = GuestInstruction();
    i_.eip = eip;
  }

  void Decode() {
    if (!DecodeAll()) {
      i_.kind = Kind::kInterpret;
      i_.length = 0;
      return;
    }
    i_.length = static_cast<uint8_t>(at_);
    if (format_ & kRelative) i_.immediate += i_.next();
  }

 private:
  bool Byte(uint8_t* byte) {
    if (at_ >= bytes_.size()) return false;
    *byte = bytes_[at_++];
    return true;
  }

  bool Integer(unsigned size, uint32_t* value) {
    if (bytes_.size() - at_ < size) return false;
    uint32_t result = 0;
    for (unsigned n = 0; n < size; ++n) result |= uint32_t{bytes_[at_ + n]} << (8 * n);
    if (size < 4 && bytes_[at_ + size - 1] >= 0x80) result |= ~0u << (8 * size);
    at_ += size;
    *value = result;
    return true;
  }

  bool DecodeAll() {
    uint8_t byte = 0;
    for (;;) {
      if (!Byte(&byte)) return false;
      if (byte == 0x66) {
        i_.prefix66 = true;
      } else if (byte == 0xf2 || byte == 0xf3) {
        i_.repeat = byte;
      } else if (byte == 0xf0) {
        lock_ = true;
      } else if (byte != 0x26 && byte != 0x2e && byte != 0x36 && byte != 0x3e) {
        break;
      }
    }
    i_.two_byte = byte == 0x0f;
    if (i_.two_byte && !Byte(&byte)) return false;
    i_.opcode = byte;
    if (i_.two_byte && FindSse()) {
      if (!ModRm() || !CheckSse()) return false;
    } else {
      const Opcode& opcode = kTable[(i_.two_byte ? k0F : 0) + byte];
      i_.kind = opcode.kind;
      format_ = opcode.format;
      i_.reads = opcode.reads;
      i_.written = opcode.written;
      i_.undefined = opcode.undefined;
      if (i_.kind == Kind::kInterpret) return false;
      if (format_ & kNo66 && i_.prefix66) return false;
      if (Ignores66()) i_.prefix66 = false;
      if (i_.uses_x87() && profile_ == Profile::kVx2026Int) return false;
      if (format_ & kModRm ? !ModRm() || !CheckGroup() : !ImpliedOperands()) return false;
      if (i_.kind != Kind::kString) i_.repeat = 0;
    }
    // F2 means on these what F3 does.
    if (i_.kind == Kind::kString && i_.repeat != 0 && i_.written == 0 && i_.reads == 0) {
      i_.repeat = 0xf3;
    }
    if (lock_) return CheckLock() && Immediate();
    return Immediate();
  }

  // Operations on bytes and those without a size: hosts ignore the prefix too, but it isn't
  // canonical.
  bool Ignores66() const {
    if (format_ & kByteReg) return true;
    if (format_ & kByteRm) return (format_ & kNoReg) != 0;
    if (i_.two_byte) return false;
    const uint8_t op = i_.opcode;
    return (op < 0x40 && (op & 7) == 4) || op == 0x9e || op == 0x9f || op == 0xa8 || op == 0xf5 ||
           op == 0xf8 || op == 0xf9 || op == 0xfc || op == 0xfd ||
           (i_.kind == Kind::kString && (op & 1) == 0);
  }

  // LOCK is no more than a no-op, but only where it is allowed.
  bool CheckLock() const {
    if (!i_.memory || i_.kind != Kind::kPlain) return false;
    const uint8_t op = i_.opcode;
    if (i_.two_byte) {
      return op == 0xb0 || op == 0xb1 || op == 0xc0 || op == 0xc1 || op == 0xc7 ||
             (op == 0xba && i_.reg >= 5);
    }
    return (op < 0x38 && (op & 6) == 0) || (op >= 0x80 && op <= 0x83 && i_.reg != 7) ||
           op == 0x86 || op == 0x87 || ((op & 0xfe) == 0xf6 && (i_.reg == 2 || i_.reg == 3)) ||
           ((op & 0xfe) == 0xfe && i_.reg < 2);
  }

  bool ImpliedOperands() {
    if (format_ & kOpcodeReg) {
      i_.reg = i_.opcode & 7;
      i_.reg_operand = format_ & kByteReg ? Operand::kGpr8 : Operand::kGpr;
    }
    if (format_ & kOffset) {
      i_.memory = i_.accesses_memory = true;
      i_.reg_operand = format_ & kByteReg ? Operand::kGpr8 : Operand::kGpr;
      return Integer(4, &i_.displacement);
    }
    if (i_.two_byte && (i_.opcode & 0xf8) == 0xc8 && i_.prefix66) i_.kind = Kind::kSwap16;
    return true;
  }

  bool ModRm() {
    uint8_t byte = 0;
    if (!Byte(&byte)) return false;
    i_.has_modrm = true;
    const unsigned mod = byte >> 6, rm = byte & 7;
    i_.reg = byte >> 3 & 7;
    i_.rm = static_cast<uint8_t>(rm);
    i_.memory = mod != 3;
    i_.accesses_memory = i_.memory && !(i_.opcode == 0x8d && !i_.two_byte);
    if (!(format_ & kNoReg)) i_.reg_operand = format_ & kByteReg ? Operand::kGpr8 : Operand::kGpr;
    i_.rm_operand = format_ & kByteRm ? Operand::kGpr8 : Operand::kGpr;
    if (format_ & kMemoryOnly && !i_.memory) return false;
    if (format_ & kRegisterOnly && i_.memory) return false;
    return !i_.memory || Address(mod, rm);
  }

  bool Address(unsigned mod, unsigned rm) {
    unsigned base = rm;
    if (rm == kEsp) {
      uint8_t sib = 0;
      if (!Byte(&sib)) return false;
      base = sib & 7;
      if ((sib >> 3 & 7) != kEsp) {
        i_.index = sib >> 3 & 7;
        i_.scale = sib >> 6;
      }
    }
    if (mod == 0 && base == kEbp) return Integer(4, &i_.displacement);
    i_.base = static_cast<uint8_t>(base);
    return mod == 0 || Integer(mod == 1 ? 1 : 4, &i_.displacement);
  }

  bool Immediate() {
    unsigned size = 0;
    if (format_ & kImm8) size = 1;
    if (format_ & kImm16) size = 2;
    if (format_ & kImmZ) size = i_.prefix66 ? 2 : 4;
    i_.immediate_size = static_cast<uint8_t>(size);
    if (size == 0 || !Integer(size, &i_.immediate)) return size == 0;
    if (format_ & kImm16) i_.immediate &= 0xffff;
    if (!i_.two_byte && (i_.opcode == 0xc0 || i_.opcode == 0xc1)) SetShiftFlags(i_.immediate);
    if (i_.two_byte && (i_.opcode == 0xa4 || i_.opcode == 0xac)) SetDoubleShiftFlags();
    return true;
  }

  // Of the immediate forms, where the count is known; see CheckGroup for the others.
  void SetShiftFlags(uint32_t count) {
    count &= 31;
    if (count == 0) return;
    const bool rotate = i_.reg < 4;
    if (rotate) {
      i_.reads = i_.reg >= 2 ? kC : 0;
      i_.written = static_cast<uint16_t>(count == 1 ? kC | kO : kC);
      i_.undefined = count == 1 ? 0 : kO;
    } else {
      i_.written = static_cast<uint16_t>(count == 1 ? kLogic : kLogic & ~kO);
      i_.undefined = static_cast<uint16_t>(count == 1 ? kA : kA | kO);
    }
  }

  void SetDoubleShiftFlags() {
    if ((i_.immediate & 31) == 0) return;
    i_.written = kC | kP | kZ | kS;
    i_.undefined = kA | kO;
  }

  bool CheckGroup() {
    const unsigned digit = i_.reg;
    if (i_.two_byte) return CheckTwoByteGroup(digit);
    switch (i_.opcode) {
      case 0x80:
      case 0x81:
      case 0x83:
        i_.reads = kArithmeticReads[digit];
        i_.written = kArithmeticLogic[digit] ? kLogic : kAll;
        i_.undefined = kArithmeticLogic[digit] ? kA : 0;
        return true;
      case 0xc0:
      case 0xc1:
        if (digit == 6) i_.reg = 4;  // an alias of SHL that hosts have too, but it isn't canonical
        return true;
      case 0xd0:
      case 0xd1:
        if (digit == 6) i_.reg = 4;
        SetShiftFlags(1);
        return true;
      case 0xd2:
      case 0xd3:
        if (digit == 6) i_.reg = 4;
        i_.reads = digit == 2 || digit == 3 ? kC : 0;  // RCL, RCR
        i_.undefined = digit < 4 ? kO : kA | kO;
        return true;
      case 0xc6:
      case 0xc7:
        return digit == 0;
      case 0xf6:
      case 0xf7:
        return CheckF7(digit);
      case 0xfe:
        return digit < 2;
      case 0xff:
        return CheckFf(digit);
      default:
        return i_.opcode < 0xd8 || i_.opcode > 0xdf || CheckX87(digit);
    }
  }

  bool CheckF7(unsigned digit) {
    switch (digit) {
      case 0:
      case 1:  // an alias of TEST
        i_.reg = 0;
        i_.written = kLogic;
        i_.undefined = kA;
        format_ |= i_.opcode == 0xf6 ? kImm8 : kImmZ;
        return true;
      case 2:
        return true;
      case 3:
        i_.written = kAll;
        return true;
      case 4:
      case 5:
        i_.written = kC | kO;
        i_.undefined = kS | kZ | kA | kP;
        return true;
      default:
        i_.undefined = kAll;
        return true;
    }
  }

  bool CheckFf(unsigned digit) {
    if (digit < 2) return true;
    i_.written = 0;
    if (i_.prefix66) return false;
    if (digit == 2) i_.kind = Kind::kCallRm;
    if (digit == 4) i_.kind = Kind::kJumpRm;
    if (digit == 6) i_.kind = Kind::kPushRm;
    return digit == 2 || digit == 4 || digit == 6;
  }

  bool CheckTwoByteGroup(unsigned digit) {
    switch (i_.opcode) {
      case 0x1e:  // with F3: ENDBR32, or RDSSP
        return i_.repeat != 0xf3 || i_.memory || digit != 1;
      case 0xa5:
      case 0xad:
        i_.undefined = kA | kO;
        return true;
      case 0xae:  // fences
        return i_.repeat == 0 && !i_.memory && digit >= 5 && i_.rm == 0;
      case 0xba:
        return digit >= 4;
      case 0xc7:
        i_.prefix66 = false;
        return digit == 1;
      default:
        // SETcc's digit means nothing.
        if ((i_.opcode & 0xf0) == 0x90) i_.reg = 0;
        return true;
    }
  }

  bool CheckX87(unsigned digit) {
    const X87Row& row = kX87[i_.opcode & 7];
    i_.rm_operand = Operand::kNone;
    if (i_.opcode == 0xdb && !i_.memory && digit >= 5) i_.written = kAll;  // F(U)COMI
    if (i_.opcode == 0xdf && !i_.memory && (digit == 5 || digit == 6)) i_.written = kAll;
    if (!i_.memory && (i_.opcode & 0xfe) == 0xda && digit < 4) i_.reads = kC | kZ | kP;  // FCMOV
    if (i_.memory) return row.memory >> digit & 1;
    // FNINIT and FNCLEX are the interpreter's: they leave no trace of FIP.
    return row.registers[digit] >> i_.rm & 1;
  }

  // True if the opcode and its prefixes are known as SSE.
  bool FindSse() {
    const unsigned prefix = i_.repeat == 0xf2 ? 3 : i_.repeat == 0xf3 ? 2 : i_.prefix66 ? 1 : 0;
    sse_ = kSseTable[prefix][i_.opcode];
    if (sse_ == 0) return false;
    if (sse_ != 'T' && profile_ == Profile::kVx2026Int) return false;
    i_.kind = Kind::kPlain;
    if (i_.repeat != 0) i_.prefix66 = false;
    format_ = kModRm;
    if (sse_ == 'I' || sse_ == 'P' || sse_ == 'X' || sse_ == 'S') format_ |= kImm8;
    if (sse_ == 'M' || sse_ == 'T') format_ |= kMemoryOnly;
    if (sse_ == 'G' || sse_ == 'X' || sse_ == 'S') format_ |= kRegisterOnly;
    if (sse_ == 'S') format_ |= kNoReg;
    return true;
  }

  bool CheckSse() {
    i_.reg_operand = i_.rm_operand = Operand::kXmm;
    switch (sse_) {
      case 'G':
      case 'X':
      case 'C':
        i_.reg_operand = Operand::kGpr;
        break;
      case 'E':
      case 'P':
        i_.rm_operand = Operand::kGpr;
        break;
      case 'T':
        i_.reg_operand = i_.rm_operand = Operand::kGpr;
        break;
      case 'F':
        i_.written = kAll;
        break;
      case 'S': {
        i_.reg_operand = Operand::kNone;
        const unsigned digits = i_.opcode == 0x73 ? 0xcc : i_.opcode == 0x72 ? 0x54 : 0x54;
        return digits >> i_.reg & 1;
      }
      default:
        break;
    }
    return true;
  }

  const std::span<const uint8_t> bytes_;
  const Profile profile_;
  GuestInstruction& i_;
  size_t at_ = 0;
  uint16_t format_ = 0;
  char sse_ = 0;
  bool lock_ = false;
};

}  // namespace

UndefinedRule GuestInstruction::rule() const {
  if (two_byte) {
    switch (opcode) {
      case 0xa4:
      case 0xa5:
        return UndefinedRule::kShld;
      case 0xac:
      case 0xad:
        return UndefinedRule::kShrd;
      case 0xaf:
        return UndefinedRule::kMul;
      case 0xbc:
      case 0xbd:
        return UndefinedRule::kBitScan;
      default:
        return UndefinedRule::kBitTest;
    }
  }
  switch (opcode) {
    case 0x69:
    case 0x6b:
      return UndefinedRule::kMul;
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return static_cast<UndefinedRule>(reg);
    case 0xf6:
    case 0xf7:
      return reg == 0 ? UndefinedRule::kLogic : reg < 6 ? UndefinedRule::kMul : UndefinedRule::kDiv;
    default:
      return UndefinedRule::kLogic;
  }
}

uint16_t GuestInstruction::determined() const {
  if (undefined == 0) return written;
  switch (rule()) {
    case UndefinedRule::kMul:
    case UndefinedRule::kBitTest:
      return written;
    case UndefinedRule::kDiv:
      return undefined & ~(kC | kO);
    default:
      return counts_in_cl() ? 0 : written | undefined;
  }
}

void DecodeGuestInstruction(std::span<const uint8_t> bytes, uint32_t eip, Profile profile,
                            GuestInstruction* result) {
  Decoder(bytes, eip, profile, result).Decode();
}

}  // namespace vx
