#include "client/status.h"

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"

namespace vxa::client {
namespace {

constexpr char kErrorInfo[] = "type.googleapis.com/google.rpc.ErrorInfo";

// A code that absl doesn't know becomes UNKNOWN; OK with a message isn't an error that a server may
// send.
absl::StatusCode CodeOf(int code) {
  const auto known = static_cast<absl::StatusCode>(code);
  if (known == absl::StatusCode::kOk || absl::StatusCodeToString(known).empty()) {
    return absl::StatusCode::kUnknown;
  }
  return known;
}

}  // namespace

absl::Status FromRpcStatus(const google::rpc::Status& status) {
  absl::Status result(CodeOf(status.code()), status.message());
  for (const google::protobuf::Any& detail : status.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status details;
  if (details.ParseFromString(status.error_details()) &&
      details.code() == static_cast<int>(status.error_code())) {
    return FromRpcStatus(details);
  }
  return absl::Status(CodeOf(status.error_code()), status.error_message());
}

std::string ErrorReason(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrorInfo);
  google::rpc::ErrorInfo info;
  if (!payload || !info.ParseFromString(std::string(*payload))) return "";
  return info.reason();
}

}  // namespace vxa::client
