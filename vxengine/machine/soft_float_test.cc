// Software floating point by known results, and on x86-64 against the host's own, whose SSE does
// binary32 and binary64 and whose x87 does the 80-bit format. NaNs: conformance/fp_test.cc.
#include "vxengine/machine/soft_float.h"

#include <bit>
#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <tuple>

#include "gtest/gtest.h"

namespace vx {

void PrintTo(const X87Register& reg, std::ostream* out) {
  *out << std::hex << reg.sign_exponent << ":" << reg.significand << std::dec;
}

namespace {

constexpr Rounding kModes[] = {Rounding::kNearest, Rounding::kDown, Rounding::kUp,
                               Rounding::kTruncate};

Number Single(uint32_t bits) { return Unpack(bits); }

constexpr uint32_t kOne = 0x3f800000, kThree = 0x40400000, kMost = 0x7f7fffff, kLeast = 1,
                   kLeastNormal = 0x00800000, kHalf = 0x3f000000, kInfinity = 0x7f800000,
                   kMinus = 0x80000000;

TEST(SoftFloatTest, EveryModeRoundsAThird) {
  const uint32_t kExpected[][2] = {{0x3eaaaaab, 0xbeaaaaab},
                                   {0x3eaaaaaa, 0xbeaaaaab},
                                   {0x3eaaaaab, 0xbeaaaaaa},
                                   {0x3eaaaaaa, 0xbeaaaaaa}};
  for (Rounding mode : kModes) {
    for (uint32_t negative : {0, 1}) {
      FloatStatus status = {.rounding = mode};
      const Exact third = Divide(Single(kOne | (negative ? kMinus : 0)), Single(kThree), &status);
      const uint32_t expected = kExpected[static_cast<int>(mode)][negative];
      EXPECT_EQ(RoundTo<uint32_t>(third, &status), expected);
      EXPECT_EQ(status.raised, kPe);
      EXPECT_EQ(status.rounded_up, (expected & 1) != 0);
    }
  }
}

TEST(SoftFloatTest, WhatRoundsUpToTheLeastNormalNumberIsNotTiny) {
  // The product is 2^-126 - 2^-150 and 2^-126 - 2^-149: the first has 24 bits only if rounded.
  const Number half = Single(kHalf), above = Single(0x3f7fffff);  // 1 - 2^-24
  FloatStatus status;
  EXPECT_EQ(RoundTo<uint32_t>(Multiply(Single(kLeastNormal), above), &status), kLeastNormal);
  EXPECT_EQ(status.raised, kUe | kPe);  // as 24 bits it would be exact, and less
  status = {};
  EXPECT_EQ(RoundTo<uint32_t>(Multiply(Single(kLeastNormal | 1), above), &status), kLeastNormal);
  EXPECT_EQ(status.raised, kPe);  // 24 bits round to 2^-126
  status = {};
  EXPECT_EQ(RoundTo<uint32_t>(Multiply(Single(kLeastNormal), half), &status), kLeastNormal / 2);
  EXPECT_EQ(status.raised, 0);  // tiny, but exact
}

TEST(SoftFloatTest, UnderflowThatTrapsAdjustsTheExponent) {
  FloatStatus status = {.masks = kFloatExceptions & ~kUe};
  const Rounded tiny =
      Round(kExtended, Multiply(Unpack(X87Register{kTopBit, 1}), Single(kHalf)), &status);
  EXPECT_EQ(status.raised, kUe);
  EXPECT_EQ(Pack<X87Register>(tiny), (X87Register{kTopBit, 24576}));
}

TEST(SoftFloatTest, OverflowThatTrapsAdjustsTheExponent) {
  FloatStatus status = {.masks = kFloatExceptions & ~kOe};
  const Number most = Unpack(X87Register{~uint64_t{0}, 0x7ffe});
  const Rounded huge = Round(kExtended, Add(most, most, status.rounding), &status);
  EXPECT_EQ(status.raised, kOe);
  EXPECT_EQ(Pack<X87Register>(huge), (X87Register{~uint64_t{0}, 0x7fff - 24576}));
}

TEST(SoftFloatTest, OverflowIsInfinityOrTheGreatestNumber) {
  for (Rounding mode : kModes) {
    for (uint32_t sign : {uint32_t{0}, kMinus}) {
      FloatStatus status = {.rounding = mode};
      const Number most = Single(kMost | sign);
      const uint32_t result = RoundTo<uint32_t>(Add(most, most, mode), &status);
      const bool to_infinity =
          mode == Rounding::kNearest || mode == (sign != 0 ? Rounding::kDown : Rounding::kUp);
      EXPECT_EQ(result, sign | (to_infinity ? kInfinity : kMost));
      EXPECT_EQ(status.raised, kOe | kPe);
      EXPECT_EQ(status.rounded_up, to_infinity);
    }
  }
}

TEST(SoftFloatTest, FlushingToZeroRaisesUnderflow) {
  FloatStatus status = {.flush_to_zero = true};
  EXPECT_EQ(RoundTo<uint32_t>(Multiply(Single(kMinus | kLeastNormal), Single(kHalf)), &status),
            kMinus);
  EXPECT_EQ(status.raised, kUe | kPe);
}

TEST(SoftFloatTest, InvalidOperationsHaveNoResult) {
  FloatStatus status;
  const Number infinity = Single(kInfinity), zero = Single(0);
  EXPECT_EQ(Subtract(infinity, infinity, Rounding::kUp).kind, Kind::kUnsupported);
  EXPECT_EQ(Multiply(infinity, zero).kind, Kind::kUnsupported);
  EXPECT_EQ(Divide(infinity, infinity, &status).kind, Kind::kUnsupported);
  EXPECT_EQ(Divide(zero, zero, &status).kind, Kind::kUnsupported);
  EXPECT_EQ(SquareRoot(Single(kMinus | kLeast)).kind, Kind::kUnsupported);
  EXPECT_EQ(status.raised, 0);
  EXPECT_EQ(Divide(Single(kLeast), zero, &status).kind, Kind::kInfinity);
  EXPECT_EQ(status.raised, kZe);
}

TEST(SoftFloatTest, EncodingsThatAreNoNumbersAreUnsupported) {
  for (uint16_t exponent : {1, 0x3fff, 0x7fff}) {
    EXPECT_EQ(Unpack(X87Register{kTopBit - 1, exponent}).kind, Kind::kUnsupported);
  }
  const Number pseudo_denormal = Unpack(X87Register{kTopBit, 0});
  EXPECT_TRUE(pseudo_denormal.denormal);
  EXPECT_EQ(Compare(pseudo_denormal, Unpack(X87Register{kTopBit, 1})), Ordering::kEqual);
}

TEST(SoftFloatTest, IntegersEndWhereTheirTypesDo) {
  FloatStatus status;
  int16_t small;
  int64_t large;
  const Number edge = FromInteger(-0x8000), most = FromInteger(INT64_MIN);
  EXPECT_TRUE(ToSigned(edge, Rounding::kNearest, &status, &small));
  EXPECT_EQ(small, -0x8000);
  EXPECT_FALSE(ToSigned(FromInteger(0x8000), Rounding::kNearest, &status, &small));
  EXPECT_TRUE(ToSigned(most, Rounding::kNearest, &status, &large));
  EXPECT_EQ(large, INT64_MIN);
  Number above = most;
  above.sign = false;
  EXPECT_FALSE(ToSigned(above, Rounding::kNearest, &status, &large));
  EXPECT_EQ(status.raised, 0);
  // 32767.5 rounds to even, which is out of range, or down.
  const Number between = Single(0x46ffff00);
  EXPECT_FALSE(ToSigned(between, Rounding::kNearest, &status, &small));
  EXPECT_TRUE(ToSigned(between, Rounding::kDown, &status, &small));
  EXPECT_EQ(small, 0x7fff);
  EXPECT_EQ(status.raised, kPe);
}

TEST(SoftFloatTest, WideDivisionIsTheInverseOfMultiplication) {
  std::mt19937_64 random(1);
  for (int n = 0; n < 100'000; ++n) {
    const uint64_t divisor = random() >> random() % 63 | 1, quotient = random() >> random() % 64;
    const uint64_t remainder = random() % divisor;
    Wide product = MultiplyWide(divisor, quotient);
    product.low += remainder;
    product.high += product.low < remainder ? 1 : 0;
    uint64_t rest;
    ASSERT_EQ(DivideWide(product, divisor, &rest), quotient);
    ASSERT_EQ(rest, remainder);
  }
}

#ifdef __x86_64__

// --- Against the host ---

enum class Operation { kAdd, kSubtract, kMultiply, kDivide, kSqrt };
constexpr Operation kOperations[] = {Operation::kAdd, Operation::kSubtract, Operation::kMultiply,
                                     Operation::kDivide, Operation::kSqrt};

// Ends, middles and neighbours of all that a format has, or anything.
class Generator {
 public:
  uint64_t Fraction(int bits) {
    const uint64_t mask = (uint64_t{1} << bits) - 1;
    switch (random_() % 6) {
      case 0:
        return random_() % 3;
      case 1:
        return mask - random_() % 3;
      case 2:
        return ((uint64_t{1} << random_() % static_cast<unsigned>(bits)) + random_() % 3 - 1) &
               mask;
      case 3:
        return random_() << random_() % static_cast<unsigned>(bits) & mask;
      default:
        return random_() & mask;
    }
  }

  uint32_t Exponent(uint32_t most, int fraction_bits) {
    const uint32_t bias = most / 2, bits = static_cast<uint32_t>(fraction_bits);
    switch (random_() % 8) {
      case 0:
        return static_cast<uint32_t>(random_() % 3);
      case 1:
        return most - static_cast<uint32_t>(random_() % 3);
      case 2:
        return bias / 2 + static_cast<uint32_t>(random_() % bits);
      case 3:
        return bias + bias / 2 + static_cast<uint32_t>(random_() % 4);
      case 4:
      case 5:
        return bias - bits + static_cast<uint32_t>(random_() % (2 * bits));
      default:
        return static_cast<uint32_t>(random_()) & most;
    }
  }

  template <typename F>
  F Make() {
    using L = FloatLayout<F>;
    const F exponent = Exponent(L::kMaxBiased, L::kFractionBits);
    const F bits = exponent << L::kFractionBits | static_cast<F>(Fraction(L::kFractionBits));
    return random_() & 1 ? bits | L::kSign : bits;
  }

  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }

 private:
  std::mt19937_64 random_{1};
};

template <>
X87Register Generator::Make() {
  const uint32_t exponent = Exponent(0x7fff, 63);
  const uint64_t top = exponent != 0 || Below(16) == 0 ? kTopBit : 0;
  return {top | Fraction(63), static_cast<uint16_t>(exponent | Below(2) << 15)};
}

template <typename F>
struct Result {
  F value{};
  uint8_t raised = 0;
  bool rounded_up = false;  // x87 tells only
  bool operator==(const Result&) const = default;
};

template <typename F>
void PrintTo(const Result<F>& result, std::ostream* out) {
  *out << std::hex << testing::PrintToString(result.value) << " raising " << int{result.raised}
       << std::dec << (result.rounded_up ? " up" : "");
}

constexpr uint32_t kMasked = 0x1f80;

template <typename F>
Result<F> OnHost(Operation operation, F a, F b, Rounding mode, int) {
  using Float = std::conditional_t<sizeof(F) == 4, float, double>;
  Float x = std::bit_cast<Float>(a);
  const Float y = std::bit_cast<Float>(b);
  uint32_t before = kMasked | static_cast<uint32_t>(mode) << 13, after = 0, host = 0;
#define SSE_OPERATION(name)                                                          \
  if constexpr (sizeof(F) == 4) {                                                    \
    asm volatile("stmxcsr %2; ldmxcsr %4; " name "ss %3, %0; stmxcsr %1; ldmxcsr %2" \
                 : "+x"(x), "=m"(after), "+m"(host)                                  \
                 : "x"(y), "m"(before));                                             \
  } else {                                                                           \
    asm volatile("stmxcsr %2; ldmxcsr %4; " name "sd %3, %0; stmxcsr %1; ldmxcsr %2" \
                 : "+x"(x), "=m"(after), "+m"(host)                                  \
                 : "x"(y), "m"(before));                                             \
  }
  switch (operation) {
    case Operation::kAdd:
      SSE_OPERATION("add");
      break;
    case Operation::kSubtract:
      SSE_OPERATION("sub");
      break;
    case Operation::kMultiply:
      SSE_OPERATION("mul");
      break;
    case Operation::kDivide:
      SSE_OPERATION("div");
      break;
    case Operation::kSqrt:
      SSE_OPERATION("sqrt");
      break;
  }
#undef SSE_OPERATION
  return {std::bit_cast<F>(x), static_cast<uint8_t>(after & kFloatExceptions), false};
}

template <>
Result<X87Register> OnHost(Operation operation, X87Register a, X87Register b, Rounding mode,
                           int precision) {
  struct {
    uint64_t significand;
    uint16_t sign_exponent;
  } x = {a.significand, a.sign_exponent}, y = {b.significand, b.sign_exponent};
  const unsigned pc = precision == 24 ? 0 : precision == 53 ? 2 : 3;
  const uint16_t control =
      static_cast<uint16_t>(0x7f | pc << 8 | static_cast<unsigned>(mode) << 10);
  uint16_t status = 0;
#define X87_OPERATION(name)                                                                \
  asm volatile("fninit; fldt %0; fldt %2; fldcw %3; " name "; fnstsw %1; fstpt %0; fninit" \
               : "+m"(x), "=m"(status)                                                     \
               : "m"(y), "m"(control))
  switch (operation) {
    case Operation::kAdd:
      X87_OPERATION("faddp");
      break;
    case Operation::kSubtract:
      X87_OPERATION("fsubrp");  // of AT&T: ST(1) - ST(0)
      break;
    case Operation::kMultiply:
      X87_OPERATION("fmulp");
      break;
    case Operation::kDivide:
      X87_OPERATION("fdivrp");
      break;
    case Operation::kSqrt:
      X87_OPERATION("fsqrt");
      break;
  }
#undef X87_OPERATION
  return {{x.significand, x.sign_exponent},
          static_cast<uint8_t>(status & kFloatExceptions),
          (status & 0x200) != 0};
}

Exact Compute(Operation operation, const Number& a, const Number& b, FloatStatus* status) {
  switch (operation) {
    case Operation::kAdd:
      return Add(a, b, status->rounding);
    case Operation::kSubtract:
      return Subtract(a, b, status->rounding);
    case Operation::kMultiply:
      return Multiply(a, b);
    case Operation::kDivide:
      return Divide(a, b, status);
    case Operation::kSqrt:
      break;
  }
  return SquareRoot(b);
}

template <typename F>
constexpr F kIndefinite = FloatLayout<F>::kDefaultNan;
template <>
constexpr X87Register kIndefinite<X87Register> = {kTopBit | kQuietBit, 0xffff};

// A host says whether operands were denormal; these operations leave that to their callers.
template <typename F>
Result<F> InSoftware(Operation operation, const Number& a, const Number& b, Rounding mode,
                     const Format& format) {
  FloatStatus status = {.rounding = mode};
  const Exact exact = Compute(operation, a, b, &status);
  if (exact.kind == Kind::kUnsupported) return {kIndefinite<F>, kIe, false};
  const bool denormal = b.denormal || (operation != Operation::kSqrt && a.denormal);
  if (denormal && !(status.raised & kZe)) status.raised |= kDe;
  F value;
  if constexpr (sizeof(F) > 8) {
    value = Pack<F>(Round(format, exact, &status));
  } else {
    value = RoundTo<F>(exact, &status);
  }
  return {value, status.raised, sizeof(F) > 8 && status.rounded_up};
}

template <typename F>
void ExpectAgreement(const Format& format) {
  Generator generator;
  for (Operation operation : kOperations) {
    for (Rounding mode : kModes) {
      for (int n = 0; n < 60'000; ++n) {
        const F a = generator.Make<F>(), b = generator.Make<F>();
        const Number x = Unpack(a), y = Unpack(b);
        if (x.nan() || y.nan()) continue;
        const Result<F> expected = OnHost<F>(operation, a, b, mode, format.precision);
        ASSERT_EQ(InSoftware<F>(operation, x, y, mode, format), expected)
            << "operation " << static_cast<int>(operation) << ", rounding "
            << static_cast<int>(mode) << ", " << testing::PrintToString(a) << " and "
            << testing::PrintToString(b);
      }
    }
  }
}

TEST(SoftFloatOnHostTest, Binary32) { ExpectAgreement<uint32_t>(kBinary32); }
TEST(SoftFloatOnHostTest, Binary64) { ExpectAgreement<uint64_t>(kBinary64); }
TEST(SoftFloatOnHostTest, Extended) { ExpectAgreement<X87Register>(kExtended); }
TEST(SoftFloatOnHostTest, ExtendedOf53Bits) {
  Format format = kExtended;
  format.precision = 53;
  ExpectAgreement<X87Register>(format);
}
TEST(SoftFloatOnHostTest, ExtendedOf24Bits) {
  Format format = kExtended;
  format.precision = 24;
  ExpectAgreement<X87Register>(format);
}

#endif

}  // namespace
}  // namespace vx
