// What brotli.vx accepts and refuses. The streams come from the host's libbrotli, an encoder that
// shares no object with the guest.
#include <brotli/encode.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using std::string_literals::operator""s;

const std::string kGuest = "decoders/brotli/brotli";

using Parameters = std::map<BrotliEncoderParameter, uint32_t>;

void Feed(BrotliEncoderState* encoder, BrotliEncoderOperation operation, std::string_view data,
          std::string& encoded) {
  const auto* next = reinterpret_cast<const uint8_t*>(data.data());
  size_t left = data.size();
  std::string output(100000, '\0');
  do {
    auto* next_output = reinterpret_cast<uint8_t*>(output.data());
    size_t room = output.size();
    ASSERT_TRUE(BrotliEncoderCompressStream(encoder, operation, &left, &next, &room, &next_output,
                                            nullptr));
    encoded.append(output, 0, output.size() - room);
  } while (left != 0 || BrotliEncoderHasMoreOutput(encoder));
}

// With `metadata` after every `piece` bytes, at which blocks end, if `piece` isn't 0.
std::string Encode(const std::string& data, const Parameters& parameters = {}, size_t piece = 0,
                   const std::string& metadata = "") {
  BrotliEncoderState* encoder = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
  for (const auto& [parameter, value] : parameters) {
    EXPECT_TRUE(BrotliEncoderSetParameter(encoder, parameter, value)) << parameter;
  }
  std::string encoded;
  std::string_view left = data;
  for (; piece != 0 && left.size() > piece; left.remove_prefix(piece)) {
    Feed(encoder, BROTLI_OPERATION_PROCESS, left.substr(0, piece), encoded);
    Feed(encoder, BROTLI_OPERATION_FLUSH, "", encoded);
    if (!metadata.empty()) Feed(encoder, BROTLI_OPERATION_EMIT_METADATA, metadata, encoded);
  }
  Feed(encoder, BROTLI_OPERATION_FINISH, left, encoded);
  BrotliEncoderDestroyInstance(encoder);
  return encoded;
}

GuestRun Decode(const std::string& encoded) { return RunGuest(kGuest, {}, encoded); }

void ExpectDecodes(const std::string& encoded, const std::string& data) {
  decoders::ExpectDecodes(kGuest, encoded, {}, data);
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "brotli: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

TEST(BrotliDecoderTest, DecodesEveryQualityAndMode) {
  std::string data = Sample(30000);
  for (uint32_t quality = 0; quality <= 11; ++quality) {
    for (uint32_t mode : {BROTLI_MODE_GENERIC, BROTLI_MODE_TEXT, BROTLI_MODE_FONT}) {
      SCOPED_TRACE(testing::Message() << quality << " " << mode);
      ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, quality}, {BROTLI_PARAM_MODE, mode}}),
                    data);
    }
  }
}

TEST(BrotliDecoderTest, DecodesEveryWindow) {
  std::string data = Sample(100000);
  for (uint32_t log = BROTLI_MIN_WINDOW_BITS; log <= BROTLI_MAX_WINDOW_BITS; ++log) {
    for (uint32_t quality : {1, 5}) {
      SCOPED_TRACE(testing::Message() << log << " " << quality);
      ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, quality}, {BROTLI_PARAM_LGWIN, log}}),
                    data);
    }
  }
}

TEST(BrotliDecoderTest, DecodesEveryCodeOfDistances) {
  std::string data = Sample(10000);
  for (uint32_t postfix = 0; postfix <= 3; ++postfix) {
    for (uint32_t direct = 0; direct <= 15; ++direct) {
      SCOPED_TRACE(testing::Message() << postfix << " " << direct);
      ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, 9},
                                  {BROTLI_PARAM_NPOSTFIX, postfix},
                                  {BROTLI_PARAM_NDIRECT, direct << postfix}}),
                    data);
    }
  }
}

TEST(BrotliDecoderTest, DecodesWordsOfTheDictionary) {
  std::string data = "The following information about International Development. Department, ";
  for (int i = 0; i < 300; ++i) {
    for (const char* word : {"government", "Different ", " THE ", "of the university", "ing\n",
                             "january", "<a href=\"", "https://www.", " however,"}) {
      data += word;
      data += std::to_string(i * i);
    }
  }
  for (uint32_t quality : {5, 9, 11}) {
    ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, quality}}), data);
  }
  // Far less than the words themselves take.
  std::string words = "government university information development";
  EXPECT_LT(Encode(words).size(), words.size() * 2 / 3);
  ExpectDecodes(Encode(words), words);
}

TEST(BrotliDecoderTest, DecodesMoreThanItsWindow) {
  std::string sample = Sample(900000);
  for (const std::string& data : {sample, std::string(3000001, 'r')}) {
    for (uint32_t log : {10, 16, 18}) {
      ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, 4}, {BROTLI_PARAM_LGWIN, log}}), data);
    }
  }
}

TEST(BrotliDecoderTest, DecodesMatchesFromFarAway) {
  std::string far = Sample(3000), data = far + std::string(15 << 20, '\0') + far;
  ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, 3}, {BROTLI_PARAM_LGWIN, 24}}), data);
}

TEST(BrotliDecoderTest, DecodesWhatDoesNotCompress) {
  for (const std::string& data : {Noise(200000), Noise(1), Sample(1000) + Noise(70000)}) {
    for (uint32_t quality : {0, 1, 5}) {
      ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, quality}}), data);
    }
  }
}

TEST(BrotliDecoderTest, DecodesBlocksOfEveryLengthAndSkipsMetadata) {
  for (size_t piece : {1u, 100u, 7000u}) {
    std::string data = Sample(40 * piece);
    // Not one byte: that the encoder gets wrong.
    for (const std::string& metadata : {""s, "me"s, "metadata"s, Noise(70000)}) {
      if (piece > 1 || metadata.size() < 10) {
        ExpectDecodes(Encode(data, {{BROTLI_PARAM_QUALITY, 5}}, piece, metadata), data);
      }
    }
  }
}

TEST(BrotliDecoderTest, DecodesNothing) {
  ExpectDecodes(Encode(""), "");
  ExpectDecodes("\x06", "");
  ExpectDecodes("\x3b", "");
}

TEST(BrotliDecoderTest, LargeWindowsAreRefused) {
  std::string encoded =
      Encode(Sample(100), {{BROTLI_PARAM_LARGE_WINDOW, 1}, {BROTLI_PARAM_LGWIN, 26}});
  ExpectRefused(encoded, "WINDOW_BITS", 1);
}

TEST(BrotliDecoderTest, AnEmptyInputIsNoStream) { ExpectRefused("", "the input is empty", 0); }

TEST(BrotliDecoderTest, JunkAfterTheStreamIsRefusedAtItsPlace) {
  std::string data = Sample(500), encoded = Encode(data);
  for (const std::string& junk : {"junk"s, "\0"s, "\n"s, encoded, "\x06"s, Noise(100000)}) {
    ExpectRefused(encoded + junk, "junk after the stream", encoded.size());
    EXPECT_TRUE(Decode(encoded + junk).output == data);
  }
  // The input buffer ends where the stream does.
  std::string noise = Noise(65540);
  while (Encode(noise, {{BROTLI_PARAM_QUALITY, 0}}).size() > 65536) noise.pop_back();
  encoded = Encode(noise, {{BROTLI_PARAM_QUALITY, 0}});
  EXPECT_EQ(encoded.size(), 65536u);
  ExpectDecodes(encoded, noise);
  ExpectRefused(encoded + "x", "junk after the stream", 65536);
}

TEST(BrotliDecoderTest, BitsAfterTheStreamAreZeros) {
  ExpectDecodes("\x06", "");
  ExpectRefused("\x46 and more", "PADDING_2", 1);
}

TEST(BrotliDecoderTest, AStreamCutOffAnywhereIsRefused) {
  std::string data = Sample(300);
  for (uint32_t quality : {0, 1, 5, 11}) {
    ExpectCutOffIsRefused(kGuest, Encode(data, {{BROTLI_PARAM_QUALITY, quality}}, 100, "meta"),
                          data);
  }
}

TEST(BrotliDecoderTest, WhatCameBeforeTheCutIsKept) {
  std::string data = Sample(300000), encoded = Encode(data, {{BROTLI_PARAM_QUALITY, 5}}, 100000);
  GuestRun run = Decode(encoded.substr(0, encoded.size() - 1));
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_GE(run.output.size(), 200000u);
  EXPECT_TRUE(run.output == data.substr(0, run.output.size()));
}

// The format has no check value: other output is possible, a trap is not.
TEST(BrotliDecoderTest, NoFlippedBitDoesWorseThanAnError) {
  for (uint32_t quality : {1, 11}) {
    ExpectFlippedBitsDoNoHarm(kGuest, Encode(Sample(100), {{BROTLI_PARAM_QUALITY, quality}}));
  }
}

TEST(BrotliDecoderTest, OtherInputDoesNoWorseThanAnError) {
  for (int seed = 0; seed < 300; ++seed) {
    GuestRun run = Decode(static_cast<char>(seed) + Noise(1000 + seed).substr(seed));
    EXPECT_EQ(run.failure, "") << seed;
    EXPECT_LE(run.exit_status, 1u) << seed;
  }
}

TEST(BrotliDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/brotli/brotli.vx"), 196608u);
}

}  // namespace
}  // namespace vxa::decoders
