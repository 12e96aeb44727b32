// What an archive does when the operating system fails it.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/archive_impl.h"
#include "archive/env.h"
#include "archive/errors.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

// The operating system, with faults that tests switch on.
struct Faults {
  std::atomic<int> failing_syncs = 0;  // so many syncs fail from now on
  std::atomic<bool> failing_writes = false;
  std::atomic<uint64_t> space = UINT64_MAX;  // bytes that can still be written to files
  std::atomic<int> syncs = 0;
};

class FaultyFile : public File {
 public:
  FaultyFile(std::unique_ptr<File> file, Faults& faults)
      : file_(std::move(file)), faults_(faults) {}

  absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
  absl::Status Read(uint64_t offset, std::span<char> buffer) const override {
    return file_->Read(offset, buffer);
  }
  absl::Status Write(uint64_t offset, std::span<const std::string_view> pieces) override {
    if (faults_.failing_writes) return Error(Reason::kStoreFailed, "write: EIO");
    uint64_t size = 0;
    for (std::string_view piece : pieces) size += piece.size();
    if (size > faults_.space) {  // half of it gets there
      std::string_view half = pieces[0].substr(0, pieces[0].size() / 2);
      absl::Status ignored = file_->Write(offset, {{half}});
      return Error(Reason::kDiskFull, "write: ENOSPC");
    }
    if (faults_.space != UINT64_MAX) faults_.space -= size;
    return file_->Write(offset, pieces);
  }
  absl::Status Sync() override {
    ++faults_.syncs;
    if (faults_.failing_syncs > 0) {
      --faults_.failing_syncs;
      return Error(Reason::kStoreFailed, "fdatasync: EIO");
    }
    return file_->Sync();
  }

 private:
  const std::unique_ptr<File> file_;
  Faults& faults_;
};

class FaultyEnv : public Env {
 public:
  using MaybeFile = absl::StatusOr<std::unique_ptr<File>>;
  MaybeFile OpenForReading(const std::string& path) override {
    return Env::Real().OpenForReading(path);
  }
  MaybeFile OpenForWriting(const std::string& path) override {
    return Wrap(Env::Real().OpenForWriting(path));
  }
  MaybeFile Create(const std::string& path) override { return Wrap(Env::Real().Create(path)); }
  absl::Status MakeDirectory(const std::string& path) override {
    return Env::Real().MakeDirectory(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return Env::Real().List(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return Env::Real().Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return Env::Real().Remove(path); }
  absl::Status SyncDirectory(const std::string& path) override {
    return Env::Real().SyncDirectory(path);
  }
  absl::StatusOr<uint64_t> FreeSpace(const std::string& path) override {
    if (faults.space != UINT64_MAX) return faults.space.load();
    return Env::Real().FreeSpace(path);
  }
  absl::StatusOr<std::unique_ptr<Held>> Lock(const std::string& path) override {
    return Env::Real().Lock(path);
  }

  Faults faults;

 private:
  MaybeFile Wrap(MaybeFile file) {
    if (!file.ok()) return file;
    return std::make_unique<FaultyFile>(*std::move(file), faults);
  }
};

// Real workers whose results can be spoilt on their way.
class FaultyService : public vx::DecodeService {
 public:
  absl::StatusOr<vx::DecodeResult> Decode(const vx::DecodeRequest& request, vx::ByteSource& source,
                                          vx::ByteSink& sink) override {
    if (!status.ok()) return status;
    struct Flipping : vx::ByteSink {
      explicit Flipping(vx::ByteSink& s) : sink(s) {}
      absl::Status Append(std::string_view bytes) override {
        std::string changed(bytes);
        changed.back() ^= 1;
        return sink.Append(changed);
      }
      vx::ByteSink& sink;
    } flipping(sink);
    return Workers().Decode(request, source, flip ? static_cast<vx::ByteSink&>(flipping) : sink);
  }

  bool flip = false;
  absl::Status status;
};

class FaultsTest : public ArchiveFixture {
 protected:
  FaultsTest() {
    decoder_ = &service_;
    Reopen();
  }
  ~FaultsTest() override { Close(); }

  void Reopen() {
    Close();
    absl::StatusOr<std::unique_ptr<Archive>> opened = OpenArchive(env_, Options());
    ASSERT_TRUE(opened.ok()) << opened.status();
    archive_ = *std::move(opened);
  }
  std::string Outcome(const std::string& name, std::string_view bytes) {
    absl::StatusOr<PutResult> put = Put(*archive_, name, bytes);
    return put.ok() ? absl::StrCat(put->object.version) : ReasonName(put.status());
  }
  std::vector<std::string> Versions() { return Names(*archive_, {.versions = true}); }

  FaultyEnv env_;
  FaultyService service_;
};

TEST_F(FaultsTest, AcknowledgesNothingOfAGroupWhoseSyncFailsAndGoesOnInANewPack) {
  EXPECT_EQ(Outcome("a", "one"), "1");
  env_.faults.failing_syncs = 1;
  EXPECT_EQ(Outcome("a", "two"), "STORE_FAILED");
  EXPECT_EQ(Versions(), std::vector<std::string>{"a@1"});
  EXPECT_EQ(Outcome("a", "three"), "2");
  EXPECT_TRUE(std::filesystem::exists(Pack(2)));
  for (bool rebuild : {false, true}) {
    Close();
    if (rebuild) std::filesystem::remove_all(directory_ / "index");
    Reopen();
    EXPECT_EQ(Versions(), (std::vector<std::string>{"a@2", "a@1"})) << rebuild;
    EXPECT_EQ(*Get(*archive_, "a"), "three");
    EXPECT_EQ(*Get(*archive_, "a", 1), "one");
  }
}

TEST_F(FaultsTest, FailsAnUploadWhoseChunksWereLost) {
  const std::string bytes = Noise(5 << 20, 1);
  absl::StatusOr<std::unique_ptr<Upload>> upload = archive_->Put({.name = "long"}, {});
  ASSERT_TRUE((*upload)->Append(bytes).ok());
  env_.faults.failing_syncs = 1;
  EXPECT_EQ(Outcome("a", "x"), "STORE_FAILED");
  EXPECT_EQ(ReasonName((*upload)->Finish(bytes.size(), Digest::Of(bytes)).status()),
            "STORE_FAILED");
  upload->reset();
  EXPECT_EQ(Outcome("long", bytes), "1");
  EXPECT_TRUE(*Get(*archive_, "long") == bytes);
}

TEST_F(FaultsTest, GoesOnInANewPackAfterAFailedWrite) {
  EXPECT_EQ(Outcome("a", "one"), "1");
  env_.faults.failing_writes = true;
  EXPECT_EQ(Outcome("b", "x"), "STORE_FAILED");
  EXPECT_EQ(ReasonName(archive_->Delete({.name = "a"}).status()), "STORE_FAILED");
  env_.faults.failing_writes = false;
  EXPECT_EQ(Outcome("b", "x"), "1");
  EXPECT_EQ(*archive_->Delete({.name = "a"}), 2u);
  Close();
  std::filesystem::remove_all(directory_ / "index");
  Reopen();
  EXPECT_EQ(Versions(), (std::vector<std::string>{"a@2", "a@1", "b@1"}));
}

TEST_F(FaultsTest, StillDeletesOnAFullDisk) {
  EXPECT_EQ(Outcome("a", "one"), "1");
  EXPECT_EQ(Outcome("a", "two"), "2");
  env_.faults.space = 1 << 20;
  EXPECT_EQ(Outcome("b", "x"), "DISK_FULL");
  EXPECT_EQ(*archive_->Delete({.name = "a", .version = 1}), 1u);
  EXPECT_EQ(*archive_->Delete({.name = "a"}), 3u);
  env_.faults.space = UINT64_MAX;
  EXPECT_EQ(Outcome("b", "x"), "1");
  Close();
  std::filesystem::remove_all(directory_ / "index");
  Reopen();
  EXPECT_EQ(Versions(), (std::vector<std::string>{"a@3", "a@2", "b@1"}));
}

TEST_F(FaultsTest, WritesOverWhatAFullDiskLeftOfARecord) {
  EXPECT_EQ(Outcome("a", "one"), "1");
  env_.faults.space = 50;
  EXPECT_EQ(ReasonName(archive_->Delete({.name = "a"}).status()), "DISK_FULL");
  env_.faults.space = UINT64_MAX;
  EXPECT_EQ(*archive_->Delete({.name = "a"}), 2u);
  EXPECT_FALSE(std::filesystem::exists(Pack(2)));
  Close();
  std::filesystem::remove_all(directory_ / "index");
  Reopen();
  EXPECT_EQ(Versions(), (std::vector<std::string>{"a@2", "a@1"}));
}

TEST_F(FaultsTest, StoresAChunkRawWhenItsCodecFailsTheProof) {
  service_.flip = true;
  const std::string text = Text(10'000, 1);
  absl::StatusOr<PutResult> put = Put(*archive_, "a", text);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "store");
  EXPECT_TRUE(put->object.decoders.empty());
  EXPECT_EQ(*Get(*archive_, "a"), text);
}

TEST_F(FaultsTest, StoresAChunkRawWhenItsEncoderFails) {
  for (const absl::Status& status : {absl::InternalError("worker killed by signal 11"),
                                     absl::ResourceExhaustedError("too little memory")}) {
    service_.status = status;
    const std::string name(absl::StatusCodeToString(status.code()));
    absl::StatusOr<PutResult> put = Put(*archive_, name, Text(10'000, 1));
    ASSERT_TRUE(put.ok()) << put.status();
    EXPECT_EQ(put->object.codec, "store");
    EXPECT_EQ(*Get(*archive_, name), Text(10'000, 1));
  }
}

TEST_F(FaultsTest, GivesNoBytesWhenADecoderFailsThatWasProved) {
  EXPECT_EQ(Outcome("a", Text(10'000, 1)), "1");
  service_.flip = true;
  Collector collector;
  absl::StatusOr<ReadResult> read = archive_->Read({.name = "a"}, collector, {});
  EXPECT_EQ(ReasonName(read.status()), "DECODER_FAILED");
  EXPECT_EQ(collector.bytes, "");
}

TEST_F(FaultsTest, SaysSoInTheEndWhenAViewsBytesWereNotThoseOfThePut) {
  EXPECT_EQ(Outcome("a.gz", Gzip(Text(10'000, 1))), "1");
  service_.flip = true;
  Collector collector;
  absl::StatusOr<ReadResult> read =
      archive_->Read({.name = "a.gz", .form = Form::kView}, collector, {});
  EXPECT_EQ(ReasonName(read.status()), "DATA_DAMAGED");
}

TEST_F(FaultsTest, RefusesPutsWhileThereAreNoWorkers) {
  service_.status = absl::UnavailableError("fork: EAGAIN");
  EXPECT_EQ(Outcome("a", Text(10'000, 1)), "OVERLOADED");
  EXPECT_EQ(Outcome("a.gz", Gzip("text")), "OVERLOADED");
  service_.status = absl::OkStatus();
  EXPECT_EQ(Outcome("a", Text(10'000, 1)), "1");
}

TEST_F(FaultsTest, RecordsAViewWhoseWorkerDied) {
  service_.status = absl::InternalError("worker killed by signal 11");
  absl::StatusOr<PutResult> put = Put(*archive_, "a.gz", Gzip("text"));
  ASSERT_TRUE(put.ok()) << put.status();
  ASSERT_EQ(put->object.views.size(), 1u);
  EXPECT_EQ(put->object.views[0].status, View::Status::kFailed);
  EXPECT_NE(put->object.views[0].failure.find("signal 11"), std::string::npos);
}

TEST_F(FaultsTest, SharesSyncsBetweenThoseWhoWait) {
  constexpr int kThreads = 8, kEach = 20;
  EXPECT_EQ(Outcome("warm", "up"), "1");
  env_.faults.syncs = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) EXPECT_EQ(Outcome(absl::StrCat(t, "/", i), "x"), "1");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(env_.faults.syncs, kThreads * kEach);
  EXPECT_GT(env_.faults.syncs, 0);
}

TEST_F(FaultsTest, KeepsWhatASealedPackHoldsWhenTheNextOneFails) {
  pack_size_ = 16 << 20;
  Reopen();
  int acknowledged = 0;
  for (int i = 0; i < 20; ++i) {
    env_.faults.failing_syncs = i % 4 == 3 ? 1 : 0;
    acknowledged += Outcome(absl::StrCat(i), Noise(3 << 20, i)) == "1";
  }
  EXPECT_GE(acknowledged, 14);
  env_.faults.failing_syncs = 0;
  const std::vector<std::string> before = Versions();
  EXPECT_EQ(before.size(), static_cast<size_t>(acknowledged));
  Close();
  std::filesystem::remove_all(directory_ / "index");
  Reopen();
  EXPECT_EQ(Versions(), before);
  for (const std::string& name : Names(*archive_)) {
    EXPECT_TRUE(*Get(*archive_, name) == Noise(3 << 20, std::stoul(name))) << name;
  }
}

}  // namespace
}  // namespace vxa::testing
