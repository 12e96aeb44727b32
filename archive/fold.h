// What records do to the index: the archive's state is the fold of these over all of its records,
// in the order of their sequence numbers. Commits and replay share it.
#ifndef ARCHIVE_FOLD_H_
#define ARCHIVE_FOLD_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/digest.h"
#include "archive/index.h"
#include "archive/record_format.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

inline constexpr uint64_t kMaxVersion = INT64_MAX;

// Applies a record. FAILED_PRECONDITION if only a later program can read it, DATA_LOSS if it makes
// no sense; then nothing is changed.
absl::Status Apply(const RecordRef& record, std::string_view payload, IndexTransaction& state);

// The manifest in a payload, whose fields have been checked: names, digests, and chunks that lie
// one behind the other and add up.
absl::StatusOr<archive::v1::Manifest> ParseManifest(std::string_view payload);

absl::StatusOr<archive::v1::ChunkList> ParseChunkList(std::string_view payload);

// Bytes of an object's stored form, which its chunks add up to.
uint64_t StoredLength(const archive::v1::Manifest& manifest);

// Tells apart what encoded bytes an original was made of, and how (IndexVersion.stored_identity).
// Empty without a decode.
std::string StoredIdentity(const archive::v1::ObjectDecode& object_decode);

// Digests as messages, and back.
archive::v1::Digest ToMessage(const Digest& digest);
absl::StatusOr<Digest> FromMessage(const archive::v1::Digest& message);

}  // namespace vxa

#endif  // ARCHIVE_FOLD_H_
