// Errors of Real and of the functions on it, against MPFR: no bigger than real.h and elementary.h
// say, at each precision that is used.
#include "vxengine/machine/elementary.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "vxengine/machine/real.h"
#include "vxengine/testing/mpfr_number.h"

namespace vx {
namespace {

constexpr mpfr_prec_t kExact = 2000;

template <int N>
MpfrNumber Mpfr(const Real<N>& a) {
  return MpfrNumber::FromWords(a.negative, a.word.data(), N, a.exponent - 64 * N + 1);
}

// The exponent of the relative error of `a`, in units of 2^-64N: it is less than 2^that.
template <int N>
long ErrorExponent(const Real<N>& a, const MpfrNumber& exact) {
  const MpfrNumber approximation = Mpfr(a);
  if (mpfr_equal_p(approximation.get(), exact.get())) return -64 * N;
  if (mpfr_zero_p(exact.get())) return 64 * N;
  MpfrNumber error(kExact);
  mpfr_sub(error.get(), approximation.get(), exact.get(), MPFR_RNDN);
  mpfr_div(error.get(), error.get(), exact.get(), MPFR_RNDN);
  return mpfr_zero_p(error.get()) ? -64 * N : mpfr_get_exp(error.get()) + 64 * N;
}

class Operands {
 public:
  uint64_t Below(uint64_t n) { return random_() % n; }

  template <int N>
  Real<N> Any(int least, int greatest) {
    Real<N> a{.negative = Below(2) != 0,
              .exponent = least + static_cast<int32_t>(Below(greatest - least + 1))};
    for (uint64_t& word : a.word) {
      const uint64_t kind = Below(4);
      word = kind == 0 ? 0 : kind == 1 ? ~uint64_t{0} : random_();
    }
    a.word[N - 1] |= uint64_t{1} << 63;
    return a;
  }

  // Of 64 bits, as operands of instructions are.
  template <int N>
  Real<N> Operand(int least, int greatest) {
    return Any<1>(least, greatest).template To<N>();
  }

 private:
  std::mt19937_64 random_;
};

template <typename T>
class ElementaryTest : public testing::Test {
 protected:
  static constexpr int N = T::value;
  using R = Real<N>;

  static void ExpectError(const char* what, const R& a, const R& b, const R& result,
                          const MpfrNumber& exact, int bound) {
    EXPECT_LE(ErrorExponent(result, exact), bound)
        << what << " of " << a.exponent << ":" << a.word[N - 1] << " and " << b.exponent << ":"
        << b.word[N - 1];
  }

  // `exact` is MPFR's function, of one argument.
  template <typename F>
  void Check(const char* what, const R& x, const R& result, const F& exact) {
    MpfrNumber expected(kExact);
    const MpfrNumber argument = Mpfr(x);
    exact(expected.get(), argument.get(), MPFR_RNDN);
    ExpectError(what, x, x, result, expected, kLostBits);
  }

  Operands operands_;
};

using Precisions = testing::Types<std::integral_constant<int, 2>, std::integral_constant<int, 3>,
                                  std::integral_constant<int, 4>, std::integral_constant<int, 8>>;
TYPED_TEST_SUITE(ElementaryTest, Precisions);

constexpr int kCount = 2000;

TYPED_TEST(ElementaryTest, ArithmeticIsAsExactAsItSays) {
  constexpr int N = TypeParam::value;
  for (int i = 0; i < kCount; ++i) {
    const int spread = i % 4 == 0 ? 0 : i % 4 == 1 ? 1 : i % 4 == 2 ? 70 : 64 * N + 70;
    const Real<N> a = this->operands_.template Any<N>(0, spread);
    Real<N> b = this->operands_.template Any<N>(0, spread);
    if (i % 3 == 0) {  // nearly the same
      b = -a;
      b.word[this->operands_.Below(N)] ^= this->operands_.Below(1 << 30);
    }
    const MpfrNumber x = Mpfr(a), y = Mpfr(b);
    MpfrNumber exact(kExact);
    mpfr_add(exact.get(), x.get(), y.get(), MPFR_RNDN);
    this->ExpectError("+", a, b, a + b, exact, 2);
    mpfr_sub(exact.get(), x.get(), y.get(), MPFR_RNDN);
    this->ExpectError("-", a, b, a - b, exact, 2);
    mpfr_mul(exact.get(), x.get(), y.get(), MPFR_RNDN);
    this->ExpectError("*", a, b, a * b, exact, 2);
    mpfr_div(exact.get(), x.get(), y.get(), MPFR_RNDN);
    this->ExpectError("/", a, b, a / b, exact, 4);
  }
}

TYPED_TEST(ElementaryTest, ZeroIsANumber) {
  constexpr int N = TypeParam::value;
  const Real<N> one = Real<N>::FromInteger(1), zero = one - one;
  EXPECT_TRUE(zero.IsZero());
  EXPECT_TRUE(Real<N>::FromInteger(0).IsZero());
  EXPECT_TRUE((zero * one).IsZero());
  EXPECT_TRUE((zero + zero).IsZero());
  EXPECT_EQ((zero + one).word, one.word);
  EXPECT_EQ((one - zero).word, one.word);
}

TYPED_TEST(ElementaryTest, MagnitudesAreRoundedToIntegers) {
  constexpr int N = TypeParam::value;
  for (const int64_t n : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{1000}, int64_t{1} << 40,
                          (int64_t{1} << 62) - 1}) {
    const Real<N> quarter = Real<N>::FromInteger(1).Scaled(-2);
    EXPECT_EQ(RoundedMagnitude(Real<N>::FromInteger(-n)), n);
    EXPECT_EQ(RoundedMagnitude(Real<N>::FromInteger(n) + quarter), n);
    EXPECT_EQ(RoundedMagnitude(Real<N>::FromInteger(n) - quarter), n);
  }
  EXPECT_EQ(RoundedMagnitude(Real<N>::FromInteger(1).Scaled(-2)), 0u);
  EXPECT_EQ(RoundedMagnitude(Real<N>()), 0u);
}

TYPED_TEST(ElementaryTest, Exp2m1) {
  constexpr int N = TypeParam::value;
  for (int i = 0; i < kCount; ++i) {
    const Real<N> x =
        this->operands_.template Operand<N>(i % 2 == 0 ? -8 : -300, i % 8 == 0 ? 13 : -1);
    this->Check("2^x - 1", x, Elementary<N>::Get().Exp2m1(x), mpfr_exp2m1);
  }
  for (int j = -64; j <= 64; ++j) {  // all of the table, and next to it
    const Real<N> x = Real<N>::FromInteger(2 * j + 1).Scaled(-6);
    this->Check("2^x - 1", x, Elementary<N>::Get().Exp2m1(x), mpfr_exp2m1);
  }
}

TYPED_TEST(ElementaryTest, Logarithms) {
  constexpr int N = TypeParam::value;
  const auto& f = Elementary<N>::Get();
  const Real<N> one = Real<N>::FromInteger(1);
  for (int i = 0; i < kCount; ++i) {
    Real<N> x =
        this->operands_.template Operand<N>(i % 2 == 0 ? -1 : -16445, i % 2 == 0 ? 0 : 16383);
    x.negative = false;
    this->Check("log2 x", x, f.Log2(x), mpfr_log2);
    const Real<N> near = this->operands_.template Operand<N>(-60, -3);
    const Real<N> sum = (one + near).template To<1>().template To<N>();
    this->Check("log2 x", sum, f.Log2(sum), mpfr_log2);
    this->Check("log2(1 + x)", near, f.Log2p1(near), mpfr_log2p1);
  }
  for (int j = 257; j < 512; ++j) {  // all of the table
    if (j % 2 == 0) continue;
    const Real<N> x = Real<N>::FromInteger(j).Scaled(-8);
    this->Check("log2 x", x, f.Log2(x), mpfr_log2);
    this->Check("log2(1 + x)", x - one, f.Log2p1(x - one), mpfr_log2p1);
  }
}

TYPED_TEST(ElementaryTest, ArcTangent) {
  constexpr int N = TypeParam::value;
  for (int i = 0; i < kCount; ++i) {
    Real<N> y = this->operands_.template Operand<N>(i % 2 == 0 ? -70 : -7, 0);
    Real<N> x = this->operands_.template Operand<N>(0, 1);
    y.negative = x.negative = false;
    if ((x - y).negative) std::swap(x, y);
    MpfrNumber exact(kExact);
    const MpfrNumber ordinate = Mpfr(y), abscissa = Mpfr(x);
    mpfr_atan2(exact.get(), ordinate.get(), abscissa.get(), MPFR_RNDN);
    this->ExpectError("atan y/x", y, x, Elementary<N>::Get().AtanOfRatio(y, x), exact, kLostBits);
  }
  const Real<N> one = Real<N>::FromInteger(1);
  for (int j = 1; j <= 64; ++j) {  // all of the table
    const Real<N> y = Real<N>::FromInteger(j).Scaled(-6);
    this->Check("atan", y, Elementary<N>::Get().AtanOfRatio(y, one), mpfr_atan);
  }
}

TYPED_TEST(ElementaryTest, SineAndCosine) {
  constexpr int N = TypeParam::value;
  const auto& f = Elementary<N>::Get();
  for (int i = 0; i < kCount; ++i) {
    Real<N> x = this->operands_.template Operand<N>(i % 2 == 0 ? -5 : -100, i % 2 == 0 ? 5 : 62);
    x.negative = false;
    const auto reduced = f.Reduce(x);
    this->Check("sin", x, f.Sine(reduced), mpfr_sin);
    this->Check("cos", x, f.Cosine(reduced), mpfr_cos);
    this->Check("tan", x, f.Sine(reduced) / f.Cosine(reduced), mpfr_tan);
  }
}

TYPED_TEST(ElementaryTest, Pi) {
  MpfrNumber pi(kExact);
  mpfr_const_pi(pi.get(), MPFR_RNDN);
  EXPECT_LE(ErrorExponent(Elementary<TypeParam::value>::Get().pi(), pi), 2);
}

// What Elementary::Reduce relies on. Of all integers n < 2^64 the one with n·a nearest to an
// integer is the denominator of a convergent of a, so it is enough to look at these (A. Khinchin,
// Continued Fractions, theorem 16).
TEST(ReductionTest, NoOperandIsWithin2ToMinus69OfAMultipleOfHalfPi) {
  long least = 0;
  for (int exponent = -1; exponent < 63; ++exponent) {
    MpfrNumber half_pi(kExact), a(kExact), whole(64), distance(kExact);
    mpfr_const_pi(half_pi.get(), MPFR_RNDN);
    mpfr_div_2ui(half_pi.get(), half_pi.get(), 1, MPFR_RNDN);
    // n significands are x = n · 2^(exponent - 63) = n · a · π/2.
    mpfr_set_ui_2exp(a.get(), 1, exponent - 63, MPFR_RNDN);
    mpfr_div(a.get(), a.get(), half_pi.get(), MPFR_RNDN);
    const MpfrNumber ratio = a;
    unsigned __int128 denominator = 0, before = 1;
    for (;;) {
      mpfr_floor(whole.get(), a.get());
      if (!mpfr_fits_ulong_p(whole.get(), MPFR_RNDZ)) break;
      const unsigned __int128 next = mpfr_get_ui(whole.get(), MPFR_RNDZ) * denominator + before;
      if (next >> 64 != 0) break;
      before = denominator;
      denominator = next;
      mpfr_mul_ui(distance.get(), ratio.get(), static_cast<uint64_t>(denominator), MPFR_RNDN);
      MpfrNumber integer(kExact);
      mpfr_round(integer.get(), distance.get());
      if (!mpfr_zero_p(integer.get())) {
        mpfr_sub(distance.get(), distance.get(), integer.get(), MPFR_RNDN);
        mpfr_mul(distance.get(), distance.get(), half_pi.get(), MPFR_RNDN);
        least = std::min<long>(least, mpfr_get_exp(distance.get()));
      }
      mpfr_sub(a.get(), a.get(), whole.get(), MPFR_RNDN);
      mpfr_ui_div(a.get(), 1, a.get(), MPFR_RNDN);
    }
  }
  EXPECT_EQ(least, -68);  // between 2^-69 and 2^-68
}

}  // namespace
}  // namespace vx
