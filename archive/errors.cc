#include "archive/errors.h"

#include <iterator>

#include "absl/strings/cord.h"
#include "archive/text.h"

namespace vxa {
namespace {

constexpr std::string_view kPayload = "vxa/reason";

struct Row {
  Reason reason;
  absl::StatusCode code;
  std::string_view name;
};

constexpr Row kReasons[] = {
    {Reason::kInvalidName, absl::StatusCode::kInvalidArgument, "INVALID_NAME"},
    {Reason::kInvalidRequest, absl::StatusCode::kInvalidArgument, "INVALID_REQUEST"},
    {Reason::kChecksumMismatch, absl::StatusCode::kInvalidArgument, "CHECKSUM_MISMATCH"},
    {Reason::kProofFailed, absl::StatusCode::kInvalidArgument, "PROOF_FAILED"},
    {Reason::kDecoderRejected, absl::StatusCode::kInvalidArgument, "DECODER_REJECTED"},
    {Reason::kNamespaceNotFound, absl::StatusCode::kNotFound, "NAMESPACE_NOT_FOUND"},
    {Reason::kObjectNotFound, absl::StatusCode::kNotFound, "OBJECT_NOT_FOUND"},
    {Reason::kViewNotFound, absl::StatusCode::kNotFound, "VIEW_NOT_FOUND"},
    {Reason::kCodecNotFound, absl::StatusCode::kNotFound, "CODEC_NOT_FOUND"},
    {Reason::kDecoderNotFound, absl::StatusCode::kNotFound, "DECODER_NOT_FOUND"},
    {Reason::kObjectExists, absl::StatusCode::kAlreadyExists, "OBJECT_EXISTS"},
    {Reason::kVersionMismatch, absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH"},
    {Reason::kViewNotVerified, absl::StatusCode::kFailedPrecondition, "VIEW_NOT_VERIFIED"},
    {Reason::kViewFailed, absl::StatusCode::kFailedPrecondition, "VIEW_FAILED"},
    {Reason::kDecoderDisabled, absl::StatusCode::kFailedPrecondition, "DECODER_DISABLED"},
    {Reason::kOffsetOutOfRange, absl::StatusCode::kOutOfRange, "OFFSET_OUT_OF_RANGE"},
    {Reason::kLimitExceeded, absl::StatusCode::kResourceExhausted, "LIMIT_EXCEEDED"},
    {Reason::kDiskFull, absl::StatusCode::kResourceExhausted, "DISK_FULL"},
    {Reason::kOverloaded, absl::StatusCode::kUnavailable, "OVERLOADED"},
    {Reason::kStoreFailed, absl::StatusCode::kUnavailable, "STORE_FAILED"},
    {Reason::kDataDamaged, absl::StatusCode::kDataLoss, "DATA_DAMAGED"},
    {Reason::kDecoderFailed, absl::StatusCode::kInternal, "DECODER_FAILED"},
};

// Every reason has its row, in the order of the enumeration.
constexpr bool Complete() {
  for (size_t i = 0; i < std::size(kReasons); ++i) {
    if (kReasons[i].reason != static_cast<Reason>(i)) return false;
  }
  return std::size(kReasons) == static_cast<size_t>(Reason::kDecoderFailed) + 1;
}
static_assert(Complete());

}  // namespace

absl::Status Error(Reason reason, std::string_view message) {
  const Row& row = kReasons[static_cast<size_t>(reason)];
  absl::Status status(row.code, Absl(message));
  status.SetPayload(Absl(kPayload), absl::Cord(Absl(row.name)));
  return status;
}

std::string ReasonName(const absl::Status& status) {
  auto payload = status.GetPayload(Absl(kPayload));
  return payload ? std::string(*payload) : "";
}

}  // namespace vxa
