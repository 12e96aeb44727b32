// Runs a Linux program for a test; input and output are temporary files, so nothing can block.
#ifndef DECODERS_TESTING_RUN_NATIVE_H_
#define DECODERS_TESTING_RUN_NATIVE_H_

#include <string>
#include <string_view>
#include <vector>

#include "decoders/testing/run_guest.h"

namespace vxa::decoders {

// A program that can't be started, and one that a signal ended, is a failure.
GuestRun RunNative(const std::string& program, const std::vector<std::string>& arguments,
                   std::string_view input);

}  // namespace vxa::decoders

#endif  // DECODERS_TESTING_RUN_NATIVE_H_
