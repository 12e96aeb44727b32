// The memory that all uploads together may hold.
//
// Most objects are small, so an upload begins with a small share and takes a large one, its whole
// need, when it outgrows that. The two come from parts of their own: holders of small shares may
// wait for large ones, but holders of large shares wait for nobody, so all get on. Clients wait for
// each other fairly, and none has all large shares, however long it keeps them.
#ifndef ARCHIVE_INGEST_BUDGET_H_
#define ARCHIVE_INGEST_BUDGET_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "archive/archive.h"
#include "archive/fair_places.h"

namespace vxa {

// Thread-safe.
class IngestBudget {
 public:
  // Bytes of a share of each size.
  static constexpr uint64_t kSmall = uint64_t{128} << 10;
  static constexpr uint64_t kLarge = uint64_t{9} << 20;
  // The least that a budget can be.
  static constexpr uint64_t kLeast = 2 * kLarge;

  // REQUIRES: bytes >= kLeast.
  explicit IngestBudget(uint64_t bytes);

  // What one upload holds; given back when it is destroyed. Used by one thread.
  class Share {
   public:
    explicit Share(IngestBudget& budget) : budget_(budget) {}
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // Blocks until there is a small share. REQUIRES: holds nothing.
    absl::Status TakeSmall(const CallContext& context);
    // Blocks until there is a large share and swaps the small one for it; keeps that on an error.
    absl::Status TakeLarge(const CallContext& context);

   private:
    IngestBudget& budget_;
    std::string client_;
    bool small_ = false;
    bool large_ = false;
  };

 private:
  FairPlaces small_;
  FairPlaces large_;
};

}  // namespace vxa

#endif  // ARCHIVE_INGEST_BUDGET_H_
