// What lz4.vx accepts and refuses. The frames come from the host's liblz4, an encoder that shares
// no object with the guest.
// For encoding with dictionaries.
#define LZ4F_STATIC_LINKING_ONLY
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lz4.h>
#include <lz4frame.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;
using std::string_literals::operator""s;

const std::string kGuest = "decoders/lz4/lz4";

// A frame whose blocks end after every `piece` bytes, if that isn't 0, and where they are full.
std::string Encode(const std::string& data, LZ4F_preferences_t preferences = {}, size_t piece = 0) {
  preferences.autoFlush = 1;
  LZ4F_cctx* encoder = nullptr;
  EXPECT_FALSE(LZ4F_isError(LZ4F_createCompressionContext(&encoder, LZ4F_VERSION)));
  if (piece == 0) piece = data.size();
  std::string encoded(LZ4F_compressBound(piece, &preferences) + 100, '\0'), result;
  auto append = [&](size_t length) {
    ASSERT_FALSE(LZ4F_isError(length)) << LZ4F_getErrorName(length);
    result.append(encoded, 0, length);
  };
  append(LZ4F_compressBegin(encoder, encoded.data(), encoded.size(), &preferences));
  for (size_t at = 0; at < data.size(); at += piece) {
    append(LZ4F_compressUpdate(encoder, encoded.data(), encoded.size(), data.data() + at,
                               std::min(piece, data.size() - at), nullptr));
  }
  append(LZ4F_compressEnd(encoder, encoded.data(), encoded.size(), nullptr));
  LZ4F_freeCompressionContext(encoder);
  return result;
}

// With every check value that there is.
std::string Checked(const std::string& data, size_t piece = 0) {
  return Encode(data,
                {.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled,
                               .contentSize = data.size(),
                               .blockChecksumFlag = LZ4F_blockChecksumEnabled}},
                piece);
}

std::string Skippable(const std::string& content, int variant = 0) {
  return LittleEndian(LZ4F_MAGIC_SKIPPABLE_START + variant) + LittleEndian(content.size()) +
         content;
}

// As the encoder before 1.4 made it, of blocks of 8 MiB.
std::string Legacy(const std::string& data) {
  constexpr size_t kBlock = 8 << 20;
  std::string result = LittleEndian(0x184C2102), encoded(LZ4_compressBound(kBlock), '\0');
  for (size_t at = 0; at < data.size(); at += kBlock) {
    const int length = LZ4_compress_default(data.data() + at, encoded.data(),
                                            static_cast<int>(std::min(kBlock, data.size() - at)),
                                            static_cast<int>(encoded.size()));
    result += LittleEndian(length) + encoded.substr(0, length);
  }
  return result;
}

GuestRun Decode(const std::string& encoded) { return RunGuest(kGuest, {}, encoded); }

void ExpectDecodes(const std::string& encoded, const std::string& data) {
  decoders::ExpectDecodes(kGuest, encoded, {}, data);
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "lz4: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

TEST(Lz4DecoderTest, DecodesEveryKindOfFrame) {
  std::string data = Sample(700000);
  for (auto size : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
    for (auto mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
      for (auto block_check : {LZ4F_noBlockChecksum, LZ4F_blockChecksumEnabled}) {
        for (auto check : {LZ4F_noContentChecksum, LZ4F_contentChecksumEnabled}) {
          for (size_t content_size : {size_t{0}, data.size()}) {
            SCOPED_TRACE(testing::Message()
                         << size << mode << block_check << check << content_size);
            const LZ4F_preferences_t preferences = {
                .frameInfo = {.blockSizeID = size,
                              .blockMode = mode,
                              .contentChecksumFlag = check,
                              .contentSize = content_size,
                              .blockChecksumFlag = block_check}};
            ExpectDecodes(Encode(data, preferences), data);
          }
        }
      }
    }
  }
}

TEST(Lz4DecoderTest, DecodesEveryLevel) {
  std::string data = Sample(200000);
  for (int level = -5; level <= 12; ++level) {
    SCOPED_TRACE(level);
    ExpectDecodes(Encode(data, {.compressionLevel = level}), data);
  }
}

TEST(Lz4DecoderTest, DecodesLinkedBlocksOfEveryLength) {
  std::string data = Sample(900000);
  for (auto size : {LZ4F_max64KB, LZ4F_max4MB}) {
    for (size_t piece : {5000u, 65535u, 65536u, 65537u, 100000u, 262143u, 300000u}) {
      SCOPED_TRACE(testing::Message() << size << " " << piece);
      ExpectDecodes(Encode(data, {.frameInfo = {.blockSizeID = size}}, piece), data);
    }
  }
  ExpectDecodes(Encode(data.substr(0, 300), {}, 1), data.substr(0, 300));
}

TEST(Lz4DecoderTest, DecodesTheLargestBlocksThoughLinked) {
  // Blocks of 4 MiB after some that leave no more room than for one, and less in between.
  std::string part = Sample(100000), data;
  while (data.size() < (18 << 20)) data += part;
  const LZ4F_preferences_t preferences = {.frameInfo = {.blockSizeID = LZ4F_max4MB}};
  ExpectDecodes(Encode(data, preferences), data);
  ExpectDecodes(Encode(data, preferences, 4100000), data);
}

TEST(Lz4DecoderTest, DecodesWhatDoesNotCompress) {
  std::string noise = Noise(300000), data = noise + Sample(100000) + noise;
  for (auto mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
    for (auto check : {LZ4F_noBlockChecksum, LZ4F_blockChecksumEnabled}) {
      for (auto size : {LZ4F_max64KB, LZ4F_max4MB}) {
        const LZ4F_preferences_t preferences = {
            .frameInfo = {.blockSizeID = size, .blockMode = mode, .blockChecksumFlag = check}};
        ExpectDecodes(Encode(noise, preferences), noise);
        ExpectDecodes(Encode(data, preferences, 50000), data);
      }
    }
  }
}

TEST(Lz4DecoderTest, DecodesLongRuns) {
  std::string data(3000001, '\0');
  ExpectDecodes(Encode(data), data);
  ExpectDecodes(Checked(data), data);
  ExpectDecodes(Legacy(data), data);
}

TEST(Lz4DecoderTest, DecodesNothing) {
  ExpectDecodes(Encode(""), "");
  ExpectDecodes(Checked(""), "");
  ExpectDecodes(Legacy(""), "");
}

TEST(Lz4DecoderTest, FramesFollowEachOther) {
  std::string a = Sample(150000), b = Sample(33);
  ExpectDecodes(Encode(a) + Checked("") + Checked(b) + Encode(a, {}, 999), a + b + a);
}

TEST(Lz4DecoderTest, ManySmallFramesAreFine) {
  std::string encoded, data;
  for (int i = 0; i < 3000; ++i) {
    encoded += i % 2 == 0 ? Encode(std::to_string(i)) : Checked(std::to_string(i));
    data += std::to_string(i);
  }
  ExpectDecodes(encoded, data);
}

TEST(Lz4DecoderTest, SkippableFramesAreSkipped) {
  std::string data = Sample(500), frame = Encode(data), all;
  for (int variant = 0; variant < 16; ++variant) all += Skippable("skipped", variant);
  ExpectDecodes(all + frame + all, data);
  for (size_t length : {0u, 1u, 2u, 3u, 4u, 65536u, 400000u, 9000000u}) {
    ExpectDecodes(frame + Skippable(std::string(length, 's')) + frame, data + data);
    ExpectDecodes(Skippable(std::string(length, 's')), "");
  }
}

TEST(Lz4DecoderTest, LegacyFramesMayStandAmongOthers) {
  std::string data = Sample(500), noise = Noise(70000), large;
  ExpectDecodes(Legacy(data) + Legacy(noise) + Encode(data) + Legacy(data) + Skippable("skipped"),
                data + noise + data + data);
  while (large.size() < (17 << 20)) large += noise + data;
  ExpectDecodes(Legacy(large), large);
}

TEST(Lz4DecoderTest, DamagedLegacyFramesAreRefused) {
  std::string data = Sample(500), encoded = Legacy(data);
  ExpectRefused(encoded + "\0\0\0\0"s, "damaged data", encoded.size() + 4);
  ExpectRefused(encoded + "junk", "junk after a frame", encoded.size());
  encoded.back() = '\0';
  encoded[4] -= 3;
  EXPECT_EQ(Decode(encoded).exit_status, 1u);
  // Ends nowhere but between blocks.
  encoded = Legacy(data);
  for (size_t length = 5; length < encoded.size(); ++length) {
    ExpectRefused(encoded.substr(0, length), "the input ends within a frame", length);
  }
  ExpectFlippedBitsDoNoHarm(kGuest, encoded);
}

TEST(Lz4DecoderTest, AFrameThatNeedsADictionaryIsRefused) {
  ExpectRefused(Encode("data", {.frameInfo = {.dictID = 7}}), "the frame needs a dictionary", 7);
}

TEST(Lz4DecoderTest, AnEmptyInputIsNoFrame) { ExpectRefused("", "the input is empty", 0); }

TEST(Lz4DecoderTest, OtherFormatsAreRefused) {
  for (std::string other :
       {"plain text"s, "\x04\x22\x4d\x19"s, "\0\0\0\0"s, "\x28\xb5\x2f\xfd\0"s}) {
    ExpectRefused(other, "not an lz4 frame", 0);
  }
}

TEST(Lz4DecoderTest, JunkAfterAFrameIsRefusedAtItsPlace) {
  std::string data = Sample(500);
  for (const std::string& encoded : {Encode(data), Checked(data), Skippable("") + Encode(data)}) {
    for (std::string junk : {"junk"s, "\0\0\0\0\0"s, "\x04\x22\x4d\x19 and more"s}) {
      ExpectRefused(encoded + junk, "junk after a frame", encoded.size());
      EXPECT_TRUE(Decode(encoded + junk).output == data);
    }
    ExpectRefused(encoded + "x", "the input ends within a frame", encoded.size() + 1);
  }
}

TEST(Lz4DecoderTest, AFrameCutOffAnywhereIsRefused) {
  std::string data = Sample(1000);
  ExpectCutOffIsRefused(kGuest, Encode(data, {}, 300), data);
  ExpectCutOffIsRefused(kGuest, Checked(data, 300), data);
  ExpectCutOffIsRefused(kGuest, Skippable("skipped"), "");
}

TEST(Lz4DecoderTest, ASecondFrameCutOffAnywhereIsRefused) {
  std::string data = Sample(50), encoded = Checked(data);
  for (size_t length = 1; length < encoded.size(); ++length) {
    SCOPED_TRACE(length);
    ExpectRefused(encoded + encoded.substr(0, length), "the input ends within a frame",
                  encoded.size() + length);
  }
}

TEST(Lz4DecoderTest, WhatCameBeforeTheCutIsKept) {
  std::string data = Sample(300000), encoded = Checked(data);
  GuestRun run = Decode(encoded.substr(0, encoded.size() - 1));
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_TRUE(run.output == data);
}

TEST(Lz4DecoderTest, NoFlippedBitGivesOtherOutputAsGood) {
  std::string data = Sample(300);
  ExpectFlippedBitsAreNoticed(kGuest, Checked(data, 200), data);
}

TEST(Lz4DecoderTest, NoFlippedBitWithoutACheckValueDoesWorseThanAnError) {
  ExpectFlippedBitsDoNoHarm(kGuest, Encode(Sample(300), {}, 200));
}

TEST(Lz4DecoderTest, WrongCheckValuesAreRefusedAtTheirPlace) {
  std::string encoded = Checked(Sample(1000));
  std::string content = encoded, block = encoded, header = encoded;
  content.back() ^= 1;
  ExpectRefused(content, "ERROR_contentChecksum_invalid", encoded.size() - 4);
  block[encoded.size() - 9] ^= 1;
  EXPECT_THAT(Decode(block).diagnostics, MatchesRegex("lz4: ERROR_blockChecksum_invalid, .*\n"));
  header[14] ^= 1;
  EXPECT_THAT(Decode(header).diagnostics, MatchesRegex("lz4: ERROR_headerChecksum_invalid, .*\n"));
}

TEST(Lz4DecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/lz4/lz4.vx"), 65536u);
}

std::string EncodeWith(const std::string& dictionary, const std::string& data,
                       const LZ4F_preferences_t& preferences) {
  LZ4F_cctx* encoder = nullptr;
  EXPECT_FALSE(LZ4F_isError(LZ4F_createCompressionContext(&encoder, LZ4F_VERSION)));
  LZ4F_CDict* prepared = LZ4F_createCDict(dictionary.data(), dictionary.size());
  std::string encoded(LZ4F_compressFrameBound(data.size(), &preferences), '\0');
  const size_t size = LZ4F_compressFrame_usingCDict(
      encoder, encoded.data(), encoded.size(), data.data(), data.size(), prepared, &preferences);
  EXPECT_FALSE(LZ4F_isError(size));
  encoded.resize(size);
  LZ4F_freeCDict(prepared);
  LZ4F_freeCompressionContext(encoder);
  return encoded;
}

TEST(Lz4DecoderTest, TheInputMayBeginWithADictionary) {
  const std::string data = Sample(3000000);
  for (size_t length : {5, 3000, 65536, 200000}) {
    const std::string dictionary = Sample(length);
    for (LZ4F_blockMode_t mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
      for (unsigned id : {0, 7}) {
        std::string encoded, all;
        for (size_t size : {0, 100, 50000, 3000000, 1000}) {
          all += data.substr(0, size);
          encoded += EncodeWith(dictionary, data.substr(0, size),
                                {.frameInfo = {.blockMode = mode, .dictID = id}});
        }
        SCOPED_TRACE(testing::Message() << length << " " << mode << " " << id);
        decoders::ExpectDecodes(kGuest, dictionary + encoded,
                                {"--dictionary=" + std::to_string(length)}, all);
      }
    }
  }
  // The encoder did make use of it.
  EXPECT_LT(EncodeWith(data.substr(0, 30000), data.substr(0, 30000), {}).size(), 1000u);
  decoders::ExpectRefused(kGuest, "short", {"--dictionary=6"},
                          "lz4: the input ends within the dictionary, at byte 5 of the input\n");
}

}  // namespace
}  // namespace vxa::decoders
