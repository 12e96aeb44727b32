// Random operations on an archive and on a model of its rules: both always answer the same and have
// the same in them, reopened, rebuilt and after power cuts, too. And races that one has to win.
//
// VXA_MODEL_SEEDS=n runs n seeds, VXA_MODEL_SEED=s only that one.
#include "archive/testing/model.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/fault_env.h"
#include "archive/testing/workload.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

uint64_t FromEnvironment(const char* variable, uint64_t otherwise) {
  const char* value = getenv(variable);
  return value == nullptr ? otherwise : strtoull(value, nullptr, 10);
}

class RandomWalk {
 public:
  explicit RandomWalk(uint64_t seed) : random_(seed) {}
  ~RandomWalk() { archive_.reset(); }

  void Go(int steps) {
    Open();
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) Step();
  }

 private:
  uint64_t Pick(uint64_t below) { return random_() % below; }

  // Names that are prefixes of each other, and that lie around a delimiter.
  std::string PickName() {
    static const char* const kNames[] = {"a", "a/b", "a/b/c", "a/bb", "a0", "a!", "b/\xc3\xa9"};
    return kNames[Pick(std::size(kNames))];
  }
  // Contents of which the same come again.
  std::string PickBytes() {
    switch (const uint64_t which = Pick(8)) {
      case 0:
        return "";
      case 1:
        return Noise(20'000 + Pick(100), Pick(1000));
      case 2:
        return Text(2000, Pick(2));
      case 3:
        return Gzip(Text(300, Pick(2)));
      default:
        return std::string(which, 'x');
    }
  }
  std::optional<uint64_t> PickVersion() {
    if (Pick(3) != 0) return std::nullopt;
    return Pick(5);
  }
  std::string PickRequest() { return Pick(3) == 0 ? absl::StrCat("r", Pick(6)) : ""; }

  Operation PickOperation() {
    if (Pick(3) != 0) {
      return PutCall{{.name = PickName(),
                      .codec = Pick(3) == 0 ? "store" : "auto",
                      .if_absent = Pick(5) == 0,
                      .if_version = PickVersion(),
                      .request_id = PickRequest()},
                     PickBytes()};
    }
    return DeleteSpec{.name = PickName(),
                      .version = Pick(2) == 0 ? 0 : Pick(6),
                      .if_version = PickVersion(),
                      .request_id = PickRequest()};
  }

  void Step() {
    const uint64_t which = Pick(30);
    if (which == 0) {
      SCOPED_TRACE("reopen");
      Open();
      Compare(true);
    } else if (which == 1) {
      SCOPED_TRACE("rebuild");
      archive_.reset();
      RemoveFiles(env_, kIndexDirectory);
      Open();
      Compare(true);
    } else if (which == 2) {
      SCOPED_TRACE("power cut");
      env_.PowerCut(Survival::kSome, random_());
      archive_.reset();
      env_.Restart();
      Open();
      Compare(true);
    } else if (which < 8) {
      CompareListing();
    } else {
      const Operation operation = PickOperation();
      SCOPED_TRACE(Describe(operation));
      ASSERT_EQ(Perform(*archive_, operation), model_.Perform(operation));
      Compare(false);
    }
  }

  void Open() {
    archive_.reset();
    absl::StatusOr<std::unique_ptr<Archive>> opened = OpenIn(env_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    archive_ = *std::move(opened);
  }

  void Compare(bool bytes) { ASSERT_EQ(model_.Difference(*archive_, bytes), ""); }

  void CompareListing() {
    static const char* const kPrefixes[] = {"", "a", "a/", "a/b", "b", "c"};
    static const char* const kDelimiters[] = {"", "/", "/b"};
    const ListSpec spec{.prefix = kPrefixes[Pick(std::size(kPrefixes))],
                        .delimiter = kDelimiters[Pick(std::size(kDelimiters))],
                        .page_size = static_cast<uint32_t>(1 + Pick(4)),
                        .versions = Pick(2) == 0};
    SCOPED_TRACE(absl::StrCat("list ", spec.prefix, "* by ", spec.delimiter, ", ", spec.page_size,
                              spec.versions ? " versions" : " names"));
    absl::StatusOr<Model::Listing> there = ListAll(*archive_, spec);
    ASSERT_TRUE(there.ok()) << there.status();
    const Model::Listing expected = model_.List(spec);
    EXPECT_EQ(there->names, expected.names);
    EXPECT_EQ(there->prefixes, expected.prefixes);
  }

  std::mt19937_64 random_;
  FaultEnv env_;
  Model model_;
  std::unique_ptr<Archive> archive_;
};

TEST(ModelTest, AnArchiveDoesWhatItsRulesSay) {
  const uint64_t only = FromEnvironment("VXA_MODEL_SEED", 0);
  const uint64_t seeds = FromEnvironment("VXA_MODEL_SEEDS", 40);
  for (uint64_t seed = only == 0 ? 1 : only; seed <= (only == 0 ? seeds : only); ++seed) {
    SCOPED_TRACE(absl::StrCat("again with VXA_MODEL_SEED=", seed));
    RandomWalk(seed).Go(150);
    if (HasFailure()) return;
  }
}

class RaceTest : public ::testing::Test {
 protected:
  static constexpr int kThreads = 8;

  RaceTest() : archive_(*OpenIn(env_, uint64_t{16} << 20)) {}

  // Runs `racer` with the numbers of all threads at once.
  template <typename Racer>
  static void Race(Racer racer) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back(racer, t);
    for (std::thread& thread : threads) thread.join();
  }

  FaultEnv env_;
  std::unique_ptr<Archive> archive_;
};

TEST_F(RaceTest, ExactlyOneWinsANameThatHasToBeAbsent) {
  for (int round = 0; round < 30; ++round) {
    const std::string name = absl::StrCat("round", round);
    std::atomic<int> winners = 0, winner = -1;
    Race([&](int t) {
      const Outcome outcome =
          Perform(*archive_, PutCall{{.name = name, .if_absent = true}, absl::StrCat("by ", t)});
      if (outcome.reason.empty()) {
        EXPECT_EQ(outcome.version, 1u);
        ++winners;
        winner = t;
      } else {
        EXPECT_EQ(outcome.reason, "OBJECT_EXISTS");
      }
    });
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(*Get(*archive_, name), absl::StrCat("by ", winner.load()));
  }
}

TEST_F(RaceTest, EachVersionIsWonOnce) {
  constexpr uint64_t kVersions = 60;
  std::vector<std::atomic<int>> winners(kVersions + 1);
  Race([&](int t) {
    for (uint64_t version = 0; version < kVersions;) {
      const Outcome outcome = Perform(*archive_, PutCall{{.name = "counter", .if_version = version},
                                                         absl::StrCat(version + 1, " by ", t)});
      if (outcome.reason.empty()) {
        EXPECT_EQ(outcome.version, version + 1);
        EXPECT_FALSE(outcome.unchanged);
        ++winners[outcome.version];
        ++version;
      } else {
        ASSERT_EQ(outcome.reason, "VERSION_MISMATCH");
        absl::StatusOr<ObjectInfo> latest = archive_->Stat("default", "counter", 0);
        version = latest.ok() ? latest->version : 0;
      }
    }
  });
  for (uint64_t version = 1; version <= kVersions; ++version) EXPECT_EQ(winners[version], 1);
}

TEST_F(RaceTest, ARequestThatComesManyTimesAtOnceMakesOneVersion) {
  for (int round = 0; round < 20; ++round) {
    const std::string name = absl::StrCat("round", round);
    std::atomic<int> made = 0;
    Race([&](int) {
      const Outcome outcome =
          Perform(*archive_, PutCall{{.name = name, .request_id = "r"}, "bytes"});
      EXPECT_EQ(outcome.reason, "");
      EXPECT_EQ(outcome.version, 1u);
      made += !outcome.unchanged;
    });
    EXPECT_EQ(made, 1);
  }
}

}  // namespace
}  // namespace vxa::testing
