#include "archive/object_check.h"

#include <leveldb/iterator.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/blob.h"
#include "archive/call_context.h"
#include "archive/fold.h"
#include "archive/index_keys.h"
#include "archive/object_info.h"
#include "archive/reproduce.h"

namespace vxa {
namespace {

using archive::v1::Chunk;
using archive::v1::ChunkList;
using archive::v1::ChunkListRef;
using archive::v1::Manifest;

// Decoders that the packs have an image of.
absl::StatusOr<uint64_t> CountDecoders(const Index& index) {
  uint64_t count = 0;
  std::optional<Digest> last;
  for (;;) {
    absl::StatusOr<std::optional<std::pair<Digest, IndexDecoder>>> next =
        index.NextDecoder(last ? &*last : nullptr);
    if (!next.ok()) return next.status();
    if (!*next) return count;
    last = (*next)->first;
    absl::StatusOr<std::vector<Location>> copies = index.Copies(*last);
    if (!copies.ok()) return copies.status();
    count += !copies->empty();
  }
}

class ObjectChecker {
 public:
  ObjectChecker(Core& core, const Index* stored, bool decode, const CallContext& context,
                CheckReport& report)
      : core_(core), stored_(stored), decode_(decode), context_(context), report_(report) {}

  absl::Status Run();

 private:
  // What is wrong with a version: the first thing, and how many there are.
  struct Hurt {
    std::string what;
    uint64_t count = 0;
    void Add(std::string found) {
      if (count++ == 0) what = std::move(found);
    }
  };

  absl::Status CheckVersion(const VersionOf& subject, const IndexVersion& entry);
  absl::Status CheckParts(const Manifest& manifest, Hurt& hurt);
  absl::Status CheckChunkList(const ChunkListRef& ref, Hurt& hurt);
  absl::Status CheckChunk(const Chunk& chunk, Hurt& hurt);
  absl::Status CheckDecoder(const archive::v1::Digest& decoder, const std::string& what,
                            Hurt& hurt);
  absl::StatusOr<std::string> Missing(const Digest& digest);

  Core& core_;
  const Index* const stored_;
  const bool decode_;
  const CallContext& context_;
  CheckReport& report_;
  std::map<Digest, bool> decoders_;  // whether there is a copy
};

absl::Status ObjectChecker::Run() {
  absl::StatusOr<uint64_t> decoders = CountDecoders(*core_.index);
  if (!decoders.ok()) return decoders.status();
  report_.summary.decoders = *decoders;
  const std::unique_ptr<Index::Snapshot> snapshot = core_.index->Now();
  const std::unique_ptr<leveldb::Iterator> at = snapshot->NewIterator();
  std::string last;
  for (at->Seek(std::string(1, kVersionKind)); at->Valid(); at->Next()) {
    if (absl::Status status = CheckContext(context_); !status.ok()) return status;
    const std::optional<VersionOf> subject = ParseVersionKey(at->key().ToString());
    if (!subject || at->key()[0] != kVersionKind) break;
    IndexVersion entry;
    if (!entry.ParseFromArray(at->value().data(), static_cast<int>(at->value().size()))) {
      return absl::InternalError("the fresh index has a bad entry");
    }
    ++report_.summary.versions;
    const std::string name = absl::StrCat(subject->ns, "/", subject->name);
    report_.summary.objects += name != last;
    last = name;
    if (entry.delete_marker()) continue;
    report_.summary.bytes += entry.size();
    if (absl::Status status = CheckVersion(*subject, entry); !status.ok()) return status;
  }
  if (!at->status().ok()) return absl::InternalError(at->status().ToString());
  return absl::OkStatus();
}

absl::Status ObjectChecker::CheckVersion(const VersionOf& subject, const IndexVersion& entry) {
  absl::StatusOr<Manifest> manifest =
      ReadManifest(core_.packs, subject.ns, subject.name, subject.version, entry);
  if (!manifest.ok() && !IsDamage(manifest.status())) return manifest.status();
  if (!manifest.ok()) {
    report_.Damage(Describe(subject), std::string(manifest.status().message()));
    return absl::OkStatus();
  }
  Hurt hurt;
  if (absl::Status status = CheckParts(*manifest, hurt); !status.ok()) return status;
  if (hurt.count == 0 && decode_) {
    Reproduced reproduced;
    absl::Status status = Reproduce(
        core_, *manifest, [](uint64_t) { return absl::OkStatus(); }, context_, reproduced);
    if (!status.ok() && !IsDamage(status)) return status;
    if (status.ok()) report_.summary.reproduced += reproduced.bytes;
    if (!status.ok()) hurt.Add(absl::StrCat("can't be reproduced: ", status.message()));
  }
  if (hurt.count == 0) return absl::OkStatus();
  if (hurt.count > 1) absl::StrAppend(&hurt.what, "; and ", hurt.count - 1, " more such");
  report_.Damage(Describe(subject), std::move(hurt.what));
  return absl::OkStatus();
}

absl::Status ObjectChecker::CheckParts(const Manifest& manifest, Hurt& hurt) {
  absl::Status status;
  if (manifest.has_object_decode()) {
    status = CheckDecoder(manifest.object_decode().decode().decoder(), "the original", hurt);
  }
  for (const archive::v1::View& view : manifest.views()) {
    if (!status.ok()) break;
    if (view.status() != archive::v1::View::VERIFIED) continue;
    status =
        CheckDecoder(view.decode().decoder(), absl::StrCat("the view \"", view.name(), "\""), hurt);
  }
  for (const Chunk& chunk : manifest.chunks()) {
    if (status.ok()) status = CheckChunk(chunk, hurt);
  }
  for (const ChunkListRef& ref : manifest.chunk_lists()) {
    if (status.ok()) status = CheckChunkList(ref, hurt);
  }
  return status;
}

absl::Status ObjectChecker::CheckChunkList(const ChunkListRef& ref, Hurt& hurt) {
  const std::string what = absl::StrCat("the chunk list for offset ", ref.offset());
  absl::StatusOr<Digest> digest = FromMessage(ref.list());
  if (!digest.ok()) {
    hurt.Add(absl::StrCat(what, ": ", digest.status().message()));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Location>> copies = core_.index->Copies(*digest);
  if (!copies.ok()) return copies.status();
  if (copies->empty()) {
    absl::StatusOr<std::string> missing = Missing(*digest);
    if (!missing.ok()) return missing.status();
    hurt.Add(absl::StrCat(what, ": ", *missing));
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> payload =
      core_.packs.Read(copies->front(), RecordType::kChunkList, *digest);
  absl::StatusOr<ChunkList> list =
      payload.ok() ? ParseChunkList(*payload) : absl::StatusOr<ChunkList>(payload.status());
  if (!list.ok()) {
    hurt.Add(absl::StrCat(what, ": ", list.status().message()));
    return absl::OkStatus();
  }
  const Chunk &first = list->chunks(0), &last = list->chunks(list->chunks_size() - 1);
  const uint64_t length = last.offset() + last.length() - first.offset();
  if (first.offset() != ref.offset() || length != ref.length()) {
    hurt.Add(absl::StrCat(what, ": it has ", length, " bytes from offset ", first.offset(),
                          " on, the manifest expects ", ref.length()));
  }
  for (const Chunk& chunk : list->chunks()) {
    if (absl::Status status = CheckChunk(chunk, hurt); !status.ok()) return status;
  }
  return CheckContext(context_);
}

absl::Status ObjectChecker::CheckChunk(const Chunk& chunk, Hurt& hurt) {
  const std::string what = absl::StrCat("the chunk at offset ", chunk.offset());
  absl::StatusOr<Digest> digest = FromMessage(chunk.blob());
  if (!digest.ok()) {
    hurt.Add(absl::StrCat(what, ": ", digest.status().message()));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Location>> copies = core_.index->Copies(*digest);
  if (!copies.ok()) return copies.status();
  if (copies->empty()) {
    absl::StatusOr<std::string> missing = Missing(*digest);
    if (!missing.ok()) return missing.status();
    hurt.Add(absl::StrCat(what, ", ", chunk.length(), " bytes: ", *missing));
    return absl::OkStatus();
  }
  absl::StatusOr<BlobHead> blob = ReadBlobHead(core_.packs, copies->front());
  if (!blob.ok()) {
    hurt.Add(
        absl::StrCat(what, ": blob at ", Describe(copies->front()), ": ", blob.status().message()));
    return absl::OkStatus();
  }
  if (blob->prefix.length() != chunk.length()) {
    hurt.Add(absl::StrCat(what, ": the manifest has ", chunk.length(), " bytes, the blob at ",
                          Describe(copies->front()), " has ", blob->prefix.length()));
  }
  if (!blob->prefix.has_decode()) return absl::OkStatus();
  return CheckDecoder(blob->prefix.decode().decoder(), what, hurt);
}

absl::Status ObjectChecker::CheckDecoder(const archive::v1::Digest& decoder,
                                         const std::string& what, Hurt& hurt) {
  absl::StatusOr<Digest> digest = FromMessage(decoder);
  if (!digest.ok()) {
    hurt.Add(absl::StrCat(what, ": its decoder: ", digest.status().message()));
    return absl::OkStatus();
  }
  auto known = decoders_.find(*digest);
  if (known == decoders_.end()) {
    absl::StatusOr<std::vector<Location>> copies = core_.index->Copies(*digest);
    if (!copies.ok()) return copies.status();
    known = decoders_.emplace(*digest, !copies->empty()).first;
  }
  if (known->second) return absl::OkStatus();
  absl::StatusOr<std::string> missing = Missing(*digest);
  if (!missing.ok()) return missing.status();
  const std::string name = BuiltinName(*digest);
  hurt.Add(absl::StrCat(what, " needs a decoder", name.empty() ? "" : absl::StrCat(" (", name, ")"),
                        ": ", *missing));
  return absl::OkStatus();
}

// Says that it is missing, and where it was, if the stored index knows.
absl::StatusOr<std::string> ObjectChecker::Missing(const Digest& digest) {
  const std::string what = absl::StrCat(digest.ToString(), " is in no pack");
  if (stored_ == nullptr) return what;
  absl::StatusOr<std::vector<Location>> copies = stored_->Copies(digest);
  if (!copies.ok() || copies->empty()) return what;
  report_.NeedsCopyOf(copies->front().pack);
  return absl::StrCat(what, " (it was in ", Describe(copies->front()), ")");
}

}  // namespace

absl::Status CheckObjects(Core& core, const Index* stored, bool decode, const CallContext& context,
                          CheckReport& report) {
  return ObjectChecker(core, stored, decode, context, report).Run();
}

}  // namespace vxa
