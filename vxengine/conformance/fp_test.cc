// x87 and SSE arithmetic, as an engine has it, against this machine's CPU: every form, every
// rounding mode and precision, denormals, NaNs, flags and traps. --cases=N for other numbers of
// them.
#include <gtest/gtest.h>

#include <vector>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/fp_checker.h"
#include "vxengine/conformance/fp_forms.h"

namespace vx::conformance {
namespace {

std::vector<FpForm> AllForms() {
  std::vector<FpForm> forms = SseArithmeticForms();
  const std::vector<FpForm> x87 = X87ArithmeticForms();
  forms.insert(forms.end(), x87.begin(), x87.end());
  return forms;
}

class FloatingPointTest : public testing::TestWithParam<FpForm> {};

TEST_P(FloatingPointTest, AgreesWithTheCpu) {
  const Engine engine = TheSettings().engine;
  ExpectFpAgreement(engine, GetParam(), 3 * TheSettings().cases);
}

INSTANTIATE_TEST_SUITE_P(All, FloatingPointTest, testing::ValuesIn(AllForms()),
                         [](const auto& info) { return info.param.name; });

// What one instruction leaves, the next ones use. State instructions are among them.
constexpr int kBlocks = 8;

class SequenceTest : public testing::TestWithParam<int> {};

TEST_P(SequenceTest, AgreesWithTheCpu) {
  const Engine engine = TheSettings().engine;
  std::vector<FpForm> forms = AllForms();
  const std::vector<FpForm> state = FpStateForms();
  for (int i = 0; i < 2; ++i) forms.insert(forms.end(), state.begin(), state.end());
  ExpectFpSequencesAgree(engine, forms, 2 * TheSettings().cases, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Block, SequenceTest, testing::Range(0, kBlocks));

}  // namespace
}  // namespace vx::conformance
