#include "server/archive_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/convert.h"
#include "server/parse.h"
#include "server/read_object.h"
#include "server/status.h"
#include "server/verify_objects.h"
#include "server/write_object.h"

namespace vxa {
namespace {

using grpc::ByteBuffer;
using grpc::ServerContext;
using grpc::ServerWriter;
using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;
using grpc::protobuf::MessageLite;

// A page is fetched in parts and ends early where it gets large: clients take messages of up to
// 4 MiB by default, and an object with all it may carry has some 160 KiB, a decoder some 20 KiB.
constexpr uint32_t kListPart = 16;
constexpr size_t kEnoughForPage = size_t{1} << 20;

}  // namespace

ArchiveService::ArchiveService(Archive* archive, const CallLimits& limits, v1::ServerStatus status)
    : archive_(archive),
      status_(std::move(status)),
      streams_(limits.streams, limits.client_streams, "streams"),
      others_(limits.others, limits.others, "short calls") {
  using Self = ArchiveService;
  AddWriteObject("/vxa.v1.Archive/WriteObject", &streams_);
  AddStream("/vxa.v1.Archive/ReadObject", &streams_, &Self::ReadObject);
  AddUnary("/vxa.v1.Archive/GetObject", &others_, &Self::GetObject);
  AddUnary("/vxa.v1.Archive/ListObjects", &others_, &Self::ListObjects);
  AddUnary("/vxa.v1.Archive/DeleteObject", &others_, &Self::DeleteObject);
  AddStream("/vxa.v1.Archive/VerifyObjects", &streams_, &Self::VerifyObjects);
  AddUnary("/vxa.v1.Archive/RegisterDecoder", &streams_, &Self::RegisterDecoder);
  AddUnary("/vxa.v1.Archive/GetDecoder", &others_, &Self::GetDecoder);
  AddUnary("/vxa.v1.Archive/ListDecoders", &others_, &Self::ListDecoders);
  AddUnary("/vxa.v1.Archive/GetServerStatus", &others_, &Self::GetServerStatus);
}

void ArchiveService::AddWriteObject(const char* method, CallGate* gate) {
  AddMethod(new RpcServiceMethod(
      method, RpcMethod::BIDI_STREAMING,
      new grpc::internal::BidiStreamingHandler<ArchiveService, ByteBuffer, v1::WriteObjectResponse>(
          [gate](ArchiveService* self, ServerContext* context, ObjectWriter::Stream* stream) {
            absl::StatusOr<CallGate::Pass> pass = gate->Enter(context);
            if (!pass.ok()) return ToGrpcStatus(pass.status());
            return ToGrpcStatus(ObjectWriter(self->archive_, context, stream).Run());
          },
          this)));
}

template <class Request, class Response>
void ArchiveService::AddStream(const char* method, CallGate* gate,
                               Handler<Request, ServerWriter<Response>> handler) {
  AddMethod(new RpcServiceMethod(
      method, RpcMethod::SERVER_STREAMING,
      new grpc::internal::ServerStreamingHandler<ArchiveService, ByteBuffer, Response>(
          [gate, handler](ArchiveService* self, ServerContext* context, const ByteBuffer* bytes,
                          ServerWriter<Response>* stream) {
            return self->Call(gate, context, *bytes, stream, handler);
          },
          this)));
}

template <class Request, class Response>
void ArchiveService::AddUnary(const char* method, CallGate* gate,
                              Handler<Request, Response> handler) {
  AddMethod(
      new RpcServiceMethod(method, RpcMethod::NORMAL_RPC,
                           new grpc::internal::RpcMethodHandler<ArchiveService, ByteBuffer,
                                                                Response, ByteBuffer, MessageLite>(
                               [gate, handler](ArchiveService* self, ServerContext* context,
                                               const ByteBuffer* bytes, Response* response) {
                                 return self->Call(gate, context, *bytes, response, handler);
                               },
                               this)));
}

template <class Request, class Response>
grpc::Status ArchiveService::Call(CallGate* gate, ServerContext* context, const ByteBuffer& bytes,
                                  Response* response, Handler<Request, Response> handler) {
  absl::StatusOr<CallGate::Pass> pass = gate->Enter(context);
  if (!pass.ok()) return ToGrpcStatus(pass.status());
  Request request;
  absl::Status status = Parse(bytes, &request);
  if (status.ok()) status = (this->*handler)(context, request, response);
  return ToGrpcStatus(status);
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

absl::Status ArchiveService::ReadObject(ServerContext* context,
                                        const v1::ReadObjectRequest& request,
                                        ServerWriter<v1::ReadObjectResponse>* stream) {
  return SendObject(archive_, context, request, stream);
}

absl::Status ArchiveService::GetObject(ServerContext* /*context*/,
                                       const v1::GetObjectRequest& request, v1::Object* response) {
  absl::StatusOr<ObjectInfo> object =
      archive_->Stat(request.namespace_(), request.name(), request.version());
  if (object.ok()) *response = ToProto(*object);
  return object.status();
}

absl::Status ArchiveService::ListObjects(ServerContext* /*context*/,
                                         const v1::ListObjectsRequest& request,
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

absl::Status ArchiveService::DeleteObject(ServerContext* /*context*/,
                                          const v1::DeleteObjectRequest& request,
                                          v1::DeleteObjectResponse* response) {
  absl::StatusOr<uint64_t> version = archive_->Delete(FromProto(request));
  if (version.ok()) response->set_version(*version);
  return version.status();
}

absl::Status ArchiveService::VerifyObjects(ServerContext* context,
                                           const v1::VerifyObjectsRequest& request,
                                           ServerWriter<v1::VerifyObjectsResponse>* stream) {
  return SendVerification(archive_, context, request, stream);
}

absl::Status ArchiveService::RegisterDecoder(ServerContext* context,
                                             const v1::RegisterDecoderRequest& request,
                                             v1::Decoder* response) {
  absl::StatusOr<RegisterSpec> spec = FromProto(request);
  if (!spec.ok()) return spec.status();
  absl::StatusOr<DecoderInfo> decoder = archive_->RegisterDecoder(*spec, ContextOf(context));
  if (decoder.ok()) *response = ToProto(*decoder);
  return decoder.status();
}

absl::Status ArchiveService::GetDecoder(ServerContext* /*context*/,
                                        const v1::GetDecoderRequest& request,
                                        v1::GetDecoderResponse* response) {
  absl::StatusOr<Digest> id = FromProto(request.id(), "id");
  if (!id.ok()) return id.status();
  absl::StatusOr<DecoderInfo> decoder = archive_->StatDecoder(request.namespace_(), *id);
  if (!decoder.ok()) return decoder.status();
  *response->mutable_decoder() = ToProto(*decoder);
  if (!request.include_image()) return absl::OkStatus();
  absl::StatusOr<std::string> image = archive_->ReadDecoder(request.namespace_(), *id);
  if (image.ok()) response->set_image(*std::move(image));
  return image.status();
}

absl::Status ArchiveService::ListDecoders(ServerContext* /*context*/,
                                          const v1::ListDecodersRequest& request,
                                          v1::ListDecodersResponse* response) {
  absl::StatusOr<uint32_t> page_size = PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  std::string token = request.page_token();
  size_t bytes = 0;
  for (uint32_t left = *page_size; left > 0 && bytes < kEnoughForPage;) {
    absl::StatusOr<DecoderList> part =
        archive_->ListDecoders(request.namespace_(), std::min(left, kListPart), token);
    if (!part.ok()) return part.status();
    for (const DecoderInfo& decoder : part->decoders) {
      *response->add_decoders() = ToProto(decoder);
      bytes += response->decoders().rbegin()->ByteSizeLong();
    }
    left -= std::min<size_t>(left, part->decoders.size());
    token = part->next_page_token;
    if (token.empty()) break;
  }
  response->set_next_page_token(token);
  return absl::OkStatus();
}

absl::Status ArchiveService::GetServerStatus(ServerContext* /*context*/,
                                             const v1::GetServerStatusRequest& /*request*/,
                                             v1::ServerStatus* response) {
  *response = status_;
  v1::ServerLoad* load = response->mutable_load();
  load->set_streams(static_cast<uint32_t>(streams_.size()));
  const DecodeLoad decodes = archive_->Load();
  load->set_decodes(static_cast<uint32_t>(decodes.running));
  load->set_decodes_waiting(static_cast<uint32_t>(decodes.waiting));
  return absl::OkStatus();
}

}  // namespace vxa
