// Floating point made of integers: the formats, exact operations, and rounding (IEEE 754; Intel SDM
// vol. 1, chapter 4 and 8.5, 11.5). What SSE and x87 do each in its own way, above all with NaNs,
// is theirs: sse_float.cc, x87_arithmetic.cc.
//
//     bits ─ Unpack ─► Number ─ Add, Multiply, ... ─► Exact ─ Round ─► Rounded ─ Pack ─► bits
//
// A binary32 is a uint32_t here, a binary64 a uint64_t, the 80-bit format an X87Register.
#ifndef VXENGINE_MACHINE_SOFT_FLOAT_H_
#define VXENGINE_MACHINE_SOFT_FLOAT_H_

#include <bit>
#include <cstdint>

#include "vxengine/machine/outcome.h"

namespace vx {

// Exceptions, at the places where both MXCSR and x87's status word have their flags.
enum FloatException : uint8_t {
  kIe = 1 << 0,  // invalid operation
  kDe = 1 << 1,  // denormal operand
  kZe = 1 << 2,  // division by zero
  kOe = 1 << 3,  // overflow
  kUe = 1 << 4,  // underflow
  kPe = 1 << 5,  // inexact result
};
inline constexpr uint8_t kFloatExceptions = 0x3f;
// Those that are found before there is a result. If one of them traps there won't be one.
inline constexpr uint8_t kBeforeResult = kIe | kDe | kZe;

// As RC encodes it.
enum class Rounding : uint8_t { kNearest, kDown, kUp, kTruncate };

// How to round, and what came of it.
struct FloatStatus {
  Rounding rounding = Rounding::kNearest;
  uint8_t masks = kFloatExceptions;  // exceptions that don't trap
  bool flush_to_zero = false;        // MXCSR's FTZ
  uint8_t raised = 0;                // exceptions so far
  bool rounded_up = false;           // the last result is greater in magnitude than the exact one

  // True if any of the exceptions has been raised and isn't masked.
  bool traps(uint8_t exceptions) const { return (raised & ~masks & exceptions) != 0; }
};

// A format that results are rounded to. Exponents are of numbers 1.xxx · 2^exponent.
struct Format {
  int precision;  // bits of significand
  int min_exponent, max_exponent;
  int adjustment;  // of the exponent, where x87 delivers a result that is out of range
};
inline constexpr Format kBinary32 = {24, -126, 127, 192};
inline constexpr Format kBinary64 = {53, -1022, 1023, 1536};
inline constexpr Format kExtended = {64, -16382, 16383, 24576};

inline constexpr uint64_t kTopBit = uint64_t{1} << 63;
inline constexpr uint64_t kQuietBit = uint64_t{1} << 62;  // of a NaN's significand

enum class Kind : uint8_t {
  kFinite,
  kZero,
  kInfinity,
  kQuietNan,
  kSignallingNan,
  kUnsupported,  // an encoding of the 80-bit format that is none of them (SDM vol. 1, 8.2.2)
};

// A value of any of the formats.
struct Number {
  Kind kind = Kind::kZero;
  bool sign = false;
  bool denormal = false;  // it was in its format
  // Finite: significand / 2^63 · 2^exponent; the top bit is set. NaNs have their payload below a
  // top bit that is set.
  int32_t exponent = 0;
  uint64_t significand = 0;

  bool finite() const { return kind == Kind::kFinite; }
  bool zero() const { return kind == Kind::kZero; }
  bool infinity() const { return kind == Kind::kInfinity; }
  bool nan() const { return kind == Kind::kQuietNan || kind == Kind::kSignallingNan; }
};

// A result before it is rounded: as a Number, with `rest` / 2^64 of the significand's last place
// more, whose last bit says that there is still more. Operations give kUnsupported where they are
// invalid: there is no result.
struct Exact {
  Kind kind = Kind::kZero;
  bool sign = false;
  int32_t exponent = 0;
  uint64_t significand = 0;
  uint64_t rest = 0;

  bool operator==(const Exact&) const = default;
};

// A rounded value in some format. Finite numbers may be denormal: their exponent is the format's
// least then, and the top bit is 0.
struct Rounded {
  Kind kind = Kind::kZero;
  bool sign = false;
  int32_t exponent = 0;
  uint64_t significand = 0;
};

// --- Formats ---

template <typename F>
struct FloatLayout {
  static constexpr Format kFormat = sizeof(F) == 4 ? kBinary32 : kBinary64;
  static constexpr int kBits = 8 * sizeof(F);
  static constexpr int kFractionBits = kFormat.precision - 1;
  static constexpr int kBias = kFormat.max_exponent;
  static constexpr F kMaxBiased = 2 * kBias + 1;
  static constexpr F kSign = F{1} << (kBits - 1);
  static constexpr F kFraction = (F{1} << kFractionBits) - 1;
  static constexpr F kQuiet = F{1} << (kFractionBits - 1);
  static constexpr F kInfinity = kMaxBiased << kFractionBits;
  static constexpr F kDefaultNan = kSign | kInfinity | kQuiet;
};

// The finite number significand · 2^(exponent - 63), or zero.
inline Number Normalize(bool sign, int32_t exponent, uint64_t significand) {
  if (significand == 0) return {.kind = Kind::kZero, .sign = sign};
  const int shift = std::countl_zero(significand);
  return {.kind = Kind::kFinite,
          .sign = sign,
          .exponent = exponent - shift,
          .significand = significand << shift};
}

// Zero, denormal numbers, infinity and NaNs.
template <typename F>
Number UnpackSpecial(F bits);

extern template Number UnpackSpecial(uint32_t);
extern template Number UnpackSpecial(uint64_t);

// Neither of these: what most numbers are.
template <typename F>
[[gnu::always_inline]] inline bool IsNormal(F bits) {
  using L = FloatLayout<F>;
  const F biased = bits >> L::kFractionBits & L::kMaxBiased;
  return biased - 1 < L::kMaxBiased - 1;
}

template <typename F>
[[gnu::always_inline]] inline Number UnpackNormal(F bits) {
  using L = FloatLayout<F>;
  const F biased = bits >> L::kFractionBits & L::kMaxBiased;
  return {.kind = Kind::kFinite,
          .sign = (bits & L::kSign) != 0,
          .exponent = static_cast<int32_t>(biased) - L::kBias,
          .significand = kTopBit | uint64_t{bits & L::kFraction} << (63 - L::kFractionBits)};
}

template <typename F>
Number Unpack(F bits) {
  return IsNormal(bits) ? UnpackNormal(bits) : UnpackSpecial(bits);
}

template <>
inline Number Unpack(X87Register reg) {
  const bool sign = reg.sign_exponent >> 15 != 0;
  const int32_t biased = reg.sign_exponent & 0x7fff;
  const uint64_t significand = reg.significand;
  if (biased == 0) {
    Number number = Normalize(sign, kExtended.min_exponent, significand);
    number.denormal = significand != 0;  // or pseudo-denormal
    return number;
  }
  if (!(significand & kTopBit)) return {.kind = Kind::kUnsupported, .sign = sign};
  Kind kind = Kind::kFinite;
  if (biased == 0x7fff) {
    kind = significand == kTopBit    ? Kind::kInfinity
           : significand & kQuietBit ? Kind::kQuietNan
                                     : Kind::kSignallingNan;
  }
  return {.kind = kind,
          .sign = sign,
          .exponent = biased - kExtended.max_exponent,
          .significand = significand};
}

inline Number FromInteger(int64_t value) {
  const uint64_t bits = static_cast<uint64_t>(value);
  return Normalize(value < 0, 63, value < 0 ? ~bits + 1 : bits);
}

inline Exact ToExact(const Number& number) {
  return {.kind = number.kind,
          .sign = number.sign,
          .exponent = number.exponent,
          .significand = number.significand};
}

// Numbers that the format has, and NaNs, whose payload is cut.
template <typename F>
F Pack(const Rounded& value) {
  using L = FloatLayout<F>;
  const F sign = value.sign ? L::kSign : 0;
  if (value.kind == Kind::kZero) return sign;
  const F fraction = static_cast<F>(value.significand >> (63 - L::kFractionBits)) & L::kFraction;
  if (value.kind != Kind::kFinite) return sign | L::kInfinity | fraction;
  const F biased = value.significand & kTopBit ? static_cast<F>(value.exponent + L::kBias) : F{0};
  return sign | biased << L::kFractionBits | fraction;
}

template <>
inline X87Register Pack(const Rounded& value) {
  const unsigned sign = value.sign ? 0x8000 : 0;
  if (value.kind == Kind::kZero) return {0, static_cast<uint16_t>(sign)};
  if (value.kind != Kind::kFinite) {
    return {value.significand | kTopBit, static_cast<uint16_t>(sign | 0x7fff)};
  }
  const int32_t biased = value.significand & kTopBit ? value.exponent + kExtended.max_exponent : 0;
  return {value.significand, static_cast<uint16_t>(sign | static_cast<unsigned>(biased))};
}

// A NaN as it is delivered: quiet.
inline Rounded Quiet(const Number& nan) {
  return {.kind = Kind::kQuietNan, .sign = nan.sign, .significand = nan.significand | kQuietBit};
}

// --- Rounding ---

// A significand cut to some bits. If it was rounded up to the next power of two it is 0.
struct Cut {
  uint64_t significand;
  bool inexact, up;
};

[[gnu::always_inline]] inline Cut CutTo(int precision, bool sign, uint64_t significand,
                                        uint64_t rest, Rounding mode) {
  uint64_t unit = 1;
  if (precision < 64) {
    unit = uint64_t{1} << (64 - precision);
    rest = significand << precision | uint64_t{rest != 0};
    significand &= ~(unit - 1);
  }
  const bool inexact = rest != 0;
  bool up;
  if (mode == Rounding::kNearest) [[likely]] {
    // Over a half, or a half and odd.
    up = rest > kTopBit - uint64_t{(significand & unit) != 0};
  } else {
    up = inexact && mode == (sign ? Rounding::kDown : Rounding::kUp);
  }
  return {significand + unit * uint64_t{up}, inexact, up};
}

// The finite `exact` where it is below or above the format's normal numbers.
Rounded RoundTiny(const Format& format, const Exact& exact, FloatStatus* status);
Rounded RoundHuge(const Format& format, const Rounded& rounded, bool inexact, FloatStatus* status);

// Raises what rounding raises. Where overflow or underflow is not masked, the result's exponent is
// adjusted to be in range.
inline Rounded Round(const Format& format, const Exact& exact, FloatStatus* status) {
  status->rounded_up = false;
  if (exact.kind != Kind::kFinite) [[unlikely]] {
    return {exact.kind, exact.sign, exact.exponent, exact.kind == Kind::kZero ? 0 : kTopBit};
  }
  if (exact.exponent < format.min_exponent) [[unlikely]] {
    return RoundTiny(format, exact, status);
  }
  const Cut cut =
      CutTo(format.precision, exact.sign, exact.significand, exact.rest, status->rounding);
  Rounded rounded = {Kind::kFinite, exact.sign, exact.exponent, cut.significand};
  if (cut.significand == 0) [[unlikely]] {
    rounded.significand = kTopBit;
    ++rounded.exponent;
  }
  status->rounded_up = cut.up;
  if (rounded.exponent > format.max_exponent) [[unlikely]] {
    return RoundHuge(format, rounded, cut.inexact, status);
  }
  status->raised |= cut.inexact ? kPe : 0;
  return rounded;
}

// A number rounded to the nearest that F has, if it is normal before and after; else false.
template <typename F>
[[gnu::always_inline]] inline bool RoundNormal(const Exact& exact, F* result, FloatStatus* status) {
  using L = FloatLayout<F>;
  const bool normal = exact.exponent >= L::kFormat.min_exponent &&
                      exact.exponent < L::kFormat.max_exponent && exact.kind == Kind::kFinite;
  if (!normal) [[unlikely]]
    return false;
  const Cut cut =
      CutTo(L::kFormat.precision, exact.sign, exact.significand, exact.rest, Rounding::kNearest);
  status->raised |= cut.inexact ? kPe : 0;
  status->rounded_up = cut.up;
  // With its top bit, or the carry of rounding, the significand adds 1 to the exponent.
  const F significand =
      static_cast<F>(exact.significand >> (63 - L::kFractionBits)) + static_cast<F>(cut.up);
  const F below = static_cast<F>(exact.exponent + L::kBias - 1) << L::kFractionBits;
  *result = (exact.sign ? L::kSign : F{0}) | (below + significand);
  return true;
}

// The rounded result as F has it.
template <typename F>
F RoundTo(const Exact& exact, FloatStatus* status) {
  F result;
  const bool done = status->rounding == Rounding::kNearest && RoundNormal(exact, &result, status);
  return done ? result : Pack<F>(Round(FloatLayout<F>::kFormat, exact, status));
}

// --- Operations: neither operand is a NaN or unsupported ---

// 128 bits.
struct Wide {
  uint64_t high, low;
};

inline Wide MultiplyWide(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return {static_cast<uint64_t>(product >> 64), static_cast<uint64_t>(product)};
#else
  const uint64_t a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
  const uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32);
  const uint64_t cross = a0 * b1 + (middle & 0xffffffff);
  return {a1 * b1 + (middle >> 32) + (cross >> 32), cross << 32 | (low & 0xffffffff)};
#endif
}

// Shifted left, by less than 64.
inline Wide ShiftLeft(Wide wide, int count) {
  return {wide.high << count | wide.low >> 1 >> (63 - count), wide.low << count};
}

// a / b for a.high < b: the quotient, and the remainder in *remainder.
uint64_t DivideWide(Wide a, uint64_t b, uint64_t* remainder);

// The sum of finite numbers, unless they are far apart or nearly all cancels: then false.
[[gnu::always_inline]] inline bool PlainSum(const Number& a, const Number& b, Exact* sum) {
  const int32_t difference = a.exponent - b.exponent;
  const bool swapped = difference < 0 || (difference == 0 && a.significand < b.significand);
  const int32_t distance = swapped ? -difference : difference;
  if (distance > 63) [[unlikely]]
    return false;
  // y, the smaller one, is moved to the places of x.
  const uint64_t x = swapped ? b.significand : a.significand;
  const uint64_t y = swapped ? a.significand : b.significand;
  const Wide small = {y >> distance, y << 1 << (63 - distance)};
  sum->kind = Kind::kFinite;
  sum->sign = swapped ? b.sign : a.sign;
  sum->exponent = swapped ? b.exponent : a.exponent;
  if (a.sign == b.sign) {
    const uint64_t total = x + small.high;
    const bool carry = total < x;
    sum->significand = carry ? total >> 1 | kTopBit : total;
    sum->rest = carry ? total << 63 | small.low >> 1 | (small.low & 1) : small.low;
    sum->exponent += carry ? 1 : 0;
    return true;
  }
  const Wide rest = {x - small.high - uint64_t{small.low != 0}, ~small.low + 1};
  if (rest.high == 0) [[unlikely]]
    return false;
  const int shift = std::countl_zero(rest.high);
  const Wide normal = ShiftLeft(rest, shift);
  sum->significand = normal.high;
  sum->rest = normal.low;
  sum->exponent -= shift;
  return true;
}

// The product of finite numbers.
[[gnu::always_inline]] inline Exact PlainProduct(const Number& a, const Number& b) {
  const Wide product = MultiplyWide(a.significand, b.significand);
  const int shift = product.high & kTopBit ? 0 : 1;
  const Wide normal = ShiftLeft(product, shift);
  return {.kind = Kind::kFinite,
          .sign = a.sign != b.sign,
          .exponent = a.exponent + b.exponent + 1 - shift,
          .significand = normal.high,
          .rest = normal.low};
}

// All other sums and products.
Exact AddSpecial(const Number& a, const Number& b, Rounding mode);
Exact MultiplySpecial(const Number& a, const Number& b);

// An exact zero from different signs is -0 where rounding is down.
inline Exact Add(const Number& a, const Number& b, Rounding mode) {
  Exact sum;
  return a.finite() && b.finite() && PlainSum(a, b, &sum) ? sum : AddSpecial(a, b, mode);
}

inline Exact Subtract(const Number& a, Number b, Rounding mode) {
  b.sign = !b.sign;
  return Add(a, b, mode);
}

inline Exact Multiply(const Number& a, const Number& b) {
  return a.finite() && b.finite() ? PlainProduct(a, b) : MultiplySpecial(a, b);
}

// Raises kZe.
Exact Divide(const Number& a, const Number& b, FloatStatus* status);
Exact SquareRoot(const Number& a);

enum class Ordering : uint8_t { kLess, kEqual, kGreater, kUnordered };

// Any numbers: NaNs are unordered.
Ordering Compare(const Number& a, const Number& b);

// As COMISD and FCOMI show it in EFLAGS; the other status flags become 0.
constexpr uint32_t FlagsOf(Ordering ordering) {
  switch (ordering) {
    case Ordering::kLess:
      return kCf;
    case Ordering::kEqual:
      return kZf;
    case Ordering::kGreater:
      return 0;
    case Ordering::kUnordered:
      break;
  }
  return kZf | kPf | kCf;
}

// The integer nearest to a finite number or zero in the direction of `mode`.
struct Integer {
  uint64_t magnitude = 0;
  bool too_large = false;  // over 64 bits; then nothing else is known
  bool inexact = false, up = false;
};
Integer RoundToInteger(const Number& number, Rounding mode);

// As a signed integer of 16, 32 or 64 bits; false, with nothing raised, if there is no such one.
template <typename T>
bool ToSigned(const Number& number, Rounding mode, FloatStatus* status, T* result);

extern template bool ToSigned(const Number&, Rounding, FloatStatus*, int16_t*);
extern template bool ToSigned(const Number&, Rounding, FloatStatus*, int32_t*);
extern template bool ToSigned(const Number&, Rounding, FloatStatus*, int64_t*);

}  // namespace vx

#endif  // VXENGINE_MACHINE_SOFT_FLOAT_H_
