#include "archive/pack_scanner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vxa {
namespace {

constexpr Digest kUnknown;

}  // namespace

PackScanner::PackScanner(const File& file, const Uuid& uuid, uint64_t offset, uint64_t end,
                         const Digest& chain)
    : file_(file), uuid_(uuid), offset_(offset), end_(end), chain_(chain) {}

absl::StatusOr<Scanned> PackScanner::Next() {
  Scanned next{.offset = offset_, .end = end_};
  if (offset_ >= end_) return next;
  std::string raw;
  absl::StatusOr<RecordHeader> header = HeaderAt(offset_, raw);
  if (absl::IsDataLoss(header.status())) {
    return Damage(std::move(next), std::string(header.status().message()));
  }
  if (!header.ok()) return header.status();
  next.header = *header;
  absl::StatusOr<std::string> wrong = CheckPayload(next);
  if (!wrong.ok()) return wrong.status();
  if (wrong->empty() && header->type == RecordType::kBarrier) {
    *wrong = CheckBarrier(*header, next.payload, raw);
  } else if (chain_ != kUnknown) {
    chain_ = ExtendChain(chain_, raw);
  }
  if (!wrong->empty()) return Damage(std::move(next), *std::move(wrong));
  next.kind = Scanned::Kind::kRecord;
  next.end = offset_ = offset_ + RecordSize(header->length);
  return next;
}

// The genuine header at `offset` and its bytes. DATA_LOSS, saying why, if there is none.
absl::StatusOr<RecordHeader> PackScanner::HeaderAt(uint64_t offset, std::string& raw) const {
  if (offset >= end_ || end_ - offset < kRecordHeaderSize) {
    return absl::DataLossError("the pack ends within a record header");
  }
  raw.resize(kRecordHeaderSize);
  if (absl::Status read = file_.Read(offset, raw); !read.ok()) return read;
  return DecodeRecordHeader(raw, uuid_, offset);
}

// Steps over damage: by the record's length if the record after it, by its sequence number, is
// where that leads (then nothing in the payload is taken for a record), else to whatever genuine
// header comes next.
absl::StatusOr<Scanned> PackScanner::Damage(Scanned damaged, std::string what) {
  damaged.kind = Scanned::Kind::kDamage;
  damaged.damage = std::move(what);
  if (damaged.header) {
    const uint64_t behind = offset_ + RecordSize(damaged.header->length);
    std::string raw;
    absl::StatusOr<RecordHeader> header = HeaderAt(behind, raw);
    if (!header.ok() && !absl::IsDataLoss(header.status())) return header.status();
    if (header.ok() && header->sequence == damaged.header->sequence + 1) {
      damaged.end = offset_ = behind;
      return damaged;
    }
  }
  absl::StatusOr<uint64_t> found = FindHeader(offset_ + kRecordAlignment);
  if (!found.ok()) return found.status();
  chain_ = kUnknown;
  damaged.end = offset_ = *found;
  return damaged;
}

// The offset of the next genuine record header at or after `from`, or the end.
absl::StatusOr<uint64_t> PackScanner::FindHeader(uint64_t from) const {
  constexpr uint64_t kBlock = uint64_t{1} << 20;
  while (from < end_ && end_ - from >= kRecordHeaderSize) {
    std::string block(std::min(kBlock, end_ - from), '\0');
    if (absl::Status read = file_.Read(from, block); !read.ok()) return read;
    uint64_t at = 0;
    for (; at + kRecordHeaderSize <= block.size(); at += kRecordAlignment) {
      std::string_view candidate = std::string_view(block).substr(at, kRecordHeaderSize);
      if (!candidate.starts_with(kRecordMagic)) continue;
      if (DecodeRecordHeader(candidate, uuid_, from + at).ok()) return from + at;
    }
    from += at;
  }
  return end_;
}

// Reads a record's payload; what is wrong with it, or "". Padding isn't worth losing a record.
absl::StatusOr<std::string> PackScanner::CheckPayload(Scanned& record) const {
  const RecordHeader& header = *record.header;
  const uint64_t size = RecordSize(header.length);
  if (end_ - offset_ < size) {
    return absl::StrCat("the pack ends within a ", Name(header.type), " record of ", size,
                        " bytes, after ", end_ - offset_);
  }
  std::string& payload = record.payload;
  payload.resize(size - kRecordHeaderSize);
  absl::Status read = file_.Read(offset_ + kRecordHeaderSize, payload);
  if (!read.ok()) return read;
  const bool padded =
      std::all_of(payload.begin() + header.length, payload.end(), [](char c) { return c == '\0'; });
  payload.resize(header.length);
  if (Digest::Of(payload) != header.payload) {
    return absl::StrCat("the payload of a ", Name(header.type), " record of ", header.length,
                        " bytes does not match its hash");
  }
  if (!padded) {
    record.damage = absl::StrCat("the padding of a ", Name(header.type), " record is not zero");
  }
  return "";
}

// What is wrong with a barrier, or "". From here on the running hash is what it says.
std::string PackScanner::CheckBarrier(const RecordHeader& header, const std::string& payload,
                                      const std::string& raw) {
  absl::StatusOr<Barrier> barrier = DecodeBarrier(payload);
  if (!barrier.ok()) return std::string(barrier.status().message());
  const bool matches = chain_ == kUnknown || chain_ == barrier->chain;
  chain_ = ExtendChain(barrier->chain, raw);
  if (!matches) return "a barrier's running hash does not match the records before it";
  if (barrier->durable > header.offset) return "a barrier speaks of what comes after it";
  return "";
}

}  // namespace vxa
