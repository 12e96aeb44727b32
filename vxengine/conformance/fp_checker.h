// Runs floating-point cases on this machine's CPU and on an engine, and tells where they disagree.
#ifndef VXENGINE_CONFORMANCE_FP_CHECKER_H_
#define VXENGINE_CONFORMANCE_FP_CHECKER_H_

#include <cstdint>

#include "vxengine/conformance/fp_forms.h"
#include "vxengine/vx.h"

namespace vx::conformance {

// True if cases are only looked at (Settings::observer): it has seen these.
bool Observed(std::span<const FpCase> cases);

// Fails the running test if the engine does not do what the CPU does in `count` cases of the form,
// spread over its encodings; describes the first few.
void ExpectFpAgreement(Engine engine, const FpForm& form, uint32_t count);

// The same for `count` sequences of the forms, a few cases each; `block` is part of the seed.
void ExpectFpSequencesAgree(Engine engine, std::span<const FpForm> forms, uint32_t count,
                            int block);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_FP_CHECKER_H_
