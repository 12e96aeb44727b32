// What the archive's tests share: a directory of their own, puts and gets in one call, and files to
// damage. Decoders run in real workers.
#ifndef ARCHIVE_TESTING_ARCHIVE_FIXTURE_H_
#define ARCHIVE_TESTING_ARCHIVE_FIXTURE_H_

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "gtest/gtest.h"

namespace vxa::testing {

// Collects a read.
class Collector : public ReadSink {
 public:
  absl::Status Begin(const ReadHeader& header) override;
  absl::Status Append(std::string_view bytes) override;

  ReadHeader header;
  std::string bytes;
};

// The decode service of this process: real workers.
vx::DecodeService& Workers();

absl::StatusOr<PutResult> Put(Archive& archive, PutSpec spec, std::string_view bytes);
template <std::convertible_to<std::string> Name>
absl::StatusOr<PutResult> Put(Archive& archive, const Name& name, std::string_view bytes) {
  return Put(archive, PutSpec{.name = name}, bytes);
}
absl::StatusOr<std::string> Get(Archive& archive, const std::string& name, uint64_t version = 0);
// Names that a listing gives, "name@version" for listings of versions.
std::vector<std::string> Names(Archive& archive, ListSpec spec = {});

// Bytes that don't compress, the same for the same seed.
std::string Noise(size_t size, uint64_t seed);
// Bytes that do.
std::string Text(size_t size, uint64_t seed);
std::string Gzip(std::string_view bytes);
std::string Bzip2(std::string_view bytes);
// What a WAV file begins with that has so many bytes of 16-bit stereo sound after it.
std::string WavHeader(size_t bytes);

// Bytes that belong to a name: of many sizes, compressible or not.
std::string ContentOf(std::string_view name);

std::string ReadFile(const std::filesystem::path& path);
void WriteFile(const std::filesystem::path& path, std::string_view bytes);

class ArchiveFixture : public ::testing::Test {
 protected:
  ArchiveFixture();
  ~ArchiveFixture() override;

  ArchiveOptions Options() const;
  // Opens the archive in directory_, for the first time or again.
  void Open();
  void Close() { archive_.reset(); }
  std::filesystem::path Pack(int number = 1) const;

  const std::filesystem::path root_;       // removed in the end
  const std::filesystem::path directory_;  // of the archive
  uint64_t pack_size_ = uint64_t{1} << 30;
  vx::DecodeService* decoder_;
  std::unique_ptr<Archive> archive_;
};

}  // namespace vxa::testing

#endif  // ARCHIVE_TESTING_ARCHIVE_FIXTURE_H_
