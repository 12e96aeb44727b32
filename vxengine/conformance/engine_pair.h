// Any bytes as code, on the translator and on the interpreter: do they come to the same end?
//
// It drives the engines below vx.h, so that memory can be compared after a trap too, and that many
// sequences share one address space.
#ifndef VXENGINE_CONFORMANCE_ENGINE_PAIR_H_
#define VXENGINE_CONFORMANCE_ENGINE_PAIR_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vxengine/conformance/case.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/translator/address_space.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/translation.h"
#include "vxengine/vx.h"

namespace vx::conformance {

using Piece = std::vector<uint8_t>;

struct Sequence {
  State state;
  X87State x87;
  uint32_t mxcsr = VX_INITIAL_MXCSR;
  std::vector<Piece> pieces;
  uint32_t address = 0;  // in kCode
  uint64_t limit = 0;    // of instructions; 0: they aren't counted
};

// The pieces, and behind them a jump to kExit.
std::string Code(const Sequence& sequence);

// Sequences that lie in one piece of code, for both engines.
class EnginePair {
 public:
  // Ends the process if the placement can't be had.
  EnginePair(std::span<const Sequence> sequences, Placement placement);

  // What the engines disagree on, or "". Of a sequence that isn't counted and doesn't end only that
  // it doesn't on the translator either, which takes its time, so only if `judge_endless`. Sets
  // `*unjudged` if nothing can be said of it.
  std::string Disagreement(const Sequence& sequence, bool judge_endless, bool* unjudged);

 private:
  struct End;

  End Interpret(const Sequence& sequence);
  End Translate(const Sequence& sequence, std::chrono::nanoseconds cpu_time);
  std::unique_ptr<Memory> MakeMemory(Memory::Backing* backing) const;

  static std::string Name(const End& end);
  static std::string Compare(const End& expected, const End& actual, bool counted);

  std::string elf_;
  Image image_;
  std::unique_ptr<GuestText> text_;
  std::unique_ptr<Translations> translations_;
  std::unique_ptr<AddressSpace> space_;
  std::unique_ptr<Memory> translated_, interpreted_;
  std::vector<uint8_t> background_;
};

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_ENGINE_PAIR_H_
