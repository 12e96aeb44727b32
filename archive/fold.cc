#include "archive/fold.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "archive/names.h"
#include "archive/text.h"

namespace vxa {
namespace {

using archive::v1::ChunkList;
using archive::v1::Event;
using archive::v1::Manifest;
using archive::v1::Update;

// Parses a message that has a min_reader.
template <typename Message>
absl::StatusOr<Message> Parse(std::string_view payload, std::string_view what) {
  Message message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError(absl::StrCat("a ", Absl(what), " is not a message"));
  }
  if (message.min_reader() > kReaderVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("a ", Absl(what), " needs a reader of version ", message.min_reader(),
                     ", this program is ", kReaderVersion));
  }
  return message;
}

absl::Status CheckSubject(std::string_view ns, std::string_view name, uint64_t version) {
  if (absl::Status status = CheckName(ns); !status.ok()) {
    return absl::DataLossError(absl::StrCat("namespace: ", status.message()));
  }
  if (absl::Status status = CheckName(name); !status.ok()) {
    return absl::DataLossError(status.message());
  }
  if (version == 0 || version > kMaxVersion) {
    return absl::DataLossError(absl::StrCat("version ", version, " of ", Absl(name)));
  }
  return absl::OkStatus();
}

// Checks that slices, chunks or lists of them, cover [offset, offset + length) without gaps, and
// moves `offset` behind them.
template <typename Slices>
absl::Status CheckCover(const Slices& slices, uint64_t& offset) {
  for (const auto& slice : slices) {
    if (slice.offset() != offset || slice.length() == 0 || slice.length() > UINT64_MAX - offset) {
      return absl::DataLossError(absl::StrCat("chunks at offset ", slice.offset(), " with ",
                                              slice.length(), " bytes where ", offset, " is due"));
    }
    offset += slice.length();
  }
  return absl::OkStatus();
}

// Gives a name one more version, latest or not.
absl::Status AddVersion(IndexTransaction& state, const std::string& ns, const std::string& name,
                        uint64_t version, const IndexVersion& entry, uint64_t sequence) {
  absl::StatusOr<IndexHead> head = state.Head(ns, name);
  if (!head.ok()) return head.status();
  head->set_highest_version(std::max(head->highest_version(), version));
  head->set_sequence(std::max(head->sequence(), sequence));
  if (version >= head->latest_version()) {
    head->set_latest_version(version);
    head->set_latest_is_marker(entry.delete_marker());
  }
  state.SetHead(ns, name, *head);
  state.SetVersion(ns, name, version, entry);
  if (!entry.request_id().empty()) {
    IndexRequest request;
    request.set_kind(entry.delete_marker() ? IndexRequest::HIDE : IndexRequest::PUT);
    request.set_version(version);
    state.SetRequest(ns, name, entry.request_id(), request);
  }
  return absl::OkStatus();
}

void SetRecord(const RecordRef& record, IndexVersion& entry) {
  entry.mutable_record()->set_pack(record.location.pack);
  entry.mutable_record()->set_offset(record.location.offset);
  entry.mutable_record()->set_length(record.location.length);
  entry.set_record_digest(std::string(record.payload.raw()));
}

absl::Status ApplyManifest(const RecordRef& record, std::string_view payload,
                           IndexTransaction& state) {
  absl::StatusOr<Manifest> manifest = ParseManifest(payload);
  if (!manifest.ok()) return manifest.status();
  IndexVersion entry;
  SetRecord(record, entry);
  entry.set_size(manifest->size());
  entry.set_digest(manifest->digest().value());
  entry.set_created(manifest->created());
  entry.set_request_id(manifest->request_id());
  if (manifest->has_object_decode()) {
    entry.set_stored_identity(StoredIdentity(manifest->object_decode()));
  }
  return AddVersion(state, manifest->namespace_(), manifest->name(), manifest->version(), entry,
                    record.sequence);
}

absl::Status RemoveVersion(const Update& update, IndexTransaction& state) {
  const std::string& ns = update.namespace_();
  const std::string& name = update.name();
  absl::StatusOr<std::optional<IndexVersion>> entry = state.Version(ns, name, update.removed());
  if (!entry.ok()) return entry.status();
  if (*entry) {
    state.RemoveVersion(ns, name, update.removed());
    state.RemoveVerification(ns, name, update.removed());
    if (!(*entry)->request_id().empty()) state.RemoveRequest(ns, name, (*entry)->request_id());
  }
  absl::StatusOr<IndexHead> head = state.Head(ns, name);
  if (!head.ok()) return head.status();
  auto latest = state.LatestVersion(ns, name);
  if (!latest.ok()) return latest.status();
  head->set_highest_version(std::max(head->highest_version(), update.removed()));
  head->set_latest_version(*latest ? (*latest)->first : 0);
  head->set_latest_is_marker(*latest && (*latest)->second.delete_marker());
  state.SetHead(ns, name, *head);
  if (!update.request_id().empty()) {
    IndexRequest request;
    request.set_kind(IndexRequest::REMOVE);
    request.set_version(update.removed());
    state.SetRequest(ns, name, update.request_id(), request);
  }
  return absl::OkStatus();
}

absl::Status ApplyUpdate(const RecordRef& record, std::string_view payload,
                         IndexTransaction& state) {
  absl::StatusOr<Update> update = Parse<Update>(payload, "update");
  if (!update.ok()) return update.status();
  if ((update->delete_marker() != 0) == (update->removed() != 0)) {
    return absl::DataLossError("an update is either a delete marker or a removal");
  }
  absl::Status named = CheckSubject(update->namespace_(), update->name(),
                                    std::max(update->delete_marker(), update->removed()));
  if (!named.ok()) return named;
  if (update->removed() != 0) return RemoveVersion(*update, state);
  IndexVersion entry;
  SetRecord(record, entry);
  entry.set_delete_marker(true);
  entry.set_created(update->created());
  entry.set_request_id(update->request_id());
  return AddVersion(state, update->namespace_(), update->name(), update->delete_marker(), entry,
                    record.sequence);
}

// A decoder that is in the packs, with what was said of it so far.
absl::StatusOr<IndexDecoder> KnownDecoder(const Digest& decoder, uint64_t size,
                                          const IndexTransaction& state) {
  absl::StatusOr<std::optional<IndexDecoder>> known = state.Decoder(decoder);
  if (!known.ok()) return known.status();
  IndexDecoder entry = known->value_or(IndexDecoder());
  if (entry.size() == 0) entry.set_size(size);
  return entry;
}

absl::Status ApplyVerification(const Event& event, const archive::v1::Verification& verification,
                               IndexTransaction& state) {
  const std::string& ns = verification.namespace_();
  const std::string& name = verification.name();
  if (absl::Status named = CheckSubject(ns, name, verification.version()); !named.ok()) {
    return named;
  }
  auto version = state.Version(ns, name, verification.version());
  if (!version.ok()) return version.status();
  if (!*version) return absl::OkStatus();  // removed meanwhile
  IndexVerification entry;
  entry.set_time(event.time());
  entry.set_agent(event.agent());
  entry.set_reproduced(verification.outcome() == archive::v1::Verification::REPRODUCED);
  entry.set_detail(verification.detail());
  state.SetVerification(ns, name, verification.version(), entry);
  return absl::OkStatus();
}

absl::Status ApplyRegistration(const Event& event, IndexTransaction& state) {
  const archive::v1::DecoderRegistration& registration = event.registration();
  if (absl::Status named = CheckName(registration.namespace_()); !named.ok()) {
    return absl::DataLossError(absl::StrCat("namespace: ", named.message()));
  }
  absl::StatusOr<Digest> decoder = FromMessage(registration.decoder());
  if (!decoder.ok()) return decoder.status();
  absl::StatusOr<IndexDecoder> known = KnownDecoder(*decoder, registration.size(), state);
  if (!known.ok()) return known.status();
  known->set_registered(true);
  state.SetDecoder(*decoder, *known);
  IndexRegistration entry;
  entry.set_time(event.time());
  entry.set_agent(event.agent());
  entry.set_name(registration.name());
  entry.set_profile(registration.profile());
  state.SetRegistration(registration.namespace_(), *decoder, entry);
  return absl::OkStatus();
}

absl::Status ApplyRuling(const archive::v1::DecoderRuling& ruling, IndexTransaction& state) {
  absl::StatusOr<Digest> decoder = FromMessage(ruling.decoder());
  if (!decoder.ok()) return decoder.status();
  absl::StatusOr<IndexDecoder> known = KnownDecoder(*decoder, 0, state);
  if (!known.ok()) return known.status();
  known->set_approved(ruling.approved());
  known->set_disabled(ruling.disabled());
  known->set_reason(ruling.reason());
  state.SetDecoder(*decoder, *known);
  return absl::OkStatus();
}

absl::Status ApplyEvent(std::string_view payload, IndexTransaction& state) {
  absl::StatusOr<Event> event = Parse<Event>(payload, "event");
  if (!event.ok()) return event.status();
  for (const archive::v1::Verification& verification : event->verifications()) {
    absl::Status applied = ApplyVerification(*event, verification, state);
    if (!applied.ok()) return applied;
  }
  if (event->has_registration()) return ApplyRegistration(*event, state);
  if (event->has_ruling()) return ApplyRuling(event->ruling(), state);
  return absl::OkStatus();
}

absl::Status ApplyDecoder(const RecordRef& record, IndexTransaction& state) {
  absl::StatusOr<IndexDecoder> known = KnownDecoder(record.payload, record.location.length, state);
  if (!known.ok()) return known.status();
  known->set_size(record.location.length);
  state.SetDecoder(record.payload, *known);
  state.AddCopy(record.payload, record.location);
  return absl::OkStatus();
}

absl::Status CheckObjectDecode(const archive::v1::ObjectDecode& object_decode) {
  if (absl::Status status = FromMessage(object_decode.decode().decoder()).status(); !status.ok()) {
    return status;
  }
  return FromMessage(object_decode.stored_digest()).status();
}

}  // namespace

absl::Status Apply(const RecordRef& record, std::string_view payload, IndexTransaction& state) {
  switch (record.type) {
    case RecordType::kDecoder:
      return ApplyDecoder(record, state);
    case RecordType::kBlob:
    case RecordType::kChunkList:
      state.AddCopy(record.payload, record.location);
      return absl::OkStatus();
    case RecordType::kManifest:
      return ApplyManifest(record, payload, state);
    case RecordType::kUpdate:
      return ApplyUpdate(record, payload, state);
    case RecordType::kEvent:
      return ApplyEvent(payload, state);
    case RecordType::kBarrier:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::StatusOr<Manifest> ParseManifest(std::string_view payload) {
  absl::StatusOr<Manifest> manifest = Parse<Manifest>(payload, "manifest");
  if (!manifest.ok()) return manifest.status();
  absl::Status checked =
      CheckSubject(manifest->namespace_(), manifest->name(), manifest->version());
  if (checked.ok()) checked = FromMessage(manifest->digest()).status();
  uint64_t size = 0;
  if (checked.ok()) checked = CheckCover(manifest->chunks(), size);
  if (checked.ok()) checked = CheckCover(manifest->chunk_lists(), size);
  if (checked.ok() && manifest->chunks_size() != 0 && manifest->chunk_lists_size() != 0) {
    checked = absl::DataLossError("a manifest has both chunks and chunk lists");
  }
  if (checked.ok() && size != StoredLength(*manifest)) {
    checked = absl::DataLossError(absl::StrCat("a manifest of ", StoredLength(*manifest),
                                               " stored bytes has chunks of ", size));
  }
  if (checked.ok() && manifest->has_object_decode()) {
    checked = CheckObjectDecode(manifest->object_decode());
  }
  if (!checked.ok()) return checked;
  return manifest;
}

absl::StatusOr<ChunkList> ParseChunkList(std::string_view payload) {
  absl::StatusOr<ChunkList> list = Parse<ChunkList>(payload, "chunk list");
  if (!list.ok()) return list.status();
  if (list->chunks_size() == 0) return absl::DataLossError("a chunk list is empty");
  uint64_t offset = list->chunks(0).offset();
  if (absl::Status covered = CheckCover(list->chunks(), offset); !covered.ok()) return covered;
  return list;
}

uint64_t StoredLength(const Manifest& manifest) {
  return manifest.has_object_decode() ? manifest.object_decode().stored_length() : manifest.size();
}

std::string StoredIdentity(const archive::v1::ObjectDecode& object_decode) {
  return std::string(
      Digest::Of(object_decode.decode().SerializeAsString() + object_decode.stored_digest().value())
          .raw());
}

archive::v1::Digest ToMessage(const Digest& digest) {
  archive::v1::Digest message;
  message.set_algorithm(static_cast<uint32_t>(digest.algorithm));
  message.set_value(std::string(digest.raw()));
  return message;
}

absl::StatusOr<Digest> FromMessage(const archive::v1::Digest& message) {
  if (message.algorithm() != static_cast<uint32_t>(HashAlgorithm::kSha256)) {
    return absl::DataLossError(absl::StrCat("hash algorithm ", message.algorithm()));
  }
  return Digest::FromBytes(HashAlgorithm::kSha256, message.value());
}

}  // namespace vxa
