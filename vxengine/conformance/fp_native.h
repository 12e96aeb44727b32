// This machine's CPU as an engine for floating point, in 64-bit mode: x87 and SSE instructions do
// there what they do in 32-bit mode, and unlike native.h's oracle it needs no 32-bit processes.
#ifndef VXENGINE_CONFORMANCE_FP_NATIVE_H_
#define VXENGINE_CONFORMANCE_FP_NATIVE_H_

#include "vxengine/conformance/fp_case.h"

namespace vx::conformance {

// Runs the case in this process, with handlers for the signals of its traps, and operands at low
// addresses, both of which stay until ReleaseCpu; any other such signal ends the process as ever.
// One thread at a time.
//
// What 64-bit mode shows and guests don't see (x87's last instruction in images, XMM8-15) is in the
// result: see ApplyAbi in fp_forms.h.
FpResult RunOnCpu(const FpCase& test);

// Lets engines have what RunOnCpu holds.
void ReleaseCpu();

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_FP_NATIVE_H_
