// x87 arithmetic and comparison.

#include "vxengine/machine/families.h"
#include "vxengine/machine/x87.h"

namespace vx {

X87Register ChooseNan(const Number& a, const Number& b, X87Status* status) {
  if (a.kind == Kind::kUnsupported || b.kind == Kind::kUnsupported) return status->Invalid();
  if (a.kind == Kind::kSignallingNan || b.kind == Kind::kSignallingNan) status->raised |= kIe;
  const Number* chosen = &a;
  if (!a.nan()) {
    chosen = &b;
  } else if (b.nan() && a.kind != b.kind) {
    chosen = a.kind == Kind::kQuietNan ? &a : &b;
  } else if (b.nan()) {
    const bool second =
        a.significand < b.significand || (a.significand == b.significand && a.sign && !b.sign);
    if (second) chosen = &b;
  }
  return Pack<X87Register>(Quiet(*chosen));
}

namespace {

// --- Operations on ST(0) and another operand ---

using Operation = Exact (*)(const Number&, const Number&, X87Status*);

Exact AddOf(const Number& a, const Number& b, X87Status* s) { return Add(a, b, s->rounding); }
Exact MultiplyOf(const Number& a, const Number& b, X87Status*) { return Multiply(a, b); }
Exact SubtractOf(const Number& a, const Number& b, X87Status* s) {
  return Subtract(a, b, s->rounding);
}
Exact DivideOf(const Number& a, const Number& b, X87Status* s) { return Divide(a, b, s); }
template <Operation kOp>
Exact Reverse(const Number& a, const Number& b, X87Status* s) {
  return kOp(b, a, s);
}

template <Operation kOp>
X87Register Compute(const X87State& x87, const Number& a, const Number& b, X87Status* status) {
  X87Register result;
  if (DeliverNan(a, b, status, &result)) return result;
  return Finish(PrecisionOf(x87), kOp(a, b, status), a.denormal || b.denormal, status);
}

// ST(0) and ST(i); the result goes to ST(0), or to ST(i).
template <Operation kOp, bool kToOther, unsigned kPops>
bool WithRegister(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const X87Register result =
      IsEmpty(x87, 0) || IsEmpty(x87, i.rm)
          ? status.StackUnderflow()
          : Compute<kOp>(x87, Unpack(St(x87, 0)), Unpack(St(x87, i.rm)), &status);
  Deliver(x87, status, result, kToOther ? i.rm : 0, kPops);
  return true;
}

// Numbers in memory.
template <typename F>
struct FloatMem {
  static bool Load(Cpu& cpu, const Instruction& i, Number* number) {
    F bits;
    if (!RmMem::Load(cpu, i, &bits)) return false;
    *number = Unpack(bits);
    return true;
  }
};

template <typename T>
struct IntegerMem {
  static bool Load(Cpu& cpu, const Instruction& i, Number* number) {
    T bits;
    if (!RmMem::Load(cpu, i, &bits)) return false;
    *number = FromInteger(static_cast<std::make_signed_t<T>>(bits));
    return true;
  }
};

template <Operation kOp, typename Mem>
bool WithMemory(Cpu& cpu, const Instruction& i) {
  Number operand;
  if (!Mem::Load(cpu, i, &operand)) return false;
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const X87Register result = IsEmpty(x87, 0)
                                 ? status.StackUnderflow()
                                 : Compute<kOp>(x87, Unpack(St(x87, 0)), operand, &status);
  Deliver(x87, status, result, 0);
  return true;
}

// --- Comparison ---

// Also of operands that aren't there: unordered.
Ordering CompareOperands(const Number& a, const Number& b, bool quiet, X87Status* status) {
  const Ordering ordering = Compare(a, b);
  if (ordering == Ordering::kUnordered) {
    const bool only_quiet = a.kind < Kind::kSignallingNan && b.kind < Kind::kSignallingNan;
    if (!quiet || !only_quiet) status->raised |= kIe;
  } else if (a.denormal || b.denormal) {
    status->raised |= kDe;
  }
  return ordering;
}

uint16_t ConditionOf(Ordering ordering) {
  switch (ordering) {
    case Ordering::kLess:
      return kC0;
    case Ordering::kEqual:
      return kC3;
    case Ordering::kGreater:
      return 0;
    case Ordering::kUnordered:
      break;
  }
  return kC3 | kC2 | kC0;
}

void SetCondition(X87State& x87, unsigned which, unsigned condition) {
  x87.status = static_cast<uint16_t>((x87.status & ~which) | condition);
}

// Shows the ordering, in C0-C3 or in CF PF ZF, even where it traps; then nothing is popped.
using Show = bool (*)(Cpu&, const X87Status&, Ordering);

bool ShowInStatus(Cpu& cpu, const X87Status& status, Ordering ordering) {
  SetCondition(cpu.x87(), kC0 | kC2 | kC3, ConditionOf(ordering));
  return status.Report(cpu.x87());
}

bool ShowInFlags(Cpu& cpu, const X87Status& status, Ordering ordering) {
  cpu.flags.Set(FlagsOf(ordering));
  return status.ReportButC1(cpu.x87());
}

template <Show kShow>
void FinishCompare(Cpu& cpu, const X87Status& status, Ordering ordering, unsigned pops) {
  if (!kShow(cpu, status, ordering)) return;
  for (; pops > 0; --pops) Pop(cpu.x87());
}

template <bool kQuiet, unsigned kPops, Show kShow = ShowInStatus>
bool CompareRegister(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  Ordering ordering = Ordering::kUnordered;
  if (IsEmpty(x87, 0) || IsEmpty(x87, i.rm)) {
    status.StackUnderflow();
  } else {
    ordering = CompareOperands(Unpack(St(x87, 0)), Unpack(St(x87, i.rm)), kQuiet, &status);
  }
  FinishCompare<kShow>(cpu, status, ordering, kPops);
  return true;
}

void CompareWith(Cpu& cpu, const Number& operand, unsigned pops) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  Ordering ordering = Ordering::kUnordered;
  if (IsEmpty(x87, 0)) {
    status.StackUnderflow();
  } else {
    ordering = CompareOperands(Unpack(St(x87, 0)), operand, false, &status);
  }
  FinishCompare<ShowInStatus>(cpu, status, ordering, pops);
}

template <typename Mem, unsigned kPops>
bool CompareMemory(Cpu& cpu, const Instruction& i) {
  Number operand;
  if (!Mem::Load(cpu, i, &operand)) return false;
  CompareWith(cpu, operand, kPops);
  return true;
}

bool Ftst(Cpu& cpu, const Instruction&) {
  CompareWith(cpu, Number(), 0);
  return true;
}

bool Fxam(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  const X87Register& st0 = St(x87, 0);
  unsigned condition = st0.sign_exponent >> 15 != 0 ? kC1 : 0;
  if (IsEmpty(x87, 0)) {
    condition |= kC3 | kC0;
  } else {
    const Number number = Unpack(st0);
    switch (number.kind) {
      case Kind::kFinite:
        condition |= number.denormal ? kC3 | kC2 : kC2;
        break;
      case Kind::kZero:
        condition |= kC3;
        break;
      case Kind::kInfinity:
        condition |= kC2 | kC0;
        break;
      case Kind::kQuietNan:
      case Kind::kSignallingNan:
        condition |= kC0;
        break;
      case Kind::kUnsupported:
        break;
    }
  }
  SetCondition(x87, kC0 | kC1 | kC2 | kC3, condition);
  return true;
}

// --- Operations on ST(0) ---

// ST(0) = kOp(ST(0)).
template <X87Register (*kOp)(const X87State&, const X87Register&, X87Status*)>
bool OnTop(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const X87Register result =
      IsEmpty(x87, 0) ? status.StackUnderflow() : kOp(x87, St(x87, 0), &status);
  Deliver(x87, status, result, 0);
  return true;
}

X87Register ChangeSign(const X87State&, const X87Register& st0, X87Status*) {
  return {st0.significand, static_cast<uint16_t>(st0.sign_exponent ^ 0x8000)};
}

X87Register Absolute(const X87State&, const X87Register& st0, X87Status*) {
  return {st0.significand, static_cast<uint16_t>(st0.sign_exponent & 0x7fff)};
}

X87Register Sqrt(const X87State& x87, const X87Register& st0, X87Status* status) {
  const Number a = Unpack(st0);
  X87Register result;
  if (DeliverNan(a, status, &result)) return result;
  return Finish(PrecisionOf(x87), SquareRoot(a), a.denormal, status);
}

X87Register RoundToIntegral(const X87State&, const X87Register& st0, X87Status* status) {
  const Number a = Unpack(st0);
  X87Register result;
  if (DeliverNan(a, status, &result)) return result;
  if (!a.finite() || a.exponent >= 63) return st0;
  if (a.denormal) status->raised |= kDe;
  if (status->traps(kBeforeResult)) return st0;
  const Integer integer = RoundToInteger(a, status->rounding);
  if (integer.inexact) status->raised |= kPe;
  status->rounded_up = integer.up;
  return Widen(Normalize(a.sign, 63, integer.magnitude));
}

// --- ST(0) and ST(1) ---

// ST(0) = kOp(ST(0), ST(1))
template <X87Register (*kOp)(X87State&, const Number&, const Number&, X87Status*)>
bool OnTopTwo(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  X87Register result;
  if (IsEmpty(x87, 0) || IsEmpty(x87, 1)) {
    result = status.StackUnderflow();
  } else {
    const Number a = Unpack(St(x87, 0)), b = Unpack(St(x87, 1));
    if (!DeliverNan(a, b, &status, &result)) result = kOp(x87, a, b, &status);
  }
  Deliver(x87, status, result, 0);
  return true;
}

// ST(0) times 2 to the integer part of ST(1).
X87Register Scale(X87State&, const Number& a, const Number& b, X87Status* status) {
  const bool denormal = a.denormal || b.denormal;
  Exact exact = ToExact(a);
  if (b.infinity()) {
    if (b.sign ? a.infinity() : a.zero()) return status->Invalid();
    if (!a.zero() && !a.infinity()) exact.kind = b.sign ? Kind::kZero : Kind::kInfinity;
  } else if (b.finite() && b.exponent >= 0) {
    constexpr int kEnough = 16;  // bits of a scale that takes any number out of range
    const int32_t by = b.exponent < kEnough
                           ? static_cast<int32_t>(b.significand >> (63 - b.exponent))
                           : 1 << kEnough;
    exact.exponent += b.sign ? -by : by;
  }
  return FinishFarOut(exact, denormal, status);
}

// The remainder of ST(0) by ST(1). The quotient is truncated (FPREM) or rounded to nearest
// (FPREM1); its last three bits go to C0, C3 and C1. A difference of exponents of 64 or more isn't
// reduced all at once: then C2 is 1.
template <bool kNearest>
X87Register Remainder(X87State& x87, const Number& a, const Number& b, X87Status* status) {
  if (a.infinity() || b.zero()) return status->Invalid();
  const bool denormal = a.denormal || b.denormal;
  const int32_t difference = a.exponent - b.exponent;
  if (a.zero() || b.infinity() || difference < (kNearest ? -1 : 0)) {
    const X87Register result = Finish(kExtended, ToExact(a), denormal, status);
    if (!status->traps(kBeforeResult)) SetCondition(x87, kC0 | kC3, 0);
    return result;
  }
  const bool partial = difference >= 64;
  const int32_t bits = partial ? 32 + difference % 32 : difference;
  uint64_t quotient = 0, remainder = a.significand;
  int32_t exponent = b.exponent + difference - bits;
  bool sign = a.sign;
  if (difference >= 0) {
    const bool once = remainder >= b.significand;
    if (once) remainder -= b.significand;
    if (bits > 0) {
      quotient =
          DivideWide({remainder >> (64 - bits), remainder << bits}, b.significand, &remainder);
    }
    if (once) quotient |= uint64_t{1} << bits;
  } else {
    exponent = a.exponent;  // half of ST(1), or more
  }
  if (kNearest && !partial) {
    // Against what is left of ST(1) / 2.
    const uint64_t divisor = b.significand;
    bool up;
    if (difference < 0) {
      up = remainder > divisor;
      if (up) {
        // a - b, at a's exponent: b is twice its significand there.
        remainder = (divisor - remainder) + divisor;
      }
    } else {
      const uint64_t rest = divisor - remainder;
      up = remainder > rest || (remainder == rest && (quotient & 1) != 0);
      if (up) remainder = rest;
    }
    if (up) {
      sign = !sign;
      ++quotient;
    }
  }
  Exact exact = ToExact(Normalize(sign, exponent, remainder));
  if (exact.kind == Kind::kZero) exact.sign = a.sign;
  const X87Register result = Finish(kExtended, exact, denormal, status);
  if (status->traps(kBeforeResult)) return result;
  if (partial) {
    SetCondition(x87, kC0 | kC2 | kC3, kC2);
  } else {
    SetCondition(x87, kC0 | kC3, (quotient & 4 ? kC0 : 0) | (quotient & 2 ? kC3 : 0));
    status->rounded_up = (quotient & 1) != 0;
  }
  return result;
}

template <bool kNearest>
bool Fprem(Cpu& cpu, const Instruction& i) {
  SetCondition(cpu.x87(), kC2, 0);
  return OnTopTwo<Remainder<kNearest>>(cpu, i);
}

// Exponent and significand of ST(0), which the first replaces and the second is pushed on.
bool Fxtract(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  X87Register exponent, significand;
  if (IsEmpty(x87, 0)) {
    exponent = significand = status.StackUnderflow();
  } else if (!IsEmpty(x87, 7)) {
    exponent = significand = status.StackOverflow();
  } else {
    const Number a = Unpack(St(x87, 0));
    if (DeliverNan(a, &status, &significand)) {
      exponent = significand;
    } else {
      Exact log = ToExact(a), rest = ToExact(a);
      if (a.zero()) {
        status.raised |= kZe;
        log = {.kind = Kind::kInfinity, .sign = true};
      } else if (a.infinity()) {
        log.sign = false;
      } else {
        log = ToExact(FromInteger(a.exponent));
        rest.exponent = 0;
      }
      exponent = Finish(kExtended, log, a.denormal, &status);
      significand = Finish(kExtended, rest, a.denormal, &status);
    }
  }
  if (!status.Report(x87)) return true;
  SetSt(x87, 0, exponent);
  Push(x87, significand);
  return true;
}

// --- Families ---

constexpr bool kQuiet = true, kSignalling = false;

template <bool kToOther, unsigned kPops, Action kCompare = nullptr, Action kCompareAndPop = nullptr>
constexpr std::array<Family, 8> WithRegisters() {
  return {X87<Waiting<WithRegister<AddOf, kToOther, kPops>>>(),
          X87<Waiting<WithRegister<MultiplyOf, kToOther, kPops>>>(),
          X87<kCompare>(),
          X87<kCompareAndPop>(),
          X87<Waiting<WithRegister<SubtractOf, kToOther, kPops>>>(),
          X87<Waiting<WithRegister<Reverse<SubtractOf>, kToOther, kPops>>>(),
          X87<Waiting<WithRegister<DivideOf, kToOther, kPops>>>(),
          X87<Waiting<WithRegister<Reverse<DivideOf>, kToOther, kPops>>>()};
}

template <typename Mem>
constexpr std::array<Family, 8> WithMemories() {
  return {X87<nullptr, Waiting<WithMemory<AddOf, Mem>>>(),
          X87<nullptr, Waiting<WithMemory<MultiplyOf, Mem>>>(),
          X87<nullptr, Waiting<CompareMemory<Mem, 0>>>(),
          X87<nullptr, Waiting<CompareMemory<Mem, 1>>>(),
          X87<nullptr, Waiting<WithMemory<SubtractOf, Mem>>>(),
          X87<nullptr, Waiting<WithMemory<Reverse<SubtractOf>, Mem>>>(),
          X87<nullptr, Waiting<WithMemory<DivideOf, Mem>>>(),
          X87<nullptr, Waiting<WithMemory<Reverse<DivideOf>, Mem>>>()};
}

}  // namespace

constinit const std::array<Family, 8> kX87ToTop =
    WithRegisters<false, 0, Waiting<CompareRegister<kSignalling, 0>>,
                  Waiting<CompareRegister<kSignalling, 1>>>();
constinit const std::array<Family, 8> kX87ToOther = WithRegisters<true, 0>();
constinit const std::array<Family, 8> kX87ToOtherAndPop = WithRegisters<true, 1>();
constinit const std::array<Family, 8> kX87WithFloat32 = WithMemories<FloatMem<uint32_t>>();
constinit const std::array<Family, 8> kX87WithFloat64 = WithMemories<FloatMem<uint64_t>>();
constinit const std::array<Family, 8> kX87WithInt16 = WithMemories<IntegerMem<uint16_t>>();
constinit const std::array<Family, 8> kX87WithInt32 = WithMemories<IntegerMem<uint32_t>>();
constinit const Family kFucom = X87<Waiting<CompareRegister<kQuiet, 0>>>();
constinit const Family kFucomp = X87<Waiting<CompareRegister<kQuiet, 1>>>();
constinit const Family kFucompp = X87<Waiting<CompareRegister<kQuiet, 2>>>();
constinit const Family kFcompp = X87<Waiting<CompareRegister<kSignalling, 2>>>();
constinit const Family kFcomi = X87<Waiting<CompareRegister<kSignalling, 0, ShowInFlags>>>();
constinit const Family kFcomip = X87<Waiting<CompareRegister<kSignalling, 1, ShowInFlags>>>();
constinit const Family kFucomi = X87<Waiting<CompareRegister<kQuiet, 0, ShowInFlags>>>();
constinit const Family kFucomip = X87<Waiting<CompareRegister<kQuiet, 1, ShowInFlags>>>();
constinit const Family kFtst = X87<Waiting<Ftst>>();
constinit const Family kFxam = X87<Waiting<Fxam>>();
constinit const Family kFchs = X87<Waiting<OnTop<ChangeSign>>>();
constinit const Family kFabs = X87<Waiting<OnTop<Absolute>>>();
constinit const Family kFsqrt = X87<Waiting<OnTop<Sqrt>>>();
constinit const Family kFrndint = X87<Waiting<OnTop<RoundToIntegral>>>();
constinit const Family kFscale = X87<Waiting<OnTopTwo<Scale>>>();
constinit const Family kFprem = X87<Waiting<Fprem<false>>>();
constinit const Family kFprem1 = X87<Waiting<Fprem<true>>>();
constinit const Family kFxtract = X87<Waiting<Fxtract>>();

}  // namespace vx
