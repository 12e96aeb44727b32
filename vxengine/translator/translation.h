// A program's translated code, in one mode: made region by region when it is first needed, shared
// by all who run the program.
#ifndef VXENGINE_TRANSLATOR_TRANSLATION_H_
#define VXENGINE_TRANSLATOR_TRANSLATION_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/translator/code_cache.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/region.h"

namespace vx {

// What code depends on beside the program.
struct TranslationMode {
  CodePlacement placement = CodePlacement::kShared;
  Metering metering = Metering::kNone;
  Profile profile = Profile::kVx2026;
  bool operator==(const TranslationMode&) const = default;

  static TranslationMode Of(bool exclusive, Profile profile, bool counted) {
    return {.placement = exclusive ? CodePlacement::kExclusive : CodePlacement::kShared,
            .metering = counted ? Metering::kBlocks : Metering::kNone,
            .profile = profile};
  }
};

// What a mode means for the translator of regions.
TranslatorOptions OptionsFor(TranslationMode mode);

// Thread-safe.
class Translation {
 public:
  // `text` outlives it. Takes an arena that ReserveCode has kept, if there is one.
  static absl::StatusOr<std::unique_ptr<Translation>> Create(const GuestText* text,
                                                             TranslationMode mode);

  // The offset of code for the guest address, translated if need be; 0 if it isn't in executable
  // memory. INTERNAL: the verifier refused. RESOURCE_EXHAUSTED: no room.
  absl::StatusOr<uint32_t> Find(uint32_t eip);

  // Translates what these addresses lead to by direct branches and calls, up to `most` guest
  // instructions. Those that aren't in executable memory are skipped.
  absl::Status TranslateAhead(std::vector<uint32_t> targets, uint64_t most);

  // What is known of the guest's state in host code at an offset in a region.
  Note NoteAt(uint32_t offset) const;

  const CodeCache& cache() const { return *cache_; }
  bool uses_x87() const { return uses_x87_.load(std::memory_order_acquire); }

  struct Statistics {
    uint64_t regions = 0, instructions = 0, code_bytes = 0, nanoseconds = 0;
  };
  Statistics statistics() const;

 private:
  struct Place {
    uint32_t offset = 0, size = 0;
    std::vector<Note> notes;
  };

  Translation(const GuestText* text, TranslationMode mode, std::unique_ptr<CodeCache> cache);

  // The same, with the mutex held; and with the cache open too.
  absl::Status TranslateFrom(std::vector<uint32_t> targets, uint64_t most);
  absl::Status TranslateRegions(std::vector<uint32_t> targets, uint64_t most);

  const std::unique_ptr<CodeCache> cache_;
  mutable std::mutex mutex_;
  RegionTranslator translator_;
  std::vector<Place> places_;  // ascending
  Statistics statistics_;
  std::atomic<bool> uses_x87_{false};
};

// Reserves address space for the translations of one program that a run of it may need, which the
// next ones to be created will take, so that a jail can know where code will be. Not thread-safe.
absl::StatusOr<CodeRange> ReserveCode();

// The translations of one program. Thread-safe.
class Translations {
 public:
  // `text` outlives it.
  explicit Translations(const GuestText* text) : text_(text) {}
  absl::StatusOr<Translation*> Get(TranslationMode mode);
  Translation::Statistics statistics() const;
  const GuestText& text() const { return *text_; }

 private:
  const GuestText* const text_;
  mutable std::mutex mutex_;
  std::vector<std::pair<TranslationMode, std::unique_ptr<Translation>>> all_;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_TRANSLATION_H_
