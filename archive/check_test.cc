// What the check says of archives that are as they should be, and of damage done to real files.
#include "archive/check.h"

#include <leveldb/db.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/env.h"
#include "archive/fold.h"
#include "archive/index.h"
#include "archive/record_format.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa::testing {
namespace {

namespace fs = std::filesystem;
using archive::v1::Manifest;
using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

struct Record {
  RecordHeader header;
  std::string payload;
};

std::vector<Record> RecordsOf(const fs::path& pack) {
  const std::string bytes = ReadFile(pack);
  const Uuid uuid = DecodePackHeader(bytes.substr(0, kPackHeaderSize))->uuid;
  std::vector<Record> records;
  for (uint64_t at = kPackHeaderSize; at < bytes.size();) {
    const RecordHeader header = *DecodeRecordHeader(bytes.substr(at, kRecordHeaderSize), uuid, at);
    records.push_back({header, bytes.substr(at + kRecordHeaderSize, header.length)});
    at += RecordSize(header.length);
  }
  return records;
}

// Writes one more record at the end of a pack, as a program that is wrong or a later one might.
RecordHeader AppendRecord(const fs::path& pack, RecordType type, const std::string& payload,
                          bool critical = true) {
  std::string bytes = ReadFile(pack);
  const RecordHeader header{.type = type,
                            .critical = critical,
                            .length = static_cast<uint32_t>(payload.size()),
                            .sequence = RecordsOf(pack).back().header.sequence + 1,
                            .offset = bytes.size(),
                            .uuid = DecodePackHeader(bytes.substr(0, kPackHeaderSize))->uuid,
                            .payload = Digest::Of(payload)};
  bytes += EncodeRecordHeader(header) + payload;
  bytes.resize(header.offset + RecordSize(payload.size()));
  WriteFile(pack, bytes);
  return header;
}

void Flip(const fs::path& file, uint64_t offset) {
  std::string bytes = ReadFile(file);
  bytes.at(offset) ^= 0x10;
  WriteFile(file, bytes);
}

class Findings : public CheckSink {
 public:
  void Found(const Finding& finding) override { all.push_back(finding); }

  // Whether there is one of this severity, at this place, with all of these words.
  AssertionResult Has(Severity severity, const std::string& where,
                      const std::vector<std::string>& words) const {
    const bool found = std::ranges::any_of(all, [&](const Finding& finding) {
      return finding.severity == severity && finding.where == where &&
             std::ranges::all_of(words, [&](const std::string& word) {
               return finding.text.find(word) != std::string::npos;
             });
    });
    return found ? AssertionSuccess()
                 : AssertionFailure() << "no such finding at " << where << ", but\n"
                                      << Text();
  }

  // Where there is one of this severity, but for places in packs and the index.
  std::vector<std::string> Subjects(Severity severity) const {
    std::vector<std::string> subjects;
    for (const Finding& finding : all) {
      if (finding.severity == severity && finding.where.find(" version ") != std::string::npos) {
        subjects.push_back(finding.where);
      }
    }
    std::ranges::sort(subjects);
    return subjects;
  }

  std::string Text() const {
    std::string text;
    for (const Finding& finding : all) {
      absl::StrAppend(&text, std::string(Name(finding.severity)), ": ", finding.where, ": ",
                      finding.text, "\n");
    }
    return text;
  }

  std::vector<Finding> all;
};

struct Checked {
  Findings findings;
  absl::StatusOr<CheckSummary> summary = absl::UnknownError("not checked");

  AssertionResult Advises(const std::string& words) const {
    for (const std::string& advice : summary->advice) {
      if (advice.find(words) != std::string::npos) return AssertionSuccess();
    }
    return AssertionFailure() << "no such advice: " << words << "\n" << findings.Text();
  }
};

using Entries = std::map<std::string, std::string>;

class CheckTest : public ArchiveFixture {
 protected:
  CheckTest() {
    fs::create_directory(root_ / "tmp");
    setenv("TMPDIR", (root_ / "tmp").c_str(), 1);
  }

  // An archive with a record of every type but chunk lists.
  void Populate() {
    Open();
    MustPut("plain", Noise(3000, 1));
    MustPut("text", Text(5000, 2), "deflate");  // with the decoder of the view below
    MustPut("notes.gz", Gzip(Text(9000, 3)));
    MustPut("hidden", "x");
    MustPut("less", "1");
    MustPut("less", "2");
    ASSERT_TRUE(archive_->Delete({.name = "hidden"}).ok());
    ASSERT_TRUE(archive_->Delete({.name = "less", .version = 2}).ok());
    struct Ignore : VerifySink {
      absl::Status Progress(const std::string&, uint64_t, uint64_t) override { return {}; }
      absl::Status Verified(const VerifiedVersion&) override { return {}; }
    } ignore;
    ASSERT_TRUE(archive_->Verify({.names = {"plain"}}, ignore, {}).ok());
    MustPut("last", "y");
    Close();
  }

  void MustPut(const std::string& name, std::string_view bytes, const std::string& codec = "auto") {
    absl::StatusOr<PutResult> put = Put(*archive_, {.name = name, .codec = codec}, bytes);
    ASSERT_TRUE(put.ok()) << put.status();
  }

  Checked Check(bool decode = false) {
    Checked checked;
    checked.summary =
        CheckArchive({.directory = directory_.string(), .decoder = decode ? decoder_ : nullptr},
                     checked.findings, {});
    return checked;
  }

  Checked Rebuild() {
    Checked checked;
    checked.summary = RebuildIndex(directory_.string(), checked.findings);
    return checked;
  }

  fs::path IndexPath() const { return directory_ / "index"; }

  // The index's entries, but for how far it has got in the packs.
  Entries ReadIndex() const {
    leveldb::DB* raw = nullptr;
    EXPECT_TRUE(leveldb::DB::Open({}, IndexPath().string(), &raw).ok());
    std::unique_ptr<leveldb::DB> db(raw);
    std::unique_ptr<leveldb::Iterator> at(db->NewIterator({}));
    Entries entries;
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      if (at->key() != "w" && at->key() != "s")
        entries[at->key().ToString()] = at->value().ToString();
    }
    return entries;
  }

  void WriteIndex(const std::string& key, const std::optional<std::string>& value) const {
    leveldb::DB* raw = nullptr;
    ASSERT_TRUE(leveldb::DB::Open({}, IndexPath().string(), &raw).ok());
    std::unique_ptr<leveldb::DB> db(raw);
    ASSERT_TRUE((value ? db->Put({}, key, *value) : db->Delete({}, key)).ok());
  }

  // The manifest of a name's only version.
  Manifest ManifestOf(const std::string& name) const {
    for (const Record& record : RecordsOf(Pack())) {
      if (record.header.type != RecordType::kManifest) continue;
      Manifest manifest = *ParseManifest(record.payload);
      if (manifest.name() == name) return manifest;
    }
    ADD_FAILURE() << "no manifest of " << name;
    return {};
  }

  // The first record of a type.
  static RecordHeader Find(const fs::path& pack, RecordType type) {
    for (const Record& record : RecordsOf(pack)) {
      if (record.header.type == type) return record.header;
    }
    ADD_FAILURE() << "no " << Name(type) << " record";
    return {};
  }

  // Everything in the archive's directory, with contents and times.
  std::map<std::string, std::pair<std::string, fs::file_time_type>> Everything() const {
    std::map<std::string, std::pair<std::string, fs::file_time_type>> all;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      all[entry.path().string()] = {entry.is_directory() ? "" : ReadFile(entry.path()),
                                    fs::last_write_time(entry.path())};
    }
    all.erase((root_ / "tmp").string());  // its time may change
    return all;
  }
};

std::string At(const RecordHeader& header, int pack = 1) {
  return absl::StrCat("0000000", pack, ".vxp, offset ", header.offset);
}

TEST_F(CheckTest, FindsNothingWrongWithASoundArchive) {
  Populate();
  for (bool decode : {false, true}) {
    const Checked checked = Check(decode);
    ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
    EXPECT_EQ(checked.findings.Text(), "");
    EXPECT_TRUE(checked.summary->advice.empty());
    EXPECT_EQ(checked.summary->packs, 1u);
    EXPECT_EQ(checked.summary->pack_bytes, fs::file_size(Pack()));
    EXPECT_EQ(checked.summary->records, RecordsOf(Pack()).size());
    EXPECT_EQ(checked.summary->objects, 6u);
    EXPECT_EQ(checked.summary->versions, 7u);  // less@1 and a delete marker
    EXPECT_EQ(checked.summary->decoders, 1u);
    EXPECT_EQ(checked.summary->reproduced, decode ? checked.summary->bytes + 9000 : 0);
    EXPECT_NE(ToText(*checked.summary).find("6 objects, 7 versions"), std::string::npos);
    EXPECT_NE(ToText(*checked.summary).find("No damage"), std::string::npos);
  }
}

TEST_F(CheckTest, FindsNothingWrongWithAnEmptyArchive) {
  Open();
  Close();
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_EQ(checked.findings.Text(), "");
}

TEST_F(CheckTest, ChangesNothingAndLeavesNothingBehind) {
  Populate();
  Flip(Pack(), Find(Pack(), RecordType::kBlob).offset + 100);
  WriteFile(Pack(), ReadFile(Pack()) + "a tail");
  WriteFile(directory_ / "packs" / "00000002.vxp.tmp", "half a header");
  const auto before = Everything();
  EXPECT_TRUE(Check(true).summary.ok());
  EXPECT_EQ(Everything(), before);
  unsetenv("TMPDIR");  // beside the archive, then
  EXPECT_TRUE(Check().summary.ok());
  EXPECT_EQ(Everything(), before);
}

// What the loss of the first record of each type hurts.
struct Loss {
  RecordType type;
  std::vector<std::string> words;
  std::vector<std::string> hurt;
  std::vector<std::string> warned;
};

TEST_F(CheckTest, TellsWhatDamageToARecordHurtsAndThatOthersAreUnhurt) {
  Populate();
  const Loss kLosses[] = {
      {RecordType::kDecoder,
       {"decoder record", "needs this decoder"},
       {"default/notes.gz version 1", "default/text version 1"},
       {}},
      {RecordType::kBlob,
       {"blob record", "versions that need this chunk"},
       {"default/plain version 1"},
       {}},
      {RecordType::kManifest,
       {"manifest record", "the version that it made"},
       {"default/plain version 1"},
       {}},
      {RecordType::kUpdate,
       {"update record", "a delete or a removal"},
       {"default/hidden version 2"},
       {}},
      {RecordType::kEvent, {"event record", "no object is hurt"}, {}, {}},
      {RecordType::kBarrier, {"barrier record", "no object is hurt"}, {}, {}},
  };
  const std::string pack = ReadFile(Pack());
  for (const Loss& loss : kLosses) {
    SCOPED_TRACE(Name(loss.type));
    const RecordHeader header = Find(Pack(), loss.type);
    Flip(Pack(), header.offset + kRecordHeaderSize + header.length / 2);
    const Checked checked = Check(true);
    ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
    EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(header), loss.words));
    EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(header), {"does not match its hash"}));
    EXPECT_EQ(checked.findings.Subjects(Severity::kDamage), loss.hurt) << checked.findings.Text();
    EXPECT_EQ(checked.findings.Subjects(Severity::kWarning), loss.warned);
    EXPECT_TRUE(checked.Advises("restore pack 00000001.vxp"));
    WriteFile(Pack(), pack);
  }
}

TEST_F(CheckTest, NamesWhatAnUnreadableHeaderHurts) {
  Populate();
  const RecordHeader header = Find(Pack(), RecordType::kManifest);
  Flip(Pack(), header.offset + 20);
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(header),
                                   {"CRC-32C", "What lay there can't be told"}));
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/plain version 1",
                                   {"only the index still knows"}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage).size(), 1u);
  EXPECT_TRUE(checked.Advises("keep index/"));
}

TEST_F(CheckTest, SaysWhatItCanOfDamageWithoutAnIndex) {
  Populate();
  fs::remove_all(IndexPath());
  const RecordHeader header = Find(Pack(), RecordType::kBlob);
  Flip(Pack(), header.offset + kRecordHeaderSize + 60);
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/plain version 1",
                                   {"chunk at offset 0, 3000 bytes", "is in no pack"}));
  EXPECT_TRUE(checked.findings.Has(Severity::kNote, "index", {"there is none"}));
}

TEST_F(CheckTest, WarnsOfARemovalThatIsUndone) {
  Populate();
  std::vector<Record> records = RecordsOf(Pack());
  auto removal = std::ranges::find_if(records, [](const Record& record) {
    archive::v1::Update update;
    return record.header.type == RecordType::kUpdate && update.ParseFromString(record.payload) &&
           update.removed() != 0;
  });
  ASSERT_NE(removal, records.end());
  Flip(Pack(), removal->header.offset + kRecordHeaderSize + 3);
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kWarning, "default/less version 2",
                                   {"it was removed", "it is there again"}));
}

// A chunk list and the manifest of an object that has it, with the chunks of another one.
RecordHeader AppendListed(const fs::path& pack, const Manifest& like, uint64_t listed_length) {
  archive::v1::ChunkList list;
  *list.mutable_chunks() = like.chunks();
  Manifest manifest = like;
  manifest.set_name("listed");
  manifest.clear_chunks();
  const RecordHeader header = AppendRecord(pack, RecordType::kChunkList, list.SerializeAsString());
  archive::v1::ChunkListRef& ref = *manifest.add_chunk_lists();
  *ref.mutable_list() = ToMessage(header.payload);
  ref.set_length(listed_length);
  ref.set_chunks(1);
  manifest.set_size(listed_length);
  AppendRecord(pack, RecordType::kManifest, manifest.SerializeAsString());
  return header;
}

TEST_F(CheckTest, FollowsChunkLists) {
  Populate();
  const RecordHeader list = AppendListed(Pack(), ManifestOf("plain"), 3000);
  Open();  // barriers behind it
  MustPut("after", "z");
  Close();
  EXPECT_EQ(Check(true).findings.Text(), "");
  Flip(Pack(), list.offset + kRecordHeaderSize);
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(list), {"chunk list record"}));
  EXPECT_TRUE(checked.findings.Has(
      Severity::kDamage, "default/listed version 1",
      {"the chunk list for offset 0", "is in no pack", absl::StrCat("offset ", list.offset)}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage).size(), 1u);
}

TEST_F(CheckTest, TellsListsAndChunksOfOtherLengthsThanTheManifestSays) {
  Populate();
  AppendListed(Pack(), ManifestOf("plain"), 2000);
  Manifest manifest = ManifestOf("plain");
  manifest.set_name("short");
  manifest.set_size(10);
  manifest.mutable_chunks(0)->set_length(10);
  AppendRecord(Pack(), RecordType::kManifest, manifest.SerializeAsString());
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/listed version 1",
                                   {"3000 bytes", "expects 2000"}));
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/short version 1",
                                   {"the manifest has 10 bytes", "has 3000"}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage).size(), 2u);
}

TEST_F(CheckTest, ReproducesOnlyIfAsked) {
  Populate();
  Manifest manifest = ManifestOf("text");
  manifest.set_name("wrong");
  *manifest.mutable_digest() = ToMessage(Digest::Of("something else"));
  AppendRecord(Pack(), RecordType::kManifest, manifest.SerializeAsString());
  EXPECT_EQ(Check().findings.Subjects(Severity::kDamage), std::vector<std::string>{});
  const Checked checked = Check(true);
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/wrong version 1",
                                   {"can't be reproduced", "comes out with digest"}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage).size(), 1u);
}

// Three packs and something in each.
class PacksTest : public CheckTest {
 protected:
  PacksTest() {
    pack_size_ = 16 << 20;
    Open();
    for (int i = 0; i < 9; ++i) {
      MustPut(absl::StrCat(i), Noise(4 << 20, i));
      MustPut(absl::StrCat(i, ".txt"), Text(1000, i));
    }
    Close();
  }

  // The objects that need a pack.
  std::vector<std::string> NeedOf(int pack) {
    std::vector<std::string> names;
    Open();
    Close();
    const fs::path hidden = root_ / "hidden.vxp";
    fs::rename(Pack(pack), hidden);
    Open();
    for (const std::string& name : Names(*archive_)) {
      if (!Get(*archive_, name).ok()) names.push_back(absl::StrCat("default/", name, " version 1"));
    }
    Close();
    // Whatever that start wrote.
    fs::rename(hidden, Pack(pack));
    return names;
  }
};

TEST_F(PacksTest, NameWhatAMissingOneHurts) {
  ASSERT_EQ(Check().findings.Text(), "");
  fs::copy(directory_, root_ / "copy", fs::copy_options::recursive);
  const std::vector<std::string> hurt = NeedOf(2);
  ASSERT_GE(hurt.size(), 2u);
  fs::remove_all(directory_);
  fs::copy(root_ / "copy", directory_, fs::copy_options::recursive);
  fs::remove(Pack(2));
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "00000002.vxp", {"the pack is missing"}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage), hurt) << checked.findings.Text();
  EXPECT_TRUE(checked.Advises("restore pack 00000002.vxp"));
  EXPECT_TRUE(checked.Advises("keep index/"));
}

TEST_F(PacksTest, AreMissedAtTheEndTooIfTheIndexKnowsThem) {
  ASSERT_TRUE(fs::exists(Pack(3)));
  ASSERT_FALSE(fs::exists(Pack(4)));
  fs::remove(Pack(3));
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "00000003.vxp", {"the pack is missing"}));
  EXPECT_TRUE(
      checked.findings.Has(Severity::kDamage, "default/8 version 1", {"only the index still"}));
}

TEST_F(PacksTest, ThatWereCutAreTold) {
  std::string bytes = ReadFile(Pack(1));
  const RecordHeader cut = RecordsOf(Pack(1)).back().header;
  WriteFile(Pack(1), bytes.substr(0, cut.offset));
  Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(
      Severity::kDamage, "00000001.vxp",
      {"the file is cut", absl::StrCat("has ", cut.offset, " bytes"), absl::StrCat(bytes.size())}));
  WriteFile(Pack(1), bytes);

  bytes = ReadFile(Pack(3));
  WriteFile(Pack(3), bytes.substr(0, RecordsOf(Pack(3))[2].header.offset));
  checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "00000003.vxp", {"the file is cut"}));
}

TEST_F(PacksTest, OfOtherArchivesAreTold) {
  const std::string other = ReadFile(Pack(1));
  fs::remove_all(directory_);
  Open();
  for (int i = 0; i < 9; ++i) MustPut(absl::StrCat(i), Noise(4 << 20, i));
  Close();
  WriteFile(Pack(1), other);
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "00000002.vxp",
                                   {"begun behind another pack than the 00000001.vxp"}));
}

TEST_F(PacksTest, WithADamagedHeaderAreToldAndTheirRecordsChecked) {
  Flip(Pack(2), 20);
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "00000002.vxp",
                                   {"pack header's CRC-32C", "its records count all the same"}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage), std::vector<std::string>{});
}

TEST_F(PacksTest, AreToContainTheDecodersThatTheyName) {
  const RecordHeader decoder = Find(Pack(2), RecordType::kDecoder);
  Flip(Pack(2), decoder.offset + 1000);
  Checked checked = Check(true);
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(decoder, 2), {"decoder record"}));
  const bool told = std::ranges::any_of(checked.findings.all, [](const Finding& finding) {
    return finding.severity == Severity::kWarning &&
           finding.text.find("is not before it in this pack") != std::string::npos &&
           finding.text.find("serves") != std::string::npos;
  });
  EXPECT_TRUE(told) << checked.findings.Text();
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage), std::vector<std::string>{});
}

TEST_F(CheckTest, TellsATailFromDamage) {
  Populate();
  const uint64_t end = fs::file_size(Pack());
  WriteFile(Pack(), ReadFile(Pack()) + std::string(kRecordMagic) + std::string(300, 'x'));
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kNote, absl::StrCat("00000001.vxp, offset ", end),
                                   {"the last 308 bytes", "a crash", "Harmless"}));
  EXPECT_EQ(checked.summary->damages + checked.summary->warnings, 0u) << checked.findings.Text();
  EXPECT_TRUE(checked.summary->advice.empty());
  Open();
  MustPut("more", "1");
  Close();
  EXPECT_TRUE(Check().findings.Has(Severity::kNote, absl::StrCat("00000001.vxp, offset ", end),
                                   {"none of it was acknowledged"}));
}

TEST_F(CheckTest, CallsDamageWhatTheIndexHasSeenToBeDurable) {
  Populate();
  const std::vector<Record> records = RecordsOf(Pack());
  ASSERT_EQ(records.back().header.type, RecordType::kBarrier);
  const RecordHeader last = records[records.size() - 2].header;
  ASSERT_EQ(last.type, RecordType::kManifest);
  WriteFile(Pack(), ReadFile(Pack()).substr(0, records.back().header.offset));
  Flip(Pack(), last.offset + kRecordHeaderSize);
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(last), {"manifest record"}));
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/last version 1", {"is lost"}));
}

TEST_F(CheckTest, CountsWhatFollowsDamageIfTheIndexHasSeenItToBeDurable) {
  Populate();
  const std::vector<Record> before = RecordsOf(Pack());
  Open();
  MustPut("behind", "z");
  Close();
  const RecordHeader hurt = before[before.size() - 2].header;  // the manifest of "last"
  std::string bytes = ReadFile(Pack());
  // Without the barriers behind the damage only the index tells that this is no tail.
  for (const Record& record : RecordsOf(Pack())) {
    if (record.header.type != RecordType::kBarrier || record.header.offset < hurt.offset) continue;
    bytes[record.header.offset] ^= 1;
  }
  bytes[hurt.offset + kRecordHeaderSize] ^= 1;
  WriteFile(Pack(), bytes);
  EXPECT_EQ(Check().findings.Subjects(Severity::kDamage),
            std::vector<std::string>{"default/last version 1"});
  const Checked rebuilt = Rebuild();
  ASSERT_TRUE(rebuilt.summary.ok()) << rebuilt.summary.status();
  EXPECT_EQ(rebuilt.findings.Subjects(Severity::kDamage),
            std::vector<std::string>{"default/last version 1"});
  Open();
  EXPECT_EQ(Get(*archive_, "behind").value_or("lost"), "z");
}

TEST_F(CheckTest, PassesOverUnknownRecordsUnlessTheyAreCritical) {
  Populate();
  const RecordHeader harmless =
      AppendRecord(Pack(), static_cast<RecordType>(9), "later", /*critical=*/false);
  Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kNote, At(harmless), {"type 9", "may pass over"}));
  EXPECT_EQ(checked.summary->damages + checked.summary->warnings, 0u);

  const RecordHeader critical = AppendRecord(Pack(), static_cast<RecordType>(10), "later");
  Flip(Pack(), Find(Pack(), RecordType::kBlob).offset + 100);
  checked = Check();
  EXPECT_TRUE(absl::IsFailedPrecondition(checked.summary.status())) << checked.summary.status();
  for (const std::string& word : {At(critical), std::string("type 10")}) {
    EXPECT_NE(checked.summary.status().message().find(word), std::string::npos)
        << checked.summary.status();
  }
  EXPECT_TRUE(
      checked.findings.Has(Severity::kDamage, At(Find(Pack(), RecordType::kBlob)), {"blob record"}))
      << "all that can be checked is";
}

TEST_F(CheckTest, TellsRecordsThatMakeNoSense) {
  Populate();
  const RecordHeader manifest = AppendRecord(Pack(), RecordType::kManifest, "\x08");
  const RecordHeader update = AppendRecord(Pack(), RecordType::kUpdate, "");
  const RecordHeader event = AppendRecord(Pack(), RecordType::kEvent, "\x08");
  const RecordHeader blob = AppendRecord(Pack(), RecordType::kBlob, "\x01");
  const RecordHeader list = AppendRecord(Pack(), RecordType::kChunkList, "");
  const RecordHeader barrier = AppendRecord(
      Pack(), RecordType::kBarrier, EncodeBarrier({.durable = 0, .chain = Digest::Of("none")}));
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  for (const RecordHeader& header : {manifest, update, event, blob, list}) {
    EXPECT_TRUE(checked.findings.Has(Severity::kDamage, At(header), {"make no sense"}));
  }
  EXPECT_TRUE(checked.findings.Has(Severity::kNote, At(barrier), {"running hash"}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage), std::vector<std::string>{});
}

TEST_F(CheckTest, TellsOfAVersionThatIsGivenTwice) {
  Populate();
  Manifest manifest = ManifestOf("plain");
  manifest.set_media_type("text/other");
  const RecordHeader again =
      AppendRecord(Pack(), RecordType::kManifest, manifest.SerializeAsString());
  const Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "default/plain version 1",
                                   {"given twice", absl::StrCat("offset ", again.offset)}));
  EXPECT_EQ(checked.findings.Subjects(Severity::kDamage).size(), 1u);
}

TEST_F(CheckTest, TellsOfARemovedVersionThatIsGivenAgain) {
  Populate();
  Manifest manifest = ManifestOf("plain");
  manifest.set_name("less");
  manifest.set_version(2);
  AppendRecord(Pack(), RecordType::kManifest, manifest.SerializeAsString());
  EXPECT_TRUE(Check().findings.Has(Severity::kDamage, "default/less version 2",
                                   {"removed it for good", "something else"}));
}

TEST_F(CheckTest, TellsOfSequenceNumbersOutOfOrder) {
  Populate();
  std::string bytes = ReadFile(Pack());
  RecordHeader header = RecordsOf(Pack()).back().header;
  header.sequence = 1;
  bytes.replace(header.offset, kRecordHeaderSize, EncodeRecordHeader(header));
  WriteFile(Pack(), bytes);
  EXPECT_TRUE(
      Check().findings.Has(Severity::kDamage, At(header), {"sequence number 1", "not behind"}));
}

TEST_F(CheckTest, NotesThatTheIndexIsMissingOrBehind) {
  Populate();
  fs::copy(IndexPath(), root_ / "stale");
  Open();
  MustPut("new", "1");
  Close();
  fs::remove_all(IndexPath());
  Checked checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kNote, "index", {"there is none"}));
  EXPECT_EQ(checked.findings.all.size(), 1u) << checked.findings.Text();
  fs::copy(root_ / "stale", IndexPath());
  checked = Check();
  EXPECT_TRUE(checked.findings.Has(Severity::kNote, "index", {"behind the packs"}));
  EXPECT_EQ(checked.findings.all.size(), 1u) << checked.findings.Text();
}

TEST_F(CheckTest, WarnsOfAnIndexOfOtherPacks) {
  Populate();
  fs::rename(IndexPath(), root_ / "other");
  fs::remove_all(directory_);
  Populate();
  fs::remove_all(IndexPath());
  fs::rename(root_ / "other", IndexPath());
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kWarning, "index", {"no object is hurt"}));
  EXPECT_EQ(checked.summary->damages, 0u) << checked.findings.Text();
  EXPECT_TRUE(checked.Advises("run vxad rebuild-index"));
}

TEST_F(CheckTest, TellsOfAnIndexThatCannotBeRead) {
  Populate();
  WriteFile(IndexPath() / "CURRENT", "MANIFEST-nonsense\n");
  const Checked checked = Check();
  ASSERT_TRUE(checked.summary.ok()) << checked.summary.status();
  EXPECT_TRUE(checked.findings.Has(Severity::kDamage, "index", {"no object is hurt"}));
  EXPECT_EQ(checked.findings.all.size(), 1u) << checked.findings.Text();
  EXPECT_TRUE(checked.Advises("run vxad rebuild-index"));
}

TEST_F(CheckTest, ComparesTheIndexWithThePacksInBothDirections) {
  Populate();
  const Entries sound = ReadIndex();
  const auto with_kind = [&](char kind, const std::string& name) {
    for (const auto& [key, value] : sound) {
      if (key[0] == kind && key.find(name) != std::string::npos) return key;
    }
    return std::string();
  };
  const std::string version = with_kind('v', "plain"), head = with_kind('h', "plain");
  const struct {
    std::string key;
    std::optional<std::string> value;
    std::string where;
    std::string words;
  } kChanges[] = {
      {version, std::nullopt, "default/plain version 1", "the packs have it and the index doesn't"},
      {version, sound.at(with_kind('v', "text")), "default/plain version 1", "otherwise"},
      {std::string(version).replace(version.find("plain"), 5, "ghost"), sound.at(version),
       "default/ghost version 1", "the packs take it away"},
      {head, std::nullopt, "index",
       "entries that only the packs give: 1, the first is the name default/plain"},
      {std::string(head).append("!"), sound.at(head), "index", "the name default/plain!"},
      {with_kind('p', ""), "1234", "index", "the copy of sha256:"},
  };
  for (const auto& change : kChanges) {
    SCOPED_TRACE(change.words);
    ASSERT_FALSE(change.key.empty());
    WriteIndex(change.key, change.value);
    const Checked checked = Check();
    EXPECT_TRUE(checked.findings.Has(Severity::kDamage, change.where, {change.words}));
    EXPECT_EQ(checked.findings.all.size(), 1u) << checked.findings.Text();
    EXPECT_TRUE(checked.Advises("run vxad rebuild-index"));
    ASSERT_TRUE(Rebuild().summary.ok());
    EXPECT_EQ(ReadIndex(), sound);
    EXPECT_EQ(Check().findings.Text(), "");
  }
}

TEST_F(CheckTest, IsRefusedWhereThereIsNoArchiveOrItIsOpen) {
  EXPECT_TRUE(absl::IsNotFound(Check().summary.status()));
  EXPECT_TRUE(absl::IsNotFound(Rebuild().summary.status()));
  EXPECT_FALSE(fs::exists(directory_));
  Open();
  for (const Checked& checked : {Check(), Rebuild()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(checked.summary.status()));
    EXPECT_NE(checked.summary.status().message().find("has the archive"), std::string::npos);
  }
  Close();
  WriteFile(directory_ / "VERSION", "vxa-archive 9\n");
  EXPECT_TRUE(absl::IsFailedPrecondition(Check().summary.status()));
}

TEST_F(CheckTest, StopsWhenItIsCancelledAndReportsNoDamageBecauseOfIt) {
  Populate();
  int asked = 0;
  Findings findings;
  for (int allowed : {0, 5, 50, 100}) {
    asked = 0;
    const CallContext context{.cancelled = [&] { return ++asked > allowed; }};
    absl::StatusOr<CheckSummary> summary =
        CheckArchive({.directory = directory_.string()}, findings, context);
    EXPECT_TRUE(absl::IsCancelled(summary.status())) << allowed << summary.status();
  }
  EXPECT_EQ(findings.Text(), "");
  EXPECT_TRUE(fs::is_empty(root_ / "tmp"));
}

TEST_F(CheckTest, RebuildsAnIndexThatIsEqualToTheOneOfASoundArchive) {
  Populate();
  const Entries before = ReadIndex();
  ASSERT_GT(before.size(), 20u);
  const Checked rebuilt = Rebuild();
  ASSERT_TRUE(rebuilt.summary.ok()) << rebuilt.summary.status();
  EXPECT_EQ(rebuilt.findings.Text(), "");
  EXPECT_EQ(rebuilt.summary->objects, 6u);
  EXPECT_EQ(rebuilt.summary->versions, 7u);
  EXPECT_EQ(ReadIndex(), before);
  EXPECT_FALSE(fs::exists(directory_ / "index.new") || fs::exists(directory_ / "index.old"));
}

TEST_F(CheckTest, DoesNotBuildOnWhatAKilledRebuildLeft) {
  Populate();
  const Entries before = ReadIndex();
  WriteIndex("hdefault" + std::string(1, '\0') + "ghost", "");
  fs::rename(IndexPath(), directory_ / "index.new");
  fs::copy(directory_ / "index.new", directory_ / "index.old");
  ASSERT_TRUE(Rebuild().summary.ok());
  EXPECT_EQ(ReadIndex(), before);
}

TEST_F(PacksTest, ThatAreMissingTakeNamesAlongWhichARebuildTells) {
  fs::remove(Pack(3));
  const std::vector<std::string> lost = Check().findings.Subjects(Severity::kDamage);
  ASSERT_FALSE(lost.empty());
  Checked rebuilt = Rebuild();
  ASSERT_TRUE(rebuilt.summary.ok()) << rebuilt.summary.status();
  EXPECT_TRUE(rebuilt.findings.Has(Severity::kDamage, lost.back(), {"is lost"}));
  EXPECT_TRUE(rebuilt.Advises("restore pack 00000003.vxp"));
  // What is forgotten is forgotten.
  EXPECT_FALSE(Rebuild().findings.Has(Severity::kDamage, lost.back(), {"is lost"}));
}

// The real system until so many changes have been made, then a dead one.
class DyingEnv : public Env {
 public:
  explicit DyingEnv(int left) : left_(left) {}
  bool died() const { return left_ < 0; }

  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override {
    return Env::Real().OpenForReading(path);
  }
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override {
    return Env::Real().OpenForWriting(path);
  }
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) override {
    if (Dead()) return Killed();
    return Env::Real().Create(path);
  }
  absl::Status MakeDirectory(const std::string& path) override {
    return Dead() ? Killed() : Env::Real().MakeDirectory(path);
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return Env::Real().List(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return Dead() ? Killed() : Env::Real().Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override {
    return Dead() ? Killed() : Env::Real().Remove(path);
  }
  absl::Status SyncDirectory(const std::string& path) override {
    return Dead() ? Killed() : Env::Real().SyncDirectory(path);
  }
  absl::StatusOr<uint64_t> FreeSpace(const std::string& path) override {
    return Env::Real().FreeSpace(path);
  }
  absl::StatusOr<std::unique_ptr<Held>> Lock(const std::string& path) override {
    return Env::Real().Lock(path);
  }

 private:
  bool Dead() { return --left_ < 0; }
  static absl::Status Killed() { return absl::AbortedError("killed"); }

  int left_;
};

TEST_F(CheckTest, LosesNothingWhereverARebuildIsKilled) {
  Populate();
  const Entries before = ReadIndex();
  bool died = true;
  for (int step = 0; died; ++step) {
    SCOPED_TRACE(absl::StrCat("killed after ", step, " changes"));
    ASSERT_LT(step, 1000);
    DyingEnv env(step);
    Findings findings;
    absl::StatusOr<CheckSummary> rebuilt = RebuildIndex(env, directory_.string(), findings);
    died = env.died();
    ASSERT_EQ(rebuilt.ok(), !died) << rebuilt.status();
    Open();
    ASSERT_EQ(*Get(*archive_, "plain"), Noise(3000, 1));
    Close();
    ASSERT_EQ(ReadIndex(), before);
  }
  EXPECT_EQ(Rebuild().findings.Text(), "");
  EXPECT_FALSE(fs::exists(directory_ / "index.new") || fs::exists(directory_ / "index.old"));
}

}  // namespace
}  // namespace vxa::testing
