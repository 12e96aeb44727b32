#include "client/client.h"

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
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
  grpc::ClientContext context;
  Prepare(&context);
  v1::Object object;
  const grpc::Status call = stub_->GetObject(&context, request, &object);
  if (!call.ok()) return Explain(call);
  return object;
}

absl::StatusOr<v1::ListObjectsResponse> Client::List(const v1::ListObjectsRequest& request) {
  grpc::ClientContext context;
  Prepare(&context);
  v1::ListObjectsResponse page;
  const grpc::Status call = stub_->ListObjects(&context, request, &page);
  if (!call.ok()) return Explain(call);
  return page;
}

absl::StatusOr<v1::DeleteObjectResponse> Client::Remove(const v1::DeleteObjectRequest& request) {
  grpc::ClientContext context;
  Prepare(&context);
  v1::DeleteObjectResponse response;
  const grpc::Status call = stub_->DeleteObject(&context, request, &response);
  if (!call.ok()) return Explain(call);
  return response;
}

void Client::Prepare(grpc::ClientContext* context) const {
  if (options_.timeout == absl::InfiniteDuration()) return;
  context->set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
}

absl::Status Client::Explain(const grpc::Status& status) const {
  absl::Status result = FromGrpcStatus(status);
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
