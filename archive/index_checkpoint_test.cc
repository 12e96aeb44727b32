// What is left of an index after a crash.
#include "archive/index.h"

#include <condition_variable>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/fault_env.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

constexpr char kPath[] = "/index";

class IndexCheckpointTest : public ::testing::Test {
 protected:
  IndexCheckpointTest() { Open(); }

  void Open() {
    index_.reset();
    absl::StatusOr<std::unique_ptr<Index>> opened = Index::Open(env_, kPath);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(env_.SyncDirectory("/").ok());
    index_ = *std::move(opened);
  }
  // Adds version `number`, of so many bytes, and moves the watermark behind it.
  absl::Status TryToAdd(uint64_t number, size_t bytes = 100) {
    IndexTransaction transaction(*index_);
    IndexVersion version;
    version.set_request_id(Noise(bytes, number));
    transaction.SetVersion("ns", "name", number, version);
    transaction.SetWatermark({.pack = 1, .offset = number, .next_sequence = number});
    return transaction.Write();
  }
  void Add(uint64_t number, size_t bytes = 100) { ASSERT_TRUE(TryToAdd(number, bytes).ok()); }
  // The number that an index says it has everything up to, for good.
  static uint64_t Checked(const Index& index) {
    const Position position = *index.Checkpointed();
    for (uint64_t number = 1; number <= position.offset; ++number) {
      EXPECT_TRUE((*index.Version("ns", "name", number)).has_value()) << "without " << number;
    }
    return position.offset;
  }

  FaultEnv env_;
  std::unique_ptr<Index> index_;
};

TEST_F(IndexCheckpointTest, KeepsACheckpointWhateverAPowerCutTakes) {
  for (int number = 1; number <= 20; ++number) Add(number);
  ASSERT_TRUE(index_->Checkpoint().ok());
  for (int number = 21; number <= 400; ++number) Add(number);
  const std::unique_ptr<FaultEnv> dropped = env_.Clone();
  dropped->PowerCut(Survival::kNothing);
  dropped->Restart();
  absl::StatusOr<std::unique_ptr<Index>> index = Index::Open(*dropped, kPath);
  ASSERT_TRUE(index.ok()) << index.status();
  // The note that it is durable may be gone; what it notes isn't.
  EXPECT_TRUE((*(*index)->Version("ns", "name", 20)).has_value());
  EXPECT_EQ(Checked(**index), 1u) << "the first transaction has a checkpoint, too";
  for (int seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    const std::unique_ptr<FaultEnv> torn = env_.Clone();
    torn->PowerCut(Survival::kSome, seed);
    torn->Restart();
    absl::StatusOr<std::unique_ptr<Index>> left = Index::Open(*torn, kPath);
    ASSERT_TRUE(left.ok() || absl::IsDataLoss(left.status())) << left.status();
    if (left.ok()) Checked(**left);
  }
}

// LevelDB's second log may be synced while its first one was never.
TEST_F(IndexCheckpointTest, HasAllLogsOfACheckpoint) {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = true;
  env_.set_observer([&](Call call, const std::string& path) {
    if (call != Call::kCreate || !path.ends_with(".ldb")) return;
    std::unique_lock lock(mutex);  // the first log stays the only place of what is in it
    changed.wait(lock, [&] { return !held; });
  });
  for (int number = 1; number <= 60; ++number) Add(number, 100'000);  // a log has 4 MiB
  ASSERT_TRUE(index_->Checkpoint().ok());
  ASSERT_TRUE(env_.SyncDirectory(kPath).ok());
  const std::unique_ptr<FaultEnv> clones[] = {env_.Clone(), env_.Clone()};
  {
    std::lock_guard lock(mutex);
    held = false;
  }
  changed.notify_all();
  clones[0]->PowerCut(Survival::kNothing);
  clones[1]->PowerCut(Survival::kEverything);
  for (const std::unique_ptr<FaultEnv>& clone : clones) clone->Restart();
  EXPECT_TRUE((*(*Index::Open(*clones[0], kPath))->Version("ns", "name", 30)).has_value());
  EXPECT_EQ(Checked(**Index::Open(*clones[1], kPath)), 60u);
  index_.reset();
}

TEST_F(IndexCheckpointTest, KeepsTablesThroughAPowerCutWithTheirNames) {
  // Two times what LevelDB has in memory: the first is in a table before the second is full.
  for (int number = 1; number <= 100; ++number) Add(number, 100'000);
  index_.reset();
  env_.PowerCut(Survival::kNothing);
  env_.Restart();
  ASSERT_NO_FATAL_FAILURE(Open());
  for (int number : {1, 40}) EXPECT_TRUE((*index_->Version("ns", "name", number)).has_value());
}

TEST_F(IndexCheckpointTest, WritesNothingBehindAGapInItsLog) {
  Add(1);
  env_.Set({.call = Call::kWrite});
  EXPECT_FALSE(TryToAdd(2).ok());
  EXPECT_FALSE(TryToAdd(3).ok()) << "the fault is gone, the gap is not";
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ((*index_->Watermark()).offset, 1u);
  Add(2);
}

TEST_F(IndexCheckpointTest, IsTakenAwayInOneStep) {
  for (int number = 1; number <= 20; ++number) Add(number);
  ASSERT_NO_FATAL_FAILURE(Open());  // a table, too
  index_.reset();
  env_.PowerCut(Survival::kEverything);
  env_.Restart();
  const std::vector<std::string> all = *env_.List(kPath);
  std::vector<std::unique_ptr<FaultEnv>> images;
  env_.set_observer([&](Call, const std::string&) { images.push_back(env_.Clone()); });
  ASSERT_TRUE(Index::Destroy(env_, kPath).ok());
  env_.set_observer(nullptr);
  images.push_back(env_.Clone());
  EXPECT_GE(images.size(), all.size());
  for (const std::unique_ptr<FaultEnv>& image : images) {
    for (int seed = 0; seed < 20; ++seed) {
      const std::unique_ptr<FaultEnv> left = image->Clone();
      left->PowerCut(Survival::kSome, seed);
      left->Restart();
      const std::vector<std::string> names = *left->List(kPath);
      const bool there = std::ranges::count(names, "CURRENT") != 0;
      ASSERT_TRUE(!there || names == all) << "CURRENT without some of what it needs";
    }
  }
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ((*index_->Watermark()).offset, 0u);
}

}  // namespace
}  // namespace vxa::testing
