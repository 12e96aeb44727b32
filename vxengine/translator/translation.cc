#include "vxengine/translator/translation.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "vxengine/translator/runtime.h"

namespace vx {
namespace {

// Guest instructions that are translated together.
constexpr uint32_t kBatch = 4000;

std::vector<std::unique_ptr<CodeArena>> reserved_arenas;

absl::StatusOr<std::unique_ptr<CodeArena>> TakeArena() {
  if (reserved_arenas.empty()) return CodeArena::Reserve();
  std::unique_ptr<CodeArena> arena = std::move(reserved_arenas.back());
  reserved_arenas.pop_back();
  return arena;
}

uint64_t Now() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

TranslatorOptions OptionsFor(TranslationMode mode) {
  const bool shared = mode.placement == CodePlacement::kShared;
  return {.shared = shared,
          .metering = mode.metering,
          .profile = mode.profile,
          .budget_offset = VX_CTX_BUDGET,
          .stubs = {.miss = RuntimeOffset(vx_runtime_miss),
                    .interpret = RuntimeOffset(vx_runtime_interpret),
                    .system_call = RuntimeOffset(vx_runtime_system_call),
                    .budget = RuntimeOffset(vx_runtime_budget),
                    .movsb = RuntimeOffset(shared ? vx_runtime_movsb_shared : vx_runtime_movsb),
                    .movsd = RuntimeOffset(shared ? vx_runtime_movsd_shared : vx_runtime_movsd),
                    .stosb = RuntimeOffset(shared ? vx_runtime_stosb_shared : vx_runtime_stosb),
                    .stosd = RuntimeOffset(shared ? vx_runtime_stosd_shared : vx_runtime_stosd),
                    .cmpsb = RuntimeOffset(shared ? vx_runtime_cmpsb_shared : vx_runtime_cmpsb),
                    .cmpsd = RuntimeOffset(shared ? vx_runtime_cmpsd_shared : vx_runtime_cmpsd)},
          .cpu = TheHostCpu()};
}

absl::StatusOr<CodeRange> ReserveCode() {
  constexpr uint32_t kModes =
      2;  // of one run: block by block, and then each instruction, is counted
  absl::StatusOr<std::vector<std::unique_ptr<CodeArena>>> arenas =
      CodeArena::ReserveTogether(kModes);
  if (!arenas.ok()) return arenas.status();
  reserved_arenas = *std::move(arenas);
  return CodeRange{reserved_arenas.front()->code(), kModes * CodeArena::kCodeSize};
}

absl::StatusOr<std::unique_ptr<Translation>> Translation::Create(const GuestText* text,
                                                                 TranslationMode mode) {
  absl::StatusOr<std::unique_ptr<CodeArena>> arena = TakeArena();
  if (!arena.ok()) return arena.status();
  absl::StatusOr<std::unique_ptr<CodeCache>> cache =
      CodeCache::Create(*std::move(arena), *text, mode.placement, VX_CTX_BUDGET);
  if (!cache.ok()) return cache.status();
  return std::unique_ptr<Translation>(new Translation(text, mode, *std::move(cache)));
}

Translation::Translation(const GuestText* text, TranslationMode mode,
                         std::unique_ptr<CodeCache> cache)
    : cache_(std::move(cache)), translator_(text, OptionsFor(mode)) {}

absl::StatusOr<uint32_t> Translation::Find(uint32_t eip) {
  uint32_t offset = cache_->Find(eip);
  if (offset != 0 || !cache_->Covers(eip)) return offset;
  const std::lock_guard<std::mutex> lock(mutex_);
  offset = cache_->Find(eip);
  if (offset != 0) return offset;
  // And more that the region leads to: what is called is likely to be needed soon, and making pages
  // executable is dear.
  absl::Status status = TranslateFrom({eip}, kBatch);
  if (!status.ok()) return status;
  return cache_->Find(eip);
}

absl::Status Translation::TranslateAhead(std::vector<uint32_t> targets, uint64_t most) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return TranslateFrom(std::move(targets), most);
}

absl::Status Translation::TranslateFrom(std::vector<uint32_t> targets, uint64_t most) {
  const uint64_t start = Now();
  absl::Status status = cache_->Open();
  if (status.ok()) status = TranslateRegions(std::move(targets), most);
  status.Update(cache_->Close());
  statistics_.nanoseconds += Now() - start;
  return status;
}

absl::Status Translation::TranslateRegions(std::vector<uint32_t> targets, uint64_t most) {
  uint64_t instructions = 0;
  for (size_t n = 0; n < targets.size() && instructions < most; ++n) {
    const uint32_t target = targets[n];
    if (!cache_->Covers(target) || cache_->Find(target) != 0) continue;
    const uint32_t place = cache_->next_offset();
    const Region& region =
        translator_.Translate(target, place, [this](uint32_t at) { return cache_->Find(at); });
    if (region.uses_x87) uses_x87_.store(true, std::memory_order_release);
    places_.push_back({place, static_cast<uint32_t>(region.code.size()), region.notes});
    if (absl::Status status = cache_->Install(region); !status.ok()) {
      places_.pop_back();
      return status;
    }
    for (const Link& link : region.links) targets.push_back(link.target);
    instructions += region.instructions;
    ++statistics_.regions;
    statistics_.instructions += region.instructions;
    statistics_.code_bytes += region.code.size();
  }
  return absl::OkStatus();
}

Note Translation::NoteAt(uint32_t offset) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto place = std::upper_bound(places_.begin(), places_.end(), offset,
                                [](uint32_t at, const Place& p) { return at < p.offset; });
  if (place == places_.begin()) return {};
  --place;
  auto note = std::upper_bound(place->notes.begin(), place->notes.end(), offset - place->offset,
                               [](uint32_t at, const Note& n) { return at < n.offset; });
  return note == place->notes.begin() ? Note{} : *--note;
}

Translation::Statistics Translation::statistics() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return statistics_;
}

absl::StatusOr<Translation*> Translations::Get(TranslationMode mode) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [known, translation] : all_) {
    if (known == mode) return translation.get();
  }
  absl::StatusOr<std::unique_ptr<Translation>> translation = Translation::Create(text_, mode);
  if (!translation.ok()) return translation.status();
  return all_.emplace_back(mode, *std::move(translation)).second.get();
}

Translation::Statistics Translations::statistics() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Translation::Statistics sum;
  for (const auto& [mode, translation] : all_) {
    const Translation::Statistics one = translation->statistics();
    sum.regions += one.regions;
    sum.instructions += one.instructions;
    sum.code_bytes += one.code_bytes;
    sum.nanoseconds += one.nanoseconds;
  }
  return sum;
}

}  // namespace vx
