// Messages out of a call's bytes, and what the archive has to know of the call.
#ifndef SERVER_PARSE_H_
#define SERVER_PARSE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "archive/archive.h"
#include "archive/errors.h"
#include "server/call_gate.h"
#include "vxa/v1/vxa.grpc.pb.h"  // for gRPC's protobuf support

namespace vxa {

// Clears `bytes`. INVALID_REQUEST if they are no message of this type.
template <class Message>
absl::Status Parse(grpc::ByteBuffer* bytes, Message* message) {
  const bool parsed = grpc::SerializationTraits<Message>::Deserialize(bytes, message).ok();
  bytes->Clear();
  if (parsed) return absl::OkStatus();
  return Error(Reason::kInvalidRequest, "not a message of type " + message->GetTypeName() +
                                            ", or a string in it is not UTF-8");
}

template <class Message>
absl::Status Parse(const grpc::ByteBuffer& bytes, Message* message) {
  grpc::ByteBuffer copy = bytes;  // shares the bytes themselves
  return Parse(&copy, message);
}

inline CallContext ContextOf(grpc::ServerContext* context) {
  CallContext call;
  const std::chrono::system_clock::time_point deadline = context->deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    call.deadline = absl::FromChrono(deadline);
  }
  call.agent = context->peer();
  call.client = ClientOf(call.agent);
  call.cancelled = [context] { return context->IsCancelled(); };
  return call;
}

// Why the other side of a stream is gone.
inline absl::Status GoneStatus(grpc::ServerContext* context) {
  if (absl::Now() >= absl::FromChrono(context->deadline())) {
    return absl::DeadlineExceededError("the call's deadline is over");
  }
  return absl::CancelledError("the client is gone");
}

}  // namespace vxa

#endif  // SERVER_PARSE_H_
