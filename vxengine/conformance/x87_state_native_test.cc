// x87's and MXCSR's control and state instructions, as an engine has them, against this machine's
// CPU.
#include <gtest/gtest.h>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/fp_checker.h"
#include "vxengine/conformance/fp_forms.h"

namespace vx::conformance {
namespace {

class StateFormTest : public testing::TestWithParam<FpForm> {};

TEST_P(StateFormTest, AgreesWithTheCpu) {
  ExpectFpAgreement(TheSettings().engine, GetParam(), 5 * TheSettings().cases);
}

INSTANTIATE_TEST_SUITE_P(All, StateFormTest, testing::ValuesIn(FpStateForms()),
                         [](const auto& info) { return info.param.name; });

TEST(StateSequenceTest, AgreesWithTheCpu) {
  ExpectFpSequencesAgree(TheSettings().engine, FpStateForms(), 4 * TheSettings().cases, 0);
}

}  // namespace
}  // namespace vx::conformance
