#include "archive/stored_form.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/errors.h"
#include "archive/fold.h"

namespace vxa {
namespace {

using archive::v1::Chunk;

// The slice, of those that follow each other without gaps, that has `offset`; null if none has.
template <typename Slices>
const auto* SliceAt(const Slices& slices, uint64_t offset) {
  auto after =
      std::ranges::upper_bound(slices, offset, {}, [](const auto& s) { return s.offset(); });
  if (after == slices.begin()) return static_cast<decltype(&*after)>(nullptr);
  const auto* slice = &*std::prev(after);
  return offset - slice->offset() < slice->length() ? slice : nullptr;
}

// The same error, saying what it hurts. Data loss gets its reason.
absl::Status Hurt(const absl::Status& status, const std::string& what) {
  const std::string text = absl::StrCat(what, ": ", status.message());
  if (absl::IsDataLoss(status)) return Error(Reason::kDataDamaged, text);
  if (ReasonName(status) == "DECODER_FAILED") return Error(Reason::kDecoderFailed, text);
  return status;
}

}  // namespace

absl::StatusOr<std::string> StoredForm::Next() {
  if (offset_ >= StoredLength(manifest_)) return "";
  if (absl::Status status = CheckContext(context_); !status.ok()) return status;
  absl::StatusOr<Chunk> chunk = ChunkAt(offset_);
  if (!chunk.ok()) return chunk.status();
  absl::StatusOr<std::string> bytes = ReadChunk(*chunk);
  if (!bytes.ok()) return bytes;
  bytes->erase(0, offset_ - chunk->offset());
  offset_ = chunk->offset() + chunk->length();
  return bytes;
}

absl::StatusOr<Chunk> StoredForm::ChunkAt(uint64_t offset) {
  if (const Chunk* chunk = SliceAt(manifest_.chunks(), offset)) return *chunk;
  if (SliceAt(list_.chunks(), offset) == nullptr) {
    if (absl::Status loaded = LoadList(offset); !loaded.ok()) return loaded;
  }
  if (const Chunk* chunk = SliceAt(list_.chunks(), offset)) return *chunk;
  return Hurt(absl::DataLossError("no chunk has it"), absl::StrCat("offset ", offset));
}

absl::Status StoredForm::LoadList(uint64_t offset) {
  const archive::v1::ChunkListRef* ref = SliceAt(manifest_.chunk_lists(), offset);
  if (ref == nullptr) return absl::OkStatus();
  const std::string what = absl::StrCat("chunk list for offset ", ref->offset());
  absl::StatusOr<Digest> digest = FromMessage(ref->list());
  if (!digest.ok()) return Hurt(digest.status(), what);
  absl::StatusOr<std::vector<Location>> places = locator_(*digest);
  if (!places.ok()) return places.status();
  absl::Status status = absl::DataLossError(absl::StrCat(digest->ToString(), " is in no pack"));
  for (const Location& place : *places) {
    absl::StatusOr<std::string> payload = packs_.Read(place, RecordType::kChunkList, *digest);
    status = payload.status();
    if (!payload.ok()) continue;
    absl::StatusOr<archive::v1::ChunkList> list = ParseChunkList(*payload);
    status = list.status();
    if (!list.ok()) continue;
    list_ = *std::move(list);
    return absl::OkStatus();
  }
  return Hurt(status, what);
}

absl::StatusOr<std::string> StoredForm::ReadChunk(const Chunk& chunk) {
  const std::string what = absl::StrCat("chunk at offset ", chunk.offset());
  absl::StatusOr<Digest> digest = FromMessage(chunk.blob());
  if (!digest.ok()) return Hurt(digest.status(), what);
  absl::StatusOr<std::vector<Location>> places = locator_(*digest);
  if (!places.ok()) return places.status();
  absl::Status status =
      absl::DataLossError(absl::StrCat("blob ", digest->ToString(), " is in no pack"));
  for (const Location& place : *places) {
    absl::StatusOr<DecodedBlob> blob = ReadBlob(packs_, runner_, place, *digest, locator_,
                                                &chunk.proof(), session_.get(), context_);
    status = blob.status();
    if (absl::IsDataLoss(status)) continue;  // another copy may be good
    if (!blob.ok()) return Hurt(status, what);
    if (blob->bytes.size() != chunk.length()) {
      return Hurt(absl::DataLossError(absl::StrCat("the manifest has ", chunk.length(),
                                                   " bytes, the blob ", blob->bytes.size())),
                  what);
    }
    if (blob->decode) {
      costs_.Add(*FromMessage(blob->decode->decoder()), blob->encoded_size, blob->run);
    }
    return std::move(blob->bytes);
  }
  return Hurt(status, what);
}

}  // namespace vxa
