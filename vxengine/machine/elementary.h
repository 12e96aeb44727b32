// Elementary functions on Real<N>, each off by less than 2^(kLostBits - 64N) of its result.
//
// Every function is reduced to a power series in a small argument: by a table of 32 powers of 2, of
// some 90 logarithms, of 32 arc tangents (P. T. P. Tang, "Table-driven implementation of the
// exponential function in IEEE floating-point arithmetic", ACM TOMS 15, 1989, has the idea), by
// multiples of π/2. The series is summed by Horner's rule, with as many terms as matter. Tables and
// constants are computed when a precision is first used, with one word more.
//
// Errors. A sum, a difference without cancellation or a product adds less than 2^(2 - 64N)
// (real.h). In a series each term is less than 2/3 of the one before, so the errors of its steps
// add up to less than 2^5 · 2^-64N; the reductions take some ten more operations. Differences
// cancel at most the seven bits that the comments at them tell. That makes 2^14 · 2^-64N; kLostBits
// has a reserve.
#ifndef VXENGINE_MACHINE_ELEMENTARY_H_
#define VXENGINE_MACHINE_ELEMENTARY_H_

#include <array>
#include <cstdint>

#include "vxengine/machine/real.h"

namespace vx {

inline constexpr int kLostBits = 20;

// c[0] + c[stride] t + c[2 stride] t² + …
// REQUIRES: the terms shrink, and c has all that matter.
template <int N, size_t kSize>
Real<N> PowerSeries(const std::array<Real<N>, kSize>& c, size_t first, size_t stride,
                    const Real<N>& t) {
  size_t last = first;
  if (!t.IsZero()) {
    for (int32_t power = 0; last + stride < kSize; last += stride, power += t.exponent + 1) {
      if (power + c[last].exponent < -Real<N>::kBits) break;
    }
  }
  Real<N> sum = c[last];
  while (last != first) {
    last -= stride;
    sum = c[last] + t * sum;
  }
  return sum;
}

// The coefficients of all series here.
template <int N>
struct Coefficients {
  // The first term that doesn't matter: k! > 2^64N, and (1/5)^2k, the slowest, < 2^-64N.
  std::array<Real<N>, 12 * N + 16> inverse_factorial;  // 1/k!
  std::array<Real<N>, 14 * N + 2> inverse_odd;         // 1/(2k + 1)

  Coefficients() {
    const Real<N> one = Real<N>::FromInteger(1);
    for (size_t k = 0; k < inverse_factorial.size(); ++k) {
      inverse_factorial[k] = k == 0 ? one : inverse_factorial[k - 1] / Real<N>::FromInteger(k);
    }
    for (size_t k = 0; k < inverse_odd.size(); ++k) {
      inverse_odd[k] = one / Real<N>::FromInteger(2 * k + 1);
    }
  }

  // |z| ≤ 1/5
  Real<N> Atan(const Real<N>& z) const { return z * PowerSeries(inverse_odd, 0, 1, -(z * z)); }
  Real<N> Atanh(const Real<N>& z) const { return z * PowerSeries(inverse_odd, 0, 1, z * z); }
  // e^t - 1, |t| < 0.7
  Real<N> Expm1(const Real<N>& t) const { return t * PowerSeries(inverse_factorial, 1, 1, t); }
  // |r| < 0.8
  Real<N> Sine(const Real<N>& r) const {
    return r * PowerSeries(inverse_factorial, 1, 2, -(r * r));
  }
  Real<N> Cosine(const Real<N>& r) const { return PowerSeries(inverse_factorial, 0, 2, -(r * r)); }
};

template <int N>
class Elementary {
 public:
  // The functions for one precision. Thread-safe.
  static const Elementary& Get() {
    static const Elementary elementary;
    return elementary;
  }

  // 2^x - 1.
  // REQUIRES: x is not 0, |x| < 2^20.
  Real<N> Exp2m1(const Real<N>& x) const {
    // x = j/32 + f, |f| ≤ 1/64
    const int32_t magnitude = static_cast<int32_t>(RoundedMagnitude(x.Scaled(5)));
    const int32_t j = x.negative ? -magnitude : magnitude;
    const Real<N> f = x - Real<N>::FromInteger(j).Scaled(-5);
    const Real<N> power = series_.Expm1(f * ln2_);
    if (j == 0) return power;
    // |x| > 1/65, so 2^x - 1 is over 2^-7: at most seven bits cancel.
    const Real<N> scale = exp2_[j & 31].Scaled(j >> 5);
    return (scale - one_) + scale * power;
  }

  // log2(x).
  // REQUIRES: x > 0, and x is not 1; within 1/256 of 1, x has at most 64N - 8 bits.
  Real<N> Log2(const Real<N>& x) const {
    // x = 2^n · m, 0.70 < m < 1.41; m · j/128 = 1 + e, |e| < 1/64
    const int top = static_cast<int>(x.Top() >> 56);
    const int half = top < 180 ? 0 : 1;
    const int j = ((32768 << half) + top) / (2 * top + 1);
    const Real<N> m = x.Scaled(-x.exponent - half);
    const Real<N> log = Log2OfOnePlus(m * Real<N>::FromInteger(j).Scaled(-7) - one_);
    // If n is 0 and j isn't 128, |log2 m| is over 2^-8; if n isn't 0, the sum is over 1/2: at most
    // seven bits cancel.
    return Real<N>::FromInteger(x.exponent + half) + (log - log2_[j - kLeastLog]);
  }

  // log2(1 + x).
  // REQUIRES: x > -1, x is not 0 and has at most 64 bits.
  Real<N> Log2p1(const Real<N>& x) const {
    if (x.exponent < -7) return Log2OfOnePlus(x);
    return Log2(one_ + x);
  }

  // The arc tangent of y/x.
  // REQUIRES: 0 < y ≤ x; both have at most 64 bits.
  Real<N> AtanOfRatio(const Real<N>& y, const Real<N>& x) const {
    const int32_t distance = x.exponent - y.exponent;
    const uint64_t quotient =
        distance >= 7 ? 0 : ((y.Top() >> 26 >> distance) / (x.Top() >> 32) + 1) / 2;
    if (quotient == 0) return series_.Atan(y / x);
    // atan(y/x) = atan(k) + atan((y - kx)/(x + ky)), k = j/32; numerator and denominator are exact.
    const Real<N> k = Real<N>::FromInteger(static_cast<int64_t>(quotient)).Scaled(-5);
    const Real<N> z = (y - k * x) / (x + k * y);
    return atan_[quotient] + (z.IsZero() ? z : series_.Atan(z));
  }

  const Real<N>& pi() const { return pi_; }

  // x = quadrant · π/2 + remainder, modulo 2π; |remainder| < 0.8.
  struct Reduced {
    unsigned quadrant;
    Real<N> remainder;
  };

  // REQUIRES: 0 < x < 2^63, x has at most 64 bits.
  //
  // Of π/2 there are two words more than elsewhere: one for the quotient, whose integral part is
  // the quadrant, and one for what cancels where x is near a multiple of π/2 (M. Payne and R.
  // Hanek, "Radian reduction for trigonometric functions", ACM SIGNUM 18, 1983; J.-M. Muller et
  // al., Handbook of Floating-Point Arithmetic, 2nd ed., 10.2). No x is within 2^-69 of one
  // (elementary_test.cc computes that); the remainder is off by less than 2^(66 - 64(N + 2)), so by
  // less than 2^(7 - 64N) of itself.
  Reduced Reduce(const Real<N>& x) const {
    if (x.exponent < -1) return {.quadrant = 0, .remainder = x};
    const uint64_t quotient = RoundedMagnitude(x * two_over_pi_);
    const Real<N + 2> multiple =
        Real<N + 2>::FromInteger(static_cast<int64_t>(quotient)) * half_pi_;
    return {.quadrant = static_cast<unsigned>(quotient & 3),
            .remainder = (x.template To<N + 2>() - multiple).template To<N>()};
  }

  Real<N> Sine(const Reduced& x) const {
    const Real<N> r = x.quadrant % 2 == 0 ? series_.Sine(x.remainder) : series_.Cosine(x.remainder);
    return x.quadrant < 2 ? r : -r;
  }

  Real<N> Cosine(const Reduced& x) const {
    return Sine({.quadrant = (x.quadrant + 1) & 3, .remainder = x.remainder});
  }

 private:
  static constexpr int kLeastLog = 91, kGreatestLog = 182;

  Elementary() {
    constexpr int M = N + 1;
    using Long = Real<M>;
    const Coefficients<M> series;
    const auto integer = [](int64_t n) { return Long::FromInteger(n); };
    const auto inverse = [&](int64_t n) { return integer(1) / integer(n); };

    // ln 2 = 2 atanh(1/3) = 4 atanh(1/6) + 2 atanh(1/99)
    const Long ln2 = series.Atanh(inverse(6)).Scaled(2) + series.Atanh(inverse(99)).Scaled(1);
    ln2_ = ln2.template To<N>();
    const Long inverse_ln2 = integer(1) / ln2;
    two_over_ln2_ = inverse_ln2.Scaled(1).template To<N>();

    // J. Machin, 1706: π/4 = 4 atan(1/5) - atan(1/239)
    const Coefficients<N + 3> long_series;
    const auto long_inverse = [](int64_t n) {
      return Real<N + 3>::FromInteger(1) / Real<N + 3>::FromInteger(n);
    };
    const Real<N + 3> pi =
        long_series.Atan(long_inverse(5)).Scaled(4) - long_series.Atan(long_inverse(239)).Scaled(2);
    pi_ = pi.template To<N>();
    half_pi_ = pi.Scaled(-1).template To<N + 2>();
    two_over_pi_ = (Real<N + 3>::FromInteger(2) / pi).template To<N>();

    for (int j = 0; j < 32; ++j) {
      exp2_[j] = (integer(1) + (j == 0 ? Long{} : series.Expm1(ln2 * integer(j).Scaled(-5))))
                     .template To<N>();
    }

    // log((j + 1)/j) = 2 atanh(1/(2j + 1))
    const auto step = [&](int j) {
      return (series.Atanh(inverse(2 * j + 1)) * inverse_ln2).Scaled(1);
    };
    Long log;
    for (int j = 128; j < kGreatestLog; ++j) {
      log = log + step(j);
      log2_[j + 1 - kLeastLog] = log.template To<N>();
    }
    log = Long{};
    for (int j = 127; j >= kLeastLog; --j) {
      log = log - step(j);
      log2_[j - kLeastLog] = log.template To<N>();
    }

    // atan(j/32) - atan((j - 1)/32) = atan(32/(1024 + j(j - 1)))
    Long atan;
    for (int j = 1; j <= 32; ++j) {
      atan = atan + series.Atan(integer(32) / integer(1024 + j * (j - 1)));
      atan_[j] = atan.template To<N>();
    }
  }

  // log2(1 + e) = 2/ln 2 · atanh(e/(2 + e)).
  // REQUIRES: |e| < 1/50, e is not 0.
  Real<N> Log2OfOnePlus(const Real<N>& e) const {
    return two_over_ln2_ * series_.Atanh(e / (Real<N>::FromInteger(2) + e));
  }

  const Coefficients<N> series_;
  const Real<N> one_ = Real<N>::FromInteger(1);
  Real<N> ln2_, two_over_ln2_, pi_, two_over_pi_;
  Real<N + 2> half_pi_;
  std::array<Real<N>, 32> exp2_;                            // 2^(j/32)
  std::array<Real<N>, kGreatestLog - kLeastLog + 1> log2_;  // log2(j/128)
  std::array<Real<N>, 33> atan_;                            // atan(j/32)
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_ELEMENTARY_H_
