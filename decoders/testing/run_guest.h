// Runs a built guest for a test, in the sandbox or, to tell the decoder's mistakes from the
// sandbox's, natively: which of the two depends on the library linked, run_guest_vx or
// run_guest_native32.
#ifndef DECODERS_TESTING_RUN_GUEST_H_
#define DECODERS_TESTING_RUN_GUEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vxa::decoders {

struct GuestRun {
  std::string failure;  // what ended the guest, if it did not exit
  uint32_t exit_status = 0;
  std::string output;
  std::string diagnostics;
};

// `guest` is the guest's file without extension, as in "decoders/zlib/zlib". A guest that can't be
// started is a failure too.
GuestRun RunGuest(const std::string& guest, const std::vector<std::string>& arguments,
                  std::string_view input);

}  // namespace vxa::decoders

#endif  // DECODERS_TESTING_RUN_GUEST_H_
