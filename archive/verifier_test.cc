// What a verification does while others go on. What it finds is tested over the API
// (tests/verify_api_test.py).
#include <functional>
#include <string>
#include <vector>

#include "archive/archive.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

// Remembers the names that come, and does something after each.
class Remembering : public VerifySink {
 public:
  explicit Remembering(std::function<void()> after = [] {}) : after_(std::move(after)) {}

  absl::Status Progress(const std::string& /*name*/, uint64_t /*version*/,
                        uint64_t /*bytes*/) override {
    return absl::OkStatus();
  }
  absl::Status Verified(const VerifiedVersion& version) override {
    EXPECT_TRUE(version.status.ok()) << version.status;
    names.push_back(version.name);
    after_();
    return absl::OkStatus();
  }

  std::vector<std::string> names;

 private:
  const std::function<void()> after_;
};

class VerifierTest : public ArchiveFixture {
 protected:
  VerifierTest() { Open(); }
};

TEST_F(VerifierTest, PassesOverVersionsThatAreRemovedMeanwhile) {
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(Put(*archive_, name, name).ok());
  Remembering sink([&] { archive_->Delete({.name = "b", .version = 1}).IgnoreError(); });
  absl::StatusOr<VerifySummary> summary = archive_->Verify({}, sink, {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(sink.names, (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(summary->objects, 2u);
}

TEST_F(VerifierTest, StopsForACallerThatIsGoneEvenIfThereIsNothingToRead) {
  EXPECT_TRUE(Put(*archive_, "a", "").ok());
  Remembering sink;
  absl::Status status = archive_->Verify({}, sink, {.cancelled = [] { return true; }}).status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(sink.names, std::vector<std::string>());
}

TEST_F(VerifierTest, RecordsWhatWasDoneWhenTheCallerGoes) {
  for (const char* name : {"a", "b"}) EXPECT_TRUE(Put(*archive_, name, "bytes").ok());
  bool gone = false;
  Remembering sink([&] { gone = true; });
  absl::Status status =
      archive_->Verify({}, sink, {.cancelled = [&] { return gone; }, .agent = "me"}).status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(archive_->Stat("default", "a", 0)->verification->agent, "me");
  EXPECT_FALSE(archive_->Stat("default", "b", 0)->verification.has_value());
}

}  // namespace
}  // namespace vxa::testing
