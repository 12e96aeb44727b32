#include "archive/commit_log.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "archive/errors.h"
#include "archive/replay.h"
#include "gtest/gtest.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {
namespace {

// Adds a delete marker to a name, whatever it has: the smallest change there is.
class Mark : public Change {
 public:
  explicit Mark(std::string name, size_t request_size = 0)
      : name_(std::move(name)), request_(request_size, 'r') {}

  absl::StatusOr<std::optional<NewRecord>> Prepare(const IndexView& state) override {
    absl::StatusOr<IndexHead> head = state.Head("default", name_);
    if (!head.ok()) return head.status();
    version = head->highest_version() + 1;
    archive::v1::Update update;
    update.set_namespace_("default");
    update.set_name(name_);
    update.set_delete_marker(version);
    update.set_request_id(request_);
    payload_ = update.SerializeAsString();
    return NewRecord{.type = RecordType::kUpdate, .pieces = {payload_}};
  }

  uint64_t version = 0;

 private:
  const std::string name_;
  const std::string request_;
  std::string payload_;
};

// Decides as it is told.
class Decide : public Change {
 public:
  using Decision = std::function<absl::StatusOr<std::optional<NewRecord>>()>;
  explicit Decide(Decision decision) : decision_(std::move(decision)) {}
  absl::StatusOr<std::optional<NewRecord>> Prepare(const IndexView&) override {
    return decision_();
  }

 private:
  const Decision decision_;
};

class CommitLogTest : public ::testing::Test {
 protected:
  CommitLogTest() {
    std::string path = ::testing::TempDir() + "/commits-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) abort();
    directory_ = path;
    std::filesystem::create_directory(directory_ + "/packs");
    writer_ = std::make_unique<PackWriter>(Env::Real(), directory_ + "/packs", uint64_t{1} << 30,
                                           PackWriter::Start{});
    index_ = *Index::Open(Env::Real(), directory_ + "/index");
    log_ = std::make_unique<CommitLog>(*writer_, *index_);
  }
  ~CommitLogTest() override { std::filesystem::remove_all(directory_); }

  // Commits all of them as one group, in this order.
  std::vector<absl::Status> CommitTogether(const std::vector<Change*>& changes) {
    std::promise<void> entered, released;
    Decide gate([&]() -> absl::StatusOr<std::optional<NewRecord>> {
      entered.set_value();
      released.get_future().wait();
      return std::nullopt;
    });
    std::thread leader([&] { EXPECT_TRUE(log_->Commit(gate).ok()); });
    entered.get_future().wait();
    std::vector<absl::Status> results(changes.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < changes.size(); ++i) {
      threads.emplace_back([&, i] { results[i] = log_->Commit(*changes[i]); });
      while (log_->Waiting() < i + 2) std::this_thread::yield();
    }
    released.set_value();
    leader.join();
    for (std::thread& thread : threads) thread.join();
    return results;
  }

  static uint64_t Highest(const Index& index, const std::string& name) {
    return index.Head("default", name)->highest_version();
  }
  // The same from the packs alone.
  uint64_t HighestInPacks(const std::string& name) {
    std::unique_ptr<Index> rebuilt = *Index::Open(Env::Real(), directory_ + "/rebuilt");
    PackFiles packs(Env::Real(), directory_ + "/packs");
    EXPECT_TRUE(Replay(Env::Real(), packs, *rebuilt).ok());
    return Highest(*rebuilt, name);
  }

  std::string directory_;
  std::unique_ptr<PackWriter> writer_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<CommitLog> log_;
};

TEST_F(CommitLogTest, LetsEachChangeOfAGroupSeeThoseThatCameBeforeIt) {
  std::vector<Mark> marks(5, Mark("a"));
  std::vector<Change*> group;
  for (Mark& mark : marks) group.push_back(&mark);
  for (const absl::Status& status : CommitTogether(group)) EXPECT_TRUE(status.ok()) << status;
  for (size_t i = 0; i < marks.size(); ++i) EXPECT_EQ(marks[i].version, i + 1);
  EXPECT_EQ(Highest(*index_, "a"), 5u);
  EXPECT_EQ(HighestInPacks("a"), 5u);
}

TEST_F(CommitLogTest, CommitsTheRestOfAGroupOneOfWhichIsRefused) {
  Mark first("a"), last("a");
  Decide refused([] { return absl::AlreadyExistsError("refused"); });
  Decide unneeded([] { return std::optional<NewRecord>(); });
  const std::vector<absl::Status> results = CommitTogether({&first, &refused, &unneeded, &last});
  EXPECT_TRUE(results[0].ok() && results[2].ok() && results[3].ok());
  EXPECT_TRUE(absl::IsAlreadyExists(results[1])) << results[1];
  EXPECT_EQ(Highest(*index_, "a"), 2u);
  EXPECT_EQ(last.version, 2u);
}

TEST_F(CommitLogTest, AcknowledgesNothingThatALaterWriteOfItsGroupTookAlong) {
  Mark durable("a"), lost("a"), too_large("b", 1 << 20), unneeded_by("c");
  // The pack is larger by far than any other file gets here.
  const std::string bytes(4 << 20, 'x');
  ASSERT_TRUE(writer_->Append({.type = RecordType::kBlob, .pieces = {bytes}}).ok());
  ASSERT_TRUE(log_->Commit(durable).ok());
  // From here on the system refuses to let a file grow much.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = std::filesystem::file_size(directory_ + "/packs/00000001.vxp") + (1 << 16);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  Decide unneeded([] { return std::optional<NewRecord>(); });
  const std::vector<absl::Status> results =
      CommitTogether({&lost, &too_large, &unneeded_by, &unneeded});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

  for (const absl::Status& status : results) EXPECT_EQ(ReasonName(status), "STORE_FAILED");
  for (const auto& [name, version] : {std::pair("a", 1u), {"b", 0u}, {"c", 1u}}) {
    EXPECT_EQ(Highest(*index_, name), version) << name;
    EXPECT_EQ(HighestInPacks(name), version) << name;
  }
  Mark next("a");
  EXPECT_TRUE(log_->Commit(next).ok());
  EXPECT_EQ(HighestInPacks("a"), 2u);
}

}  // namespace
}  // namespace vxa
