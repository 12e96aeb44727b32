#include "server/convert.h"

#include <google/protobuf/util/time_util.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/text.h"
#include "archive/wire_text.h"
#include "server/status.h"

namespace vxa {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

constexpr size_t kMaxFailureBytes = 8192;
constexpr size_t kMaxSourcePathBytes = 4096;  // Linux's PATH_MAX
constexpr size_t kMaxMediaTypeBytes = 255;    // RFC 6838, section 4.2: 127 + '/' + 127
constexpr size_t kMaxDelimiterBytes = 1024;   // a name's length
constexpr uint32_t kMaxPageSize = 1000;
constexpr int kMaxVerifiedNames = 1000;

absl::Status Invalid(const std::string& message) { return Error(Reason::kInvalidRequest, message); }

absl::Status CheckBytes(const char* field, size_t size, size_t max) {
  if (size <= max) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " has ", size, " bytes; ", max, " may be"));
}

void SetTimestamp(absl::Time time, Timestamp* timestamp) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp->set_seconds(seconds);
  timestamp->set_nanos(
      static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
}

void SetDuration(absl::Duration duration, google::protobuf::Duration* proto) {
  absl::Duration rest;
  proto->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  proto->set_nanos(static_cast<int32_t>(rest / absl::Nanoseconds(1)));
}

absl::StatusOr<absl::Time> FromProto(const Timestamp& timestamp) {
  if (timestamp.seconds() < TimeUtil::kTimestampMinSeconds ||
      timestamp.seconds() > TimeUtil::kTimestampMaxSeconds || timestamp.nanos() < 0 ||
      timestamp.nanos() > 999'999'999) {
    return Invalid(absl::StrCat("source.modified is not a valid Timestamp: ", timestamp.seconds(),
                                " seconds, ", timestamp.nanos(), " nanos"));
  }
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

v1::OutputType ToProto(const OutputType& output) {
  v1::OutputType proto;
  proto.set_media_type(output.media_type);
  proto.set_extension(output.extension);
  return proto;
}

v1::UpstreamSource ToProto(const DecoderNote::Source& source) {
  v1::UpstreamSource proto;
  proto.set_name(source.name);
  proto.set_version(source.version);
  proto.set_license(source.license);
  proto.set_file(source.file);
  if (source.digest) *proto.mutable_digest() = vxa::ToProto(*source.digest);
  for (const DecoderNote::Patch& patch : source.patches) {
    v1::UpstreamPatch* added = proto.add_patches();
    added->set_name(patch.name);
    *added->mutable_digest() = vxa::ToProto(patch.digest);
  }
  return proto;
}

// Sets a `note` field, unless nothing is said.
template <class Message>
void SetNote(const DecoderNote& note, Message* message) {
  v1::DecoderNote proto;
  if (note.output) *proto.mutable_output() = ToProto(*note.output);
  for (const DecoderNote::Parameter& parameter : note.parameters) {
    v1::DecoderParameter* added = proto.add_parameters();
    added->set_syntax(parameter.syntax);
    added->set_description(parameter.description);
    if (parameter.output) *added->mutable_output() = ToProto(*parameter.output);
    added->set_preview(parameter.preview);
  }
  for (const DecoderNote::Source& source : note.sources) *proto.add_sources() = ToProto(source);
  proto.set_kit(note.kit);
  proto.set_compiler(note.compiler);
  if (proto.ByteSizeLong() > 0) *message->mutable_note() = std::move(proto);
}

v1::View::Status ToProto(View::Status status) {
  switch (status) {
    case View::Status::kVerified:
      return v1::View::VERIFIED;
    case View::Status::kFailed:
      return v1::View::FAILED;
    case View::Status::kOverLimit:
      return v1::View::OVER_LIMIT;
  }
  return v1::View::STATUS_UNSPECIFIED;
}

absl::StatusOr<SourceInfo> FromProto(const v1::Source& source) {
  SourceInfo info;
  if (absl::Status s = CheckBytes("source.path", source.path().size(), kMaxSourcePathBytes);
      !s.ok()) {
    return s;
  }
  info.path = source.path();
  info.mode = source.mode();
  if (source.has_modified()) {
    absl::StatusOr<absl::Time> modified = FromProto(source.modified());
    if (!modified.ok()) return modified.status();
    info.modified = *modified;
  }
  return info;
}

absl::StatusOr<Decoding> FromProto(const v1::Decoding& proto) {
  absl::StatusOr<Digest> decoder = vxa::FromProto(proto.decoder(), "decoding.decoder");
  if (!decoder.ok()) return decoder.status();
  absl::StatusOr<Digest> original =
      vxa::FromProto(proto.original_digest(), "decoding.original_digest");
  if (!original.ok()) return original.status();
  Decoding decoding{.decoder = *decoder,
                    .arguments = {proto.arguments().begin(), proto.arguments().end()},
                    .original_digest = *original};
  if (proto.has_original_size()) decoding.original_size = proto.original_size();
  return decoding;
}

absl::StatusOr<Form> FromProto(v1::Form form) {
  switch (form) {
    case v1::ORIGINAL:
      return Form::kOriginal;
    case v1::STORED:
      return Form::kStored;
    case v1::VIEW:
      return Form::kView;
    default:
      return Invalid(absl::StrCat("form ", static_cast<int>(form), " is unknown"));
  }
}

}  // namespace

v1::Digest ToProto(const Digest& digest) {
  v1::Digest proto;
  proto.set_algorithm(v1::Digest::SHA256);
  proto.set_value(std::string(digest.raw()));
  return proto;
}

v1::DecodeCost ToProto(const DecodeCost& cost) {
  v1::DecodeCost proto;
  *proto.mutable_decoder() = ToProto(cost.decoder);
  proto.set_decoder_name(cost.decoder_name);
  proto.set_decodes(cost.decodes);
  proto.set_encoded_bytes(cost.encoded_bytes);
  proto.set_decoded_bytes(cost.decoded_bytes);
  proto.set_instructions(cost.instructions);
  proto.set_peak_memory(cost.peak_memory);
  SetDuration(cost.time, proto.mutable_time());
  return proto;
}

v1::ObjectDecoding ToProto(const ObjectDecoding& decoding) {
  v1::ObjectDecoding proto;
  *proto.mutable_decoder() = ToProto(decoding.decoder);
  proto.set_decoder_name(decoding.cost.decoder_name);
  for (const std::string& argument : decoding.arguments) proto.add_arguments(argument);
  proto.set_stored_form_size(decoding.stored_form_size);
  *proto.mutable_stored_form_digest() = ToProto(decoding.stored_form_digest);
  *proto.mutable_cost() = ToProto(decoding.cost);
  return proto;
}

v1::Verification ToProto(const Verification& verification) {
  v1::Verification proto;
  SetTimestamp(verification.time, proto.mutable_time());
  proto.set_reproduced(verification.reproduced);
  proto.set_detail(verification.detail);
  proto.set_agent(verification.agent);
  return proto;
}

v1::View ToProto(const View& view) {
  v1::View proto;
  proto.set_name(view.name);
  proto.set_status(ToProto(view.status));
  proto.set_media_type(view.media_type);
  proto.set_extension(view.extension);
  proto.set_size(view.size);
  if (view.status == View::Status::kVerified) *proto.mutable_digest() = ToProto(view.digest);
  *proto.mutable_decoder() = ToProto(view.decoder);
  for (const std::string& argument : view.arguments) proto.add_arguments(argument);
  *proto.mutable_cost() = ToProto(view.cost);
  // It may quote what a guest wrote.
  proto.set_failure(WireText(view.failure, kMaxFailureBytes));
  return proto;
}

v1::Object ToProto(const ObjectInfo& object) {
  v1::Object proto;
  proto.set_namespace_(object.ns);
  proto.set_name(object.name);
  proto.set_version(object.version);
  proto.set_delete_marker(object.delete_marker);
  SetTimestamp(object.created, proto.mutable_create_time());
  if (object.delete_marker) return proto;
  proto.set_size(object.size);
  *proto.mutable_digest() = ToProto(object.digest);
  proto.set_media_type(object.media_type);
  proto.set_codec(object.codec);
  proto.set_stored_size(object.stored_size);
  proto.set_chunks(object.chunks);
  for (const DecoderUse& use : object.decoders) {
    v1::DecoderUse* decoder = proto.add_decoders();
    *decoder->mutable_decoder() = ToProto(use.decoder);
    decoder->set_name(use.name);
    decoder->set_size(use.size);
    SetNote(use.note, decoder);
  }
  for (const View& view : object.views) *proto.add_views() = ToProto(view);
  for (const auto& [key, value] : object.metadata) (*proto.mutable_metadata())[key] = value;
  if (!object.source.path.empty()) proto.mutable_source()->set_path(object.source.path);
  if (object.source.mode != 0) proto.mutable_source()->set_mode(object.source.mode);
  if (object.source.modified) {
    SetTimestamp(*object.source.modified, proto.mutable_source()->mutable_modified());
  }
  if (object.decoding) *proto.mutable_decoding() = ToProto(*object.decoding);
  if (object.verification) *proto.mutable_verification() = ToProto(*object.verification);
  return proto;
}

v1::WriteObjectResult ToProto(const PutResult& result) {
  v1::WriteObjectResult proto;
  *proto.mutable_object() = ToProto(result.object);
  proto.set_unchanged(result.unchanged);
  for (const DecodeCost& cost : result.proof) *proto.add_proof() = ToProto(cost);
  return proto;
}

v1::ReadObjectMetadata ToProto(const ReadHeader& header) {
  v1::ReadObjectMetadata proto;
  *proto.mutable_object() = ToProto(header.object);
  proto.set_size(header.size);
  proto.set_media_type(header.media_type);
  proto.set_extension(header.extension);
  proto.set_preview(header.preview);
  return proto;
}

v1::VerifiedObject ToProto(const VerifiedVersion& version) {
  v1::VerifiedObject proto;
  proto.set_name(version.name);
  proto.set_version(version.version);
  if (!version.status.ok()) *proto.mutable_status() = ToRpcStatus(version.status);
  proto.set_size(version.size);
  for (const DecodeCost& cost : version.cost) *proto.add_cost() = ToProto(cost);
  return proto;
}

v1::VerifySummary ToProto(const VerifySummary& summary) {
  v1::VerifySummary proto;
  proto.set_objects(summary.objects);
  proto.set_damaged(summary.damaged);
  proto.set_bytes(summary.bytes);
  return proto;
}

v1::Decoder ToProto(const DecoderInfo& decoder) {
  v1::Decoder proto;
  *proto.mutable_id() = ToProto(decoder.id);
  proto.set_origin(decoder.origin == DecoderInfo::Origin::kBuiltIn ? v1::Decoder::BUILT_IN
                                                                   : v1::Decoder::REGISTERED);
  proto.set_name(decoder.name);
  proto.set_size(decoder.size);
  proto.set_profile(std::string(vx::Name(decoder.profile)));
  if (decoder.origin == DecoderInfo::Origin::kRegistered) {
    SetTimestamp(decoder.registered, proto.mutable_register_time());
    proto.set_registered_by(decoder.registered_by);
  }
  proto.set_approved(decoder.approved);
  proto.set_disabled(decoder.disabled);
  proto.set_disabled_reason(decoder.disabled_reason);
  SetNote(decoder.note, &proto);
  return proto;
}

absl::StatusOr<Digest> FromProto(const v1::Digest& digest, std::string_view field) {
  if (digest.algorithm() != v1::Digest::SHA256) {
    return Invalid(absl::StrCat(Absl(field), ".algorithm is ", static_cast<int>(digest.algorithm()),
                                "; SHA256 (1) is known"));
  }
  absl::StatusOr<Digest> result = Digest::FromBytes(HashAlgorithm::kSha256, digest.value());
  if (!result.ok()) return Invalid(absl::StrCat(Absl(field), ": ", result.status().message()));
  return result;
}

absl::StatusOr<PutSpec> FromProto(const v1::WriteObjectSpec& spec) {
  if (absl::Status s = CheckBytes("media_type", spec.media_type().size(), kMaxMediaTypeBytes);
      !s.ok()) {
    return s;
  }
  absl::StatusOr<SourceInfo> source = FromProto(spec.source());
  if (!source.ok()) return source.status();
  PutSpec put;
  put.ns = spec.namespace_();
  put.name = spec.name();
  put.codec = spec.codec().empty() ? "auto" : spec.codec();
  put.media_type = spec.media_type();
  // std::map, because a protobuf map has no order.
  for (const auto& [key, value] :
       std::map<std::string, std::string>(spec.metadata().begin(), spec.metadata().end())) {
    put.metadata.emplace_back(key, value);
  }
  put.if_absent = spec.if_absent();
  if (spec.has_if_version()) put.if_version = spec.if_version();
  put.request_id = spec.request_id();
  put.source = *std::move(source);
  if (spec.has_decoding()) {
    absl::StatusOr<Decoding> decoding = FromProto(spec.decoding());
    if (!decoding.ok()) return decoding.status();
    put.decoding = *std::move(decoding);
  }
  return put;
}

absl::StatusOr<ReadSpec> FromProto(const v1::ReadObjectRequest& request) {
  absl::StatusOr<Form> form = FromProto(request.form());
  if (!form.ok()) return form.status();
  if ((!request.view().empty() || !request.view_arguments().empty()) && *form != Form::kView) {
    return Invalid("view or view_arguments are given, but form is not VIEW");
  }
  ReadSpec spec;
  spec.ns = request.namespace_();
  spec.name = request.name();
  spec.version = request.version();
  if (request.has_if_version()) spec.if_version = request.if_version();
  spec.form = *form;
  spec.view = request.view();
  spec.view_arguments.assign(request.view_arguments().begin(), request.view_arguments().end());
  spec.offset = request.read_offset();
  if (request.has_read_limit()) spec.limit = request.read_limit();
  return spec;
}

absl::StatusOr<ListSpec> FromProto(const v1::ListObjectsRequest& request) {
  absl::StatusOr<uint32_t> page_size = PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  if (absl::Status s = CheckBytes("delimiter", request.delimiter().size(), kMaxDelimiterBytes);
      !s.ok()) {
    return s;
  }
  ListSpec spec;
  spec.ns = request.namespace_();
  spec.prefix = request.prefix();
  spec.delimiter = request.delimiter();
  spec.page_size = *page_size;
  spec.page_token = request.page_token();
  spec.versions = request.versions();
  return spec;
}

DeleteSpec FromProto(const v1::DeleteObjectRequest& request) {
  DeleteSpec spec;
  spec.ns = request.namespace_();
  spec.name = request.name();
  spec.version = request.version();
  if (request.has_if_version()) spec.if_version = request.if_version();
  spec.request_id = request.request_id();
  return spec;
}

absl::StatusOr<VerifySpec> FromProto(const v1::VerifyObjectsRequest& request) {
  if (request.names_size() > kMaxVerifiedNames) {
    return Invalid(absl::StrCat("names: ", request.names_size(), " of them; ", kMaxVerifiedNames,
                                " may be in one call"));
  }
  VerifySpec spec;
  spec.ns = request.namespace_();
  spec.names.assign(request.names().begin(), request.names().end());
  spec.prefix = request.prefix();
  spec.versions = request.versions();
  return spec;
}

absl::StatusOr<RegisterSpec> FromProto(const v1::RegisterDecoderRequest& request) {
  RegisterSpec spec;
  spec.ns = request.namespace_();
  spec.image = request.image();
  spec.name = request.name();
  if (!request.profile().empty()) {
    absl::StatusOr<vx::Profile> profile = vx::ParseProfile(request.profile());
    if (!profile.ok()) return Error(Reason::kDecoderRejected, Std(profile.status().message()));
    spec.profile = *profile;
  }
  if (request.has_sample()) spec.sample = request.sample();
  spec.arguments.assign(request.sample_arguments().begin(), request.sample_arguments().end());
  if (request.has_sample_digest()) {
    absl::StatusOr<Digest> digest = FromProto(request.sample_digest(), "sample_digest");
    if (!digest.ok()) return digest.status();
    spec.sample_digest = *digest;
  }
  return spec;
}

absl::StatusOr<uint32_t> PageSize(uint32_t asked) {
  if (asked <= kMaxPageSize) return asked == 0 ? kMaxPageSize : asked;
  return Invalid(absl::StrCat("page_size is ", asked, "; at most ", kMaxPageSize, " may be"));
}

}  // namespace vxa
