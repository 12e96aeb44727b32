// The x87 transcendental instructions: what they do with stack, tags, flags and special operands,
// as this machine's CPU does, and results no further from its than one last place. (CPUs don't
// round all of them correctly; whether ours are is machine/transcendental_mpfr_test.cc's.)
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/fp_case.h"
#include "vxengine/conformance/fp_checker.h"
#include "vxengine/conformance/fp_guest.h"
#include "vxengine/conformance/fp_native.h"

namespace vx::conformance {
namespace {

constexpr uint16_t kOneExponent = 0x3fff;
constexpr uint64_t kTopBit = uint64_t{1} << 63;
constexpr uint16_t kC1 = 0x200;

struct Function {
  const char* name;
  std::vector<uint8_t> code;
  int operands;
  int least, most;  // exponents of ST(0) for which CPUs are accurate
  bool negative;    // whether ST(0) may be
};

const std::vector<Function>& Functions() {
  static const auto& functions = *new std::vector<Function>{
      {"f2xm1", {0xd9, 0xf0}, 1, -70, -1, true},   {"fyl2x", {0xd9, 0xf1}, 2, -16000, 16000, false},
      {"fptan", {0xd9, 0xf2}, 1, -70, -1, true},   {"fpatan", {0xd9, 0xf3}, 2, -8000, 8000, true},
      {"fyl2xp1", {0xd9, 0xf9}, 2, -70, -3, true}, {"fsincos", {0xd9, 0xfb}, 1, -70, -1, true},
      {"fsin", {0xd9, 0xfe}, 1, -70, -1, true},    {"fcos", {0xd9, 0xff}, 1, -70, -1, true},
  };
  return functions;
}

class TranscendentalTest : public testing::TestWithParam<Function> {
 protected:
  X87Register Normal(int least, int most, bool negative) {
    const int exponent = least + static_cast<int>(random_() % (most - least + 1));
    const unsigned sign = negative && random_() % 2 != 0 ? 0x8000 : 0;
    return {.significand = kTopBit | (uint64_t{random_()} << 32 | random_()),
            .sign_exponent = static_cast<uint16_t>(sign | (kOneExponent + exponent))};
  }

  // A case with so many registers in use.
  FpCase Case(std::vector<X87Register> stack) {
    FpCase test;
    test.name = GetParam().name;
    test.code = GetParam().code;
    X87State& x87 = test.state.x87;
    x87.control = static_cast<uint16_t>(0x37f | random_() % 4 << 10);
    const unsigned top = (8 - stack.size()) & 7;
    x87.status = static_cast<uint16_t>(top << 11);
    for (size_t i = 0; i < stack.size(); ++i) {
      const unsigned physical = (top + i) & 7;
      x87.reg[physical] = stack[i];
      x87.tag = static_cast<uint16_t>(x87.tag & ~(3u << (2 * physical)));
    }
    Settle(&x87);
    test.state.eflags = VX_INITIAL_EFLAGS | StatusFlags(random_() % 64);
    return test;
  }

  // Runs the cases on both, and hands every two results to `compare`.
  template <typename Compare>
  void Run(const std::vector<FpCase>& cases, const Compare& compare) {
    if (Observed(cases)) return;
    std::vector<FpResult> expected;
    for (const FpCase& test : cases) expected.push_back(RunOnCpu(test));
    ReleaseCpu();
    const std::vector<FpResult> actual = RunInGuest(TheSettings().engine, cases);
    for (size_t i = 0; i < cases.size() && !HasFailure(); ++i) {
      ASSERT_EQ(actual[i].failure, "") << Describe(cases[i]);
      compare(cases[i], expected[i], actual[i]);
    }
  }

  std::minstd_rand random_{static_cast<uint32_t>(TheSettings().seed)};
};

// Units in the last place between two numbers of one sign.
uint64_t Distance(const X87Register& a, const X87Register& b) {
  if (a == b) return 0;
  if (a.sign_exponent == b.sign_exponent) {
    return a.significand > b.significand ? a.significand - b.significand
                                         : b.significand - a.significand;
  }
  // Beside a power of 2.
  const X87Register& low = a.sign_exponent < b.sign_exponent ? a : b;
  const X87Register& high = a.sign_exponent < b.sign_exponent ? b : a;
  if (high.sign_exponent - low.sign_exponent != 1) return UINT64_MAX;
  return (high.significand - kTopBit) + (~low.significand + 1);
}

TEST_P(TranscendentalTest, IsWithinALastPlaceOfTheCpus) {
  const Function& function = GetParam();
  std::vector<FpCase> cases;
  for (uint32_t n = 0; n < 10 * TheSettings().cases; ++n) {
    std::vector<X87Register> stack = {Normal(function.least, function.most, function.negative)};
    if (function.operands == 2) stack.push_back(Normal(-100, 100, true));
    cases.push_back(Case(stack));
  }
  Run(cases, [&](const FpCase& test, const FpResult& expected, const FpResult& actual) {
    const X87State &cpu = expected.state.x87, &ours = actual.state.x87;
    EXPECT_EQ(ours.status & ~kC1, cpu.status & ~kC1) << Describe(test);
    EXPECT_EQ(ours.tag, cpu.tag) << Describe(test);
    for (int i = 0; i < 8; ++i) {
      EXPECT_LE(Distance(ours.reg[i], cpu.reg[i]), 1u)
          << "R" << i << " is " << std::hex << ours.reg[i].significand << ", not "
          << cpu.reg[i].significand << "\n"
          << Describe(test);
    }
  });
}

// Zeros, infinities, NaNs, and stacks too empty and too full, where all is said by the manual's
// tables.
TEST_P(TranscendentalTest, DoesWithSpecialOperandsWhatTheCpuDoes) {
  const X87Register zero = {}, one = {kTopBit, kOneExponent}, infinity = {kTopBit, 0x7fff},
                    quiet = {kTopBit | kTopBit >> 1 | 5, 0x7fff},
                    signalling = {kTopBit | 7, 0x7fff}, unsupported = {1, 0x3fff};
  std::vector<X87Register> values = {zero, infinity, quiet, signalling, unsupported};
  for (size_t i = 0, n = values.size(); i < n; ++i) {
    values.push_back(values[i]);
    values.back().sign_exponent |= 0x8000;
  }
  std::vector<FpCase> cases = {Case({})};
  for (const X87Register& st0 : values) {
    if (GetParam().operands == 1) {
      cases.push_back(Case({st0}));
      cases.push_back(Case(std::vector<X87Register>(8, st0)));
      continue;
    }
    cases.push_back(Case({st0}));
    cases.push_back(Case({st0, one}));
    for (const X87Register& st1 : values) cases.push_back(Case({st0, st1}));
  }
  Run(cases, [&](const FpCase& test, const FpResult& expected, const FpResult& actual) {
    FpResult cpu = expected;
    // Roundings of π, π/2 and the like are not all correct.
    for (int i = 0; i < 8; ++i) {
      if (Distance(cpu.state.x87.reg[i], actual.state.x87.reg[i]) == 1) {
        cpu.state.x87.reg[i] = actual.state.x87.reg[i];
      }
    }
    cpu.state.x87.status =
        static_cast<uint16_t>((cpu.state.x87.status & ~kC1) | (actual.state.x87.status & kC1));
    cpu.area = actual.area;
    EXPECT_EQ(Difference(cpu, actual), "") << Describe(test);
  });
}

INSTANTIATE_TEST_SUITE_P(All, TranscendentalTest, testing::ValuesIn(Functions()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace vx::conformance
