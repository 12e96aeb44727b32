// Floating-point arithmetic of SSE and SSE2 (Intel SDM vol. 1, chapters 10.4, 11.4, 11.5).

#include <algorithm>

#include "vxengine/machine/families.h"
#include "vxengine/machine/simd.h"
#include "vxengine/machine/soft_float.h"

namespace vx {
namespace {

// Of MXCSR, beside exceptions and their masks.
constexpr uint32_t kDenormalsAreZero = 1u << 6, kPrecisionMask = 1u << 12,
                   kRoundingControl = 3u << 13, kFlushToZero = 1u << 15;

struct SseStatus : FloatStatus {
  explicit SseStatus(uint32_t mxcsr)
      : FloatStatus{.rounding = static_cast<Rounding>(mxcsr >> 13 & 3),
                    .masks = static_cast<uint8_t>(mxcsr >> 7 & kFloatExceptions),
                    .flush_to_zero = (mxcsr & kFlushToZero) != 0},
        denormals_are_zero((mxcsr & kDenormalsAreZero) != 0) {}

  bool denormals_are_zero;
};

// The instruction's flags go to MXCSR, whether it traps or not. Where a lane traps before there is
// a result, no lane has come to one (SDM vol. 1, 11.5.3). False: it traps.
bool Report(Cpu& cpu, const SseStatus& status) {
  cpu.mxcsr() |= status.traps(kBeforeResult) ? status.raised & kBeforeResult : status.raised;
  return !status.traps(kFloatExceptions) || cpu.Raise(TrapCause::kSimdError);
}

template <typename F>
Number Operand(F bits, const SseStatus& status) {
  Number number = Unpack(bits);
  if (number.denormal && status.denormals_are_zero) [[unlikely]] {
    return {.kind = Kind::kZero, .sign = number.sign};
  }
  return number;
}

template <typename F>
F Invalid(SseStatus* status) {
  status->raised |= kIe;
  return FloatLayout<F>::kDefaultNan;
}

// The first operand that is a NaN, made quiet.
template <typename F>
F DeliverNan(F a, const Number& x, F b, const Number& y, SseStatus* status) {
  if (x.kind == Kind::kSignallingNan || y.kind == Kind::kSignallingNan) status->raised |= kIe;
  return (x.nan() ? a : b) | FloatLayout<F>::kQuiet;
}

// Rounds, unless what was raised before traps.
template <typename F>
F Finish(const Exact& exact, bool denormal, SseStatus* status) {
  if (exact.kind == Kind::kUnsupported) return Invalid<F>(status);
  if (denormal && !(status->raised & kZe)) status->raised |= kDe;
  if (status->traps(kBeforeResult)) return 0;
  return RoundTo<F>(exact, status);
}

// The operations. Plain is for finite numbers, and false where Do has to do it.
struct AddOp {
  static bool Plain(const Number& a, const Number& b, Exact* r) { return PlainSum(a, b, r); }
  static Exact Do(const Number& a, const Number& b, SseStatus* s) { return Add(a, b, s->rounding); }
};

struct SubtractOp {
  static bool Plain(const Number& a, Number b, Exact* r) {
    b.sign = !b.sign;
    return PlainSum(a, b, r);
  }
  static Exact Do(const Number& a, const Number& b, SseStatus* s) {
    return Subtract(a, b, s->rounding);
  }
};

struct MultiplyOp {
  static bool Plain(const Number& a, const Number& b, Exact* r) {
    *r = PlainProduct(a, b);
    return true;
  }
  static Exact Do(const Number& a, const Number& b, SseStatus*) { return Multiply(a, b); }
};

struct DivideOp {
  static bool Plain(const Number& a, const Number& b, Exact* r) {
    FloatStatus status;
    *r = Divide(a, b, &status);
    return true;
  }
  static Exact Do(const Number& a, const Number& b, SseStatus* s) { return Divide(a, b, s); }
};

template <typename F, typename Op>
F Arithmetic(F a, F b, SseStatus* status) {
  const Number x = Operand(a, *status), y = Operand(b, *status);
  if (x.nan() || y.nan()) return DeliverNan(a, x, b, y, status);
  return Finish<F>(Op::Do(x, y, status), x.denormal || y.denormal, status);
}

// The same, and MXCSR's flags, for what most operations are: of normal numbers, with a normal
// result, rounded to the nearest. It can only be inexact. False: it isn't one of those, and nothing
// has been done.
template <typename F, typename Op>
[[gnu::always_inline]] inline bool PlainArithmetic(F a, F b, uint32_t* mxcsr, F* result) {
  const bool plain = (*mxcsr & (kRoundingControl | kPrecisionMask)) == kPrecisionMask;
  if (!plain || !IsNormal(a) || !IsNormal(b)) return false;
  Exact exact;
  FloatStatus status;
  if (!Op::Plain(UnpackNormal(a), UnpackNormal(b), &exact)) return false;
  if (!RoundNormal(exact, result, &status)) return false;
  *mxcsr |= status.raised;
  return true;
}

template <typename F>
F Sqrt(F, F b, SseStatus* status) {
  const Number y = Operand(b, *status);
  if (y.nan()) return DeliverNan(b, y, b, y, status);
  return Finish<F>(SquareRoot(y), y.denormal, status);
}

// Bits of an operand as a result has them.
template <typename F>
F Same(F bits, const Number& number) {
  return number.zero() ? bits & FloatLayout<F>::kSign : bits;
}

// The second operand, if it isn't clear that the first one is the one: where there are NaNs, which
// are invalid here even if quiet, or where both are zero.
template <typename F, Ordering kFirst>
F Select(F a, F b, SseStatus* status) {
  const Number x = Operand(a, *status), y = Operand(b, *status);
  const Ordering ordering = Compare(x, y);
  if (ordering == Ordering::kUnordered) {
    status->raised |= kIe;
  } else if (x.denormal || y.denormal) {
    status->raised |= kDe;
  }
  return ordering == kFirst ? Same(a, x) : Same(b, y);
}

// Raises what a comparison does. `quiet`: quiet NaNs are no exception.
template <typename F>
Ordering CompareOperands(F a, F b, bool quiet, SseStatus* status) {
  const Number x = Operand(a, *status), y = Operand(b, *status);
  const Ordering ordering = Compare(x, y);
  if (ordering == Ordering::kUnordered) {
    const bool signals = x.kind == Kind::kSignallingNan || y.kind == Kind::kSignallingNan;
    if (signals || !quiet) status->raised |= kIe;
  } else if (x.denormal || y.denormal) {
    status->raised |= kDe;
  }
  return ordering;
}

// CMPPS and its kin: all ones where the predicate holds: EQ LT LE UNORD, and 4 more their opposite.
template <typename F>
F CompareMask(F a, F b, unsigned predicate, SseStatus* status) {
  const unsigned base = predicate & 3;
  const Ordering ordering = CompareOperands(a, b, base == 0 || base == 3, status);
  bool holds = false;
  switch (base) {
    case 0:
      holds = ordering == Ordering::kEqual;
      break;
    case 1:
      holds = ordering == Ordering::kLess;
      break;
    case 2:
      holds = ordering == Ordering::kLess || ordering == Ordering::kEqual;
      break;
    default:
      holds = ordering == Ordering::kUnordered;
  }
  return holds != ((predicate & 4) != 0) ? ~F{0} : F{0};
}

// --- Conversions ---

template <typename To, typename From>
To ConvertFloat(From bits, SseStatus* status) {
  const Number x = Operand(bits, *status);
  if (x.nan()) {
    if (x.kind == Kind::kSignallingNan) status->raised |= kIe;
    return Pack<To>(Quiet(x));
  }
  return Finish<To>(ToExact(x), x.denormal, status);
}

template <typename To>
To ConvertInteger(int32_t value, SseStatus* status) {
  return Finish<To>(ToExact(FromInteger(value)), false, status);
}

template <typename From, bool kTruncate>
uint32_t ConvertToInteger(From bits, SseStatus* status) {
  int32_t result;
  const Rounding mode = kTruncate ? Rounding::kTruncate : status->rounding;
  if (ToSigned(Operand(bits, *status), mode, status, &result)) return static_cast<uint32_t>(result);
  status->raised |= kIe;
  return 0x80000000;  // the integer indefinite
}

// --- Operands ---

// The lowest lane of ModRM.rm.
struct XmmLane {
  template <typename F>
  static bool Load(Cpu& cpu, const Instruction& i, F* value) {
    *value = static_cast<F>(cpu.xmm()[i.rm].lane[0]);
    return true;
  }
};

struct XmmWhole {
  static bool Load(Cpu& cpu, const Instruction& i, Xmm* value) {
    *value = cpu.xmm()[i.rm];
    return true;
  }
};

struct AlignedMem {
  static bool Load(Cpu& cpu, const Instruction& i, Xmm* value) {
    return LoadAligned(cpu, EffectiveAddress(cpu, i), value);
  }
};

template <typename F>
void SetLowest(Xmm& xmm, F value) {
  if constexpr (sizeof(F) == 8) {
    xmm.lane[0] = value;
  } else {
    xmm.lane[0] = (xmm.lane[0] & 0xffffffff00000000) | value;
  }
}

// For all lanes, whose flags come together.
template <typename F, typename Source, typename Op>
bool DoPacked(Cpu& cpu, const Instruction& i, Op op) {
  Xmm source;
  if (!Source::Load(cpu, i, &source)) return false;
  SseStatus all(cpu.mxcsr());
  const Lanes<F> x = Split<F>(cpu.xmm()[i.reg]), y = Split<F>(source);
  Lanes<F> r;
  for (unsigned n = 0; n < r.size(); ++n) {
    SseStatus lane = all;
    lane.raised = 0;
    r[n] = op(x[n], y[n], &lane);
    all.raised |= lane.raised;
  }
  if (!Report(cpu, all)) return false;
  cpu.xmm()[i.reg] = Join<F>(r);
  return true;
}

template <typename F, typename Source, typename Op>
bool DoScalar(Cpu& cpu, const Instruction& i, Op op) {
  F source;
  if (!Source::Load(cpu, i, &source)) return false;
  SseStatus status(cpu.mxcsr());
  Xmm& xmm = cpu.xmm()[i.reg];
  const F result = op(static_cast<F>(xmm.lane[0]), source, &status);
  if (!Report(cpu, status)) return false;
  SetLowest(xmm, result);
  return true;
}

template <typename F, F (*kOp)(F, F, SseStatus*), typename Source>
bool Packed(Cpu& cpu, const Instruction& i) {
  return DoPacked<F, Source>(cpu, i, [](F a, F b, SseStatus* s) { return kOp(a, b, s); });
}

template <typename F, F (*kOp)(F, F, SseStatus*), typename Source>
bool Scalar(Cpu& cpu, const Instruction& i) {
  return DoScalar<F, Source>(cpu, i, [](F a, F b, SseStatus* s) { return kOp(a, b, s); });
}

template <typename F, typename Op, typename Source>
bool PlainScalar(Cpu& cpu, const Instruction& i) {
  F source, result;
  if (!Source::Load(cpu, i, &source)) return false;
  Xmm& xmm = cpu.xmm()[i.reg];
  const F first = static_cast<F>(xmm.lane[0]);
  if (!PlainArithmetic<F, Op>(first, source, &cpu.mxcsr(), &result)) return false;
  SetLowest(xmm, result);
  return true;
}

template <typename F, typename Source>
bool PackedCompare(Cpu& cpu, const Instruction& i) {
  return DoPacked<F, Source>(
      cpu, i, [&](F a, F b, SseStatus* s) { return CompareMask(a, b, i.immediate & 7, s); });
}

template <typename F, typename Source>
bool ScalarCompare(Cpu& cpu, const Instruction& i) {
  return DoScalar<F, Source>(
      cpu, i, [&](F a, F b, SseStatus* s) { return CompareMask(a, b, i.immediate & 7, s); });
}

// COMIS and UCOMIS.
template <typename F, bool kQuiet, typename Source>
bool CompareToFlags(Cpu& cpu, const Instruction& i) {
  F source;
  if (!Source::Load(cpu, i, &source)) return false;
  SseStatus status(cpu.mxcsr());
  const F first = static_cast<F>(cpu.xmm()[i.reg].lane[0]);
  const Ordering ordering = CompareOperands(first, source, kQuiet, &status);
  if (!Report(cpu, status)) return false;
  cpu.flags.Set(FlagsOf(ordering));
  return true;
}

template <typename To, typename From, typename Source>
bool ConvertScalar(Cpu& cpu, const Instruction& i) {
  From source;
  if (!Source::Load(cpu, i, &source)) return false;
  SseStatus status(cpu.mxcsr());
  const To result = ConvertFloat<To>(source, &status);
  if (!Report(cpu, status)) return false;
  SetLowest(cpu.xmm()[i.reg], result);
  return true;
}

template <typename To, typename Source>
bool ConvertFromGpr(Cpu& cpu, const Instruction& i) {
  uint32_t source;
  if (!Source::Load(cpu, i, &source)) return false;
  SseStatus status(cpu.mxcsr());
  const To result = ConvertInteger<To>(static_cast<int32_t>(source), &status);
  if (!Report(cpu, status)) return false;
  SetLowest(cpu.xmm()[i.reg], result);
  return true;
}

template <typename From, bool kTruncate, typename Source>
bool ConvertToGpr(Cpu& cpu, const Instruction& i) {
  From source;
  if (!Source::Load(cpu, i, &source)) return false;
  SseStatus status(cpu.mxcsr());
  const uint32_t result = ConvertToInteger<From, kTruncate>(source, &status);
  if (!Report(cpu, status)) return false;
  cpu.gpr[i.reg] = result;
  return true;
}

// Lanes of one size to as many of another: what the wider side has.
template <typename To, typename From, To (*kConvert)(From, SseStatus*)>
bool ConvertLanes(Cpu& cpu, const Instruction& i, const Xmm& source) {
  SseStatus status(cpu.mxcsr());
  const Lanes<From> from = Split<From>(source);
  Lanes<To> to{};
  for (unsigned n = 0; n < std::min(from.size(), to.size()); ++n) {
    to[n] = kConvert(from[n], &status);
  }
  if (!Report(cpu, status)) return false;
  cpu.xmm()[i.reg] = Join<To>(to);
  return true;
}

template <typename To, typename From, To (*kConvert)(From, SseStatus*), typename Source>
bool ConvertPacked(Cpu& cpu, const Instruction& i) {
  Xmm source;
  return Source::Load(cpu, i, &source) && ConvertLanes<To, From, kConvert>(cpu, i, source);
}

// From the lower half of a register, or 64 bits of memory.
template <typename To, typename From, To (*kConvert)(From, SseStatus*), typename Source>
bool ConvertHalf(Cpu& cpu, const Instruction& i) {
  uint64_t source;
  return Source::Load(cpu, i, &source) &&
         ConvertLanes<To, From, kConvert>(cpu, i, Xmm{{source, 0}});
}

template <typename To>
To ConvertSigned(uint32_t value, SseStatus* status) {
  return ConvertInteger<To>(static_cast<int32_t>(value), status);
}

// --- Families ---

using F32 = uint32_t;
using F64 = uint64_t;

template <typename F, F (*kOp)(F, F, SseStatus*)>
constexpr Family PackedFamily() {
  return Sse<Packed<F, kOp, XmmWhole>, Packed<F, kOp, AlignedMem>>();
}

template <typename F, F (*kOp)(F, F, SseStatus*)>
constexpr Family ScalarFamily() {
  return Sse<Scalar<F, kOp, XmmLane>, Scalar<F, kOp, RmMem>>();
}

template <typename To, typename From, To (*kConvert)(From, SseStatus*)>
constexpr Family ConvertFamily() {
  return Sse<ConvertPacked<To, From, kConvert, XmmWhole>,
             ConvertPacked<To, From, kConvert, AlignedMem>>();
}

template <typename To, typename From, To (*kConvert)(From, SseStatus*)>
constexpr Family ConvertHalfFamily() {
  return Sse<ConvertHalf<To, From, kConvert, XmmLane>, ConvertHalf<To, From, kConvert, RmMem>>();
}

template <typename From, bool kTruncate>
constexpr Family ToGprFamily() {
  return Sse<ConvertToGpr<From, kTruncate, XmmLane>, ConvertToGpr<From, kTruncate, RmMem>>();
}

// By mandatory prefix: none, 66, F3, F2.
template <template <typename> typename Op>
constexpr std::array<Family, 4> AllForms() {
  return {PackedFamily<F32, Op<F32>::Do>(), PackedFamily<F64, Op<F64>::Do>(),
          ScalarFamily<F32, Op<F32>::Do>(), ScalarFamily<F64, Op<F64>::Do>()};
}

template <typename F, typename Op>
constexpr Family ScalarArithmeticFamily() {
  constexpr auto kDo = Arithmetic<F, Op>;
  return SseHandlers<
      ThreadQuick<PlainScalar<F, Op, XmmLane>, Thread<Scalar<F, kDo, XmmLane>>>,
      ThreadQuick<PlainScalar<F, Op, Quick<RmMem>>, Thread<Scalar<F, kDo, RmMem>>>>();
}

template <typename Op>
constexpr std::array<Family, 4> ArithmeticForms() {
  return {PackedFamily<F32, Arithmetic<F32, Op>>(), PackedFamily<F64, Arithmetic<F64, Op>>(),
          ScalarArithmeticFamily<F32, Op>(), ScalarArithmeticFamily<F64, Op>()};
}

template <typename F>
struct MinOp {
  static constexpr auto Do = Select<F, Ordering::kLess>;
};
template <typename F>
struct MaxOp {
  static constexpr auto Do = Select<F, Ordering::kGreater>;
};
template <typename F>
struct SqrtOp {
  static constexpr auto Do = Sqrt<F>;
};

}  // namespace

constinit const std::array<Family, 4> kSseAdd = ArithmeticForms<AddOp>();
constinit const std::array<Family, 4> kSseSub = ArithmeticForms<SubtractOp>();
constinit const std::array<Family, 4> kSseMul = ArithmeticForms<MultiplyOp>();
constinit const std::array<Family, 4> kSseDiv = ArithmeticForms<DivideOp>();
constinit const std::array<Family, 4> kSseMin = AllForms<MinOp>();
constinit const std::array<Family, 4> kSseMax = AllForms<MaxOp>();
constinit const std::array<Family, 4> kSseSqrt = AllForms<SqrtOp>();
constinit const std::array<Family, 4> kSseCmp = {
    Sse<PackedCompare<F32, XmmWhole>, PackedCompare<F32, AlignedMem>>(),
    Sse<PackedCompare<F64, XmmWhole>, PackedCompare<F64, AlignedMem>>(),
    Sse<ScalarCompare<F32, XmmLane>, ScalarCompare<F32, RmMem>>(),
    Sse<ScalarCompare<F64, XmmLane>, ScalarCompare<F64, RmMem>>()};
constinit const Family kUcomiss =
    Sse<CompareToFlags<F32, true, XmmLane>, CompareToFlags<F32, true, RmMem>>();
constinit const Family kUcomisd =
    Sse<CompareToFlags<F64, true, XmmLane>, CompareToFlags<F64, true, RmMem>>();
constinit const Family kComiss =
    Sse<CompareToFlags<F32, false, XmmLane>, CompareToFlags<F32, false, RmMem>>();
constinit const Family kComisd =
    Sse<CompareToFlags<F64, false, XmmLane>, CompareToFlags<F64, false, RmMem>>();
constinit const Family kCvtsi2ss = Sse<ConvertFromGpr<F32, RmReg>, ConvertFromGpr<F32, RmMem>>();
constinit const Family kCvtsi2sd = Sse<ConvertFromGpr<F64, RmReg>, ConvertFromGpr<F64, RmMem>>();
constinit const Family kCvtss2si = ToGprFamily<F32, false>();
constinit const Family kCvtsd2si = ToGprFamily<F64, false>();
constinit const Family kCvttss2si = ToGprFamily<F32, true>();
constinit const Family kCvttsd2si = ToGprFamily<F64, true>();
constinit const Family kCvtss2sd =
    Sse<ConvertScalar<F64, F32, XmmLane>, ConvertScalar<F64, F32, RmMem>>();
constinit const Family kCvtsd2ss =
    Sse<ConvertScalar<F32, F64, XmmLane>, ConvertScalar<F32, F64, RmMem>>();
constinit const Family kCvtps2pd = ConvertHalfFamily<F64, F32, ConvertFloat<F64, F32>>();
constinit const Family kCvtpd2ps = ConvertFamily<F32, F64, ConvertFloat<F32, F64>>();
constinit const Family kCvtdq2ps = ConvertFamily<F32, uint32_t, ConvertSigned<F32>>();
constinit const Family kCvtdq2pd = ConvertHalfFamily<F64, uint32_t, ConvertSigned<F64>>();
constinit const Family kCvtps2dq = ConvertFamily<uint32_t, F32, ConvertToInteger<F32, false>>();
constinit const Family kCvttps2dq = ConvertFamily<uint32_t, F32, ConvertToInteger<F32, true>>();
constinit const Family kCvtpd2dq = ConvertFamily<uint32_t, F64, ConvertToInteger<F64, false>>();
constinit const Family kCvttpd2dq = ConvertFamily<uint32_t, F64, ConvertToInteger<F64, true>>();

}  // namespace vx
