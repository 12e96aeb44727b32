// The memory that all uploads together may hold.
//
// Most objects are small, so an upload begins with a small share and takes a large one, its whole
// need, when it outgrows that. The two come from parts of their own: holders of small shares may
// wait for large ones, but holders of large shares wait for nobody, so all get on. Waiters are
// served in their order.
#ifndef ARCHIVE_INGEST_BUDGET_H_
#define ARCHIVE_INGEST_BUDGET_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>

#include "absl/status/status.h"
#include "archive/archive.h"

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
    bool small_ = false;
    bool large_ = false;
  };

 private:
  // So many places, given out in the order of asking.
  class Places {
   public:
    explicit Places(uint64_t count) : free_(count) {}
    absl::Status Take(const CallContext& context);
    void GiveBack();

   private:
    std::mutex mutex_;  // guards what follows
    uint64_t free_;
    // Takers draw numbers; the lowest that is waiting is served.
    uint64_t next_ticket_ = 0;
    std::set<uint64_t> waiting_;
    std::condition_variable changed_;
  };

  Places small_;
  Places large_;
};

}  // namespace vxa

#endif  // ARCHIVE_INGEST_BUDGET_H_
