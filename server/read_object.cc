#include "server/read_object.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "archive/crc32c.h"
#include "server/convert.h"
#include "server/parse.h"

namespace vxa {
namespace {

// Large enough that a message's own cost doesn't count, small enough for many streams at once.
constexpr size_t kMessageBytes = size_t{256} << 10;

// Makes messages of bytes that come in pieces of any size.
class MessageSink : public ReadSink {
 public:
  MessageSink(grpc::ServerContext* context, grpc::ServerWriter<v1::ReadObjectResponse>* stream,
              uint64_t offset)
      : context_(context), stream_(stream), offset_(offset) {}

  absl::Status Begin(const ReadHeader& header) override {
    v1::ReadObjectResponse response;
    *response.mutable_metadata() = ToProto(header);
    return Send(response);
  }

  absl::Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::string* data = next_.mutable_data()->mutable_data();
      const size_t taken = std::min(bytes.size(), kMessageBytes - data->size());
      data->append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (data->size() < kMessageBytes) continue;
      if (absl::Status status = Flush(); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status End(const ReadResult& result) {
    if (absl::Status status = Flush(); !status.ok()) return status;
    v1::ReadObjectResponse response;
    v1::ReadObjectEnd* end = response.mutable_end();
    end->set_verified(result.verified);
    *end->mutable_digest() = ToProto(result.digest);
    for (const DecodeCost& cost : result.cost) *end->add_cost() = ToProto(cost);
    return Send(response);
  }

 private:
  absl::Status Flush() {
    v1::ReadObjectData* data = next_.mutable_data();
    if (data->data().empty()) return absl::OkStatus();
    data->set_read_offset(offset_);
    data->set_crc32c(Crc32c(data->data()));
    if (absl::Status status = Send(next_); !status.ok()) return status;
    offset_ += data->data().size();
    data->mutable_data()->clear();
    return absl::OkStatus();
  }

  absl::Status Send(const v1::ReadObjectResponse& response) {
    return stream_->Write(response) ? absl::OkStatus() : GoneStatus(context_);
  }

  grpc::ServerContext* const context_;
  grpc::ServerWriter<v1::ReadObjectResponse>* const stream_;
  uint64_t offset_;  // of next_'s data
  v1::ReadObjectResponse next_;
};

}  // namespace

absl::Status SendObject(Archive* archive, grpc::ServerContext* context,
                        const v1::ReadObjectRequest& request,
                        grpc::ServerWriter<v1::ReadObjectResponse>* stream) {
  absl::StatusOr<ReadSpec> spec = FromProto(request);
  if (!spec.ok()) return spec.status();
  MessageSink sink(context, stream, spec->offset);
  absl::StatusOr<ReadResult> result = archive->Read(*spec, sink, ContextOf(context));
  if (!result.ok()) return result.status();
  return sink.End(*result);
}

}  // namespace vxa
