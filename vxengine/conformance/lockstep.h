// A whole program on the interpreter and on the translator in lock-step: both stop after the same
// numbers of instructions, wherever that is, and must be in the same state each time.
#ifndef VXENGINE_CONFORMANCE_LOCKSTEP_H_
#define VXENGINE_CONFORMANCE_LOCKSTEP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vxengine/vx.h"

namespace vx::conformance {

struct LockstepProgram {
  std::string elf;
  std::vector<std::string> arguments;
  std::string input;
  uint32_t longest_stride = 1024;  // instructions between two stops
};

struct LockstepReport {
  // Where they first differ, and in what; empty if nowhere. The rest is of a run to the end.
  std::string difference;
  uint64_t instructions = 0;
  uint32_t stops = 0, stops_in_repeats = 0;  // those in the middle of a repeated instruction
  std::optional<uint32_t> exit_status;
  std::string output;
};

// Runs the program to its end, with stops at random, most of them near each other. Registers, flags
// (but for those that nothing can look at any more) and counts are compared at each, memory at some
// and at the end. A difference is narrowed down to one instruction.
//
// The translator counts, and starts anew at each stop: so code is entered, and left, anywhere.
LockstepReport RunInLockstep(const LockstepProgram& program, Placement placement, uint64_t seed);

// The same for the interpreter of this host and that of another (testing/run_elf.h), as far as what
// ends runs tells: registers, counters and output, by runs that limits end at a few places.
//
// REQUIRES: testing::UsesMachine().
LockstepReport CompareWithMachine(const LockstepProgram& program, uint64_t seed);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_LOCKSTEP_H_
