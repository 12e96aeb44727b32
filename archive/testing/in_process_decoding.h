// A decode service that runs real decoders in the real sandbox, but in this process: tests that
// open archives by the thousand can't start as many workers.
#ifndef ARCHIVE_TESTING_IN_PROCESS_DECODING_H_
#define ARCHIVE_TESTING_IN_PROCESS_DECODING_H_

#include "vxengine/decode_service.h"

namespace vxa::testing {

// Deadlines and cancellation are looked at where the guest reads and writes.
vx::DecodeService& InProcess();

}  // namespace vxa::testing

#endif  // ARCHIVE_TESTING_IN_PROCESS_DECODING_H_
