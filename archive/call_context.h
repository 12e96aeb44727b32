// Asking a CallContext whether its caller still waits.
#ifndef ARCHIVE_CALL_CONTEXT_H_
#define ARCHIVE_CALL_CONTEXT_H_

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "archive/archive.h"

namespace vxa {

// How often a blocked call asks.
inline constexpr absl::Duration kAskInterval = absl::Milliseconds(20);

// CANCELLED, DEADLINE_EXCEEDED or OK.
inline absl::Status CheckContext(const CallContext& context) {
  if (context.cancelled && context.cancelled()) {
    return absl::CancelledError("the caller has hung up");
  }
  if (absl::Now() >= context.deadline) {
    return absl::DeadlineExceededError("the caller's deadline has passed");
  }
  return absl::OkStatus();
}

}  // namespace vxa

#endif  // ARCHIVE_CALL_CONTEXT_H_
