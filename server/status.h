// Errors on the wire: absl::Status to google.rpc.Status and to a call's closing status, with the
// archive's reason as google.rpc.ErrorInfo (https://grpc.io/docs/guides/error/).
#ifndef SERVER_STATUS_H_
#define SERVER_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace vxa {

// REQUIRES: `status` isn't OK.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// With ToRpcStatus's message as its details, which gRPC sends as `grpc-status-details-bin`.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace vxa

#endif  // SERVER_STATUS_H_
