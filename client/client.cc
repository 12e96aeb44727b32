#include "client/client.h"

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/checksum.h"
#include "client/download.h"
#include "client/status.h"
#include "client/upload.h"

namespace vxa::client {
namespace {

constexpr int kMaxAnswerBytes = 8 << 20;  // an answer of the server's has at most some 4 MiB
constexpr int kKeepaliveMs = 60'000;

std::shared_ptr<grpc::Channel> Connect(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // An http_proxy meant for the web would otherwise be asked even for a server on this machine.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Client::Client(Options options)
    : options_(std::move(options)), stub_(v1::Archive::NewStub(Connect(options_.server))) {}

absl::StatusOr<v1::WriteObjectResult> Client::Put(const v1::WriteObjectSpec& spec, Reader& reader) {
  grpc::ClientContext context;
  Prepare(&context);
  Upload upload(stub_->WriteObject(&context));
  const absl::Status sent = upload.Send(spec, reader);
  // Without a finish nothing is stored, so there is no answer to wait for.
  if (!sent.ok()) context.TryCancel();
  grpc::Status call;
  std::optional<absl::StatusOr<v1::WriteObjectResult>> answer = upload.Finish(&call);
  if (!sent.ok()) return sent;
  if (answer) return *std::move(answer);
  if (!call.ok()) return Explain(call);
  return absl::InternalError("the server ended the upload without an answer");
}

absl::StatusOr<GetResult> Client::Get(const v1::ReadObjectRequest& request, Writer& writer) {
  grpc::ClientContext context;
  Prepare(&context);
  std::unique_ptr<grpc::ClientReader<v1::ReadObjectResponse>> stream =
      stub_->ReadObject(&context, request);
  Download download(request, writer);
  v1::ReadObjectResponse message;
  absl::Status status;
  while (status.ok() && stream->Read(&message)) status = download.Take(message);
  if (!status.ok()) context.TryCancel();
  const grpc::Status call = stream->Finish();
  if (!status.ok()) return status;
  if (!call.ok()) return Explain(call);
  return download.Finish();
}

absl::StatusOr<v1::Object> Client::Stat(const v1::GetObjectRequest& request) {
  return Call(&v1::Archive::Stub::GetObject, request);
}

absl::StatusOr<v1::ListObjectsResponse> Client::List(const v1::ListObjectsRequest& request) {
  return Call(&v1::Archive::Stub::ListObjects, request);
}

absl::StatusOr<v1::DeleteObjectResponse> Client::Remove(const v1::DeleteObjectRequest& request) {
  return Call(&v1::Archive::Stub::DeleteObject, request);
}

absl::StatusOr<v1::VerifySummary> Client::Verify(const v1::VerifyObjectsRequest& request,
                                                 const VerifyCallback& take) {
  grpc::ClientContext context;
  Prepare(&context);
  std::unique_ptr<grpc::ClientReader<v1::VerifyObjectsResponse>> stream =
      stub_->VerifyObjects(&context, request);
  std::optional<v1::VerifySummary> summary;
  v1::VerifyObjectsResponse message;
  absl::Status status;
  while (status.ok() && stream->Read(&message)) {
    if (summary) {
      status = absl::DataLossError("the server sent more after the verification's summary");
    } else if (message.has_summary()) {
      summary = message.summary();
    } else {
      status = take(message);
    }
  }
  if (!status.ok()) context.TryCancel();
  const grpc::Status call = stream->Finish();
  if (!status.ok()) return status;
  if (!call.ok()) return Explain(call);
  if (!summary) return absl::DataLossError("the server ended the verification without a summary");
  return *std::move(summary);
}

absl::StatusOr<v1::Decoder> Client::RegisterDecoder(const v1::RegisterDecoderRequest& request) {
  absl::StatusOr<v1::Decoder> decoder = Call(&v1::Archive::Stub::RegisterDecoder, request);
  if (!decoder.ok()) return decoder;
  const v1::Digest id = DigestOf(request.image());
  if (SameDigest(decoder->id(), id)) return decoder;
  return absl::DataLossError(absl::StrCat("the decoder sent is ", DigestText(id),
                                          ", but the server says it is ",
                                          DigestText(decoder->id())));
}

absl::StatusOr<v1::GetDecoderResponse> Client::GetDecoder(const v1::GetDecoderRequest& request) {
  absl::StatusOr<v1::GetDecoderResponse> response = Call(&v1::Archive::Stub::GetDecoder, request);
  if (!response.ok() || !request.include_image()) return response;
  const v1::Digest digest = DigestOf(response->image());
  if (SameDigest(digest, request.id())) return response;
  return absl::DataLossError(absl::StrCat("what came for decoder ", DigestText(request.id()),
                                          " has the digest ", DigestText(digest)));
}

absl::StatusOr<v1::ServerStatus> Client::Status() {
  return Call(&v1::Archive::Stub::GetServerStatus, v1::GetServerStatusRequest());
}

absl::StatusOr<v1::ListDecodersResponse> Client::ListDecoders(
    const v1::ListDecodersRequest& request) {
  return Call(&v1::Archive::Stub::ListDecoders, request);
}

absl::StatusOr<std::vector<v1::Decoder>> Client::ListAllDecoders(const std::string& ns) {
  v1::ListDecodersRequest request;
  request.set_namespace_(ns);
  std::vector<v1::Decoder> decoders;
  do {
    absl::StatusOr<v1::ListDecodersResponse> page = ListDecoders(request);
    if (!page.ok()) return page.status();
    std::move(page->mutable_decoders()->begin(), page->mutable_decoders()->end(),
              std::back_inserter(decoders));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return decoders;
}

template <class Request, class Response>
absl::StatusOr<Response> Client::Call(
    grpc::Status (v1::Archive::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
    const Request& request) {
  grpc::ClientContext context;
  Prepare(&context);
  Response response;
  const grpc::Status call = (stub_.get()->*method)(&context, request, &response);
  if (!call.ok()) return Explain(call);
  return response;
}

void Client::Prepare(grpc::ClientContext* context) const {
  if (options_.timeout == absl::InfiniteDuration()) return;
  context->set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
}

absl::Status Client::Explain(const grpc::Status& status) const {
  absl::Status result = FromGrpcStatus(status);
  if (absl::IsUnimplemented(result)) {
    return absl::UnimplementedError(absl::StrCat("the server at ", options_.server,
                                                 " is too old for this: it has no such call"));
  }
  if (!absl::IsUnavailable(result) || !ErrorReason(result).empty()) return result;
  // gRPC's own: it says so where it couldn't connect, else the connection broke.
  const bool unreachable = absl::StrContains(status.error_message(), "connect to all addresses") ||
                           absl::StrContains(status.error_message(), "DNS resolution failed");
  if (!unreachable) {
    return absl::UnavailableError(absl::StrCat("the connection to the server at ", options_.server,
                                               " broke: ", status.error_message()));
  }
  return absl::UnavailableError(
      absl::StrCat("no server answers at ", options_.server, " (", status.error_message(),
                   "); start one with: vxad --data DIR --listen ", options_.server));
}

}  // namespace vxa::client
