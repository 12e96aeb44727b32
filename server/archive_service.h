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
  // WriteObject, ReadObject, VerifyObjects and RegisterDecoder: each may hold a few MiB and run
  // decoders.
  size_t streams = 32;
  size_t client_streams = 24;  // of these, of one client
  size_t others = 16;
};

// Thread-safe. Requests arrive as bytes and are parsed here, because gRPC takes a message that
// can't be parsed (a name that isn't UTF-8, say) for the end of the stream.
class ArchiveService : public grpc::Service {
 public:
  // `archive` must outlive the service and all of its calls. `status`: what GetServerStatus says,
  // but for the load.
  ArchiveService(Archive* archive, const CallLimits& limits, v1::ServerStatus status);

  // No call is let in any more.
  void Close();

  // Cancels the calls that are in.
  void CancelAll();

  // Whether no call is in.
  bool Idle() const;

 private:
  // What a call does once its request is in and parsed. The response of a stream is a
  // grpc::ServerWriter.
  template <class Request, class Response>
  using Handler = absl::Status (ArchiveService::*)(grpc::ServerContext* context,
                                                   const Request& request, Response* response);

  // `method` is the whole path, and a literal. `gate` is asked before the request is parsed.
  void AddWriteObject(const char* method, CallGate* gate);
  template <class Request, class Response>
  void AddStream(const char* method, CallGate* gate,
                 Handler<Request, grpc::ServerWriter<Response>> handler);
  template <class Request, class Response>
  void AddUnary(const char* method, CallGate* gate, Handler<Request, Response> handler);
  template <class Request, class Response>
  grpc::Status Call(CallGate* gate, grpc::ServerContext* context, const grpc::ByteBuffer& bytes,
                    Response* response, Handler<Request, Response> handler);

  absl::Status ReadObject(grpc::ServerContext* context, const v1::ReadObjectRequest& request,
                          grpc::ServerWriter<v1::ReadObjectResponse>* stream);
  absl::Status GetObject(grpc::ServerContext* context, const v1::GetObjectRequest& request,
                         v1::Object* response);
  absl::Status ListObjects(grpc::ServerContext* context, const v1::ListObjectsRequest& request,
                           v1::ListObjectsResponse* response);
  absl::Status DeleteObject(grpc::ServerContext* context, const v1::DeleteObjectRequest& request,
                            v1::DeleteObjectResponse* response);
  absl::Status VerifyObjects(grpc::ServerContext* context, const v1::VerifyObjectsRequest& request,
                             grpc::ServerWriter<v1::VerifyObjectsResponse>* stream);
  absl::Status RegisterDecoder(grpc::ServerContext* context,
                               const v1::RegisterDecoderRequest& request, v1::Decoder* response);
  absl::Status GetDecoder(grpc::ServerContext* context, const v1::GetDecoderRequest& request,
                          v1::GetDecoderResponse* response);
  absl::Status GetServerStatus(grpc::ServerContext* context,
                               const v1::GetServerStatusRequest& request,
                               v1::ServerStatus* response);
  absl::Status ListDecoders(grpc::ServerContext* context, const v1::ListDecodersRequest& request,
                            v1::ListDecodersResponse* response);

  Archive* const archive_;
  const v1::ServerStatus status_;
  CallGate streams_;
  CallGate others_;
};

}  // namespace vxa

#endif  // SERVER_ARCHIVE_SERVICE_H_
