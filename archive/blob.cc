#include "archive/blob.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/fold.h"

namespace vxa {
namespace {

using archive::v1::BlobPrefix;

constexpr size_t kLengthSize = 4;

uint32_t PrefixLength(std::string_view payload) {
  uint32_t length = 0;
  for (size_t i = 0; i < kLengthSize; ++i) {
    length |= uint32_t{static_cast<uint8_t>(payload[i])} << (8 * i);
  }
  return length;
}

}  // namespace

std::string EncodeBlobPrefix(const archive::v1::Decode* decode, uint64_t length,
                             const Digest& digest) {
  BlobPrefix prefix;
  if (decode != nullptr) *prefix.mutable_decode() = *decode;
  prefix.set_length(length);
  *prefix.mutable_digest() = ToMessage(digest);
  const std::string message = prefix.SerializeAsString();
  std::string out;
  for (size_t i = 0; i < kLengthSize; ++i) {
    out.push_back(static_cast<char>(message.size() >> (8 * i)));
  }
  return out + message;
}

absl::StatusOr<BlobHead> ParseBlobHead(std::string_view head, uint64_t size) {
  if (head.size() < kLengthSize) return absl::DataLossError("it has no prefix");
  const uint32_t length = PrefixLength(head);
  head.remove_prefix(kLengthSize);
  BlobHead blob;
  BlobPrefix& prefix = blob.prefix;
  if (length > head.size() || !prefix.ParseFromArray(head.data(), static_cast<int>(length))) {
    return absl::DataLossError("its prefix is not a message");
  }
  if (prefix.min_reader() > kReaderVersion) {
    return absl::DataLossError(absl::StrCat("it needs a reader of version ", prefix.min_reader()));
  }
  blob.encoded_size = size - kLengthSize - length;
  if (prefix.length() > kMaxChunk ||
      (!prefix.has_decode() && prefix.length() != blob.encoded_size)) {
    return absl::DataLossError(
        absl::StrCat("it says that ", blob.encoded_size, " bytes decode to ", prefix.length()));
  }
  if (absl::Status digest = FromMessage(prefix.digest()).status(); !digest.ok()) return digest;
  return blob;
}

absl::StatusOr<BlobHead> ReadBlobHead(PackFiles& packs, const Location& location) {
  absl::StatusOr<std::shared_ptr<const OpenPack>> pack = packs.Open(location.pack);
  if (!pack.ok()) return pack.status();
  const uint64_t payload = location.offset + kRecordHeaderSize;
  std::string head(std::min<uint64_t>(kLengthSize, location.length), '\0');
  absl::Status read = (*pack)->file->Read(payload, head);
  if (read.ok() && head.size() == kLengthSize) {
    head.resize(std::min<uint64_t>(kLengthSize + PrefixLength(head), location.length));
    read = (*pack)->file->Read(payload, head);
  }
  if (!read.ok()) return read;
  return ParseBlobHead(head, location.length);
}

absl::StatusOr<DecodedBlob> ReadBlob(PackFiles& packs, DecoderRunner& runner,
                                     const Location& location, const Digest& payload,
                                     const Locator& locator, const archive::v1::Cost* proof,
                                     vx::DecodeSession* session, const CallContext& context) {
  absl::StatusOr<std::string> bytes = packs.Read(location, RecordType::kBlob, payload);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<BlobHead> head = ParseBlobHead(*bytes, bytes->size());
  if (!head.ok()) {
    return Error(Reason::kDataDamaged,
                 absl::StrCat("blob at ", Describe(location), ": ", head.status().message()));
  }
  const BlobPrefix& prefix = head->prefix;
  const Digest digest = *FromMessage(prefix.digest());
  const std::string_view encoded =
      std::string_view(*bytes).substr(bytes->size() - head->encoded_size);
  DecodedBlob blob;
  blob.encoded_size = encoded.size();
  if (!prefix.has_decode()) {
    if (proof == nullptr && Digest::Of(encoded) != digest) {
      return Error(Reason::kDataDamaged, absl::StrCat("blob at ", Describe(location),
                                                      ": its bytes do not match their digest"));
    }
    if (proof != nullptr) {
      bytes->erase(0, bytes->size() - encoded.size());
      blob.bytes = *std::move(bytes);
    }
    return blob;
  }
  blob.decode = prefix.decode();
  const DecoderRunner::Job job{.decode = prefix.decode(),
                               .locator = locator,
                               .max_output = prefix.length(),
                               .proof = proof == nullptr ? std::nullopt : std::optional(*proof),
                               .session = session};
  absl::Status status = runner.RunToDigest(job, encoded, prefix.length(), digest, context,
                                           proof == nullptr ? nullptr : &blob.bytes, blob.run);
  if (!status.ok()) return status;
  return blob;
}

}  // namespace vxa
