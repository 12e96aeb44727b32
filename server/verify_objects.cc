#include "server/verify_objects.h"

#include <string>

#include "server/convert.h"
#include "server/parse.h"

namespace vxa {
namespace {

class MessageSink : public VerifySink {
 public:
  MessageSink(grpc::ServerContext* context, grpc::ServerWriter<v1::VerifyObjectsResponse>* stream)
      : context_(context), stream_(stream) {}

  absl::Status Progress(const std::string& name, uint64_t version, uint64_t bytes) override {
    v1::VerifyObjectsResponse response;
    response.mutable_progress()->set_name(name);
    response.mutable_progress()->set_version(version);
    response.mutable_progress()->set_bytes(bytes);
    return Send(response);
  }

  absl::Status Verified(const VerifiedVersion& version) override {
    v1::VerifyObjectsResponse response;
    *response.mutable_object() = ToProto(version);
    return Send(response);
  }

  absl::Status End(const VerifySummary& summary) {
    v1::VerifyObjectsResponse response;
    *response.mutable_summary() = ToProto(summary);
    return Send(response);
  }

 private:
  absl::Status Send(const v1::VerifyObjectsResponse& response) {
    return stream_->Write(response) ? absl::OkStatus() : GoneStatus(context_);
  }

  grpc::ServerContext* const context_;
  grpc::ServerWriter<v1::VerifyObjectsResponse>* const stream_;
};

}  // namespace

absl::Status SendVerification(Archive* archive, grpc::ServerContext* context,
                              const v1::VerifyObjectsRequest& request,
                              grpc::ServerWriter<v1::VerifyObjectsResponse>* stream) {
  absl::StatusOr<VerifySpec> spec = FromProto(request);
  if (!spec.ok()) return spec.status();
  MessageSink sink(context, stream);
  absl::StatusOr<VerifySummary> summary = archive->Verify(*spec, sink, ContextOf(context));
  if (!summary.ok()) return summary.status();
  return sink.End(*summary);
}

}  // namespace vxa
