#include "archive/pack_scanner.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace vxa {

PackScanner::PackScanner(const OpenPack& pack, uint64_t offset, uint64_t end, const Digest& chain,
                         Payloads payloads)
    : pack_(pack), offset_(offset), end_(end), chain_(chain), payloads_(payloads) {}

absl::StatusOr<Scanned> PackScanner::Next() {
  Scanned next{.offset = offset_, .end = end_};
  if (offset_ >= end_) return next;
  const auto damage = [&](uint64_t end, std::string what) {
    next.kind = Scanned::Kind::kDamage;
    next.damage = std::move(what);
    next.end = offset_ = end;
    return next;
  };
  if (end_ - offset_ < kRecordHeaderSize) {
    return damage(end_, absl::StrCat("the pack ends within a record header, after ", end_ - offset_,
                                     " bytes"));
  }
  std::string raw(kRecordHeaderSize, '\0');
  if (absl::Status read = pack_.file->Read(offset_, raw); !read.ok()) return read;
  absl::StatusOr<RecordHeader> header = DecodeRecordHeader(raw, pack_.header.uuid, offset_);
  if (!header.ok()) {
    absl::StatusOr<uint64_t> found = FindHeader(offset_ + kRecordAlignment);
    if (!found.ok()) return found.status();
    chain_known_ = false;
    return damage(*found, std::string(header.status().message()));
  }
  const uint64_t size = RecordSize(header->length);
  if (end_ - offset_ < size) {
    return damage(end_, absl::StrCat("the pack ends within a ", Name(header->type), " record of ",
                                     size, " bytes, after ", end_ - offset_));
  }
  next.header = *header;
  const Digest chain_before = chain_;
  chain_ = ExtendChain(chain_, raw);
  if (payloads_ == Payloads::kAll || header->type == RecordType::kBarrier) {
    absl::StatusOr<std::string> wrong = CheckPayload(*header, next.payload);
    if (!wrong.ok()) return wrong.status();
    if (!wrong->empty()) return damage(offset_ + size, *wrong);
  }
  if (header->type == RecordType::kBarrier) {
    absl::StatusOr<Barrier> barrier = DecodeBarrier(next.payload);
    if (!barrier.ok()) return damage(offset_ + size, std::string(barrier.status().message()));
    const bool matches = barrier->chain == chain_before || !chain_known_;
    chain_ = ExtendChain(barrier->chain, raw);
    chain_known_ = true;
    if (!matches) {
      return damage(offset_ + size,
                    "a barrier's running hash does not match the records before it");
    }
  }
  next.kind = Scanned::Kind::kRecord;
  next.end = offset_ = offset_ + size;
  return next;
}

// The offset of the next genuine record header at or after `from`, or the end.
absl::StatusOr<uint64_t> PackScanner::FindHeader(uint64_t from) const {
  constexpr uint64_t kBlock = uint64_t{1} << 20;
  while (from < end_ && end_ - from >= kRecordHeaderSize) {
    std::string block(std::min(kBlock, end_ - from), '\0');
    if (absl::Status read = pack_.file->Read(from, block); !read.ok()) return read;
    uint64_t at = 0;
    for (; at + kRecordHeaderSize <= block.size(); at += kRecordAlignment) {
      std::string_view candidate = std::string_view(block).substr(at, kRecordHeaderSize);
      if (!candidate.starts_with(kRecordMagic)) continue;
      if (DecodeRecordHeader(candidate, pack_.header.uuid, from + at).ok()) return from + at;
    }
    from += at;
  }
  return end_;
}

// Reads the payload; what is wrong with it, or "".
absl::StatusOr<std::string> PackScanner::CheckPayload(const RecordHeader& header,
                                                      std::string& payload) const {
  payload.resize(RecordSize(header.length) - kRecordHeaderSize);
  absl::Status read = pack_.file->Read(header.offset + kRecordHeaderSize, payload);
  if (!read.ok()) return read;
  const bool padded =
      std::all_of(payload.begin() + header.length, payload.end(), [](char c) { return c == '\0'; });
  payload.resize(header.length);
  if (Digest::Of(payload) != header.payload) {
    return absl::StrCat("the payload of a ", Name(header.type), " record of ", header.length,
                        " bytes does not match its hash");
  }
  if (!padded) {
    return absl::StrCat("the padding of a ", Name(header.type), " record is not zero");
  }
  return "";
}

}  // namespace vxa
