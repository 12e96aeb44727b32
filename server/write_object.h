// One WriteObject call: objects, one after another.
//
// Each object is a `spec`, data, a `finish`, and gets one answer, a result or an error. After an
// error the rest of its messages is skipped up to the next `spec`.
#ifndef SERVER_WRITE_OBJECT_H_
#define SERVER_WRITE_OBJECT_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "archive/archive.h"
#include "vxa/v1/vxa.grpc.pb.h"

namespace vxa {

class ObjectWriter {
 public:
  using Stream = grpc::ServerReaderWriter<v1::WriteObjectResponse, grpc::ByteBuffer>;

  // All must outlive it.
  ObjectWriter(Archive* archive, grpc::ServerContext* context, Stream* stream)
      : archive_(archive), context_(context), stream_(stream) {}

  // Takes the stream's messages to their end. Not OK only where the whole call is over: the client
  // is gone or its deadline has passed.
  absl::Status Run();

 private:
  // What the messages that come belong to.
  enum class State { kBetweenObjects, kInObject, kSkipping };

  // An error is that of the object, the call goes on, unless EndsCall. Clears `bytes` before it may
  // block: with many streams waiting, a message isn't held twice.
  absl::Status Take(grpc::ByteBuffer* bytes);
  absl::Status Start(const v1::WriteObjectSpec& spec);
  absl::Status Append(const v1::WriteObjectData& data);
  absl::Status Finish(const v1::WriteObjectFinish& finish);

  // Gives the object up, and answers.
  absl::Status Fail(const absl::Status& error);
  absl::Status Answer(const v1::WriteObjectResponse& response);

  Archive* const archive_;
  grpc::ServerContext* const context_;
  Stream* const stream_;
  State state_ = State::kBetweenObjects;
  std::unique_ptr<Upload> upload_;
  uint64_t received_ = 0;  // bytes of the object
  uint64_t reported_ = 0;  // the last persisted_offset sent
};

}  // namespace vxa

#endif  // SERVER_WRITE_OBJECT_H_
