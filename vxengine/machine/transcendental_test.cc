// The transcendental instructions: special operands by the tables of Intel SDM vol. 2A, exceptions,
// and fixed results. Many more results, against MPFR: transcendental_mpfr_test.cc.
#include "vxengine/machine/transcendental.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "vxengine/testing/x87_values.h"

namespace vx {
namespace {

using OneOperand = Transcendental (*)(const X87Register& st0);
using TwoOperands = Transcendental (*)(const X87Register& st0, const X87Register& st1);

constexpr X87Register kZero = {0, 0};
constexpr X87Register kHalf = X87Value(false, -1, kTopBit);
constexpr X87Register kOne = X87Value(false, 0, kTopBit);
constexpr X87Register kTwo = X87Value(false, 1, kTopBit);
constexpr X87Register kThree = X87Value(false, 1, kTopBit | kTopBit >> 1);
constexpr X87Register kThird = X87Value(false, -2, 0xaaaaaaaaaaaaaaab);
constexpr X87Register kPi = X87Value(false, 1, 0xc90fdaa22168c235);
constexpr X87Register kTiny = X87Value(false, -40, kTopBit);
// Of the operands of FCOS the one nearest to a multiple of pi/2.
constexpr X87Register kNearMultiple = X87Value(false, 48, 0xfb3ab09a4ba1d149);
constexpr X87Register kInfinity = {kTopBit, 0x7fff};
constexpr X87Register kDenormal = {3, 0};
constexpr X87Register kPseudoDenormal = {kTopBit, 0};
constexpr X87Register kGreatest = {~uint64_t{0}, 0x7ffe};
constexpr X87Register kQuarterPi = X87Value(false, -1, 0xc90fdaa22168c234);
constexpr X87Register kThreeQuartersOfPi = X87Value(false, 1, 0x96cbe3f9990e91a7);

constexpr X87Register Negated(X87Register r) {
  r.sign_exponent ^= 0x8000;
  return r;
}

struct FixedResult {
  bool sign;
  int32_t exponent;
  uint64_t significand, rest;
};

void ExpectResult(Exact actual, const FixedResult& expected, const char* name,
                  const X87Register& st0, const X87Register& st1) {
  if ((actual.rest & ~kTopBit) != 0) actual.rest = (actual.rest & kTopBit) | 1;
  EXPECT_EQ(actual, (Exact{Kind::kFinite, expected.sign, expected.exponent, expected.significand,
                           expected.rest}))
      << name << " of " << testing::PrintToString(st0) << ", " << testing::PrintToString(st1);
}

// Results that another host has to give, too, to the last bit.
TEST(TranscendentalTest, ResultsOfOneOperand) {
  static constexpr struct {
    const char* name;
    OneOperand function;
    X87Register st0;
    FixedResult result;
  } kCases[] = {
      {"F2XM1", F2xm1, kThird, {false, -2, 0x85145f31ae515c44, kTopBit | 1}},
      {"F2XM1", F2xm1, {0xc000000000000000, 0xbffe}, {true, -2, 0xcf901f5ce48ead21, 1}},
      {"F2XM1", F2xm1, {0xcccccccccccccccd, 0x3ffb}, {false, -4, 0x92fdf71283321315, 1}},
      {"F2XM1", F2xm1, kTiny, {false, -41, 0xb17217f7d20cf927, kTopBit | 1}},
      {"F2XM1", F2xm1, {0x9abcdef012345678, 0xbf00}, {true, -256, 0xd68319780d252142, 1}},
      {"F2XM1", F2xm1, Negated(kHalf), {true, -2, 0x95f619980c4336f7, 1}},
      {"F2XM1", F2xm1, kDenormal, {false, -16444, 0x851591f9dd5b9b40, kTopBit | 1}},
      {"F2XM1", F2xm1, {0xb8aa3b295c17f0bc, 0x4003}, {false, 23, 0x87975d854001024c, 1}},
      {"FPTAN", Fptan, kOne, {false, 0, 0xc75922e5f71d2dc5, 1}},
      {"FSIN", Fsin, kOne, {false, -1, 0xd76aa47848677020, kTopBit | 1}},
      {"FCOS", Fcos, kOne, {false, -1, 0x8a51407da8345c91, kTopBit | 1}},
      {"FPTAN", Fptan, kThird, {false, -2, 0xb148252e8b2e6bcf, kTopBit | 1}},
      {"FSIN", Fsin, kThird, {false, -2, 0xa786103454063562, kTopBit | 1}},
      {"FCOS", Fcos, kThird, {false, -1, 0xf1e8b2cc8cc1656b, 1}},
      {"FPTAN", Fptan, kPi, {false, -65, 0xece675d1fc8f8cbb, 1}},
      {"FSIN", Fsin, kPi, {true, -65, 0xece675d1fc8f8cbb, 1}},
      {"FCOS", Fcos, kPi, {true, -1, 0xffffffffffffffff, kTopBit | 1}},
      {"FPTAN", Fptan, kNearMultiple, {false, 68, 0x93ae1864cdb21f76, 1}},
      {"FSIN", Fsin, kNearMultiple, {true, -1, 0xffffffffffffffff, kTopBit | 1}},
      {"FCOS", Fcos, kNearMultiple, {true, -69, 0xdde293c6704a0ec2, 1}},
      {"FPTAN", Fptan, {0xfffffffffffffffe, 0x403d}, {false, -1, 0xa02428b8d256d304, kTopBit | 1}},
      {"FSIN", Fsin, {0xfffffffffffffffe, 0x403d}, {false, -1, 0x87c40d5054d10b26, 1}},
      {"FCOS", Fcos, {0xfffffffffffffffe, 0x403d}, {false, -1, 0xd908a28580310b70, kTopBit | 1}},
      {"FPTAN", Fptan, kTiny, {false, -40, 0x8000000000000000, 1}},
      {"FSIN", Fsin, kTiny, {false, -41, 0xffffffffffffffff, kTopBit | 1}},
      {"FCOS", Fcos, kTiny, {false, -1, 0xffffffffffffffff, kTopBit | 1}},
      {"FPTAN", Fptan, Negated(kPi), {true, -65, 0xece675d1fc8f8cbb, 1}},
      {"FSIN", Fsin, Negated(kPi), {false, -65, 0xece675d1fc8f8cbb, 1}},
      {"FCOS", Fcos, Negated(kPi), {true, -1, 0xffffffffffffffff, kTopBit | 1}},
      {"FPTAN", Fptan, kDenormal, {false, -16444, 0xc000000000000000, 1}},
      {"FSIN", Fsin, kDenormal, {false, -16444, 0xbfffffffffffffff, kTopBit | 1}},
      {"FCOS", Fcos, kDenormal, {false, -1, 0xffffffffffffffff, kTopBit | 1}},
  };
  for (const auto& c : kCases) ExpectResult(c.function(c.st0).value, c.result, c.name, c.st0, {});
}

TEST(TranscendentalTest, ResultsOfTwoOperands) {
  static constexpr struct {
    const char* name;
    TwoOperands function;
    X87Register st0, st1;
    FixedResult result;
  } kCases[] = {
      {"FYL2X", Fyl2x, kThird, kOne, {true, 0, 0xcae00d1cfdeb43cf, 1}},
      {"FYL2X", Fyl2x, kPi, kOne, {false, 0, 0xd36439a4c6efbad8, kTopBit | 1}},
      {"FYL2X", Fyl2x, {0xa000000000000000, 0x4002}, kOne, {false, 1, 0xd49a784bcd1b8afe, 1}},
      {"FYL2X", Fyl2x, {0x8000000000000001, 0x3fff}, kOne, {false, -63, 0xb8aa3b295c17f0bb, 1}},
      {"FYL2X", Fyl2x, {0xffffffffffffffff, 0x3ffe}, kOne, {true, -64, 0xb8aa3b295c17f0bc, 1}},
      {"FYL2X", Fyl2x, {0x8000000000000000, 0x4005}, kOne, {false, 2, 0xc000000000000000, 0}},
      {"FYL2X", Fyl2x, kDenormal, kOne, {true, 14, 0x8076d47fcb8c0852, kTopBit | 1}},
      {"FYL2X", Fyl2x, kPi, kThird, {false, -1, 0x8ced7bc32f4a7c90, kTopBit | 1}},
      {"FYL2XP1", Fyl2xp1, kThird, kThird, {false, -3, 0x8daa87b2b0374b2b, kTopBit | 1}},
      {"FYL2XP1", Fyl2xp1, kPi, kThird, {false, -1, 0xaef2fd3e3787370d, kTopBit | 1}},
      {"FYL2XP1", Fyl2xp1, kTiny, kThird, {false, -42, 0xf6384ee1cfa4cf7e, 1}},
      {"FYL2XP1", Fyl2xp1, Negated(kHalf), kThird, {true, -2, 0xaaaaaaaaaaaaaaab, 0}},
      {"FYL2XP1", Fyl2xp1, {0xffffffffffffffff, 0xbffe}, kThird, {true, 4, 0xaaaaaaaaaaaaaaab, 0}},
      {"FYL2XP1",
       Fyl2xp1,
       {0x8000000000000000, 0x7000},
       kThird,
       {false, 12, 0x8002aaaaaaaaaaaa, kTopBit | 1}},
      {"FYL2XP1", Fyl2xp1, kDenormal, kThird, {false, -16445, 0xb8aa3b295c17f0bc, 1}},
      {"FYL2XP1", Fyl2xp1, kDenormal, kDenormal, {false, -32887, 0xcfbf828e879aeed3, 1}},
      {"FPATAN", Fpatan, kOne, kOne, {false, -1, 0xc90fdaa22168c234, kTopBit | 1}},
      {"FPATAN", Fpatan, Negated(kOne), kOne, {false, 1, 0x96cbe3f9990e91a7, kTopBit | 1}},
      {"FPATAN", Fpatan, kZero, Negated(kOne), {true, 0, 0xc90fdaa22168c234, kTopBit | 1}},
      {"FPATAN", Fpatan, Negated(kPi), kZero, {false, 1, 0xc90fdaa22168c234, kTopBit | 1}},
      {"FPATAN", Fpatan, kPi, kThird, {false, -4, 0xd87d544317645128, 1}},
      {"FPATAN", Fpatan, Negated(kThird), Negated(kPi), {true, 0, 0xd697afe652df0747, 1}},
      {"FPATAN", Fpatan, kOne, kTiny, {false, -41, 0xffffffffffffffff, kTopBit | 1}},
      {"FPATAN",
       Fpatan,
       kOne,
       {0x8000000000000000, 0x3fb9},
       {false, -71, 0xffffffffffffffff, kTopBit | 1}},
      {"FPATAN", Fpatan, kThird, kDenormal, {false, -16442, 0x8fffffffffffffff, kTopBit | 1}},
  };
  for (const auto& c : kCases) {
    ExpectResult(c.function(c.st0, c.st1).value, c.result, c.name, c.st0, c.st1);
  }
}

// As the manual's tables have it: F, 0, inf and pi with their sign, * an invalid operation, Z a
// division by zero.
std::string Described(const Transcendental& result) {
  const Exact& value = result.value;
  if (value.kind == Kind::kUnsupported) {
    return result.exceptions == kIe ? "*" : "?";
  }
  std::string text = result.exceptions == kZe ? "Z" : "";
  if (result.exceptions & ~kZe) text = "?";
  text += value.sign ? "-" : "+";
  if (value.kind == Kind::kZero) return text + "0";
  if (value.kind == Kind::kInfinity) return text + "inf";
  if (value.significand == kQuarterPi.significand && value.rest >= kTopBit) {
    if (value.exponent == 1) return text + "pi";
    if (value.exponent == 0) return text + "pi/2";
    if (value.exponent == -1) return text + "pi/4";
  }
  if (value.significand == kThreeQuartersOfPi.significand && value.exponent == 1) {
    return text + "3pi/4";
  }
  return text + "F";
}

void ExpectTable(TwoOperands function, const std::vector<X87Register>& st0,
                 const std::vector<X87Register>& st1,
                 const std::vector<std::vector<std::string>>& table) {
  for (size_t row = 0; row < st1.size(); ++row) {
    for (size_t column = 0; column < st0.size(); ++column) {
      EXPECT_EQ(Described(function(st0[column], st1[row])), table[row][column])
          << "st0 = " << testing::PrintToString(st0[column])
          << ", st1 = " << testing::PrintToString(st1[row]);
    }
  }
}

const std::vector<X87Register> kSpecial = {
    Negated(kInfinity), Negated(kThree), Negated(kZero), kZero, kThree, kInfinity};

TEST(TranscendentalTest, Fyl2xHasTheManualsTable) {
  ExpectTable(Fyl2x,
              {Negated(kInfinity), Negated(kThree), Negated(kDenormal), Negated(kZero), kZero,
               kHalf, kOne, kTwo, kThree, kInfinity},
              kSpecial,
              {{"*", "*", "*", "+inf", "+inf", "+inf", "*", "-inf", "-inf", "-inf"},
               {"*", "*", "*", "Z+inf", "Z+inf", "+F", "-0", "-F", "-F", "-inf"},
               {"*", "*", "*", "*", "*", "+0", "-0", "-0", "-0", "*"},
               {"*", "*", "*", "*", "*", "-0", "+0", "+0", "+0", "*"},
               {"*", "*", "*", "Z-inf", "Z-inf", "-F", "+0", "+F", "+F", "+inf"},
               {"*", "*", "*", "-inf", "-inf", "-inf", "*", "+inf", "+inf", "+inf"}});
}

// The manual leaves st0 < sqrt(1/2) - 1 and > sqrt(2) - 1 undefined.
TEST(TranscendentalTest, Fyl2xp1HasTheManualsTableAndGoesOnLikeFyl2x) {
  ExpectTable(Fyl2xp1,
              {Negated(kInfinity), Negated(kTwo), Negated(kOne), Negated(kHalf), Negated(kZero),
               kZero, kHalf, kOne, kThree, kInfinity},
              kSpecial,
              {{"*", "*", "+inf", "+inf", "*", "*", "-inf", "-inf", "-inf", "-inf"},
               {"*", "*", "Z+inf", "+F", "+0", "-0", "-F", "-F", "-F", "-inf"},
               {"*", "*", "*", "+0", "+0", "-0", "-0", "-0", "-0", "*"},
               {"*", "*", "*", "-0", "-0", "+0", "+0", "+0", "+0", "*"},
               {"*", "*", "Z-inf", "-F", "-0", "+0", "+F", "+F", "+F", "+inf"},
               {"*", "*", "-inf", "-inf", "*", "*", "+inf", "+inf", "+inf", "+inf"}});
}

TEST(TranscendentalTest, FpatanHasTheManualsTable) {
  ExpectTable(Fpatan, {Negated(kInfinity), Negated(kTwo), Negated(kZero), kZero, kTwo, kInfinity},
              kSpecial,
              {{"-3pi/4", "-pi/2", "-pi/2", "-pi/2", "-pi/2", "-pi/4"},
               {"-pi", "-F", "-pi/2", "-pi/2", "-F", "-0"},
               {"-pi", "-pi", "-pi", "-0", "-0", "-0"},
               {"+pi", "+pi", "+pi", "+0", "+0", "+0"},
               {"+pi", "+F", "+pi/2", "+pi/2", "+F", "+0"},
               {"+3pi/4", "+pi/2", "+pi/2", "+pi/2", "+pi/2", "+pi/4"}});
}

void ExpectRow(OneOperand function, const std::vector<std::string>& row) {
  const std::vector<X87Register> st0 = {
      Negated(kInfinity), Negated(kHalf), Negated(kZero), kZero, kHalf, kInfinity};
  for (size_t i = 0; i < st0.size(); ++i) {
    EXPECT_EQ(Described(function(st0[i])), row[i]) << testing::PrintToString(st0[i]);
  }
}

TEST(TranscendentalTest, FunctionsOfOneOperandHaveTheManualsTables) {
  ExpectRow(F2xm1, {"-F", "-F", "-0", "+0", "+F", "+inf"});
  ExpectRow(Fptan, {"*", "-F", "-0", "+0", "+F", "*"});
  ExpectRow(Fsin, {"*", "-F", "-0", "+0", "+F", "*"});
  ExpectRow(Fcos, {"*", "+F", "+F", "+F", "+F", "*"});
  EXPECT_EQ(Fcos(kZero).value, (Exact{Kind::kFinite, false, 0, kTopBit, 0}));
  EXPECT_EQ(F2xm1(Negated(kInfinity)).value, (Exact{Kind::kFinite, true, 0, kTopBit, 0}));
}

TEST(TranscendentalTest, F2xm1OutOfRangeGoesOn) {
  EXPECT_EQ(F2xm1(kThree).value, (Exact{Kind::kFinite, false, 2, uint64_t{7} << 61, 0}));
  EXPECT_EQ(F2xm1(Negated(kThree)).value, (Exact{Kind::kFinite, true, -1, uint64_t{7} << 61, 0}));
  EXPECT_GE(F2xm1(kGreatest).value.exponent, 1 << 20);
  EXPECT_FALSE(F2xm1(kGreatest).value.sign);
  const Exact nearly_one = F2xm1(Negated(kGreatest)).value;
  EXPECT_EQ(nearly_one.exponent, -1);
  EXPECT_EQ(nearly_one.significand, ~uint64_t{0});
  EXPECT_GT(nearly_one.rest, kTopBit);
}

TEST(TranscendentalTest, TrigonometricOperandsFrom2To63AreOutOfRange) {
  for (const OneOperand function : {Fptan, Fsin, Fcos, Fsincos}) {
    for (const bool sign : {false, true}) {
      const Transcendental inside = function(X87Value(sign, 62, ~uint64_t{0}));
      EXPECT_FALSE(inside.out_of_range);
      EXPECT_EQ(inside.value.kind, Kind::kFinite);
      for (const int exponent : {63, 64, 16383}) {
        const Transcendental outside = function(X87Value(sign, exponent, kTopBit));
        EXPECT_TRUE(outside.out_of_range);
        EXPECT_EQ(outside.exceptions, 0);
      }
      EXPECT_FALSE(function(sign ? Negated(kInfinity) : kInfinity).out_of_range);
    }
  }
}

TEST(TranscendentalTest, FptanPushesOne) {
  for (const X87Register& x : {kZero, kHalf, Negated(kThree), kDenormal}) {
    EXPECT_EQ(Fptan(x).pushed, (Exact{Kind::kFinite, false, 0, kTopBit, 0}));
  }
  EXPECT_EQ(Fptan(kInfinity).pushed.kind, Kind::kUnsupported);
}

TEST(TranscendentalTest, FsincosIsFsinAndFcos) {
  for (const X87Register& x : {kZero, kHalf, Negated(kThree), kDenormal, kInfinity}) {
    const Transcendental both = Fsincos(x);
    EXPECT_EQ(both.value, Fsin(x).value);
    EXPECT_EQ(both.pushed, Fcos(x).value);
    EXPECT_EQ(both.exceptions, Fsin(x).exceptions);
  }
}

TEST(TranscendentalTest, DenormalOperandsAreTold) {
  for (const X87Register& denormal : {kDenormal, kPseudoDenormal}) {
    for (const OneOperand function : {F2xm1, Fptan, Fsin, Fcos, Fsincos}) {
      EXPECT_EQ(function(denormal).exceptions, kDe);
      EXPECT_EQ(function(kHalf).exceptions, 0);
      EXPECT_EQ(function(kZero).exceptions, 0);
    }
    for (const TwoOperands function : {Fyl2x, Fyl2xp1, Fpatan}) {
      for (const X87Register& other : {kZero, kThree}) {
        EXPECT_EQ(function(denormal, other).exceptions, kDe);
      }
      EXPECT_EQ(function(kThree, denormal).exceptions, kDe);
      EXPECT_EQ(function(kInfinity, denormal).exceptions, kDe);
      EXPECT_EQ(function(kThree, kTwo).exceptions, 0);
    }
  }
}

// Intel SDM vol. 1, 4.9.2: priorities.
TEST(TranscendentalTest, InvalidOperationAndDivisionByZeroGoBeforeDenormalOperands) {
  EXPECT_EQ(Fyl2x(Negated(kDenormal), kOne).exceptions, kIe);
  EXPECT_EQ(Fyl2x(kZero, kDenormal).exceptions, kZe);
  EXPECT_EQ(Fyl2xp1(Negated(kTwo), kDenormal).exceptions, kIe);
  EXPECT_EQ(Fyl2xp1(Negated(kOne), kDenormal).exceptions, kZe);
}

TEST(TranscendentalTest, PseudoDenormalsAreTheNumbersTheyStandFor) {
  const X87Register normal = {kTopBit, 1};
  for (const OneOperand function : {F2xm1, Fptan, Fsin, Fcos}) {
    EXPECT_EQ(function(kPseudoDenormal).value, function(normal).value);
  }
  for (const TwoOperands function : {Fyl2x, Fyl2xp1, Fpatan}) {
    EXPECT_EQ(function(kPseudoDenormal, kThree).value, function(normal, kThree).value);
    EXPECT_EQ(function(kThree, kPseudoDenormal).value, function(kThree, normal).value);
  }
}

}  // namespace
}  // namespace vx
