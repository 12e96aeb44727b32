// vxengine as an engine for floating point: cases become guest programs, run through vxengine/vx.h.
#ifndef VXENGINE_CONFORMANCE_FP_GUEST_H_
#define VXENGINE_CONFORMANCE_FP_GUEST_H_

#include <span>
#include <vector>

#include "vxengine/conformance/fp_case.h"
#include "vxengine/vx.h"

namespace vx::conformance {

// Runs the cases, which all have the same code, one after another in as few guests as can be: each
// runs until a case traps. The guest reads states from its input, loads them with FXRSTOR, and
// writes what FXSAVE and FNSTENV store.
std::vector<FpResult> RunInGuest(Engine engine, std::span<const FpCase> cases);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_FP_GUEST_H_
