// One VerifyObjects call.
#ifndef SERVER_VERIFY_OBJECTS_H_
#define SERVER_VERIFY_OBJECTS_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "archive/archive.h"
#include "vxa/v1/vxa.grpc.pb.h"

namespace vxa {

// Has the archive verify what `request` asks for and sends each outcome as soon as it is known, in
// the end the summary. A client that doesn't read blocks it; once the client is gone, it ends with
// the decoder that runs.
absl::Status SendVerification(Archive* archive, grpc::ServerContext* context,
                              const v1::VerifyObjectsRequest& request,
                              grpc::ServerWriter<v1::VerifyObjectsResponse>* stream);

}  // namespace vxa

#endif  // SERVER_VERIFY_OBJECTS_H_
