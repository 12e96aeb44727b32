#include "archive/archive.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/archive_impl.h"
#include "archive/changes.h"
#include "archive/codec.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/listing.h"
#include "archive/log.h"
#include "archive/names.h"
#include "archive/object_info.h"
#include "archive/stored_form.h"
#include "archive/upload.h"
#include "archive/view.h"

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
  if (spec.media_type.size() > kMaxMediaType || !IsUtf8(spec.media_type)) {
    return invalid(absl::StrCat("media_type: not UTF-8 of at most ", kMaxMediaType, " bytes"));
  }
  return absl::OkStatus();
}

// Hands on the bytes from `offset` on, at most `limit`.
class RangeSink : public ReadSink {
 public:
  RangeSink(ReadSink& sink, uint64_t offset, uint64_t limit)
      : sink_(sink), skip_(offset), left_(limit) {}

  absl::Status Begin(const ReadHeader& header) override { return sink_.Begin(header); }
  absl::Status Append(std::string_view bytes) override {
    const uint64_t skipped = std::min<uint64_t>(skip_, bytes.size());
    skip_ -= skipped;
    bytes = bytes.substr(skipped, left_);
    left_ -= bytes.size();
    return bytes.empty() ? absl::OkStatus() : sink_.Append(bytes);
  }

 private:
  ReadSink& sink_;
  uint64_t skip_;
  uint64_t left_;
};

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
  // Spares the sender the bytes where the answer is clear already; what counts is the commit.
  auto checked = CheckPut(*core_->index->Now(), spec, nullptr, 0);
  if (!checked.ok()) return checked.status();
  return std::make_unique<ChunkedUpload>(*core_, std::move(spec), codec, std::move(context));
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
  return ToObjectInfo(*manifest);
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
  return spec.form == Form::kView ? ReadViewOf(*manifest, spec, sink, context)
                                  : ReadOriginal(*manifest, spec, sink, context);
}

absl::StatusOr<ReadResult> ArchiveImpl::ReadOriginal(const archive::v1::Manifest& manifest,
                                                     const ReadSpec& spec, ReadSink& sink,
                                                     const CallContext& context) {
  if (spec.offset > manifest.size()) {
    return Error(Reason::kOffsetOutOfRange,
                 absl::StrCat("offset ", spec.offset, " of ", spec.name, ", which has ",
                              manifest.size(), " bytes"));
  }
  ReadHeader header{.object = ToObjectInfo(manifest)};
  header.size = header.object.size;
  header.digest = header.object.digest;
  header.media_type = header.object.media_type;
  if (absl::Status begun = sink.Begin(header); !begun.ok()) return begun;
  StoredForm form(core_->packs, core_->runner, core_->IndexLocator(), manifest, spec.offset,
                  context);
  uint64_t left = std::min(spec.limit, manifest.size() - spec.offset);
  while (left > 0) {
    absl::StatusOr<std::string> bytes = form.Next();
    if (!bytes.ok()) return bytes.status();
    std::string_view wanted = std::string_view(*bytes).substr(0, left);
    left -= wanted.size();
    if (absl::Status taken = sink.Append(wanted); !taken.ok()) return taken;
  }
  return ReadResult{.verified = true, .cost = form.costs().Costs()};
}

absl::StatusOr<ReadResult> ArchiveImpl::ReadViewOf(const archive::v1::Manifest& manifest,
                                                   const ReadSpec& spec, ReadSink& sink,
                                                   const CallContext& context) {
  auto view = std::ranges::find_if(manifest.views(), [&](const archive::v1::View& candidate) {
    return spec.view.empty() || candidate.name() == spec.view;
  });
  if (view == manifest.views().end()) {
    return Error(Reason::kViewNotFound, absl::StrCat(spec.name, " has no view ", spec.view));
  }
  if (view->status() != archive::v1::View::VERIFIED) {
    return Error(
        Reason::kViewNotVerified,
        absl::StrCat("the view of ", spec.name, " failed when it was put: ", view->failure()));
  }
  if (spec.offset > view->length()) {
    return Error(Reason::kOffsetOutOfRange,
                 absl::StrCat("offset ", spec.offset, " of the view of ", spec.name, ", which has ",
                              view->length(), " bytes"));
  }
  ReadHeader header{.object = ToObjectInfo(manifest)};
  header.size = view->length();
  header.digest = FromMessage(view->digest()).value_or(Digest());
  header.media_type = view->media_type();
  header.extension = view->extension();
  if (absl::Status begun = sink.Begin(header); !begun.ok()) return begun;
  StoredForm form(core_->packs, core_->runner, core_->IndexLocator(), manifest, 0, context);
  RangeSink range(sink, spec.offset, spec.limit);
  CostSheet costs;
  absl::Status status = ReadView(*view, manifest.size(), form, core_->IndexLocator(), core_->runner,
                                 range, context, costs);
  if (!status.ok()) return status;
  return ReadResult{.verified = true, .cost = costs.Costs()};
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

}  // namespace vxa
