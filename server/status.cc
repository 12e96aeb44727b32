#include "server/status.h"

#include <string>

#include "archive/errors.h"
#include "archive/text.h"
#include "archive/wire_text.h"
#include "google/rpc/error_details.pb.h"

namespace vxa {
namespace {

constexpr char kDomain[] = "vxa";
constexpr int kRetrySeconds = 1;

// A closing status travels in HTTP/2 trailers: the text percent-encoded (up to three bytes for one)
// and, with the details, in base64. Clients refuse more than 8 KiB of headers by default.
constexpr size_t kMaxTrailerText = 1200;

// In a message there is room for the 4 KiB that are passed on of a guest's words, even if each of
// their bytes takes four, and for our own.
constexpr size_t kMaxMessageText = 20 << 10;

google::rpc::Status ToRpcStatus(const absl::Status& status, size_t max_text) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int>(status.code()));
  rpc.set_message(WireText(Std(status.message()), max_text));
  const std::string reason = ReasonName(status);
  if (!reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain(kDomain);
    rpc.add_details()->PackFrom(info);
  }
  if (reason == ReasonName(Error(Reason::kOverloaded, ""))) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetrySeconds);
    rpc.add_details()->PackFrom(retry);
  }
  return rpc;
}

}  // namespace

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  return ToRpcStatus(status, kMaxMessageText);
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status, kMaxTrailerText);
  return grpc::Status(static_cast<grpc::StatusCode>(rpc.code()), rpc.message(),
                      rpc.SerializeAsString());
}

}  // namespace vxa
