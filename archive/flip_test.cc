// Every byte of a small archive's packs flipped, one by one, with the index kept and with the index
// lost: exactly what needs the byte is hurt and told so, all else is as before, and no version is
// given out twice.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/blob.h"
#include "archive/fold.h"
#include "archive/pack_files.h"
#include "archive/pack_scanner.h"
#include "archive/pack_writer.h"
#include "archive/testing/archive_fixture.h"
#include "archive/testing/in_process_decoder.h"
#include "gtest/gtest.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa::testing {
namespace {

namespace fs = std::filesystem;

// Of the decoders' images every so manieth byte is flipped, of everything else every byte.
constexpr size_t kImageStep = 211;

// A tail is passed over with as many sequence numbers as records might fit into it; this one's.
constexpr uint64_t kTailNumbers = 6;

using Object = std::pair<std::string, uint64_t>;  // name, version

std::string Show(const Object& object) { return absl::StrCat(object.first, "@", object.second); }

// Where a record, or a pack's header, lies in the intact packs, and who needs it.
struct Part {
  std::string what;
  uint32_t pack = 0;
  uint64_t begin = 0, payload = 0, padding = 0, end = 0;
  std::set<Object> objects;
  bool gives_version = false;
  bool removal = false;
  bool abandoned = false;  // part of a crash's tail
  bool by_tail = false;  // the last before it, or behind it the next pack's header or first record
};

// A directory that is removed in the end: in memory if there is such a file system.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const std::string parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : ::testing::TempDir();
    std::string path = parent + "/flip_test-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) abort();
    path_ = path;
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class FlipTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Populate());
    ASSERT_NO_FATAL_FAILURE(Survey());
  }

  void Open() {
    archive_.reset();
    absl::StatusOr<std::unique_ptr<Archive>> opened =
        Archive::Open({.directory = directory_.string(), .decoder = decoder_.get()});
    ASSERT_TRUE(opened.ok()) << opened.status();
    archive_ = *std::move(opened);
  }
  void MustPut(const std::string& name, const std::string& bytes) {
    absl::StatusOr<PutResult> put = Put(*archive_, name, bytes);
    ASSERT_TRUE(put.ok()) << put.status();
    ASSERT_EQ(put->object.version, highest_[name] + 1);
    contents_[{name, ++highest_[name]}] = bytes;
  }
  void MustDelete(const std::string& name, uint64_t version) {
    ASSERT_TRUE(archive_->Delete({.name = name, .version = version}).ok());
    if (version == 0) {
      contents_[{name, ++highest_[name]}] = std::nullopt;
    } else {
      contents_.erase({name, version});
    }
  }
  std::string Pack(uint32_t number) const { return directory_ / "packs" / PackName(number); }
  void Copy(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
  }

  void WriteListedObject();
  void Populate();
  void Survey();
  void SurveyPack(uint32_t number, std::map<std::string, std::set<Object>>& needed_by);
  void Check(const Part& part, uint64_t at, bool lost_index);
  std::set<std::string> Expected(const Part& part, uint64_t at, bool lost_index) const;
  void CheckVersions(const Part& part, uint64_t at, bool lost_index);

  const TemporaryDirectory root_;
  const fs::path directory_ = root_.path() / "data";
  const fs::path pristine_ = root_.path() / "pristine";
  const std::unique_ptr<vx::DecodeService> decoder_ = NewInProcessDecodeService();
  std::unique_ptr<Archive> archive_;
  std::map<Object, std::optional<std::string>> contents_;  // nothing: a delete marker
  std::map<std::string, uint64_t> highest_;                // versions given out
  std::vector<Part> parts_;
};

// An object with a chunk list, which puts make for large ones only: written record by record.
void FlipTest::WriteListedObject() {
  fs::create_directories(directory_ / "packs");
  WriteFile(directory_ / "VERSION", "vxa-archive 0\n");
  PackWriter writer(Env::Real(), (directory_ / "packs").string(), uint64_t{1} << 30, {});
  const auto append = [&](RecordType type, const std::string& payload) {
    ASSERT_TRUE(writer.Append({.type = type, .pieces = {payload}}).ok());
  };
  const std::string whole = Noise(203, 1);
  archive::v1::ChunkList list;
  for (uint64_t offset = 0; offset < whole.size(); offset += 101) {
    const std::string bytes = whole.substr(offset, 101);
    const std::string blob = EncodeBlobPrefix(nullptr, bytes.size(), Digest::Of(bytes)) + bytes;
    append(RecordType::kBlob, blob);
    archive::v1::Chunk* chunk = list.add_chunks();
    chunk->set_offset(offset);
    chunk->set_length(bytes.size());
    *chunk->mutable_blob() = ToMessage(Digest::Of(blob));
  }
  const std::string payload = list.SerializeAsString();
  append(RecordType::kChunkList, payload);
  archive::v1::Manifest manifest;
  manifest.set_namespace_("default");
  manifest.set_name("listed");
  manifest.set_version(1);
  manifest.set_size(whole.size());
  *manifest.mutable_digest() = ToMessage(Digest::Of(whole));
  archive::v1::ChunkListRef* ref = manifest.add_chunk_lists();
  *ref->mutable_list() = ToMessage(Digest::Of(payload));
  ref->set_length(whole.size());
  ref->set_chunks(static_cast<uint32_t>(list.chunks_size()));
  append(RecordType::kManifest, manifest.SerializeAsString());
  ASSERT_TRUE(writer.Sync().ok());
  contents_[{"listed", ++highest_["listed"]}] = whole;
}

// Two packs with something of everything; the first has a tail that a crash left.
void FlipTest::Populate() {
  ASSERT_NO_FATAL_FAILURE(WriteListedObject());
  Open();
  MustPut("stored", Noise(203, 2));
  MustPut("deflated", Text(500, 3));
  MustPut("deflated", Text(400, 4));
  MustPut("view.gz", Gzip(Text(300, 5)));
  MustPut("gone", "x");
  MustDelete("gone", 0);
  MustPut("less", "1");
  MustPut("less", "2");
  MustDelete("less", 2);
  archive_.reset();
  Copy(directory_ / "index", root_.path() / "stale");
  const uint64_t begin = fs::file_size(Pack(1));
  Open();
  ASSERT_TRUE(Put(*archive_, "late", "never acknowledged").ok());
  archive_.reset();
  std::string bytes = ReadFile(Pack(1));
  std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(begin), kRecordHeaderSize, '\0');
  WriteFile(Pack(1), bytes.substr(0, bytes.find(std::string(kRecordMagic) + '\x07', begin)));
  Copy(root_.path() / "stale", directory_ / "index");
  Open();
  MustPut("deflated", Text(450, 6));
  MustPut("stored", Noise(100, 7));
  MustPut("again", "first");
  MustDelete("again", 0);
  MustPut("again", "third");
  archive_.reset();
  ASSERT_TRUE(fs::exists(Pack(2)) && !fs::exists(Pack(3)));
  Copy(directory_, pristine_);
}

// Notes the records of the intact packs.
void FlipTest::Survey() {
  std::map<std::string, std::set<Object>> needed_by;  // by the payload hash of a blob or list
  for (int step = 0; step < 3; ++step) {  // from manifests back to chunk lists and on to blobs
    parts_.clear();
    for (uint32_t pack : {1, 2}) ASSERT_NO_FATAL_FAILURE(SurveyPack(pack, needed_by));
  }
  for (size_t i = 0; i + 1 < parts_.size(); ++i) {
    const bool behind = parts_[i].what == "pack header" && parts_[i].pack == 2;
    if (behind || parts_[i + 1].abandoned) parts_[i].by_tail = true;
    if (behind) parts_[i + 1].by_tail = true;
  }
}

void FlipTest::SurveyPack(uint32_t number, std::map<std::string, std::set<Object>>& needed_by) {
  PackFiles files(Env::Real(), (directory_ / "packs").string());
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = files.Open(number);
  ASSERT_TRUE(pack.ok());
  const Part header{
      .what = "pack header", .pack = number, .padding = kPackHeaderSize, .end = kPackHeaderSize};
  parts_.push_back(header);
  PackScanner scanner(*(*pack)->file, (*pack)->header.uuid, kPackHeaderSize,
                      fs::file_size(Pack(number)), Digest());
  bool abandoned = false;
  for (;;) {
    absl::StatusOr<Scanned> next = scanner.Next();
    ASSERT_TRUE(next.ok());
    if (next->kind == Scanned::Kind::kEnd) return;
    Part part{.pack = number, .begin = next->offset, .payload = next->offset, .end = next->end};
    if (next->kind == Scanned::Kind::kDamage) abandoned = true;
    part.abandoned = abandoned;
    part.padding = part.end;
    if (next->header && !abandoned) {
      part.what = Name(next->header->type);
      part.payload = part.begin + kRecordHeaderSize;
      part.padding = part.payload + next->header->length;
      part.gives_version = MayGiveVersion(next->header->type);
      part.objects = needed_by[std::string(next->header->payload.raw())];
      if (next->header->type == RecordType::kManifest) {
        archive::v1::Manifest manifest;
        ASSERT_TRUE(manifest.ParseFromString(next->payload));
        const Object object = {manifest.name(), manifest.version()};
        part.objects = {object};
        for (const auto& chunk : manifest.chunks()) needed_by[chunk.blob().value()].insert(object);
        for (const auto& ref : manifest.chunk_lists()) needed_by[ref.list().value()].insert(object);
      } else if (next->header->type == RecordType::kUpdate) {
        archive::v1::Update update;
        ASSERT_TRUE(update.ParseFromString(next->payload));
        part.removal = update.removed() != 0;
        part.objects = {{update.name(), std::max(update.removed(), update.delete_marker())}};
      } else if (next->header->type == RecordType::kChunkList) {
        archive::v1::ChunkList list;
        ASSERT_TRUE(list.ParseFromString(next->payload));
        for (const auto& chunk : list.chunks()) {
          needed_by[chunk.blob().value()].insert(part.objects.begin(), part.objects.end());
        }
      }
    }
    parts_.push_back(part);
  }
}

// The listing of all versions after a flip.
std::set<std::string> FlipTest::Expected(const Part& part, uint64_t at, bool lost_index) const {
  std::set<std::string> expected;
  for (const auto& [object, bytes] : contents_) expected.insert(Show(object));
  if (!lost_index) return expected;
  // Without the first header of the second pack nobody knows where the first one ended.
  if (part.what == "pack header" && part.pack == 2) expected.insert("late@1");
  if (part.gives_version && at < part.padding) {
    for (const Object& object : part.objects) {
      if (part.removal) {
        expected.insert(Show(object));
      } else {
        expected.erase(Show(object));
      }
    }
  }
  return expected;
}

void FlipTest::Check(const Part& part, uint64_t at, bool lost_index) {
  ::testing::internal::CaptureStderr();
  Open();
  const std::string log = ::testing::internal::GetCapturedStderr();
  ASSERT_NE(archive_, nullptr) << log;
  const std::vector<std::string> listed = Names(*archive_, {.versions = true});
  ASSERT_EQ(std::set<std::string>(listed.begin(), listed.end()), Expected(part, at, lost_index))
      << log;
  const bool hits = at < part.padding && !part.abandoned;
  for (const auto& [object, bytes] : contents_) {
    if (!bytes) continue;
    absl::StatusOr<std::string> got = Get(*archive_, object.first, object.second);
    if (!hits || !part.objects.contains(object)) {
      ASSERT_TRUE(got.ok()) << Show(object) << ": " << got.status() << "\n" << log;
      ASSERT_TRUE(*got == *bytes) << Show(object);
    } else if (lost_index && part.gives_version) {
      ASSERT_TRUE(absl::IsNotFound(got.status())) << Show(object) << ": " << got.status();
    } else {
      ASSERT_TRUE(absl::IsDataLoss(got.status())) << Show(object) << ": " << got.status();
      const std::string text(got.status().message());
      ASSERT_NE(text.find(absl::StrCat(object.first, " version ", object.second)),
                std::string::npos)
          << text;
      const std::string place = absl::StrCat("pack ", PackName(part.pack), ", offset ", part.begin);
      ASSERT_NE(text.find(lost_index ? "is in no pack" : place), std::string::npos) << text;
    }
  }
  if (lost_index && !part.abandoned) {
    ASSERT_TRUE(log.find(absl::StrCat("pack ", PackName(part.pack))) != std::string::npos &&
                (log.find("damaged") != std::string::npos ||
                 log.find("may have been acknowledged") != std::string::npos ||
                 log.find("the pack header") != std::string::npos))
        << log;
  }
}

// New versions of what was hit, of what wasn't, and of a new name.
void FlipTest::CheckVersions(const Part& part, uint64_t at, bool lost_index) {
  uint64_t skipped = 0;  // at most
  if (lost_index && !part.abandoned && at < part.padding) {
    if (part.gives_version || at < part.payload) skipped = 1;  // its header: who knows what it was
    // Where nothing tells the tail's numbers from those of what was lost beside it.
    if (part.by_tail) skipped += kTailNumbers;
  }
  std::set<std::string> names = {"stored", "fresh"};
  for (const Object& object : part.objects) names.insert(object.first);
  for (const std::string& name : names) {
    const std::string bytes = "put after the flip";
    absl::StatusOr<PutResult> put = Put(*archive_, name, bytes);
    ASSERT_TRUE(put.ok()) << name << ": " << put.status();
    const auto given = highest_.find(name);
    const uint64_t least = (given == highest_.end() ? 0 : given->second) + 1;
    ASSERT_GE(put->object.version, least) << name << " got a version that was given out before";
    ASSERT_LE(put->object.version, least + skipped) << name;
    absl::StatusOr<std::string> got = Get(*archive_, name);
    ASSERT_TRUE(got.ok() && *got == bytes) << name << ": " << got.status();
  }
}

constexpr int kSlices = 8;
INSTANTIATE_TEST_SUITE_P(All, FlipTest, ::testing::Range(0, kSlices));

TEST_P(FlipTest, HurtsWhatNeedsTheByteAndNothingElse) {
  int flips = 0;
  for (const Part& part : parts_) {
    for (uint64_t at = part.begin; at < part.end; ++at) {
      const bool image = part.what == "decoder" && at >= part.payload && at < part.padding;
      if (image ? at % kImageStep != static_cast<uint64_t>(GetParam()) * 7
                : at % kSlices != static_cast<uint64_t>(GetParam())) {
        continue;
      }
      ++flips;
      std::string bytes = ReadFile(pristine_ / "packs" / PackName(part.pack));
      bytes[at] ^= static_cast<char>(1 << (at / kSlices) % 8);
      for (bool lost_index : {false, true}) {
        SCOPED_TRACE(absl::StrCat("byte ", at, " of pack ", part.pack, ", ", part.what, " at ",
                                  part.begin, lost_index ? ", index lost" : ""));
        archive_.reset();
        Copy(pristine_, directory_);
        if (lost_index) fs::remove_all(directory_ / "index");
        WriteFile(Pack(part.pack), bytes);
        ASSERT_NO_FATAL_FAILURE(Check(part, at, lost_index));
        ASSERT_NO_FATAL_FAILURE(CheckVersions(part, at, lost_index));
        if (flips % 8 != 0) continue;
        // What was put since stays, with its versions, whatever is lost with the index now.
        const std::vector<std::string> listed = Names(*archive_);
        archive_.reset();
        if (!lost_index) continue;
        fs::remove_all(directory_ / "index");
        ASSERT_NO_FATAL_FAILURE(Open());
        ASSERT_EQ(Names(*archive_), listed);
      }
    }
  }
  EXPECT_GT(flips, 500);
}

}  // namespace
}  // namespace vxa::testing
