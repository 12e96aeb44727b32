// The gRPC service vxa.v1.Archive (proto/vxa/v1/vxa.proto) on an Archive: takes messages apart,
// checks and converts them, and lets the archive do the work on the call's own thread, so that
// whoever is slow (client, disk or decoder) slows its own call only.
#ifndef SERVER_ARCHIVE_SERVICE_H_
#define SERVER_ARCHIVE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "archive/archive.h"
#include "server/call_gate.h"
#include "vxa/v1/vxa.grpc.pb.h"

namespace vxa {

// How many calls are taken at once; further ones get OVERLOADED.
struct CallLimits {
  size_t streams = 32;  // WriteObject and ReadObject; each may hold a few MiB
  size_t others = 16;
};

// Thread-safe. Requests arrive as bytes and are parsed here, because gRPC takes a message that
// can't be parsed (a name that isn't UTF-8, say) for the end of the stream.
class ArchiveService : public grpc::Service {
 public:
  // `archive` must outlive the service and all of its calls.
  ArchiveService(Archive* archive, const CallLimits& limits);

  // No call is let in any more.
  void Close();

  // Cancels the calls that are in.
  void CancelAll();

  // Whether no call is in.
  bool Idle() const;

 private:
  using WriteStream = grpc::ServerReaderWriter<v1::WriteObjectResponse, grpc::ByteBuffer>;
  using ReadStream = grpc::ServerWriter<v1::ReadObjectResponse>;

  grpc::Status WriteObject(grpc::ServerContext* context, WriteStream* stream);
  grpc::Status ReadObject(grpc::ServerContext* context, const grpc::ByteBuffer* request,
                          ReadStream* stream);
  grpc::Status GetObject(grpc::ServerContext* context, const grpc::ByteBuffer* request,
                         v1::Object* response);
  grpc::Status ListObjects(grpc::ServerContext* context, const grpc::ByteBuffer* request,
                           v1::ListObjectsResponse* response);
  grpc::Status DeleteObject(grpc::ServerContext* context, const grpc::ByteBuffer* request,
                            v1::DeleteObjectResponse* response);

  absl::Status List(const v1::ListObjectsRequest& request, v1::ListObjectsResponse* response);

  Archive* const archive_;
  CallGate streams_;
  CallGate others_;
};

}  // namespace vxa

#endif  // SERVER_ARCHIVE_SERVICE_H_
