#include "archive/changes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "archive/errors.h"
#include "archive/fold.h"

namespace vxa {
namespace {

absl::Status CheckVersion(std::optional<uint64_t> wanted, uint64_t visible,
                          const std::string& name) {
  if (!wanted || *wanted == visible) return absl::OkStatus();
  return Error(Reason::kVersionMismatch,
               absl::StrCat("the latest version of ", name, " is ", visible, ", not ", *wanted,
                            " (0: none is visible)"));
}

absl::Status ReusedRequest(const std::string& name) {
  return Error(Reason::kInvalidRequest,
               absl::StrCat("the request_id was used for something else with ", name));
}

// Whether version `version` has this content. However the original was stored will do, unless the
// put is about just that.
absl::StatusOr<bool> IsSame(const IndexView& state, const PutSpec& spec, uint64_t version,
                            const Content& content) {
  absl::StatusOr<std::optional<IndexVersion>> entry = state.Version(spec.ns, spec.name, version);
  if (!entry.ok()) return entry.status();
  return *entry && (*entry)->digest() == content.digest.raw() &&
         (content.stored_identity.empty() ||
          (*entry)->stored_identity() == content.stored_identity);
}

// What the next version of a name is called: no version that there ever was, though records that
// gave some out may be lost. Each gave out one at most.
absl::StatusOr<uint64_t> NextVersion(const IndexView& state, const IndexHead& head,
                                     const std::string& name) {
  absl::StatusOr<uint64_t> lost = state.LostSince(head.sequence());
  if (!lost.ok()) return lost.status();
  if (head.highest_version() >= kMaxVersion || *lost >= kMaxVersion - head.highest_version()) {
    return Error(Reason::kLimitExceeded, absl::StrCat("no version numbers are left for ", name));
  }
  return head.highest_version() + 1 + *lost;
}

}  // namespace

uint64_t VisibleVersion(const IndexHead& head) {
  return head.latest_is_marker() ? 0 : head.latest_version();
}

absl::StatusOr<std::optional<uint64_t>> CheckPut(const IndexView& state, const PutSpec& spec,
                                                 const Content* content) {
  if (!spec.request_id.empty()) {
    auto request = state.Request(spec.ns, spec.name, spec.request_id);
    if (!request.ok()) return request.status();
    if (*request) {
      const uint64_t version = (*request)->version();
      absl::StatusOr<bool> same = true;
      if (content != nullptr) same = IsSame(state, spec, version, *content);
      if (!same.ok()) return same.status();
      if ((*request)->kind() != IndexRequest::PUT || !*same) return ReusedRequest(spec.name);
      return version;
    }
  }
  absl::StatusOr<IndexHead> head = state.Head(spec.ns, spec.name);
  if (!head.ok()) return head.status();
  const uint64_t visible = VisibleVersion(*head);
  if (spec.if_absent && visible != 0) {
    return Error(Reason::kObjectExists,
                 absl::StrCat(spec.name, " exists, its latest version is ", visible));
  }
  if (absl::Status status = CheckVersion(spec.if_version, visible, spec.name); !status.ok()) {
    return status;
  }
  if (visible == 0 || content == nullptr) return std::nullopt;
  absl::StatusOr<bool> same = IsSame(state, spec, visible, *content);
  if (!same.ok()) return same.status();
  return *same ? std::optional(visible) : std::nullopt;
}

PutChange::PutChange(const PutSpec& spec, archive::v1::Manifest& manifest,
                     std::vector<DecoderImage> decoders, std::vector<Location> parts)
    : spec_(spec), manifest_(manifest), decoders_(std::move(decoders)), parts_(std::move(parts)) {}

absl::StatusOr<std::optional<NewRecord>> PutChange::Prepare(const IndexView& state) {
  absl::StatusOr<Digest> digest = FromMessage(manifest_.digest());
  if (!digest.ok()) return digest.status();
  Content content{.digest = *digest};
  if (manifest_.has_object_decode()) {
    content.stored_identity = StoredIdentity(manifest_.object_decode());
  }
  absl::StatusOr<std::optional<uint64_t>> existing = CheckPut(state, spec_, &content);
  if (!existing.ok()) return existing.status();
  existing_ = *existing;
  if (existing_) return std::nullopt;
  absl::StatusOr<IndexHead> head = state.Head(spec_.ns, spec_.name);
  if (!head.ok()) return head.status();
  absl::StatusOr<uint64_t> version = NextVersion(state, *head, spec_.name);
  if (!version.ok()) return version.status();
  manifest_.set_version(*version);
  manifest_.set_created(absl::ToUnixMicros(absl::Now()));
  payload_ = manifest_.SerializeAsString();
  return NewRecord{
      .type = RecordType::kManifest, .pieces = {payload_}, .decoders = decoders_, .parts = parts_};
}

absl::StatusOr<std::optional<NewRecord>> EventChange::Prepare(const IndexView& /*state*/) {
  event_.set_time(absl::ToUnixMicros(absl::Now()));
  payload_ = event_.SerializeAsString();
  return NewRecord{.type = RecordType::kEvent, .pieces = {payload_}, .decoders = decoders_};
}

absl::StatusOr<std::optional<NewRecord>> DeleteChange::Prepare(const IndexView& state) {
  const auto wanted = spec_.version == 0 ? IndexRequest::HIDE : IndexRequest::REMOVE;
  if (!spec_.request_id.empty()) {
    auto request = state.Request(spec_.ns, spec_.name, spec_.request_id);
    if (!request.ok()) return request.status();
    if (*request) {
      version_ = (*request)->version();
      if ((*request)->kind() != wanted || (spec_.version != 0 && spec_.version != version_)) {
        return ReusedRequest(spec_.name);
      }
      return std::nullopt;
    }
  }
  absl::StatusOr<IndexHead> head = state.Head(spec_.ns, spec_.name);
  if (!head.ok()) return head.status();
  const uint64_t visible = VisibleVersion(*head);
  if (absl::Status status = CheckVersion(spec_.if_version, visible, spec_.name); !status.ok()) {
    return status;
  }
  archive::v1::Update update;
  if (spec_.version == 0) {
    if (visible == 0) {
      return Error(Reason::kObjectNotFound, absl::StrCat("no object ", spec_.name));
    }
    absl::StatusOr<uint64_t> version = NextVersion(state, *head, spec_.name);
    if (!version.ok()) return version.status();
    version_ = *version;
    update.set_delete_marker(version_);
  } else {
    auto entry = state.Version(spec_.ns, spec_.name, spec_.version);
    if (!entry.ok()) return entry.status();
    if (!*entry) {
      return Error(Reason::kObjectNotFound,
                   absl::StrCat(spec_.name, " has no version ", spec_.version));
    }
    version_ = spec_.version;
    update.set_removed(version_);
  }
  update.set_namespace_(spec_.ns);
  update.set_name(spec_.name);
  update.set_created(absl::ToUnixMicros(absl::Now()));
  update.set_request_id(spec_.request_id);
  payload_ = update.SerializeAsString();
  return NewRecord{.type = RecordType::kUpdate, .pieces = {payload_}, .purpose = Purpose::kDelete};
}

}  // namespace vxa
