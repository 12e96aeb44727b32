#include "client/download.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vxa::client {

absl::Status Download::Take(const v1::ReadObjectResponse& message) {
  if (message.has_metadata() == begun_ || ended_) {
    return absl::DataLossError("the server sent its messages in a wrong order");
  }
  if (message.has_metadata()) {
    begun_ = true;
    result_.metadata = message.metadata();
    return writer_.Begin(result_.metadata);
  }
  if (message.has_data()) return TakeData(message.data());
  ended_ = message.has_end();
  result_.end = message.end();
  return absl::OkStatus();
}

absl::Status Download::TakeData(const v1::ReadObjectData& data) {
  if (data.read_offset() != next_offset_) {
    return absl::DataLossError(absl::StrCat(
        "data for offset ", next_offset_, " should have come, but it is for ", data.read_offset()));
  }
  if (Crc32c(data.data()) != data.crc32c()) {
    return absl::DataLossError(absl::StrCat("the ", data.data().size(), " bytes at offset ",
                                            next_offset_, " don't match their CRC-32C"));
  }
  hash_.Update(data.data());
  next_offset_ += data.data().size();
  return writer_.Append(data.data());
}

absl::StatusOr<GetResult> Download::Finish() {
  if (!ended_) {
    return absl::DataLossError(
        absl::StrCat("the server's answer ended early, at offset ", next_offset_));
  }
  const uint64_t size = result_.metadata.size();
  result_.bytes = next_offset_ - request_.read_offset();
  const uint64_t available =
      SizeIsKnown() ? size - std::min(size, request_.read_offset()) : result_.bytes;
  const uint64_t expected =
      request_.has_read_limit() ? std::min(available, request_.read_limit()) : available;
  if (result_.bytes != expected) {
    return absl::DataLossError(absl::StrCat(result_.bytes, " bytes came; it should be ", expected));
  }
  result_.verified = result_.end.verified() && SizeIsKnown();
  if (!Whole()) return std::move(result_);
  const v1::Digest digest = hash_.Finish();
  const v1::Digest& kept =
      request_.form() == v1::ORIGINAL ? result_.metadata.object().digest() : result_.end.digest();
  if (!SameDigest(digest, kept) || !SameDigest(digest, result_.end.digest())) {
    return absl::DataLossError(absl::StrCat("what came has the digest ", DigestText(digest),
                                            "; it should be ", DigestText(kept)));
  }
  if (SizeIsKnown()) result_.verified = true;
  return std::move(result_);
}

// Nobody knows beforehand what a view's decoder makes with other arguments, nor kept a digest.
bool Download::SizeIsKnown() const { return request_.view_arguments().empty(); }

bool Download::Whole() const {
  if (request_.read_offset() != 0) return false;
  return SizeIsKnown() ? result_.bytes == result_.metadata.size() : !request_.has_read_limit();
}

}  // namespace vxa::client
