// Runs a built guest in the sandbox, on an engine of the caller's choice.
#ifndef DECODERS_TESTING_RUN_GUEST_VX_H_
#define DECODERS_TESTING_RUN_GUEST_VX_H_

#include <string>
#include <string_view>
#include <vector>

#include "decoders/testing/run_guest.h"
#include "vxengine/vx.h"

namespace vxa::decoders {

// As RunGuest() does on the engine that the command line names. An engine or a placement that is
// not to be had is a failure too, except under sanitizers. Where tests use a vxmachine
// (vxengine/testing/run_elf.h), there and by the translator, and a difference is a failure.
GuestRun RunGuestOn(vx::Engine engine, vx::Placement placement, const std::string& guest,
                    const std::vector<std::string>& arguments, std::string_view input);

}  // namespace vxa::decoders

#endif  // DECODERS_TESTING_RUN_GUEST_VX_H_
