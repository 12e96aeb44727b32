// Five of the flags go through AH, where LAHF and SAHF have them, at their places in EFLAGS; OF
// goes through SETO, and comes back when 1 + 0x7F overflows. EAX is in R10D meanwhile.

#include "vxengine/translator/flag_repair.h"

#include <array>

#include "vxengine/machine/outcome.h"

namespace vx {
namespace {

constexpr uint16_t kInAh = kCf | kPf | kAf | kZf | kSf;
constexpr unsigned kAh = 8;  // where AH starts in EAX

// The values of undefined flags, as MACHINE.md has them.
struct Values {
  uint16_t zeros = 0, ones = 0;
  uint16_t stay = 0;  // as before the instruction
  enum : uint8_t { kOther, kTopOverCf, kTopTwo } of = kOther;
  bool index_parity = false;  // PF is that of the result, or 1 where ZF is
};

constexpr std::array<Values, kUndefinedRules> kValues = [] {
  std::array<Values, kUndefinedRules> all;
  const auto set = [&](UndefinedRule rule, Values values) {
    all[static_cast<unsigned>(rule)] = values;
  };
  using enum UndefinedRule;
  set(kRol, {.of = Values::kTopOverCf});
  set(kRor, {.of = Values::kTopTwo});
  set(kRcl, {.of = Values::kTopOverCf});
  set(kRcr, {.of = Values::kTopTwo});
  set(kShl, {.ones = kAf, .of = Values::kTopOverCf});
  set(kSal, all[static_cast<unsigned>(kShl)]);
  set(kShr, {.ones = kAf, .of = Values::kTopTwo});
  set(kSar, {.zeros = kOf, .ones = kAf});
  set(kShld, {.ones = kAf, .of = Values::kTopOverCf});
  set(kShrd, {.ones = kAf, .of = Values::kTopTwo});
  set(kLogic, {.zeros = kAf});
  set(kMul, {.stay = kSf | kZf | kAf | kPf});
  set(kDiv, {.zeros = kSf | kZf | kPf, .ones = kAf, .stay = kCf | kOf});
  set(kBitScan, {.zeros = kCf | kOf | kSf | kAf, .index_parity = true});
  set(kBitTest, {.stay = kOf | kSf | kAf | kPf});
  return all;
}();

const Values& ValuesOf(UndefinedRule rule) { return kValues[static_cast<unsigned>(rule)]; }

class Repair {
 public:
  Repair(const GuestInstruction& i, uint16_t flags, Emitter* emit)
      : i_(i), flags_(flags), values_(ValuesOf(i.rule())), emit_(*emit) {}

  void Before() {
    if (i_.counts_in_cl()) emit_.Mov(kR11, kHostEcx);
    const uint16_t stay = flags_ & values_.stay;
    if (stay & kOf) emit_.SetOverflow(kR9);
    if (stay & kInAh) {
      emit_.Mov(kR10, kEax);
      emit_.Byte(kLahf);
      emit_.Mov(kR11, kEax);
      emit_.Mov(kEax, kR10);
    }
  }

  void Behind(const HostMemory& operand) {
    const bool by_top = (flags_ & kOf) != 0 && values_.of != Values::kOther;
    const bool by_index = (flags_ & kPf) != 0 && values_.index_parity;
    if (by_top) LoadResult(operand);
    if (by_index) emit_.Mov(kR9, HostNumber(i_.reg));
    Open();
    if (by_top) FindOverflow();
    const uint16_t stay = flags_ & values_.stay & kInAh, ones = flags_ & values_.ones & kInAh;
    const uint16_t clear = flags_ & (kInAh & ~ones);
    if (clear != 0) Logic(kAnd, kEax, ~(uint32_t{clear} << kAh));
    if (ones != 0) Logic(kOr, kEax, uint32_t{ones} << kAh);
    if (stay != 0) {
      Logic(kAnd, kR11, uint32_t{stay} << kAh);
      emit_.RegisterForm({.opcode = kOrRegister}, kR11, kEax);
    }
    if (by_index) AddIndexParity();
    if (flags_ & values_.stay & kOf) emit_.Mov(kR8, kR9);
    if (flags_ & values_.zeros & kOf) emit_.RegisterForm({.opcode = kXorRegister}, kR8, kR8);
    Close();
  }

  void Damage() {
    Open();
    const uint32_t in_ah = flags_ & kInAh;
    if (in_ah != 0) Logic(kXor, kEax, in_ah << kAh);
    if (flags_ & kOf) Logic(kXor, kR8, 1);
    Close();
  }

 private:
  static constexpr uint8_t kLahf = 0x9f, kSahf = 0x9e, kJz = 0x74;
  static constexpr uint8_t kOrRegister = 0x09, kXorRegister = 0x31, kTestByte = 0x84;
  enum Digit : uint8_t { kOr = 1, kAnd = 4, kXor = 6 };  // of 81

  static unsigned HostNumber(unsigned gpr) { return gpr == kEsp ? unsigned{kHostEsp} : gpr; }

  void Logic(Digit digit, unsigned reg, uint32_t value) {
    emit_.RegisterForm({.opcode = 0x81}, digit, reg);
    emit_.Word(value);
  }
  void ShiftLeft(unsigned reg, uint8_t count) {
    emit_.RegisterForm({.opcode = 0xc1}, 4, reg);
    emit_.Byte(count);
  }
  void ShiftRight(unsigned reg, unsigned count) {
    emit_.RegisterForm({.opcode = 0xc1}, 5, reg);
    emit_.Byte(static_cast<uint8_t>(count));
  }

  // To R9D; its other bits may be anything.
  void LoadResult(const HostMemory& operand) {
    const unsigned size = i_.size_index();
    top_ = (8u << size) - 1;
    if (i_.memory) {
      if (size == 2) return emit_.Load(kR9, operand);
      const uint8_t movzx = size == 0 ? 0xb6 : 0xb7;
      return emit_.MemoryForm({.two_byte = true, .opcode = movzx}, kR9, operand);
    }
    if (size == 0) {
      emit_.Mov(kR9, i_.rm & 3);
      if (i_.rm >= 4) top_ += 8;  // AH to BH
    } else {
      emit_.Mov(kR9, HostNumber(i_.rm));
    }
  }

  // Flags to AH and R8B. With a count of 0 nothing happens to them until Close.
  void Open() {
    emit_.SetOverflow(kR8);
    emit_.Mov(kR10, kEax);
    emit_.Byte(kLahf);
    if (!i_.counts_in_cl()) return;
    emit_.Bytes({0x41, 0xf6, 0xc3, 0x1f});  // test r11b, 31
    emit_.Bytes({kJz, 0});
    jump_ = emit_.size();
  }

  void Close() {
    if (i_.counts_in_cl()) emit_.Patch(jump_ - 1, static_cast<uint8_t>(emit_.size() - jump_));
    emit_.Bytes({0x41, 0x80, 0xc0, 0x7f});  // add r8b, 0x7f
    emit_.Byte(kSahf);
    emit_.Mov(kEax, kR10);
  }

  // OF to R8D, from R9D and CF.
  void FindOverflow() {
    if (values_.of == Values::kTopOverCf) {
      ShiftRight(kR9, top_);
      emit_.Mov(kR8, kEax);
      ShiftRight(kR8, kAh);
    } else {
      emit_.Mov(kR8, kR9);
      ShiftRight(kR8, top_);
      ShiftRight(kR9, top_ - 1);
    }
    emit_.RegisterForm({.opcode = kXorRegister}, kR9, kR8);
    Logic(kAnd, kR8, 1);
  }

  // PF to AH, where it is 0, from R9D and ZF, by the CPU's own. R11 isn't taken.
  void AddIndexParity() {
    emit_.Mov(kR11, kEax);
    Logic(kAnd, kR11, uint32_t{kZf} << kAh);
    ShiftRight(kR11, 4);  // ZF's bit to PF's
    emit_.RegisterForm({.opcode = kOrRegister}, kR11, kEax);
    emit_.RegisterForm({.opcode = kTestByte}, kR9, kR9);
    emit_.RegisterForm({.two_byte = true, .opcode = 0x9a}, 0, kR9);    // setp r9b
    emit_.RegisterForm({.two_byte = true, .opcode = 0xb6}, kR9, kR9);  // movzx r9d, r9b
    ShiftLeft(kR9, kAh + 2);
    emit_.RegisterForm({.opcode = kOrRegister}, kR9, kEax);
  }

  const GuestInstruction& i_;
  const uint16_t flags_;
  const Values& values_;
  Emitter& emit_;
  unsigned top_ = 0;   // the number of the result's top bit in R9D
  uint32_t jump_ = 0;  // the end of the jump over all changes
};

}  // namespace

uint16_t RepairableFlags(UndefinedRule rule) {
  const Values& values = ValuesOf(rule);
  uint16_t flags = values.zeros | values.ones | values.stay;
  if (values.of != Values::kOther) flags |= kOf;
  if (values.index_parity) flags |= kPf;
  return flags;
}

void EmitBeforeRepair(const GuestInstruction& i, uint16_t flags, Emitter* emit) {
  Repair(i, flags, emit).Before();
}

void EmitRepair(const GuestInstruction& i, uint16_t flags, const HostMemory& operand,
                Emitter* emit) {
  Repair(i, flags, emit).Behind(operand);
}

void EmitDamage(const GuestInstruction& i, uint16_t flags, Emitter* emit) {
  Repair(i, flags, emit).Damage();
}

}  // namespace vx
