// Packs and records, byte by byte. All integers are little-endian.
//
// A pack is a file of a header and records one after another, each at a multiple of 8:
//
//   pack header, 96 bytes                       record header, 88 bytes
//    0   8  magic 89 'V' 'X' 'P' 0d 0a 1a 0a     0   8  magic 89 'V' 'X' 'R' 0d 0a 1a 0a
//    8   4  format version                       8   1  type
//   12   4  number of the pack                   9   1  flags: bit 0 critical, others zero
//   16  16  UUID of the pack                    10   1  hash algorithm: 1 is SHA-256
//   32   8  created, microseconds since 1970    11   1  zero
//   40  16  UUID of the pack before it          12   4  length of the payload, at most 16 MiB
//   56   8  where that one ends                 16   8  sequence number
//   64  28  zero                                24   8  offset of this header in its pack
//   92   4  CRC-32C of bytes 0-91               32  16  UUID of the pack
//                                               48  32  hash of the payload
//                                               80   4  zero
//                                               84   4  CRC-32C of bytes 0-83
//                                               88      payload, then zeros up to a multiple of 8
//
// A record header that doesn't say where it lies is not a record: whatever a payload contains, it
// can't be taken for one, for nobody outside knows the UUID.
#ifndef ARCHIVE_RECORD_FORMAT_H_
#define ARCHIVE_RECORD_FORMAT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "archive/digest.h"

namespace vxa {

inline constexpr std::string_view kPackMagic = "\x89VXP\r\n\x1a\n";
inline constexpr std::string_view kRecordMagic = "\x89VXR\r\n\x1a\n";
inline constexpr uint32_t kFormatVersion = 0;
inline constexpr uint32_t kReaderVersion = 0;  // what a message's min_reader may be at most
inline constexpr uint64_t kPackHeaderSize = 96;
inline constexpr uint64_t kRecordHeaderSize = 88;
inline constexpr uint64_t kRecordAlignment = 8;
inline constexpr uint64_t kMaxPayload = uint64_t{16} << 20;

using Uuid = std::array<uint8_t, 16>;

// The numbers are stored: never reuse one.
enum class RecordType : uint8_t {
  kDecoder = 1,
  kBlob = 2,
  kChunkList = 3,
  kManifest = 4,
  kUpdate = 5,
  kEvent = 6,
  kBarrier = 7,
};

inline bool IsKnown(RecordType type) {
  return type >= RecordType::kDecoder && type <= RecordType::kBarrier;
}

// Whether records of this type change the archive's state and come through commits; the others are
// what such records name.
inline bool IsCommitted(RecordType type) {
  return type == RecordType::kManifest || type == RecordType::kUpdate || type == RecordType::kEvent;
}

// Whether a reader that doesn't know the type may not pass over it.
inline bool IsCritical(RecordType type) {
  return type != RecordType::kBarrier && type != RecordType::kEvent;
}

// Whether a record of this type may give out a version, as far as this program knows.
inline bool MayGiveVersion(RecordType type) {
  return type == RecordType::kManifest || type == RecordType::kUpdate || !IsKnown(type);
}

// "blob", "manifest", ... or "type 9".
std::string Name(RecordType type);

struct PackHeader {
  uint32_t number = 0;
  Uuid uuid{};
  int64_t created = 0;        // microseconds since 1970-01-01T00:00:00Z
  Uuid previous_uuid{};       // zero: none, or nothing is known of it
  uint64_t previous_end = 0;  // what lies there or behind it in the pack before is abandoned
};

struct RecordHeader {
  RecordType type = RecordType::kBlob;
  bool critical = true;  // a reader that doesn't know the type must refuse the pack
  uint32_t length = 0;   // bytes of the payload
  uint64_t sequence = 0;
  uint64_t offset = 0;
  Uuid uuid{};
  Digest payload;
};

// Where a record lies.
struct Location {
  uint32_t pack = 0;
  uint64_t offset = 0;
  uint32_t length = 0;  // bytes of the payload
  auto operator<=>(const Location&) const = default;
};

// "pack 00000001.vxp, offset 96".
std::string Describe(const Location& location);

// "00000001.vxp", and back: 0 for a name that isn't a pack's.
std::string PackName(uint32_t number);
uint32_t PackNumber(std::string_view name);

// What a record with such a payload takes up.
inline uint64_t RecordSize(uint64_t payload) {
  return kRecordHeaderSize + (payload + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

std::string EncodePackHeader(const PackHeader& header);
// REQUIRES: `bytes` has kPackHeaderSize. FAILED_PRECONDITION for a version this program doesn't
// know, else DATA_LOSS.
absl::StatusOr<PackHeader> DecodePackHeader(std::string_view bytes);

std::string EncodeRecordHeader(const RecordHeader& header);
// REQUIRES: `bytes` has kRecordHeaderSize. DATA_LOSS, saying what is wrong, unless it is a genuine
// header of the pack with that UUID (none: of whatever pack) and at that offset. The type may be
// one that isn't known.
absl::StatusOr<RecordHeader> DecodeRecordHeader(std::string_view bytes, std::optional<Uuid> uuid,
                                                uint64_t offset);

// A pack's running hash: SHA-256 of the hash before (first: the pack's header hashed) and the
// header of the next record. A barrier has its value before the barrier itself.
Digest StartChain(std::string_view pack_header);
Digest ExtendChain(const Digest& chain, std::string_view record_header);

// A barrier's payload: 8 bytes offset, 32 bytes hash.
struct Barrier {
  uint64_t durable = 0;  // everything before this offset of the pack was on stable storage
  Digest chain;
};
std::string EncodeBarrier(const Barrier& barrier);
absl::StatusOr<Barrier> DecodeBarrier(std::string_view payload);

}  // namespace vxa

#endif  // ARCHIVE_RECORD_FORMAT_H_
