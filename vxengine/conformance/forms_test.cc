// Every form of the table, in random states with edge values, against the CPU.
#include "vxengine/conformance/forms.h"

#include <gtest/gtest.h>

#include <functional>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/native.h"

namespace vx::conformance {
namespace {

std::vector<Form> AllForms() {
  std::vector<Form> forms = Expand(IntegerRows());
  const std::vector<Form> sse = Expand(SseRows());
  forms.insert(forms.end(), sse.begin(), sse.end());
  return forms;
}

Random RandomFor(const Form& form) {
  std::seed_seq seed(form.name.begin(), form.name.end());
  Random random(seed);
  random.seed(random() + TheSettings().seed);
  return random;
}

// The form with its operand in memory, or in a register, if it can be in both.
Form OfKind(Form form, bool memory) {
  if (form.rm == 'E') form.rm = memory ? 'M' : 'R';
  if (form.rm == 'W') form.rm = memory ? 'M' : 'U';
  return form;
}

// Whether the case's operand lies in two cache lines. Linux, and hosts of virtual machines, slow
// down who locks such (Documentation/arch/x86/buslock.rst).
bool SplitsLine(const Case& test) {
  constexpr uint32_t kLine = 64, kLargest = 8;
  return test.memory % kLine > kLine - kLargest;
}

std::vector<Case> CasesOf(const Form& form, Random& random) {
  const bool locks = form.name.starts_with("xchg");
  std::vector<Case> cases;
  for (uint32_t i = 0; i < TheSettings().cases; ++i) {
    if (form.inputs != Inputs::kFlags) {
      cases.push_back(MakeCase(form, random));
      while (locks && SplitsLine(cases.back())) cases.back() = MakeCase(form, random);
      continue;
    }
    // All flags with both kinds of operand.
    cases.push_back(MakeCase(OfKind(form, i % 2 != 0), random));
    uint32_t& eflags = cases.back().state.eflags;
    eflags = (eflags & ~kStatusFlags) | StatusFlags(i / 2 % 64);
  }
  return cases;
}

class FormTest : public testing::TestWithParam<Form> {};

TEST_P(FormTest, AgreesWithTheCpu) {
  Random random = RandomFor(GetParam());
  ExpectAgreement(CasesOf(GetParam(), random));
}

TEST_P(FormTest, TakesLockOnlyWhereTheCpuDoes) {
  Random random = RandomFor(GetParam());
  std::vector<Case> cases;
  for (int i = 0; i < 6; ++i) {
    cases.push_back(MakeCase(OfKind(GetParam(), i % 2 != 0), random));
    while (SplitsLine(cases.back())) {
      cases.back() = MakeCase(OfKind(GetParam(), i % 2 != 0), random);
    }
    cases.back().code.insert(cases.back().code.begin(), 0xf0);
  }
  ExpectAgreement(cases);
}

INSTANTIATE_TEST_SUITE_P(All, FormTest, testing::ValuesIn(AllForms()),
                         [](const auto& info) { return info.param.name; });

// The table of deviations describes the CPU that it was measured on.
TEST(DeviationsTest, FlagsAreThoseOfTheReferenceCpu) {
  if (!IsReferenceCpu()) return;
  for (const Form& form : AllForms()) {
    if (form.rule == Rule::kPopa) continue;
    Random random = RandomFor(form);
    const std::vector<Case> cases = CasesOf(form, random);
    size_t i = 0;
    for (size_t at = 0; at < cases.size(); at += ORACLE_BATCH) {
      std::vector<Case> batch;
      for (size_t j = at; j < std::min<size_t>(cases.size(), at + ORACLE_BATCH); ++j) {
        batch.push_back(cases[j]);
        batch.back().code_address = batch.back().state.eip = kCode + (j - at) * ORACLE_SLOT_SIZE;
        batch.back().code = PlacedCode(cases[j], batch.back().code_address);
      }
      for (const Result& measured : ThisCpu().Run(batch)) {
        Result defined = measured;
        ApplyAbi(cases[i], &defined);
        ASSERT_EQ(Difference(measured, defined), "") << Describe(cases[i]);
        ++i;
      }
    }
  }
}

}  // namespace
}  // namespace vx::conformance
