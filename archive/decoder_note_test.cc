#include "archive/decoder_note.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "archive/errors.h"
#include "archive/text.h"
#include "decoders/builtin.h"
#include "vxengine/note_text.h"

namespace vxa {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Sha(std::string_view data) { return Digest::Of(data).ToString(); }

// The syntax of each parameter.
std::vector<std::string> Syntaxes(const DecoderNote& note) {
  std::vector<std::string> all;
  for (const DecoderNote::Parameter& parameter : note.parameters) all.push_back(parameter.syntax);
  return all;
}

TEST(DecoderNote, HasWhatTheLinesSay) {
  const DecoderNote note = ParseDecoderNote(
      "output: audio/wav .wav\n"
      "parameter: --restore -> application/octet-stream .bin; the file: all of it; yes\n"
      "preview: --seconds=N; the first N seconds\n"
      "parameter: --mode=a|b-1\n"
      "source: zlib 1.2.13 (Zlib) zlib_1.2.13.dfsg.orig.tar.bz2 " +
      Sha("zlib") +
      "\n"
      "patch: CVE-1.patch " +
      Sha("1") +
      "\n"
      "patch: CVE-2.patch " +
      Sha("2") +
      "\n"
      "source: flac 1.4.2 ((MIT OR Zlib) AND BSD-3-Clause) flac.tar.xz " +
      Sha("flac") +
      "\n"
      "source: mine 0.1 (Apache-2.0)\n"
      "kit: vxa 1\n"
      "compiler: gcc 12.2.0, binutils 2.40\n");
  ASSERT_TRUE(note.output.has_value());
  EXPECT_EQ(note.output->media_type, "audio/wav");
  EXPECT_EQ(note.output->extension, ".wav");
  ASSERT_THAT(Syntaxes(note), ElementsAre("--restore", "--seconds=N", "--mode=a|b-1"));
  ASSERT_TRUE(note.parameters[0].output.has_value());
  EXPECT_EQ(note.parameters[0].output->media_type, "application/octet-stream");
  EXPECT_EQ(note.parameters[0].description, "the file: all of it; yes");
  EXPECT_FALSE(note.parameters[0].preview);
  EXPECT_FALSE(note.parameters[1].output.has_value());
  EXPECT_EQ(note.parameters[1].description, "the first N seconds");
  EXPECT_TRUE(note.parameters[1].preview);
  EXPECT_EQ(note.parameters[2].description, "");
  ASSERT_THAT(note.sources, SizeIs(3));
  EXPECT_EQ(note.sources[0].name, "zlib");
  EXPECT_EQ(note.sources[0].version, "1.2.13");
  EXPECT_EQ(note.sources[0].license, "Zlib");
  EXPECT_EQ(note.sources[0].file, "zlib_1.2.13.dfsg.orig.tar.bz2");
  EXPECT_EQ(note.sources[0].digest, Digest::Of("zlib"));
  ASSERT_THAT(note.sources[0].patches, SizeIs(2));
  EXPECT_EQ(note.sources[0].patches[1].name, "CVE-2.patch");
  EXPECT_EQ(note.sources[0].patches[1].digest, Digest::Of("2"));
  EXPECT_EQ(note.sources[1].license, "(MIT OR Zlib) AND BSD-3-Clause");
  EXPECT_THAT(note.sources[1].patches, IsEmpty());
  EXPECT_EQ(note.sources[2].license, "Apache-2.0");
  EXPECT_EQ(note.sources[2].file, "");
  EXPECT_FALSE(note.sources[2].digest.has_value());
  EXPECT_EQ(note.kit, "vxa 1");
  EXPECT_EQ(note.compiler, "gcc 12.2.0, binutils 2.40");
}

TEST(DecoderNote, LinesThatAreNotAsTheyShouldBeAreLeftOut) {
  const std::string sha = Sha("x"), z64(64, '0');
  const std::string bad[] = {
      "",
      "kit",
      "kit:vxa",
      "Kit: vxa",
      "unknown: x",
      "kit: \x1b[2J",
      "compiler: gcc\r",
      "compiler: \xc2\x9b"
      "2J",
      "compiler: \xff",
      std::string("kit: a\0b", 8),
      "compiler: " + std::string(1024, 'x'),
      "output: audio/wav",
      "output: audio .wav",
      "output: audio/wav wav",
      "output: audio/wav .",
      "output: audio/wav .a/../b",
      "output: audio/wav .wav more",
      "output: audio/a/b .wav",
      "output: /wav .wav",
      "output: audio/ .wav",
      "output: audio/wav .0123456789abcdef",
      "output: audio/" + std::string(250, 'x') + " .wav",
      "parameter: ",
      "parameter: -x; one dash",
      "parameter: --; no name",
      "parameter: --=1; no name",
      "parameter: --a=; no value",
      "parameter: --a b; what is b",
      "parameter: --a -> ; no type",
      "parameter: --a -> audio/wav; no extension",
      "parameter: --a b -> audio/wav .wav; what is b",
      "parameter: --\xc3\xbc; a letter",
      "patch: before.patch " + sha,
      "source: zlib",
      "source: zlib 1 (Zlib) z.tar",
      "source: zlib 1 (Zlib) z.tar sha256:" + z64.substr(1),
      "source: zlib 1 (Zlib) z.tar sha512:" + z64,
      "source: zlib 1 (Zlib) a/z.tar " + sha,
      "source: zlib 1 (Zlib) z tar " + sha,
      "source: zlib 1 (Zlib) z.tar",
      "source: zlib 1 (Zlib) " + sha,
      "source: zlib 1 (Zlib)z.tar " + sha,
      "source: zlib 1 Zlib z.tar " + sha,
      "source: zlib 1 () z.tar " + sha,
      "source: zlib 1 ()",
      "source: zlib 1 (Zlib) ",
      "source: zlib 1 (Zlib",
      "source: zlib 1 2 (Zlib) z.tar " + sha,
      "source: zlib (Zlib) z.tar " + sha,
      "source:  1 (Zlib) z.tar " + sha,
      "source: zlib 1 (Zlib)  " + sha,
  };
  std::string all;
  for (const std::string& line : bad) all += line + "\n";
  const DecoderNote note = ParseDecoderNote(all);
  EXPECT_FALSE(note.output.has_value()) << note.output->media_type << " " << note.output->extension;
  EXPECT_THAT(Syntaxes(note), IsEmpty());
  EXPECT_THAT(note.sources, IsEmpty());
  EXPECT_EQ(note.kit + note.compiler, "");
}

TEST(DecoderNote, APatchThatIsNotAsItShouldBeLeavesItsSource) {
  const DecoderNote note = ParseDecoderNote("source: z 1 (Zlib) z.tar " + Sha("z") +
                                            "\npatch: a b " + Sha("") + "\npatch: a\npatch: \n");
  ASSERT_THAT(note.sources, SizeIs(1));
  EXPECT_THAT(note.sources[0].patches, IsEmpty());
}

TEST(DecoderNote, PatchesGoWithTheirSource) {
  const DecoderNote note =
      ParseDecoderNote("source: z 1 (Zlib)\nsource: y\npatch: of-y " + Sha("y") + "\n");
  ASSERT_THAT(note.sources, SizeIs(1));
  EXPECT_THAT(note.sources[0].patches, IsEmpty());
}

TEST(DecoderNote, WhatIsSaidTwiceIsAsItWasSaidFirst) {
  const DecoderNote note =
      ParseDecoderNote("kit: a\nkit: b\ncompiler: a\ncompiler: b\noutput: a/a .a\noutput: b/b .b");
  EXPECT_EQ(note.kit + note.compiler + note.output->media_type, "aaa/a");
}

TEST(DecoderNote, TwoHundredAndFiftySixLinesAreRead) {
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "parameter: --a\n";
  EXPECT_THAT(ParseDecoderNote(lines).parameters, SizeIs(256));
}

TEST(CheckParameters, TakesWhatIsDeclaredOnce) {
  const DecoderNote note = ParseDecoderNote(
      "output: a/a .a\nparameter: --f -> b/b .b; f\npreview: --n=N; n\nparameter: --c=2|44; c\n"
      "parameter: --N=N|x; the letter\n");
  const auto check = [&](std::vector<std::string> present, std::vector<std::string> added) {
    const absl::StatusOr<ClaimedOutput> output = CheckParameters(note, present, added);
    if (output.ok()) return std::string("ok");
    EXPECT_EQ(ReasonName(output.status()), "INVALID_REQUEST");
    return std::string(output.status().message());
  };
  for (const std::string good :
       {"--f", "--n=1", "--n=18446744073709551615", "--c=2", "--c=44", "--N=N", "--N=x"}) {
    EXPECT_EQ(check({}, {good}), "ok") << good;
    EXPECT_EQ(check({"--other", "plain"}, {good}), "ok") << good;
  }
  EXPECT_EQ(check({"--unknown"}, {}), "ok");
  EXPECT_EQ(check({}, {"--f", "--n=7", "--c=2"}), "ok");
  for (const std::string bad : {"",
                                "f",
                                "-f",
                                "--",
                                "--f=",
                                "--f=1",
                                "--ff",
                                "--n",
                                "--n=",
                                "--n=0",
                                "--n=01",
                                "--n=-1",
                                "--n=+1",
                                "--n=1 ",
                                "--n=1x",
                                "--n=N",
                                "--n=18446744073709551616",
                                "--c",
                                "--c=",
                                "--c=4",
                                "--c=2|44",
                                "--c=2|",
                                "--c=444",
                                "--N=1",
                                "--F"}) {
    EXPECT_EQ(check({}, {bad}),
              "unknown argument " + bad + "; the decoder takes --f, --n=N, --c=2|44, --N=N|x");
  }
  EXPECT_THAT(check({}, {"--n=1", "--n=2"}), HasSubstr("repeated argument --n=2; the decoder"));
  EXPECT_THAT(check({"--c=2"}, {"--c=2"}), HasSubstr("repeated argument --c=2; the decoder"));
}

TEST(CheckParameters, TheOutputIsWhatTheParametersAndElseTheNoteSay) {
  const DecoderNote note = ParseDecoderNote(
      "output: a/a .a\nparameter: --f -> b/b .b\npreview: --p -> c/c .c\nparameter: --q\n");
  const auto type = [&](std::vector<std::string> added) {
    const ClaimedOutput output = CheckParameters(note, {}, added).value();
    return output.type->media_type + output.type->extension + (output.preview ? " preview" : "");
  };
  EXPECT_EQ(type({"--q"}), "a/a.a");
  EXPECT_EQ(type({"--f", "--q"}), "b/b.b");
  EXPECT_EQ(type({"--p", "--q"}), "c/c.c preview");
  const std::string q = "--q";
  EXPECT_FALSE(CheckParameters(ParseDecoderNote("parameter: --q"), {}, {&q, 1})->type.has_value());
}

TEST(CheckParameters, SaysSoWhereNoneAreDeclared) {
  const std::string argument = "\x1b" + std::string(1000, 'x');
  const std::string text(CheckParameters(DecoderNote(), {}, {&argument, 1}).status().message());
  EXPECT_THAT(text, HasSubstr("; the decoder declares no parameters"));
  EXPECT_THAT(text, HasSubstr("\\x1bxxx"));
  EXPECT_LT(text.size(), 200u);
}

TEST(DecoderNote, BuiltInDecodersHaveOne) {
  bool scales = false;
  for (const decoders::Builtin& builtin : decoders::Builtins()) {
    const std::string text = vx::NoteText(builtin.elf);
    const DecoderNote note = ParseDecoderNote(text);
    EXPECT_NE(note.kit, "") << Absl(builtin.name);
    EXPECT_NE(note.compiler, "") << Absl(builtin.name);
    // Every line of these is well-formed.
    size_t said = note.output.has_value() + note.parameters.size() + note.sources.size() + 2;
    for (const DecoderNote::Source& source : note.sources) said += source.patches.size();
    EXPECT_EQ(static_cast<size_t>(std::ranges::count(text, '\n')), said) << text;
    const std::vector<std::string> syntaxes = Syntaxes(note);
    scales |= builtin.name == "jpeg" && std::ranges::count(syntaxes, "--scale=2|4|8") == 1;
  }
  EXPECT_TRUE(scales);
}

}  // namespace
}  // namespace vxa
