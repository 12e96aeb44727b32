#include "archive/pack_scanner.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "archive/env.h"
#include "archive/pack_files.h"
#include "archive/pack_writer.h"
#include "gtest/gtest.h"

namespace vxa {
namespace {

class PackScannerTest : public ::testing::Test {
 protected:
  PackScannerTest() {
    std::string path = ::testing::TempDir() + "/packs-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) abort();
    directory_ = path;
    PackWriter writer(Env::Real(), directory_, uint64_t{1} << 30, {});
    Append(writer, RecordType::kBlob, "");
    Append(writer, RecordType::kBlob, "first");
    EXPECT_TRUE(writer.Sync().ok());
    Append(writer, RecordType::kUpdate, "second");
    EXPECT_TRUE(writer.Sync().ok());
    Append(writer, RecordType::kChunkList, std::string(100, 'x'));
    bytes_ = Read();
  }
  ~PackScannerTest() override { std::filesystem::remove_all(directory_); }

  void Append(PackWriter& writer, RecordType type, const std::string& payload) {
    EXPECT_TRUE(writer.Append({.type = type, .pieces = {payload}}).ok());
  }
  std::string Path() const { return directory_ + "/00000001.vxp"; }
  std::string Read() const {
    std::ifstream file(Path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Write(std::string_view bytes) const {
    std::ofstream(Path(), std::ios::binary | std::ios::trunc) << bytes;
  }

  // "B0 B5 u6 ..." for records by type and length, "!" for damage.
  std::string Scan() {
    PackFiles files(Env::Real(), directory_);
    absl::StatusOr<std::shared_ptr<const OpenPack>> pack = files.Open(1);
    if (!pack.ok()) return std::string(pack.status().message());
    if (!(*pack)->damage.ok()) return std::string((*pack)->damage.message());
    PackScanner scanner(*(*pack)->file, (*pack)->header.uuid, kPackHeaderSize,
                        *(*pack)->file->Size(), StartChain(bytes_.substr(0, kPackHeaderSize)));
    std::string seen;
    for (;;) {
      absl::StatusOr<Scanned> next = scanner.Next();
      if (!next.ok()) return std::string(next.status().message());
      if (next->kind == Scanned::Kind::kEnd) return seen;
      if (!seen.empty()) seen += " ";
      if (!next->damage.empty()) seen += "!";
      if (next->kind == Scanned::Kind::kRecord) {
        seen += Name(next->header->type) + std::to_string(next->header->length);
      }
    }
  }

  std::string directory_;
  std::string bytes_;
};

constexpr char kAll[] = "blob0 blob5 barrier40 update6 barrier40 chunk list100";

TEST_F(PackScannerTest, GivesAllRecordsInTheirOrder) { EXPECT_EQ(Scan(), kAll); }

TEST_F(PackScannerTest, NoticesEveryFlippedBit) {
  for (size_t at = 0; at < bytes_.size(); ++at) {
    std::string flipped = bytes_;
    flipped[at] ^= static_cast<char>(1 << at % 8);
    Write(flipped);
    EXPECT_NE(Scan(), kAll) << "byte " << at;
  }
}

TEST_F(PackScannerTest, GoesOnBehindADamagedPayload) {
  std::string damaged = bytes_;
  damaged[damaged.find("first")] ^= 1;
  Write(damaged);
  EXPECT_EQ(Scan(), "blob0 ! barrier40 update6 barrier40 chunk list100");
}

TEST_F(PackScannerTest, FindsTheNextGenuineHeaderBehindADamagedOne) {
  std::string damaged = bytes_;
  damaged[damaged.find("first") - 20] ^= 1;
  Write(damaged);
  EXPECT_EQ(Scan(), "blob0 ! barrier40 update6 barrier40 chunk list100");
}

TEST_F(PackScannerTest, ReportsAnEndWithinARecord) {
  for (size_t cut = 1; cut < 200; ++cut) {
    Write(std::string_view(bytes_).substr(0, bytes_.size() - cut));
    const std::string expected = cut == 192  ? "blob0 blob5 barrier40 update6 barrier40"
                                 : cut < 192 ? "blob0 blob5 barrier40 update6 barrier40 !"
                                             : "blob0 blob5 barrier40 update6 !";
    EXPECT_EQ(Scan(), expected) << cut;
  }
}

TEST_F(PackScannerTest, TakesNoRecordOfThisPackForOneElsewhereInIt) {
  PackFiles files(Env::Real(), directory_);
  std::string header = EncodeRecordHeader({.type = RecordType::kBlob,
                                           .length = static_cast<uint32_t>(bytes_.size()),
                                           .sequence = 7,
                                           .offset = bytes_.size(),
                                           .uuid = (*files.Open(1))->header.uuid,
                                           .payload = Digest::Of(bytes_)});
  Write(bytes_ + header + bytes_);
  EXPECT_EQ(Scan(), std::string(kAll) + " blob" + std::to_string(bytes_.size()));
  header[20] ^= 1;
  Write(bytes_ + header + bytes_);
  EXPECT_EQ(Scan(), std::string(kAll) + " !");
}

TEST_F(PackScannerTest, BelievesALengthOnlyIfTheNextRecordLiesWhereItLeads) {
  PackFiles files(Env::Real(), directory_);
  const Uuid uuid = (*files.Open(1))->header.uuid;
  const size_t offset = bytes_.find("first") - kRecordHeaderSize;
  const std::string raw = bytes_.substr(offset, kRecordHeaderSize);
  for (uint32_t length : {0u, 13u, 5u + 128 + 96, 400u, 1u << 20}) {
    absl::StatusOr<RecordHeader> header = DecodeRecordHeader(raw, uuid, offset);
    ASSERT_TRUE(header.ok());
    header->length = length;
    std::string changed = bytes_;
    changed.replace(offset, kRecordHeaderSize, EncodeRecordHeader(*header));
    Write(changed);
    EXPECT_EQ(Scan(), "blob0 ! barrier40 update6 barrier40 chunk list100") << length;
  }
}

TEST_F(PackScannerTest, NoticesRecordsThatWereTakenOutByTheRunningHash) {
  // Another record that is genuine at its offset: as if a write had gone back in time.
  PackFiles files(Env::Real(), directory_);
  const Uuid uuid = (*files.Open(1))->header.uuid;
  const size_t offset = bytes_.find("first") - kRecordHeaderSize;
  std::string header = EncodeRecordHeader({.type = RecordType::kBlob,
                                           .length = 5,
                                           .sequence = 2,
                                           .offset = offset,
                                           .uuid = uuid,
                                           .payload = Digest::Of("other")});
  std::string changed = bytes_;
  changed.replace(offset, header.size() + 5, header + "other");
  Write(changed);
  EXPECT_EQ(Scan(), "blob0 blob5 ! update6 barrier40 chunk list100");
}

}  // namespace
}  // namespace vxa
