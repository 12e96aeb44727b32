// Where qemu's software CPU (qemu-user 7.2) differs from the CPUs that it stands in for.
#ifndef VXENGINE_CONFORMANCE_QEMU_DIFFERENCES_H_
#define VXENGINE_CONFORMANCE_QEMU_DIFFERENCES_H_

#include "vxengine/conformance/case.h"

namespace vx::conformance {

bool CorrectQemu(const Case& test, Result* result);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_QEMU_DIFFERENCES_H_
