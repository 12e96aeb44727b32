#include "archive/object_info.h"

#include "absl/strings/str_cat.h"
#include "archive/decoder_runner.h"
#include "archive/errors.h"
#include "archive/fold.h"

namespace vxa {
namespace {

// REQUIRES: a digest that was checked when its manifest was parsed, or one that is for show only.
Digest ShownDigest(const archive::v1::Digest& message) {
  return FromMessage(message).value_or(Digest());
}

DecodeCost ToCost(const archive::v1::Decode& decode, const archive::v1::Cost& cost,
                  uint64_t encoded, uint64_t decoded) {
  const Digest decoder = ShownDigest(decode.decoder());
  return {.decoder = decoder,
          .decoder_name = BuiltinName(decoder),
          .decodes = 1,
          .encoded_bytes = encoded,
          .decoded_bytes = decoded,
          .instructions = cost.instructions(),
          .peak_memory = cost.peak_memory()};
}

ObjectDecoding ToDecoding(const archive::v1::Manifest& manifest) {
  const archive::v1::ObjectDecode& stored = manifest.object_decode();
  const archive::v1::Decode& decode = stored.decode();
  return {.decoder = ShownDigest(decode.decoder()),
          .arguments = {decode.arguments().begin(), decode.arguments().end()},
          .stored_form_size = stored.stored_length(),
          .stored_form_digest = ShownDigest(stored.stored_digest()),
          .cost = ToCost(decode, stored.proof(), stored.stored_length(), manifest.size())};
}

View ToView(const archive::v1::View& stored, uint64_t stored_size) {
  View view;
  view.name = stored.name();
  view.status = static_cast<View::Status>(stored.status());
  view.media_type = stored.media_type();
  view.extension = stored.extension();
  view.size = stored.length();
  view.digest = ShownDigest(stored.digest());
  view.decoder = ShownDigest(stored.decode().decoder());
  view.arguments.assign(stored.decode().arguments().begin(), stored.decode().arguments().end());
  view.failure = stored.failure();
  view.cost = ToCost(stored.decode(), stored.cost(), stored_size, stored.length());
  return view;
}

}  // namespace

absl::StatusOr<archive::v1::Manifest> ReadManifest(PackFiles& packs, const std::string& ns,
                                                   const std::string& name, uint64_t version,
                                                   const IndexVersion& entry) {
  const Location location{.pack = entry.record().pack(),
                          .offset = entry.record().offset(),
                          .length = entry.record().length()};
  const auto damaged = [&](absl::string_view what) {
    return Error(Reason::kDataDamaged,
                 absl::StrCat(ns, "/", name, " version ", version, ": ", what));
  };
  absl::StatusOr<Digest> digest = Digest::FromBytes(HashAlgorithm::kSha256, entry.record_digest());
  if (!digest.ok()) return damaged(digest.status().message());
  absl::StatusOr<std::string> payload = packs.Read(location, RecordType::kManifest, *digest);
  if (!payload.ok()) return damaged(payload.status().message());
  absl::StatusOr<archive::v1::Manifest> manifest = ParseManifest(*payload);
  if (!manifest.ok()) return damaged(manifest.status().message());
  return manifest;
}

ObjectInfo ToObjectInfo(const archive::v1::Manifest& manifest) {
  ObjectInfo info;
  info.ns = manifest.namespace_();
  info.name = manifest.name();
  info.version = manifest.version();
  info.size = manifest.size();
  info.digest = ShownDigest(manifest.digest());
  info.media_type = manifest.media_type();
  info.created = absl::FromUnixMicros(manifest.created());
  info.codec = manifest.codec();
  info.stored_size = manifest.encoded_size();
  info.chunks = manifest.chunk_count();
  for (const archive::v1::DecoderUse& use : manifest.decoders()) {
    const Digest digest = ShownDigest(use.decoder());
    info.decoders.push_back({.decoder = digest, .name = BuiltinName(digest), .size = use.size()});
  }
  for (const archive::v1::View& view : manifest.views()) {
    info.views.push_back(ToView(view, StoredLength(manifest)));
  }
  for (const archive::v1::Metadata& pair : manifest.metadata()) {
    info.metadata.emplace_back(pair.key(), pair.value());
  }
  info.source.path = manifest.source().path();
  info.source.mode = manifest.source().mode();
  if (manifest.source().has_modified()) {
    info.source.modified = absl::FromUnixNanos(manifest.source().modified());
  }
  if (manifest.has_object_decode()) info.decoding = ToDecoding(manifest);
  return info;
}

absl::Status AddVerification(const IndexView& state, ObjectInfo& info) {
  absl::StatusOr<std::optional<IndexVerification>> last =
      state.LastVerification(info.ns, info.name, info.version);
  if (!last.ok()) return last.status();
  if (!*last) return absl::OkStatus();
  info.verification = Verification{.time = absl::FromUnixMicros((*last)->time()),
                                   .reproduced = (*last)->reproduced(),
                                   .detail = (*last)->detail(),
                                   .agent = (*last)->agent()};
  return absl::OkStatus();
}

ObjectInfo ToObjectInfo(const std::string& ns, const std::string& name, uint64_t version,
                        const IndexVersion& entry) {
  ObjectInfo info;
  info.ns = ns;
  info.name = name;
  info.version = version;
  info.delete_marker = entry.delete_marker();
  info.size = entry.size();
  info.digest = Digest::FromBytes(HashAlgorithm::kSha256, entry.digest()).value_or(Digest());
  info.created = absl::FromUnixMicros(entry.created());
  return info;
}

}  // namespace vxa
