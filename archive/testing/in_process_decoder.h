// Decoding without worker processes, for tests that decode thousands of times.
#ifndef ARCHIVE_TESTING_IN_PROCESS_DECODER_H_
#define ARCHIVE_TESTING_IN_PROCESS_DECODER_H_

#include <memory>

#include "vxengine/decode_service.h"

namespace vxa::testing {

// Runs decoders in this process, in a sandbox each, on the calling thread. A decode is a function
// of the request and its input, so one that was done before is not run again. Deadlines and
// cancellation are not looked at. Thread-safe.
std::unique_ptr<vx::DecodeService> NewInProcessDecodeService();

}  // namespace vxa::testing

#endif  // ARCHIVE_TESTING_IN_PROCESS_DECODER_H_
