// What zstd.vx accepts and refuses. The frames come from the host's libzstd, an encoder that shares
// no object with the guest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zdict.h>
#include <zstd.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;
using std::string_literals::operator""s;

const std::string kGuest = "decoders/zstd/zstd";

using Parameters = std::map<ZSTD_cParameter, int>;

// One frame. `flush_every`: blocks end there too, and the header has no content size; 0: nowhere.
std::string Encode(const std::string& data, const Parameters& parameters = {},
                   size_t flush_every = 0) {
  ZSTD_CCtx* encoder = ZSTD_createCCtx();
  for (const auto& [parameter, value] : parameters) {
    EXPECT_FALSE(ZSTD_isError(ZSTD_CCtx_setParameter(encoder, parameter, value))) << parameter;
  }
  const size_t pieces = flush_every == 0 ? 0 : data.size() / flush_every;
  std::string encoded(ZSTD_compressBound(data.size()) + 16 * pieces + 100, '\0');
  ZSTD_outBuffer out = {encoded.data(), encoded.size(), 0};
  ZSTD_inBuffer in = {data.data(), 0, 0};
  for (size_t piece = 0; piece < pieces; ++piece) {
    in.size += flush_every;
    EXPECT_EQ(ZSTD_compressStream2(encoder, &out, &in, ZSTD_e_flush), 0u);
  }
  in.size = data.size();
  EXPECT_EQ(ZSTD_compressStream2(encoder, &out, &in, ZSTD_e_end), 0u);
  encoded.resize(out.pos);
  ZSTD_freeCCtx(encoder);
  return encoded;
}

std::string Skippable(const std::string& content, int variant = 0) {
  return LittleEndian(0x184D2A50 + variant) + LittleEndian(content.size()) + content;
}

// A frame of one raw block, with a window of (8 + `eighths`) * 2^(`log` - 3) bytes.
std::string FrameOfWindow(int log, int eighths = 0) {
  return "\x28\xb5\x2f\xfd\0"s + static_cast<char>((log - 10) << 3 | eighths) + "\x21\0\0data"s;
}

GuestRun Decode(const std::string& encoded) { return RunGuest(kGuest, {}, encoded); }

void ExpectDecodes(const std::string& encoded, const std::string& data) {
  decoders::ExpectDecodes(kGuest, encoded, {}, data);
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "zstd: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

TEST(ZstdDecoderTest, DecodesEveryLevel) {
  std::string data = Sample(40000);
  for (int level = -7; level <= ZSTD_maxCLevel(); ++level) {
    SCOPED_TRACE(level);
    ExpectDecodes(Encode(data, {{ZSTD_c_compressionLevel, level}}), data);
  }
}

TEST(ZstdDecoderTest, DecodesEveryStrategyAndMinimumOfMatches) {
  std::string data = Sample(20000);
  for (int strategy = ZSTD_fast; strategy <= ZSTD_btultra2; ++strategy) {
    for (int least : {3, 4, 7}) {
      SCOPED_TRACE(testing::Message() << strategy << " " << least);
      ExpectDecodes(Encode(data, {{ZSTD_c_strategy, strategy}, {ZSTD_c_minMatch, least}}), data);
    }
  }
}

TEST(ZstdDecoderTest, DecodesWithAndWithoutCheckValueAndContentSize) {
  for (size_t length : {0u, 1u, 255u, 256u, 65791u, 65792u, 200000u}) {
    std::string data = Sample(length);
    for (int checksum : {0, 1}) {
      for (int content_size : {0, 1}) {
        SCOPED_TRACE(testing::Message() << length << " " << checksum << " " << content_size);
        ExpectDecodes(
            Encode(data, {{ZSTD_c_checksumFlag, checksum}, {ZSTD_c_contentSizeFlag, content_size}}),
            data);
      }
    }
  }
}

TEST(ZstdDecoderTest, DecodesMoreThanItsWindow) {
  std::string data = Sample(300000);
  for (int log = 10; log <= 19; ++log) {
    for (int content_size : {0, 1}) {
      SCOPED_TRACE(testing::Message() << log << " " << content_size);
      ExpectDecodes(Encode(data, {{ZSTD_c_windowLog, log},
                                  {ZSTD_c_contentSizeFlag, content_size},
                                  {ZSTD_c_checksumFlag, 1}}),
                    data);
    }
  }
}

TEST(ZstdDecoderTest, DecodesMatchesFromFarAway) {
  std::string far = Sample(100000), data = far + std::string(25 << 20, '\0') + far;
  std::string encoded =
      Encode(data, {{ZSTD_c_windowLog, 25}, {ZSTD_c_enableLongDistanceMatching, 1}}, 1 << 20);
  EXPECT_LT(encoded.size(), Encode(far).size() * 3 / 2);
  ExpectDecodes(encoded, data);
}

TEST(ZstdDecoderTest, DecodesFlushedBlocksOfEveryLength) {
  std::string data = Sample(40000);
  for (size_t every : {1u, 7u, 1000u}) ExpectDecodes(Encode(data, {}, every), data);
}

TEST(ZstdDecoderTest, DecodesRawBlocksAndRuns) {
  std::string noise = Noise(400000);
  for (const std::string& data : {noise, std::string(700001, 'r'), noise + Sample(9) + noise}) {
    ExpectDecodes(Encode(data), data);
    ExpectDecodes(Encode(data, {{ZSTD_c_windowLog, 14}}, 30000), data);
  }
}

TEST(ZstdDecoderTest, FramesFollowEachOther) {
  std::string a = Sample(150000), b = Sample(33);
  ExpectDecodes(Encode(a) + Encode("") + Encode(b, {{ZSTD_c_checksumFlag, 1}}) + Encode(a, {}, 999),
                a + b + a);
}

TEST(ZstdDecoderTest, ManySmallFramesAreFine) {
  std::string encoded, data;
  for (int i = 0; i < 3000; ++i) {
    encoded += Encode(std::to_string(i));
    data += std::to_string(i);
  }
  ExpectDecodes(encoded, data);
}

TEST(ZstdDecoderTest, SkippableFramesAreSkipped) {
  std::string data = Sample(500), frame = Encode(data), all;
  for (int variant = 0; variant < 16; ++variant) all += Skippable("skipped", variant);
  ExpectDecodes(all + frame + all, data);
  ExpectDecodes(frame + Skippable("") + frame, data + data);
  for (size_t length : {131071u, 131072u, 131073u, 400000u}) {
    ExpectDecodes(frame + Skippable(frame + std::string(length, 's')) + frame, data + data);
  }
  ExpectDecodes(Skippable("alone"), "");
}

TEST(ZstdDecoderTest, WindowsOf128MiBAreTheLargest) {
  ExpectDecodes(FrameOfWindow(10), "data");
  ExpectDecodes(FrameOfWindow(26, 7), "data");
  ExpectDecodes(FrameOfWindow(27), "data");
  for (const std::string& encoded :
       {FrameOfWindow(27, 1), FrameOfWindow(28), FrameOfWindow(30), FrameOfWindow(30, 7)}) {
    ExpectRefused(encoded, "the frame needs a window of more than 128 MiB", 6);
  }
  EXPECT_THAT(Decode(FrameOfWindow(31)).diagnostics,
              MatchesRegex("zstd: Frame requires too much memory for decoding, at byte 0 .*\n"));
}

TEST(ZstdDecoderTest, MemoryIsThatOfTheLargestWindowHoweverManyThereAre) {
  // All together they have more than the 1 GiB that guests get.
  std::string encoded, data;
  for (int log = 20; log <= 26; ++log) {
    for (int eighths = 0; eighths < 8; ++eighths) {
      encoded += FrameOfWindow(log, eighths) + FrameOfWindow(10);
      data += "datadata";
    }
  }
  ExpectDecodes(encoded, data);
}

TEST(ZstdDecoderTest, AFrameThatNeedsADictionaryIsRefused) {
  ExpectRefused("\x28\xb5\x2f\xfd\x01\0\x07\x21\0\0data"s, "the frame needs a dictionary", 7);
  ExpectDecodes("\x28\xb5\x2f\xfd\x01\0\0\x21\0\0data"s, "data");
}

TEST(ZstdDecoderTest, AnEmptyInputIsNoFrame) { ExpectRefused("", "the input is empty", 0); }

TEST(ZstdDecoderTest, OtherFormatsAreRefused) {
  // The last but one: an old version's frame.
  for (std::string other :
       {"x"s, "plain text"s, "\x28\xb5\x2f\xfc"s, "\x27\xb5\x2f\xfd\0\0\0"s, "\0\0\0\0\0\0\0"s}) {
    ExpectRefused(other, "not a zstd frame", 0);
  }
}

TEST(ZstdDecoderTest, JunkAfterAFrameIsRefusedAtItsPlace) {
  std::string data = Sample(500), encoded = Encode(data);
  for (std::string junk : {"junk and more"s, "\0"s, "\n"s, "\x1f\x8b"s, "\x28\xb6"s}) {
    ExpectRefused(encoded + junk, "junk after a frame", encoded.size());
    EXPECT_TRUE(Decode(encoded + junk).output == data);
  }
}

TEST(ZstdDecoderTest, AFrameCutOffAnywhereIsRefused) {
  std::string data = Sample(1500);
  for (int checksum : {0, 1}) {
    ExpectCutOffIsRefused(kGuest, Encode(data, {{ZSTD_c_checksumFlag, checksum}}, 500), data);
  }
  ExpectCutOffIsRefused(kGuest, Skippable("skipped"), "");
}

TEST(ZstdDecoderTest, ASecondFrameCutOffAnywhereIsRefused) {
  std::string data = Sample(50), encoded = Encode(data);
  for (size_t length = 1; length < encoded.size(); ++length) {
    SCOPED_TRACE(length);
    ExpectRefused(encoded + encoded.substr(0, length), "the input ends within a frame",
                  encoded.size() + length);
  }
}

TEST(ZstdDecoderTest, WhatCameBeforeTheCutIsKept) {
  std::string data = Sample(300000), encoded = Encode(data, {{ZSTD_c_checksumFlag, 1}});
  GuestRun run = Decode(encoded.substr(0, encoded.size() - 1));
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_TRUE(run.output == data);
}

TEST(ZstdDecoderTest, NoFlippedBitGivesOtherOutputAsGood) {
  std::string data = Sample(300);
  for (int level : {1, 19}) {
    ExpectFlippedBitsAreNoticed(
        kGuest, Encode(data, {{ZSTD_c_compressionLevel, level}, {ZSTD_c_checksumFlag, 1}}), data);
  }
}

TEST(ZstdDecoderTest, NoFlippedBitWithoutACheckValueDoesWorseThanAnError) {
  ExpectFlippedBitsDoNoHarm(kGuest, Encode(Sample(300), {}, 100));
}

TEST(ZstdDecoderTest, AWrongCheckValueIsRefusedAtItsPlace) {
  std::string encoded = Encode(Sample(1000), {{ZSTD_c_checksumFlag, 1}});
  encoded.back() ^= 1;
  ExpectRefused(encoded, "Restored data doesn't match checksum", encoded.size() - 4);
}

TEST(ZstdDecoderTest, AWrongContentSizeIsRefused) {
  std::string encoded = Encode(Sample(200));  // the size is the byte after the descriptor
  for (int size : {0, 199, 201, 255}) {
    encoded[5] = static_cast<char>(size);
    GuestRun run = Decode(encoded);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u) << size;
  }
}

TEST(ZstdDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/zstd/zstd.vx"), 131072u);
}

std::string Trained(const std::string& samples) {
  std::string dictionary(4000, '\0');
  const std::vector<size_t> sizes(samples.size() / 400, 400);
  const size_t size = ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), samples.data(),
                                            sizes.data(), static_cast<unsigned>(sizes.size()));
  EXPECT_FALSE(ZDICT_isError(size)) << ZDICT_getErrorName(size);
  dictionary.resize(size);
  return dictionary;
}

std::string EncodeWith(const std::string& dictionary, const std::string& data) {
  ZSTD_CCtx* encoder = ZSTD_createCCtx();
  std::string encoded(ZSTD_compressBound(data.size()), '\0');
  const size_t size = ZSTD_compress_usingDict(encoder, encoded.data(), encoded.size(), data.data(),
                                              data.size(), dictionary.data(), dictionary.size(), 6);
  EXPECT_FALSE(ZSTD_isError(size));
  encoded.resize(size);
  ZSTD_freeCCtx(encoder);
  return encoded;
}

std::string Argument(const std::string& dictionary) {
  return "--dictionary=" + std::to_string(dictionary.size());
}

TEST(ZstdDecoderTest, TheInputMayBeginWithADictionary) {
  const std::string samples = Sample(100000), data = Sample(500000);
  for (const std::string& dictionary : {Trained(samples), samples, samples.substr(0, 5)}) {
    for (size_t length : {0, 100, 40000, 500000}) {
      const std::string part = data.substr(0, length), encoded = EncodeWith(dictionary, part);
      decoders::ExpectDecodes(kGuest, dictionary + encoded, {Argument(dictionary)}, part);
      decoders::ExpectDecodes(kGuest, dictionary + encoded + Encode(part) + encoded,
                              {Argument(dictionary)}, part + part + part);
    }
  }
  // The encoder did make use of it.
  EXPECT_LT(EncodeWith(samples, data.substr(0, 40000)).size(), 1000u);
}

TEST(ZstdDecoderTest, WithoutTheRightDictionaryNothingComesOut) {
  const std::string samples = Sample(100000), dictionary = Trained(samples);
  const std::string encoded = EncodeWith(dictionary, "data");
  const std::string other = Trained(samples.substr(30000));
  const GuestRun run = RunGuest(kGuest, {Argument(other)}, other + encoded);
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics,
              MatchesRegex("zstd: Dictionary mismatch, at byte [0-9]+ of the input\n"));
  EXPECT_EQ(run.output, "");
  ExpectRefused(encoded, "the frame needs a dictionary", 10);
  decoders::ExpectRefused(kGuest, dictionary.substr(1), {Argument(dictionary)},
                          "zstd: the input ends within the dictionary, at byte " +
                              std::to_string(dictionary.size() - 1) + " of the input\n");
  decoders::ExpectRefused(kGuest, "", {"--dictionary=134217729"},
                          "zstd: a dictionary of more than 128 MiB, at byte 0 of the input\n");
}

}  // namespace
}  // namespace vxa::decoders
