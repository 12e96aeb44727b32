#include "archive/archive.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/codec.h"
#include "archive/errors.h"
#include "archive/testing/archive_fixture.h"
#include "gtest/gtest.h"

namespace vxa::testing {
namespace {

class ArchiveTest : public ArchiveFixture {
 protected:
  ArchiveTest() { Open(); }

  uint64_t MustPut(const PutSpec& spec, std::string_view bytes) {
    absl::StatusOr<PutResult> result = Put(*archive_, spec, bytes);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->object.version : 0;
  }
  template <std::convertible_to<std::string> Name>
  uint64_t MustPut(const Name& name, std::string_view bytes) {
    return MustPut(PutSpec{.name = name}, bytes);
  }
};

template <typename T>
std::string ReasonOf(const absl::StatusOr<T>& result) {
  return ReasonName(result.status());
}

TEST_F(ArchiveTest, GivesBackWhatWasPutThroughTheArchivedDecoder) {
  const std::string text = Text(300'000, 1);
  absl::StatusOr<PutResult> put = Put(*archive_, "a.txt", text);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "zstd");
  EXPECT_EQ(put->object.media_type, "text/plain");
  EXPECT_LT(put->object.stored_size, text.size() / 4);
  ASSERT_EQ(put->proof.size(), 1u);
  EXPECT_EQ(put->proof[0].decoder_name, "zstd");
  EXPECT_EQ(put->proof[0].decoded_bytes, text.size());

  Collector collector;
  absl::StatusOr<ReadResult> read = archive_->Read({.name = "a.txt"}, collector, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->verified);
  EXPECT_TRUE(collector.bytes == text);
  ASSERT_EQ(read->cost.size(), 1u);
  EXPECT_GT(put->proof[0].instructions, text.size());
  EXPECT_EQ(read->cost[0].instructions, put->proof[0].instructions);
}

// 16-bit samples of a sound.
std::string Sound(size_t bytes) {
  std::string sound;
  for (size_t i = 0; sound.size() < bytes; ++i) {
    const int sample = static_cast<int>(9000 * std::sin(static_cast<double>(i) / 40) + i * 7 % 11);
    sound.push_back(static_cast<char>(sample));
    sound.push_back(static_cast<char>(sample >> 8));
  }
  return sound;
}

TEST_F(ArchiveTest, EncodesWavFilesAsFlacChunkByChunk) {
  const std::string samples = Sound(9 << 20);
  const std::string wav = WavHeader(samples.size()) + samples + "LIST\4\0\0\0odd";
  absl::StatusOr<PutResult> put = Put(*archive_, "a.wav", wav);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "flac");
  EXPECT_EQ(put->object.chunks, 3u);
  EXPECT_EQ(put->proof[0].decoder_name, "flac");
  EXPECT_EQ(put->proof[0].decoded_bytes, wav.size());
  Open();
  EXPECT_TRUE(*Get(*archive_, "a.wav") == wav);
  Collector part;
  ASSERT_TRUE(archive_->Read({.name = "a.wav", .offset = 5'000'001, .limit = 10}, part, {}).ok());
  EXPECT_EQ(part.bytes, wav.substr(5'000'001, 10));
}

TEST_F(ArchiveTest, EncodesPicturesAsPng) {
  std::map<std::string, std::string> pictures;
  for (const std::string header :
       {"P4\n24000 1500\n", "P5\n1500 1500\n4095\n", "P6\n1000 1500\n255\n"}) {
    std::string& picture = pictures[header.substr(0, 2)] = header;
    for (int i = 0; i < 1500 * 3000; ++i) picture.push_back(static_cast<char>(i % 3000 / 200));
  }
  for (const auto& [name, picture] : pictures) {
    absl::StatusOr<PutResult> put = Put(*archive_, name, picture);
    ASSERT_TRUE(put.ok()) << put.status();
    EXPECT_EQ(put->object.codec, "png") << name;
    EXPECT_EQ(put->object.chunks, 2u);
  }
  Open();
  for (const auto& [name, picture] : pictures)
    EXPECT_TRUE(*Get(*archive_, name) == picture) << name;
}

TEST_F(ArchiveTest, TakesTheUsualCodecForWhatOnlyLooksLikeAFormat) {
  std::string wav = WavHeader(100'000) + Text(100'000, 1);
  wav[20] = 3;  // floating point
  absl::StatusOr<PutResult> put = Put(*archive_, "a.wav", wav);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "zstd");
  put = Put(*archive_, {.name = "b", .codec = "flac"}, Text(100'000, 1));
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "zstd");
  Open();
  EXPECT_TRUE(*Get(*archive_, "a.wav") == wav);
}

TEST_F(ArchiveTest, StoresWhatDoesNotCompress) {
  const std::string noise = Noise(100'000, 1);
  absl::StatusOr<PutResult> put = Put(*archive_, "noise", noise);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "store");
  EXPECT_EQ(put->object.stored_size, noise.size());
  EXPECT_TRUE(put->object.decoders.empty());
  EXPECT_TRUE(*Get(*archive_, "noise") == noise);
}

TEST_F(ArchiveTest, StoresWithTheCodecThatIsAskedFor) {
  const std::string bytes = WavHeader(300'000) + Sound(300'000);
  for (const Codec& codec : Codecs()) {
    const std::string name(codec.name);
    absl::StatusOr<PutResult> put = Put(*archive_, {.name = name, .codec = name}, bytes);
    ASSERT_TRUE(put.ok()) << put.status();
    EXPECT_EQ(put->object.codec, name == "png" ? "zstd" : name);  // it is no picture
    EXPECT_EQ(put->object.decoders.size(), codec.decoder.empty() ? 0u : 1u) << name;
  }
  Open();
  for (const Codec& codec : Codecs()) {
    EXPECT_TRUE(*Get(*archive_, std::string(codec.name)) == bytes) << codec.name;
  }
}

TEST_F(ArchiveTest, KeepsAnEmptyObject) {
  MustPut("empty", "");
  absl::StatusOr<ObjectInfo> info = archive_->Stat("default", "empty", 0);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->size, 0u);
  EXPECT_EQ(info->chunks, 0u);
  EXPECT_EQ(*Get(*archive_, "empty"), "");
}

TEST_F(ArchiveTest, CutsObjectsIntoChunksAndChoosesTheCodecForEach) {
  const std::string bytes = Noise(4 << 20, 1) + Text(4 << 20, 2) + Noise(12345, 3);
  absl::StatusOr<std::unique_ptr<Upload>> upload = archive_->Put({.name = "big"}, {});
  ASSERT_TRUE(upload.ok());
  for (size_t at = 0; at < bytes.size(); at += 1'000'003) {
    ASSERT_TRUE((*upload)->Append(std::string_view(bytes).substr(at, 1'000'003)).ok());
  }
  EXPECT_EQ((*upload)->persisted(), uint64_t{8} << 20);
  absl::StatusOr<PutResult> put = (*upload)->Finish(bytes.size(), Digest::Of(bytes));
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.codec, "mixed");
  EXPECT_EQ(put->object.chunks, 3u);
  EXPECT_TRUE(*Get(*archive_, "big") == bytes);
}

TEST_F(ArchiveTest, ReadsRanges) {
  const std::string bytes = Noise((8 << 20) + 77, 1);
  MustPut("big", bytes);
  constexpr uint64_t kChunk = 4 << 20;
  const std::pair<uint64_t, uint64_t> ranges[] = {{0, 1},          {0, 0},
                                                  {kChunk - 1, 2}, {kChunk, kChunk},
                                                  {kChunk * 2, 5}, {bytes.size(), 10},
                                                  {5, UINT64_MAX}, {bytes.size() - 3, UINT64_MAX}};
  for (const auto& [offset, limit] : ranges) {
    Collector collector;
    absl::StatusOr<ReadResult> read =
        archive_->Read({.name = "big", .offset = offset, .limit = limit}, collector, {});
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(collector.bytes == bytes.substr(offset, limit)) << offset << " " << limit;
    EXPECT_EQ(collector.header.size, bytes.size());
  }
  Collector collector;
  EXPECT_EQ(ReasonOf(archive_->Read({.name = "big", .offset = bytes.size() + 1}, collector, {})),
            "OFFSET_OUT_OF_RANGE");
}

TEST_F(ArchiveTest, UsesChunkListsForLargeObjects) {
  // More chunks than a manifest names itself, and nearly no work for each.
  const std::string chunk(4 << 20, 'x');
  constexpr int kChunks = 66;
  absl::StatusOr<std::unique_ptr<Upload>> upload =
      archive_->Put({.name = "large", .codec = "store"}, {});
  ASSERT_TRUE(upload.ok());
  Hasher hasher;
  for (int i = 0; i < kChunks; ++i) {
    hasher.Update(chunk);
    ASSERT_TRUE((*upload)->Append(chunk).ok());
  }
  hasher.Update("end");
  ASSERT_TRUE((*upload)->Append("end").ok());
  absl::StatusOr<PutResult> put = (*upload)->Finish(kChunks * chunk.size() + 3, hasher.Finish());
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.chunks, kChunks + 1u);
  Collector collector;
  absl::StatusOr<ReadResult> read =
      archive_->Read({.name = "large", .offset = kChunks * chunk.size() - 2}, collector, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(collector.bytes, "xxend");
}

TEST_F(ArchiveTest, RefusesBytesThatAreNotWhatTheSenderSent) {
  absl::StatusOr<std::unique_ptr<Upload>> upload = archive_->Put({.name = "a"}, {});
  ASSERT_TRUE((*upload)->Append("hello").ok());
  EXPECT_EQ(ReasonOf((*upload)->Finish(5, Digest::Of("hallo"))), "CHECKSUM_MISMATCH");
  upload = archive_->Put({.name = "a"}, {});
  ASSERT_TRUE((*upload)->Append("hello").ok());
  EXPECT_EQ(ReasonOf((*upload)->Finish(6, Digest::Of("hello"))), "CHECKSUM_MISMATCH");
  EXPECT_EQ(ReasonOf(archive_->Stat("default", "a", 0)), "OBJECT_NOT_FOUND");
}

TEST_F(ArchiveTest, DoesNotShowAnUploadThatWasGivenUp) {
  {
    absl::StatusOr<std::unique_ptr<Upload>> upload = archive_->Put({.name = "a"}, {});
    ASSERT_TRUE((*upload)->Append(Noise(5 << 20, 1)).ok());
  }
  EXPECT_EQ(ReasonOf(archive_->Stat("default", "a", 0)), "OBJECT_NOT_FOUND");
  Open();
  EXPECT_EQ(ReasonOf(archive_->Stat("default", "a", 0)), "OBJECT_NOT_FOUND");
}

TEST_F(ArchiveTest, CountsVersionsAndKeepsTheOldOnes) {
  EXPECT_EQ(MustPut("a", "one"), 1u);
  EXPECT_EQ(MustPut("a", "two"), 2u);
  EXPECT_EQ(*Get(*archive_, "a"), "two");
  EXPECT_EQ(*Get(*archive_, "a", 1), "one");
  EXPECT_EQ(ReasonOf(Get(*archive_, "a", 3)), "OBJECT_NOT_FOUND");
}

TEST_F(ArchiveTest, AddsNothingForTheBytesThatAreThereAlready) {
  EXPECT_EQ(MustPut("a", "one"), 1u);
  absl::StatusOr<PutResult> again = Put(*archive_, "a", "one");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(again->object.version, 1u);
  EXPECT_EQ(MustPut("a", "two"), 2u);
  EXPECT_EQ(MustPut("a", "one"), 3u);  // only the latest counts
}

TEST_F(ArchiveTest, HoldsPutsToTheirPreconditions) {
  EXPECT_EQ(MustPut({.name = "a", .if_version = 0}, "one"), 1u);
  EXPECT_EQ(ReasonOf(Put(*archive_, {.name = "a", .if_absent = true}, "two")), "OBJECT_EXISTS");
  EXPECT_EQ(ReasonOf(Put(*archive_, {.name = "a", .if_version = 0}, "two")), "VERSION_MISMATCH");
  EXPECT_EQ(ReasonOf(Put(*archive_, {.name = "a", .if_version = 2}, "two")), "VERSION_MISMATCH");
  EXPECT_EQ(MustPut({.name = "a", .if_version = 1}, "two"), 2u);
  ASSERT_TRUE(archive_->Delete({.name = "a"}).ok());
  EXPECT_EQ(MustPut({.name = "a", .if_absent = true}, "three"), 4u);
}

TEST_F(ArchiveTest, FindsTheSameVersionForTheSameRequest) {
  EXPECT_EQ(MustPut({.name = "a", .request_id = "r1"}, "one"), 1u);
  EXPECT_EQ(MustPut({.name = "a", .request_id = "r2"}, "two"), 2u);
  Open();
  absl::StatusOr<PutResult> again =
      Put(*archive_, {.name = "a", .if_absent = true, .request_id = "r1"}, "one");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->unchanged);
  EXPECT_EQ(again->object.version, 1u);
  EXPECT_EQ(ReasonOf(Put(*archive_, {.name = "a", .request_id = "r1"}, "other")),
            "INVALID_REQUEST");
  EXPECT_EQ(MustPut({.name = "b", .request_id = "r1"}, "other"), 1u);

  EXPECT_EQ(*archive_->Delete({.name = "a", .request_id = "d1"}), 3u);
  EXPECT_EQ(*archive_->Delete({.name = "a", .request_id = "d1"}), 3u);
  EXPECT_EQ(*archive_->Delete({.name = "a", .version = 1, .request_id = "d2"}), 1u);
  EXPECT_EQ(*archive_->Delete({.name = "a", .version = 1, .request_id = "d2"}), 1u);
}

TEST_F(ArchiveTest, HidesANameBehindADeleteMarker) {
  MustPut("a", "one");
  EXPECT_EQ(*archive_->Delete({.name = "a"}), 2u);
  EXPECT_EQ(ReasonOf(Get(*archive_, "a")), "OBJECT_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Get(*archive_, "a", 2)), "OBJECT_NOT_FOUND");
  EXPECT_EQ(*Get(*archive_, "a", 1), "one");
  EXPECT_EQ(ReasonOf(archive_->Delete({.name = "a"})), "OBJECT_NOT_FOUND");
  EXPECT_TRUE(Names(*archive_).empty());
  EXPECT_EQ(Names(*archive_, {.versions = true}), (std::vector<std::string>{"a@2", "a@1"}));
  EXPECT_EQ(*archive_->Delete({.name = "a", .version = 2}), 2u);
  EXPECT_EQ(*Get(*archive_, "a"), "one");
  EXPECT_EQ(MustPut("a", "two"), 3u);
}

TEST_F(ArchiveTest, RemovesAVersionForGoodAndNeverReusesItsNumber) {
  MustPut("a", "one");
  MustPut("a", "two");
  EXPECT_EQ(ReasonOf(archive_->Delete({.name = "a", .version = 2, .if_version = 1})),
            "VERSION_MISMATCH");
  EXPECT_EQ(*archive_->Delete({.name = "a", .version = 2}), 2u);
  EXPECT_EQ(*Get(*archive_, "a"), "one");
  EXPECT_EQ(*archive_->Delete({.name = "a", .version = 1}), 1u);
  EXPECT_EQ(ReasonOf(Get(*archive_, "a")), "OBJECT_NOT_FOUND");
  EXPECT_EQ(ReasonOf(archive_->Delete({.name = "a", .version = 1})), "OBJECT_NOT_FOUND");
  EXPECT_TRUE(Names(*archive_, {.versions = true}).empty());
  Open();
  EXPECT_EQ(MustPut("a", "three"), 3u);
}

TEST_F(ArchiveTest, ChecksNamesNamespacesAndFields) {
  for (const char* name : {"", "/a", "a//b", "a/", "a/./b", "..", "a\nb", "\xff", "\xc2\x85"}) {
    EXPECT_EQ(ReasonOf(Put(*archive_, name, "x")), "INVALID_NAME") << name;
  }
  EXPECT_EQ(ReasonOf(Put(*archive_, std::string(1025, 'a'), "x")), "INVALID_NAME");
  EXPECT_EQ(ReasonOf(Put(*archive_, {.ns = "other", .name = "a"}, "x")), "NAMESPACE_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Put(*archive_, {.ns = "", .name = "a"}, "x")), "INVALID_NAME");
  EXPECT_EQ(ReasonOf(Put(*archive_, {.name = "a", .codec = "rot13"}, "x")), "CODEC_NOT_FOUND");
  EXPECT_EQ(ReasonOf(Put(*archive_, {.name = "a", .request_id = std::string(129, 'r')}, "x")),
            "INVALID_REQUEST");
  EXPECT_EQ(
      ReasonOf(Put(*archive_, {.name = "a", .metadata = {{"k", std::string(65536, 'v')}}}, "x")),
      "INVALID_REQUEST");
  EXPECT_EQ(MustPut("größe/日本語 .txt", "x"), 1u);
}

TEST_F(ArchiveTest, KeepsMetadataAndSource) {
  const absl::Time modified = absl::FromUnixNanos(1'234'567'890'123'456'789);
  MustPut({.name = "a",
           .media_type = "text/x-poem",
           .metadata = {{"k", "v"}, {"l", ""}},
           .source = {.path = "dir/\xff", .modified = modified, .mode = 0644}},
          "roses");
  Open();
  absl::StatusOr<ObjectInfo> info = archive_->Stat("default", "a", 0);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->media_type, "text/x-poem");
  EXPECT_EQ(info->metadata, (Metadata{{"k", "v"}, {"l", ""}}));
  EXPECT_EQ(info->source.path, "dir/\xff");
  EXPECT_EQ(info->source.modified, modified);
  EXPECT_EQ(info->source.mode, 0644u);
}

TEST_F(ArchiveTest, GivesAGzipFileAViewOfWhatIsInIt) {
  const std::string text = Text(200'000, 1);
  const std::string gzip = Gzip(text);
  absl::StatusOr<PutResult> put = Put(*archive_, "notes.txt.gz", gzip);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.media_type, "application/gzip");
  EXPECT_EQ(put->object.codec, "store");
  ASSERT_EQ(put->object.views.size(), 1u);
  const View& view = put->object.views[0];
  EXPECT_EQ(view.status, View::Status::kVerified) << view.failure;
  EXPECT_EQ(view.name, "decoded");
  EXPECT_EQ(view.size, text.size());
  EXPECT_EQ(view.digest, Digest::Of(text));
  EXPECT_EQ(view.media_type, "text/plain");
  EXPECT_EQ(view.extension, ".txt");

  Open();
  EXPECT_TRUE(*Get(*archive_, "notes.txt.gz") == gzip);
  Collector collector;
  absl::StatusOr<ReadResult> read =
      archive_->Read({.name = "notes.txt.gz", .form = Form::kView}, collector, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->verified);
  EXPECT_TRUE(collector.bytes == text);
  EXPECT_EQ(collector.header.extension, ".txt");
  EXPECT_EQ(collector.header.size, text.size());

  Collector part;
  read = archive_->Read(
      {.name = "notes.txt.gz", .form = Form::kView, .offset = 100'000, .limit = 10}, part, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(part.bytes, text.substr(100'000, 10));
}

TEST_F(ArchiveTest, GivesABzip2FileAViewOfWhatIsInIt) {
  const std::string text = Text(300'000, 1);
  const std::string bzip2 = Bzip2(text);
  absl::StatusOr<PutResult> put = Put(*archive_, "notes.tbz2", bzip2);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->object.media_type, "application/x-bzip2");
  EXPECT_EQ(put->object.codec, "store");
  ASSERT_EQ(put->object.views.size(), 1u);
  const View& view = put->object.views[0];
  EXPECT_EQ(view.status, View::Status::kVerified) << view.failure;
  EXPECT_EQ(view.arguments, std::vector<std::string>());
  EXPECT_EQ(view.extension, ".tar");

  Open();
  EXPECT_TRUE(*Get(*archive_, "notes.tbz2") == bzip2);
  Collector collector;
  absl::StatusOr<ReadResult> read =
      archive_->Read({.name = "notes.tbz2", .form = Form::kView}, collector, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->verified);
  EXPECT_TRUE(collector.bytes == text);
}

TEST_F(ArchiveTest, KeepsABrokenGzipFileAndSaysWhatIsWrongWithIt) {
  std::string gzip = Gzip(Text(200'000, 1));
  gzip.resize(gzip.size() / 2);
  absl::StatusOr<PutResult> put = Put(*archive_, "half.gz", gzip);
  ASSERT_TRUE(put.ok()) << put.status();
  ASSERT_EQ(put->object.views.size(), 1u);
  EXPECT_EQ(put->object.views[0].status, View::Status::kFailed);
  EXPECT_NE(put->object.views[0].failure.find("the input ends"), std::string::npos)
      << put->object.views[0].failure;
  EXPECT_TRUE(*Get(*archive_, "half.gz") == gzip);
  Collector collector;
  EXPECT_EQ(ReasonOf(archive_->Read({.name = "half.gz", .form = Form::kView}, collector, {})),
            "VIEW_NOT_VERIFIED");
  MustPut("plain", "x");
  EXPECT_EQ(ReasonOf(archive_->Read({.name = "plain", .form = Form::kView}, collector, {})),
            "VIEW_NOT_FOUND");
}

TEST_F(ArchiveTest, RecordsThatAViewWentOverTheLimit) {
  archive_.reset();
  ArchiveOptions options = Options();
  options.decodes.output = 1000;
  absl::StatusOr<std::unique_ptr<Archive>> opened = Archive::Open(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  absl::StatusOr<PutResult> put = Put(**opened, "bomb.gz", Gzip(std::string(100'000, 'x')));
  ASSERT_TRUE(put.ok()) << put.status();
  ASSERT_EQ(put->object.views.size(), 1u);
  EXPECT_EQ(put->object.views[0].status, View::Status::kOverLimit);
  EXPECT_FALSE(put->object.views[0].failure.empty());
}

TEST_F(ArchiveTest, MakesTheViewOfAGzipFileThatIsStoredDeflated) {
  const std::string text = Text(100'000, 1);
  MustPut({.name = "a.gz", .codec = "deflate"}, Gzip(text));
  Collector collector;
  absl::StatusOr<ReadResult> read =
      archive_->Read({.name = "a.gz", .form = Form::kView}, collector, {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(collector.bytes == text);
}

TEST_F(ArchiveTest, ListsInBytewiseOrderWithPrefixAndDelimiter) {
  for (const char* name : {"b", "a/2", "a", "a/1/x", "a.b", "ä", "a/1/y", "c/d"}) {
    MustPut(name, name);
  }
  MustPut("hidden/x", "x");
  ASSERT_TRUE(archive_->Delete({.name = "hidden/x"}).ok());
  using Strings = std::vector<std::string>;
  EXPECT_EQ(Names(*archive_), (Strings{"a", "a.b", "a/1/x", "a/1/y", "a/2", "b", "c/d", "ä"}));
  EXPECT_EQ(Names(*archive_, {.prefix = "a/"}), (Strings{"a/1/x", "a/1/y", "a/2"}));
  absl::StatusOr<ListResult> page = archive_->List({.delimiter = "/"});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->prefixes, (Strings{"a/", "c/"}));
  EXPECT_EQ(Names(*archive_, {.delimiter = "/"}), (Strings{"a", "a.b", "b", "ä"}));
  page = archive_->List({.prefix = "a/", .delimiter = "/"});
  EXPECT_EQ(page->prefixes, (Strings{"a/1/"}));
  EXPECT_EQ(Names(*archive_, {.prefix = "a/", .delimiter = "/"}), (Strings{"a/2"}));
}

// All pages of a listing, items as "o:name@version" and "p:prefix".
std::vector<std::string> Pages(Archive& archive, ListSpec spec) {
  std::vector<std::string> items;
  for (int page = 0; page < 100; ++page) {
    absl::StatusOr<ListResult> result = archive.List(spec);
    if (!result.ok()) return {result.status().ToString()};
    EXPECT_LE(result->objects.size() + result->prefixes.size(), spec.page_size);
    for (const auto& o : result->objects)
      items.push_back(absl::StrCat("o:", o.name, "@", o.version));
    for (const auto& p : result->prefixes) items.push_back("p:" + p);
    spec.page_token = result->next_page_token;
    if (spec.page_token.empty()) break;
  }
  return items;
}

TEST_F(ArchiveTest, ListsTheSameInPagesOfAnySize) {
  for (const char* name : {"a", "b/1", "b/2", "c", "d/1", "e"}) {
    MustPut(name, "1");
    MustPut(name, "2");
    MustPut(name, "3");
  }
  ASSERT_TRUE(archive_->Delete({.name = "c"}).ok());
  for (const char* delimiter : {"", "/"}) {
    for (bool versions : {false, true}) {
      const ListSpec all{.delimiter = delimiter, .page_size = 1000, .versions = versions};
      std::vector<std::string> expected = Pages(*archive_, all);
      std::ranges::sort(expected);
      EXPECT_GT(expected.size(), 3u);
      for (uint32_t size = 1; size < 8; ++size) {
        ListSpec spec = all;
        spec.page_size = size;
        std::vector<std::string> items = Pages(*archive_, spec);
        std::ranges::sort(items);
        EXPECT_EQ(items, expected) << delimiter << versions << size;
      }
    }
  }
}

TEST_F(ArchiveTest, RefusesPageTokensOfOtherListings) {
  MustPut("a", "1");
  MustPut("b", "1");
  absl::StatusOr<ListResult> page = archive_->List({.page_size = 1});
  ASSERT_FALSE(page->next_page_token.empty());
  EXPECT_TRUE(archive_->List({.page_token = page->next_page_token}).ok());
  EXPECT_EQ(ReasonOf(archive_->List({.prefix = "a", .page_token = page->next_page_token})),
            "INVALID_REQUEST");
  EXPECT_EQ(ReasonOf(archive_->List({.page_token = "AAAA" + page->next_page_token})),
            "INVALID_REQUEST");
  EXPECT_EQ(ReasonOf(archive_->List({.page_token = "?"})), "INVALID_REQUEST");
}

TEST_F(ArchiveTest, LetsOneOfManyConcurrentPutsWin) {
  constexpr int kThreads = 8;
  std::vector<std::string> outcomes(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      absl::StatusOr<PutResult> put =
          Put(*archive_, {.name = "a", .if_absent = true}, absl::StrCat("from ", i));
      outcomes[i] = put.ok() ? "won" : ReasonOf(put);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::ranges::count(outcomes, "won"), 1);
  EXPECT_EQ(std::ranges::count(outcomes, "OBJECT_EXISTS"), kThreads - 1);
  EXPECT_EQ(Names(*archive_, {.versions = true}), std::vector<std::string>{"a@1"});
}

TEST_F(ArchiveTest, TakesPutsGetsAndDeletesFromManyThreads) {
  constexpr int kThreads = 6, kEach = 30;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string own = absl::StrCat("own/", t, "/", i);
        const std::string bytes = Noise(100 + 50 * i, t * 1000 + i);
        EXPECT_EQ(MustPut(own, bytes), 1u);
        EXPECT_GT(MustPut("shared", absl::StrCat(t, " ", i)), 0u);
        absl::StatusOr<std::string> got = Get(*archive_, own);
        EXPECT_TRUE(got.ok() && *got == bytes) << got.status();
        if (i % 3 != 0) continue;
        EXPECT_TRUE(archive_->Delete({.name = own}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(archive_->Stat("default", "shared", 0)->version, uint64_t{kThreads * kEach});
  const std::vector<std::string> before = Names(*archive_, {.prefix = "own/"});
  EXPECT_EQ(before.size(), size_t{kThreads * kEach * 2 / 3});
  Open();
  EXPECT_EQ(Names(*archive_, {.prefix = "own/"}), before);
}

TEST_F(ArchiveTest, StopsWhenTheCallerHangsUp) {
  bool cancelled = false;
  absl::StatusOr<std::unique_ptr<Upload>> upload =
      archive_->Put({.name = "a"}, {.cancelled = [&] { return cancelled; }});
  ASSERT_TRUE((*upload)->Append("hello").ok());
  cancelled = true;
  EXPECT_TRUE(absl::IsCancelled((*upload)->Append("more")));
  EXPECT_TRUE(absl::IsCancelled((*upload)->Finish(9, Digest::Of("hellomore")).status()));

  upload = archive_->Put({.name = "a"}, {.deadline = absl::InfinitePast()});
  EXPECT_TRUE(absl::IsDeadlineExceeded((*upload)->Append("hello")));
}

TEST_F(ArchiveTest, RefusesASecondOpenerAndAnUnknownVersion) {
  absl::StatusOr<std::unique_ptr<Archive>> second = Archive::Open(Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_NE(second.status().message().find("another server"), std::string::npos);
  Close();
  WriteFile(directory_ / "VERSION", "vxa-archive 7\n");
  second = Archive::Open(Options());
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_NE(second.status().message().find("vxa-archive 7"), std::string::npos);
}

TEST_F(ArchiveTest, SpreadsOverPacksEachWithItsDecoders) {
  pack_size_ = 16 << 20;
  Open();
  std::vector<std::string> contents;
  for (int i = 0; i < 8; ++i) {
    contents.push_back(Noise(4 << 20, i) + Text(100'000, i));
    MustPut(absl::StrCat("o", i), contents.back());
  }
  EXPECT_TRUE(std::filesystem::exists(Pack(3)));
  for (int run = 0; run < 2; ++run) {
    for (int i = 0; i < 8; ++i) {
      absl::StatusOr<std::string> got = Get(*archive_, absl::StrCat("o", i));
      EXPECT_TRUE(got.ok() && *got == contents[i]) << got.status();
    }
    Close();
    std::filesystem::remove_all(directory_ / "index");
    Open();
  }
}

}  // namespace
}  // namespace vxa::testing
