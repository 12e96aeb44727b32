// x87's registers as a stack, its status word, and how its instructions raise exceptions and
// deliver results (Intel SDM vol. 1, chapter 8).
#ifndef VXENGINE_MACHINE_X87_H_
#define VXENGINE_MACHINE_X87_H_

#include <array>
#include <cstdint>
#include <span>

#include "vxengine/machine/operands.h"
#include "vxengine/machine/soft_float.h"

namespace vx {

// The status word: exceptions (as FloatException), and
enum X87StatusBit : uint16_t {
  kStackFault = 0x40,
  kErrorSummary = 0x80,
  kC0 = 0x100,
  kC1 = 0x200,
  kC2 = 0x400,
  kC3 = 0x4000,
  kSummaryBits = 0x8080,  // ES, and B, which has been its copy since the 387
};
inline constexpr unsigned kTopShift = 11;

enum class Tag : uint8_t { kValid, kZero, kSpecial, kEmpty };

inline constexpr X87Register kX87Indefinite = {.significand = kTopBit | kQuietBit,
                                               .sign_exponent = 0xffff};

// --- The stack ---

inline unsigned Top(const X87State& x87) { return x87.status >> kTopShift & 7; }

inline void SetTop(X87State& x87, unsigned top) {
  x87.status = static_cast<uint16_t>((x87.status & ~(7u << kTopShift)) | (top & 7) << kTopShift);
}

// R0-R7 by their number in the stack.
inline unsigned Physical(const X87State& x87, unsigned i) { return (Top(x87) + i) & 7; }

inline X87Register& St(X87State& x87, unsigned i) { return x87.reg[Physical(x87, i)]; }
inline const X87Register& St(const X87State& x87, unsigned i) { return x87.reg[Physical(x87, i)]; }

inline Tag Classify(const X87Register& reg) {
  const unsigned exponent = reg.sign_exponent & 0x7fff;
  if (exponent == 0 && reg.significand == 0) return Tag::kZero;
  return exponent == 0 || exponent == 0x7fff || reg.significand >> 63 == 0 ? Tag::kSpecial
                                                                           : Tag::kValid;
}

inline Tag GetTag(const X87State& x87, unsigned physical) {
  return static_cast<Tag>(x87.tag >> (2 * physical) & 3);
}

inline void SetTag(X87State& x87, unsigned physical, Tag tag) {
  const unsigned shift = 2 * physical;
  x87.tag = static_cast<uint16_t>((x87.tag & ~(3u << shift)) | static_cast<unsigned>(tag) << shift);
}

inline bool IsEmpty(const X87State& x87, unsigned i) {
  return GetTag(x87, Physical(x87, i)) == Tag::kEmpty;
}

inline void SetSt(X87State& x87, unsigned i, const X87Register& value) {
  const unsigned physical = Physical(x87, i);
  x87.reg[physical] = value;
  SetTag(x87, physical, Classify(value));
}

inline void Push(X87State& x87, const X87Register& value) {
  SetTop(x87, Top(x87) - 1);
  SetSt(x87, 0, value);
}

inline void Pop(X87State& x87) {
  SetTag(x87, Top(x87), Tag::kEmpty);
  SetTop(x87, Top(x87) + 1);
}

// --- Exceptions ---

// One instruction's: rounding and masks from the control word, then what it raises. Goes to the
// status word by Report.
struct X87Status : FloatStatus {
  explicit X87Status(const X87State& x87)
      : FloatStatus{.rounding = static_cast<Rounding>(x87.control >> 10 & 3),
                    .masks = static_cast<uint8_t>(x87.control & kFloatExceptions)} {}

  // The operands lack a register, or there is one in the way of a push. The result is then, as for
  // all that is invalid, the indefinite.
  X87Register StackUnderflow() { return StackFault(false); }
  X87Register StackOverflow() { return StackFault(true); }
  X87Register Invalid() {
    raised |= kIe;
    return kX87Indefinite;
  }

  // Flags, summary and C1, which says whether the result was rounded up, or the stack too full.
  // False: an exception traps for which there is no result; registers and memory stay.
  bool Report(X87State& x87) const {
    x87.status &= static_cast<uint16_t>(~kC1);
    return ReportButC1(x87);
  }

  // For instructions that leave C1 if they find all registers in use.
  bool ReportButC1(X87State& x87) const {
    uint16_t word = static_cast<uint16_t>(x87.status | raised);
    if (stack_fault) word = static_cast<uint16_t>((word & ~kC1) | kStackFault);
    if (rounded_up) word |= kC1;
    if (traps(kFloatExceptions)) word |= kSummaryBits;
    x87.status = word;
    return !traps(kBeforeResult);
  }

  bool stack_fault = false;

 private:
  X87Register StackFault(bool overflow) {
    stack_fault = true;
    rounded_up = overflow;
    return Invalid();
  }
};

// The format that PC chooses for the results of addition, subtraction, multiplication, division and
// square root: fewer bits, but all exponents.
inline Format PrecisionOf(const X87State& x87) {
  Format format = kExtended;
  const unsigned control = x87.control >> 8 & 3;
  if (control == 0) format.precision = kBinary32.precision;
  if (control == 2) format.precision = kBinary64.precision;
  return format;
}

// The rounded result, and what it raises; `denormal`: an operand was.
inline X87Register Finish(const Format& format, const Exact& exact, bool denormal,
                          X87Status* status) {
  if (exact.kind == Kind::kUnsupported) return status->Invalid();
  if (denormal && !(status->raised & kZe)) status->raised |= kDe;
  if (status->traps(kBeforeResult)) return kX87Indefinite;
  const bool normal = exact.kind == Kind::kFinite && exact.exponent >= kExtended.min_exponent &&
                      exact.exponent < kExtended.max_exponent;
  if (normal && format.precision == 64 && status->rounding == Rounding::kNearest) [[likely]] {
    const Cut cut = CutTo(64, exact.sign, exact.significand, exact.rest, Rounding::kNearest);
    if (cut.significand != 0) [[likely]] {
      status->raised |= cut.inexact ? kPe : 0;
      status->rounded_up = cut.up;
      return Pack<X87Register>({Kind::kFinite, exact.sign, exact.exponent, cut.significand});
    }
  }
  return Pack<X87Register>(Round(format, exact, status));
}

// The same for results that may be out of range even with the exponent adjusted, which it is where
// overflow or underflow trap: then they are infinite or zero (SDM vol. 1, 8.5.4 and 8.5.5).
inline X87Register FinishFarOut(const Exact& exact, bool denormal, X87Status* status) {
  const X87Register result = Finish(kExtended, exact, denormal, status);
  const bool over = exact.exponent - kExtended.adjustment > kExtended.max_exponent;
  const bool under = exact.exponent + kExtended.adjustment < kExtended.min_exponent;
  if (!(over && status->traps(kOe)) && !(under && status->traps(kUe))) return result;
  status->raised |= kPe;
  status->rounded_up = over;
  return Pack<X87Register>(
      {over ? Kind::kInfinity : Kind::kZero, exact.sign, 0, over ? kTopBit : 0});
}

// A number that needs no rounding: of any other format.
inline X87Register Widen(const Number& number) {
  return Pack<X87Register>({number.kind, number.sign, number.exponent, number.significand});
}

// True if one of the operands has no value or is a NaN: then *result is the instruction's. Of two
// NaNs the one with the larger significand (SDM vol. 1, table 4-7).
X87Register ChooseNan(const Number& a, const Number& b, X87Status* status);
inline bool DeliverNan(const Number& a, const Number& b, X87Status* status, X87Register* result) {
  if (a.kind <= Kind::kInfinity && b.kind <= Kind::kInfinity) [[likely]]
    return false;
  *result = ChooseNan(a, b, status);
  return true;
}
inline bool DeliverNan(const Number& a, X87Status* status, X87Register* result) {
  return DeliverNan(a, a, status, result);
}

// The result of an instruction goes to ST(i), and the stack is popped `pops` times.
inline void Deliver(X87State& x87, const X87Status& status, const X87Register& result, unsigned i,
                    unsigned pops = 0) {
  if (!status.Report(x87)) return;
  SetSt(x87, i, result);
  for (; pops > 0; --pops) Pop(x87);
}

// The result is pushed, also where a denormal operand traps (an AMD family 26 CPU does so). That
// the stack is full comes before all else, but where the operand is missing too.
inline void DeliverPush(X87State& x87, X87Status* status, X87Register result) {
  if (!IsEmpty(x87, 7) && !status->stack_fault) {
    status->raised = 0;
    result = status->StackOverflow();
  }
  status->Report(x87);
  if (!status->traps(kIe)) Push(x87, result);
}

// --- Memory ---

inline bool StoreBytes(Cpu& cpu, uint32_t address, std::span<const uint8_t> bytes) {
  if (!cpu.CheckWrite(address, static_cast<uint32_t>(bytes.size()))) return false;
  for (uint8_t byte : bytes) cpu.Store(address++, byte);
  return true;
}

inline bool LoadBytes(Cpu& cpu, uint32_t address, std::span<uint8_t> bytes) {
  if (!cpu.CheckRead(address, static_cast<uint32_t>(bytes.size()))) return false;
  for (uint8_t& byte : bytes) cpu.Load(address++, &byte);
  return true;
}

inline void PutX87Register(uint8_t* p, const X87Register& reg) {
  PutLittleEndian(p, reg.significand);
  PutLittleEndian(p + 8, reg.sign_exponent);
}

inline X87Register GetX87Register(const uint8_t* p) {
  return {.significand = GetLittleEndian<uint64_t>(p),
          .sign_exponent = GetLittleEndian<uint16_t>(p + 8)};
}

// --- Handlers ---

// Instructions that wait: a pending exception is theirs, before anything else that they could do.
template <Action kAction>
bool Waiting(Cpu& cpu, const Instruction& i) {
  if (cpu.x87().status & kErrorSummary) return cpu.Raise(TrapCause::kX87Error);
  return kAction(cpu, i);
}

// x87 instructions have no operand size.
template <Action kReg, Action kMem = nullptr>
constexpr Family X87() {
  return {.reg = kHandlers<kReg, kReg, kReg>, .mem = kHandlers<kMem, kMem, kMem>};
}

}  // namespace vx

#endif  // VXENGINE_MACHINE_X87_H_
