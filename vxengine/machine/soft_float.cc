#include "vxengine/machine/soft_float.h"

#include <limits>
#include <type_traits>
#include <utility>

namespace vx {
namespace {

// `wide` shifted right; what is lost sets the last bit.
Wide ShiftRightSticky(Wide wide, int32_t count) {
  if (count == 0) return wide;
  if (count < 64) {
    const bool lost = wide.low << (64 - count) != 0;
    return {wide.high >> count, (wide.low >> count | wide.high << (64 - count)) | uint64_t{lost}};
  }
  const bool lost_low = wide.low != 0;
  if (count == 64) return {0, wide.high | uint64_t{lost_low}};
  if (count < 128) {
    const bool lost = lost_low || wide.high << (128 - count) != 0;
    return {0, wide.high >> (count - 64) | uint64_t{lost}};
  }
  return {0, uint64_t{(wide.high | wide.low) != 0}};
}

Exact Special(Kind kind, bool sign) { return {.kind = kind, .sign = sign}; }

// Half of a root's digits from the other half, by one division, whose estimate is never too small
// (Zimmermann, "Karatsuba Square Root", 1999). `upper` is the root of the square's upper half;
// kBits are in each.
template <int kBits>
uint64_t ExtendRoot(uint64_t square, uint64_t upper) {
  constexpr uint64_t kMost = (uint64_t{1} << kBits) - 1;
  const uint64_t left = (square >> 2 * kBits) - upper * upper;
  const uint64_t estimate =
      (left << (kBits - 1) | (square & (kMost << kBits)) >> (kBits + 1)) / upper;
  uint64_t root = upper << kBits | (estimate < kMost ? estimate : kMost);
  while (root * root > square) --root;
  return root;
}

// The integer part of the root of a number of at least 2^62.
uint64_t Root(uint64_t square) {
  uint64_t root = 0;
  for (uint64_t bit = 0x80; bit != 0; bit >>= 1) {  // the upper 16 bits, digit by digit
    const uint64_t trial = root | bit;
    root = trial * trial <= square >> 48 ? trial : root;
  }
  return ExtendRoot<16>(square, ExtendRoot<8>(square >> 32, root));
}

Wide SubtractWide(Wide a, Wide b) {
  return {a.high - b.high - (a.low < b.low ? 1 : 0), a.low - b.low};
}

}  // namespace

template <typename F>
Number UnpackSpecial(F bits) {
  using L = FloatLayout<F>;
  const bool sign = (bits & L::kSign) != 0;
  const uint64_t fraction = uint64_t{bits & L::kFraction} << (63 - L::kFractionBits);
  if ((bits & L::kInfinity) == 0) {
    Number number = Normalize(sign, L::kFormat.min_exponent, fraction);
    number.denormal = fraction != 0;
    return number;
  }
  const Kind kind = fraction == 0          ? Kind::kInfinity
                    : fraction & kQuietBit ? Kind::kQuietNan
                                           : Kind::kSignallingNan;
  return {.kind = kind, .sign = sign, .significand = kTopBit | fraction};
}

template Number UnpackSpecial(uint32_t);
template Number UnpackSpecial(uint64_t);

// Tiny is what is below the least normal number after rounding to the format's precision, as if its
// exponents had no bound (SDM vol. 1, 4.9.1.5).
Rounded RoundTiny(const Format& format, const Exact& exact, FloatStatus* status) {
  const Cut unbounded =
      CutTo(format.precision, exact.sign, exact.significand, exact.rest, status->rounding);
  const bool carries = unbounded.significand == 0;
  const bool tiny = exact.exponent < format.min_exponent - 1 || !carries;
  if (tiny && !(status->masks & kUe)) {
    status->raised |= kUe;
    if (unbounded.inexact) status->raised |= kPe;
    status->rounded_up = unbounded.up;
    return {Kind::kFinite, exact.sign, exact.exponent + format.adjustment + (carries ? 1 : 0),
            carries ? kTopBit : unbounded.significand};
  }
  if (tiny && status->flush_to_zero) {
    status->raised |= kUe | kPe;
    return {Kind::kZero, exact.sign, 0, 0};
  }
  const Wide shifted =
      ShiftRightSticky({exact.significand, exact.rest}, format.min_exponent - exact.exponent);
  const Cut cut = CutTo(format.precision, exact.sign, shifted.high, shifted.low, status->rounding);
  if (cut.inexact) status->raised |= tiny ? kUe | kPe : kPe;
  status->rounded_up = cut.up;
  if (cut.significand == 0) return {Kind::kZero, exact.sign, 0, 0};
  return {Kind::kFinite, exact.sign, format.min_exponent, cut.significand};
}

Rounded RoundHuge(const Format& format, const Rounded& rounded, bool inexact, FloatStatus* status) {
  if (!(status->masks & kOe)) {
    status->raised |= inexact ? kOe | kPe : kOe;
    return {Kind::kFinite, rounded.sign, rounded.exponent - format.adjustment, rounded.significand};
  }
  status->raised |= kOe | kPe;
  const bool to_infinity = status->rounding == Rounding::kNearest ||
                           status->rounding == (rounded.sign ? Rounding::kDown : Rounding::kUp);
  status->rounded_up = to_infinity;
  if (to_infinity) return {Kind::kInfinity, rounded.sign, 0, kTopBit};
  return {Kind::kFinite, rounded.sign, format.max_exponent,
          ~uint64_t{0} << (64 - format.precision)};
}

// Two digits of 32 bits, each estimated from the divisor's upper half (Knuth, TAOCP vol. 2, 4.3.1,
// algorithm D).
uint64_t DivideWide(Wide a, uint64_t b, uint64_t* remainder) {
  const int shift = std::countl_zero(b);
  b <<= shift;
  uint64_t high = shift == 0 ? a.high : a.high << shift | a.low >> (64 - shift);
  const uint64_t low = a.low << shift;
  const uint64_t b1 = b >> 32, b0 = b & 0xffffffff;
  const auto digit = [&](uint64_t next) {
    uint64_t q = high / b1, r = high - q * b1;
    while (q >> 32 != 0 || q * b0 > (r << 32 | next)) {
      --q;
      r += b1;
      if (r >> 32 != 0) break;
    }
    high = (high << 32 | next) - q * b;
    return q;
  };
  const uint64_t first = digit(low >> 32), second = digit(low & 0xffffffff);
  *remainder = high >> shift;
  return first << 32 | second;
}

Exact AddSpecial(const Number& a, const Number& b, Rounding mode) {
  if (a.infinity()) {
    const bool opposed = b.infinity() && a.sign != b.sign;
    return Special(opposed ? Kind::kUnsupported : Kind::kInfinity, a.sign);
  }
  if (a.zero() && b.zero()) {
    return Special(Kind::kZero, a.sign == b.sign ? a.sign : mode == Rounding::kDown);
  }
  if (b.infinity() || a.zero()) return ToExact(b);
  if (b.zero()) return ToExact(a);
  const Number& x = a.exponent < b.exponent ? b : a;
  const Number& y = a.exponent < b.exponent ? a : b;
  const int32_t distance = x.exponent - y.exponent;
  if (distance <= 1) {
    // What is left of x - y, in units of half x's last place.
    const uint64_t left =
        distance == 0 ? x.significand - y.significand : x.significand * 2 - y.significand;
    const bool negative = distance == 0 && x.significand < y.significand;
    if (left == 0) return Special(Kind::kZero, mode == Rounding::kDown);
    return ToExact(
        Normalize(x.sign != negative, x.exponent - distance, negative ? ~left + 1 : left));
  }
  const Wide small = ShiftRightSticky({y.significand, 0}, distance);
  Exact sum = ToExact(x);
  if (a.sign == b.sign) {
    sum.rest = small.low;
    return sum;
  }
  const Wide rest = SubtractWide({x.significand, 0}, small);
  const int shift = std::countl_zero(rest.high);
  const Wide normal = ShiftLeft(rest, shift);
  sum.significand = normal.high;
  sum.rest = normal.low;
  sum.exponent -= shift;
  return sum;
}

Exact MultiplySpecial(const Number& a, const Number& b) {
  const bool sign = a.sign != b.sign;
  if (!a.infinity() && !b.infinity()) return Special(Kind::kZero, sign);
  return Special(a.zero() || b.zero() ? Kind::kUnsupported : Kind::kInfinity, sign);
}

Exact Divide(const Number& a, const Number& b, FloatStatus* status) {
  const bool sign = a.sign != b.sign;
  if (!a.finite() || !b.finite()) {
    if (a.kind == b.kind) return Special(Kind::kUnsupported, sign);  // 0 / 0, infinity / infinity
    if (a.infinity()) return Special(Kind::kInfinity, sign);
    if (a.zero() || b.infinity()) return Special(Kind::kZero, sign);
    status->raised |= kZe;
    return Special(Kind::kInfinity, sign);
  }
  const bool less = a.significand < b.significand;
  const Wide dividend =
      less ? Wide{a.significand, 0} : Wide{a.significand >> 1, a.significand << 63};
  uint64_t remainder;
  const uint64_t quotient = DivideWide(dividend, b.significand, &remainder);
  uint64_t rest = remainder != 0;
  if (remainder >= b.significand - remainder) {
    rest = kTopBit | uint64_t{remainder > b.significand - remainder};
  }
  return {Kind::kFinite, sign, a.exponent - b.exponent - (less ? 1 : 0), quotient, rest};
}

// A root of 32 bits, then 32 more by one division (Zimmermann, "Karatsuba Square Root", 1999).
Exact SquareRoot(const Number& a) {
  if (a.zero()) return Special(Kind::kZero, a.sign);
  if (a.sign) return Special(Kind::kUnsupported, true);
  if (a.infinity()) return Special(Kind::kInfinity, false);
  const bool odd = (a.exponent & 1) != 0;
  const Wide square = odd ? Wide{a.significand, 0} : Wide{a.significand >> 1, a.significand << 63};
  const uint64_t upper = Root(square.high);
  const uint64_t left = square.high - upper * upper;
  const uint64_t estimate = (left << 31 | square.low >> 33) / upper;
  uint64_t root = upper << 32 | (estimate < 0xffffffff ? estimate : 0xffffffff);
  Wide remainder = SubtractWide(square, MultiplyWide(root, root));
  while (remainder.high & kTopBit) {
    --root;
    remainder = SubtractWide(square, MultiplyWide(root, root));
  }
  uint64_t rest = (remainder.high | remainder.low) != 0;
  if (remainder.high != 0 || remainder.low > root) rest |= kTopBit;
  return {Kind::kFinite, false, (a.exponent - (odd ? 1 : 0)) / 2, root, rest};
}

Ordering Compare(const Number& a, const Number& b) {
  const auto magnitude = [](const Number& n) {
    const int32_t exponent = n.zero() ? -(1 << 20) : n.infinity() ? 1 << 20 : n.exponent;
    return std::pair(exponent, n.finite() ? n.significand : 0);
  };
  if (a.kind > Kind::kInfinity || b.kind > Kind::kInfinity) return Ordering::kUnordered;
  if (a.zero() && b.zero()) return Ordering::kEqual;
  if (a.sign != b.sign) return a.sign ? Ordering::kLess : Ordering::kGreater;
  const auto x = magnitude(a.sign ? b : a), y = magnitude(a.sign ? a : b);
  return x < y ? Ordering::kLess : y < x ? Ordering::kGreater : Ordering::kEqual;
}

Integer RoundToInteger(const Number& number, Rounding mode) {
  if (number.zero()) return {};
  if (number.exponent > 63) return {.too_large = true};
  const Wide shifted = ShiftRightSticky({number.significand, 0}, 63 - number.exponent);
  const Cut cut = CutTo(64, number.sign, shifted.high, shifted.low, mode);
  if (cut.up && cut.significand == 0) return {.too_large = true};
  return {cut.significand, false, cut.inexact, cut.up};
}

template <typename T>
bool ToSigned(const Number& number, Rounding mode, FloatStatus* status, T* result) {
  if (number.kind > Kind::kZero) return false;
  const Integer integer = RoundToInteger(number, mode);
  const uint64_t most = static_cast<uint64_t>(std::numeric_limits<T>::max());
  if (integer.too_large || integer.magnitude > most + (number.sign ? 1 : 0)) return false;
  *result = static_cast<T>(number.sign ? ~integer.magnitude + 1 : integer.magnitude);
  if (integer.inexact) status->raised |= kPe;
  status->rounded_up = integer.up;
  return true;
}

template bool ToSigned(const Number&, Rounding, FloatStatus*, int16_t*);
template bool ToSigned(const Number&, Rounding, FloatStatus*, int32_t*);
template bool ToSigned(const Number&, Rounding, FloatStatus*, int64_t*);

}  // namespace vx
