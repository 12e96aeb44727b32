#include "archive/testing/fault_env.h"

#include <set>
#include <string>

#include "archive/errors.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

absl::Status Append(File& file, std::string_view bytes) {
  return file.Write(file.Size().value_or(0), {{bytes}});
}

class FaultEnvTest : public ::testing::Test {
 protected:
  std::unique_ptr<File> MustCreate(const std::string& path) {
    absl::StatusOr<std::unique_ptr<File>> file = env_.Create(path);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  std::vector<std::string> Names() { return *env_.List("/"); }
  using List = std::vector<std::string>;

  FaultEnv env_;
};

TEST_F(FaultEnvTest, ReadsWhatWasWritten) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(file->Write(2, {{"cd", "ef"}}).ok());
  EXPECT_EQ(ReadFile(env_, "/a"), std::string("\0\0cdef", 6));
  char buffer[3];
  EXPECT_TRUE(absl::IsOutOfRange(file->Read(4, buffer)));
  EXPECT_TRUE(absl::IsNotFound(env_.OpenForReading("/b").status()));
  EXPECT_TRUE(absl::IsNotFound(env_.OpenForReading("/b/c").status()));
}

TEST_F(FaultEnvTest, FollowsPathsThroughDirectoriesAndBack) {
  ASSERT_TRUE(env_.MakeDirectory("/d").ok());
  ASSERT_TRUE(env_.MakeDirectory("/d").ok());
  MustCreate("/d/../d/x");
  EXPECT_EQ(*env_.List("/d"), List{"x"});
  EXPECT_EQ(ReasonName(env_.Remove("/d")), "STORE_FAILED") << "not empty";
  ASSERT_TRUE(env_.Rename("/d/x", "/d/y").ok());
  ASSERT_TRUE(env_.Remove("/d/y").ok());
  ASSERT_TRUE(env_.Remove("/d").ok());
  EXPECT_EQ(Names(), List{});
}

TEST_F(FaultEnvTest, KeepsThroughAPowerCutWhatWasSyncedWithItsName) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "synced").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(env_.SyncDirectory("/").ok());
  ASSERT_TRUE(Append(*file, " not").ok());
  env_.PowerCut(Survival::kNothing);
  env_.Restart();
  EXPECT_EQ(ReadFile(env_, "/a"), "synced");
}

TEST_F(FaultEnvTest, LosesASyncedFileWhoseNameWasNot) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "x").ok());
  ASSERT_TRUE(file->Sync().ok());
  env_.PowerCut(Survival::kNothing);
  env_.Restart();
  EXPECT_EQ(Names(), List{});
}

TEST_F(FaultEnvTest, LosesBytesOfANameThatLasted) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "x").ok());
  env_.PowerCut(Survival::kNames);
  env_.Restart();
  EXPECT_EQ(Names(), List{"a"});
  EXPECT_EQ(ReadFile(env_, "/a"), "");
}

TEST_F(FaultEnvTest, RenamesWhollyOrNotAtAll) {
  auto file = MustCreate("/old");
  ASSERT_TRUE(env_.SyncDirectory("/").ok());
  ASSERT_TRUE(env_.Rename("/old", "/new").ok());
  std::set<List> outcomes;
  for (int seed = 0; seed < 50; ++seed) {
    const std::unique_ptr<FaultEnv> clone = env_.Clone();
    clone->PowerCut(Survival::kSome, seed);
    clone->Restart();
    outcomes.insert(*clone->List("/"));
  }
  EXPECT_EQ(outcomes, (std::set<List>{{"old"}, {"new"}}));
}

TEST_F(FaultEnvTest, BringsBackANameWhoseRemovalWasNotSynced) {
  MustCreate("/a");
  ASSERT_TRUE(env_.SyncDirectory("/").ok());
  ASSERT_TRUE(env_.Remove("/a").ok());
  EXPECT_EQ(Names(), List{});
  env_.PowerCut(Survival::kNothing);
  env_.Restart();
  EXPECT_EQ(Names(), List{"a"});
}

TEST_F(FaultEnvTest, TearsUnsyncedWritesAtSectorsAndAtBytesAndKeepsTheirNeighbours) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, std::string(2048, 'o')).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(env_.SyncDirectory("/").ok());
  ASSERT_TRUE(file->Write(512, {{std::string(2048, 'n')}}).ok());
  bool sector = false, byte = false, later_alone = false, zeros = false;
  for (int seed = 0; seed < 200; ++seed) {
    const std::unique_ptr<FaultEnv> clone = env_.Clone();
    clone->PowerCut(Survival::kSome, seed);
    clone->Restart();
    const std::string left = ReadFile(*clone, "/a");
    ASSERT_GE(left.size(), 2048u);
    ASSERT_EQ(left.substr(0, 512), std::string(512, 'o'));
    for (size_t at = 512; at < left.size(); ++at) {
      const bool changes = left[at] != left[at - 1];
      sector |= changes && at % 512 == 0 && at > 512;
      byte |= changes && at % 512 != 0;
      later_alone |= changes && left[at] == 'n' && at > 512;
      zeros |= left[at] == '\0';
    }
  }
  EXPECT_TRUE(sector && byte && later_alone && zeros);
}

TEST_F(FaultEnvTest, ForgetsAfterAFailedSyncWhatItWasToWrite) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(env_.SyncDirectory("/").ok());
  ASSERT_TRUE(Append(*file, "lost ").ok());
  env_.Set({.call = Call::kSync});
  EXPECT_EQ(ReasonName(file->Sync()), "STORE_FAILED");
  ASSERT_TRUE(Append(*file, "kept").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(ReadFile(env_, "/a"), "lost kept");
  env_.PowerCut(Survival::kEverything);
  env_.Restart();
  EXPECT_EQ(ReadFile(env_, "/a"), std::string("\0\0\0\0\0kept", 9));
}

TEST_F(FaultEnvTest, FailsTheNthCallOfAKindOnceOrFromThenOn) {
  auto file = MustCreate("/a");
  for (bool lasting : {false, true}) {
    env_.Set({.call = Call::kWrite, .nth = 2, .lasting = lasting});
    EXPECT_TRUE(file->Write(0, {{"1234"}}).ok());
    EXPECT_FALSE(env_.struck());
    EXPECT_EQ(file->Write(0, {{"5678"}}).message(), "write /a: Input/output error");
    EXPECT_TRUE(env_.struck());
    EXPECT_EQ(ReadFile(env_, "/a"), "5634") << "half was written";
    EXPECT_EQ(file->Write(0, {{"x"}}).ok(), !lasting);
    EXPECT_TRUE(file->Sync().ok());
    env_.ClearFault();
    EXPECT_TRUE(file->Write(0, {{"x"}}).ok());
  }
}

TEST_F(FaultEnvTest, RunsOutOfSpaceOnlyWhereSpaceIsTaken) {
  auto file = MustCreate("/a");
  env_.Set({.lasting = true, .error = ENOSPC});
  EXPECT_TRUE(env_.List("/").ok());
  EXPECT_TRUE(env_.OpenForReading("/a").ok());
  EXPECT_EQ(ReasonName(Append(*file, "x")), "DISK_FULL");
  EXPECT_EQ(ReasonName(env_.Create("/b").status()), "DISK_FULL");
  EXPECT_TRUE(env_.Remove("/a").ok());
}

TEST_F(FaultEnvTest, HasADiskOfLimitedSize) {
  env_.set_disk_size(10);
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "123456").ok());
  EXPECT_EQ(*env_.FreeSpace("/"), 4u);
  EXPECT_EQ(ReasonName(Append(*file, "789abc")), "DISK_FULL");
  EXPECT_EQ(ReadFile(env_, "/a"), "123456789a") << "as much as there was space for";
  EXPECT_TRUE(file->Write(0, {{"x"}}).ok()) << "in place";
  ASSERT_TRUE(env_.Remove("/a").ok());
  EXPECT_EQ(*env_.FreeSpace("/"), 10u);
}

TEST_F(FaultEnvTest, FailsWhatWasOpenBeforeACrashAndFreesItsLocks) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "x").ok());
  auto lock = env_.Lock("/LOCK");
  EXPECT_TRUE(absl::IsFailedPrecondition(env_.Lock("/LOCK").status()));
  env_.Kill();
  EXPECT_FALSE(env_.Create("/b").ok());
  EXPECT_FALSE(env_.List("/").ok());
  EXPECT_FALSE(file->Sync().ok());
  env_.Restart();
  EXPECT_FALSE(Append(*file, "y").ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Size().ok());
  EXPECT_EQ(ReadFile(env_, "/a"), "x");
  auto again = env_.Lock("/LOCK");
  EXPECT_TRUE(again.ok());
  lock->reset();
  EXPECT_FALSE(env_.Lock("/LOCK").ok()) << "the dead one's end frees nothing";
}

TEST_F(FaultEnvTest, ClonesShareNothingThatChanges) {
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "1").ok());
  const std::unique_ptr<FaultEnv> clone = env_.Clone();
  ASSERT_TRUE(Append(*file, "2").ok());
  MustCreate("/b");
  EXPECT_EQ(ReadFile(*clone, "/a"), "1");
  EXPECT_EQ(*clone->List("/"), List{"a"});
  clone->PowerCut(Survival::kNothing);
  clone->Restart();
  EXPECT_EQ(ReadFile(env_, "/a"), "12");
}

TEST_F(FaultEnvTest, TellsAnObserverBeforeEachChange) {
  std::vector<std::string> told;
  env_.set_observer([&](Call, const std::string& path) { told.push_back(path); });
  auto file = MustCreate("/a");
  ASSERT_TRUE(Append(*file, "1").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(env_.Rename("/a", "/b").ok());
  ASSERT_TRUE(env_.SyncDirectory("/").ok());
  EXPECT_EQ(told, (List{"/a", "/a", "/a", "/a", "/"}));
}

}  // namespace
}  // namespace vxa::testing
