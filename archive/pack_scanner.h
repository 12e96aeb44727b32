// Reads a pack from front to back, record by record, and past damage.
//
// A record whose header is genuine but whose payload isn't is skipped by its length. Where there is
// no genuine header, the next one is looked for at every multiple of 8.
#ifndef ARCHIVE_PACK_SCANNER_H_
#define ARCHIVE_PACK_SCANNER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "archive/pack_files.h"
#include "archive/record_format.h"

namespace vxa {

// One step of a scan: a good record, or a stretch of damage, or the end.
struct Scanned {
  enum class Kind { kRecord, kDamage, kEnd } kind = Kind::kEnd;
  uint64_t offset = 0;  // where it begins
  uint64_t end = 0;     // where the next one does
  RecordHeader header;  // kRecord only
  std::string payload;  // kRecord only
  std::string damage;   // kDamage only: what is wrong
};

// Used by one thread.
class PackScanner {
 public:
  enum class Payloads { kAll, kBarriersOnly };  // those not wanted are neither read nor checked

  // Scans [offset, end) of a pack that outlives the scanner; `end` is at most the file's size and
  // `chain` the running hash at `offset`.
  PackScanner(const OpenPack& pack, uint64_t offset, uint64_t end, const Digest& chain,
              Payloads payloads);

  // Errors are the file's: what can't be read is not taken for damage.
  absl::StatusOr<Scanned> Next();

  // The running hash behind all that was scanned; after damage it is known again from the next
  // barrier on.
  const Digest& chain() const { return chain_; }

 private:
  absl::StatusOr<uint64_t> FindHeader(uint64_t from) const;
  absl::StatusOr<std::string> CheckPayload(const RecordHeader& header, std::string& payload) const;

  const OpenPack& pack_;
  uint64_t offset_;
  const uint64_t end_;
  Digest chain_;
  bool chain_known_ = true;
  const Payloads payloads_;
};

}  // namespace vxa

#endif  // ARCHIVE_PACK_SCANNER_H_
