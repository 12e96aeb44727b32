// Correct rounding is A. Ziv's ("Fast evaluation of elementary mathematical functions with
// correctly rounded last bit", ACM TOMS 17, 1991): evaluate with a known error; if the numbers that
// near the result don't all round the same, evaluate again with twice the bits.
//
// That ends where the exact value is no number of 65 bits, which is where rounding changes. The
// arguments are rational, so (J.-M. Muller et al., Handbook of Floating-Point Arithmetic, 2nd ed.,
// ch. 10 and 12)
//   2^x        is irrational unless x is an integer,
//   log2 x     is irrational unless x is a power of 2, and then transcendental (Gelfond and
//              Schneider), so y log2 x is irrational for every y but 0,
//   sin, cos, tan, arctan are transcendental but at 0 (Hermite and Lindemann).
// These exceptions are computed exactly below. So are arguments so small that sin, tan and arctan
// hardly differ from x or y/x, and cos from 1. What is left has 65 bits, followed by bits that look
// random: about 40 of them alike have to be met before 128 bits don't do. Two operands have 160
// bits to choose, so that 65 + 160 can be arranged, which 256 bits see; 512 end the search in any
// case.
#include "vxengine/machine/transcendental.h"

#include <bit>

#include "vxengine/machine/elementary.h"

namespace vx {
namespace {

constexpr int kGreatestWords = 8;

// Below 2^this, x² is under 2^-132: x³ isn't seen beside 65 bits of x, nor x² beside 1.
constexpr int32_t kTiny = -66;
constexpr int32_t kHuge = 1 << 20;

struct Operand {
  explicit Operand(const X87Register& r) : sign(r.sign_exponent >> 15 != 0) {
    const int32_t field = r.sign_exponent & 0x7fff;
    if (field == 0x7fff) {
      kind = Kind::kInfinity;
    } else if (r.significand != 0) {
      const int zeros = std::countl_zero(r.significand);
      kind = Kind::kFinite;
      denormal = field == 0;
      exponent = (denormal ? 1 : field) - 0x3fff - zeros;
      significand = r.significand << zeros;
    }
  }

  bool IsFinite() const { return kind == Kind::kFinite; }
  bool IsZero() const { return kind == Kind::kZero; }
  bool IsInfinite() const { return kind == Kind::kInfinity; }
  bool IsInteger() const {
    return exponent >= 63 || (exponent >= 0 && significand << (exponent + 1) == 0);
  }

  template <int N>
  Real<N> Value() const {
    return Real<N>::FromSignificand(sign, exponent, significand);
  }
  template <int N>
  Real<N> Magnitude() const {
    return Real<N>::FromSignificand(false, exponent, significand);
  }

  Kind kind = Kind::kZero;
  bool sign;
  bool denormal = false;
  int32_t exponent = 0;  // as in Exact
  uint64_t significand = 0;
};

Exact Zero(bool sign) { return {.kind = Kind::kZero, .sign = sign}; }
Exact Infinity(bool sign) { return {.kind = Kind::kInfinity, .sign = sign}; }

Exact Finite(bool sign, int32_t exponent, uint64_t significand, uint64_t rest = 0) {
  return {.kind = Kind::kFinite,
          .sign = sign,
          .exponent = exponent,
          .significand = significand,
          .rest = rest};
}

Exact One() { return Finite(false, 0, kTopBit); }

// A little more than ±significand · 2^(exponent - 63), by less than the 66th bit.
Exact JustAbove(bool sign, int32_t exponent, uint64_t significand) {
  return Finite(sign, exponent, significand, 1);
}

// A little less.
Exact JustBelow(bool sign, int32_t exponent, uint64_t significand) {
  if (significand == kTopBit) return Finite(sign, exponent - 1, ~uint64_t{0}, ~uint64_t{0});
  return Finite(sign, exponent, significand - 1, ~uint64_t{0});
}

Transcendental Invalid() {
  return {.value = {.kind = Kind::kUnsupported, .sign = true}, .exceptions = kIe};
}

uint8_t DenormalException(const Operand& a) { return static_cast<uint8_t>(a.denormal ? kDe : 0); }
uint8_t DenormalException(const Operand& a, const Operand& b) {
  return DenormalException(a) | DenormalException(b);
}

// Takes 65 bits from an approximation; false if the error leaves them open.
template <int N>
bool Decide(const Real<N>& a, Exact* result) {
  *result = Finite(a.negative, a.exponent, a.Top(), (a.word[N - 2] & kTopBit) | 1);
  // All after the 65th bit, in units of the last word but those of the error's size: an error can't
  // carry into or out of them unless they are all 0 or all 1.
  constexpr uint64_t kError = uint64_t{1} << kLostBits;
  uint64_t any = 0, all = ~uint64_t{0};
  for (int i = 0; i < N - 1; ++i) {
    const uint64_t unused = i == 0 ? kError - 1 : 0;
    const uint64_t above = i == N - 2 ? kTopBit : 0;
    any |= a.word[i] & ~unused & ~above;
    all &= a.word[i] | unused | above;
  }
  return any != 0 && ~all != 0;
}

// `evaluate` is a template of the number of words.
template <typename F>
Exact CorrectlyRounded(const F& evaluate) {
  Exact result;
  if (!Decide(evaluate.template operator()<2>(), &result) &&
      !Decide(evaluate.template operator()<4>(), &result)) {
    Decide(evaluate.template operator()<kGreatestWords>(), &result);
  }
  return result;
}

// The product of an integer and a finite operand, which is exact.
Exact Product(int32_t n, const Operand& y) {
  const uint32_t magnitude = n < 0 ? -static_cast<uint32_t>(n) : n;
  const unsigned __int128 product = static_cast<unsigned __int128>(y.significand) * magnitude;
  const auto high = static_cast<uint64_t>(product >> 64), low = static_cast<uint64_t>(product);
  const int zeros = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(low);
  const unsigned __int128 shifted = product << zeros;
  return Finite(y.sign != (n < 0), y.exponent + 64 - zeros, static_cast<uint64_t>(shifted >> 64),
                static_cast<uint64_t>(shifted));
}

// y times a logarithm whose kind and sign are those of `log`; `pole`: it is that of 0. `finite` is
// asked for the product where both are finite and neither is 0.
template <typename F>
Transcendental ScaledLogarithm(const Exact& log, const Operand& x, const Operand& y,
                               const F& finite) {
  const bool sign = log.sign != y.sign;
  Transcendental result{.exceptions = DenormalException(x, y)};
  if (log.kind == Kind::kInfinity || y.IsInfinite()) {
    if (log.kind == Kind::kZero || y.IsZero()) return Invalid();
    result.value = Infinity(sign);
    if (y.IsFinite() && !x.IsInfinite()) result.exceptions = kZe;
  } else if (log.kind == Kind::kZero || y.IsZero()) {
    result.value = Zero(sign);
  } else {
    result.value = finite();
  }
  return result;
}

// atan(y/x) for a y/x under 2^kTiny: a little less than the quotient.
Exact TinyQuotient(const Operand& y, const Operand& x) {
  const bool smaller = y.significand < x.significand;
  const unsigned __int128 dividend = static_cast<unsigned __int128>(y.significand)
                                     << (smaller ? 64 : 63);
  const auto quotient = static_cast<uint64_t>(dividend / x.significand);
  const auto remainder = static_cast<uint64_t>(dividend % x.significand);
  const int32_t exponent = y.exponent - x.exponent - (smaller ? 1 : 0);
  // A quotient that isn't one of 65 bits differs by more than 2^-130 of itself from all of them,
  // and none is of 65 exactly: its product with the divisor would have more than 64, too.
  if (remainder == 0) return JustBelow(y.sign, exponent, quotient);
  const unsigned __int128 twice = static_cast<unsigned __int128>(remainder) << 1;
  const uint64_t half = twice > x.significand ? kTopBit : 0;
  return Finite(y.sign, exponent, quotient, half | 1);
}

enum class Trigonometric { kSine, kCosine, kTangent };

template <Trigonometric kFunction>
Exact Evaluate(const Operand& x) {
  if (x.IsZero()) return kFunction == Trigonometric::kCosine ? One() : Zero(x.sign);
  if (x.exponent < kTiny) {
    if (kFunction == Trigonometric::kCosine) return JustBelow(false, 0, kTopBit);
    if (kFunction == Trigonometric::kSine) return JustBelow(x.sign, x.exponent, x.significand);
    return JustAbove(x.sign, x.exponent, x.significand);
  }
  Exact result = CorrectlyRounded([&]<int N>() {
    const auto& f = Elementary<N>::Get();
    const auto reduced = f.Reduce(x.Magnitude<N>());
    if constexpr (kFunction == Trigonometric::kCosine) return f.Cosine(reduced);
    if constexpr (kFunction == Trigonometric::kSine) return f.Sine(reduced);
    if constexpr (kFunction == Trigonometric::kTangent) return f.Sine(reduced) / f.Cosine(reduced);
  });
  if (kFunction != Trigonometric::kCosine) result.sign ^= x.sign;
  return result;
}

template <Trigonometric kFunction>
Transcendental Instruction(const X87Register& st0) {
  const Operand x(st0);
  if (x.IsInfinite()) return Invalid();
  if (x.exponent >= 63) return {.out_of_range = true};
  return {.value = Evaluate<kFunction>(x), .exceptions = DenormalException(x)};
}

}  // namespace

Transcendental F2xm1(const X87Register& st0) {
  const Operand x(st0);
  Transcendental result{.exceptions = DenormalException(x)};
  if (x.IsZero()) {
    result.value = Zero(x.sign);
  } else if (x.IsInfinite()) {
    result.value = x.sign ? Finite(true, 0, kTopBit) : Infinity(false);
  } else if (x.exponent >= 20 || x.IsInteger() || (x.sign && x.exponent > 6)) {
    // n ones, or so many that neither more nor what follows matters.
    const int32_t n =
        x.exponent >= 20 ? kHuge + 1 : static_cast<int32_t>(x.significand >> (63 - x.exponent));
    const auto ones = [](int32_t count) {
      return count <= 0 ? 0 : count >= 64 ? ~uint64_t{0} : ~uint64_t{0} << (64 - count);
    };
    result.value = Finite(x.sign, x.sign ? -1 : n - 1, ones(n), ones(n - 64));
  } else {
    result.value =
        CorrectlyRounded([&]<int N>() { return Elementary<N>::Get().Exp2m1(x.Value<N>()); });
  }
  return result;
}

Transcendental Fyl2x(const X87Register& st0, const X87Register& st1) {
  const Operand x(st0), y(st1);
  if (x.sign && !x.IsZero()) return Invalid();
  const bool power_of_2 = x.IsFinite() && x.significand == kTopBit;
  Exact log{.kind = Kind::kFinite, .sign = x.exponent < 0};
  if (x.IsZero()) log = Infinity(true);
  if (x.IsInfinite()) log = Infinity(false);
  if (power_of_2 && x.exponent == 0) log = Zero(false);
  return ScaledLogarithm(log, x, y, [&] {
    if (power_of_2) return Product(x.exponent, y);
    return CorrectlyRounded(
        [&]<int N>() { return y.Value<N>() * Elementary<N>::Get().Log2(x.Value<N>()); });
  });
}

Transcendental Fyl2xp1(const X87Register& st0, const X87Register& st1) {
  const Operand x(st0), y(st1);
  const bool minus_1 = x.IsFinite() && x.sign && x.exponent == 0 && x.significand == kTopBit;
  if (x.sign && !minus_1 && (x.IsInfinite() || (x.IsFinite() && x.exponent >= 0))) {
    return Invalid();
  }
  Exact log{.kind = x.kind, .sign = x.sign};
  if (minus_1) log = Infinity(true);
  return ScaledLogarithm(log, x, y, [&] {
    // x = ±(1 - 2^-ones) 2^(exponent + 1); 1 + x is a power of 2 if it is 2^-ones or 2^ones.
    const int ones = std::countl_one(x.significand);
    if (ones == 64 || x.significand << ones == 0) {
      if (x.sign && x.exponent == -1) return Product(-ones, y);
      if (!x.sign && x.exponent == ones - 1) return Product(ones, y);
    }
    // log2(1 + 2^n) is n and less than 2^-n more, which is past the 79 bits of the product.
    if (!x.sign && x.significand == kTopBit && x.exponent > 128) {
      Exact result = Product(x.exponent, y);
      result.rest |= 1;
      return result;
    }
    return CorrectlyRounded(
        [&]<int N>() { return y.Value<N>() * Elementary<N>::Get().Log2p1(x.Value<N>()); });
  });
}

Transcendental Fpatan(const X87Register& st0, const X87Register& st1) {
  const Operand x(st0), y(st1);
  Transcendental result{.exceptions = DenormalException(x, y)};
  const bool on_axis = y.IsZero() || (x.IsInfinite() && !y.IsInfinite());
  if (on_axis && !x.sign) {
    result.value = Zero(y.sign);
    return result;
  }
  if (x.IsFinite() && y.IsFinite() && !x.sign && y.exponent - x.exponent < kTiny) {
    result.value = TinyQuotient(y, x);
    return result;
  }
  result.value = CorrectlyRounded([&]<int N>() {
    const auto& f = Elementary<N>::Get();
    if (on_axis) return f.pi();
    const Real<N> half_pi = f.pi().Scaled(-1);
    if (x.kind != y.kind) return half_pi;  // only y is infinite, or only x is 0
    const Real<N> one = Real<N>::FromInteger(1);
    const Real<N> a = x.IsInfinite() ? one : x.Magnitude<N>();
    const Real<N> b = x.IsInfinite() ? one : y.Magnitude<N>();
    const bool steep = a.exponent < b.exponent || (a.exponent == b.exponent && a.Top() < b.Top());
    const Real<N> angle = steep ? f.AtanOfRatio(a, b) : f.AtanOfRatio(b, a);
    if (steep) return x.sign ? half_pi + angle : half_pi - angle;
    return x.sign ? f.pi() - angle : angle;
  });
  result.value.sign = y.sign;
  return result;
}

Transcendental Fptan(const X87Register& st0) {
  Transcendental result = Instruction<Trigonometric::kTangent>(st0);
  result.pushed = result.value.kind == Kind::kUnsupported ? result.value : One();
  return result;
}

Transcendental Fsin(const X87Register& st0) { return Instruction<Trigonometric::kSine>(st0); }

Transcendental Fcos(const X87Register& st0) { return Instruction<Trigonometric::kCosine>(st0); }

Transcendental Fsincos(const X87Register& st0) {
  Transcendental result = Fsin(st0);
  result.pushed = Fcos(st0).value;
  return result;
}

}  // namespace vx
