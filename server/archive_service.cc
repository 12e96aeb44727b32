#include "server/archive_service.h"

#include <algorithm>
#include <string>

#include "archive/text.h"
#include "server/convert.h"
#include "server/parse.h"
#include "server/read_object.h"
#include "server/status.h"
#include "server/write_object.h"

namespace vxa {
namespace {

using grpc::ByteBuffer;
using grpc::ServerContext;
using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;
using grpc::protobuf::MessageLite;

// A page is fetched in parts and ends early where it gets large: clients take messages of up to
// 4 MiB by default, and an object with all it may carry has some 80 KiB.
constexpr uint32_t kListPart = 32;
constexpr size_t kEnoughForPage = size_t{1} << 20;

}  // namespace

ArchiveService::ArchiveService(Archive* archive, const CallLimits& limits)
    : archive_(archive),
      streams_(limits.streams, "streams"),
      others_(limits.others, "short calls") {
  using Self = ArchiveService;
  AddMethod(new RpcServiceMethod(
      "/vxa.v1.Archive/WriteObject", RpcMethod::BIDI_STREAMING,
      new grpc::internal::BidiStreamingHandler<Self, ByteBuffer, v1::WriteObjectResponse>(
          [](Self* self, ServerContext* context, WriteStream* stream) {
            return self->WriteObject(context, stream);
          },
          this)));
  AddMethod(new RpcServiceMethod(
      "/vxa.v1.Archive/ReadObject", RpcMethod::SERVER_STREAMING,
      new grpc::internal::ServerStreamingHandler<Self, ByteBuffer, v1::ReadObjectResponse>(
          [](Self* self, ServerContext* context, const ByteBuffer* request, ReadStream* stream) {
            return self->ReadObject(context, request, stream);
          },
          this)));
  AddMethod(new RpcServiceMethod(
      "/vxa.v1.Archive/GetObject", RpcMethod::NORMAL_RPC,
      new grpc::internal::RpcMethodHandler<Self, ByteBuffer, v1::Object, ByteBuffer, MessageLite>(
          [](Self* self, ServerContext* context, const ByteBuffer* request, v1::Object* response) {
            return self->GetObject(context, request, response);
          },
          this)));
  AddMethod(new RpcServiceMethod(
      "/vxa.v1.Archive/ListObjects", RpcMethod::NORMAL_RPC,
      new grpc::internal::RpcMethodHandler<Self, ByteBuffer, v1::ListObjectsResponse, ByteBuffer,
                                           MessageLite>(
          [](Self* self, ServerContext* context, const ByteBuffer* request,
             v1::ListObjectsResponse* response) {
            return self->ListObjects(context, request, response);
          },
          this)));
  AddMethod(new RpcServiceMethod(
      "/vxa.v1.Archive/DeleteObject", RpcMethod::NORMAL_RPC,
      new grpc::internal::RpcMethodHandler<Self, ByteBuffer, v1::DeleteObjectResponse, ByteBuffer,
                                           MessageLite>(
          [](Self* self, ServerContext* context, const ByteBuffer* request,
             v1::DeleteObjectResponse* response) {
            return self->DeleteObject(context, request, response);
          },
          this)));
}

void ArchiveService::Close() {
  streams_.Close();
  others_.Close();
}

void ArchiveService::CancelAll() {
  streams_.CancelAll();
  others_.CancelAll();
}

bool ArchiveService::Idle() const { return streams_.Empty() && others_.Empty(); }

grpc::Status ArchiveService::WriteObject(ServerContext* context, WriteStream* stream) {
  absl::StatusOr<CallGate::Pass> pass = streams_.Enter(context);
  if (!pass.ok()) return ToGrpcStatus(pass.status());
  return ToGrpcStatus(ObjectWriter(archive_, context, stream).Run());
}

grpc::Status ArchiveService::ReadObject(ServerContext* context, const ByteBuffer* request,
                                        ReadStream* stream) {
  absl::StatusOr<CallGate::Pass> pass = streams_.Enter(context);
  if (!pass.ok()) return ToGrpcStatus(pass.status());
  v1::ReadObjectRequest message;
  if (absl::Status status = Parse(*request, &message); !status.ok()) return ToGrpcStatus(status);
  return ToGrpcStatus(SendObject(archive_, context, message, stream));
}

grpc::Status ArchiveService::GetObject(ServerContext* context, const ByteBuffer* request,
                                       v1::Object* response) {
  absl::StatusOr<CallGate::Pass> pass = others_.Enter(context);
  if (!pass.ok()) return ToGrpcStatus(pass.status());
  v1::GetObjectRequest message;
  if (absl::Status status = Parse(*request, &message); !status.ok()) return ToGrpcStatus(status);
  absl::StatusOr<ObjectInfo> object =
      archive_->Stat(message.namespace_(), message.name(), message.version());
  if (!object.ok()) return ToGrpcStatus(object.status());
  *response = ToProto(*object);
  return grpc::Status::OK;
}

grpc::Status ArchiveService::ListObjects(ServerContext* context, const ByteBuffer* request,
                                         v1::ListObjectsResponse* response) {
  absl::StatusOr<CallGate::Pass> pass = others_.Enter(context);
  if (!pass.ok()) return ToGrpcStatus(pass.status());
  v1::ListObjectsRequest message;
  absl::Status status = Parse(*request, &message);
  if (status.ok()) status = List(message, response);
  return ToGrpcStatus(status);
}

absl::Status ArchiveService::List(const v1::ListObjectsRequest& request,
                                  v1::ListObjectsResponse* response) {
  absl::StatusOr<ListSpec> spec = FromProto(request);
  if (!spec.ok()) return spec.status();
  size_t bytes = 0;
  for (uint32_t left = spec->page_size; left > 0 && bytes < kEnoughForPage;) {
    spec->page_size = std::min(left, kListPart);
    absl::StatusOr<ListResult> part = archive_->List(*spec);
    if (!part.ok()) return part.status();
    for (const ObjectInfo& object : part->objects) {
      *response->add_objects() = ToProto(object);
      bytes += response->objects().rbegin()->ByteSizeLong();
    }
    for (std::string& prefix : part->prefixes) {
      bytes += prefix.size();
      response->add_prefixes(std::move(prefix));
    }
    left -= std::min<size_t>(left, part->objects.size() + part->prefixes.size());
    spec->page_token = part->next_page_token;
    if (spec->page_token.empty()) break;
  }
  response->set_next_page_token(spec->page_token);
  return absl::OkStatus();
}

grpc::Status ArchiveService::DeleteObject(ServerContext* context, const ByteBuffer* request,
                                          v1::DeleteObjectResponse* response) {
  absl::StatusOr<CallGate::Pass> pass = others_.Enter(context);
  if (!pass.ok()) return ToGrpcStatus(pass.status());
  v1::DeleteObjectRequest message;
  if (absl::Status status = Parse(*request, &message); !status.ok()) return ToGrpcStatus(status);
  absl::StatusOr<uint64_t> version = archive_->Delete(FromProto(message));
  if (!version.ok()) return ToGrpcStatus(version.status());
  response->set_version(*version);
  return grpc::Status::OK;
}

}  // namespace vxa
