#include "archive/archive.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/archive_impl.h"
#include "archive/changes.h"
#include "archive/codec.h"
#include "archive/decoder_registry.h"
#include "archive/errors.h"
#include "archive/form_reader.h"
#include "archive/listing.h"
#include "archive/log.h"
#include "archive/names.h"
#include "archive/object_info.h"
#include "archive/upload.h"
#include "archive/verifier.h"

namespace vxa {
namespace {

constexpr size_t kMaxMetadata = 64 << 10;   // bytes of keys and values
constexpr size_t kMaxSourcePath = 4 << 10;  // bytes; Linux's PATH_MAX
constexpr size_t kMaxMediaType = 255;       // bytes: 127 + '/' + 127, RFC 6838, 4.2
// After so long without a commit a barrier says what is durable.
constexpr absl::Duration kIdle = absl::Seconds(1);

absl::Status CheckPutSpec(const PutSpec& spec) {
  const auto invalid = [](const std::string& text) { return Error(Reason::kInvalidRequest, text); };
  if (absl::Status status = CheckNamespace(spec.ns); !status.ok()) return status;
  if (absl::Status status = CheckName(spec.name); !status.ok()) return status;
  size_t metadata = 0;
  for (const auto& [key, value] : spec.metadata) {
    metadata += key.size() + value.size();
    if (!IsUtf8(key) || !IsUtf8(value)) return invalid("metadata: a key or value is not UTF-8");
  }
  if (metadata > kMaxMetadata) {
    return invalid(absl::StrCat("metadata: ", metadata, " bytes, ", kMaxMetadata, " may be"));
  }
  if (spec.request_id.size() > kMaxRequestIdBytes) {
    return invalid(absl::StrCat("request_id: ", spec.request_id.size(), " bytes, ",
                                kMaxRequestIdBytes, " may be"));
  }
  if (spec.source.path.size() > kMaxSourcePath) {
    return invalid(absl::StrCat("source.path: ", spec.source.path.size(), " bytes, ",
                                kMaxSourcePath, " may be"));
  }
  if (spec.decoding) {
    absl::Status arguments = CheckArguments(spec.decoding->arguments);
    if (!arguments.ok()) return arguments;
  }
  if (spec.media_type.size() > kMaxMediaType || !IsUtf8(spec.media_type)) {
    return invalid(absl::StrCat("media_type: not UTF-8 of at most ", kMaxMediaType, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

ArchiveImpl::ArchiveImpl(std::unique_ptr<Held> lock, std::unique_ptr<Core> core)
    : lock_(std::move(lock)), core_(std::move(core)), idler_([this] { WriteBarriers(); }) {}

ArchiveImpl::~ArchiveImpl() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  woken_.notify_one();
  idler_.join();
  if (absl::Status status = core_->index->Checkpoint(); !status.ok()) {
    Log(LogLevel::kWarning, absl::StrCat("the next start replays more: ", status.message()));
  }
}

void ArchiveImpl::WriteBarriers() {
  std::unique_lock lock(mutex_);
  while (!woken_.wait_for(lock, absl::ToChronoMilliseconds(kIdle), [this] { return closing_; })) {
    core_->writer.WriteBarrierIfIdle(kIdle);
  }
  core_->writer.WriteBarrierIfIdle(absl::ZeroDuration());
}

absl::StatusOr<std::unique_ptr<Upload>> ArchiveImpl::Put(PutSpec spec, CallContext context) {
  if (absl::Status status = CheckPutSpec(spec); !status.ok()) return status;
  const Codec* codec = nullptr;
  if (!spec.codec.empty() && spec.codec != "auto") {
    codec = FindCodec(spec.codec);
    if (codec == nullptr) {
      return Error(Reason::kCodecNotFound, absl::StrCat("no codec \"", spec.codec, "\""));
    }
  }
  const std::unique_ptr<Index::Snapshot> state = core_->index->Now();
  std::shared_ptr<const std::string> decoder;
  vx::Profile profile = vx::Profile::kVx2026;
  if (spec.decoding) {
    absl::StatusOr<DecoderInfo> info = FindDecoder(*state, spec.ns, spec.decoding->decoder);
    if (!info.ok()) return info.status();
    if (info->disabled) {
      return Error(Reason::kDecoderDisabled, absl::StrCat("decoder ", info->id.ToString(),
                                                          " is disabled: ", info->disabled_reason));
    }
    profile = info->profile;
    absl::StatusOr<std::shared_ptr<const std::string>> image = DecoderBytes(*core_, info->id);
    if (!image.ok()) return image.status();
    decoder = *std::move(image);
  }
  // Spares the sender the bytes where the answer is clear already; what counts is the commit.
  auto checked = CheckPut(*state, spec, nullptr);
  if (!checked.ok()) return checked.status();
  return std::make_unique<ChunkedUpload>(*core_, std::move(spec), codec, std::move(decoder),
                                         profile, std::move(context));
}

// The manifest of a version, or of the latest one that is visible.
absl::StatusOr<archive::v1::Manifest> ArchiveImpl::Find(const std::string& ns,
                                                        const std::string& name, uint64_t version) {
  if (absl::Status status = CheckNamespace(ns); !status.ok()) return status;
  if (absl::Status status = CheckName(name); !status.ok()) return status;
  const std::unique_ptr<Index::Snapshot> state = core_->index->Now();
  uint64_t resolved = version;
  if (resolved == 0) {
    absl::StatusOr<IndexHead> head = state->Head(ns, name);
    if (!head.ok()) return head.status();
    resolved = VisibleVersion(*head);
    if (resolved == 0) return Error(Reason::kObjectNotFound, absl::StrCat("no object ", name));
  }
  absl::StatusOr<std::optional<IndexVersion>> entry = state->Version(ns, name, resolved);
  if (!entry.ok()) return entry.status();
  if (!*entry || (*entry)->delete_marker()) {
    return Error(Reason::kObjectNotFound,
                 absl::StrCat(name, " version ", resolved,
                              *entry ? " is a delete marker" : " is not there"));
  }
  return ReadManifest(core_->packs, ns, name, resolved, **entry);
}

absl::StatusOr<ObjectInfo> ArchiveImpl::Stat(const std::string& ns, const std::string& name,
                                             uint64_t version) {
  absl::StatusOr<archive::v1::Manifest> manifest = Find(ns, name, version);
  if (!manifest.ok()) return manifest.status();
  ObjectInfo info = ToObjectInfo(*manifest);
  absl::Status added = AddVerification(*core_->index, info);
  if (!added.ok()) return added;
  for (DecoderUse& use : info.decoders) {
    use.note = NoteOf(*core_, use.decoder).value_or(DecoderNote());
  }
  return info;
}

absl::StatusOr<ReadResult> ArchiveImpl::Read(const ReadSpec& spec, ReadSink& sink,
                                             const CallContext& context) {
  absl::StatusOr<archive::v1::Manifest> manifest = Find(spec.ns, spec.name, spec.version);
  if (!manifest.ok()) return manifest.status();
  if (spec.if_version && *spec.if_version != manifest->version()) {
    return Error(Reason::kVersionMismatch,
                 absl::StrCat("the version of ", spec.name, " is ", manifest->version(), ", not ",
                              *spec.if_version));
  }
  return ReadForm(*core_, *manifest, spec, sink, context);
}

absl::StatusOr<ListResult> ArchiveImpl::List(const ListSpec& spec) {
  if (absl::Status status = CheckNamespace(spec.ns); !status.ok()) return status;
  if (spec.prefix.size() > kMaxNameBytes || spec.delimiter.size() > kMaxNameBytes) {
    return Error(Reason::kInvalidRequest,
                 absl::StrCat("a prefix or delimiter of more than ", kMaxNameBytes, " bytes"));
  }
  return ListObjects(*core_->index, core_->packs, spec);
}

absl::StatusOr<uint64_t> ArchiveImpl::Delete(const DeleteSpec& spec) {
  if (absl::Status status = CheckNamespace(spec.ns); !status.ok()) return status;
  if (absl::Status status = CheckName(spec.name); !status.ok()) return status;
  if (spec.request_id.size() > kMaxRequestIdBytes) {
    return Error(Reason::kInvalidRequest, absl::StrCat("request_id: ", spec.request_id.size(),
                                                       " bytes, ", kMaxRequestIdBytes, " may be"));
  }
  DeleteChange change(spec);
  if (absl::Status committed = core_->log.Commit(change); !committed.ok()) return committed;
  return change.version();
}

absl::StatusOr<VerifySummary> ArchiveImpl::Verify(const VerifySpec& spec, VerifySink& sink,
                                                  const CallContext& context) {
  if (absl::Status status = CheckNamespace(spec.ns); !status.ok()) return status;
  if (spec.prefix.size() > kMaxNameBytes) {
    return Error(Reason::kInvalidRequest,
                 absl::StrCat("a prefix of more than ", kMaxNameBytes, " bytes"));
  }
  if (!spec.names.empty() && !spec.prefix.empty()) {
    return Error(Reason::kInvalidRequest, "either names or a prefix");
  }
  for (const std::string& name : spec.names) {
    if (absl::Status status = CheckName(name); !status.ok()) return status;
  }
  return VerifyObjects(*core_, spec, sink, context);
}

absl::StatusOr<DecoderInfo> ArchiveImpl::RegisterDecoder(const RegisterSpec& spec,
                                                         const CallContext& context) {
  if (absl::Status status = CheckNamespace(spec.ns); !status.ok()) return status;
  return WithNote(vxa::RegisterDecoder(*core_, spec, context));
}

absl::StatusOr<DecoderInfo> ArchiveImpl::StatDecoder(const std::string& ns, const Digest& id) {
  if (absl::Status status = CheckNamespace(ns); !status.ok()) return status;
  return WithNote(FindDecoder(*core_->index, ns, id));
}

absl::StatusOr<DecoderInfo> ArchiveImpl::WithNote(absl::StatusOr<DecoderInfo> info) {
  if (info.ok()) info->note = NoteOf(*core_, info->id).value_or(DecoderNote());
  return info;
}

absl::StatusOr<std::string> ArchiveImpl::ReadDecoder(const std::string& ns, const Digest& id) {
  absl::StatusOr<DecoderInfo> info = StatDecoder(ns, id);
  if (!info.ok()) return info.status();
  absl::StatusOr<std::shared_ptr<const std::string>> image = DecoderBytes(*core_, id);
  if (!image.ok()) return image.status();
  return **image;
}

absl::StatusOr<DecoderList> ArchiveImpl::ListDecoders(const std::string& ns, uint32_t page_size,
                                                      const std::string& page_token) {
  if (absl::Status status = CheckNamespace(ns); !status.ok()) return status;
  absl::StatusOr<DecoderList> list =
      vxa::ListDecoders(*core_->index->Now(), ns, page_size, page_token);
  if (!list.ok()) return list;
  for (DecoderInfo& info : list->decoders) {
    info.note = NoteOf(*core_, info.id).value_or(DecoderNote());
  }
  return list;
}

absl::Status ArchiveImpl::Rule(const DecoderRuling& ruling, const CallContext& context) {
  return RuleOnDecoder(*core_, ruling, context);
}

}  // namespace vxa
