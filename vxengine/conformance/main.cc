// Runs the tests of its binary: GoogleTest's flags, and --engine=NAME, --placement=NAME, --count,
// --machine=EMULATOR:FILE (testing/run_elf.h), --contrary-cpu (translator/host_cpu.h), --seed=N,
// --cases=N (per form), --sequences=N.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "vxengine/conformance/checker.h"
#include "vxengine/testing/run_elf.h"
#include "vxengine/translator/host_cpu.h"

namespace vx::conformance {
namespace {

bool ParseFlag(absl::string_view flag, Settings* settings) {
  if (absl::ConsumePrefix(&flag, "--engine=")) {
    const absl::StatusOr<Engine> engine = ParseEngine(std::string(flag));
    if (engine.ok()) settings->engine = *engine;
    return engine.ok();
  }
  if (absl::ConsumePrefix(&flag, "--placement=")) {
    const absl::StatusOr<Placement> placement = ParsePlacement(std::string(flag));
    if (placement.ok()) settings->placement = *placement;
    return placement.ok();
  }
  if (absl::ConsumePrefix(&flag, "--machine=")) {
    testing::UseMachine(std::string(flag));
    settings->engine = Engine::kInterpreter;
    settings->count = true;
    return true;
  }
  if (flag == "--count") {
    settings->count = true;
    return true;
  }
  if (flag == "--contrary-cpu") {
    static const HostCpu contrary = ContraryCpu();
    Pretend(&contrary);
    return true;
  }
  if (absl::ConsumePrefix(&flag, "--seed=")) return absl::SimpleAtoi(flag, &settings->seed);
  if (absl::ConsumePrefix(&flag, "--cases=")) return absl::SimpleAtoi(flag, &settings->cases);
  if (absl::ConsumePrefix(&flag, "--sequences=")) {
    return absl::SimpleAtoi(flag, &settings->sequences);
  }
  return false;
}

// Tells how many cases said nothing, whoever the oracle is; more than 1 in 50 would be too many.
class UnjudgedCases : public ::testing::Environment {
 public:
  void TearDown() override {
    const Counts& counts = TheCounts();
    std::fprintf(stderr, "conformance: %llu cases, %llu of them unjudged\n",
                 static_cast<unsigned long long>(counts.cases),
                 static_cast<unsigned long long>(counts.unjudged));
    EXPECT_LE(counts.unjudged * 50, counts.cases);
  }
};

}  // namespace
}  // namespace vx::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (vx::conformance::ParseFlag(argv[i], &vx::conformance::TheSettings())) continue;
    std::fprintf(stderr, "%s: unknown flag or bad value\n", argv[i]);
    return 2;
  }
  testing::AddGlobalTestEnvironment(new vx::conformance::UnjudgedCases);
  return RUN_ALL_TESTS();
}
