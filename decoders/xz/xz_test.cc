// What xz.vx accepts and refuses. The streams come from the host's liblzma, an encoder that shares
// no object with the guest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lzma.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;
using std::string_literals::operator""s;

const std::string kGuest = "decoders/xz/xz";

const std::vector<lzma_check> kChecks = {LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64,
                                         LZMA_CHECK_SHA256};

// Of a small dictionary, lest the encoder take long to start.
lzma_options_lzma Options(uint32_t preset = 6) {
  lzma_options_lzma options;
  EXPECT_FALSE(lzma_lzma_preset(&options, preset));
  options.dict_size = 1 << 16;
  return options;
}

// Ends blocks after every `block` bytes, if that isn't 0.
std::string Finish(lzma_stream* encoder, const std::string& data, size_t block = 0) {
  std::string encoded(data.size() * 2 + 100000, '\0');
  encoder->next_out = reinterpret_cast<uint8_t*>(encoded.data());
  encoder->avail_out = encoded.size();
  encoder->next_in = reinterpret_cast<const uint8_t*>(data.data());
  for (size_t left = data.size(); block != 0 && left > block; left -= block) {
    encoder->avail_in = block;
    EXPECT_EQ(lzma_code(encoder, LZMA_FULL_FLUSH), LZMA_STREAM_END);
  }
  encoder->avail_in = data.size() - (reinterpret_cast<const char*>(encoder->next_in) - data.data());
  EXPECT_EQ(lzma_code(encoder, LZMA_FINISH), LZMA_STREAM_END);
  encoded.resize(encoder->total_out);
  lzma_end(encoder);
  return encoded;
}

// With `filters` before LZMA2.
std::string Xz(const std::string& data, lzma_check check = LZMA_CHECK_CRC64,
               std::vector<lzma_filter> filters = {}, lzma_options_lzma options = Options(),
               size_t block = 0) {
  lzma_stream encoder = LZMA_STREAM_INIT;
  filters.push_back({LZMA_FILTER_LZMA2, &options});
  filters.push_back({LZMA_VLI_UNKNOWN, nullptr});
  EXPECT_EQ(lzma_stream_encoder(&encoder, filters.data(), check), LZMA_OK);
  return Finish(&encoder, data, block);
}

// A .lzma stream of unknown length, with a mark at its end.
std::string Lzma(const std::string& data, const lzma_options_lzma& options = Options()) {
  lzma_stream encoder = LZMA_STREAM_INIT;
  EXPECT_EQ(lzma_alone_encoder(&encoder, &options), LZMA_OK);
  return Finish(&encoder, data);
}

// A stream of LZMA alone, without the mark if `marked` is false.
std::string RawLzma(const std::string& data, bool marked) {
  lzma_stream encoder = LZMA_STREAM_INIT;
  lzma_options_lzma options = Options();
  options.ext_flags = marked ? LZMA_LZMA1EXT_ALLOW_EOPM : 0;
  const uint64_t size = marked ? UINT64_MAX : data.size();
  options.ext_size_low = static_cast<uint32_t>(size);
  options.ext_size_high = static_cast<uint32_t>(size >> 32);
  lzma_filter filters[] = {{LZMA_FILTER_LZMA1EXT, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  EXPECT_EQ(lzma_raw_encoder(&encoder, filters), LZMA_OK);
  return Finish(&encoder, data);
}

// A .lzma stream of known length.
std::string SizedLzma(const std::string& data, bool marked) {
  return "\x5d"s + LittleEndian(1 << 16, 4) + LittleEndian(data.size(), 8) + RawLzma(data, marked);
}

uint32_t Crc32(const std::string& data) {
  return lzma_crc32(reinterpret_cast<const uint8_t*>(data.data()), data.size(), 0);
}

// A member. Version 0 does not have its own length at the end.
std::string Lzip(const std::string& data, int version = 1, int dictionary_log = 16) {
  std::string member = "LZIP"s + static_cast<char>(version) + static_cast<char>(dictionary_log) +
                       RawLzma(data, true) + LittleEndian(Crc32(data), 4) +
                       LittleEndian(data.size(), 8);
  return version == 0 ? member : member + LittleEndian(member.size() + 8, 8);
}

// `xz` with another byte `at` in the header of its first block.
std::string WithBlockHeader(std::string xz, size_t at, int byte) {
  constexpr size_t kStart = 12;
  xz[kStart + at] = static_cast<char>(byte);
  const size_t size = (static_cast<uint8_t>(xz[kStart]) + 1) * 4 - 4;
  return xz.replace(kStart + size, 4, LittleEndian(Crc32(xz.substr(kStart, size)), 4));
}

// What branch filters take for calls of each of their processors, among other things.
std::string CallSample(size_t length) {
  static const std::string kBytes =
      "\xe8\xe9\0\xff\xeb\x48\x4b\x40\x7f\x94\x97\xf0\xf8\x90\x01\x10"s;
  std::string sample;
  for (uint32_t state = 1; sample.size() < length;) {
    state = state * 1664525u + 1013904223u;
    sample += kBytes[state >> 28];
  }
  return sample;
}

GuestRun Decode(const std::string& encoded) { return RunGuest(kGuest, {}, encoded); }

void ExpectDecodes(const std::string& encoded, const std::string& data) {
  decoders::ExpectDecodes(kGuest, encoded, {}, data);
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(kGuest, encoded, {},
                          "xz: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

TEST(XzDecoderTest, DecodesEveryPresetInEveryFormat) {
  std::string data = Sample(20000);
  for (uint32_t preset = 0; preset <= 9; ++preset) {
    for (uint32_t flag : {uint32_t{0}, LZMA_PRESET_EXTREME}) {
      SCOPED_TRACE(preset);
      ExpectDecodes(Xz(data, LZMA_CHECK_CRC64, {}, Options(preset | flag)), data);
      ExpectDecodes(Lzma(data, Options(preset | flag)), data);
    }
  }
  ExpectDecodes(Lzip(data), data);
}

TEST(XzDecoderTest, DecodesEveryNumberOfContextBits) {
  std::string data = Sample(3000);
  for (uint32_t lc = 0; lc <= 4; ++lc) {
    for (uint32_t lp = 0; lp + lc <= 4; ++lp) {
      for (uint32_t pb = 0; pb <= 4; ++pb) {
        lzma_options_lzma options = Options();
        options.lc = lc, options.lp = lp, options.pb = pb;
        SCOPED_TRACE(testing::Message() << lc << lp << pb);
        ExpectDecodes(Xz(data, LZMA_CHECK_CRC32, {}, options), data);
        if (lc != 4 || lp != 0 || pb != 4) ExpectDecodes(Lzma(data, options), data);
      }
    }
  }
}

TEST(XzDecoderTest, DecodesEveryCheck) {
  for (size_t length : {0u, 1u, 7u, 64u, 300000u}) {
    std::string data = Sample(length);
    for (lzma_check check : kChecks) {
      SCOPED_TRACE(testing::Message() << length << " " << check);
      ExpectDecodes(Xz(data, check), data);
    }
  }
}

TEST(XzDecoderTest, DecodesEveryBranchFilter) {
  std::string data = CallSample(20001);
  for (lzma_vli filter : {LZMA_FILTER_X86, LZMA_FILTER_POWERPC, LZMA_FILTER_IA64, LZMA_FILTER_ARM,
                          LZMA_FILTER_ARMTHUMB, LZMA_FILTER_ARM64, LZMA_FILTER_SPARC}) {
    SCOPED_TRACE(filter);
    ExpectDecodes(Xz(data, LZMA_CHECK_CRC64, {{filter, nullptr}}), data);
    lzma_options_bcj options = {.start_offset = 0x123450};
    ExpectDecodes(Xz(data, LZMA_CHECK_CRC64, {{filter, &options}}), data);
  }
}

TEST(XzDecoderTest, DecodesEveryDelta) {
  std::string data = Sample(1000);
  for (uint32_t distance = 1; distance <= 256; ++distance) {
    SCOPED_TRACE(distance);
    lzma_options_delta options = {.type = LZMA_DELTA_TYPE_BYTE, .dist = distance};
    ExpectDecodes(Xz(data, LZMA_CHECK_CRC64, {{LZMA_FILTER_DELTA, &options}}), data);
  }
}

TEST(XzDecoderTest, DecodesTheLongestChainOfFilters) {
  std::string data = CallSample(20001);
  lzma_options_delta options = {.type = LZMA_DELTA_TYPE_BYTE, .dist = 3};
  ExpectDecodes(
      Xz(data, LZMA_CHECK_SHA256,
         {{LZMA_FILTER_DELTA, &options}, {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_ARM, nullptr}}),
      data);
}

TEST(XzDecoderTest, DecodesWhatDoesNotCompress) {
  std::string noise = Noise(70000);
  for (const std::string& data : {noise, Sample(30000) + noise + Sample(30000)}) {
    ExpectDecodes(Xz(data), data);
    ExpectDecodes(Lzma(data), data);
    ExpectDecodes(Lzip(data), data);
  }
}

TEST(XzDecoderTest, DecodesMoreThanItsBuffersAndDictionaryHold) {
  std::string sample = Sample(300000);
  for (const std::string& data :
       {std::string(600001, '\0'), sample.substr(0, 262144), sample.substr(0, 262145), sample}) {
    ExpectDecodes(Xz(data), data);
    ExpectDecodes(Lzma(data), data);
    ExpectDecodes(Lzip(data), data);
  }
}

TEST(XzDecoderTest, DecodesStreamsOfManyBlocks) {
  std::string data = Sample(100000);
  for (lzma_check check : kChecks) {
    for (size_t block : {1000u, 30000u}) ExpectDecodes(Xz(data, check, {}, Options(), block), data);
  }
}

TEST(XzDecoderTest, DecodesBlocksThatTellTheirSizes) {
  std::string data = Sample(100000);
  lzma_options_lzma options = Options();
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  lzma_mt threads = {
      .threads = 1, .block_size = 30000, .filters = filters, .check = LZMA_CHECK_CRC64};
  lzma_stream encoder = LZMA_STREAM_INIT;
  ASSERT_EQ(lzma_stream_encoder_mt(&encoder, &threads), LZMA_OK);
  std::string encoded = Finish(&encoder, data);
  EXPECT_EQ(encoded[13] & 0xc0, 0xc0);
  ExpectDecodes(encoded, data);
}

TEST(XzDecoderTest, DecodesLzmaOfKnownLengthWithAndWithoutAMark) {
  for (size_t length : {0u, 1u, 1000u, 300000u}) {
    std::string data = Sample(length);
    ExpectDecodes(SizedLzma(data, true), data);
    ExpectDecodes(SizedLzma(data, false), data);
  }
}

TEST(XzDecoderTest, DecodesNothing) {
  ExpectDecodes(Xz(""), "");
  ExpectDecodes(Lzma(""), "");
  ExpectDecodes(Lzip(""), "");
}

TEST(XzDecoderTest, XzStreamsFollowEachOtherWithZerosInFours) {
  std::string a = Sample(150000), b = Sample(33), zeros(4, '\0');
  ExpectDecodes(Xz(a) + Xz("", LZMA_CHECK_NONE) + Xz(b, LZMA_CHECK_SHA256), a + b);
  ExpectDecodes(Xz(b) + zeros + Xz(a) + std::string(100000, '\0') + Xz(b) + zeros, b + a + b);
  for (size_t count : {1u, 2u, 3u, 5u, 65537u}) {
    std::string encoded = Xz(b) + std::string(count, '\0');
    for (const std::string& more : {encoded, encoded + Xz(b), encoded + "x"}) {
      ExpectRefused(more, "padding that isn't a multiple of four bytes", Xz(b).size());
    }
  }
  ExpectRefused(zeros + Xz(b), "not an xz, lzip or lzma header", 0);
}

TEST(XzDecoderTest, LzipMembersOfBothVersionsFollowEachOther) {
  std::string a = Sample(150000), b = Sample(33);
  ExpectDecodes(Lzip(a) + Lzip("") + Lzip(b, 0) + Lzip(b), a + b + b);
}

TEST(XzDecoderTest, ManySmallStreamsAreFine) {
  std::string xz, lzip, data;
  for (int i = 0; i < 500; ++i) {
    xz += Xz(std::to_string(i));
    lzip += Lzip(std::to_string(i), 1, 12 + i % 17);
    data += std::to_string(i);
  }
  ExpectDecodes(xz, data);
  ExpectDecodes(lzip, data);
}

TEST(XzDecoderTest, DictionariesOf256MiBAreTheLargest) {
  const std::string why = "the stream needs a dictionary of more than 256 MiB";
  std::string data = Sample(100), xz = Xz(data), lzma = Lzma(data);
  auto of_dictionary = [](std::string lzma, uint32_t size) {
    return lzma.replace(1, 4, LittleEndian(size, 4));
  };
  ExpectDecodes(WithBlockHeader(xz, 4, 32), data);
  ExpectRefused(WithBlockHeader(xz, 4, 33), why, 24);
  ExpectRefused(WithBlockHeader(xz, 4, 40), why, 24);
  ExpectDecodes(of_dictionary(lzma, 256u << 20), data);
  ExpectRefused(of_dictionary(lzma, 384u << 20), why, 13);
  ExpectRefused(of_dictionary(lzma, UINT32_MAX), why, 13);
  ExpectDecodes(Lzip(data, 1, 28), data);
  ExpectRefused(Lzip(data, 1, 29), why, 6);
}

TEST(XzDecoderTest, UnknownChecksAndFiltersAreRefused) {
  std::string encoded = Xz(Sample(100)), check = encoded;
  check[7] = 2;
  check.replace(8, 4, LittleEndian(Crc32(check.substr(6, 2)), 4));
  ExpectRefused(check, "an unknown kind of check value", 12);
  EXPECT_THAT(Decode(WithBlockHeader(encoded, 2, 0x22)).diagnostics,
              MatchesRegex("xz: unknown options or filters, .*\n"));
  EXPECT_THAT(Decode(Lzip("data", 2)).diagnostics,
              MatchesRegex("xz: unknown options or filters, .*\n"));
}

TEST(XzDecoderTest, AnEmptyInputIsNoStream) { ExpectRefused("", "the input is empty", 0); }

TEST(XzDecoderTest, OtherFormatsAreRefused) {
  for (std::string other :
       {"plain text that is long enough"s, "\xfd"s + "7zXY and more"s, "LZMA"s, "\xff"s,
        "7z\xbc\xaf\x27\x1c and more"s, "\x1f\x8b"s + std::string(20, '\0')}) {
    ExpectRefused(other, "not an xz, lzip or lzma header", 0);
  }
}

TEST(XzDecoderTest, JunkAfterAStreamIsRefusedAtItsPlace) {
  std::string data = Sample(500);
  for (const std::string& encoded :
       {Xz(data), Lzip(data), Lzma(data), SizedLzma(data, true), Xz(data) + std::string(8, '\0')}) {
    for (std::string junk : {"junk"s, "\n"s, "LZIQ"s, "\xfd"s + "7zXZ\1 and more"s, "\x5d\0"s}) {
      SCOPED_TRACE(junk);
      ExpectRefused(encoded + junk, "junk after a stream", encoded.size());
      EXPECT_TRUE(Decode(encoded + junk).output == data);
    }
  }
  for (const std::string& encoded : {Lzip(data), Lzma(data)}) {
    ExpectRefused(encoded + "\0\0\0\0"s, "junk after a stream", encoded.size());
    ExpectRefused(encoded + Xz(data), "junk after a stream", encoded.size());
  }
  ExpectRefused(Xz(data) + Lzip(data), "junk after a stream", Xz(data).size());
  ExpectRefused(Lzma(data) + Lzma(data), "junk after a stream", Lzma(data).size());
}

TEST(XzDecoderTest, AStreamCutOffAnywhereIsRefused) {
  std::string data = Sample(60);
  for (lzma_check check : kChecks) {
    ExpectCutOffIsRefused(kGuest, Xz(data, check, {}, Options(), 30), data);
  }
  for (const std::string& encoded :
       {Lzma(data), SizedLzma(data, true), SizedLzma(data, false), Lzip(data), Lzip(data, 0)}) {
    ExpectCutOffIsRefused(kGuest, encoded, data);
  }
}

TEST(XzDecoderTest, ASecondStreamCutOffAnywhereIsRefused) {
  std::string data = Sample(50);
  for (const std::string& encoded : {Xz(data), Lzip(data)}) {
    for (size_t length = 1; length < encoded.size(); ++length) {
      SCOPED_TRACE(length);
      ExpectRefused(encoded + encoded.substr(0, length), "the input ends within a stream",
                    encoded.size() + length);
    }
  }
}

TEST(XzDecoderTest, WhatCameBeforeTheCutIsKept) {
  std::string data = Sample(300000), encoded = Xz(data);
  GuestRun run = Decode(encoded.substr(0, encoded.size() - 1));
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_TRUE(run.output == data);
}

TEST(XzDecoderTest, NoFlippedBitGivesOtherOutputAsGood) {
  std::string data = Sample(40);
  ExpectFlippedBitsAreNoticed(kGuest, Xz(data, LZMA_CHECK_CRC64), data);
  ExpectFlippedBitsAreNoticed(kGuest, Lzip(data), data);
}

TEST(XzDecoderTest, NoFlippedBitWithoutACheckValueDoesWorseThanAnError) {
  std::string data = Sample(40);
  for (const std::string& encoded :
       {Xz(data, LZMA_CHECK_NONE), Lzma(data), SizedLzma(data, false)}) {
    ExpectFlippedBitsDoNoHarm(kGuest, encoded);
  }
}

TEST(XzDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/xz/xz.vx"), 131072u);
}

}  // namespace
}  // namespace vxa::decoders
