#include "client/report.h"

#include <gtest/gtest.h>

#include "client/checksum.h"

namespace vxa::client {
namespace {

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

v1::Decoder Registered() {
  v1::Decoder decoder;
  *decoder.mutable_id() = DigestOf("xor");
  decoder.set_origin(v1::Decoder::REGISTERED);
  decoder.set_name("xor\x1b[2J");
  decoder.set_size(1234);
  decoder.set_profile("vx-2026");
  decoder.mutable_register_time()->set_seconds(0);
  decoder.mutable_register_time()->set_nanos(5);
  decoder.set_registered_by("ipv4:127.0.0.1:4711");
  return decoder;
}

// As a hostile server may send it: no server of ours lets control characters pass.
v1::DecoderNote Note() {
  v1::DecoderNote note;
  note.mutable_output()->set_media_type("audio/wav\x1b");
  note.mutable_output()->set_extension(".wav");
  v1::DecoderParameter* parameter = note.add_parameters();
  parameter->set_syntax("--png\n");
  parameter->mutable_output()->set_media_type("image/png");
  parameter->mutable_output()->set_extension(".png");
  parameter->set_description("for the web\x07");
  parameter->set_preview(true);
  note.add_parameters()->set_syntax("--float");
  v1::UpstreamSource* source = note.add_sources();
  source->set_name("zlib\x1b");
  source->set_version("1.2.13");
  source->set_license("Zlib");
  source->set_file("z.tar");
  *source->mutable_digest() = DigestOf("z.tar");
  source->add_patches()->set_name("CVE.patch\x1b");
  *source->mutable_patches(0)->mutable_digest() = DigestOf("patch");
  note.add_sources()->set_name("newlib");
  note.set_kit("vxa\u202e");
  note.set_compiler("gcc\n");
  return note;
}

v1::VerifiedObject Verified(int code, const std::string& message) {
  v1::VerifiedObject object;
  object.set_name("a\nb");
  object.set_version(code == 5 ? 0 : 3);
  object.set_size(1000);
  object.mutable_status()->set_code(code);
  object.mutable_status()->set_message(message);
  return object;
}

TEST(VerifiedLine, IsOneLineWhateverTheServerSays) {
  EXPECT_EQ(VerifiedLine(Verified(0, "")), "reproduced  a\\x0ab  version 3  1,000 bytes\n");
  EXPECT_EQ(VerifiedLine(Verified(15, "chunk 2\nis\x1b[2J gone")),
            "damaged     a\\x0ab  version 3  chunk 2\\x0ais\\x1b[2J gone\n");
  EXPECT_EQ(VerifiedLine(Verified(13, "its decoder failed")),
            "damaged     a\\x0ab  version 3  its decoder failed\n");
  EXPECT_EQ(VerifiedLine(Verified(5, "no object")), "not there   a\\x0ab  no object\n");
}

TEST(VerifySummaryLine, SaysInWordsWhatBecameOfAll) {
  v1::VerifySummary summary;
  EXPECT_EQ(VerifySummaryLine(summary, 0),
            "0 versions verified, 0 bytes reproduced, nothing damaged\n");
  summary.set_objects(1);
  summary.set_bytes(1536);
  EXPECT_EQ(VerifySummaryLine(summary, 0),
            "1 version verified, 1.5 KiB reproduced, nothing damaged\n");
  summary.set_objects(2000);
  summary.set_damaged(3);
  EXPECT_EQ(VerifySummaryLine(summary, 1),
            "2,000 versions verified, 1.5 KiB reproduced, 3 damaged, 1 name not there\n");
}

TEST(DecoderLine, TellsWhereADecoderComesFrom) {
  EXPECT_EQ(DecoderLine(Registered()),
            DigestText(DigestOf("xor")) +
                "  xor\\x1b[2J  registered 1970-01-01T00:00:00Z by ipv4:127.0.0.1:4711");
  v1::Decoder old;
  *old.mutable_id() = DigestOf("old");
  old.set_origin(v1::Decoder::BUILT_IN);
  old.set_disabled(true);
  EXPECT_EQ(DecoderLine(old), DigestText(DigestOf("old")) + "  -  built in, disabled");
}

TEST(DecoderListing, IsATableOfWhatTheOperatorAndOthersSay) {
  v1::Decoder built_in;
  *built_in.mutable_id() = DigestOf("zlib");
  built_in.set_origin(v1::Decoder::BUILT_IN);
  built_in.set_name("zlib");
  built_in.set_size(34652);
  built_in.set_approved(true);
  *built_in.mutable_note() = Note();
  v1::Decoder disabled = Registered();
  disabled.set_approved(true);
  disabled.set_disabled(true);
  EXPECT_EQ(
      DecoderListing({built_in, Registered(), disabled}),
      "  SIZE  NAME        ORIGIN      STATE     SINCE                 BY                   ID" +
          std::string(71, ' ') +
          "OUTPUT         SOURCES\n"
          "34,652  zlib        built in    approved  -                     -                    " +
          DigestText(DigestOf("zlib")) +
          "  audio/wav\\x1b  zlib\\x1b 1.2.13 (Zlib), newlib  ()\n"
          " 1,234  xor\\x1b[2J  registered  -         1970-01-01T00:00:00Z  ipv4:127.0.0.1:4711  " +
          DigestText(DigestOf("xor")) +
          "  -              -\n"
          " 1,234  xor\\x1b[2J  registered  disabled  1970-01-01T00:00:00Z  ipv4:127.0.0.1:4711  " +
          DigestText(DigestOf("xor")) + "  -              -\n");
}

TEST(DecoderReport, SaysWhyADecoderIsDisabled) {
  v1::Decoder decoder = Registered();
  decoder.set_disabled(true);
  decoder.set_disabled_reason("too slow\n");
  const std::string report = DecoderReport(decoder, {});
  EXPECT_TRUE(Has(report, "too slow\\x0a\n")) << report;
  EXPECT_TRUE(Has(report, "vx-2026\n")) << report;
  EXPECT_TRUE(Has(report, "1,234 bytes\n")) << report;
  EXPECT_TRUE(Has(report, "127.0.0.1:4711")) << report;
}

TEST(DecoderReport, TellsWhatADecoderSaysOfItself) {
  v1::Decoder decoder = Registered();
  EXPECT_FALSE(Has(DecoderReport(decoder, {}), "note"));
  *decoder.mutable_note() = Note();
  const std::string report = DecoderReport(decoder, {{DigestOf("patch").value(), "x/patch\x1b"}});
  EXPECT_TRUE(Has(report,
                  "output     audio/wav\\x1b .wav\n"
                  "preview    --png\\x0a -> image/png .png: for the web\\x07\n"
                  "parameter  --float\n"
                  "source     zlib\\x1b 1.2.13, licence Zlib\n"
                  "           z.tar, " +
                      DigestText(DigestOf("z.tar")) +
                      "\n"
                      "           patch CVE.patch\\x1b, " +
                      DigestText(DigestOf("patch")) + ", archived as x/patch\\x1b\n"))
      << report;
  EXPECT_TRUE(Has(report, "kit        vxa\\xe2\\x80\\xae\ncompiler   gcc\\x0a\n")) << report;
}

TEST(StatReport, TellsInOneLineWhatADecoderSaysOfItself) {
  v1::Object object;
  v1::DecoderUse* use = object.add_decoders();
  EXPECT_FALSE(Has(StatReport(object), "note")) << StatReport(object);
  *use->mutable_note() = Note();
  EXPECT_TRUE(Has(StatReport(object),
                  "by its note it gives audio/wav\\x1b and is made of zlib\\x1b 1.2.13, newlib \n"))
      << StatReport(object);
}

TEST(StatReport, TellsHowAnOriginalIsMadeAndWhenItLastWas) {
  v1::Object object;
  v1::ObjectDecoding* decoding = object.mutable_decoding();
  *decoding->mutable_decoder() = DigestOf("xor");
  decoding->add_arguments("--key");
  decoding->add_arguments("U\x1b");
  decoding->set_stored_form_size(1000);
  *decoding->mutable_stored_form_digest() = DigestOf("stored");
  decoding->mutable_cost()->set_instructions(4'000'000);
  object.mutable_verification()->mutable_time()->set_seconds(60);
  object.mutable_verification()->set_agent("ipv4:10.0.0.1:99");
  object.mutable_verification()->set_detail("chunk 1 is damaged");
  const std::string damaged = StatReport(object);
  EXPECT_TRUE(Has(damaged, "decoding   by " + DigestText(DigestOf("xor")) + " --key U\\x1b\n"))
      << damaged;
  EXPECT_TRUE(Has(damaged, "from 1,000 bytes, " + DigestText(DigestOf("stored")) + "\n"))
      << damaged;
  EXPECT_TRUE(Has(damaged, "4,000,000 instructions")) << damaged;
  EXPECT_TRUE(Has(damaged, "verified   1970-01-01T00:01:00Z for ipv4:10.0.0.1:99: damaged\n"))
      << damaged;
  EXPECT_TRUE(Has(damaged, "chunk 1 is damaged\n")) << damaged;
  object.mutable_verification()->set_reproduced(true);
  EXPECT_TRUE(Has(StatReport(object), ": reproduced\n")) << StatReport(object);
}

TEST(StatReport, HasNoWordOnWhatNeverWas) {
  const std::string report = StatReport(v1::Object());
  EXPECT_FALSE(Has(report, "decoding")) << report;
  EXPECT_FALSE(Has(report, "verified")) << report;
}

}  // namespace
}  // namespace vxa::client
