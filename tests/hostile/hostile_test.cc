// All attacks on one engine, in this process: --engine=NAME --placement=NAME.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "tests/hostile/attacks.h"
#include "tests/hostile/canaries.h"
#include "vxengine/testing/string_io.h"

namespace vx::hostile {
namespace {

Engine the_engine = kDefaultEngine;
Placement the_placement = Placement::kShared;

// What a guest's addresses and the longest access there can reach, and so is reserved.
constexpr uint64_t kGuestSpan = (uint64_t{1} << 32) + 0x10000;
// Each is a test, so that shards share them.
constexpr size_t kSlices = 4;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // they have low memory, and make threads
#else
constexpr bool kSanitized = false;
#endif

struct Ended {
  Outcome outcome;
  std::string description, output;
};

class HostileTest : public ::testing::TestWithParam<std::tuple<NamedTable, size_t>> {
 protected:
  void SetUp() override {
    // Tables are in order, and so is what is made once: handlers, for one.
    table_ = std::get<0>(GetParam()).make();
    auto program = Program::Load(table_.elf);
    ASSERT_TRUE(program.ok()) << program.status();
    program_ = *std::move(program);
    RunCopy();
    canaries_ = std::make_unique<Canaries>(Canaries::Descriptors::kStay);
    if (the_engine != Engine::kTranslator || kSanitized) return;
    if (the_placement == Placement::kExclusive) {
      canaries_->GuardMemoryAt(kGuestSpan);
    } else {
      canaries_->GuardMemoryAround(kGuestSpan);
    }
  }

  Ended RunInput(const std::string& input, const Limits& limits, Engine engine) {
    auto sandbox =
        Sandbox::Create(program_, {.limits = limits, .engine = engine, .placement = the_placement});
    EXPECT_TRUE(sandbox.ok()) << sandbox.status();
    const bool guarded = canaries_ != nullptr && engine == Engine::kTranslator && !kSanitized;
    if (guarded) {
      EXPECT_EQ((*sandbox)->placement(), the_placement);
      EXPECT_TRUE(the_placement == Placement::kExclusive || canaries_->IsTaken());
    }
    testing::StringIo io(input);
    Ended run = {.outcome = (*sandbox)->Run(io), .description = "", .output = io.output};
    run.description = Describe(run.outcome, *program_);
    return run;
  }

  // A good guest, which is none the worse for those before.
  void RunCopy() {
    const Ended run = RunInput(table_.copy + "good bytes", {}, the_engine);
    EXPECT_EQ(run.description, "exit status 0");
    EXPECT_EQ(run.output, "good bytes");
  }

  Table table_;
  std::shared_ptr<const Program> program_;
  std::unique_ptr<Canaries> canaries_;
};

// What the guest could see itself, in the end.
std::string State(const Outcome& outcome, uint32_t valid_flags) {
  Outcome state = outcome;
  state.registers.eflags &= ~kStatusFlags | valid_flags;
  state.valid_flags = kStatusFlags;
  state.counters = {};
  return ToJson(state);
}

TEST_P(HostileTest, EndsAsItHasTo) {
  for (size_t n = std::get<1>(GetParam()); n < table_.attacks.size(); n += kSlices) {
    const Attack& attack = table_.attacks[n];
    SCOPED_TRACE(attack.name);
    const Ended run = RunInput(attack.input, attack.limits, the_engine);
    ASSERT_EQ(canaries_->Damage(), "");
    EXPECT_EQ(run.output, attack.output);
    if (run.outcome.end == Outcome::End::kLimited) {
      EXPECT_TRUE(absl::StartsWith(run.description, attack.expected)) << run.description;
    } else {
      EXPECT_EQ(run.description, attack.expected);
      if (the_engine != Engine::kInterpreter) {
        const Ended other = RunInput(attack.input, attack.limits, Engine::kInterpreter);
        EXPECT_EQ(State(run.outcome, run.outcome.valid_flags),
                  State(other.outcome, run.outcome.valid_flags));
      }
    }
    RunCopy();
    if (HasFailure()) break;
  }
  EXPECT_EQ(canaries_->DamageOfFiles(), "");
}

INSTANTIATE_TEST_SUITE_P(Attacks, HostileTest,
                         ::testing::Combine(::testing::ValuesIn(kTables),
                                            ::testing::Range(size_t{0}, kSlices)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) +
                                  std::to_string(std::get<1>(info.param));
                         });

bool ParseFlag(std::string_view flag) {
  const size_t equals = flag.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = flag.substr(0, equals), value = flag.substr(equals + 1);
  if (name == "--engine") {
    const absl::StatusOr<Engine> engine = ParseEngine(value);
    if (engine.ok()) the_engine = *engine;
    return engine.ok();
  }
  const absl::StatusOr<Placement> placement = ParsePlacement(value);
  if (placement.ok()) the_placement = *placement;
  return name == "--placement" && placement.ok();
}

}  // namespace
}  // namespace vx::hostile

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (vx::hostile::ParseFlag(argv[i])) continue;
    std::fprintf(stderr, "%s: unknown flag or bad value\n", argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
