// What bzip2.vx accepts and refuses. The streams come from the host's libbz2, an encoder that
// shares no object with the guest.
#include <bzlib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;
using std::string_literals::operator""s;

const std::string kGuest = "decoders/bzip2/bzip2";

constexpr size_t kOutputBuffer = 1 << 18;  // of the driver

// Blocks of `level` * 100,000 bytes.
std::string Encode(std::string data, int level = 9) {
  std::string encoded(data.size() + data.size() / 100 + 600, '\0');  // as bzlib.h's manual says
  auto length = static_cast<unsigned>(encoded.size());
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(encoded.data(), &length, data.data(),
                                     static_cast<unsigned>(data.size()), level, 0, 0),
            BZ_OK);
  encoded.resize(length);
  return encoded;
}

GuestRun Decode(const std::string& encoded) { return RunGuest(kGuest, {}, encoded); }

void ExpectDecodes(const std::string& encoded, const std::string& data) {
  decoders::ExpectDecodes(kGuest, encoded, {}, data);
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "bzip2: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

TEST(Bzip2DecoderTest, DecodesEveryBlockSize) {
  std::string data = Sample(230000);
  for (int level = 1; level <= 9; ++level) {
    SCOPED_TRACE(level);
    ExpectDecodes(Encode(data, level), data);
  }
}

TEST(Bzip2DecoderTest, DecodesSeveralOfTheLargestBlocks) {
  std::string data = Sample(1900000);
  ExpectDecodes(Encode(data), data);
}

TEST(Bzip2DecoderTest, DecodesRunsOfEveryLength) {
  // Runs of 4 to 259 equal bytes become 4 and a count.
  std::string data;
  for (int length = 1; length <= 600; ++length) {
    data.append(length, static_cast<char>('a' + length % 3));
  }
  ExpectDecodes(Encode(data), data);
  for (int length : {1, 3, 4, 5, 258, 259, 260, 263, 264}) {
    ExpectDecodes(Encode(std::string(length, 'x')), std::string(length, 'x'));
  }
}

TEST(Bzip2DecoderTest, DecodesLongRunsAcrossFullBuffers) {
  std::string data(3000001, '\0');
  for (int level : {1, 9}) ExpectDecodes(Encode(data, level), data);
}

TEST(Bzip2DecoderTest, DecodesEveryByteAlone) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string data(1, static_cast<char>(byte));
    ExpectDecodes(Encode(data), data);
  }
}

TEST(Bzip2DecoderTest, DecodesOutputThatJustFillsItsBuffer) {
  for (size_t length : {kOutputBuffer - 1, kOutputBuffer, kOutputBuffer + 1}) {
    std::string data = Sample(length);
    ExpectDecodes(Encode(data), data);
    ExpectDecodes(Encode(data) + Encode("more"), data + "more");
  }
}

TEST(Bzip2DecoderTest, DecodesNothing) {
  for (int level = 1; level <= 9; ++level) ExpectDecodes(Encode("", level), "");
}

// The `count` bits of `bytes` from bit `at` on, the most significant bit of a byte first.
uint64_t Bits(const std::string& bytes, size_t at, int count) {
  uint64_t bits = 0;
  for (size_t i = at; i < at + count; ++i) bits = bits << 1 | (bytes[i / 8] >> (7 - i % 8) & 1);
  return bits;
}

void SetBits(std::string& bytes, size_t at, int count, uint64_t bits) {
  for (int i = 0; i < count; ++i) {
    if (Bits(bytes, at + i, 1) != (bits >> (count - 1 - i) & 1)) {
      bytes = FlipBit(bytes, (at + i) / 8 * 8 + 7 - (at + i) % 8);
    }
  }
}

TEST(Bzip2DecoderTest, DecodesTheRandomisedBlocksOfOldEncoders) {
  // Up to 0.9.0, bzip2 inverted the lowest bit of some bytes of a block that was slow to sort:
  // first of byte 617. With so little redundance, no runs, that is a byte of the data.
  constexpr size_t kCrc = 80, kRandomised = 112, kInverted = 617;
  std::string data;
  for (int i = 0; i < 700; ++i) data += static_cast<char>('a' + i * i % 23);
  std::string inverted = data;
  inverted[kInverted] ^= 1;
  std::string encoded = Encode(inverted);
  SetBits(encoded, kRandomised, 1, 1);
  const uint64_t crc = Bits(Encode(data), kCrc, 32);
  SetBits(encoded, kCrc, 32, crc);
  size_t end = encoded.size() * 8 - 80;  // of the block: its magic, the CRC, at most 7 bits
  while (Bits(encoded, end, 48) != 0x177245385090) --end;
  SetBits(encoded, end + 48, 32, crc);
  ExpectDecodes(encoded, data);
}

TEST(Bzip2DecoderTest, StreamsFollowEachOther) {
  std::string a = Sample(150000), b = Sample(33);
  ExpectDecodes(Encode(a, 1) + Encode("") + Encode(b, 9), a + b);
}

TEST(Bzip2DecoderTest, MoreStreamsThanMemoryHasRoomForAreFine) {
  // Each needs 3.6 MB while it is decoded.
  std::string encoded, data;
  for (int i = 0; i < 400; ++i) {
    encoded += Encode(std::to_string(i));
    data += std::to_string(i);
  }
  ExpectDecodes(encoded, data);
}

TEST(Bzip2DecoderTest, AnEmptyInputIsNoStream) { ExpectRefused("", "the input is empty", 0); }

TEST(Bzip2DecoderTest, OtherFormatsAreRefused) {
  for (std::string other : {"plain text", "BZ0old", "BZh0", "BZh:", "Bz", "\x1f\x8b"}) {
    ExpectRefused(other, "not a bzip2 header", 0);
  }
}

TEST(Bzip2DecoderTest, JunkAfterAStreamIsRefusedAtItsPlace) {
  std::string data = Sample(500), encoded = Encode(data);
  for (std::string junk : {"junk"s, "\0"s, "BZ0"s, "BZh0"s, "\n"s}) {
    ExpectRefused(encoded + junk, "junk after a stream", encoded.size());
    EXPECT_TRUE(Decode(encoded + junk).output == data);
  }
}

TEST(Bzip2DecoderTest, AStreamCutOffAnywhereIsRefused) {
  std::string encoded = Encode(Sample(300));
  for (size_t length = 1; length < encoded.size(); ++length) {
    SCOPED_TRACE(length);
    ExpectRefused(encoded.substr(0, length), "the input ends within a stream", length);
  }
}

TEST(Bzip2DecoderTest, ASecondStreamCutOffAnywhereIsRefused) {
  std::string data = Sample(50), encoded = Encode(data);
  for (size_t length = 1; length < encoded.size(); ++length) {
    SCOPED_TRACE(length);
    ExpectRefused(encoded + encoded.substr(0, length), "the input ends within a stream",
                  encoded.size() + length);
  }
}

TEST(Bzip2DecoderTest, WhatCameBeforeTheCutIsKept) {
  std::string data = Sample(300000), encoded = Encode(data, 1);
  GuestRun run = Decode(encoded.substr(0, encoded.size() - 1));
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_TRUE(run.output == data);
}

TEST(Bzip2DecoderTest, NoFlippedBitGivesOtherOutputAsGood) {
  std::string data = Sample(120), encoded = Encode(data);
  for (size_t bit = 0; bit < encoded.size() * 8; ++bit) {
    GuestRun run = Decode(FlipBit(encoded, bit));
    SCOPED_TRACE(bit);
    EXPECT_EQ(run.failure, "");
    if (run.exit_status == 0) {
      EXPECT_EQ(run.output, data);
    } else {
      EXPECT_EQ(run.exit_status, 1u);
      EXPECT_THAT(run.diagnostics, MatchesRegex("bzip2: .*, at byte [0-9]+ of the input\n"));
    }
  }
}

TEST(Bzip2DecoderTest, ABlockOfAnotherCheckValueIsRefused) {
  std::string encoded = Encode(Sample(1000));
  encoded[10] ^= 1;
  EXPECT_THAT(Decode(encoded).diagnostics, MatchesRegex("bzip2: damaged data, .*\n"));
}

TEST(Bzip2DecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/bzip2/bzip2.vx"), 65536u);
}

}  // namespace
}  // namespace vxa::decoders
