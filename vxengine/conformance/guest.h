// vxengine as an engine: cases become guest programs, run through vxengine/vx.h alone.
#ifndef VXENGINE_CONFORMANCE_GUEST_H_
#define VXENGINE_CONFORMANCE_GUEST_H_

#include <span>
#include <vector>

#include "vxengine/conformance/case.h"
#include "vxengine/vx.h"

namespace vx::conformance {

// One case as one program: it loads the state and jumps to the code, whose end is a trap (UD2 at
// ORACLE_EXIT, if nothing else), so that the Outcome tells the registers. What memory was left
// isn't seen.
Result RunAlone(Engine engine, const Case& test, Profile profile = Profile::kVx2026);

// Many cases as one program, that writes registers and memory to its output after each. REQUIRES:
// each has its place, as in Native::Run, and should run to its end; one that doesn't is run alone
// instead.
std::vector<Result> RunTogether(Engine engine, std::span<const Case> cases);

// True for addresses that are mapped in these programs but not in the oracle.
bool IsDriverMemory(uint32_t address);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_GUEST_H_
