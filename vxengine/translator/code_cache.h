// Host code of a program, and how it is found by guest address. The only place that makes memory
// executable, and it does so for nothing that the verifier has not seen.
//
//   code:     | runtime.S | region | region | … | never used, inaccessible |
//   entries:  for every guest address four bytes: the offset of its code, 0 if there is none (at 0
//             is the routine that says so). A table of 16 GiB of which only what belongs to
//             executable guest pages can be accessed; indirect jumps read it without any check.
//
// Pages of code are readable and executable, or readable and writable before the first region is
// put there and while others are; never both. Space is never used again while the cache lives.
#ifndef VXENGINE_TRANSLATOR_CODE_CACHE_H_
#define VXENGINE_TRANSLATOR_CODE_CACHE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/code_range.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/region.h"
#include "vxengine/verifier.h"

namespace vx {

// Address space for one cache, which can be reserved before its program is known: a jail then knows
// where code may be.
class CodeArena {
 public:
  static constexpr uint64_t kCodeSize = uint64_t{64} << 20;
  static constexpr uint64_t kEntriesSize = uint64_t{16} << 30;
  static constexpr uint64_t kGuard = CodeRange::kMostAtOnce;  // behind the code

  // RESOURCE_EXHAUSTED if the process may not have so much.
  static absl::StatusOr<std::unique_ptr<CodeArena>> Reserve();

  // Several, the code of which makes one range together. `count`: a power of two.
  static absl::StatusOr<std::vector<std::unique_ptr<CodeArena>>> ReserveTogether(uint32_t count);

  ~CodeArena();

  uint8_t* code() const { return code_; }
  uint8_t* entries() const { return entries_; }

 private:
  CodeArena(uint8_t* code, uint64_t code_size, uint8_t* entries)
      : code_(code), code_size_(code_size), entries_(entries) {}
  uint8_t* const code_;
  const uint64_t code_size_;  // with a guard
  uint8_t* const entries_;
};

// Find, code() and entries() from any thread at any time; the rest from one thread at a time, while
// others may run the code.
class CodeCache {
 public:
  static absl::StatusOr<std::unique_ptr<CodeCache>> Create(std::unique_ptr<CodeArena> arena,
                                                           const GuestText& text,
                                                           CodePlacement placement,
                                                           uint8_t budget_offset);

  // The offset of the entry for a guest address; 0 if there is none.
  uint32_t Find(uint32_t eip) const;

  // Whether the address has a place in the table.
  bool Covers(uint32_t eip) const;

  // Where the next region will lie.
  uint32_t next_offset() const { return next_; }

  // Regions are installed between these two. Close puts them in place: pages that it needs are
  // writable meanwhile, and executable again all at once.
  absl::Status Open();
  absl::Status Close();

  // Verifies a region that was translated for next_offset() and puts it there; branches to its
  // entries that led to stubs lead to it from now on. REQUIRES: between Open and Close. INTERNAL if
  // the verifier refuses: names guest EIP and host bytes. RESOURCE_EXHAUSTED when the cache is
  // full.
  absl::Status Install(const Region& region);

  uint8_t* code() const { return arena_->code(); }
  uint8_t* entries() const { return arena_->entries(); }
  uint32_t used() const { return next_; }

  // Nonzero while pages of code can't be executed.
  const std::atomic<uint32_t>& writing() const { return writing_; }

 private:
  struct Patch {
    uint32_t rel32, target;
  };
  // Guest addresses that have a place in the table, and a bit for each that has an entry there:
  // what is asked for most has none, and the bits lie closer together.
  struct Covered {
    uint32_t first, last;
    std::unique_ptr<std::atomic<uint64_t>[]> has_entry;
  };

  CodeCache(std::unique_ptr<CodeArena> arena, CodePlacement placement, uint8_t budget_offset);
  absl::Status Initialize(const GuestText& text);
  absl::Status Check(const Region& region, VerifiedRegion* verified) const;
  void Stage(std::span<const uint8_t> code, uint32_t alignment);
  absl::Status PutInPlace();
  absl::Status MapPages(uint64_t last);
  absl::Status Protect(uint64_t first, uint64_t last, int protection);
  bool IsEntry(uint32_t offset) const {
    return is_entry_.size() > offset / 64 && (is_entry_[offset / 64] >> offset % 64 & 1) != 0;
  }
  std::atomic_ref<uint32_t> Slot(uint32_t eip) const;
  const Covered* FindCovered(uint32_t eip) const;
  void Enter(uint32_t eip, uint32_t offset);

  const std::unique_ptr<CodeArena> arena_;
  std::vector<uint32_t> stubs_, helpers_;
  VerifierRules rules_;
  std::vector<Covered> covered_;
  uint32_t next_ = 0;
  uint64_t mapped_ = 0;  // pages of code up to here have memory
  uint64_t sealed_ =
      0;  // and up to here are executable; the rest is writable, and filled with INT3
  std::vector<uint8_t> staged_;  // code that ends at next_ and isn't in place yet
  std::vector<Patch> patches_;   // to be made then
  std::vector<uint64_t> is_entry_;
  std::unordered_map<uint32_t, std::vector<uint32_t>> waiting_;  // guest address -> rel32s
  std::atomic<uint32_t> writing_{0};
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_CODE_CACHE_H_
