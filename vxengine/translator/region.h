// One region: the guest code that can be reached from an entry without calls, translated.
#ifndef VXENGINE_TRANSLATOR_REGION_H_
#define VXENGINE_TRANSLATOR_REGION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "vxengine/machine/outcome.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/host_cpu.h"

namespace vx {

// Whether and how finely guest instructions are counted.
enum class Metering : uint8_t {
  kNone,
  kBlocks,        // a block is paid for when it starts
  kInstructions,  // every instruction is a block
};

// Which guest instruction host code belongs to, and how to tell the guest's state in it: what is
// true from `offset` on, until the next note's.
struct Note {
  uint32_t offset = 0;  // of host code
  uint32_t eip = 0;
  int32_t esp_delta = 0;       // the guest's ESP is R15D plus this
  uint16_t lost_flags = 0;     // status flags, all dead, whose values aren't the guest's any more
  uint16_t unpaid : 15 = 0;    // units of the block from this instruction on
  uint16_t ebp_in_r8 : 1 = 0;  // EBP's value is in R8D meanwhile
};

// A place of the guest's where host code may be entered: all flags right, ESP in R15D.
struct Entry {
  uint32_t eip = 0;
  uint32_t offset = 0;
};

// A branch out of the region: to code that has been translated or, while it has not, to a stub.
struct Link {
  uint32_t rel32 = 0;  // offset of the branch's last four bytes
  uint32_t stub = 0;   // offset within the region of what stands in
  uint32_t target = 0;
};

// What code says where its budget is too small: the block's units, and above them Note::lost_flags.
inline constexpr uint32_t kLostFlagsShift = 16;

// Offsets count from the region's start.
struct Region {
  std::vector<uint8_t> code;
  std::vector<Entry>
      entries;              // in the order of their offsets; the first is the one asked for or not
  std::vector<Note> notes;  // ascending
  std::vector<Link> links;
  uint32_t instructions = 0;  // of the guest, translated
  bool uses_x87 = false;
};

// What translated code may count on, as offsets from the start of all code.
struct Stubs {
  uint32_t miss = 0, interpret = 0, system_call = 0, budget = 0;
  uint32_t movsb = 0, movsd = 0, stosb = 0, stosd = 0, cmpsb = 0, cmpsd = 0;  // helpers
};

struct TranslatorOptions {
  bool shared = false;  // guest memory lies at the GS base, else at host address 0
  Metering metering = Metering::kNone;
  Profile profile = Profile::kVx2026;
  uint8_t budget_offset = 0;  // in the context
  Stubs stubs;
  HostCpu cpu;  // else one that does all as the ABI wants
};

// Translates regions of one program. Not thread-safe.
class RegionTranslator {
 public:
  // The text outlives the translator.
  RegionTranslator(const GuestText* text, const TranslatorOptions& options);
  ~RegionTranslator();

  // Translates the region at `eip` for the place `offset` of the code. `known` tells the offset of
  // an entry that was translated before, or 0. Good until the next call.
  const Region& Translate(uint32_t eip, uint32_t offset,
                          const std::function<uint32_t(uint32_t eip)>& known);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_REGION_H_
