#include "archive/blob.h"

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/fold.h"

namespace vxa {
namespace {

using archive::v1::BlobPrefix;

constexpr size_t kLengthSize = 4;

// Splits a payload; `encoded` is what follows the prefix.
absl::StatusOr<BlobPrefix> ParsePrefix(std::string_view payload, std::string_view& encoded) {
  if (payload.size() < kLengthSize) return absl::DataLossError("it has no prefix");
  uint32_t length = 0;
  for (size_t i = 0; i < kLengthSize; ++i) {
    length |= uint32_t{static_cast<uint8_t>(payload[i])} << (8 * i);
  }
  payload.remove_prefix(kLengthSize);
  BlobPrefix prefix;
  if (length > payload.size() || !prefix.ParseFromArray(payload.data(), static_cast<int>(length))) {
    return absl::DataLossError("its prefix is not a message");
  }
  if (prefix.min_reader() > kReaderVersion) {
    return absl::DataLossError(absl::StrCat("it needs a reader of version ", prefix.min_reader()));
  }
  encoded = payload.substr(length);
  if (prefix.length() > kMaxChunk || (!prefix.has_decode() && prefix.length() != encoded.size())) {
    return absl::DataLossError(
        absl::StrCat("it says that ", encoded.size(), " bytes decode to ", prefix.length()));
  }
  return prefix;
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

absl::StatusOr<DecodedBlob> ReadBlob(PackFiles& packs, DecoderRunner& runner,
                                     const Location& location, const Digest& payload,
                                     const Locator& locator, const archive::v1::Cost* proof,
                                     const CallContext& context) {
  absl::StatusOr<std::string> bytes = packs.Read(location, RecordType::kBlob, payload);
  if (!bytes.ok()) return bytes.status();
  std::string_view encoded;
  absl::StatusOr<BlobPrefix> prefix = ParsePrefix(*bytes, encoded);
  absl::StatusOr<Digest> digest =
      prefix.ok() ? FromMessage(prefix->digest()) : absl::StatusOr<Digest>(prefix.status());
  if (!digest.ok()) {
    return Error(Reason::kDataDamaged,
                 absl::StrCat("blob at ", Describe(location), ": ", digest.status().message()));
  }
  DecodedBlob blob;
  blob.encoded_size = encoded.size();
  if (!prefix->has_decode()) {
    if (proof == nullptr && Digest::Of(encoded) != *digest) {
      return Error(Reason::kDataDamaged, absl::StrCat("blob at ", Describe(location),
                                                      ": its bytes do not match their digest"));
    }
    if (proof != nullptr) {
      bytes->erase(0, bytes->size() - encoded.size());
      blob.bytes = *std::move(bytes);
    }
    return blob;
  }
  blob.decode = prefix->decode();
  const DecoderRunner::Job job{
      .decode = prefix->decode(),
      .locator = locator,
      .max_output = prefix->length(),
      .max_instructions = proof == nullptr ? vx::kUnlimited : InstructionLimit(*proof)};
  absl::Status status = runner.RunToDigest(job, encoded, prefix->length(), *digest, context,
                                           proof == nullptr ? nullptr : &blob.bytes, blob.run);
  if (!status.ok()) return status;
  return blob;
}

uint64_t InstructionLimit(const archive::v1::Cost& proof) {
  constexpr uint64_t kSlack = 1'000'000;
  const uint64_t taken = proof.instructions();
  return taken > (vx::kUnlimited - kSlack) / 2 ? vx::kUnlimited : 2 * taken + kSlack;
}

}  // namespace vxa
