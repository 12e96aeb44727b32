// Verification: what can't be reproduced is found, told and recorded.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/errors.h"
#include "archive/testing/archive_fixture.h"

namespace vxa::testing {
namespace {

class Results : public VerifySink {
 public:
  absl::Status Progress(const std::string&, uint64_t, uint64_t) override {
    ++progress;
    return absl::OkStatus();
  }
  absl::Status Verified(const VerifiedVersion& version) override {
    reasons[absl::StrCat(version.name, "@", version.version)] =
        version.status.ok() ? "ok" : ReasonName(version.status);
    after();
    return reasons.size() == stop_after ? absl::CancelledError("enough") : absl::OkStatus();
  }

  std::map<std::string, std::string> reasons;
  int progress = 0;
  size_t stop_after = SIZE_MAX;
  std::function<void()> after = [] {};  // each version
};

using Reasons = std::map<std::string, std::string>;

class VerifierTest : public ArchiveFixture {
 protected:
  VerifierTest() { Open(); }

  Reasons Verify(const VerifySpec& spec = {}) {
    Results results;
    absl::StatusOr<VerifySummary> summary = archive_->Verify(spec, results, {.agent = "tester"});
    EXPECT_TRUE(summary.ok()) << summary.status();
    if (summary.ok()) summary_ = *summary;
    return results.reasons;
  }

  // Changes one byte of the first pack, where `bytes` lie.
  void Damage(std::string_view bytes) {
    std::string pack = ReadFile(Pack());
    const size_t at = pack.find(bytes);
    ASSERT_NE(at, std::string::npos);
    std::fstream file(Pack(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(pack[at] ^ 1));
  }

  std::optional<Verification> LastOf(const std::string& name) {
    absl::StatusOr<ObjectInfo> object = archive_->Stat("default", name, 0);
    EXPECT_TRUE(object.ok()) << object.status();
    return object->verification;
  }

  VerifySummary summary_;
};

TEST_F(VerifierTest, ReproducesAllAndRecordsIt) {
  ASSERT_TRUE(Put(*archive_, "a", "one").ok());
  ASSERT_TRUE(Put(*archive_, "a", "two").ok());
  ASSERT_TRUE(Put(*archive_, "b.gz", Gzip(Text(50'000, 1))).ok());
  ASSERT_TRUE(Put(*archive_, "gone", "x").ok());
  ASSERT_TRUE(archive_->Delete({.name = "gone"}).ok());
  EXPECT_FALSE(LastOf("a"));

  EXPECT_EQ(Verify(), (Reasons{{"a@2", "ok"}, {"b.gz@1", "ok"}}));
  EXPECT_EQ(summary_.objects, 2u);
  EXPECT_EQ(summary_.bytes, 3 + Gzip(Text(50'000, 1)).size() + 50'000);  // with the view
  EXPECT_EQ(Verify({.versions = true}),
            (Reasons{{"a@1", "ok"}, {"a@2", "ok"}, {"b.gz@1", "ok"}, {"gone@1", "ok"}}));
  for (int i = 0; i < 2; ++i) {
    std::optional<Verification> last = LastOf("b.gz");
    ASSERT_TRUE(last);
    EXPECT_TRUE(last->reproduced);
    EXPECT_EQ(last->agent, "tester");
    Close();
    std::filesystem::remove_all(directory_ / "index");
    Open();
  }
}

TEST_F(VerifierTest, VerifiesTheNamesOrThePrefixAskedFor) {
  for (const char* name : {"a", "a/b", "ab", "b"}) ASSERT_TRUE(Put(*archive_, name, name).ok());
  EXPECT_EQ(Verify({.names = {"a", "b"}}), (Reasons{{"a@1", "ok"}, {"b@1", "ok"}}));
  EXPECT_EQ(Verify({.prefix = "a"}), (Reasons{{"a@1", "ok"}, {"a/b@1", "ok"}, {"ab@1", "ok"}}));
  EXPECT_EQ(Verify({.names = {"no", "b"}}), (Reasons{{"no@0", "OBJECT_NOT_FOUND"}, {"b@1", "ok"}}));
  EXPECT_EQ(summary_.objects, 1u);
}

TEST_F(VerifierTest, TellsAndRecordsDamage) {
  const std::string hurt = Noise(5'000'000, 1);
  ASSERT_TRUE(Put(*archive_, "hurt", hurt).ok());
  ASSERT_TRUE(Put(*archive_, "sound", Noise(1000, 2)).ok());
  Damage(hurt.substr(4'500'000, 50));
  EXPECT_EQ(Verify(), (Reasons{{"hurt@1", "DATA_DAMAGED"}, {"sound@1", "ok"}}));
  EXPECT_EQ(summary_.damaged, 1u);
  std::optional<Verification> last = LastOf("hurt");
  ASSERT_TRUE(last);
  EXPECT_FALSE(last->reproduced);
  EXPECT_NE(last->detail.find("chunk at offset 4194304"), std::string::npos) << last->detail;
  EXPECT_NE(last->detail.find("00000001.vxp"), std::string::npos) << last->detail;
}

TEST_F(VerifierTest, RecordsWhatIsDoneWhenTheCallerHasEnough) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Put(*archive_, name, name).ok());
  Results results;
  results.stop_after = 2;
  EXPECT_TRUE(absl::IsCancelled(archive_->Verify({}, results, {}).status()));
  EXPECT_TRUE(LastOf("a"));
  EXPECT_TRUE(LastOf("b"));
  EXPECT_FALSE(LastOf("c"));
}

TEST_F(VerifierTest, TellsHowFarItIsInLargeObjects) {
  ASSERT_TRUE(
      Put(*archive_, {.name = "large", .codec = "store"}, std::string(200 << 20, 'x')).ok());
  Results results;
  ASSERT_TRUE(archive_->Verify({}, results, {}).ok());
  EXPECT_EQ(results.progress, 3);
}

TEST_F(VerifierTest, ForgetsTheVerificationOfARemovedVersion) {
  ASSERT_TRUE(Put(*archive_, "a", "one").ok());
  Verify();
  ASSERT_TRUE(archive_->Delete({.name = "a", .version = 1}).ok());
  ASSERT_TRUE(Put(*archive_, "a", "one").ok());
  EXPECT_FALSE(LastOf("a"));
}

TEST_F(VerifierTest, PassesOverVersionsThatAreRemovedMeanwhile) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Put(*archive_, name, name).ok());
  Results results;
  results.after = [&] { archive_->Delete({.name = "b", .version = 1}).IgnoreError(); };
  absl::StatusOr<VerifySummary> summary = archive_->Verify({}, results, {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(results.reasons, (Reasons{{"a@1", "ok"}, {"c@1", "ok"}}));
  EXPECT_EQ(summary->objects, 2u);
}

TEST_F(VerifierTest, StopsForACallerThatIsGoneEvenIfThereIsNothingToRead) {
  ASSERT_TRUE(Put(*archive_, "a", "").ok());
  Results results;
  absl::Status status = archive_->Verify({}, results, {.cancelled = [] { return true; }}).status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(results.reasons.empty());
}

}  // namespace
}  // namespace vxa::testing
