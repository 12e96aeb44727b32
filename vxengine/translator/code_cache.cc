#include "vxengine/translator/code_cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/translator/runtime.h"

namespace vx {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint32_t kRegionAlignment = 16;
constexpr uint8_t kInt3 = 0xcc;
constexpr uint64_t kNewPages = 16;  // that are mapped at once
constexpr uint64_t kNear = 8;       // pages

// A table of entries up to this size is made present at once: faults cost more than zeroes.
constexpr uint64_t kSmallTable = uint64_t{1} << 20;

absl::Status Failed(const char* what) {
  return absl::ResourceExhaustedError(absl::StrCat("code cache: ", what, ": ", strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CodeArena>> CodeArena::Reserve() {
  absl::StatusOr<std::vector<std::unique_ptr<CodeArena>>> one = ReserveTogether(1);
  if (!one.ok()) return one.status();
  return std::move(one->front());
}

absl::StatusOr<std::vector<std::unique_ptr<CodeArena>>> CodeArena::ReserveTogether(uint32_t count) {
  const auto reserve = [](uint64_t size) {
    void* const got =
        mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return got == MAP_FAILED ? nullptr : static_cast<uint8_t*>(got);
  };
  // More than it takes, of which what doesn't lie right is given back.
  const uint64_t size = count * kCodeSize, most = 2 * size + kGuard;
  uint8_t* const got = reserve(most);
  if (got == nullptr) return Failed("reserving address space");
  const uint64_t before = (0 - reinterpret_cast<uint64_t>(got)) % size;
  if (before != 0) munmap(got, before);
  if (before != size) munmap(got + before + size + kGuard, size - before);
  std::vector<std::unique_ptr<CodeArena>> arenas;
  for (uint32_t n = 0; n < count; ++n) {
    uint8_t* const entries = reserve(kEntriesSize);
    if (entries == nullptr) return Failed("reserving address space");
    arenas.emplace_back(new CodeArena(got + before + n * kCodeSize,
                                      kCodeSize + (n + 1 == count ? kGuard : 0), entries));
  }
  return arenas;
}

CodeArena::~CodeArena() {
  munmap(code_, code_size_);
  munmap(entries_, kEntriesSize);
}

CodeCache::CodeCache(std::unique_ptr<CodeArena> arena, CodePlacement placement,
                     uint8_t budget_offset)
    : arena_(std::move(arena)) {
  for (const uint8_t* routine :
       {vx_runtime_miss, vx_runtime_interpret, vx_runtime_system_call, vx_runtime_budget}) {
    stubs_.push_back(RuntimeOffset(routine));
  }
  std::sort(stubs_.begin(), stubs_.end());
  if (placement == CodePlacement::kExclusive) {
    for (const uint8_t* routine : {vx_runtime_movsb, vx_runtime_movsd, vx_runtime_stosb,
                                   vx_runtime_stosd, vx_runtime_cmpsb, vx_runtime_cmpsd}) {
      helpers_.push_back(RuntimeOffset(routine));
    }
  } else {
    for (const uint8_t* routine :
         {vx_runtime_movsb_shared, vx_runtime_movsd_shared, vx_runtime_stosb_shared,
          vx_runtime_stosd_shared, vx_runtime_cmpsb_shared, vx_runtime_cmpsd_shared}) {
      helpers_.push_back(RuntimeOffset(routine));
    }
  }
  std::sort(helpers_.begin(), helpers_.end());
  rules_ = {.placement = placement,
            .is_entry = [this](uint32_t offset) { return IsEntry(offset); },
            .stubs = stubs_,
            .helpers = helpers_,
            .budget_offset = budget_offset};
}

absl::StatusOr<std::unique_ptr<CodeCache>> CodeCache::Create(std::unique_ptr<CodeArena> arena,
                                                             const GuestText& text,
                                                             CodePlacement placement,
                                                             uint8_t budget_offset) {
  std::unique_ptr<CodeCache> cache(new CodeCache(std::move(arena), placement, budget_offset));
  const absl::Status status = cache->Initialize(text);
  if (!status.ok()) return status;
  return cache;
}

absl::Status CodeCache::Initialize(const GuestText& text) {
  for (const GuestText::Range& range : text.ranges()) {
    const uint64_t begin = uint64_t{range.address} * 4, size = range.bytes.size() * 4;
    if (mmap(entries() + begin, size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED |
                 (size <= kSmallTable ? MAP_POPULATE : 0),
             -1, 0) == MAP_FAILED) {
      return Failed("making the table of entries accessible");
    }
    const uint32_t last = range.address + static_cast<uint32_t>(range.bytes.size() - 1);
    covered_.push_back({range.address, last,
                        std::make_unique<std::atomic<uint64_t>[]>(range.bytes.size() / 64 + 1)});
  }
  const std::span<const uint8_t> runtime = RuntimeBytes();
  const Region region{.code = {runtime.begin(), runtime.end()}};
  // In place with the first regions. The routines' pages are never written again: threads that come
  // and go are in them at any time.
  Stage(region.code, kPage);
  return absl::OkStatus();
}

std::atomic_ref<uint32_t> CodeCache::Slot(uint32_t eip) const {
  return std::atomic_ref(reinterpret_cast<uint32_t*>(entries())[eip]);
}

const CodeCache::Covered* CodeCache::FindCovered(uint32_t eip) const {
  for (const Covered& covered : covered_) {
    if (eip >= covered.first && eip <= covered.last) return &covered;
  }
  return nullptr;
}

bool CodeCache::Covers(uint32_t eip) const { return FindCovered(eip) != nullptr; }

uint32_t CodeCache::Find(uint32_t eip) const {
  const Covered* const covered = FindCovered(eip);
  if (covered == nullptr) return 0;
  const uint32_t at = eip - covered->first;
  const uint64_t bits = covered->has_entry[at / 64].load(std::memory_order_relaxed);
  return bits >> at % 64 & 1 ? Slot(eip).load(std::memory_order_acquire) : 0;
}

// What already has an entry keeps it.
void CodeCache::Enter(uint32_t eip, uint32_t offset) {
  const Covered* const covered = FindCovered(eip);
  if (covered == nullptr) return;  // code that ran off the end of executable memory: it traps
  const uint32_t at = eip - covered->first;
  const uint64_t bit = uint64_t{1} << at % 64;
  if ((covered->has_entry[at / 64].load(std::memory_order_relaxed) & bit) != 0) return;
  Slot(eip).store(offset, std::memory_order_release);
  covered->has_entry[at / 64].fetch_or(bit, std::memory_order_relaxed);
}

absl::Status CodeCache::Check(const Region& region, VerifiedRegion* verified) const {
  std::string error;
  if (!VerifyRegion(region.code, next_, rules_, verified, &error)) {
    const uint32_t eip = region.entries.empty() ? 0 : region.entries.front().eip;
    return absl::InternalError(absl::StrFormat(
        "the verifier refused the translation of the region at eip 0x%08x: %s", eip, error));
  }
  const auto is_boundary = [&](uint32_t offset) {
    return std::binary_search(verified->boundaries.begin(), verified->boundaries.end(), offset);
  };
  for (const Entry& entry : region.entries) {
    if (!is_boundary(next_ + entry.offset)) {
      return absl::InternalError(
          absl::StrFormat("the translation of eip 0x%08x at offset 0x%x is no legal entry",
                          entry.eip, entry.offset));
    }
  }
  for (const Link& link : region.links) {
    const auto branch =
        std::lower_bound(verified->branches.begin(), verified->branches.end(), next_ + link.rel32,
                         [](const Branch& b, uint32_t rel32) { return b.rel32 < rel32; });
    if (branch == verified->branches.end() || branch->rel32 != next_ + link.rel32) {
      return absl::InternalError(absl::StrFormat("a link to eip 0x%08x at offset 0x%x is no branch",
                                                 link.target, link.rel32));
    }
  }
  return absl::OkStatus();
}

absl::Status CodeCache::Install(const Region& region) {
  if (region.code.size() > CodeRange::kMostAtOnce - 2 * kPage) {
    return absl::InternalError(absl::StrCat("a region of ", region.code.size(), " bytes"));
  }
  if (next_ + region.code.size() > CodeArena::kCodeSize - CodeRange::kMostAtOnce) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the code cache of ", CodeArena::kCodeSize >> 20, " MiB is full"));
  }
  VerifiedRegion verified;
  if (absl::Status status = Check(region, &verified); !status.ok()) return status;

  is_entry_.resize((next_ + region.code.size()) / 64 + 1);
  for (const Entry& entry : region.entries) {
    const uint32_t offset = next_ + entry.offset;
    is_entry_[offset / 64] |= uint64_t{1} << offset % 64;
    const auto waiting = waiting_.find(entry.eip);
    if (waiting == waiting_.end() || !VerifyTarget(offset, rules_)) continue;
    for (uint32_t rel32 : waiting->second) patches_.push_back({rel32, offset});
    waiting_.erase(waiting);
  }
  const uint32_t start = next_;
  Stage(region.code, kRegionAlignment);
  for (const Link& link : region.links) {
    waiting_[link.target].push_back(start + link.rel32);
  }
  for (const Entry& entry : region.entries) Enter(entry.eip, start + entry.offset);
  return absl::OkStatus();
}

void CodeCache::Stage(std::span<const uint8_t> code, uint32_t alignment) {
  staged_.insert(staged_.end(), code.begin(), code.end());
  const uint32_t end = next_ + static_cast<uint32_t>(code.size());
  next_ = (end + alignment - 1) / alignment * alignment;
  staged_.resize(staged_.size() + (next_ - end), kInt3);
}

absl::Status CodeCache::Open() {
  writing_.store(1, std::memory_order_seq_cst);
  // Other threads see entries before the code is in place: they mustn't find INT3 there.
  const uint64_t page = next_ / kPage;
  if (page >= sealed_) return absl::OkStatus();
  const absl::Status status = Protect(page, sealed_, PROT_READ | PROT_WRITE);
  if (status.ok()) sealed_ = page;
  return status;
}

absl::Status CodeCache::Close() {
  const absl::Status status = PutInPlace();
  staged_.clear();
  patches_.clear();
  writing_.store(0, std::memory_order_seq_cst);
  return status;
}

// Pages change their protection in few calls, each of which may cost tens of microseconds: pages
// that lie near each other do it together.
absl::Status CodeCache::PutInPlace() {
  const uint32_t start = next_ - static_cast<uint32_t>(staged_.size());
  std::vector<uint64_t> pages = {start / kPage};
  for (const Patch& patch : patches_) {
    if (patch.rel32 >= start) continue;
    pages.push_back(patch.rel32 / kPage);
    pages.push_back((patch.rel32 + 3) / kPage);
  }
  std::sort(pages.begin(), pages.end());
  struct Range {
    uint64_t first, last;
  };
  std::vector<Range> ranges;
  for (uint64_t page : pages) {
    if (ranges.empty() || page > ranges.back().last + kNear) ranges.push_back({page, page + 1});
    ranges.back().last = page + 1;
  }
  ranges.back().last = (next_ - 1) / kPage + 1;

  absl::Status status = MapPages(ranges.back().last);
  for (const Range& range : ranges) {
    status.Update(Protect(range.first, std::min(range.last, sealed_), PROT_READ | PROT_WRITE));
  }
  if (!status.ok()) return status;
  std::copy(staged_.begin(), staged_.end(), code() + start);
  for (const Patch& patch : patches_) {
    const uint32_t distance = patch.target - (patch.rel32 + 4);
    memcpy(code() + patch.rel32, &distance, sizeof distance);
  }
  for (const Range& range : ranges) {
    status.Update(Protect(range.first, range.last, PROT_READ | PROT_EXEC));
  }
  sealed_ = ranges.back().last;
  return status;
}

// Gives the pages up to `last` memory, some more than that, and fills it with INT3.
absl::Status CodeCache::MapPages(uint64_t last) {
  if (last <= mapped_) return absl::OkStatus();
  const uint64_t end = std::max(last, mapped_ + kNewPages);
  uint8_t* const at = code() + mapped_ * kPage;
  const size_t size = (end - mapped_) * kPage;
  if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE,
           -1, 0) != at) {
    return Failed("mapping pages");
  }
  memset(at, kInt3, size);
  mapped_ = end;
  return absl::OkStatus();
}

absl::Status CodeCache::Protect(uint64_t first, uint64_t last, int protection) {
  while (first < last) {
    const uint64_t count = std::min(last - first, CodeRange::kMostAtOnce / kPage);
    if (mprotect(code() + first * kPage, count * kPage, protection) != 0) {
      return Failed("changing the protection of pages");
    }
    first += count;
  }
  return absl::OkStatus();
}

}  // namespace vx
