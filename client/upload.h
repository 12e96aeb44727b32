// One object on its way to the server, over a WriteObject call.
#ifndef CLIENT_UPLOAD_H_
#define CLIENT_UPLOAD_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"

namespace vxa::client {

class Upload {
 public:
  using Stream = grpc::ClientReaderWriter<v1::WriteObjectRequest, v1::WriteObjectResponse>;

  explicit Upload(std::unique_ptr<Stream> stream);
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Sends the object, until its end or the server's early word against it. An error is the
  // reader's. REQUIRES: called once.
  absl::Status Send(const v1::WriteObjectSpec& spec, Reader& reader);

  // Waits for the end of the call. What the server said of the object, if it said anything.
  // REQUIRES: called once, after Send.
  std::optional<absl::StatusOr<v1::WriteObjectResult>> Finish(grpc::Status* call);

 private:
  void ReadAnswers();

  const std::unique_ptr<Stream> stream_;
  std::atomic<bool> answered_ = false;
  std::optional<absl::StatusOr<v1::WriteObjectResult>> answer_;  // the thread's until it is joined
  std::thread answers_;
};

}  // namespace vxa::client

#endif  // CLIENT_UPLOAD_H_
