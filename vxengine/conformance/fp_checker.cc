#include "vxengine/conformance/fp_checker.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/fp_guest.h"
#include "vxengine/conformance/fp_native.h"

namespace vx::conformance {

bool Observed(std::span<const FpCase> cases) {
  const auto& observer = TheSettings().observer;
  if (!observer) return false;
  for (const FpCase& test : cases) {
    observer({.code = test.code,
              .gpr = {test.state.eax, test.state.ecx},
              .eflags = test.state.eflags,
              .data = kFpPage,
              .data_end = kFpAreaEnd,
              .has_oracle = true});
  }
  return true;
}

void ExpectFpAgreement(Engine engine, const FpForm& form, uint32_t count) {
  constexpr int kDescribed = 5;
  std::seed_seq seed(form.name.begin(), form.name.end());
  Random random(seed);
  random.seed(random() + TheSettings().seed);
  const uint32_t each = count / static_cast<uint32_t>(form.encodings.size()) + 1;
  int bad = 0;
  for (const FpEncoding& encoding : form.encodings) {
    std::vector<FpCase> cases;
    for (uint32_t i = 0; i < each; ++i) cases.push_back(MakeFpCase(form, encoding, random));
    if (Observed(cases)) continue;
    ReleaseCpu();
    const std::vector<FpResult> actual = RunInGuest(engine, cases);
    for (size_t i = 0; i < cases.size(); ++i) {
      FpResult expected = RunOnCpu(cases[i]);
      ApplyAbi(form, cases[i], &expected);
      const std::string difference = Difference(expected, actual[i]);
      if (difference.empty() || FaultsOfNoStore(cases[i], expected, actual[i])) continue;
      if (++bad <= kDescribed) ADD_FAILURE() << Describe(cases[i]) << "\n" << difference;
    }
  }
  EXPECT_EQ(bad, 0) << "of " << each * form.encodings.size() << " cases";
}

void ExpectFpSequencesAgree(Engine engine, std::span<const FpForm> forms, uint32_t count,
                            int block) {
  constexpr uint32_t kCasesEach = 10;
  Random random(TheSettings().seed * 1000 + block);
  for (uint32_t i = 0; i < count && !testing::Test::HasFailure(); ++i) {
    const std::string name = absl::StrCat("sequence_", block, "_", i);
    ExpectFpAgreement(engine, MakeSequence(forms, name, random), kCasesEach);
  }
}

}  // namespace vx::conformance
