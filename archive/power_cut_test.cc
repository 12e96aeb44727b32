// Power cuts before every call that changes a file or a directory, while an archive goes through
// a workload: whatever of the unsynced is left then, all that was acknowledged is there, what was
// under way is there whole or not at all, and it all goes on from there.
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/fault_env.h"
#include "archive/testing/model.h"
#include "archive/testing/workload.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

// The state of the disk before a call, and the call.
struct Image {
  std::string when;
  std::unique_ptr<FaultEnv> env;
};

// Each shard checks its share of the images.
constexpr int kShards = 8;

class PowerCutTest : public ::testing::TestWithParam<int> {
 protected:
  PowerCutTest() {
    env_.set_observer([this](Call call, const std::string& path) { Observe(call, path); });
  }
  ~PowerCutTest() override { archive_.reset(); }

  void Observe(Call call, const std::string& path) {
    std::lock_guard lock(mutex_);
    if (++calls_ % kShards != GetParam()) return;
    images_.push_back(
        {absl::StrCat("call ", calls_, ", of kind ", static_cast<int>(call), ", on ", path),
         env_.Clone()});
  }

  void Reopen() {
    archive_.reset();
    absl::StatusOr<std::unique_ptr<Archive>> opened = OpenIn(env_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    archive_ = *std::move(opened);
  }

  // Cuts the power at all images taken since the last time, while `under_way` was.
  void CheckImages(const Model& before, const std::optional<Operation>& under_way) {
    std::vector<Image> images;
    {
      std::lock_guard lock(mutex_);
      images.swap(images_);
    }
    for (const Image& image : images) {
      SCOPED_TRACE(image.when);
      {
        SCOPED_TRACE("the program is killed");
        const std::unique_ptr<FaultEnv> env = image.env->Clone();
        CheckComesBack(*env, before, under_way);
      }
      constexpr Survival kSurvivals[] = {Survival::kNothing, Survival::kNames,
                                         Survival::kEverything, Survival::kSome, Survival::kSome};
      for (size_t i = 0; i < std::size(kSurvivals); ++i) {
        SCOPED_TRACE(absl::StrCat("survival ", static_cast<int>(kSurvivals[i]), ", seed ", i));
        const std::unique_ptr<FaultEnv> env = image.env->Clone();
        env->PowerCut(kSurvivals[i], i);
        env->Restart();
        CheckComesBack(*env, before, under_way);
      }
      if (HasFailure()) return;
    }
  }

  static void CheckComesBack(FaultEnv& env, const Model& before,
                             const std::optional<Operation>& under_way) {
    absl::StatusOr<std::unique_ptr<Archive>> archive = OpenIn(env);
    ASSERT_TRUE(archive.ok()) << archive.status();
    Model model = before;
    if (under_way) model.Perform(*under_way);
    const std::string difference = model.Difference(**archive, true);
    if (!difference.empty()) {
      model = before;
      ASSERT_EQ(model.Difference(**archive, true), "") << "nor is it done: " << difference;
    }
    // The client asks again, and the answer counts, even if the power fails now.
    if (under_way) {
      ASSERT_EQ(Perform(**archive, *under_way), model.Perform(*under_way));
    }
    env.PowerCut(Survival::kNothing);
    archive->reset();
    env.Restart();
    archive = OpenIn(env);
    ASSERT_TRUE(archive.ok()) << archive.status();
    ASSERT_EQ(model.Difference(**archive, true), "") << "after the second cut";
    // Life goes on, and needs no index.
    for (const Operation& operation :
         {Operation(PutCall{{.name = "a"}, "after"}), Operation(PutCall{{.name = "new"}, "new"}),
          Operation(DeleteSpec{.name = "new"})}) {
      ASSERT_EQ(Perform(**archive, operation), model.Perform(operation)) << Describe(operation);
    }
    archive->reset();
    RemoveFiles(env, kIndexDirectory);
    archive = OpenIn(env);
    ASSERT_TRUE(archive.ok()) << archive.status();
    ASSERT_EQ(model.Difference(**archive, false), "") << "rebuilt from the packs";
  }

  FaultEnv env_;
  std::unique_ptr<Archive> archive_;
  std::mutex mutex_;  // guards what follows
  int calls_ = 0;
  std::vector<Image> images_;
};

TEST_P(PowerCutTest, LosesNothingThatWasAcknowledgedAndShowsNothingByHalf) {
  Model model;
  Reopen();
  CheckImages(model, std::nullopt);
  int done = 0;
  for (const Operation& operation : Workload(/*large=*/true)) {
    SCOPED_TRACE(Describe(operation));
    if (++done % 8 == 0) {
      Reopen();
      CheckImages(model, std::nullopt);
    }
    const Model before = model;
    ASSERT_EQ(Perform(*archive_, operation), model.Perform(operation));
    CheckImages(before, operation);
    if (HasFailure()) return;
  }
  archive_.reset();
  CheckImages(model, std::nullopt);
  EXPECT_GT(calls_, 200);
}

INSTANTIATE_TEST_SUITE_P(Shards, PowerCutTest, ::testing::Range(0, kShards));

}  // namespace
}  // namespace vxa::testing
