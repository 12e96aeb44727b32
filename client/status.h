// Errors from the server: google.rpc.Status and gRPC's own to absl::Status, with the details that
// came along as the status's payloads.
#ifndef CLIENT_STATUS_H_
#define CLIENT_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace vxa::client {

absl::Status FromRpcStatus(const google::rpc::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// Why, for programs, as proto/vxa/v1/vxa.proto lists it ("OBJECT_NOT_FOUND"). Empty for an error
// that isn't the server's word: no connection, a file that can't be written, ...
std::string ErrorReason(const absl::Status& status);

}  // namespace vxa::client

#endif  // CLIENT_STATUS_H_
