// The transcendental instructions against MPFR, which rounds correctly, too. Results that don't
// need it: transcendental_test.cc.
#include <bit>
#include <functional>
#include <limits>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "vxengine/machine/transcendental.h"
#include "vxengine/testing/mpfr_number.h"
#include "vxengine/testing/x87_values.h"

namespace vx {

namespace {

constexpr int kBias = 0x3fff;
constexpr X87Register kZero = {0, 0};
constexpr X87Register kOne = {kTopBit, kBias};

// --- The reference ---

constexpr mpfr_prec_t kReferenceBits = 600;

MpfrNumber Mpfr(const X87Register& r) {
  const int field = r.sign_exponent & 0x7fff;
  return MpfrNumber::FromWords(r.sign_exponent >> 15 != 0, &r.significand, 1,
                               (field == 0 ? 1 : field) - kBias - 63);
}

// Rounds a result that was cut off, as `ternary` tells, to odd: that can be rounded once more
// without harm (S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums: proved
// algorithms using rounding to odd", IEEE TC 57, 2008).
void RoundToOdd(mpfr_ptr value, int ternary) {
  if (ternary == 0 || mpfr_min_prec(value) == mpfr_get_prec(value)) return;
  if (mpfr_sgn(value) > 0) {
    mpfr_nextabove(value);
  } else {
    mpfr_nextbelow(value);
  }
}

using Reference = std::function<MpfrNumber(const X87Register& st0, const X87Register& st1)>;

Reference ReferenceOf(int (*function)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t)) {
  return [function](const X87Register& st0, const X87Register&) {
    MpfrNumber result(kReferenceBits);
    RoundToOdd(result.get(), function(result.get(), Mpfr(st0).get(), MPFR_RNDZ));
    return result;
  };
}

Reference ProductWith(int (*logarithm)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t)) {
  return [logarithm](const X87Register& st0, const X87Register& st1) {
    MpfrNumber log(kReferenceBits), result(kReferenceBits + 64);
    RoundToOdd(log.get(), logarithm(log.get(), Mpfr(st0).get(), MPFR_RNDZ));
    mpfr_mul(result.get(), log.get(), Mpfr(st1).get(), MPFR_RNDZ);
    return result;
  };
}

MpfrNumber ArcTangent(const X87Register& st0, const X87Register& st1) {
  MpfrNumber result(kReferenceBits);
  RoundToOdd(result.get(), mpfr_atan2(result.get(), Mpfr(st1).get(), Mpfr(st0).get(), MPFR_RNDZ));
  return result;
}

struct Instruction {
  const char* name;
  std::function<Exact(const X87Register& st0, const X87Register& st1)> run;
  Reference reference;
};

const Instruction kF2xm1 = {"F2XM1", [](auto& x, auto&) { return F2xm1(x).value; },
                            ReferenceOf(mpfr_exp2m1)};
const Instruction kFyl2x = {"FYL2X", [](auto& x, auto& y) { return Fyl2x(x, y).value; },
                            ProductWith(mpfr_log2)};
const Instruction kFyl2xp1 = {"FYL2XP1", [](auto& x, auto& y) { return Fyl2xp1(x, y).value; },
                              ProductWith(mpfr_log2p1)};
const Instruction kFpatan = {"FPATAN", [](auto& x, auto& y) { return Fpatan(x, y).value; },
                             ArcTangent};
const Instruction kFptan = {"FPTAN", [](auto& x, auto&) { return Fptan(x).value; },
                            ReferenceOf(mpfr_tan)};
const Instruction kFsin = {"FSIN", [](auto& x, auto&) { return Fsin(x).value; },
                           ReferenceOf(mpfr_sin)};
const Instruction kFcos = {"FCOS", [](auto& x, auto&) { return Fcos(x).value; },
                           ReferenceOf(mpfr_cos)};
const std::vector<const Instruction*> kTrigonometric = {&kFptan, &kFsin, &kFcos};

// Bits of `rest` but the first say only whether there is more.
Exact Normalized(Exact value) {
  value.rest = (value.rest & kTopBit) | ((value.rest & ~kTopBit) != 0 ? 1 : 0);
  return value;
}

Exact FromMpfr(const MpfrNumber& value) {
  if (mpfr_zero_p(value.get())) return {.sign = mpfr_signbit(value.get()) != 0};
  int64_t exponent;
  const auto word = value.ToWords<12>(&exponent);
  Exact result{.kind = Kind::kFinite,
               .sign = mpfr_signbit(value.get()) != 0,
               .exponent = static_cast<int32_t>(exponent + 12 * 64 - 1),
               .significand = word[11],
               .rest = word[10] & kTopBit};
  if ((word[10] & ~kTopBit) != 0) result.rest |= 1;
  for (int i = 0; i < 10; ++i) {
    if (word[i] != 0) result.rest |= 1;
  }
  return result;
}

// The masked response of a CPU: `value` rounded once to the 80-bit format.
X87Register Rounded(const Exact& value, mpfr_rnd_t mode) {
  const uint16_t sign = value.sign ? 0x8000 : 0;
  if (value.kind == Kind::kZero) return {0, sign};
  if (value.kind == Kind::kInfinity) return {kTopBit, static_cast<uint16_t>(sign | 0x7fff)};
  uint64_t significand = value.significand, rest = value.rest;
  int32_t field = value.exponent + kBias;
  if (field < 1) {
    const int32_t shift = 1 - field;
    const uint64_t sticky = rest != 0 ? 1 : 0;
    if (shift < 64) {
      rest = significand << (64 - shift) | sticky;
      significand >>= shift;
    } else {
      rest = shift == 64 ? significand | sticky : 1;
      significand = 0;
    }
    field = 0;
  }
  bool up = false;
  if (rest != 0) {
    if (mode == MPFR_RNDN) up = rest > kTopBit || (rest == kTopBit && (significand & 1) != 0);
    if (mode == MPFR_RNDU) up = !value.sign;
    if (mode == MPFR_RNDD) up = value.sign;
  }
  if (up && ++significand == 0) {
    significand = kTopBit;
    ++field;
  }
  if (field == 0 && significand == kTopBit) field = 1;
  if (field >= 0x7fff) {
    const bool to_infinity = mode == MPFR_RNDN || mode == (value.sign ? MPFR_RNDD : MPFR_RNDU);
    return to_infinity ? X87Register{kTopBit, static_cast<uint16_t>(sign | 0x7fff)}
                       : X87Register{~uint64_t{0}, static_cast<uint16_t>(sign | 0x7ffe)};
  }
  return {significand, static_cast<uint16_t>(sign | field)};
}

// The same by MPFR.
X87Register RoundedByMpfr(const MpfrNumber& exact, mpfr_rnd_t mode) {
  const mpfr_exp_t emin = mpfr_get_emin(), emax = mpfr_get_emax();
  mpfr_set_emin(-16444);  // a least number of 2^-16445
  mpfr_set_emax(16384);
  MpfrNumber rounded(64);
  int ternary = mpfr_set(rounded.get(), exact.get(), mode);
  ternary = mpfr_check_range(rounded.get(), ternary, mode);
  mpfr_subnormalize(rounded.get(), ternary, mode);
  mpfr_set_emin(emin);
  mpfr_set_emax(emax);
  const uint16_t sign = mpfr_signbit(rounded.get()) ? 0x8000 : 0;
  if (mpfr_zero_p(rounded.get())) return {0, sign};
  if (mpfr_inf_p(rounded.get())) return {kTopBit, static_cast<uint16_t>(sign | 0x7fff)};
  int64_t exponent;
  const uint64_t significand = rounded.ToWords<1>(&exponent)[0];
  const int64_t field = exponent + 63 + kBias;
  if (field < 1) return {significand >> (1 - field), sign};
  return {significand, static_cast<uint16_t>(sign | field)};
}

void ExpectCorrect(const Instruction& instruction, const X87Register& st0,
                   const X87Register& st1 = kZero) {
  const Exact value = instruction.run(st0, st1);
  const MpfrNumber exact = instruction.reference(st0, st1);
  const std::string what = instruction.name + std::string(" of ") + testing::PrintToString(st0) +
                           ", " + testing::PrintToString(st1);
  ASSERT_EQ(Normalized(value), FromMpfr(exact)) << what;
  for (const mpfr_rnd_t mode : {MPFR_RNDN, MPFR_RNDD, MPFR_RNDU, MPFR_RNDZ}) {
    ASSERT_EQ(Rounded(value, mode), RoundedByMpfr(exact, mode)) << what << ", mode " << mode;
  }
}

// --- Operands ---

class Operands {
 public:
  explicit Operands(unsigned seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Sign() { return Below(2) != 0; }

  // All shapes: dense, sparse, near a power of 2, near 2 or 1.5 times one.
  uint64_t Significand() {
    const uint64_t bits = random_();
    switch (Below(6)) {
      case 0:
        return kTopBit | (bits << (1 + bits % 63)) >> 1;
      case 1:
        return kTopBit | bits >> (1 + bits % 63);
      case 2:
        return ~uint64_t{0} - (bits >> (1 + bits % 63));
      case 3:
        return (kTopBit | kTopBit >> 1) + (bits % 64) - 32;
      default:
        return kTopBit | bits;
    }
  }

  // |value| in [2^least, 2^(greatest + 1)).
  X87Register Between(int least, int greatest) {
    const int exponent = least + static_cast<int>(Below(greatest - least + 1));
    return X87Value(Sign(), exponent, Significand());
  }

  X87Register Denormal() {
    return {.significand = Significand() >> Below(64),
            .sign_exponent = static_cast<uint16_t>(Sign() ? 0x8000 : 0)};
  }

  // Any finite operand but 0.
  X87Register Any() {
    switch (Below(8)) {
      case 0:
        return Denormal();
      case 1:
        return Between(-16382, 16383);
      case 2:
        return Between(-16382, -16300);
      case 3:
        return Between(16300, 16383);
      case 4:
        return Between(-70, 66);
      default:
        return Between(-8, 5);
    }
  }

  // Within some last places of a number of 64 bits.
  X87Register Near(const MpfrNumber& number) {
    int64_t exponent;
    uint64_t significand = number.ToWords<1>(&exponent)[0];
    significand += Below(9) - 4;
    if (significand < kTopBit) significand = kTopBit;
    return X87Value(mpfr_signbit(number.get()) != 0, static_cast<int>(exponent + 63), significand);
  }

 private:
  std::mt19937_64 random_;
};

X87Register Positive(X87Register r) {
  r.sign_exponent &= 0x7fff;
  return r;
}

X87Register Negated(X87Register r) {
  r.sign_exponent ^= 0x8000;
  return r;
}

// n · 2^exponent
X87Register Scaled(uint64_t n, int exponent) {
  const int zeros = std::countl_zero(n);
  return X87Value(false, exponent + 63 - zeros, n << zeros);
}

struct Fraction {
  uint64_t numerator, denominator;
};

// The convergents of the continued fraction of a positive number, up to 64 bits. n/d is nearer to
// the number than any fraction of a denominator up to d, and by less than 1/d².
std::vector<Fraction> Convergents(MpfrNumber a) {
  std::vector<Fraction> convergents;
  Fraction last = {1, 0}, before = {0, 1};
  MpfrNumber whole(64);
  for (;;) {
    mpfr_floor(whole.get(), a.get());
    if (!mpfr_fits_ulong_p(whole.get(), MPFR_RNDZ)) return convergents;
    const uint64_t quotient = mpfr_get_ui(whole.get(), MPFR_RNDZ);
    const auto next = [quotient](uint64_t x, uint64_t y) {
      return static_cast<unsigned __int128>(quotient) * x + y;
    };
    const unsigned __int128 n = next(last.numerator, before.numerator);
    const unsigned __int128 d = next(last.denominator, before.denominator);
    if ((n | d) >> 64 != 0) return convergents;
    before = last;
    last = {static_cast<uint64_t>(n), static_cast<uint64_t>(d)};
    if (n != 0) convergents.push_back(last);
    mpfr_sub(a.get(), a.get(), whole.get(), MPFR_RNDN);
    if (mpfr_zero_p(a.get())) return convergents;
    mpfr_ui_div(a.get(), 1, a.get(), MPFR_RNDN);
  }
}

MpfrNumber Constant(int (*function)(mpfr_ptr, mpfr_rnd_t), int scale) {
  MpfrNumber number(kReferenceBits);
  function(number.get(), MPFR_RNDN);
  mpfr_mul_2si(number.get(), number.get(), scale, MPFR_RNDN);
  return number;
}

#define CHECK_CORRECT(...) ASSERT_NO_FATAL_FAILURE(ExpectCorrect(__VA_ARGS__))

constexpr int kCount = 5000;

TEST(TranscendentalMpfrTest, F2xm1OfItsRange) {
  Operands operands(1);
  for (int i = 0; i < kCount; ++i) {
    CHECK_CORRECT(kF2xm1, operands.Between(-80, -1));
    CHECK_CORRECT(kF2xm1, operands.Between(-8, -1));
  }
}

TEST(TranscendentalMpfrTest, F2xm1OfAnything) {
  Operands operands(2);
  for (int i = 0; i < kCount; ++i) {
    CHECK_CORRECT(kF2xm1, operands.Between(-16382, 14));
    CHECK_CORRECT(kF2xm1, operands.Between(0, 8));
    CHECK_CORRECT(kF2xm1, operands.Denormal());
  }
}

TEST(TranscendentalMpfrTest, F2xm1OfIntegers) {
  for (uint64_t n = 1; n < 20000; n += n < 200 ? 1 : 317) {
    CHECK_CORRECT(kF2xm1, Scaled(n, 0));
    CHECK_CORRECT(kF2xm1, Negated(Scaled(n, 0)));
    CHECK_CORRECT(kF2xm1, Scaled(2 * n + 1, -1));
    CHECK_CORRECT(kF2xm1, Negated(Scaled(2 * n + 1, -1)));
  }
}

// x ln 2 is nearly a number of 64 bits, or of 65.
TEST(TranscendentalMpfrTest, F2xm1ThatIsHardToRound) {
  for (int scale = 0; scale < 2; ++scale) {
    for (const Fraction& f : Convergents(Constant(mpfr_const_log2, scale))) {
      for (int exponent = 120; exponent < 240; exponent += 7) {
        CHECK_CORRECT(kF2xm1, Scaled(f.denominator, -exponent));
        CHECK_CORRECT(kF2xm1, Negated(Scaled(f.denominator, -exponent)));
      }
    }
  }
}

TEST(TranscendentalMpfrTest, Fyl2xOfAnything) {
  Operands operands(3);
  for (int i = 0; i < kCount; ++i) {
    CHECK_CORRECT(kFyl2x, Positive(operands.Any()), operands.Any());
    CHECK_CORRECT(kFyl2x, Positive(operands.Between(-2, 1)), operands.Between(-8, 8));
    CHECK_CORRECT(kFyl2x, Positive(operands.Near(Mpfr(kOne))), operands.Any());
  }
}

TEST(TranscendentalMpfrTest, Fyl2xOfPowersOf2) {
  Operands operands(4);
  for (int n = -16382; n <= 16383; n += n < -70 || n >= 70 ? 61 : 1) {
    if (n == 0) continue;
    CHECK_CORRECT(kFyl2x, X87Value(false, n, kTopBit), operands.Any());
  }
  for (int bit = 0; bit < 64; ++bit) {
    CHECK_CORRECT(kFyl2x, {uint64_t{1} << bit, 0}, operands.Any());
  }
}

// y log2 x is within 2^-128 of itself of a number of 64 bits, or of 65.
TEST(TranscendentalMpfrTest, Fyl2xThatIsHardToRound) {
  Operands operands(5);
  for (int i = 0; i < 40; ++i) {
    const X87Register x = Positive(operands.Between(-4, 4));
    MpfrNumber log = kFyl2x.reference(x, kOne);
    if (mpfr_zero_p(log.get())) continue;
    mpfr_abs(log.get(), log.get(), MPFR_RNDN);
    mpfr_mul_2si(log.get(), log.get(), i % 2, MPFR_RNDN);
    for (const Fraction& f : Convergents(log)) CHECK_CORRECT(kFyl2x, x, Scaled(f.denominator, -60));
  }
}

TEST(TranscendentalMpfrTest, Fyl2xp1OfAnything) {
  Operands operands(6);
  for (int i = 0; i < kCount; ++i) {
    CHECK_CORRECT(kFyl2xp1, Positive(operands.Any()), operands.Any());
    CHECK_CORRECT(kFyl2xp1, operands.Between(-70, -2), operands.Between(-8, 8));
    CHECK_CORRECT(kFyl2xp1, operands.Between(-9, -1), operands.Between(-8, 8));
    CHECK_CORRECT(kFyl2xp1, operands.Between(-16382, -1), operands.Any());
    CHECK_CORRECT(kFyl2xp1, operands.Denormal(), operands.Any());
  }
}

// The result is nearly, but not quite, a multiple of y.
TEST(TranscendentalMpfrTest, Fyl2xp1OfPowersOf2) {
  Operands operands(15);
  for (int n = -200; n <= 16383; n += n < 400 ? 1 : 61) {
    CHECK_CORRECT(kFyl2xp1, X87Value(false, n, kTopBit), operands.Any());
    CHECK_CORRECT(kFyl2xp1, X87Value(false, n, kTopBit), kOne);
  }
}

TEST(TranscendentalMpfrTest, Fyl2xp1OfPowersOf2LessOne) {
  Operands operands(7);
  for (int n = 1; n <= 64; ++n) {
    const uint64_t ones = ~uint64_t{0} << (64 - n);
    for (int exponent = -2; exponent <= 65; ++exponent) {
      CHECK_CORRECT(kFyl2xp1, X87Value(false, exponent, ones), operands.Any());
      if (exponent >= 0) continue;
      CHECK_CORRECT(kFyl2xp1, X87Value(true, exponent, ones), operands.Any());
    }
    CHECK_CORRECT(kFyl2xp1, X87Value(false, n - 1, ones), kOne);
    CHECK_CORRECT(kFyl2xp1, X87Value(true, -1, ones), kOne);
  }
}

TEST(TranscendentalMpfrTest, Fyl2xp1ThatIsHardToRound) {
  Operands operands(8);
  for (int i = 0; i < 40; ++i) {
    const X87Register x = operands.Between(-66, -2);
    MpfrNumber log = kFyl2xp1.reference(x, kOne);
    mpfr_abs(log.get(), log.get(), MPFR_RNDN);
    mpfr_mul_2si(log.get(), log.get(), i % 2 - mpfr_get_exp(log.get()), MPFR_RNDN);
    for (const Fraction& f : Convergents(log)) {
      CHECK_CORRECT(kFyl2xp1, x, Scaled(f.denominator, -60));
    }
  }
}

TEST(TranscendentalMpfrTest, FpatanOfAnything) {
  Operands operands(9);
  for (int i = 0; i < kCount; ++i) {
    CHECK_CORRECT(kFpatan, operands.Any(), operands.Any());
    CHECK_CORRECT(kFpatan, operands.Between(-4, 4), operands.Between(-4, 4));
    CHECK_CORRECT(kFpatan, operands.Between(-40, 40), operands.Between(-40, 40));
  }
}

// The quotient, of 64 bits, of 65, or of more, is nearly the result.
TEST(TranscendentalMpfrTest, FpatanOfSmallQuotients) {
  Operands operands(10);
  for (int i = 0; i < kCount; ++i) {
    const uint64_t quotient = operands.Below(uint64_t{1} << 33) + 1;
    const uint64_t x = operands.Below(uint64_t{1} << 30) + 1;
    const X87Register y = Scaled(quotient * x, -static_cast<int>(operands.Below(100)));
    CHECK_CORRECT(kFpatan, Scaled(x, 20), operands.Sign() ? y : Negated(y));
    CHECK_CORRECT(kFpatan, operands.Between(30, 70), operands.Between(-36, -30));
  }
  for (const uint64_t x : {kTopBit + 1, kTopBit + 2, kTopBit + 3, ~uint64_t{0}, ~uint64_t{0} - 1}) {
    for (int exponent = 28; exponent < 80; ++exponent) {
      // (2^64 - 1)(2^64 + 1) = 2^128 - 1: as near to a number of 65 bits as can be.
      CHECK_CORRECT(kFpatan, X87Value(false, exponent, x), kOne);
      CHECK_CORRECT(kFpatan, X87Value(false, exponent, x), X87Value(false, 0, kTopBit + 1));
      CHECK_CORRECT(kFpatan, X87Value(false, exponent, x), X87Value(false, 0, ~uint64_t{0}));
    }
  }
}

TEST(TranscendentalMpfrTest, FpatanWithDenormals) {
  Operands operands(11);
  for (int i = 0; i < kCount; ++i) {
    CHECK_CORRECT(kFpatan, operands.Denormal(), operands.Denormal());
    CHECK_CORRECT(kFpatan, operands.Between(-70, 16383), operands.Denormal());
    CHECK_CORRECT(kFpatan, operands.Between(0, 300), operands.Between(-16382, -16200));
  }
}

// The angle is within 2^-120 or so of a number of 65 bits.
TEST(TranscendentalMpfrTest, FpatanThatIsHardToRound) {
  Operands operands(12);
  for (int i = 0; i < 60; ++i) {
    MpfrNumber angle = Mpfr(Positive(operands.Between(-30, 0))), tangent(kReferenceBits);
    mpfr_prec_round(angle.get(), 65, MPFR_RNDN);
    if (i % 2 != 0) mpfr_nextabove(angle.get());
    mpfr_tan(tangent.get(), angle.get(), MPFR_RNDN);
    const bool obtuse = mpfr_sgn(tangent.get()) < 0;
    mpfr_abs(tangent.get(), tangent.get(), MPFR_RNDN);
    for (const Fraction& f : Convergents(tangent)) {
      const X87Register x = Scaled(f.denominator, 0), y = Scaled(f.numerator, 0);
      CHECK_CORRECT(kFpatan, obtuse ? Negated(x) : x, y);
      CHECK_CORRECT(kFpatan, obtuse ? x : Negated(x), y);
    }
  }
}

TEST(TranscendentalMpfrTest, TrigonometricOfAnything) {
  Operands operands(13);
  for (const Instruction* instruction : kTrigonometric) {
    for (int i = 0; i < kCount; ++i) {
      CHECK_CORRECT(*instruction, operands.Between(-8, 8));
      CHECK_CORRECT(*instruction, operands.Between(-72, 62));
      if (i % 8 != 0) continue;
      CHECK_CORRECT(*instruction, operands.Between(-16382, 62));
      CHECK_CORRECT(*instruction, operands.Denormal());
    }
  }
}

TEST(TranscendentalMpfrTest, TrigonometricNearMultiplesOfHalfPi) {
  Operands operands(14);
  for (int i = 0; i < kCount; ++i) {
    MpfrNumber multiple = Constant(mpfr_const_pi, -1);
    const uint64_t n = i < 100 ? i + 1 : operands.Below(uint64_t{1} << (1 + i % 62)) + 1;
    mpfr_mul_ui(multiple.get(), multiple.get(), n, MPFR_RNDN);
    const X87Register x = operands.Near(multiple);
    if (x.sign_exponent >= kBias + 63) continue;
    for (const Instruction* instruction : kTrigonometric) {
      CHECK_CORRECT(*instruction, operands.Sign() ? x : Negated(x));
    }
  }
}

// The nearest there are: convergents of multiples of 2/π by powers of 2.
TEST(TranscendentalMpfrTest, TrigonometricNearestToMultiplesOfHalfPi) {
  for (int exponent = -64; exponent < 0; ++exponent) {
    for (const Fraction& f : Convergents(Constant(mpfr_const_pi, -1 - exponent))) {
      const X87Register x = Scaled(f.numerator, exponent);
      if (x.sign_exponent >= kBias + 63) continue;
      for (const Instruction* instruction : kTrigonometric) CHECK_CORRECT(*instruction, x);
    }
  }
}

}  // namespace
}  // namespace vx
