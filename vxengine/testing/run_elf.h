// Runs guests for tests: in this process, or on another host's portable machine.
#ifndef VXENGINE_TESTING_RUN_ELF_H_
#define VXENGINE_TESTING_RUN_ELF_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "vxengine/vx.h"

namespace vx::testing {

// From now on guests run on a vxmachine (hosts/vxmachine.cc), whatever engine they ask for: `value`
// is that of the flag --machine, an emulator and the vxmachine's file with a colon between, or the
// file alone.
void UseMachine(std::string_view value);
bool UsesMachine();

// As Program::Load, Sandbox::Create and Run. A vxmachine has no limit on CPU time.
absl::StatusOr<Outcome> RunElf(std::string_view elf, const Options& options, Io& io);

}  // namespace vx::testing

#endif  // VXENGINE_TESTING_RUN_ELF_H_
