// Blobs: one chunk of an object, encoded, with all that its decoding takes.
//
//   0  4  length of the prefix, n
//   4  n  archive.v1.BlobPrefix
//   4+n   the encoded bytes
#ifndef ARCHIVE_BLOB_H_
#define ARCHIVE_BLOB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/decoder_runner.h"
#include "archive/pack_files.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// How large the chunks are that objects are cut into, and the largest that is read.
inline constexpr uint64_t kChunkSize = uint64_t{4} << 20;
inline constexpr uint64_t kMaxChunk = kMaxPayload;

// What stands before the encoded bytes. `decode` is null for bytes that are stored as they are.
std::string EncodeBlobPrefix(const archive::v1::Decode* decode, uint64_t length,
                             const Digest& digest);

// A payload's prefix, and how many encoded bytes follow it.
struct BlobHead {
  archive::v1::BlobPrefix prefix;
  uint64_t encoded_size = 0;
};

// Parses the prefix of a payload of `size` bytes, of which `head` is at least the prefix.
// DATA_LOSS, saying what is wrong.
absl::StatusOr<BlobHead> ParseBlobHead(std::string_view head, uint64_t size);

// The prefix alone of the blob at `location`, whose payload is not checked.
absl::StatusOr<BlobHead> ReadBlobHead(PackFiles& packs, const Location& location);

struct DecodedBlob {
  std::string bytes;  // they match the digest in the blob; empty for a proof
  std::optional<archive::v1::Decode> decode;
  uint64_t encoded_size = 0;
  vx::DecodeResult run;  // where there is a decode
};

// Reads a blob from its pack and decodes it. DATA_DAMAGED or DECODER_FAILED rather than wrong
// bytes. `proof` is what its decode took when it was proved, or null if this is the proof: that
// checks stored bytes by their own digest too, and doesn't keep what it decodes. `session`: of the
// runner's, or null.
absl::StatusOr<DecodedBlob> ReadBlob(PackFiles& packs, DecoderRunner& runner,
                                     const Location& location, const Digest& payload,
                                     const Locator& locator, const archive::v1::Cost* proof,
                                     vx::DecodeSession* session, const CallContext& context);

}  // namespace vxa

#endif  // ARCHIVE_BLOB_H_
