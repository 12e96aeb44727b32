// Binary floating point of N 64-bit words for the evaluation of elementary functions: standard
// integer arithmetic only, so every host computes the same.
//
// A value is 0, or ±s · 2^(exponent - 64N + 1) with a significand s of exactly 64N bits. Products
// and sums are cut off, not rounded: each is off by less than 2^(2 - 64N) of itself, a quotient by
// less than 2^(4 - 64N). Exponents stay far inside int32_t: nothing overflows, and all values are
// numbers.
#ifndef VXENGINE_MACHINE_REAL_H_
#define VXENGINE_MACHINE_REAL_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace vx {

template <int N>
struct Real {
  static_assert(N >= 1);
  static constexpr int kBits = 64 * N;

  bool negative = false;
  int32_t exponent = 0;
  std::array<uint64_t, N> word{};  // least significant first; the top bit is 1, or the value is 0

  constexpr bool IsZero() const { return word[N - 1] == 0; }
  constexpr uint64_t Top() const { return word[N - 1]; }

  // ±significand · 2^(exponent - 63), where the top bit of `significand` is 1.
  static constexpr Real FromSignificand(bool negative, int32_t exponent, uint64_t significand) {
    Real r{.negative = negative, .exponent = exponent};
    r.word[N - 1] = significand;
    return r;
  }

  static constexpr Real FromInteger(int64_t value) {
    if (value == 0) return {};
    const uint64_t magnitude = value < 0 ? -static_cast<uint64_t>(value) : value;
    const int zeros = std::countl_zero(magnitude);
    return FromSignificand(value < 0, 63 - zeros, magnitude << zeros);
  }

  // To M words: cut off, or filled up with zeroes.
  template <int M>
  constexpr Real<M> To() const {
    Real<M> r{.negative = negative, .exponent = exponent};
    for (int i = 1; i <= std::min(M, N); ++i) r.word[M - i] = word[N - i];
    return r;
  }

  // This times 2^n.
  constexpr Real Scaled(int32_t n) const {
    Real r = *this;
    if (!IsZero()) r.exponent += n;
    return r;
  }
};

template <int N>
constexpr Real<N> operator-(Real<N> a) {
  a.negative = !a.negative;
  return a;
}

template <int N>
constexpr Real<N> operator*(const Real<N>& a, const Real<N>& b) {
  if (a.IsZero() || b.IsZero()) return {};
  // Columns below N - 2 are left out: with fewer than N products each they come to less than
  // N · 2^-64 of the last place.
  std::array<uint64_t, 2 * N> product{};
  for (int i = 0; i < N; ++i) {
    uint64_t carry = 0;
    for (int j = std::max(0, N - 2 - i); j < N; ++j) {
      const unsigned __int128 sum =
          static_cast<unsigned __int128>(a.word[i]) * b.word[j] + product[i + j] + carry;
      product[i + j] = static_cast<uint64_t>(sum);
      carry = static_cast<uint64_t>(sum >> 64);
    }
    product[i + N] = carry;
  }
  Real<N> r{.negative = a.negative != b.negative, .exponent = a.exponent + b.exponent};
  if (product[2 * N - 1] >> 63 != 0) {
    ++r.exponent;
    for (int i = 0; i < N; ++i) r.word[i] = product[N + i];
  } else {
    for (int i = 0; i < N; ++i) r.word[i] = product[N + i] << 1 | product[N + i - 1] >> 63;
  }
  return r;
}

template <int N>
constexpr Real<N> operator+(const Real<N>& left, const Real<N>& right) {
  const bool swap = left.IsZero() || (!right.IsZero() && left.exponent < right.exponent);
  const Real<N>& big = swap ? right : left;
  const Real<N>& small = swap ? left : right;
  const int32_t distance = big.exponent - small.exponent;
  if (small.IsZero() || distance > Real<N>::kBits) return big;

  // One word more below the significands: a difference that cancels more than a bit is exact.
  std::array<uint64_t, N + 1> a{}, b{};
  const int words = distance / 64, bits = distance % 64;
  for (int i = 0; i < N; ++i) a[i + 1] = big.word[i];
  for (int i = 0; i < N; ++i) {
    if (i + 1 - words >= 0) b[i + 1 - words] |= small.word[i] >> bits;
    if (i - words >= 0 && bits != 0) b[i - words] |= small.word[i] << (64 - bits);
  }

  Real<N> r{.negative = big.negative, .exponent = big.exponent};
  if (big.negative == small.negative) {
    unsigned __int128 sum = 0;
    for (int i = 0; i <= N; ++i) {
      sum += static_cast<unsigned __int128>(a[i]) + b[i];
      a[i] = static_cast<uint64_t>(sum);
      sum >>= 64;
    }
    const int carry = static_cast<int>(sum);
    for (int i = 0; i < N; ++i) {
      const uint64_t above = i + 2 <= N ? a[i + 2] : 1;
      r.word[i] = carry == 0 ? a[i + 1] : a[i + 1] >> 1 | above << 63;
    }
    r.exponent += carry;
    return r;
  }

  uint64_t borrow = 0;
  for (int i = 0; i <= N; ++i) {
    const unsigned __int128 difference = static_cast<unsigned __int128>(a[i]) - b[i] - borrow;
    a[i] = static_cast<uint64_t>(difference);
    borrow = static_cast<uint64_t>(difference >> 64) & 1;
  }
  if (borrow != 0) {  // equal exponents, and the second is the greater
    r.negative = !r.negative;
    uint64_t carry = 1;
    for (uint64_t& word : a) {
      word = ~word + carry;
      carry = carry != 0 && word == 0 ? 1 : 0;
    }
  }
  int top = N;
  while (top >= 0 && a[top] == 0) --top;
  if (top < 0) return {};
  const int shift = std::countl_zero(a[top]);
  for (int i = N - 1, j = top; i >= 0 && j >= 0; --i, --j) {
    const uint64_t below = j > 0 && shift != 0 ? a[j - 1] >> (64 - shift) : 0;
    r.word[i] = a[j] << shift | below;
  }
  r.exponent -= 64 * (N - top) + shift;
  return r;
}

template <int N>
constexpr Real<N> operator-(const Real<N>& a, const Real<N>& b) {
  return a + -b;
}

// REQUIRES: b is not 0.
template <int N>
constexpr Real<N> operator/(const Real<N>& a, const Real<N>& b) {
  // Newton's iteration for 1/b: an approximation that is off by e is followed by one off by e²,
  // apart from what is cut off. The first, of one word, is off by less than 2^-62.
  const uint64_t first = static_cast<uint64_t>((~static_cast<unsigned __int128>(0) >> 1) / b.Top());
  Real<N> inverse = Real<N>::FromSignificand(b.negative, -b.exponent - 1, first);
  const Real<N> one = Real<N>::FromInteger(1);
  for (int bits = 62; bits < Real<N>::kBits; bits *= 2) {
    inverse = inverse + inverse * (one - b * inverse);
  }
  return a * inverse;
}

// The nearest integer to |a|, or one of the two if they are about as near.
// REQUIRES: |a| < 2^63.
template <int N>
constexpr uint64_t RoundedMagnitude(const Real<N>& a) {
  if (a.IsZero() || a.exponent < -1) return 0;
  if (a.exponent == -1) return 1;
  const uint64_t half = uint64_t{1} << (62 - a.exponent);
  const uint64_t sum = a.Top() + half;
  if (sum < half) return uint64_t{1} << (a.exponent + 1);
  return sum >> (63 - a.exponent);
}

}  // namespace vx

#endif  // VXENGINE_MACHINE_REAL_H_
