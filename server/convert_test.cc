#include "server/convert.h"

#include <gtest/gtest.h>

#include "archive/errors.h"

namespace vxa {
namespace {

void ExpectInvalid(const absl::Status& status, const std::string& word) {
  EXPECT_EQ(ReasonName(status), "INVALID_REQUEST") << status;
  EXPECT_NE(std::string(status.message()).find(word), std::string::npos) << status;
}

TEST(Convert, ASpecKeepsEverythingTheClientSaid) {
  v1::WriteObjectSpec spec;
  spec.set_namespace_("default");
  spec.set_name("a/b");
  spec.set_codec("deflate");
  spec.set_media_type("text/plain");
  (*spec.mutable_metadata())["z"] = "1";
  (*spec.mutable_metadata())["a"] = "2";
  spec.set_if_absent(true);
  spec.set_if_version(0);
  spec.set_request_id("id");
  spec.mutable_source()->set_path("x\xff");
  spec.mutable_source()->mutable_modified()->set_seconds(-5);
  spec.mutable_source()->mutable_modified()->set_nanos(7);
  spec.mutable_source()->set_mode(0644);
  absl::StatusOr<PutSpec> put = FromProto(spec);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->name, "a/b");
  EXPECT_EQ(put->codec, "deflate");
  EXPECT_EQ(put->media_type, "text/plain");
  EXPECT_EQ(put->metadata, (Metadata{{"a", "2"}, {"z", "1"}}));
  EXPECT_TRUE(put->if_absent);
  EXPECT_EQ(put->if_version, 0u);
  EXPECT_EQ(put->request_id, "id");
  EXPECT_EQ(put->source.path, "x\xff");
  EXPECT_EQ(put->source.modified, absl::FromUnixNanos(-5'000'000'000 + 7));
  EXPECT_EQ(put->source.mode, 0644u);
}

TEST(Convert, ASpecWithoutCodecAsksForAuto) {
  absl::StatusOr<PutSpec> put = FromProto(v1::WriteObjectSpec());
  ASSERT_TRUE(put.ok());
  EXPECT_EQ(put->codec, "auto");
  EXPECT_FALSE(put->if_version.has_value());
  EXPECT_FALSE(put->source.modified.has_value());
}

TEST(Convert, ASpecsTimeMustBeATimestamp) {
  const std::pair<int64_t, int32_t> kBad[] = {
      {0, -1}, {0, 1'000'000'000}, {INT64_MAX, 0}, {INT64_MIN, 0}, {253402300800, 0}};
  for (const auto& [seconds, nanos] : kBad) {
    v1::WriteObjectSpec spec;
    spec.mutable_source()->mutable_modified()->set_seconds(seconds);
    spec.mutable_source()->mutable_modified()->set_nanos(nanos);
    ExpectInvalid(FromProto(spec).status(), "source.modified");
  }
}

TEST(Convert, ASpecsTextsAreBounded) {
  v1::WriteObjectSpec spec;
  spec.mutable_source()->set_path(std::string(4097, 'x'));
  ExpectInvalid(FromProto(spec).status(), "source.path has 4097 bytes; 4096 may be");
  spec.Clear();
  spec.set_media_type(std::string(256, 'x'));
  ExpectInvalid(FromProto(spec).status(), "media_type");
}

TEST(Convert, ADigestMustBeASha256) {
  v1::Digest digest;
  digest.set_value(std::string(32, 'x'));
  ExpectInvalid(FromProto(digest, "id").status(), "id.algorithm is 0");
  digest.set_algorithm(v1::Digest::SHA256);
  EXPECT_TRUE(FromProto(digest, "id").ok());
  for (size_t bytes : {0, 31, 33}) {
    digest.set_value(std::string(bytes, 'x'));
    ExpectInvalid(FromProto(digest, "id").status(), "id: ");
  }
}

TEST(Convert, ADecodingKeepsEverythingTheClientSaid) {
  v1::WriteObjectSpec spec;
  EXPECT_FALSE(FromProto(spec)->decoding.has_value());
  v1::Decoding* decoding = spec.mutable_decoding();
  *decoding->mutable_decoder() = ToProto(Digest::Of("decoder"));
  decoding->add_arguments("-a");
  decoding->add_arguments("");
  *decoding->mutable_original_digest() = ToProto(Digest::Of("original"));
  absl::StatusOr<PutSpec> put = FromProto(spec);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_EQ(put->decoding->decoder, Digest::Of("decoder"));
  EXPECT_EQ(put->decoding->arguments, (std::vector<std::string>{"-a", ""}));
  EXPECT_EQ(put->decoding->original_digest, Digest::Of("original"));
  EXPECT_FALSE(put->decoding->original_size.has_value());
  decoding->set_original_size(0);
  EXPECT_EQ(FromProto(spec)->decoding->original_size, 0u);
}

TEST(Convert, ADecodingNeedsItsDecoderAndWhatMustComeOut) {
  v1::WriteObjectSpec spec;
  *spec.mutable_decoding()->mutable_original_digest() = ToProto(Digest::Of("original"));
  ExpectInvalid(FromProto(spec).status(), "decoding.decoder.algorithm is 0");
  *spec.mutable_decoding()->mutable_decoder() = ToProto(Digest::Of("decoder"));
  spec.mutable_decoding()->mutable_original_digest()->mutable_value()->pop_back();
  ExpectInvalid(FromProto(spec).status(), "decoding.original_digest: ");
  spec.mutable_decoding()->clear_original_digest();
  ExpectInvalid(FromProto(spec).status(), "decoding.original_digest");
}

TEST(Convert, AVerificationTakesAThousandNames) {
  v1::VerifyObjectsRequest request;
  request.set_prefix("p");
  request.set_versions(true);
  EXPECT_EQ(FromProto(request)->prefix, "p");
  EXPECT_TRUE(FromProto(request)->versions);
  for (int i = 0; i < 1000; ++i) request.add_names("n");
  EXPECT_EQ(FromProto(request)->names.size(), 1000u);
  request.add_names("n");
  ExpectInvalid(FromProto(request).status(), "names: 1001");
}

TEST(Convert, ARegistrationRefersToItsRequest) {
  v1::RegisterDecoderRequest request;
  request.set_image("image");
  request.set_name("name");
  absl::StatusOr<RegisterSpec> spec = FromProto(request);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->image.data(), request.image().data());
  EXPECT_EQ(spec->name, "name");
  EXPECT_EQ(spec->profile, vx::Profile::kVx2026);
  EXPECT_FALSE(spec->sample.has_value());
  EXPECT_FALSE(spec->sample_digest.has_value());
  request.set_profile("vx-2026-int");
  request.set_sample("");
  request.add_sample_arguments("-a");
  *request.mutable_sample_digest() = ToProto(Digest::Of("x"));
  spec = FromProto(request);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->profile, vx::Profile::kVx2026Int);
  EXPECT_EQ(spec->sample, "");
  EXPECT_EQ(spec->arguments, std::vector<std::string>{"-a"});
  EXPECT_EQ(spec->sample_digest, Digest::Of("x"));
}

TEST(Convert, ARegistrationsProfileAndDigestMustMakeSense) {
  v1::RegisterDecoderRequest request;
  request.set_profile("vx-1993");
  EXPECT_EQ(ReasonName(FromProto(request).status()), "DECODER_REJECTED");
  request.clear_profile();
  request.mutable_sample_digest();
  ExpectInvalid(FromProto(request).status(), "sample_digest.algorithm");
}

TEST(Convert, AReadTakesPartsFormsAndPreconditions) {
  v1::ReadObjectRequest request;
  request.set_version(3);
  request.set_if_version(4);
  request.set_read_offset(5);
  request.set_form(v1::VIEW);
  request.set_view("decoded");
  absl::StatusOr<ReadSpec> spec = FromProto(request);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->version, 3u);
  EXPECT_EQ(spec->if_version, 4u);
  EXPECT_EQ(spec->offset, 5u);
  EXPECT_EQ(spec->limit, UINT64_MAX);
  EXPECT_EQ(spec->form, Form::kView);
  EXPECT_EQ(spec->view, "decoded");
  EXPECT_TRUE(spec->view_arguments.empty());
  request.add_view_arguments("--x");
  EXPECT_EQ(FromProto(request)->view_arguments, std::vector<std::string>{"--x"});
  request.set_read_limit(0);
  EXPECT_EQ(FromProto(request)->limit, 0u);
}

TEST(Convert, AReadWithAFormOrViewThatMakesNoSenseIsInvalid) {
  v1::ReadObjectRequest request;
  request.set_form(static_cast<v1::Form>(3));
  ExpectInvalid(FromProto(request).status(), "form 3");
  request.set_form(v1::STORED);
  request.set_view("decoded");
  ExpectInvalid(FromProto(request).status(), "form is not VIEW");
  request.clear_view();
  request.add_view_arguments("--x");
  ExpectInvalid(FromProto(request).status(), "form is not VIEW");
}

TEST(Convert, APageHasAThousandEntriesAtMost) {
  v1::ListObjectsRequest request;
  EXPECT_EQ(FromProto(request)->page_size, 1000u);
  request.set_page_size(1000);
  EXPECT_EQ(FromProto(request)->page_size, 1000u);
  request.set_page_size(1001);
  ExpectInvalid(FromProto(request).status(), "page_size is 1001");
}

TEST(Convert, AnObjectShowsWhatIsKnownOfIt) {
  ObjectInfo object;
  object.name = "n";
  object.version = 2;
  object.size = 10;
  object.digest = Digest::Of("x");
  object.created = absl::FromUnixNanos(1'500'000'000);
  object.decoders = {{.decoder = Digest::Of("d"), .name = "zlib", .size = 7}};
  object.views.push_back({.name = "decoded", .status = View::Status::kFailed});
  object.views[0].failure = "guest said \xff";
  object.source.path = "p\xff";
  const v1::Object proto = ToProto(object);
  EXPECT_EQ(proto.version(), 2u);
  EXPECT_EQ(proto.digest().value(), Digest::Of("x").raw());
  EXPECT_EQ(proto.create_time().seconds(), 1);
  EXPECT_EQ(proto.create_time().nanos(), 500'000'000);
  EXPECT_EQ(proto.decoders(0).name(), "zlib");
  EXPECT_EQ(proto.views(0).status(), v1::View::FAILED);
  EXPECT_FALSE(proto.views(0).has_digest());
  EXPECT_EQ(proto.views(0).failure(), "guest said \\xff");
  EXPECT_EQ(proto.source().path(), "p\xff");
}

TEST(Convert, AnObjectShowsItsDecodingAndItsLastVerification) {
  ObjectInfo object;
  object.decoding = ObjectDecoding{.decoder = Digest::Of("d"),
                                   .arguments = {"-a"},
                                   .stored_form_size = 7,
                                   .stored_form_digest = Digest::Of("s"),
                                   .cost = {.decoder_name = "zlib", .instructions = 9}};
  object.verification = Verification{
      .time = absl::FromUnixSeconds(5), .reproduced = false, .detail = "why", .agent = "who"};
  const v1::Object proto = ToProto(object);
  EXPECT_EQ(proto.decoding().decoder().value(), Digest::Of("d").raw());
  EXPECT_EQ(proto.decoding().decoder_name(), "zlib");
  EXPECT_EQ(proto.decoding().arguments(0), "-a");
  EXPECT_EQ(proto.decoding().stored_form_size(), 7u);
  EXPECT_EQ(proto.decoding().stored_form_digest().value(), Digest::Of("s").raw());
  EXPECT_EQ(proto.decoding().cost().instructions(), 9u);
  EXPECT_EQ(proto.verification().time().seconds(), 5);
  EXPECT_FALSE(proto.verification().reproduced());
  EXPECT_EQ(proto.verification().detail(), "why");
  EXPECT_EQ(proto.verification().agent(), "who");
  const v1::Object plain = ToProto(ObjectInfo());
  EXPECT_FALSE(plain.has_decoding());
  EXPECT_FALSE(plain.has_verification());
}

TEST(Convert, AVerifiedObjectCarriesItsOwnError) {
  VerifiedVersion version{.name = "n", .version = 2, .size = 5};
  EXPECT_EQ(ToProto(version).status().code(), 0);
  version.status = Error(Reason::kDataDamaged, "flipped");
  version.cost.push_back({.instructions = 3});
  const v1::VerifiedObject proto = ToProto(version);
  EXPECT_EQ(proto.name(), "n");
  EXPECT_EQ(proto.version(), 2u);
  EXPECT_EQ(proto.size(), 5u);
  EXPECT_EQ(proto.status().code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(proto.status().message(), "flipped");
  EXPECT_EQ(proto.cost(0).instructions(), 3u);
}

TEST(Convert, ADecoderThatIsBuiltInWasRegisteredByNobody) {
  DecoderInfo decoder{.id = Digest::Of("d"), .name = "zlib", .size = 7, .approved = true};
  v1::Decoder proto = ToProto(decoder);
  EXPECT_EQ(proto.id().value(), Digest::Of("d").raw());
  EXPECT_EQ(proto.origin(), v1::Decoder::BUILT_IN);
  EXPECT_EQ(proto.name(), "zlib");
  EXPECT_EQ(proto.size(), 7u);
  EXPECT_EQ(proto.profile(), "vx-2026");
  EXPECT_FALSE(proto.has_register_time());
  EXPECT_TRUE(proto.approved());
  decoder.origin = DecoderInfo::Origin::kRegistered;
  decoder.registered = absl::FromUnixSeconds(3);
  decoder.registered_by = "somebody";
  decoder.disabled = true;
  decoder.disabled_reason = "why";
  proto = ToProto(decoder);
  EXPECT_EQ(proto.origin(), v1::Decoder::REGISTERED);
  EXPECT_EQ(proto.register_time().seconds(), 3);
  EXPECT_EQ(proto.registered_by(), "somebody");
  EXPECT_TRUE(proto.disabled());
  EXPECT_EQ(proto.disabled_reason(), "why");
}

TEST(Convert, WhatADecoderSaysOfItselfIsAllHandedOn) {
  DecoderInfo decoder;
  EXPECT_FALSE(ToProto(decoder).has_note());
  DecoderNote& note = decoder.note;
  note.output = OutputType{"a/b", ".c"};
  note.parameters = {{.syntax = "--a", .output = OutputType{"d/e", ".f"}, .description = "A"},
                     {.syntax = "--b", .preview = true}};
  note.sources = {{"z", "1", "Zlib", "z.tar", Digest::Of("z"), {{"patch", Digest::Of("p")}}}};
  note.kit = "kit";
  note.compiler = "gcc";
  const v1::DecoderNote proto = ToProto(decoder).note();
  EXPECT_EQ(proto.output().media_type(), "a/b");
  EXPECT_EQ(proto.output().extension(), ".c");
  EXPECT_EQ(proto.parameters(0).syntax(), "--a");
  EXPECT_EQ(proto.parameters(0).output().media_type(), "d/e");
  EXPECT_EQ(proto.parameters(0).description(), "A");
  EXPECT_FALSE(proto.parameters(0).preview());
  EXPECT_FALSE(proto.parameters(1).has_output());
  EXPECT_TRUE(proto.parameters(1).preview());
  EXPECT_EQ(proto.sources(0).name() + proto.sources(0).version(), "z1");
  EXPECT_EQ(proto.sources(0).license() + proto.sources(0).file(), "Zlibz.tar");
  EXPECT_EQ(proto.sources(0).digest().value(), Digest::Of("z").raw());
  EXPECT_EQ(proto.sources(0).patches(0).name(), "patch");
  EXPECT_EQ(proto.sources(0).patches(0).digest().value(), Digest::Of("p").raw());
  EXPECT_EQ(proto.kit() + proto.compiler(), "kitgcc");
  ObjectInfo object;
  object.decoders = {{.decoder = Digest::Of("d"), .note = note}};
  EXPECT_EQ(ToProto(object).decoders(0).note().kit(), "kit");
}

TEST(Convert, ADeleteMarkerHasNoBytes) {
  ObjectInfo object;
  object.name = "n";
  object.version = 3;
  object.delete_marker = true;
  const v1::Object proto = ToProto(object);
  EXPECT_TRUE(proto.delete_marker());
  EXPECT_FALSE(proto.has_digest());
}

TEST(Convert, ACostsTimeIsSecondsAndNanos) {
  DecodeCost cost;
  cost.time = absl::Nanoseconds(2'000'000'003);
  EXPECT_EQ(ToProto(cost).time().seconds(), 2);
  EXPECT_EQ(ToProto(cost).time().nanos(), 3);
}

}  // namespace
}  // namespace vxa
