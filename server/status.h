// Errors on the wire: absl::Status to google.rpc.Status and to a call's closing status, with the
// archive's reason as google.rpc.ErrorInfo (https://grpc.io/docs/guides/error/).
#ifndef SERVER_STATUS_H_
#define SERVER_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace vxa {

// For a message in a stream. REQUIRES: `status` isn't OK.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// For a call that fails: with the google.rpc.Status as its details, which gRPC sends as
// `grpc-status-details-bin`, and texts cut to what trailers may have.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace vxa

#endif  // SERVER_STATUS_H_
