// Runs cases on this machine's CPU and on an engine, and tells where they disagree.
#ifndef VXENGINE_CONFORMANCE_CHECKER_H_
#define VXENGINE_CONFORMANCE_CHECKER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "vxengine/conformance/case.h"
#include "vxengine/vx.h"

namespace vx::conformance {

// A case as a test has it compared, for whoever looks on.
struct Sighting {
  std::span<const uint8_t> code;  // from its first instruction on
  std::array<uint32_t, 8> gpr{};  // before
  uint32_t eflags = 0;
  uint32_t data = 0, data_end = 0;  // where memory operands can be
  bool has_oracle = false;          // what is expected comes from a CPU, not from the test
};

// What the command line says.
struct Settings {
  Engine engine = Engine::kInterpreter;
  Placement placement = Placement::kShared;
  bool count = false;  // instructions, and limit them rather than the time
  uint64_t seed = 1;
  uint32_t cases = 200;        // per form
  uint32_t sequences = 60000;  // random ones, over all shards
  // If there is one, cases are shown to it instead of being run.
  std::function<void(const Sighting&)> observer;
};
Settings& TheSettings();

// How many cases were compared, and how many of them said nothing.
struct Counts {
  uint64_t cases = 0, unjudged = 0;
};
Counts& TheCounts();

// The cases on which the engine does not do what the CPU does, corrected by deviations.h.
std::vector<size_t> Disagreements(std::span<const Case> cases);

// Fails the running test for such cases, with a description of the first few.
void ExpectAgreement(std::span<const Case> cases);

// The same for results that are known without the CPU: `expected` beside each case. Those without
// data say nothing about memory.
void ExpectResults(std::span<const Case> cases, std::span<const Result> expected);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_CHECKER_H_
