#include "archive/testing/archive_fixture.h"

#include <bzlib.h>
#include <zlib.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>

#include "absl/strings/str_cat.h"

namespace vxa::testing {
namespace {

std::filesystem::path MakeTemporaryDirectory() {
  std::string path = (std::filesystem::path(::testing::TempDir()) / "archive-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) abort();
  return path;
}

}  // namespace

absl::Status Collector::Begin(const ReadHeader& begun) {
  header = begun;
  return absl::OkStatus();
}

absl::Status Collector::Append(std::string_view more) {
  bytes.append(more);
  return absl::OkStatus();
}

vx::DecodeService& Workers() {
  static vx::DecodeService* service = [] {
    absl::StatusOr<std::string> path = vx::FindWorker();
    absl::StatusOr<std::unique_ptr<vx::DecodeService>> made =
        path.ok() ? vx::NewWorkerDecodeService(*path) : path.status();
    if (!made.ok()) {
      std::cerr << made.status() << "\n";
      abort();
    }
    return made->release();
  }();
  return *service;
}

absl::StatusOr<PutResult> Put(Archive& archive, PutSpec spec, std::string_view bytes) {
  absl::StatusOr<std::unique_ptr<Upload>> upload = archive.Put(std::move(spec), {});
  if (!upload.ok()) return upload.status();
  if (absl::Status status = (*upload)->Append(bytes); !status.ok()) return status;
  return (*upload)->Finish(bytes.size(), Digest::Of(bytes));
}

absl::StatusOr<std::string> Get(Archive& archive, const std::string& name, uint64_t version) {
  Collector collector;
  absl::StatusOr<ReadResult> result =
      archive.Read({.name = name, .version = version}, collector, {});
  if (!result.ok()) return result.status();
  if (!result->verified) return absl::UnknownError("not verified");
  return collector.bytes;
}

std::vector<std::string> Names(Archive& archive, ListSpec spec) {
  std::vector<std::string> names;
  absl::StatusOr<ListResult> page = archive.List(spec);
  if (!page.ok()) return {page.status().ToString()};
  for (const ObjectInfo& object : page->objects) {
    names.push_back(spec.versions ? absl::StrCat(object.name, "@", object.version) : object.name);
  }
  return names;
}

std::string Noise(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::string Text(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < size) absl::StrAppend(&text, "line ", random() % 1000, " of many\n");
  text.resize(size);
  return text;
}

std::string Gzip(std::string_view bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Bzip2(std::string_view bytes) {
  auto size = static_cast<unsigned>(bytes.size() + bytes.size() / 100 + 600);
  std::string out(size, '\0');
  BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(bytes.data()),
                           static_cast<unsigned>(bytes.size()), 9, 0, 0);
  out.resize(size);
  return out;
}

std::string WavHeader(size_t bytes) {
  const auto le32 = [](uint64_t value) {
    std::string out;
    for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
    return out;
  };
  constexpr uint64_t kRate = 44100, kFrame = 4;
  return "RIFF" + le32(36 + bytes) + "WAVEfmt " + le32(16) + le32(2 << 16 | 1) + le32(kRate) +
         le32(kRate * kFrame) + le32(16 << 16 | kFrame) + "data" + le32(bytes);
}

std::string ContentOf(std::string_view name) {
  uint64_t seed = 0;
  for (uint8_t byte : Digest::Of(name).bytes) seed = seed * 31 + byte;
  constexpr size_t kSizes[] = {0, 1, 100, 5'000, 70'000, 5 << 20};
  const size_t size = kSizes[seed % 6] + seed % 97;
  return seed % 2 == 0 || size > 100'000 ? Noise(size, seed) : Text(size, seed);
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

ArchiveFixture::ArchiveFixture()
    : root_(MakeTemporaryDirectory()), directory_(root_ / "data"), decoder_(&Workers()) {}

ArchiveFixture::~ArchiveFixture() {
  archive_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

ArchiveOptions ArchiveFixture::Options() const {
  return {.directory = directory_.string(), .decoder = decoder_, .pack_size = pack_size_};
}

void ArchiveFixture::Open() {
  archive_.reset();
  absl::StatusOr<std::unique_ptr<Archive>> opened = Archive::Open(Options());
  ASSERT_TRUE(opened.ok()) << opened.status();
  archive_ = *std::move(opened);
}

std::filesystem::path ArchiveFixture::Pack(int number) const {
  return directory_ / "packs" / absl::StrCat("0000000", number, ".vxp");
}

}  // namespace vxa::testing
