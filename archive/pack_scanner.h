// Reads a pack from front to back, record by record, and past damage.
//
// Behind damage, the next genuine header is looked for at every multiple of 8. A record whose
// header is genuine and whose payload isn't is skipped by its length, if the next record does lie
// there.
#ifndef ARCHIVE_PACK_SCANNER_H_
#define ARCHIVE_PACK_SCANNER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "archive/env.h"
#include "archive/record_format.h"

namespace vxa {

// One step of a scan: a good record, or a stretch of damage, or the end.
struct Scanned {
  enum class Kind { kRecord, kDamage, kEnd } kind = Kind::kEnd;
  uint64_t offset = 0;                 // where it begins
  uint64_t end = 0;                    // where the next one does
  std::optional<RecordHeader> header;  // kRecord; kDamage too where it begins with a genuine one
  std::string payload;                 // kRecord only
  // kDamage: what is wrong. kRecord: what is, though the record is whole, or "".
  std::string damage;
};

// Used by one thread.
class PackScanner {
 public:
  // Scans [offset, end) of the pack with that UUID, whose file outlives the scanner. `end` is at
  // most the file's size and `chain` the running hash at `offset`, all zero if it isn't known.
  PackScanner(const File& file, const Uuid& uuid, uint64_t offset, uint64_t end,
              const Digest& chain);

  // Errors are the file's: what can't be read is not taken for damage.
  absl::StatusOr<Scanned> Next();

  // The running hash behind all that was scanned; after damage it is all zero, not known, up to the
  // next barrier.
  const Digest& chain() const { return chain_; }

 private:
  absl::StatusOr<RecordHeader> HeaderAt(uint64_t offset, std::string& raw) const;
  absl::StatusOr<uint64_t> FindHeader(uint64_t from) const;
  absl::StatusOr<std::string> CheckPayload(Scanned& record) const;
  std::string CheckBarrier(const RecordHeader& header, const std::string& payload,
                           const std::string& raw);
  absl::StatusOr<Scanned> Damage(Scanned damaged, std::string what);

  const File& file_;
  const Uuid uuid_;
  uint64_t offset_;
  const uint64_t end_;
  Digest chain_;
};

}  // namespace vxa

#endif  // ARCHIVE_PACK_SCANNER_H_
