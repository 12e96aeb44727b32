#include "server/write_object.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "archive/crc32c.h"
#include "archive/errors.h"
#include "archive/text.h"
#include "server/convert.h"
#include "server/parse.h"
#include "server/status.h"

namespace vxa {
namespace {

constexpr size_t kMaxDataBytes = size_t{2} << 20;
constexpr uint64_t kReportEvery = uint64_t{16} << 20;  // bytes between persisted_offsets

// Whether an error concerns the call and not just one object of it.
bool EndsCall(const absl::Status& status) {
  return status.code() == absl::StatusCode::kCancelled ||
         status.code() == absl::StatusCode::kDeadlineExceeded;
}

absl::Status InvalidRequest(const std::string& message) {
  return Error(Reason::kInvalidRequest, message);
}

}  // namespace

absl::Status ObjectWriter::Run() {
  grpc::ByteBuffer bytes;
  while (stream_->Read(&bytes)) {
    absl::Status status = Take(&bytes);
    if (!status.ok() && !EndsCall(status)) status = Fail(status);
    if (!status.ok()) return status;
  }
  if (context_->IsCancelled()) return GoneStatus(context_);
  if (state_ != State::kInObject) return absl::OkStatus();
  return Fail(InvalidRequest(absl::StrCat("the stream ended before the object's finish, after ",
                                          received_, " bytes; it is not stored")));
}

absl::Status ObjectWriter::Take(grpc::ByteBuffer* bytes) {
  v1::WriteObjectRequest message;
  if (absl::Status status = Parse(bytes, &message); !status.ok()) return status;
  if (message.has_spec()) {
    if (state_ == State::kInObject) {
      absl::Status status = Fail(InvalidRequest(absl::StrCat(
          "the next object's spec came before this one's finish, after ", received_, " bytes")));
      if (!status.ok()) return status;
    }
    return Start(message.spec());
  }
  if (state_ == State::kSkipping) return absl::OkStatus();
  if (!message.has_data() && !message.has_finish()) {
    return InvalidRequest("a message has none of spec, data and finish");
  }
  if (state_ != State::kInObject) {
    return InvalidRequest(absl::StrCat(message.has_data() ? "data" : "finish", " without a spec"));
  }
  return message.has_data() ? Append(message.data()) : Finish(message.finish());
}

absl::Status ObjectWriter::Start(const v1::WriteObjectSpec& spec) {
  state_ = State::kInObject;
  received_ = reported_ = 0;
  absl::StatusOr<PutSpec> put = FromProto(spec);
  if (!put.ok()) return put.status();
  absl::StatusOr<std::unique_ptr<Upload>> upload =
      archive_->Put(*std::move(put), ContextOf(context_));
  if (!upload.ok()) return upload.status();
  upload_ = *std::move(upload);
  return absl::OkStatus();
}

absl::Status ObjectWriter::Append(const v1::WriteObjectData& data) {
  if (data.data().size() > kMaxDataBytes) {
    return InvalidRequest(absl::StrCat("data has ", data.data().size(), " bytes; ", kMaxDataBytes,
                                       " may be in one message"));
  }
  if (data.write_offset() != received_) {
    return InvalidRequest(absl::StrCat("write_offset is ", data.write_offset(), ", but ", received_,
                                       " bytes have come"));
  }
  if (const uint32_t crc = Crc32c(data.data()); crc != data.crc32c()) {
    return Error(
        Reason::kChecksumMismatch,
        absl::StrFormat("the %d bytes at offset %d have the CRC-32C %08x, but %08x came with them",
                        data.data().size(), received_, crc, data.crc32c()));
  }
  if (absl::Status status = upload_->Append(data.data()); !status.ok()) return status;
  received_ += data.data().size();
  if (upload_->persisted() < reported_ + kReportEvery) return absl::OkStatus();
  reported_ = upload_->persisted();
  v1::WriteObjectResponse response;
  response.set_persisted_offset(reported_);
  return Answer(response);
}

absl::Status ObjectWriter::Finish(const v1::WriteObjectFinish& finish) {
  absl::StatusOr<Digest> digest = FromProto(finish.digest(), "finish.digest");
  absl::StatusOr<PutResult> result = digest.ok() ? upload_->Finish(finish.size(), *digest)
                                                 : absl::StatusOr<PutResult>(digest.status());
  if (!result.ok()) return result.status();
  upload_.reset();
  state_ = State::kBetweenObjects;
  v1::WriteObjectResponse response;
  *response.mutable_result() = ToProto(*result);
  return Answer(response);
}

absl::Status ObjectWriter::Fail(const absl::Status& error) {
  upload_.reset();
  state_ = State::kSkipping;
  v1::WriteObjectResponse response;
  *response.mutable_error() = ToRpcStatus(error);
  return Answer(response);
}

absl::Status ObjectWriter::Answer(const v1::WriteObjectResponse& response) {
  return stream_->Write(response) ? absl::OkStatus() : GoneStatus(context_);
}

}  // namespace vxa
