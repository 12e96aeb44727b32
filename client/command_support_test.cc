#include "client/command_support.h"

#include <gtest/gtest.h>

#include "client/status.h"
#include "google/rpc/error_details.pb.h"

namespace vxa::client {
namespace {

absl::Status ServerError(absl::StatusCode code, const std::string& reason,
                         const std::string& message) {
  google::rpc::Status status;
  status.set_code(static_cast<int>(code));
  status.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("vxa");
  status.add_details()->PackFrom(info);
  return FromRpcStatus(status);
}

// The table at the head of proto/vxa/v1/vxa.proto.
TEST(ExitStatusOf, BelongsToTheServersReason) {
  using absl::StatusCode;
  const struct {
    StatusCode code;
    const char* reason;
    ExitStatus status;
  } kTable[] = {
      {StatusCode::kInvalidArgument, "INVALID_NAME", kError},
      {StatusCode::kInvalidArgument, "INVALID_REQUEST", kError},
      {StatusCode::kInvalidArgument, "CHECKSUM_MISMATCH", kError},
      {StatusCode::kInvalidArgument, "PROOF_FAILED", kError},
      {StatusCode::kInvalidArgument, "DECODER_REJECTED", kError},
      {StatusCode::kNotFound, "NAMESPACE_NOT_FOUND", kNotFound},
      {StatusCode::kNotFound, "OBJECT_NOT_FOUND", kNotFound},
      {StatusCode::kNotFound, "VIEW_NOT_FOUND", kNotFound},
      {StatusCode::kNotFound, "CODEC_NOT_FOUND", kNotFound},
      {StatusCode::kNotFound, "DECODER_NOT_FOUND", kNotFound},
      {StatusCode::kAlreadyExists, "OBJECT_EXISTS", kPrecondition},
      {StatusCode::kFailedPrecondition, "VERSION_MISMATCH", kPrecondition},
      {StatusCode::kFailedPrecondition, "VIEW_NOT_VERIFIED", kPrecondition},
      {StatusCode::kFailedPrecondition, "VIEW_FAILED", kPrecondition},
      {StatusCode::kFailedPrecondition, "DECODER_DISABLED", kPrecondition},
      {StatusCode::kOutOfRange, "OFFSET_OUT_OF_RANGE", kError},
      {StatusCode::kResourceExhausted, "LIMIT_EXCEEDED", kError},
      {StatusCode::kResourceExhausted, "DISK_FULL", kError},
      {StatusCode::kUnavailable, "OVERLOADED", kUnavailable},
      {StatusCode::kUnavailable, "STORE_FAILED", kUnavailable},
      {StatusCode::kDataLoss, "DATA_DAMAGED", kDamaged},
      {StatusCode::kInternal, "DECODER_FAILED", kDamaged},
      {StatusCode::kInternal, "", kError},
      {StatusCode::kCancelled, "", kError},
      {StatusCode::kDeadlineExceeded, "", kError},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(ExitStatusOf(ServerError(row.code, row.reason, "")), row.status) << row.reason;
  }
  EXPECT_EQ(ExitStatusOf(absl::OkStatus()), kOk);
}

TEST(ErrorText, KeepsTheLinesOfWhatADecoderSaysButNotItsControlCharacters) {
  const absl::Status status = absl::InvalidArgumentError("it says: bad\nvxa: fine\x1b[2J");
  EXPECT_EQ(ErrorText(status, false), "vxa: it says: bad\n     vxa: fine\\x1b[2J\n");
}

TEST(ErrorText, IsOneLineForPrograms) {
  const absl::Status status =
      ServerError(absl::StatusCode::kInvalidArgument, "PROOF_FAILED", "says \"a\nb\"");
  EXPECT_EQ(ErrorText(status, true),
            R"({"error":{"code":"INVALID_ARGUMENT","reason":"PROOF_FAILED",)"
            R"("message":"says \"a\\x0ab\""}})"
            "\n");
}

}  // namespace
}  // namespace vxa::client
