// What an archive does without packs, with packs that lie, and with indexes that aren't its own:
// what is left is as it was, and nothing is written over or numbered twice.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/blob.h"
#include "archive/errors.h"
#include "archive/pack_files.h"
#include "archive/pack_scanner.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/in_process_decoder.h"
#include "gtest/gtest.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa::testing {
namespace {

namespace fs = std::filesystem;

class LossTest : public ArchiveFixture {
 protected:
  LossTest() { decoder_ = service_.get(); }

  uint64_t MustPut(const std::string& name, std::string_view bytes) {
    absl::StatusOr<PutResult> put = Put(*archive_, name, bytes);
    EXPECT_TRUE(put.ok()) << put.status();
    return put.ok() ? put->object.version : 0;
  }
  // The bytes, or why there are none.
  std::string Got(const std::string& name, uint64_t version = 0) {
    absl::StatusOr<std::string> got = Get(*archive_, name, version);
    return got.ok() ? *got : got.status().ToString();
  }
  void Save(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  }
  void LoseIndex() { fs::remove_all(directory_ / "index"); }

  // Opens, and gives what is logged meanwhile.
  std::string OpenAndLog() {
    Close();
    ::testing::internal::CaptureStderr();
    Open();
    return ::testing::internal::GetCapturedStderr();
  }

  std::vector<Scanned> Records(int number = 1) {
    PackFiles files(Env::Real(), (directory_ / "packs").string());
    absl::StatusOr<std::shared_ptr<const OpenPack>> pack = files.Open(number);
    EXPECT_TRUE(pack.ok()) << pack.status();
    PackScanner scanner(*(*pack)->file, (*pack)->header.uuid, kPackHeaderSize,
                        *(*pack)->file->Size(), Digest());
    std::vector<Scanned> records;
    for (;;) {
      absl::StatusOr<Scanned> next = scanner.Next();
      EXPECT_TRUE(next.ok()) << next.status();
      if (!next.ok() || next->kind == Scanned::Kind::kEnd) return records;
      if (next->kind == Scanned::Kind::kRecord) records.push_back(*std::move(next));
    }
  }
  // The last record of a type.
  Scanned Last(RecordType type, int number = 1) {
    Scanned last;
    for (Scanned& record : Records(number)) {
      if (record.header->type == type) last = std::move(record);
    }
    EXPECT_EQ(last.kind, Scanned::Kind::kRecord) << "no " << Name(type);
    return last;
  }
  void Flip(int number, uint64_t at) {
    std::string pack = ReadFile(Pack(number));
    pack[at] ^= 1;
    WriteFile(Pack(number), pack);
  }

  // Closes, and sees to it that writing goes on in another pack: what a crash can leave.
  void LeaveATail() {
    Close();
    std::string last;
    for (const auto& entry : fs::directory_iterator(directory_ / "packs")) {
      last = std::max(last, entry.path().string());
    }
    WriteFile(last, ReadFile(last) + "the beginning of a record");
    Open();
  }

  // Packs 1 to `count`, each with an object of its own, "1" and so on, and a version of "all".
  void PopulatePacks(int count) {
    Open();
    for (int i = 1; i <= count; ++i) {
      if (i > 1) LeaveATail();
      MustPut(absl::StrCat(i), Noise(300, i));
      EXPECT_EQ(MustPut("all", Noise(200, i)), static_cast<uint64_t>(i));
      EXPECT_TRUE(fs::exists(Pack(i)));
    }
    Close();
  }

  const std::unique_ptr<vx::DecodeService> service_ = NewInProcessDecodeService();
};

TEST_F(LossTest, PassesOverNoVersionsAfterCrashesAndLostIndexes) {
  PopulatePacks(3);
  uint64_t version = 3;
  for (bool lose : {false, true, false, true}) {
    if (lose) LoseIndex();
    Open();
    EXPECT_EQ(MustPut("all", Noise(200, 100 + version)), version + 1);
    EXPECT_EQ(*archive_->Delete({.name = "all"}), version + 2);
    version += 2;
    EXPECT_EQ(MustPut(absl::StrCat("new", version), "x"), 1u);
    LeaveATail();
    Close();
  }
}

TEST_F(LossTest, GivesNoVersionTwiceThoughTheRecordThatGaveItIsLost) {
  Open();
  MustPut("a", "one");
  MustPut("b", "one");
  MustPut("a", "two");
  Close();
  Flip(1, Last(RecordType::kManifest).offset + kRecordHeaderSize + 3);
  LoseIndex();
  Open();
  EXPECT_EQ(Names(*archive_, {.versions = true}), (std::vector<std::string>{"a@1", "b@1"}));
  EXPECT_EQ(MustPut("a", "another"), 3u);
  EXPECT_EQ(MustPut("a", "and one more"), 4u) << "only what is lost is passed over";
  EXPECT_EQ(*archive_->Delete({.name = "b"}), 3u) << "it might have been b's";
  EXPECT_EQ(MustPut("c", "one"), 2u) << "or that of a name nobody knows of any more";
  // And once more, with a header this time: so nothing tells what it was.
  Close();
  int pack = fs::exists(Pack(2)) ? 2 : 1;
  Flip(pack, Last(RecordType::kManifest, pack).offset + 20);
  LoseIndex();
  Open();
  EXPECT_EQ(MustPut("c", "again"), 3u);
  EXPECT_EQ(MustPut("a", "again"), 6u);
  EXPECT_EQ(MustPut("d", "one"), 3u);
  EXPECT_EQ(MustPut("d", "two"), 4u);
}

TEST_F(LossTest, DoesNotTakeARemovalForTheLastWordOnVersions) {
  Open();
  MustPut("a", "one");
  MustPut("a", "two");
  const uint64_t lost = Last(RecordType::kManifest).offset;
  ASSERT_TRUE(archive_->Delete({.name = "a", .version = 1}).ok());
  Close();
  Flip(1, lost + kRecordHeaderSize);
  LoseIndex();
  Open();
  EXPECT_EQ(Names(*archive_, {.versions = true}), std::vector<std::string>());
  EXPECT_EQ(MustPut("a", "three"), 3u);
}

TEST_F(LossTest, PassesOverNoVersionsForWhatGaveNone) {
  Open();
  MustPut("a", Text(1000, 1));
  MustPut("b", "one");
  Close();
  for (RecordType type : {RecordType::kDecoder, RecordType::kBlob}) {
    Flip(1, Last(type).offset + kRecordHeaderSize + 20);
  }
  const std::vector<Scanned> records = Records();  // those that are left: the first barrier and on
  const auto barrier = std::ranges::find_if(
      records, [](const Scanned& record) { return record.header->type == RecordType::kBarrier; });
  ASSERT_LT(barrier->end, records.back().offset) << "the last one would be a tail";
  Flip(1, barrier->offset + kRecordHeaderSize + 20);
  LoseIndex();
  Open();
  EXPECT_EQ(MustPut("a", "two"), 2u);
  EXPECT_EQ(MustPut("c", "one"), 1u);
}

TEST_F(LossTest, ReadsTheRestAndOverwritesNothingWhicheverPacksAreMissing) {
  constexpr int kPacks = 4;
  PopulatePacks(kPacks);
  Save(directory_, root_ / "whole");
  for (std::set<int> missing : {std::set{1}, {2}, {3}, {4}, {1, 2}, {2, 3}, {3, 4}, {1, 4}}) {
    for (bool lose : {false, true}) {
      SCOPED_TRACE(absl::StrCat("pack ", *missing.begin(), " of ", missing.size(),
                                lose ? ", index lost" : ""));
      Close();
      Save(root_ / "whole", directory_);
      for (int pack : missing) fs::remove(Pack(pack));
      if (lose) LoseIndex();
      const std::string log = OpenAndLog();
      for (int i = 1; i <= kPacks; ++i) {
        absl::StatusOr<std::string> got = Get(*archive_, absl::StrCat(i));
        absl::StatusOr<std::string> version = Get(*archive_, "all", i);
        if (!missing.contains(i)) {
          ASSERT_TRUE(got.ok() && *got == Noise(300, i)) << i << ": " << got.status();
          ASSERT_TRUE(version.ok() && *version == Noise(200, i)) << i << ": " << version.status();
        } else if (lose) {
          ASSERT_TRUE(absl::IsNotFound(got.status())) << i << ": " << got.status();
        } else {
          ASSERT_TRUE(absl::IsDataLoss(got.status())) << i << ": " << got.status();
          const std::string text(got.status().message());
          ASSERT_NE(text.find(absl::StrCat("default/", i)), std::string::npos) << text;
          ASSERT_NE(text.find(PackName(i)), std::string::npos) << text;
        }
      }
      // Those that nothing follows leave no trace but in the index.
      int last = kPacks;
      while (lose && missing.contains(last)) --last;
      for (int pack : missing) {
        if (pack > last) continue;
        ASSERT_NE(log.find(absl::StrCat("pack ", PackName(pack), " is missing")), std::string::npos)
            << log;
      }
      const bool traceless = last != kPacks;
      const uint64_t version = MustPut("all", "new");
      if (!traceless) {
        ASSERT_GT(version, uint64_t{kPacks});
      }
      ASSERT_EQ(Got("all"), "new");
      if (traceless) continue;
      for (int pack : missing) {
        ASSERT_FALSE(fs::exists(Pack(pack))) << "its number is taken";
        ASSERT_GT(MustPut(absl::StrCat(pack), "new"), 1u) << "its version is given out again";
      }
      // Back again: so is what it has, without anything being done about the index.
      for (int pack : missing) {
        Close();
        fs::copy(root_ / "whole" / "packs" / PackName(pack), Pack(pack));
      }
      Open();
      for (int i = 1; i <= kPacks; ++i) {
        absl::StatusOr<std::string> got = Get(*archive_, absl::StrCat(i), 1);
        ASSERT_TRUE(got.ok() && *got == Noise(300, i)) << i << ": " << got.status();
        ASSERT_TRUE(Get(*archive_, "all", i).ok()) << i;
      }
      ASSERT_EQ(Got("all"), "new");
    }
  }
}

TEST_F(LossTest, ReadsAPackWhoseFirstSectorIsGone) {
  constexpr int kPacks = 3;
  PopulatePacks(kPacks);
  Save(directory_, root_ / "whole");
  for (int hurt = 1; hurt <= kPacks; ++hurt) {
    for (bool lose : {false, true}) {
      SCOPED_TRACE(absl::StrCat("pack ", hurt, lose ? ", index lost" : ""));
      Close();
      Save(root_ / "whole", directory_);
      std::string pack = ReadFile(Pack(hurt));
      std::fill_n(pack.begin(), kPackHeaderSize + kRecordHeaderSize, '\0');
      WriteFile(Pack(hurt), pack);
      if (lose) LoseIndex();
      const std::string log = OpenAndLog();
      if (lose || hurt == kPacks) {
        EXPECT_NE(log.find(absl::StrCat("pack ", PackName(hurt), ": the pack header")),
                  std::string::npos)
            << log;
      }
      for (int i = 1; i <= kPacks; ++i) {
        absl::StatusOr<std::string> got = Get(*archive_, absl::StrCat(i));
        absl::StatusOr<std::string> version = Get(*archive_, "all", i);
        if (i != hurt) {
          ASSERT_TRUE(got.ok() && *got == Noise(300, i)) << i << ": " << got.status();
        } else if (lose && hurt == kPacks) {  // nothing says which of its bytes are records
          ASSERT_TRUE(absl::IsNotFound(got.status())) << got.status();
          ASSERT_TRUE(absl::IsNotFound(version.status())) << version.status();
          continue;
        } else {
          ASSERT_TRUE(absl::IsDataLoss(got.status())) << got.status();
        }
        ASSERT_TRUE(version.ok() && *version == Noise(200, i)) << i << ": " << version.status();
      }
      const uint64_t given = MustPut("all", "new");
      ASSERT_GT(given, uint64_t{kPacks});
      for (int run = 0; run < 2; ++run) {  // the same however often it is looked at
        Close();
        LoseIndex();
        Open();
        ASSERT_EQ(Got("all", given), "new");
        ASSERT_EQ(Got("all"), "new");
      }
      ASSERT_EQ(MustPut("all", "newer"), given + 1);
      Close();
      ASSERT_EQ(ReadFile(Pack(hurt)), pack) << "it was written to";
    }
  }
}

TEST_F(LossTest, CountsWhatATruncatedPackMustHaveHadAsLost) {
  PopulatePacks(2);
  const std::string pack = ReadFile(Pack(1));
  const uint64_t manifest = Last(RecordType::kManifest).offset;
  WriteFile(Pack(1), pack.substr(0, manifest));  // a clean cut between two records
  LoseIndex();
  const std::string log = OpenAndLog();
  EXPECT_NE(log.find("it had"), std::string::npos) << log;
  EXPECT_EQ(Got("1"), Noise(300, 1));
  EXPECT_TRUE(absl::IsNotFound(Get(*archive_, "all", 1).status()));
  EXPECT_EQ(MustPut("fresh", "x"), 4u)
      << "a manifest, a barrier, a number passed over with the tail";
}

TEST_F(LossTest, RebuildsAForeignIndexThatKnowsMorePacks) {
  PopulatePacks(3);
  Save(directory_ / "index", root_ / "foreign");
  fs::remove_all(directory_);
  Open();
  MustPut("mine", "1");
  Close();
  Save(root_ / "foreign", directory_ / "index");
  Open();
  EXPECT_EQ(Names(*archive_), std::vector<std::string>{"mine"});
  EXPECT_EQ(MustPut("mine", "2"), 2u);
  EXPECT_FALSE(fs::exists(Pack(2)));
}

TEST_F(LossTest, IsAsBeforeWithAStaleIndexOfAnyAge) {
  std::vector<fs::path> ages;
  for (int i = 1; i <= 3; ++i) {
    Open();
    if (i > 1) LeaveATail();
    MustPut("all", Noise(100, i));
    MustPut(absl::StrCat(i), Text(500, i));
    Close();
    ages.push_back(root_ / absl::StrCat("index", i));
    Save(directory_ / "index", ages.back());
  }
  for (const fs::path& age : ages) {
    SCOPED_TRACE(age);
    Close();
    Save(age, directory_ / "index");
    Open();
    for (int i = 1; i <= 3; ++i) {
      EXPECT_EQ(Got(absl::StrCat(i)), Text(500, i));
      EXPECT_EQ(Got("all", i), Noise(100, i));
    }
    EXPECT_EQ(Names(*archive_, {.versions = true}).size(), 6u);
  }
  EXPECT_EQ(MustPut("all", "next"), 4u);
}

TEST_F(LossTest, NeverGivesWrongAnswersFromADamagedIndex) {
  PopulatePacks(2);
  Open();  // its log becomes a table
  Close();
  Save(directory_ / "index", root_ / "good");
  const auto check = [&]() -> bool {
    bool failed = false;
    for (int i = 1; i <= 2; ++i) {
      for (const std::string& name : {absl::StrCat(i), std::string("all")}) {
        absl::StatusOr<std::string> got = Get(*archive_, name, name == "all" ? i : 0);
        if (!got.ok() && ReasonName(got.status()) == "STORE_FAILED") {
          EXPECT_NE(got.status().message().find("the index failed"), std::string::npos);
          failed = true;
          continue;
        }
        EXPECT_TRUE(got.ok()) << name << ": " << got.status();
        if (got.ok()) {
          EXPECT_EQ(*got, name == "all" ? Noise(200, i) : Noise(300, i));
        }
      }
    }
    return !failed;
  };
  int flips = 0;
  for (const auto& entry : fs::directory_iterator(root_ / "good")) {
    const std::string file = entry.path().filename();
    const std::string bytes = ReadFile(entry.path());
    if (file == "LOG" || file == "LOG.old") continue;  // text for people
    for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 40) {
      SCOPED_TRACE(absl::StrCat(file, " byte ", at));
      Close();
      Save(root_ / "good", directory_ / "index");
      std::string flipped = bytes;
      flipped[at] ^= 0x10;
      WriteFile(directory_ / "index" / file, flipped);
      ++flips;
      absl::StatusOr<std::unique_ptr<Archive>> opened = Archive::Open(Options());
      if (opened.ok()) archive_ = *std::move(opened);
      if (archive_ != nullptr && check()) continue;
      // It said so, and what to do.
      Close();
      LoseIndex();
      Open();
      EXPECT_TRUE(check());
    }
  }
  EXPECT_GT(flips, 40);
}

TEST_F(LossTest, SaysWhatMayHaveBeenAcknowledgedWhenTheLastGroupAndTheIndexAreHurt) {
  Open();
  MustPut("a", "one");
  MustPut("b", "two");
  Close();
  const uint64_t barrier = Last(RecordType::kBarrier).offset;
  WriteFile(Pack(), ReadFile(Pack()).substr(0, barrier));  // killed before it was written
  Flip(1, Last(RecordType::kManifest).offset + kRecordHeaderSize);
  LoseIndex();
  const std::string log = OpenAndLog();
  EXPECT_NE(log.find("may have been acknowledged"), std::string::npos) << log;
  EXPECT_EQ(Names(*archive_), std::vector<std::string>{"a"});
  MustPut("c", "three");
  EXPECT_TRUE(fs::exists(Pack(2)));
}

TEST_F(LossTest, RefersToNoDamagedDecoder) {
  Open();
  MustPut("a", Text(1000, 1));
  Close();
  Flip(1, Last(RecordType::kDecoder).offset + kRecordHeaderSize + 5000);
  Open();
  EXPECT_TRUE(absl::IsDataLoss(Get(*archive_, "a").status()));
  const std::string text = Text(1000, 2);
  MustPut("b", text);
  EXPECT_EQ(Got("b"), text);
  EXPECT_EQ(Got("a"), Text(1000, 1)) << "the new copy serves both";
}

// A header that is genuine but for its length, as a bug might write it.
TEST_F(LossTest, LosesNothingBehindARecordWithAWrongLength) {
  Open();
  for (int i = 0; i < 6; ++i) MustPut(absl::StrCat(i), Noise(150, i));
  Close();
  const std::string pack = ReadFile(Pack());
  const std::vector<Scanned> records = Records();
  for (size_t r = 0; r < records.size(); ++r) {
    const Scanned& record = records[r];
    const uint64_t rest = pack.size() - record.end;
    std::set<uint64_t> lengths = {0, record.header->length + 8, record.header->length + rest,
                                  record.header->length + rest + 8, kMaxPayload};
    for (size_t n = r + 1; n < records.size(); ++n) {
      lengths.insert(records[n].end - record.offset - kRecordHeaderSize);
    }
    lengths.erase(record.header->length);
    for (uint64_t length : lengths) {
      SCOPED_TRACE(absl::StrCat(Name(record.header->type), " at ", record.offset, ", length ",
                                record.header->length, " as ", length));
      RecordHeader header = *record.header;
      header.length = static_cast<uint32_t>(length);
      std::string changed = pack;
      changed.replace(record.offset, kRecordHeaderSize, EncodeRecordHeader(header));
      Close();
      WriteFile(Pack(), changed);
      LoseIndex();
      for (const auto& entry : fs::directory_iterator(directory_ / "packs")) {
        if (entry.path() != Pack()) fs::remove(entry.path());
      }
      Open();
      int hurt = 0;
      for (int i = 0; i < 6; ++i) {
        absl::StatusOr<std::string> got = Get(*archive_, absl::StrCat(i));
        if (got.ok()) {
          ASSERT_EQ(*got, Noise(150, i));
        }
        hurt += !got.ok();
      }
      ASSERT_EQ(hurt, record.header->type == RecordType::kBarrier ? 0 : 1);
    }
  }
}

// Even somebody who knew the pack's UUID and where his bytes will lie has nothing from it as long
// as the header of his own record is good.
TEST_F(LossTest, TakesNothingInsideADamagedPayloadForARecord) {
  Open();
  MustPut("victim", "1");
  Close();
  const uint64_t offset = fs::file_size(Pack());
  PackFiles files(Env::Real(), (directory_ / "packs").string());
  const Uuid uuid = (*files.Open(1))->header.uuid;
  archive::v1::Update update;
  update.set_namespace_("default");
  update.set_name("victim");
  update.set_removed(1);
  const std::string payload = update.SerializeAsString();
  const size_t prefix = EncodeBlobPrefix(nullptr, 1000, Digest()).size();
  const std::string skip(8 + 8 - prefix % 8, 'x');
  std::string crafted =
      skip + EncodeRecordHeader({.type = RecordType::kUpdate,
                                 .length = static_cast<uint32_t>(payload.size()),
                                 .sequence = Records().back().header->sequence + 1,
                                 .offset = offset + kRecordHeaderSize + prefix + skip.size(),
                                 .uuid = uuid,
                                 .payload = Digest::Of(payload)});
  crafted += payload;
  crafted.resize(1000);
  Open();
  ASSERT_TRUE(Put(*archive_, {.name = "crafted", .codec = "store"}, crafted).ok());
  Close();
  ASSERT_TRUE(
      DecodeRecordHeader(ReadFile(Pack()).substr(offset + kRecordHeaderSize + prefix + skip.size(),
                                                 kRecordHeaderSize),
                         uuid, offset + kRecordHeaderSize + prefix + skip.size())
          .ok())
      << "it has to lie where it says";
  Flip(1, offset + kRecordHeaderSize + prefix + 1);
  LoseIndex();
  Open();
  EXPECT_EQ(Got("victim"), "1");
  EXPECT_TRUE(absl::IsDataLoss(Get(*archive_, "crafted").status()));
}

// Other packs as an object's bytes, with the header of the record that has them damaged.
TEST_F(LossTest, TakesNoRecordsOfOtherPacksForThisOnes) {
  PopulatePacks(2);
  const std::string other = ReadFile(Pack(2));  // at the same offsets, too: see below
  fs::remove_all(directory_);
  Open();
  MustPut("mine", "1");
  Close();
  const uint64_t offset = fs::file_size(Pack());
  const size_t prefix = EncodeBlobPrefix(nullptr, other.size(), Digest()).size();
  const uint64_t begin = offset + kRecordHeaderSize + prefix;
  // All of the other pack's records, moved to where they claim to lie.
  const std::string crafted = std::string(8 - begin % 8, 'x') + other;
  std::string moved = crafted;
  for (size_t at = 8 - begin % 8; at + kRecordHeaderSize <= moved.size(); at += 8) {
    if (!std::string_view(moved).substr(at).starts_with(kRecordMagic)) continue;
    absl::StatusOr<RecordHeader> header =
        DecodeRecordHeader(std::string_view(other).substr(at - (8 - begin % 8), kRecordHeaderSize),
                           std::nullopt, at - (8 - begin % 8));
    if (!header.ok()) continue;
    header->offset = begin + at;
    moved.replace(at, kRecordHeaderSize, EncodeRecordHeader(*header));
  }
  ASSERT_NE(moved, crafted);
  Open();
  ASSERT_TRUE(Put(*archive_, {.name = "as it is", .codec = "store"}, moved).ok());
  ASSERT_TRUE(Put(*archive_, {.name = "after", .codec = "store"}, "2").ok());
  Close();
  Flip(1, offset + 20);
  LoseIndex();
  Open();
  EXPECT_EQ(Names(*archive_), (std::vector<std::string>{"after", "as it is", "mine"}));
  EXPECT_TRUE(absl::IsDataLoss(Get(*archive_, "as it is").status()));
}

}  // namespace
}  // namespace vxa::testing
