// The same objects as a Linux program.
#include "decoders/testing/run_guest.h"
#include "decoders/testing/run_native.h"

namespace vxa::decoders {

GuestRun RunGuest(const std::string& guest, const std::vector<std::string>& arguments,
                  std::string_view input) {
  return RunNative(guest + ".native32", arguments, input);
}

}  // namespace vxa::decoders
