// The archive's errors: a canonical code, a text for people that says what, where and why, and a
// reason for programs, which the server hands on as google.rpc.ErrorInfo. proto/vxa/v1/vxa.proto
// lists them all.
#ifndef ARCHIVE_ERRORS_H_
#define ARCHIVE_ERRORS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vxa {

enum class Reason {
  kInvalidName,
  kInvalidRequest,
  kChecksumMismatch,
  kProofFailed,
  kDecoderRejected,
  kNamespaceNotFound,
  kObjectNotFound,
  kViewNotFound,
  kCodecNotFound,
  kDecoderNotFound,
  kObjectExists,
  kVersionMismatch,
  kViewNotVerified,
  kViewFailed,
  kDecoderDisabled,
  kOffsetOutOfRange,
  kLimitExceeded,
  kDiskFull,
  kOverloaded,
  kStoreFailed,
  kDataDamaged,
  kDecoderFailed,
};

// A status with the code that belongs to `reason`.
absl::Status Error(Reason reason, std::string_view message);

// The reason's name ("OBJECT_NOT_FOUND") of a status made by Error, else "".
std::string ReasonName(const absl::Status& status);

}  // namespace vxa

#endif  // ARCHIVE_ERRORS_H_
