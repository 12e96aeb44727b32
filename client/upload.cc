#include "client/upload.h"

#include <string_view>

#include "client/checksum.h"
#include "client/status.h"

namespace vxa::client {

// Answers are read while data is sent: an error may come long before the end.
Upload::Upload(std::unique_ptr<Stream> stream)
    : stream_(std::move(stream)), answers_([this] { ReadAnswers(); }) {}

Upload::~Upload() {
  if (answers_.joinable()) answers_.join();
}

absl::Status Upload::Send(const v1::WriteObjectSpec& spec, Reader& reader) {
  v1::WriteObjectRequest request;
  *request.mutable_spec() = spec;
  bool open = stream_->Write(request);
  Sha256 hash;
  uint64_t size = 0;
  while (open && !answered_) {
    absl::StatusOr<std::string_view> bytes = reader.Next();
    if (!bytes.ok()) return bytes.status();
    if (bytes->empty()) {
      v1::WriteObjectFinish* finish = request.mutable_finish();
      finish->set_size(size);
      *finish->mutable_digest() = hash.Finish();
      stream_->Write(request);
      break;
    }
    v1::WriteObjectData* data = request.mutable_data();
    data->set_write_offset(size);
    data->mutable_data()->assign(bytes->data(), bytes->size());
    data->set_crc32c(Crc32c(*bytes));
    hash.Update(*bytes);
    size += bytes->size();
    open = stream_->Write(request);
  }
  stream_->WritesDone();
  return absl::OkStatus();
}

std::optional<absl::StatusOr<v1::WriteObjectResult>> Upload::Finish(grpc::Status* call) {
  answers_.join();
  *call = stream_->Finish();
  return std::move(answer_);
}

void Upload::ReadAnswers() {
  v1::WriteObjectResponse response;
  while (stream_->Read(&response)) {
    if (answered_) continue;
    if (response.has_error()) {
      answer_ = FromRpcStatus(response.error());
    } else if (response.has_result()) {
      answer_ = response.result();
    } else {
      continue;
    }
    answered_ = true;
  }
}

}  // namespace vxa::client
