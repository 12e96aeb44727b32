#include "vxengine/conformance/qemu_differences.h"

namespace vx::conformance {

bool CorrectQemu(const Case& test, Result* result) { return true; }

}  // namespace vx::conformance
