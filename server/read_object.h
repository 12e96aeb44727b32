// One ReadObject call.
#ifndef SERVER_READ_OBJECT_H_
#define SERVER_READ_OBJECT_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "archive/archive.h"
#include "vxa/v1/vxa.grpc.pb.h"

namespace vxa {

// Sends what `request` asks for: metadata, data, and the end with what the archive says of it. A
// client that doesn't read blocks it, and so the decoders behind it.
absl::Status SendObject(Archive* archive, grpc::ServerContext* context,
                        const v1::ReadObjectRequest& request,
                        grpc::ServerWriter<v1::ReadObjectResponse>* stream);

}  // namespace vxa

#endif  // SERVER_READ_OBJECT_H_
