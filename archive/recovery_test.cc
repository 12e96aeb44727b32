// What an archive comes back with after a crash, a loss or damage, done to real files.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "archive/archive.h"
#include "archive/errors.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

namespace fs = std::filesystem;

class RecoveryTest : public ArchiveFixture {
 protected:
  void MustPut(const std::string& name, std::string_view bytes) {
    absl::StatusOr<PutResult> result = Put(*archive_, name, bytes);
    ASSERT_TRUE(result.ok()) << result.status();
  }

  void Save(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  }

  // Everything that can be listed, versions and views included, as text.
  std::string Inventory() {
    std::string text;
    absl::StatusOr<ListResult> page = archive_->List({.versions = true});
    if (!page.ok()) return page.status().ToString();
    for (const ObjectInfo& o : page->objects) {
      absl::StrAppend(&text, o.name, "@", o.version, " ", o.size, " ", o.digest.ToString(), " ",
                      absl::ToUnixMicros(o.created), " ", o.delete_marker, " ", o.views.size(),
                      "\n");
    }
    return text;
  }

  // Places to damage in a pack: every `step` bytes, but few within the image of the decoder.
  static std::vector<size_t> Places(const std::string& pack, size_t step) {
    constexpr size_t kImage = 30'000;
    const size_t image = pack.find(
        "\x7f"
        "ELF");
    std::vector<size_t> places;
    for (size_t at = 0; at < pack.size(); at += step) {
      if (at > image && at < image + kImage) at += 7000;
      places.push_back(at);
    }
    return places;
  }

  // An archive with something of everything.
  void Populate() {
    MustPut("a", Noise(3000, 1));
    MustPut("a", Text(3000, 2));
    MustPut("notes.gz", Gzip(Text(5000, 3)));
    MustPut("gone", "x");
    MustPut("less", "1");
    MustPut("less", "2");
    ASSERT_TRUE(archive_->Delete({.name = "gone"}).ok());
    ASSERT_TRUE(archive_->Delete({.name = "less", .version = 2}).ok());
  }
};

TEST_F(RecoveryTest, RebuildsALostIndexFromThePacksAlone) {
  Open();
  Populate();
  const std::string before = Inventory();
  Close();
  fs::remove_all(directory_ / "index");
  Open();
  EXPECT_EQ(Inventory(), before);
  EXPECT_EQ(*Get(*archive_, "a"), Text(3000, 2));
  EXPECT_EQ(*Get(*archive_, "less"), "1");
}

TEST_F(RecoveryTest, RebuildsAnIndexThatCannotBeRead) {
  Open();
  Populate();
  const std::string before = Inventory();
  Close();
  WriteFile(directory_ / "index" / "CURRENT", "MANIFEST-nonsense\n");
  Open();
  EXPECT_EQ(Inventory(), before);
}

TEST_F(RecoveryTest, BringsAStaleIndexUpToDate) {
  Open();
  MustPut("old", "old");
  Close();
  Save(directory_ / "index", root_ / "stale");
  Open();
  Populate();
  const std::string before = Inventory();
  Close();
  Save(root_ / "stale", directory_ / "index");
  Open();
  EXPECT_EQ(Inventory(), before);
  EXPECT_EQ(*Get(*archive_, "a", 1), Noise(3000, 1));
}

TEST_F(RecoveryTest, FindsChunksOfAnUploadThatBeganBeforeTheWatermark) {
  Open();
  absl::StatusOr<std::unique_ptr<Upload>> upload = archive_->Put({.name = "long"}, {});
  const std::string bytes = Noise(5 << 20, 1);
  ASSERT_TRUE((*upload)->Append(bytes).ok());  // one chunk is in the pack by now
  MustPut("short", "x");
  Save(directory_ / "index", root_ / "stale");  // it may be copied while it is open
  ASSERT_TRUE((*upload)->Finish(bytes.size(), Digest::Of(bytes)).ok());
  upload->reset();
  Close();
  Save(root_ / "stale", directory_ / "index");
  Open();
  EXPECT_TRUE(*Get(*archive_, "long") == bytes);
}

TEST_F(RecoveryTest, RebuildsAnIndexOfOtherPacks) {
  Open();
  MustPut("a", "1");
  Close();
  Save(directory_ / "index", root_ / "other");
  fs::remove_all(directory_);
  Open();
  MustPut("b", "2");
  Close();
  Save(root_ / "other", directory_ / "index");
  Open();
  EXPECT_EQ(Names(*archive_), std::vector<std::string>{"b"});
}

// Every byte's cut is a matter of a tenth of a second, so they are shared out.
class CutTest : public RecoveryTest, public ::testing::WithParamInterface<int> {};
constexpr int kCutTests = 4;
INSTANTIATE_TEST_SUITE_P(All, CutTest, ::testing::Range(0, kCutTests));

TEST_P(CutTest, ComesBackFromACutAtEveryByteOfTheLastCommit) {
  Open();
  MustPut("a", "first");
  MustPut("b", Text(2000, 1));
  Close();
  Save(directory_, root_ / "before");
  const uint64_t begin = fs::file_size(Pack());
  Open();
  MustPut("c", "last");
  Close();
  const std::string pack = ReadFile(Pack());
  bool was_there = false;
  for (uint64_t size = begin + GetParam(); size <= pack.size(); size += kCutTests) {
    SCOPED_TRACE(absl::StrCat("cut at ", size, " of ", pack.size()));
    Save(root_ / "before", directory_);
    WriteFile(Pack(), std::string_view(pack).substr(0, size));
    Open();
    ASSERT_EQ(*Get(*archive_, "a"), "first");
    ASSERT_EQ(*Get(*archive_, "b"), Text(2000, 1));
    absl::StatusOr<std::string> last = Get(*archive_, "c");
    ASSERT_TRUE(last.ok() ? *last == "last" : absl::IsNotFound(last.status())) << last.status();
    ASSERT_TRUE(last.ok() || !was_there) << "there with fewer bytes, lost with more";
    was_there = last.ok();
    if (size / kCutTests % 5 != 0) continue;
    MustPut("d", "after");
    const std::string listed = Inventory();
    Close();
    ASSERT_GE(ReadFile(Pack()).substr(0, size), pack.substr(0, size)) << "something was cut";
    fs::remove_all(directory_ / "index");
    Open();
    ASSERT_EQ(Inventory(), listed);
    ASSERT_EQ(*Get(*archive_, "d"), "after");
  }
  EXPECT_TRUE(was_there);
}

TEST_F(RecoveryTest, AbandonsWhatFollowsATornWriteAndGoesOnInANewPack) {
  Open();
  MustPut("a", "first");
  Close();
  Save(directory_ / "index", root_ / "stale");
  const uint64_t begin = fs::file_size(Pack());
  Open();
  MustPut("b", "second");
  MustPut("b", "third");
  Close();
  // The pages of the first commit didn't get to the disk, the later ones did, but no barrier.
  std::string pack = ReadFile(Pack());
  const size_t torn = begin + 100;
  std::fill_n(pack.begin() + static_cast<ptrdiff_t>(begin), 100, '\0');
  const size_t barrier = pack.find(std::string("\x89VXR\r\n\x1a\n\x07", 9), torn);
  ASSERT_NE(barrier, std::string::npos);
  WriteFile(Pack(), pack.substr(0, barrier));
  Save(root_ / "stale", directory_ / "index");
  Open();
  EXPECT_EQ(Names(*archive_), std::vector<std::string>{"a"});
  MustPut("c", "new");
  EXPECT_TRUE(fs::exists(Pack(2)));
  EXPECT_EQ(fs::file_size(Pack()), barrier);
  const std::string before = Inventory();
  Close();
  fs::remove_all(directory_ / "index");
  Open();
  EXPECT_EQ(Inventory(), before);
}

TEST_F(RecoveryTest, KeepsAndReportsRotBelowABarrier) {
  Open();
  MustPut("a", "the first object's bytes");
  MustPut("b", "the second object's bytes");
  MustPut("c", "the third object's bytes");
  Close();
  std::string pack = ReadFile(Pack());
  pack[pack.find("second")] ^= 1;
  WriteFile(Pack(), pack);
  for (int run = 0; run < 2; ++run) {
    SCOPED_TRACE(run == 0 ? "with its index" : "rebuilt");
    Open();
    EXPECT_EQ(*Get(*archive_, "a"), "the first object's bytes");
    EXPECT_EQ(*Get(*archive_, "c"), "the third object's bytes");
    absl::StatusOr<std::string> hurt = Get(*archive_, "b");
    EXPECT_EQ(ReasonName(hurt.status()), "DATA_DAMAGED") << hurt.status();
    EXPECT_EQ(Names(*archive_), (std::vector<std::string>{"a", "b", "c"}));
    Close();
    EXPECT_EQ(ReadFile(Pack()).substr(0, pack.size()), pack);
    fs::remove_all(directory_ / "index");
  }
}

TEST_F(RecoveryTest, NamesObjectChunkPackAndOffsetOfDamage) {
  Open();
  const std::string bytes = Noise((4 << 20) + 1000, 1);
  MustPut("big", bytes);
  Close();
  std::string pack = ReadFile(Pack());
  const size_t at = pack.find(bytes.substr(bytes.size() - 500));
  ASSERT_NE(at, std::string::npos);
  pack[at] ^= 0x80;
  WriteFile(Pack(), pack);
  Open();
  Collector collector;
  absl::StatusOr<ReadResult> read = archive_->Read({.name = "big"}, collector, {});
  EXPECT_EQ(ReasonName(read.status()), "DATA_DAMAGED");
  EXPECT_TRUE(absl::IsDataLoss(read.status()));
  for (const char* part :
       {"default/big version 1", "chunk at offset 4194304", "00000001.vxp", "offset"}) {
    EXPECT_NE(read.status().message().find(part), std::string::npos) << read.status();
  }
  EXPECT_TRUE(collector.bytes == bytes.substr(0, 4 << 20)) << "only what was checked may leave";
}

TEST_F(RecoveryTest, NeverGivesWrongBytesWhicheverByteIsFlipped) {
  Open();
  Populate();
  Close();
  const std::string pack = ReadFile(Pack());
  const std::pair<const char*, std::string> objects[] = {
      {"a", Text(3000, 2)}, {"notes.gz", Gzip(Text(5000, 3))}, {"less", "1"}};
  int hurt = 0;
  for (size_t at : Places(pack, 41)) {
    SCOPED_TRACE(absl::StrCat("byte ", at));
    std::string flipped = pack;
    flipped[at] ^= static_cast<char>(1 << at % 8);
    WriteFile(Pack(), flipped);
    Open();
    for (const auto& [name, bytes] : objects) {
      absl::StatusOr<std::string> got = Get(*archive_, name);
      ASSERT_TRUE(got.ok() ? *got == bytes : absl::IsDataLoss(got.status())) << got.status();
      hurt += !got.ok();
    }
    Close();
  }
  EXPECT_GT(hurt, 10);
}

TEST_F(RecoveryTest, RebuildsWhicheverByteIsFlipped) {
  Open();
  Populate();
  Close();
  const std::string pack = ReadFile(Pack());
  for (size_t at : Places(pack, 53)) {
    SCOPED_TRACE(absl::StrCat("byte ", at));
    std::string flipped = pack;
    flipped[at] ^= static_cast<char>(1 << at % 8);
    fs::remove_all(directory_);
    fs::create_directories(directory_ / "packs");
    WriteFile(directory_ / "VERSION", "vxa-archive 0\n");
    WriteFile(Pack(), flipped);
    Open();
    ASSERT_NE(archive_, nullptr);
    for (const char* name : {"a", "notes.gz", "less"}) {
      absl::StatusOr<std::string> got = Get(*archive_, name);
      if (got.ok()) {
        ASSERT_TRUE(*got == Text(3000, 2) || *got == Noise(3000, 1) || *got == "1" || *got == "2" ||
                    *got == Gzip(Text(5000, 3)));
      }
    }
    MustPut("new", "new");
    ASSERT_EQ(*Get(*archive_, "new"), "new");
    Close();
  }
}

TEST_F(RecoveryTest, ReadsTheRestWhenAPackIsMissing) {
  pack_size_ = 16 << 20;
  Open();
  for (int i = 0; i < 12; ++i) MustPut(absl::StrCat(i), Noise(4 << 20, i));
  Close();
  ASSERT_TRUE(fs::exists(Pack(4)));
  fs::remove(Pack(2));
  for (int run = 0; run < 2; ++run) {
    Open();
    int good = 0, hurt = 0;
    for (int i = 0; i < 12; ++i) {
      absl::StatusOr<std::string> got = Get(*archive_, absl::StrCat(i));
      good += got.ok();
      hurt += absl::IsDataLoss(got.status());
    }
    EXPECT_GE(good, 8);
    EXPECT_EQ(hurt, run == 0 ? 12 - good : 0);
    Close();
    fs::remove_all(directory_ / "index");
  }
}

TEST_F(RecoveryTest, IsNotFooledByRecordsInsideOfPayloads) {
  Open();
  MustPut("victim", "1");
  Close();
  const std::string pack = ReadFile(Pack());
  Open();
  // This very pack's records, at other offsets, aligned and not.
  for (const auto& [name, bytes] :
       {std::pair("crafted", pack), std::pair("shifted", std::string(3, 'x') + pack)}) {
    ASSERT_TRUE(Put(*archive_, {.name = name, .codec = "store"}, bytes).ok());
  }
  Close();
  fs::remove_all(directory_ / "index");
  std::string damaged = ReadFile(Pack());
  const size_t payload = damaged.find(pack, 8);
  ASSERT_NE(payload, std::string::npos);
  damaged[payload - 100] ^= 1;  // the header of the blob that has them
  WriteFile(Pack(), damaged);
  Open();
  EXPECT_EQ(*Get(*archive_, "victim"), "1");
  absl::StatusOr<std::string> crafted = Get(*archive_, "crafted");
  EXPECT_TRUE(absl::IsDataLoss(crafted.status())) << crafted.status();
  EXPECT_EQ(Names(*archive_), (std::vector<std::string>{"crafted", "shifted", "victim"}));
}

// Lines that a put_loop wrote before it was killed, at some moment after `acknowledged` of them.
std::set<std::string> RunAndKill(const std::string& directory, const std::string& prefix,
                                 size_t acknowledged) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<std::string> words = {"archive/testing/put_loop", directory, prefix};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  const int spawned = posix_spawn(&child, argv[0], &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (spawned != 0) return {};
  std::string lines;
  bool killed = false;
  for (;;) {
    char buffer[4096];
    const ssize_t got = read(ends[0], buffer, sizeof(buffer));
    if (got <= 0) break;
    lines.append(buffer, static_cast<size_t>(got));
    if (!killed && std::ranges::count(lines, '\n') >= static_cast<ptrdiff_t>(acknowledged)) {
      kill(child, SIGKILL);
      killed = true;
    }
  }
  close(ends[0]);
  waitpid(child, nullptr, 0);
  std::vector<std::string> names = absl::StrSplit(lines, '\n', absl::SkipEmpty());
  return {names.begin(), names.end()};
}

TEST_F(RecoveryTest, LosesNothingThatWasAcknowledgedBeforeAKill) {
  std::mt19937 random(7);
  std::set<std::string> all;
  for (int round = 0; round < 6; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    std::set<std::string> acknowledged =
        RunAndKill(directory_.string(), absl::StrCat("round", round), 1 + random() % 40);
    ASSERT_FALSE(acknowledged.empty());
    all.merge(acknowledged);
    if (round % 3 == 2) fs::remove_all(directory_ / "index");
    Open();
    for (const std::string& name : all) {
      absl::StatusOr<std::string> got = Get(*archive_, name);
      ASSERT_TRUE(got.ok()) << name << ": " << got.status();
      ASSERT_TRUE(*got == ContentOf(name)) << name;
    }
    // What shows without having been acknowledged is whole too.
    for (const std::string& name : Names(*archive_)) {
      absl::StatusOr<std::string> got = Get(*archive_, name);
      ASSERT_TRUE(got.ok() && *got == ContentOf(name)) << name << ": " << got.status();
    }
    Close();
  }
}

}  // namespace
}  // namespace vxa::testing
