// Checks the oracle itself: results known without it, and that the cases reach what they are for.
#include "vxengine/conformance/fp_native.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "vxengine/conformance/fp_forms.h"

namespace vx::conformance {
namespace {

constexpr uint32_t kOperand = kFpArea + 0x100;

// Rounding: to nearest, down, up, towards zero, as RC has it in control word and MXCSR.
enum Rounding : uint32_t { kNearest, kDown, kUp, kZero };
constexpr uint32_t Mxcsr(Rounding rounding) { return VX_INITIAL_MXCSR | rounding << 13; }
constexpr uint16_t Control(Rounding rounding, unsigned precision = 3) {
  return static_cast<uint16_t>(0x7f | precision << 8 | rounding << 10);
}

// Exceptions, at the same places in MXCSR and the status word.
constexpr uint32_t kIe = 1, kDe = 2, kZe = 4, kOe = 8, kUe = 16, kPe = 32;
// More of the status word.
constexpr uint32_t kSf = 0x40, kC0 = 0x100, kC1 = 0x200, kC2 = 0x400, kC3 = 0x4000;
constexpr uint32_t kEsAndB = 0x8080;
constexpr uint32_t kDaz = 0x40, kFtz = 0x8000;

const FpForm& FormOf(std::string_view name) {
  static const auto* const forms = [] {
    auto* all = new std::vector<FpForm>(SseArithmeticForms());
    for (FpForm& form : X87ArithmeticForms()) all->push_back(std::move(form));
    return all;
  }();
  for (const FpForm& form : *forms) {
    if (form.name == name) return form;
  }
  ADD_FAILURE() << "no form " << name;
  return forms->front();
}

// The form's encoding with a memory operand, or number `index` of those without: of SSE the first
// is XMM1 and XMM2, of x87's it is ST(index).
std::vector<uint8_t> CodeOf(std::string_view name, bool memory, int index = 0, bool waits = false) {
  for (const FpEncoding& encoding : FormOf(name).encodings) {
    if (encoding.memory == memory && encoding.waits == waits && index-- == 0) return encoding.code;
  }
  ADD_FAILURE() << "no such encoding of " << name;
  return {};
}

template <typename T>
void PutOperand(FpCase* test, const T& value, size_t size = sizeof(T)) {
  test->state.eax = kOperand;
  std::memcpy(&test->area[kOperand - kFpArea], &value, size);
}

template <typename T>
T GetOperand(const FpResult& result) {
  T value{};
  if (!result.area.empty()) {
    std::memcpy(&value, &result.area[kOperand - kFpArea],
                std::is_same_v<T, long double> ? 10 : sizeof value);
  }
  return value;
}

FpCase StartCase(std::string_view name, bool memory, int index = 0, bool waits = false) {
  FpCase test;
  test.name = std::string(name);
  test.code = CodeOf(name, memory, index, waits);
  return test;
}

// --- SSE ---

constexpr uint64_t kPattern = 0x0123456789abcdef;

void SetLow(Xmm* xmm, uint64_t value, size_t size) { std::memcpy(&xmm->lane[0], &value, size); }

// An operation on XMM1 and XMM2 or memory, of its lowest lane; `size` is the lane's. Other lanes
// hold ones, for which no operation does anything that flags show.
FpResult RunSse(std::string_view name, bool memory, uint32_t mxcsr, uint64_t a, uint64_t b,
                size_t size, bool packed) {
  FpCase test = StartCase(name, memory);
  test.state.mxcsr = mxcsr;
  const uint64_t fill = !packed     ? kPattern
                        : size == 8 ? std::bit_cast<uint64_t>(1.0)
                                    : std::bit_cast<uint32_t>(1.0f) * 0x100000001ull;
  for (Xmm& xmm : test.state.xmm) xmm = {{fill, fill}};
  SetLow(&test.state.xmm[1], a, size);
  SetLow(&test.state.xmm[2], b, size);
  test.state.xmm[5] = test.state.xmm[1];  // memory forms have XMM5
  if (memory) PutOperand(&test, test.state.xmm[2].lane);
  FpResult result = RunOnCpu(test);
  if (memory) result.state.xmm[1] = result.state.xmm[5];
  return result;
}

uint64_t Bits(double value, size_t size) {
  if (size == 8) return std::bit_cast<uint64_t>(value);
  return std::bit_cast<uint32_t>(static_cast<float>(value));
}

TEST(FpNativeTest, SseArithmeticOnSmallNumbers) {
  const struct {
    const char* operation;
    double a, b, result;
  } kKnown[] = {
      {"add", 1, 2, 3},    {"add", 0.5, -0.25, 0.25}, {"add", -7, 7, 0},
      {"sub", 1, 3, -2},   {"sub", 0.5, 0.25, 0.25},  {"sub", 1, 1, 0},
      {"mul", 3, -4, -12}, {"mul", 0.5, 0.5, 0.25},   {"mul", -0.0, 5, -0.0},
      {"div", 7, 2, 3.5},  {"div", -1, 4, -0.25},     {"div", 0, -3, -0.0},
      {"min", 1, 2, 1},    {"min", 0.0, -0.0, -0.0},  {"min", -0.0, 0.0, 0.0},
      {"max", 1, 2, 2},    {"max", -3, -4, -3},       {"max", -0.0, 0.0, 0.0},
      {"sqrt", 5, 9, 3},   {"sqrt", 5, 0.25, 0.5},    {"sqrt", 5, -0.0, -0.0},
  };
  for (const auto& known : kKnown) {
    for (const char* suffix : {"ss", "sd", "ps", "pd"}) {
      for (bool memory : {false, true}) {
        const size_t size = suffix[1] == 's' ? 4 : 8;
        const bool packed = suffix[0] == 'p';
        const std::string name = std::string(known.operation) + suffix;
        SCOPED_TRACE(name + (memory ? " memory" : " register"));
        const FpResult result = RunSse(name, memory, VX_INITIAL_MXCSR, Bits(known.a, size),
                                       Bits(known.b, size), size, packed);
        uint64_t low = 0;
        std::memcpy(&low, &result.state.xmm[1].lane[0], size);
        EXPECT_EQ(low, Bits(known.result, size));
        EXPECT_EQ(result.state.mxcsr, unsigned{VX_INITIAL_MXCSR});
        EXPECT_FALSE(result.trap);
        if (!packed) {
          EXPECT_EQ(result.state.xmm[1].lane[1], kPattern);
          if (size == 4) {
            EXPECT_EQ(result.state.xmm[1].lane[0] >> 32, kPattern >> 32);
          }
        }
      }
    }
  }
}

constexpr uint32_t kOne = 0x3f800000, kThree = 0x40400000, kInf = 0x7f800000, kMost = 0x7f7fffff,
                   kLeastNormal = 0x00800000, kDenormal = 0x00000001, kDefaultNan = 0xffc00000,
                   kMinus = 0x80000000, kHalfUlp = 0x33800000;

TEST(FpNativeTest, SseRoundingFlagsAndNans) {
  const struct {
    const char* name;
    uint32_t mxcsr;
    uint32_t a, b, result, flags;
  } kSingles[] = {
      {"divss", Mxcsr(kNearest), kOne, kThree, 0x3eaaaaab, kPe},
      {"divss", Mxcsr(kDown), kOne, kThree, 0x3eaaaaaa, kPe},
      {"divss", Mxcsr(kUp), kOne, kThree, 0x3eaaaaab, kPe},
      {"divss", Mxcsr(kZero), kOne, kThree, 0x3eaaaaaa, kPe},
      {"divss", Mxcsr(kNearest), kMinus | kOne, kThree, 0xbeaaaaab, kPe},
      {"divss", Mxcsr(kDown), kMinus | kOne, kThree, 0xbeaaaaab, kPe},
      {"divss", Mxcsr(kUp), kMinus | kOne, kThree, 0xbeaaaaaa, kPe},
      {"divss", Mxcsr(kZero), kMinus | kOne, kThree, 0xbeaaaaaa, kPe},
      // ties: half a unit in the last place goes to the even neighbour
      {"addss", Mxcsr(kNearest), kOne, kHalfUlp, kOne, kPe},
      {"addss", Mxcsr(kNearest), kOne + 1, kHalfUlp, kOne + 2, kPe},
      {"addss", Mxcsr(kNearest), kOne, kHalfUlp + 1, kOne + 1, kPe},
      {"addss", Mxcsr(kDown), kOne + 1, kHalfUlp, kOne + 1, kPe},
      {"addss", Mxcsr(kUp), kOne, kHalfUlp, kOne + 1, kPe},
      {"addss", Mxcsr(kZero), kOne + 1, kHalfUlp, kOne + 1, kPe},
      {"subss", Mxcsr(kDown), kOne, kOne, kMinus, 0},
      {"subss", Mxcsr(kUp), kOne, kOne, 0, 0},
      // overflow
      {"addss", Mxcsr(kNearest), kMost, kMost, kInf, kOe | kPe},
      {"addss", Mxcsr(kDown), kMost, kMost, kMost, kOe | kPe},
      {"addss", Mxcsr(kUp), kMost, kMost, kInf, kOe | kPe},
      {"addss", Mxcsr(kZero), kMost, kMost, kMost, kOe | kPe},
      {"mulss", Mxcsr(kUp), kMinus | kMost, kMost, kMinus | kMost, kOe | kPe},
      {"mulss", Mxcsr(kDown), kMinus | kMost, kMost, kMinus | kInf, kOe | kPe},
      // underflow, denormals
      {"mulss", Mxcsr(kNearest), kLeastNormal, 0x3f000000, 0x00400000, 0},
      {"mulss", Mxcsr(kNearest), kLeastNormal + 1, 0x3f000000, 0x00400000, kUe | kPe},
      {"mulss", Mxcsr(kNearest) | kFtz, kLeastNormal + 1, 0x3f000000, 0, kUe | kPe},
      {"mulss", Mxcsr(kNearest), kDenormal, 0x3f000000, 0, kDe | kUe | kPe},
      {"mulss", Mxcsr(kUp), kDenormal, 0x3f000000, kDenormal, kDe | kUe | kPe},
      {"addss", Mxcsr(kNearest), kDenormal, kDenormal, 2, kDe},
      {"addss", Mxcsr(kNearest) | kDaz, kDenormal, kDenormal, 0, 0},
      {"addss", Mxcsr(kNearest) | kDaz, kMinus | kDenormal, kOne, kOne, 0},
      {"sqrtss", Mxcsr(kNearest) | kDaz, kOne, kMinus | kDenormal, kMinus, 0},
      {"sqrtss", Mxcsr(kNearest), kOne, 0x40000000, 0x3fb504f3, kPe},
      {"sqrtss", Mxcsr(kUp), kOne, 0x40000000, 0x3fb504f4, kPe},
      // invalid, division by zero
      {"divss", Mxcsr(kNearest), kOne, kMinus, kMinus | kInf, kZe},
      {"divss", Mxcsr(kNearest), 0, 0, kDefaultNan, kIe},
      {"divss", Mxcsr(kNearest), kInf, kInf, kDefaultNan, kIe},
      {"divss", Mxcsr(kNearest), kInf, 0, kInf, 0},
      {"mulss", Mxcsr(kNearest), kInf, 0, kDefaultNan, kIe},
      {"subss", Mxcsr(kNearest), kInf, kInf, kDefaultNan, kIe},
      {"addss", Mxcsr(kNearest), kInf, kInf, kInf, 0},
      {"sqrtss", Mxcsr(kNearest), kOne, kMinus | kOne, kDefaultNan, kIe},
      // NaNs: made quiet, payload kept; the first operand's if both are
      {"addss", Mxcsr(kNearest), 0x7f812345, kOne, 0x7fc12345, kIe},
      {"addss", Mxcsr(kNearest), kOne, 0xff812345, 0xffc12345, kIe},
      {"addss", Mxcsr(kNearest), 0x7fc00001, kOne, 0x7fc00001, 0},
      {"addss", Mxcsr(kNearest), 0x7fc00001, 0x7fc00002, 0x7fc00001, 0},
      {"addss", Mxcsr(kNearest), 0x7fc00002, 0x7f800001, 0x7fc00002, kIe},
      {"mulss", Mxcsr(kNearest), 0x7f800003, 0x7fc00002, 0x7fc00003, kIe},
      // min and max: the second operand if one is a NaN, which even quiet ones signal
      {"minss", Mxcsr(kNearest), 0x7fc00001, kOne, kOne, kIe},
      {"minss", Mxcsr(kNearest), kOne, 0x7fc00001, 0x7fc00001, kIe},
      {"maxss", Mxcsr(kNearest), kOne, 0x7f800001, 0x7f800001, kIe},
      // comparisons: EQ LT LE UNORD NEQ NLT NLE ORD
      {"cmpss_0", Mxcsr(kNearest), kOne, kOne, ~0u, 0},
      {"cmpss_0", Mxcsr(kNearest), 0, kMinus, ~0u, 0},
      {"cmpss_0", Mxcsr(kNearest), kOne, 0x7fc00000, 0, 0},
      {"cmpss_0", Mxcsr(kNearest), kOne, 0x7f800001, 0, kIe},
      {"cmpss_1", Mxcsr(kNearest), kOne, kThree, ~0u, 0},
      {"cmpss_1", Mxcsr(kNearest), kOne, 0x7fc00000, 0, kIe},
      {"cmpss_2", Mxcsr(kNearest), kOne, kOne, ~0u, 0},
      {"cmpss_3", Mxcsr(kNearest), kOne, 0x7fc00000, ~0u, 0},
      {"cmpss_4", Mxcsr(kNearest), kOne, 0x7fc00000, ~0u, 0},
      {"cmpss_5", Mxcsr(kNearest), kThree, kOne, ~0u, 0},
      {"cmpss_6", Mxcsr(kNearest), kOne, 0x7fc00000, ~0u, kIe},
      {"cmpss_7", Mxcsr(kNearest), kOne, 0x7fc00000, 0, 0},
      {"cmpss_7", Mxcsr(kNearest), kOne, kInf, ~0u, 0},
  };
  for (const auto& known : kSingles) {
    for (bool memory : {false, true}) {
      SCOPED_TRACE(testing::Message() << known.name << std::hex << " a=" << known.a
                                      << " b=" << known.b << " mxcsr=" << known.mxcsr);
      const FpResult result = RunSse(known.name, memory, known.mxcsr, known.a, known.b, 4, false);
      EXPECT_EQ(static_cast<uint32_t>(result.state.xmm[1].lane[0]), known.result);
      EXPECT_EQ(result.state.mxcsr, known.mxcsr | known.flags);
    }
  }
  const struct {
    const char* name;
    uint32_t mxcsr;
    uint64_t a, b, result;
    uint32_t flags;
  } kDoubles[] = {
      {"divsd", Mxcsr(kNearest), Bits(1, 8), Bits(3, 8), 0x3fd5555555555555, kPe},
      {"divsd", Mxcsr(kUp), Bits(1, 8), Bits(3, 8), 0x3fd5555555555556, kPe},
      {"divsd", Mxcsr(kDown), Bits(-1, 8), Bits(3, 8), 0xbfd5555555555556, kPe},
      {"divsd", Mxcsr(kZero), Bits(-1, 8), Bits(3, 8), 0xbfd5555555555555, kPe},
      {"addsd", Mxcsr(kNearest), Bits(0.1, 8), Bits(0.2, 8), 0x3fd3333333333334, kPe},
      {"sqrtsd", Mxcsr(kNearest), 0, Bits(2, 8), 0x3ff6a09e667f3bcd, kPe},
      {"mulsd", Mxcsr(kNearest), 0x7ff0000000000001, Bits(1, 8), 0x7ff8000000000001, kIe},
      {"subsd", Mxcsr(kNearest), 0x7ff0000000000000, 0x7ff0000000000000, 0xfff8000000000000, kIe},
      {"mulsd", Mxcsr(kNearest), 1, Bits(0.5, 8), 0, kDe | kUe | kPe},
      {"cmpsd_1", Mxcsr(kNearest), Bits(1, 8), Bits(2, 8), ~0ull, 0},
  };
  for (const auto& known : kDoubles) {
    for (bool memory : {false, true}) {
      SCOPED_TRACE(testing::Message() << known.name << std::hex << " a=" << known.a
                                      << " b=" << known.b << " mxcsr=" << known.mxcsr);
      const FpResult result = RunSse(known.name, memory, known.mxcsr, known.a, known.b, 8, false);
      EXPECT_EQ(result.state.xmm[1].lane[0], known.result);
      EXPECT_EQ(result.state.mxcsr, known.mxcsr | known.flags);
    }
  }
}

TEST(FpNativeTest, SseComparisonsSetEflags) {
  const struct {
    uint64_t a, b;
    uint32_t flags;
  } kKnown[] = {{Bits(2, 8), Bits(1, 8), 0},
                {Bits(1, 8), Bits(2, 8), kCf},
                {Bits(1, 8), Bits(1, 8), kZf},
                {Bits(-0.0, 8), 0, kZf},
                {Bits(1, 8), 0x7ff8000000000000, kZf | kPf | kCf}};
  for (const auto& known : kKnown) {
    for (const char* name : {"comisd", "ucomisd"}) {
      for (bool memory : {false, true}) {
        FpCase test = StartCase(name, memory);
        test.state.eflags |= kStatusFlags;
        test.state.xmm[1] = test.state.xmm[5] = {{known.a, 0}};
        test.state.xmm[2] = {{known.b, 0}};
        if (memory) PutOperand(&test, known.b);
        const FpResult result = RunOnCpu(test);
        EXPECT_EQ(result.state.eflags, VX_INITIAL_EFLAGS | known.flags) << Describe(test);
        const bool invalid = known.b == 0x7ff8000000000000 && name[0] == 'c';
        EXPECT_EQ(result.state.mxcsr, VX_INITIAL_MXCSR | (invalid ? kIe : 0)) << Describe(test);
      }
    }
  }
}

TEST(FpNativeTest, SseConversions) {
  const struct {
    const char* name;
    Rounding rounding;
    double from;
    int32_t to;
    uint32_t flags;
  } kToInteger[] = {
      {"cvtsd2si", kNearest, 2.5, 2, kPe},
      {"cvtsd2si", kNearest, 3.5, 4, kPe},
      {"cvtsd2si", kDown, 2.5, 2, kPe},
      {"cvtsd2si", kUp, 2.5, 3, kPe},
      {"cvtsd2si", kZero, -2.5, -2, kPe},
      {"cvtsd2si", kDown, -2.5, -3, kPe},
      {"cvtsd2si", kUp, -2.5, -2, kPe},
      {"cvtsd2si", kNearest, -7, -7, 0},
      {"cvtsd2si", kNearest, 2147483647, 2147483647, 0},
      {"cvtsd2si", kNearest, 2147483648, INT32_MIN, kIe},
      {"cvtsd2si", kNearest, -2147483648.0, INT32_MIN, 0},
      {"cvtsd2si", kNearest, 2147483647.5, INT32_MIN, kIe},
      {"cvttsd2si", kUp, 2147483647.5, 2147483647, kPe},
      {"cvttsd2si", kUp, 2.75, 2, kPe},
      {"cvttsd2si", kDown, -2.75, -2, kPe},
      {"cvtss2si", kNearest, 2.5, 2, kPe},
      {"cvtss2si", kUp, 0.25, 1, kPe},
      {"cvtss2si", kNearest, 4e9, INT32_MIN, kIe},
      {"cvttss2si", kNearest, -1.5, -1, kPe},
      {"cvttss2si", kNearest, 16777216, 16777216, 0},
  };
  for (const auto& known : kToInteger) {
    const size_t size = std::string_view(known.name).find("ss") != std::string_view::npos ? 4 : 8;
    for (bool memory : {false, true}) {
      FpCase test = StartCase(known.name, memory);
      test.state.mxcsr = Mxcsr(known.rounding);
      test.state.ecx = 0x55555555;
      test.state.xmm[2] = {{Bits(known.from, size), 0}};
      if (memory) PutOperand(&test, Bits(known.from, size), size);
      const FpResult result = RunOnCpu(test);
      EXPECT_EQ(static_cast<int32_t>(result.state.ecx), known.to) << Describe(test);
      EXPECT_EQ(result.state.mxcsr, test.state.mxcsr | known.flags) << Describe(test);
    }
  }
  const struct {
    const char* name;
    Rounding rounding;
    Xmm from, to;
    uint32_t flags;
  } kLanes[] = {
      // singles from here on as two to a lane
      {"cvtdq2ps",
       kNearest,
       {{0x01000001'00000001, 0xffffffff'7fffffff}},
       {{0x4b800000'3f800000, 0xbf800000'4f000000}},
       kPe},
      {"cvtdq2ps",
       kZero,
       {{0x01000001'00000001, 0xffffffff'7fffffff}},
       {{0x4b800000'3f800000, 0xbf800000'4effffff}},
       kPe},
      {"cvtps2dq",
       kNearest,
       {{0x40200000'3f800000, 0x7fc00000'bf000000}},
       {{0x00000002'00000001, 0x80000000'00000000}},
       kIe | kPe},
      {"cvttps2dq",
       kUp,
       {{0x40200000'3f800000, 0x4f000000'bf000000}},
       {{0x00000002'00000001, 0x80000000'00000000}},
       kIe | kPe},
      {"cvtdq2pd",
       kNearest,
       {{0x80000000'00000003, kPattern}},
       {{Bits(3, 8), Bits(-2147483648.0, 8)}},
       0},
      {"cvtpd2dq", kNearest, {{Bits(2.5, 8), Bits(-3.5, 8)}}, {{0xfffffffc'00000002, 0}}, kPe},
      {"cvttpd2dq", kNearest, {{Bits(2.75, 8), Bits(-3.75, 8)}}, {{0xfffffffd'00000002, 0}}, kPe},
      {"cvtps2pd", kNearest, {{0xbf000000'3f800000, kPattern}}, {{Bits(1, 8), Bits(-0.5, 8)}}, 0},
      {"cvtps2pd",
       kNearest,
       {{0x7f812345'00000001, kPattern}},
       {{0x36a0000000000000, 0x7ff82468a0000000 | 0x2468a0000000}},
       kIe | kDe},
      {"cvtpd2ps", kNearest, {{Bits(1, 8), Bits(1e300, 8)}}, {{0x7f800000'3f800000, 0}}, kOe | kPe},
      {"cvtpd2ps", kUp, {{Bits(0.1, 8), Bits(-0.5, 8)}}, {{0xbf000000'3dcccccd, 0}}, kPe},
      {"cvtpd2ps", kDown, {{Bits(0.1, 8), Bits(-0.5, 8)}}, {{0xbf000000'3dcccccc, 0}}, kPe},
  };
  for (const auto& known : kLanes) {
    for (bool memory : {false, true}) {
      FpCase test = StartCase(known.name, memory);
      test.state.mxcsr = Mxcsr(known.rounding);
      test.state.xmm[1] = test.state.xmm[5] = {{~kPattern, kPattern}};
      test.state.xmm[2] = known.from;
      if (memory) PutOperand(&test, known.from.lane);
      const FpResult result = RunOnCpu(test);
      EXPECT_EQ(result.state.xmm[memory ? 5 : 1].lane, known.to.lane) << Describe(test);
      EXPECT_EQ(result.state.mxcsr, test.state.mxcsr | known.flags) << Describe(test);
    }
  }
  for (bool memory : {false, true}) {
    FpCase test = StartCase("cvtsi2ss", memory);
    test.state.xmm[1] = test.state.xmm[5] = {{kPattern, kPattern}};
    test.state.eax = 16777217;
    if (memory) PutOperand(&test, 16777217);
    FpResult result = RunOnCpu(test);
    EXPECT_EQ(result.state.xmm[memory ? 5 : 1].lane[0], (kPattern & ~0xffffffffull) | 0x4b800000);
    EXPECT_EQ(result.state.mxcsr, VX_INITIAL_MXCSR | kPe);

    test = StartCase("cvtsi2sd", memory);
    test.state.eax = static_cast<uint32_t>(-5);
    if (memory) PutOperand(&test, -5);
    result = RunOnCpu(test);
    EXPECT_EQ(result.state.xmm[memory ? 5 : 1].lane[0], Bits(-5, 8));
  }
}

// --- x87 ---

X87Register Reg(long double value) {
  X87Register reg;
  std::memcpy(&reg.significand, &value, 8);
  std::memcpy(&reg.sign_exponent, reinterpret_cast<const char*>(&value) + 8, 2);
  return reg;
}

constexpr unsigned kTop = 6;

// ST(0) and on; the others are empty. TOP is 6, so that a few registers wrap round.
void SetStack(FpCase* test, std::initializer_list<X87Register> values,
              uint16_t control = Control(kNearest)) {
  X87State& x87 = test->state.x87;
  x87.control = control;
  x87.status = kTop << 11;
  unsigned i = kTop;
  for (const X87Register& value : values) {
    x87.reg[i & 7] = value;
    x87.tag &= ~(3u << (2 * (i++ & 7)));
  }
  Settle(&x87);
}

X87Register St(const FpResult& result, unsigned i) {
  return result.state.x87.reg[((result.state.x87.status >> 11) + i) & 7];
}

bool IsEmpty(const FpResult& result, unsigned i) {
  const unsigned physical = ((result.state.x87.status >> 11) + i) & 7;
  return (result.state.x87.tag >> (2 * physical) & 3) == 3;
}

unsigned TopOf(const FpResult& result) { return result.state.x87.status >> 11 & 7; }
unsigned StatusOf(const FpResult& result) { return result.state.x87.status & ~0x3800u; }

std::string StackOf(const FpResult& result) {
  std::ostringstream out;
  out << std::hex << "\n  status " << result.state.x87.status;
  for (unsigned i = 0; i < 8; ++i) {
    const X87Register st = St(result, i);
    out << "\n  st" << i << (IsEmpty(result, i) ? " empty " : " ") << st.sign_exponent << ":"
        << st.significand;
  }
  return out.str();
}

constexpr X87Register kIndefinite = {0xc000000000000000, 0xffff};

TEST(FpNativeTest, X87ArithmeticInAllForms) {
  const struct {
    const char* operation;
    long double result;  // of 12 and 4
  } kKnown[] = {{"add", 16}, {"mul", 48}, {"sub", 8}, {"subr", -8}, {"div", 3}, {"divr", 1.0L / 3}};
  for (const auto& known : kKnown) {
    const std::string operation = known.operation;
    const unsigned status = operation == "divr" ? kPe | kC1 : 0;  // 1/3 is rounded up
    const auto check = [&](const FpCase& test, unsigned i, unsigned top) {
      const FpResult result = RunOnCpu(test);
      EXPECT_EQ(St(result, i), Reg(known.result)) << Describe(test) << StackOf(result);
      EXPECT_EQ(StatusOf(result), status) << Describe(test);
      EXPECT_EQ(TopOf(result), top) << Describe(test);
      EXPECT_FALSE(result.trap);
    };
    FpCase test = StartCase("f" + operation + "_m32", true);
    SetStack(&test, {Reg(12)});
    PutOperand(&test, 4.0f);
    check(test, 0, kTop);
    test = StartCase("f" + operation + "_m64", true);
    SetStack(&test, {Reg(12)});
    PutOperand(&test, 4.0);
    check(test, 0, kTop);
    test = StartCase("fi" + operation + "_m32", true);
    SetStack(&test, {Reg(12)});
    PutOperand(&test, int32_t{4});
    check(test, 0, kTop);
    test = StartCase("fi" + operation + "_m16", true);
    SetStack(&test, {Reg(12)});
    PutOperand(&test, int16_t{4});
    check(test, 0, kTop);
    for (int i : {1, 2}) {
      test = StartCase("f" + operation + "_sti", false, i);
      SetStack(&test, {Reg(12), Reg(4), Reg(4)});
      check(test, 0, kTop);
      // op sti, st: the destination comes first
      test = StartCase("f" + operation + "_sti_st", false, i);
      SetStack(&test, {Reg(4), Reg(12), Reg(12)});
      check(test, i, kTop);
      test = StartCase("f" + operation + "p", false, i);
      SetStack(&test, {Reg(4), Reg(12), Reg(12)});
      check(test, i - 1, kTop + 1);
    }
  }
}

TEST(FpNativeTest, X87ConstantsInAllRoundings) {
  const struct {
    const char* name;
    uint16_t exponent;
    uint64_t nearest, down, up;
  } kKnown[] = {
      {"fld1", 0x3fff, 1ull << 63, 1ull << 63, 1ull << 63},
      {"fldl2t", 0x4000, 0xd49a784bcd1b8afe, 0xd49a784bcd1b8afe, 0xd49a784bcd1b8aff},
      {"fldl2e", 0x3fff, 0xb8aa3b295c17f0bc, 0xb8aa3b295c17f0bb, 0xb8aa3b295c17f0bc},
      {"fldpi", 0x4000, 0xc90fdaa22168c235, 0xc90fdaa22168c234, 0xc90fdaa22168c235},
      {"fldlg2", 0x3ffd, 0x9a209a84fbcff799, 0x9a209a84fbcff798, 0x9a209a84fbcff799},
      {"fldln2", 0x3ffe, 0xb17217f7d1cf79ac, 0xb17217f7d1cf79ab, 0xb17217f7d1cf79ac},
      {"fldz", 0, 0, 0, 0},
  };
  for (const auto& known : kKnown) {
    for (Rounding rounding : {kNearest, kDown, kUp, kZero}) {
      FpCase test = StartCase(known.name, false);
      SetStack(&test, {Reg(1)}, Control(rounding));
      const FpResult result = RunOnCpu(test);
      const uint64_t significand = rounding == kNearest ? known.nearest
                                   : rounding == kUp    ? known.up
                                                        : known.down;
      EXPECT_EQ(St(result, 0), (X87Register{significand, known.exponent})) << known.name;
      EXPECT_EQ(StatusOf(result), 0u) << known.name;
      EXPECT_EQ(TopOf(result), kTop - 1);
    }
  }
}

TEST(FpNativeTest, X87Operations) {
  const long double inf = std::numeric_limits<long double>::infinity();
  const struct {
    const char* name;
    int index;
    uint16_t control;
    X87Register st0, st1;
    X87Register result0, result1;
    unsigned status;
    int pushed;
  } kKnown[] = {
      {"fchs", 0, Control(kNearest), Reg(2), {}, Reg(-2), {}, 0, 0},
      {"fabs", 0, Control(kNearest), Reg(-2), {}, Reg(2), {}, 0, 0},
      {"fsqrt", 0, Control(kNearest), Reg(9), {}, Reg(3), {}, 0, 0},
      {"fsqrt", 0, Control(kNearest), Reg(-1), {}, kIndefinite, {}, kIe, 0},
      {"frndint", 0, Control(kNearest), Reg(2.5), {}, Reg(2), {}, kPe, 0},
      {"frndint", 0, Control(kDown), Reg(2.5), {}, Reg(2), {}, kPe, 0},
      {"frndint", 0, Control(kUp), Reg(2.5), {}, Reg(3), {}, kPe | kC1, 0},
      {"frndint", 0, Control(kZero), Reg(-2.5), {}, Reg(-2), {}, kPe, 0},
      {"frndint", 0, Control(kDown), Reg(-2.5), {}, Reg(-3), {}, kPe | kC1, 0},
      {"fscale", 0, Control(kNearest), Reg(1.5), Reg(3.75), Reg(12), Reg(3.75), 0, 0},
      {"fscale", 0, Control(kNearest), Reg(1), Reg(-inf), Reg(0), Reg(-inf), 0, 0},
      {"fxtract", 0, Control(kNearest), Reg(12), {}, Reg(1.5), Reg(3), 0, 1},
      {"fxtract", 0, Control(kNearest), Reg(0), {}, Reg(0), Reg(-inf), kZe, 1},
      {"fprem", 0, Control(kNearest), Reg(17), Reg(5), Reg(2), Reg(5), kC1 | kC3, 0},  // 3
      {"fprem", 0, Control(kNearest), Reg(18), Reg(5), Reg(3), Reg(5), kC1 | kC3, 0},
      {"fprem1", 0, Control(kNearest), Reg(18), Reg(5), Reg(-2), Reg(5), kC0, 0},  // 4
      {"fprem", 0, Control(kNearest), Reg(-7), Reg(4), Reg(-3), Reg(4), kC1, 0},
      {"fprem", 0, Control(kNearest), Reg(1), Reg(0), kIndefinite, Reg(0), kIe, 0},
      {"fxch", 1, Control(kNearest), Reg(1), Reg(2), Reg(2), Reg(1), 0, 0},
      {"fld_sti", 1, Control(kNearest), Reg(1), Reg(2), Reg(2), Reg(1), 0, 1},
      {"fst_sti", 1, Control(kNearest), Reg(1), Reg(2), Reg(1), Reg(1), 0, 0},
      {"ftst", 0, Control(kNearest), Reg(1), {}, Reg(1), {}, 0, 0},
      {"ftst", 0, Control(kNearest), Reg(-1), {}, Reg(-1), {}, kC0, 0},
      {"ftst", 0, Control(kNearest), Reg(-0.0), {}, Reg(-0.0), {}, kC3, 0},
      {"fcom_sti", 1, Control(kNearest), Reg(1), Reg(2), Reg(1), Reg(2), kC0, 0},
      {"fcom_sti", 1, Control(kNearest), Reg(2), Reg(2), Reg(2), Reg(2), kC3, 0},
      {"fcom_sti", 1, Control(kNearest), Reg(3), Reg(2), Reg(3), Reg(2), 0, 0},
      {"fcom_sti", 1, Control(kNearest), Reg(3), kIndefinite, Reg(3), kIndefinite,
       kC0 | kC2 | kC3 | kIe, 0},
      {"fucom", 1, Control(kNearest), Reg(3), kIndefinite, Reg(3), kIndefinite, kC0 | kC2 | kC3, 0},
      {"fucomp", 1, Control(kNearest), Reg(1), Reg(2), Reg(2), {}, kC0, -1},
      {"fcompp", 0, Control(kNearest), Reg(1), Reg(2), {}, {}, kC0, -2},
      {"fucompp", 0, Control(kNearest), Reg(2), Reg(2), {}, {}, kC3, -2},
      // classes
      {"fxam", 0, Control(kNearest), Reg(1), {}, Reg(1), {}, kC2, 0},
      {"fxam", 0, Control(kNearest), Reg(-1), {}, Reg(-1), {}, kC2 | kC1, 0},
      {"fxam", 0, Control(kNearest), Reg(0), {}, Reg(0), {}, kC3, 0},
      {"fxam", 0, Control(kNearest), Reg(inf), {}, Reg(inf), {}, kC2 | kC0, 0},
      {"fxam", 0, Control(kNearest), kIndefinite, {}, kIndefinite, {}, kC0 | kC1, 0},
      {"fxam", 0, Control(kNearest), {1, 0}, {}, {1, 0}, {}, kC3 | kC2, 0},
      // precision control: 1/3 in 24, 53 and 64 bits
      {"fdiv_sti",
       1,
       Control(kNearest, 0),
       Reg(1),
       Reg(3),
       {0xaaaaab0000000000, 0x3ffd},
       Reg(3),
       kPe | kC1,
       0},
      {"fdiv_sti",
       1,
       Control(kNearest, 2),
       Reg(1),
       Reg(3),
       {0xaaaaaaaaaaaaa800, 0x3ffd},
       Reg(3),
       kPe,
       0},
      {"fdiv_sti",
       1,
       Control(kNearest, 3),
       Reg(1),
       Reg(3),
       {0xaaaaaaaaaaaaaaab, 0x3ffd},
       Reg(3),
       kPe | kC1,
       0},
      {"fdiv_sti",
       1,
       Control(kDown, 3),
       Reg(1),
       Reg(3),
       {0xaaaaaaaaaaaaaaaa, 0x3ffd},
       Reg(3),
       kPe,
       0},
      {"fdiv_sti", 1, Control(kNearest), Reg(1), Reg(0), Reg(inf), Reg(0), kZe, 0},
      {"fdiv_sti", 1, Control(kNearest), Reg(0), Reg(0), kIndefinite, Reg(0), kIe, 0},
      {"fsub_sti", 1, Control(kNearest), Reg(inf), Reg(inf), kIndefinite, Reg(inf), kIe, 0},
      {"fsub_sti", 1, Control(kDown), Reg(1), Reg(1), Reg(-0.0), Reg(1), 0, 0},
      // NaNs: the larger significand; signalling ones are made quiet; unnormals are invalid
      {"fadd_sti",
       1,
       Control(kNearest),
       {0xc000000000000001, 0x7fff},
       {0xc000000000000002, 0x7fff},
       {0xc000000000000002, 0x7fff},
       {0xc000000000000002, 0x7fff},
       0,
       0},
      {"fadd_sti",
       1,
       Control(kNearest),
       {0x8000000000000001, 0x7fff},
       Reg(1),
       {0xc000000000000001, 0x7fff},
       Reg(1),
       kIe,
       0},
      {"fadd_sti", 1, Control(kNearest), {1ull << 62, 0x3fff}, Reg(1), kIndefinite, Reg(1), kIe, 0},
      {"fadd_sti", 1, Control(kNearest), {1, 0}, Reg(0), {1, 0}, Reg(0), kDe, 0},
  };
  for (const auto& known : kKnown) {
    FpCase test = StartCase(known.name, false, known.index);
    SetStack(&test, {known.st0, known.st1}, known.control);
    const FpResult result = RunOnCpu(test);
    EXPECT_EQ(StatusOf(result), known.status) << Describe(test) << StackOf(result);
    EXPECT_EQ(TopOf(result), (kTop - known.pushed) & 7u) << Describe(test);
    if (known.pushed > -2) {
      EXPECT_EQ(St(result, 0), known.result0) << Describe(test) << StackOf(result);
    }
    if (known.pushed > -1) {
      EXPECT_EQ(St(result, 1), known.result1) << Describe(test) << StackOf(result);
    }
  }
}

TEST(FpNativeTest, X87StackFaults) {
  FpCase test = StartCase("fld1", false);
  SetStack(&test, {Reg(1), Reg(2), Reg(3), Reg(4), Reg(5), Reg(6), Reg(7), Reg(8)});
  FpResult result = RunOnCpu(test);
  EXPECT_EQ(StatusOf(result), kIe | kSf | kC1);
  EXPECT_EQ(St(result, 0), kIndefinite);
  EXPECT_EQ(TopOf(result), kTop - 1);

  test = StartCase("fadd_sti", false, 1);
  SetStack(&test, {Reg(1)});
  result = RunOnCpu(test);
  EXPECT_EQ(StatusOf(result), kIe | kSf);
  EXPECT_EQ(St(result, 0), kIndefinite);

  // Unmasked: nothing happens but that it is pending.
  test.state.x87.control &= ~kIe;
  result = RunOnCpu(test);
  EXPECT_EQ(StatusOf(result), kIe | kSf | kEsAndB);
  EXPECT_EQ(St(result, 0), Reg(1));

  test = StartCase("fxam", false);
  SetStack(&test, {});
  EXPECT_EQ(StatusOf(RunOnCpu(test)) & (kC0 | kC2 | kC3), kC0 | kC3);
}

TEST(FpNativeTest, X87LoadsAndStores) {
  const auto load = [](const char* name, auto operand, X87Register expected, unsigned status,
                       size_t size = 0) {
    FpCase test = StartCase(name, true);
    SetStack(&test, {});
    PutOperand(&test, operand, size == 0 ? sizeof operand : size);
    const FpResult result = RunOnCpu(test);
    EXPECT_EQ(St(result, 0), expected) << name << StackOf(result);
    EXPECT_EQ(StatusOf(result), status) << name;
    EXPECT_EQ(TopOf(result), kTop - 1);
  };
  load("fld_m32", 1.5f, Reg(1.5), 0);
  load("fld_m32", uint32_t{1}, {1ull << 63, 0x3fff - 149}, kDe);
  load("fld_m32", 0x7f800001, {0xc000010000000000, 0x7fff}, kIe);
  load("fld_m64", -0.1, Reg(-0.1), 0);
  load("fld_m80", 1.5L, Reg(1.5), 0, 10);
  load("fld_m80", std::array<uint64_t, 2>{0x8000000000000001, 0x7fff}, {0x8000000000000001, 0x7fff},
       0, 10);
  load("fild_m16", int16_t{-32768}, Reg(-32768), 0);
  load("fild_m32", int32_t{-5}, Reg(-5), 0);
  load("fild_m64", INT64_MAX, {0xfffffffffffffffe, 0x403d}, 0);
  load("fbld", std::array<uint8_t, 10>{0x45, 0x23, 0x01, 0, 0, 0, 0, 0, 0, 0x80}, Reg(-12345), 0);

  const auto store = [](const char* name, Rounding rounding, long double value, auto expected,
                        unsigned status, bool pops) {
    FpCase test = StartCase(name, true);
    test.area.fill(0x55);
    SetStack(&test, {Reg(value)}, Control(rounding));
    test.state.eax = kOperand;
    const FpResult result = RunOnCpu(test);
    EXPECT_EQ(GetOperand<decltype(expected)>(result), expected) << name;
    EXPECT_EQ(StatusOf(result), status) << name;
    EXPECT_EQ(TopOf(result), pops ? kTop + 1 : kTop) << name;
  };
  store("fst_m32", kNearest, 1.0L / 3, uint32_t{0x3eaaaaab}, kPe | kC1, false);
  store("fst_m32", kDown, 1.0L / 3, uint32_t{0x3eaaaaaa}, kPe, false);
  store("fstp_m32", kNearest, 1e300L, uint32_t{kInf}, kOe | kPe | kC1, true);
  store("fst_m64", kNearest, 0.1L, Bits(0.1, 8), kPe | kC1, false);
  store("fstp_m64", kZero, 1.0L / 3, uint64_t{0x3fd5555555555555}, kPe, true);
  store("fstp_m80", kNearest, 1.25L, 1.25L, 0, true);
  store("fist_m16", kNearest, 2.5L, int16_t{2}, kPe, false);
  store("fist_m16", kUp, 2.5L, int16_t{3}, kPe | kC1, false);
  store("fistp_m16", kNearest, 40000, int16_t{INT16_MIN}, kIe, true);
  store("fist_m32", kNearest, -3.5L, int32_t{-4}, kPe | kC1, false);
  store("fistp_m32", kZero, -3.5L, int32_t{-3}, kPe, true);
  store("fistp_m64", kNearest, 9e18L, int64_t{9000000000000000000}, 0, true);
  store("fistp_m64", kNearest, 1e19L, INT64_MIN, kIe, true);
  store("fbstp", kNearest, -12345.5L,
        std::array<uint8_t, 10>{0x46, 0x23, 0x01, 0, 0, 0, 0, 0, 0, 0x80}, kPe | kC1, true);
}

TEST(FpNativeTest, X87AndEflags) {
  const struct {
    X87Register st0, st1;
    uint32_t flags;
  } kOrders[] = {{Reg(2), Reg(1), 0},
                 {Reg(1), Reg(2), kCf},
                 {Reg(1), Reg(1), kZf},
                 {Reg(1), kIndefinite, kZf | kPf | kCf}};
  for (const auto& order : kOrders) {
    for (const char* name : {"fcomi", "fucomi", "fcomip", "fucomip"}) {
      FpCase test = StartCase(name, false, 1);
      SetStack(&test, {order.st0, order.st1});
      test.state.eflags |= kCf | kZf | kPf;
      const FpResult result = RunOnCpu(test);
      EXPECT_EQ(result.state.eflags, VX_INITIAL_EFLAGS | order.flags) << Describe(test);
      const bool invalid = order.st1 == kIndefinite && name[1] == 'c';
      EXPECT_EQ(StatusOf(result), invalid ? kIe : 0) << Describe(test);
    }
  }
  const struct {
    const char* name;
    uint32_t flag;
    bool moves_if_set;
  } kMoves[] = {{"fcmovb", kCf, true},   {"fcmove", kZf, true},    {"fcmovbe", kCf, true},
                {"fcmovbe", kZf, true},  {"fcmovu", kPf, true},    {"fcmovnb", kCf, false},
                {"fcmovne", kZf, false}, {"fcmovnbe", kZf, false}, {"fcmovnu", kPf, false}};
  for (const auto& move : kMoves) {
    for (bool set : {false, true}) {
      FpCase test = StartCase(move.name, false, 1);
      SetStack(&test, {Reg(1), Reg(2)});
      test.state.eflags |= set ? move.flag : 0;
      EXPECT_EQ(St(RunOnCpu(test), 0), Reg(set == move.moves_if_set ? 2 : 1)) << Describe(test);
    }
  }
}

// --- traps ---

TEST(FpNativeTest, UnmaskedSseExceptionsTrap) {
  FpCase test = StartCase("divsd", false);
  test.state.mxcsr &= ~(kZe << 7);
  test.state.xmm[1] = {{Bits(1, 8), kPattern}};
  FpResult result = RunOnCpu(test);
  EXPECT_EQ(result.trap, Trap{.cause = TrapCause::kSimdError});
  EXPECT_EQ(result.offset, 0u);
  FpState expected = test.state;
  expected.mxcsr |= kZe;
  EXPECT_EQ(result.state, expected);
  // and leave nothing behind
  test.state.mxcsr = VX_INITIAL_MXCSR;
  result = RunOnCpu(test);
  EXPECT_FALSE(result.trap);
  EXPECT_EQ(result.state.mxcsr, VX_INITIAL_MXCSR | kZe);
}

TEST(FpNativeTest, UnmaskedX87ExceptionsTrapAtTheNextInstructionThatWaits) {
  for (bool waits : {false, true}) {
    FpCase test = StartCase("fdiv_sti", false, 1, waits);
    SetStack(&test, {Reg(1), Reg(0)}, static_cast<uint16_t>(Control(kNearest) & ~kZe));
    const FpResult result = RunOnCpu(test);
    EXPECT_EQ(result.trap,
              waits ? std::optional(Trap{.cause = TrapCause::kX87Error}) : std::nullopt);
    EXPECT_EQ(result.offset, 2u);
    EXPECT_EQ(St(result, 0), Reg(1));
    EXPECT_EQ(StatusOf(result), kZe | kEsAndB);
  }
}

TEST(FpNativeTest, OperandsFault) {
  FpCase test = StartCase("addps", true);
  test.state.eax = kOperand + 4;
  EXPECT_EQ(RunOnCpu(test).trap, Trap{.cause = TrapCause::kGeneralProtection});
  test.state.eax = kFpAreaEnd;
  EXPECT_EQ(RunOnCpu(test).trap, (Trap{TrapCause::kPageFault, Access::kRead, kFpAreaEnd}));
  test = StartCase("fstp_m80", true);
  SetStack(&test, {Reg(1)});
  test.state.eax = kFpAreaEnd - 4;
  const FpResult result = RunOnCpu(test);
  EXPECT_EQ(result.trap, (Trap{TrapCause::kPageFault, Access::kWrite, kFpAreaEnd}));
  EXPECT_EQ(result.state, test.state);
}

// --- the cases ---

bool IsAligned16(FpType type) {
  return type == FpType::kF32x4 || type == FpType::kF64x2 || type == FpType::kI32x4;
}

// Every form's cases reach what the form can do: it runs, does something, and traps as it can.
TEST(FpCasesTest, ReachResultsAndTraps) {
  const std::vector<FpForm> sse = SseArithmeticForms(), x87 = X87ArithmeticForms();
  for (const std::vector<FpForm>* forms : {&sse, &x87}) {
    for (const FpForm& form : *forms) {
      Random random(1);
      int ends = 0, changes = 0, roundings = 0, traps[16] = {};
      bool memory = false;
      for (const FpEncoding& encoding : form.encodings) {
        memory |= encoding.memory;
        for (int i = 0; i < 200; ++i) {
          const FpCase test = MakeFpCase(form, encoding, random);
          const FpResult result = RunOnCpu(test);
          if (result.trap) ++traps[static_cast<int>(result.trap->cause)];
          if (result.trap) continue;
          ++ends;
          changes += result.state != test.state ||
                     !std::equal(test.area.begin(), test.area.end(), result.area.begin());
          roundings += forms == &sse
                           ? (result.state.mxcsr & ~test.state.mxcsr & kPe) != 0
                           : (result.state.x87.status & ~test.state.x87.status & kPe) != 0;
        }
      }
      const auto trapped = [&traps](TrapCause cause) { return traps[static_cast<int>(cause)]; };
      EXPECT_GT(ends, 50) << form.name;
      EXPECT_GT(changes, 10) << form.name;
      EXPECT_EQ(trapped(TrapCause::kInvalidOpcode), 0) << form.name;
      EXPECT_EQ(trapped(TrapCause::kPageFault) > 0, memory) << form.name;
      EXPECT_EQ(trapped(TrapCause::kGeneralProtection) > 0, memory && IsAligned16(form.rm))
          << form.name;
      if (form.name != "fxam") {  // raises nothing
        EXPECT_EQ(trapped(TrapCause::kX87Error) > 0, forms == &x87) << form.name;
      }
      if (form.name.find("add") != std::string::npos || form.name.starts_with("mul") ||
          form.name.find("div") != std::string::npos ||
          form.name.find("sqrt") != std::string::npos) {
        EXPECT_GT(roundings, 10) << form.name;
      }
      const bool exact = form.name == "cvtsi2sd" || form.name == "cvtdq2pd" || forms == &x87;
      EXPECT_EQ(trapped(TrapCause::kSimdError) > 0, !exact) << form.name;
    }
  }
}

}  // namespace
}  // namespace vx::conformance
