#include "archive/upload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/blob.h"
#include "archive/call_context.h"
#include "archive/encoder.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/log.h"
#include "archive/object_info.h"
#include "archive/representation.h"
#include "archive/stored_form.h"
#include "archive/text.h"

namespace vxa {
namespace {

// What a small share is for: the buffer, and as much again while it is encoded or read back.
constexpr uint64_t kSmallBuffer = IngestBudget::kSmall / 2;
static_assert(IngestBudget::kLarge >= 2 * kChunkSize);
static_assert(IngestBudget::kLarge >= kEncoderHead + kChunkSize + LongestEncoded(kChunkSize));

// What the decoders of chunks get: many times what they need for 4 MiB.
vx::Limits ChunkLimits() {
  vx::Limits limits;
  limits.memory = uint64_t{64} << 20;
  return limits;
}

// PROOF_FAILED unless what came out is what the sender says; LIMIT_EXCEEDED if that can't be known.
absl::Status CheckOriginal(const Decoding& decoding, const FirstRun& first,
                           const vx::Limits& limits) {
  const std::string what =
      absl::StrCat("decoder ", decoding.decoder.ToString(), " gave ", first.size, " bytes, ");
  const vx::Outcome& outcome = first.run.outcome;
  if (outcome.end == vx::Outcome::End::kLimited) {
    if (outcome.limit != vx::Limit::kOutput) {
      return Error(Reason::kLimitExceeded, absl::StrCat(what, Explain(first.run)));
    }
    if (!decoding.original_size) {
      return Error(Reason::kLimitExceeded, absl::StrCat(what, Explain(first.run), "; at most ",
                                                        limits.output, " may come out"));
    }
  }
  if (!Succeeded(outcome)) {
    return Error(Reason::kProofFailed, absl::StrCat(what, "then failed: ", Explain(first.run)));
  }
  if (decoding.original_size && first.size != *decoding.original_size) {
    return Error(Reason::kProofFailed, absl::StrCat(what, *decoding.original_size,
                                                    " were to come; ", Explain(first.run)));
  }
  if (first.digest == decoding.original_digest) return absl::OkStatus();
  return Error(Reason::kProofFailed,
               absl::StrCat(what, "with digest ", first.digest.ToString(), ", not ",
                            decoding.original_digest.ToString(), "; ", Explain(first.run)));
}

}  // namespace

ChunkedUpload::ChunkedUpload(Core& core, PutSpec spec, const Codec* codec,
                             std::shared_ptr<const std::string> object_decoder, vx::Profile profile,
                             CallContext context)
    : core_(core),
      spec_(std::move(spec)),
      codec_(codec),
      context_(std::move(context)),
      object_decoder_(std::move(object_decoder)),
      encoding_(core.runner.NewSession()),
      proving_(core.runner.NewSession()),
      share_(core.budget) {
  if (!spec_.decoding) return;
  *manifest_.mutable_object_decode()->mutable_decode() =
      DecodeMessage(spec_.decoding->decoder, spec_.decoding->arguments, profile,
                    LimitsOfFirstRun(core_.options.decodes));
}

absl::Status ChunkedUpload::Append(std::string_view bytes) {
  if (failed_.ok()) failed_ = AppendBytes(bytes);
  return failed_;
}

absl::Status ChunkedUpload::AppendBytes(std::string_view bytes) {
  hasher_.Update(bytes);
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (absl::Status status = CheckContext(context_); !status.ok()) return status;
    const uint64_t taken = std::min<uint64_t>(bytes.size(), kChunkSize - buffer_.size());
    if (absl::Status room = MakeRoom(buffer_.size() + taken); !room.ok()) return room;
    buffer_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (buffer_.size() < kChunkSize) continue;
    if (absl::Status flushed = FlushChunk(); !flushed.ok()) return flushed;
  }
  return absl::OkStatus();
}

// Sees to it that the budget allows a buffer of so many bytes, at most a chunk.
absl::Status ChunkedUpload::MakeRoom(uint64_t bytes) {
  while (room_ < bytes) {
    const bool first = room_ == 0;
    absl::Status taken = first ? share_.TakeSmall(context_) : share_.TakeLarge(context_);
    if (!taken.ok()) return taken;
    room_ = first ? kSmallBuffer : kChunkSize;
    if (!first) buffer_.reserve(room_);
  }
  return absl::OkStatus();
}

// Encodes, writes and proves what is in the buffer.
absl::Status ChunkedUpload::FlushChunk() {
  if (manifest_.chunk_count() == 0) {
    format_ = Recognize(buffer_);
    media_type_ = MediaType(buffer_);
  }
  const std::vector<const Codec*> codecs = CodecsToTry();
  if (manifest_.chunk_count() == 0 && !codecs.empty() && codecs[0]->is_for_a_format) {
    head_ = buffer_.substr(0, kEncoderHead);
  }
  const Digest digest = Digest::Of(buffer_);
  const ChunkToEncode chunk{.bytes = buffer_, .offset = persisted_, .head = head_};
  const uint64_t most = codec_ != nullptr ? UINT64_MAX : MostWorthwhile(buffer_.size());
  std::optional<absl::Status> stored;
  for (auto codec = codecs.begin(); !stored && codec != codecs.end(); ++codec) {
    absl::StatusOr<std::optional<std::string>> encoded =
        EncodeChunk(core_.runner, **codec, chunk, most, encoding_.get(), context_);
    if (!encoded.ok()) return encoded.status();
    if (!*encoded) continue;
    stored = StoreChunk(**codec, **std::move(encoded), digest);
    if (ReasonName(*stored) == "DECODER_FAILED") {
      Log(LogLevel::kError,
          absl::StrCat("codec ", Absl((*codec)->name),
                       " failed its proof and is not used for a chunk: ", spec_.ns, "/", spec_.name,
                       ", offset ", persisted_, ": ", stored->message()));
      stored.reset();
    }
  }
  if (!stored) stored = StoreChunk(StoreCodec(), "", digest);
  buffer_.clear();
  return *stored;
}

// Those that may do for the chunk in the buffer, the best first.
std::vector<const Codec*> ChunkedUpload::CodecsToTry() const {
  const Codec* first = codec_;
  if (first == nullptr && format_ != nullptr) {
    first = format_->compressed ? &StoreCodec() : FindCodec(format_->codec);
  }
  if (first == nullptr) return {&GeneralCodec()};
  if (first->encoder.empty()) return {};
  if (first->is_for_a_format) return {first, &GeneralCodec()};
  return {first};
}

// Writes the buffer's bytes, encoded (or as they are, if the codec does nothing), and has them
// reproduced from the pack. DECODER_FAILED if that fails, and nothing is recorded.
absl::Status ChunkedUpload::StoreChunk(const Codec& codec, std::string encoded,
                                       const Digest& digest) {
  NewRecord record{.type = RecordType::kBlob};
  std::optional<archive::v1::Decode> decode;
  if (!codec.decoder.empty()) {
    std::optional<DecoderImage> image = BuiltinDecoder(codec.decoder);
    if (!image) {
      return Error(Reason::kDecoderFailed, absl::StrCat("no decoder ", Absl(codec.decoder)));
    }
    decode = DecodeMessage(image->digest, SoleArgument(codec.argument), vx::Profile::kVx2026,
                           ChunkLimits());
    record.decoders.push_back(*image);
  }
  const std::string prefix = EncodeBlobPrefix(decode ? &*decode : nullptr, buffer_.size(), digest);
  const std::string_view body = decode ? std::string_view(encoded) : std::string_view(buffer_);
  record.pieces = {prefix, body};
  Hasher hasher;
  hasher.Update(prefix);
  hasher.Update(body);
  const Digest payload = hasher.Finish();
  absl::StatusOr<PackWriter::Appended> appended = core_.writer.Append(record);
  if (!appended.ok()) return appended.status();
  encoded = std::string();  // before its bytes are read back
  for (size_t i = 0; i < record.decoders.size(); ++i) {
    parts_[record.decoders[i].digest] = appended->decoders[i];
  }

  absl::StatusOr<DecodedBlob> proof = ReadBlob(core_.packs, core_.runner, appended->record, payload,
                                               LocatorOfParts(), nullptr, proving_.get(), context_);
  if (!proof.ok()) return proof.status();

  archive::v1::Chunk* chunk = chunks_.add_chunks();
  chunk->set_offset(persisted_);
  chunk->set_length(buffer_.size());
  *chunk->mutable_blob() = ToMessage(payload);
  if (decode) {
    const vx::Counters& counters = proof->run.outcome.counters;
    chunk->mutable_proof()->set_instructions(counters.instructions);
    chunk->mutable_proof()->set_peak_memory(counters.peak_memory);
    proof_.Add(record.decoders[0].digest, proof->encoded_size, proof->run);
    decoders_[record.decoders[0].digest] = record.decoders[0];
  }
  Remember(payload, appended->record);
  ++codecs_[codec.name];
  manifest_.set_chunk_count(manifest_.chunk_count() + 1);
  manifest_.set_encoded_size(manifest_.encoded_size() + proof->encoded_size);
  persisted_ += buffer_.size();
  return chunks_.chunks_size() == kMaxChunksPerList ? FlushChunkList() : absl::OkStatus();
}

absl::Status ChunkedUpload::FlushChunkList() {
  const std::string payload = chunks_.SerializeAsString();
  const Digest digest = Digest::Of(payload);
  absl::StatusOr<PackWriter::Appended> appended =
      core_.writer.Append({.type = RecordType::kChunkList, .pieces = {payload}});
  if (!appended.ok()) return appended.status();
  auto read_back = core_.packs.Read(appended->record, RecordType::kChunkList, digest);
  if (!read_back.ok()) return read_back.status();
  const archive::v1::Chunk& first = chunks_.chunks(0);
  archive::v1::ChunkListRef* ref = manifest_.add_chunk_lists();
  *ref->mutable_list() = ToMessage(digest);
  ref->set_offset(first.offset());
  ref->set_length(persisted_ - first.offset());
  ref->set_chunks(static_cast<uint32_t>(chunks_.chunks_size()));
  Remember(digest, appended->record);
  chunks_.Clear();
  return absl::OkStatus();
}

// Notes a record that the object needs.
void ChunkedUpload::Remember(const Digest& digest, const Location& location) {
  last_in_pack_[location.pack] = location;
  if (NeedsStoredForm()) parts_[digest] = location;
}

Locator ChunkedUpload::LocatorOfParts() const {
  return [this](const Digest& digest) -> absl::StatusOr<std::vector<Location>> {
    auto known = parts_.find(digest);
    if (known == parts_.end()) return std::vector<Location>();
    return std::vector<Location>{known->second};
  };
}

absl::StatusOr<PutResult> ChunkedUpload::Finish(uint64_t size, const Digest& digest) {
  if (!failed_.ok()) return failed_;
  failed_ = absl::FailedPreconditionError("the upload is finished");
  if (size != size_) {
    return Error(Reason::kChecksumMismatch,
                 absl::StrCat(size_, " bytes came, the sender says that it sent ", size));
  }
  const Digest actual = hasher_.Finish();
  if (actual != digest) {
    return Error(Reason::kChecksumMismatch,
                 absl::StrCat("what came has digest ", actual.ToString(),
                              ", the sender says that it sent ", digest.ToString()));
  }
  if (spec_.decoding) {
    archive::v1::ObjectDecode& object_decode = *manifest_.mutable_object_decode();
    object_decode.set_stored_length(size_);
    *object_decode.mutable_stored_digest() = ToMessage(digest);
  }
  // Spares the work where the answer is clear; what counts is asked again at the commit.
  const Content content = ContentOf(digest);
  absl::StatusOr<std::optional<uint64_t>> existing = CheckPut(*core_.index->Now(), spec_, &content);
  if (!existing.ok()) return existing.status();
  if (*existing) return Existing(**existing);
  if (!buffer_.empty()) {
    if (absl::Status flushed = FlushChunk(); !flushed.ok()) return flushed;
  }
  return Commit(digest);
}

absl::StatusOr<PutResult> ChunkedUpload::Commit(const Digest& digest) {
  if (absl::Status complete = CompleteManifest(digest); !complete.ok()) return complete;
  absl::Status represented = absl::OkStatus();
  if (spec_.decoding) {
    represented = ProveOriginal();
  } else if (HasView()) {
    represented = AddView();
  }
  if (!represented.ok()) return represented;
  std::vector<DecoderImage> decoders;
  for (const auto& [decoder, image] : decoders_) {
    archive::v1::DecoderUse* use = manifest_.add_decoders();
    *use->mutable_decoder() = ToMessage(decoder);
    use->set_size(image.elf.size());
    decoders.push_back(image);
  }
  std::vector<Location> parts;
  for (const auto& [pack, location] : last_in_pack_) parts.push_back(location);
  if (absl::Status status = CheckContext(context_); !status.ok()) return status;
  PutChange change(spec_, manifest_, std::move(decoders), std::move(parts));
  if (absl::Status committed = core_.log.Commit(change); !committed.ok()) return committed;
  if (change.existing()) return Existing(*change.existing());
  return PutResult{.object = ToObjectInfo(manifest_), .proof = proof_.Costs()};
}

// Everything but the view, the decoders, and what the commit decides.
absl::Status ChunkedUpload::CompleteManifest(const Digest& digest) {
  if (manifest_.chunk_lists_size() == 0 && chunks_.chunks_size() <= kMaxInlineChunks) {
    *manifest_.mutable_chunks() = chunks_.chunks();
  } else if (chunks_.chunks_size() > 0) {
    if (absl::Status flushed = FlushChunkList(); !flushed.ok()) return flushed;
  }
  manifest_.set_namespace_(spec_.ns);
  manifest_.set_name(spec_.name);
  manifest_.set_size(size_);
  *manifest_.mutable_digest() = ToMessage(digest);
  manifest_.set_codec(codecs_.size() == 1 ? std::string(codecs_.begin()->first)
                      : codecs_.empty()   ? std::string(StoreCodec().name)
                                          : "mixed");
  manifest_.set_media_type(spec_.media_type);
  if (spec_.media_type.empty()) {
    manifest_.set_media_type(media_type_);
    manifest_.set_recognized_by("vxa");
  }
  if (format_ != nullptr) manifest_.set_pronom(std::string(format_->pronom));
  for (const auto& [key, value] : spec_.metadata) {
    archive::v1::Metadata* pair = manifest_.add_metadata();
    pair->set_key(key);
    pair->set_value(value);
  }
  manifest_.mutable_source()->set_path(spec_.source.path);
  manifest_.mutable_source()->set_mode(spec_.source.mode);
  if (spec_.source.modified) {
    manifest_.mutable_source()->set_modified(absl::ToUnixNanos(*spec_.source.modified));
  }
  manifest_.set_request_id(spec_.request_id);
  return absl::OkStatus();
}

Content ChunkedUpload::ContentOf(const Digest& digest) const {
  if (!spec_.decoding) return {.digest = digest};
  return {.digest = spec_.decoding->original_digest,
          .stored_identity = StoredIdentity(manifest_.object_decode())};
}

// Has the decoder that the put names make the original out of what was stored.
absl::Status ChunkedUpload::ProveOriginal() {
  const DecoderImage image{spec_.decoding->decoder, *object_decoder_};
  absl::StatusOr<Location> decoder = core_.writer.AppendDecoder(image);
  if (!decoder.ok()) return decoder.status();
  parts_[image.digest] = *decoder;
  decoders_[image.digest] = image;
  vx::Limits limits = LimitsOfFirstRun(core_.options.decodes);
  limits.output = std::min(limits.output, spec_.decoding->original_size.value_or(UINT64_MAX));
  archive::v1::ObjectDecode& object_decode = *manifest_.mutable_object_decode();
  StoredForm form(core_.packs, core_.runner, LocatorOfParts(), manifest_, 0, context_);
  absl::StatusOr<FirstRun> first = RunFirst(object_decode.decode(), limits, form, LocatorOfParts(),
                                            core_.runner, nullptr, context_, proof_);
  if (!first.ok()) {
    if (ReasonName(first.status()) != "DECODER_FAILED") return first.status();
    return Error(Reason::kProofFailed, Std(first.status().message()));
  }
  if (absl::Status proved = CheckOriginal(*spec_.decoding, *first, limits); !proved.ok()) {
    return proved;
  }
  *object_decode.mutable_proof() = CostOf(first->run);
  manifest_.set_size(first->size);
  *manifest_.mutable_digest() = ToMessage(first->digest);
  if (spec_.media_type.empty()) manifest_.set_media_type(MediaType(first->head));
  const Format* format = Recognize(first->head);
  manifest_.set_pronom(format != nullptr ? std::string(format->pronom) : "");
  return absl::OkStatus();
}

absl::Status ChunkedUpload::AddView() {
  std::optional<DecoderImage> image = BuiltinDecoder(format_->decoder);
  if (!image) return absl::OkStatus();
  absl::StatusOr<Location> decoder = core_.writer.AppendDecoder(*image);
  if (!decoder.ok()) return decoder.status();
  parts_[image->digest] = *decoder;
  decoders_[image->digest] = *image;
  StoredForm form(core_.packs, core_.runner, LocatorOfParts(), manifest_, 0, context_);
  absl::StatusOr<archive::v1::View> view =
      MakeView(*format_, spec_.name, image->digest, LimitsOfFirstRun(core_.options.decodes), form,
               LocatorOfParts(), core_.runner, context_, proof_);
  if (!view.ok()) return view.status();
  *manifest_.add_views() = *std::move(view);
  return absl::OkStatus();
}

absl::StatusOr<PutResult> ChunkedUpload::Existing(uint64_t version) {
  absl::StatusOr<std::optional<IndexVersion>> entry =
      core_.index->Version(spec_.ns, spec_.name, version);
  if (!entry.ok()) return entry.status();
  if (!*entry) {
    return Error(Reason::kObjectNotFound,
                 absl::StrCat(spec_.name, " version ", version, " was removed meanwhile"));
  }
  auto manifest = ReadManifest(core_.packs, spec_.ns, spec_.name, version, **entry);
  if (!manifest.ok()) return manifest.status();
  PutResult result{.object = ToObjectInfo(*manifest), .unchanged = true, .proof = proof_.Costs()};
  absl::Status added = AddVerification(*core_.index, result.object);
  if (!added.ok()) return added;
  return result;
}

}  // namespace vxa
