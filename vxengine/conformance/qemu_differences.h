// Where qemu's software CPU (qemu-user 7.2) differs from the CPUs that it stands in for, and what
// makes its answers theirs: qemu_differences.cc lists each difference once.
#ifndef VXENGINE_CONFORMANCE_QEMU_DIFFERENCES_H_
#define VXENGINE_CONFORMANCE_QEMU_DIFFERENCES_H_

#include <span>
#include <vector>

#include "vxengine/conformance/case.h"
#include "vxengine/conformance/deviations.h"
#include "vxengine/conformance/native.h"

namespace vx::conformance {

// Where MACHINE.md says what CPUs do, and qemu doesn't.
std::vector<Citation> QemuCitations();

// As Native::Run of a `qemu` that is_qemu().
std::vector<Result> RunOnQemu(Native& qemu, std::span<const Case> cases);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_QEMU_DIFFERENCES_H_
