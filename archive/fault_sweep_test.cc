// One call after another fails while an archive goes through a workload, packs and index alike:
// each says so clearly, nothing acknowledged is lost, and once the fault is gone all is well.
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/fault_env.h"
#include "archive/testing/model.h"
#include "archive/testing/workload.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

// Whether an error says what failed, and why, and has the reason that belongs to it.
void CheckSaysWhy(const absl::Status& status, int error) {
  const std::string reason = ReasonName(status);
  const std::string text(status.message());
  EXPECT_TRUE(reason == "STORE_FAILED" || reason == "DATA_DAMAGED" ||
              (reason == "DISK_FULL" && error == ENOSPC))
      << status;
  EXPECT_TRUE(absl::StrContains(text, kDirectory) || absl::StrContains(text, ".vxp")) << status;
}

// A workload on a disk with a fault.
class FaultyRun {
 public:
  explicit FaultyRun(const Fault& fault) : fault_(fault) { env_.Set(fault); }

  // Goes through the workload as far as it can be gone through. Whether the fault struck.
  bool Go() {
    int done = 0;
    for (const Operation& operation : Workload(/*large=*/false)) {
      SCOPED_TRACE(Describe(operation));
      if (++done % 8 == 0) archive_.reset();
      if (archive_ == nullptr && !Open()) break;
      Model after = model_;
      const Outcome expected = after.Perform(operation);
      absl::Status status;
      const Outcome outcome = Perform(*archive_, operation, &status);
      if (outcome == expected) {
        const bool changes = expected.reason.empty() && !expected.unchanged;
        if (changes) refused_.reset();
        model_ = after;
        continue;
      }
      EXPECT_TRUE(env_.struck()) << outcome << " and not " << expected;
      CheckSaysWhy(status, fault_.error);
      // Of what is refused from then on, the first may have got to the disk all the same.
      if (!refused_) refused_ = operation;
    }
    archive_.reset();
    const bool struck = env_.struck();
    env_.ClearFault();
    return struck;
  }

  // Without the fault: what was acknowledged is there, what was refused not, or whole. Asked for
  // again, it is done, and that counts.
  void CheckComesBack() {
    const std::optional<Operation> again = refused_;
    ASSERT_TRUE(Open());
    ASSERT_EQ(model_.Difference(*archive_, true), "");
    if (again) {
      ASSERT_EQ(Perform(*archive_, *again), model_.Perform(*again));
    }
    env_.PowerCut(Survival::kNothing);
    archive_.reset();
    env_.Restart();
    ASSERT_TRUE(Open());
    ASSERT_EQ(model_.Difference(*archive_, true), "") << "after a power cut";
    const Operation operation = PutCall{{.name = "a"}, "after"};
    ASSERT_EQ(Perform(*archive_, operation), model_.Perform(operation));
    archive_.reset();
    RemoveFiles(env_, kIndexDirectory);
    ASSERT_TRUE(Open());
    ASSERT_EQ(model_.Difference(*archive_, false), "") << "rebuilt from the packs";
  }

 private:
  // Tries twice: a fault that comes once keeps nobody out for long.
  bool Open() {
    absl::StatusOr<std::unique_ptr<Archive>> opened = OpenIn(env_);
    if (!opened.ok()) {
      EXPECT_TRUE(env_.struck()) << opened.status();
      CheckSaysWhy(opened.status(), fault_.error);
      opened = OpenIn(env_);
      EXPECT_TRUE(opened.ok() || fault_.lasting) << opened.status();
    }
    if (!opened.ok()) return false;
    archive_ = *std::move(opened);
    // What was refused shows from now on, or never.
    if (refused_ && model_.Difference(*archive_, false) != "") model_.Perform(*refused_);
    refused_.reset();
    return true;
  }

  const Fault fault_;
  FaultEnv env_;
  Model model_;  // what was acknowledged
  std::optional<Operation> refused_;
  std::unique_ptr<Archive> archive_;
};

constexpr int kShards = 8;

class FaultSweepTest : public ::testing::TestWithParam<int> {
 protected:
  static void Sweep(int error, bool lasting) {
    uint64_t nth = 1 + GetParam();
    for (;; nth += kShards) {
      SCOPED_TRACE(
          absl::StrCat("call ", nth, lasting ? " and all after it" : "", ", errno ", error));
      FaultyRun run({.nth = nth, .lasting = lasting, .error = error});
      if (!run.Go()) break;
      run.CheckComesBack();
      if (HasFailure()) return;
    }
    EXPECT_GT(nth, 100u);
  }
};

TEST_P(FaultSweepTest, SurvivesAnIoErrorOfAnyCall) { Sweep(EIO, false); }
TEST_P(FaultSweepTest, SurvivesADiskThatDies) { Sweep(EIO, true); }
TEST_P(FaultSweepTest, SurvivesAMomentWithoutSpace) { Sweep(ENOSPC, false); }
TEST_P(FaultSweepTest, SurvivesADiskThatIsFull) { Sweep(ENOSPC, true); }

INSTANTIATE_TEST_SUITE_P(Shards, FaultSweepTest, ::testing::Range(0, kShards));

// An archive that has been through the workload, closed.
class AfterWorkloadTest : public ::testing::Test {
 protected:
  AfterWorkloadTest() {
    Open();
    for (const Operation& operation : Workload(/*large=*/false)) Do(operation);
    archive_.reset();
  }
  ~AfterWorkloadTest() override { archive_.reset(); }

  void Open(uint64_t pack_size = 50'000) {
    archive_.reset();
    absl::StatusOr<std::unique_ptr<Archive>> opened = OpenIn(env_, pack_size);
    ASSERT_TRUE(opened.ok()) << opened.status();
    archive_ = *std::move(opened);
  }
  void Do(const Operation& operation) {
    ASSERT_EQ(Perform(*archive_, operation), model_.Perform(operation)) << Describe(operation);
  }
  // Opens it with an index of which not everything is in LevelDB's cache.
  void OpenWithTables() {
    for (int i = 0; i < 200; ++i) Do(PutCall{{.name = absl::StrCat("many/", i)}, ""});
    Open();
  }
  // Files of the index, by the end of their names.
  std::vector<std::string> IndexFiles(std::string_view end) {
    std::vector<std::string> paths;
    const std::vector<std::string> names = *env_.List(kIndexDirectory);
    for (const std::string& name : names) {
      if (name.ends_with(end)) paths.push_back(absl::StrCat(kIndexDirectory, "/", name));
    }
    return paths;
  }

  FaultEnv env_;
  Model model_;
  std::unique_ptr<Archive> archive_;
};

TEST_F(AfterWorkloadTest, IsRefusedOrRightWhicheverCallOfAReplayFails) {
  RemoveFiles(env_, kIndexDirectory);
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(absl::StrCat("call ", nth));
    const std::unique_ptr<FaultEnv> env = env_.Clone();
    env->Set({.nth = nth});
    absl::StatusOr<std::unique_ptr<Archive>> opened = OpenIn(*env);
    const bool struck = env->struck();
    if (!opened.ok()) {
      CheckSaysWhy(opened.status(), EIO);
      opened = OpenIn(*env);
    }
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_EQ(model_.Difference(**opened, false), "");
    if (!struck) break;
    ASSERT_LT(nth, 10'000u);
  }
}

TEST_F(AfterWorkloadTest, FailsReadsOfADamagedTableAndRebuildsTheIndexAtTheNextStart) {
  ASSERT_NO_FATAL_FAILURE(Open());
  ASSERT_NO_FATAL_FAILURE(OpenWithTables());
  for (const std::string& name : IndexFiles(".ldb")) {
    std::string table = ReadFile(env_, name);
    for (char& c : table) c ^= 1;
    WriteFile(env_, name, table);
  }
  const absl::Status status = archive_->Stat("default", "many/50", 0).status();
  EXPECT_EQ(ReasonName(status), "STORE_FAILED");
  EXPECT_TRUE(absl::StrContains(status.message(), "the index failed: Corruption")) << status;
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(model_.Difference(*archive_, true), "");
}

TEST_F(AfterWorkloadTest, FailsReadsOfATableOnABadSectorAndRebuildsTheIndexAtTheNextStart) {
  ASSERT_NO_FATAL_FAILURE(Open());
  ASSERT_NO_FATAL_FAILURE(OpenWithTables());
  env_.Set({.call = Call::kRead, .lasting = true});
  const absl::Status status = archive_->Stat("default", "many/50", 0).status();
  EXPECT_EQ(ReasonName(status), "STORE_FAILED");
  EXPECT_TRUE(absl::StrContains(status.message(), "Input/output error")) << status;
  env_.ClearFault();
  EXPECT_TRUE(IndexFiles("CURRENT").empty());
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(model_.Difference(*archive_, true), "");
}

TEST_F(AfterWorkloadTest, RebuildsAnIndexWhoseLogIsDamaged) {
  ASSERT_EQ(IndexFiles(".log").size(), 1u);
  const std::string path = IndexFiles(".log")[0];
  std::string log = ReadFile(env_, path);
  ASSERT_GT(log.size(), 100u);
  log[50] ^= 1;
  WriteFile(env_, path, log);
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(model_.Difference(*archive_, false), "");
}

// LevelDB takes zeros in its log for space that was not used, and goes on with the next block.
TEST_F(AfterWorkloadTest, FindsAgainWhatAPowerCutTookOutOfTheMiddleOfTheIndexsLog) {
  constexpr uint64_t kBlock = 32768;  // leveldb/doc/log_format.md
  ASSERT_NO_FATAL_FAILURE(Open(1 << 20));
  const std::string log = IndexFiles(".log")[0];
  const auto size = [&] { return ReadFile(env_, log).size(); };
  const auto left = [&] { return kBlock - size() % kBlock; };
  int names = 0;
  // A name is in two keys.
  const auto put = [&](size_t length) {
    const std::string number = absl::StrCat(++names);
    Do(PutCall{{.name = std::string(length - number.size(), 'n') + number}, ""});
  };
  put(200);
  const uint64_t lost = size();
  put(200);
  const uint64_t step = size() - lost;
  while (left() > step + 1000) put(200);
  put(200 + (left() - step) / 2 - 2);
  ASSERT_LE(left(), 6u) << "the next entry begins a block";
  put(200);
  env_.PowerCut(Survival::kEverything);
  archive_.reset();
  env_.Restart();
  std::string bytes = ReadFile(env_, log);
  bytes.replace(lost, step, step, '\0');
  WriteFile(env_, log, bytes);
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(model_.Difference(*archive_, false), "");
}

TEST_F(AfterWorkloadTest, RebuildsAnIndexWithoutTheFileThatNamesTheOthers) {
  ASSERT_TRUE(env_.Remove(absl::StrCat(kIndexDirectory, "/CURRENT")).ok());
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(model_.Difference(*archive_, false), "");
}

TEST_F(AfterWorkloadTest, TakesDamageOfTheLastCommitForRotIfTheIndexSawIt) {
  ASSERT_NO_FATAL_FAILURE(Open(1 << 20));
  const std::string noise = Noise(1000, 10);
  Do(PutCall{{.name = "z"}, noise});
  env_.Kill();  // no barrier says that it was durable
  archive_.reset();
  env_.Restart();
  const std::vector<std::string> packs = *env_.List("/data/packs");
  const std::string path = absl::StrCat("/data/packs/", packs.back());
  std::string pack = ReadFile(env_, path);
  const size_t at = pack.find(noise);
  ASSERT_NE(at, std::string::npos);
  pack[at] ^= 1;
  WriteFile(env_, path, pack);
  for (bool rebuild : {false, true}) {
    if (rebuild) RemoveFiles(env_, kIndexDirectory);
    ASSERT_NO_FATAL_FAILURE(Open());
    EXPECT_EQ(model_.Difference(*archive_, false), "");
    EXPECT_EQ(ReasonName(Get(*archive_, "z").status()), "DATA_DAMAGED");
    archive_.reset();
  }
}

TEST_F(AfterWorkloadTest, StillDeletesAndOpensOnAFullDisk) {
  ASSERT_NO_FATAL_FAILURE(Open());
  constexpr uint64_t kLeft = 15 << 20;  // bytes, of the 16 MiB that are held back
  env_.set_disk_size(env_.used() + kLeft);
  for (uint64_t round = 0; round < 3; ++round) {
    ASSERT_EQ(Perform(*archive_, PutCall{{.name = "more"}, "x"}).reason, "DISK_FULL");
    Do(DeleteSpec{.name = "d"});
    Do(DeleteSpec{.name = "d", .version = 1 + round});
    env_.set_disk_size(UINT64_MAX);
    Do(PutCall{{.name = "d"}, absl::StrCat("again ", round)});
    env_.set_disk_size(env_.used() + kLeft);
    ASSERT_NO_FATAL_FAILURE(Open());
  }
  EXPECT_EQ(model_.Difference(*archive_, false), "");
}

}  // namespace
}  // namespace vxa::testing
