// What zlib.vx accepts and refuses. The streams come from the host's zlib, an encoder that shares
// no object with the guest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;

// deflateInit2()'s windowBits for each wrapper at the largest window.
enum Wrapper { kRaw = -15, kZlib = 15, kGzip = 31 };
constexpr Wrapper kWrappers[] = {kRaw, kZlib, kGzip};

struct Encoding {
  int window_bits = kGzip;
  int level = 6;
  int strategy = Z_DEFAULT_STRATEGY;
  int memory_level = 8;
  gz_header* header = nullptr;
  std::string dictionary;
};

std::string Encode(const std::string& data, const Encoding& encoding) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, encoding.level, Z_DEFLATED, encoding.window_bits,
                         encoding.memory_level, encoding.strategy),
            Z_OK);
  if (encoding.header != nullptr) {
    EXPECT_EQ(deflateSetHeader(&stream, encoding.header), Z_OK);
  }
  if (!encoding.dictionary.empty()) {
    EXPECT_EQ(
        deflateSetDictionary(&stream, reinterpret_cast<const Bytef*>(encoding.dictionary.data()),
                             static_cast<uInt>(encoding.dictionary.size())),
        Z_OK);
  }
  std::string encoded(deflateBound(&stream, data.size()) + 70000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(encoded.data());
  stream.avail_out = static_cast<uInt>(encoded.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  encoded.resize(stream.total_out);
  deflateEnd(&stream);
  return encoded;
}

std::string Gzip(const std::string& data) { return Encode(data, {}); }

std::vector<std::string> Arguments(int window_bits) {
  return window_bits < 0 ? std::vector<std::string>{"--format=raw"} : std::vector<std::string>{};
}

const std::string kGuest = "decoders/zlib/zlib";

GuestRun Decode(const std::string& encoded, const std::vector<std::string>& arguments = {}) {
  return RunGuest(kGuest, arguments, encoded);
}

void ExpectDecodes(const std::string& encoded, const std::vector<std::string>& arguments,
                   const std::string& data) {
  decoders::ExpectDecodes(kGuest, encoded, arguments, data);
}

void ExpectRefused(const std::string& encoded, const std::vector<std::string>& arguments,
                   const std::string& diagnostics) {
  decoders::ExpectRefused(kGuest, encoded, arguments, diagnostics);
}

TEST(ZlibDecoderTest, DecodesEveryLevelAndStrategyInEveryWrapper) {
  std::string data = Sample(20000);
  for (Wrapper wrapper : kWrappers) {
    for (int level = 0; level <= 9; ++level) {
      for (int strategy : {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED}) {
        SCOPED_TRACE(testing::Message() << wrapper << " " << level << " " << strategy);
        ExpectDecodes(Encode(data, {.window_bits = wrapper, .level = level, .strategy = strategy}),
                      Arguments(wrapper), data);
      }
    }
  }
}

TEST(ZlibDecoderTest, DecodesEveryWindowSizeAndMemoryLevel) {
  std::string data = Sample(70000);
  for (int bits = 9; bits <= 15; ++bits) {
    for (int window_bits : {-bits, bits, bits + 16}) {
      SCOPED_TRACE(window_bits);
      ExpectDecodes(Encode(data, {.window_bits = window_bits, .memory_level = bits - 8}),
                    Arguments(window_bits), data);
    }
  }
}

TEST(ZlibDecoderTest, DecodesNothing) {
  for (Wrapper wrapper : kWrappers) {
    for (int level : {0, 6}) {
      ExpectDecodes(Encode("", {.window_bits = wrapper, .level = level}), Arguments(wrapper), "");
    }
  }
}

TEST(ZlibDecoderTest, DecodesMoreThanItsBuffersHold) {
  for (size_t length : {(1u << 18) - 1, 1u << 18, (1u << 18) + 1, 1500000u}) {
    std::string data = Sample(length);
    for (Wrapper wrapper : kWrappers) {
      ExpectDecodes(Encode(data, {.window_bits = wrapper}), Arguments(wrapper), data);
    }
    ExpectDecodes(Encode(data, {.level = 0}), {}, data);
  }
}

TEST(ZlibDecoderTest, DecodesTheLongestMatchesAcrossFullBuffers) {
  std::string data(3000001, '\0');
  ExpectDecodes(Gzip(data), {}, data);
}

TEST(ZlibDecoderTest, AnArgumentNamesTheFormat) {
  std::string data = Sample(1000);
  ExpectDecodes(Encode(data, {.window_bits = kRaw}), {"--format=raw"}, data);
  ExpectDecodes(Encode(data, {.window_bits = kZlib}), {"--format=zlib"}, data);
  ExpectDecodes(Encode(data, {.window_bits = kGzip}), {"--format=gzip"}, data);
}

TEST(ZlibDecoderTest, AnotherFormatThanTheNamedOneIsRefused) {
  const std::pair<Wrapper, std::string> kFormats[] = {
      {kRaw, "--format=raw"}, {kZlib, "--format=zlib"}, {kGzip, "--format=gzip"}};
  for (const auto& [wrapper, own_format] : kFormats) {
    std::string encoded = Encode(Sample(1000), {.window_bits = wrapper});
    for (const auto& [unused, format] : kFormats) {
      EXPECT_EQ(Decode(encoded, {format}).exit_status, format == own_format ? 0u : 1u)
          << own_format << " as " << format;
    }
  }
}

TEST(ZlibDecoderTest, RawDeflateIsNeverGuessed) {
  ExpectRefused(Encode("data", {.window_bits = kRaw}), {},
                "zlib: neither a gzip nor a zlib header, at byte 0 of the input\n");
  ExpectRefused("plain text", {},
                "zlib: neither a gzip nor a zlib header, at byte 0 of the input\n");
}

TEST(ZlibDecoderTest, AnEmptyInputIsNoStream) {
  for (const char* format : {"--format=raw", "--format=zlib", "--format=gzip"}) {
    ExpectRefused("", {format}, "zlib: the input is empty, at byte 0 of the input\n");
  }
  ExpectRefused("", {}, "zlib: the input is empty, at byte 0 of the input\n");
  ExpectRefused("\x1f", {}, "zlib: too short for a gzip or zlib header, at byte 0 of the input\n");
}

TEST(ZlibDecoderTest, GzipMembersFollowEachOther) {
  std::string a = Sample(100000), b = Sample(33), encoded = Gzip(a) + Gzip("") + Gzip(b);
  ExpectDecodes(encoded, {}, a + b);
  ExpectDecodes(encoded, {"--format=gzip"}, a + b);
}

TEST(ZlibDecoderTest, ManySmallGzipMembersAreFine) {
  std::string encoded, data;
  for (int i = 0; i < 3000; ++i) {
    encoded += Gzip(std::to_string(i));
    data += std::to_string(i);
  }
  ExpectDecodes(encoded, {}, data);
}

TEST(ZlibDecoderTest, GzipMembersMayHaveZerosAfterThem) {
  std::string data = Sample(500), encoded = Gzip(data);
  for (size_t zeros : {1u, 511u, 100000u}) {
    std::string padding(zeros, '\0');
    ExpectDecodes(encoded + padding, {}, data);
    ExpectDecodes(encoded + padding + encoded + padding, {}, data + data);
  }
}

TEST(ZlibDecoderTest, JunkAfterAGzipMemberIsRefusedAtItsPlace) {
  std::string data = Sample(500), encoded = Gzip(data);
  ExpectRefused(encoded + "junk", {},
                "zlib: junk after a gzip member, at byte " + std::to_string(encoded.size()) +
                    " of the input\n");
  ExpectRefused(encoded + std::string(9, '\0') + "x", {},
                "zlib: junk after a gzip member, at byte " + std::to_string(encoded.size() + 9) +
                    " of the input\n");
  for (std::string junk : {"\x1f", "\x1f\x8b", "\x1f\x8c", "\x1f\x8b\x08\x01"}) {
    GuestRun run = Decode(encoded + junk);
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_TRUE(run.output == data);
  }
  EXPECT_EQ(Decode(encoded + Encode(data, {.window_bits = kZlib})).exit_status, 1u);
}

TEST(ZlibDecoderTest, NothingMayFollowARawOrZlibStream) {
  for (Wrapper wrapper : {kRaw, kZlib}) {
    std::string encoded = Encode(Sample(500), {.window_bits = wrapper});
    for (std::string after : {std::string(1, '\0'), std::string("junk"), encoded}) {
      ExpectRefused(encoded + after, Arguments(wrapper),
                    "zlib: junk after the stream, at byte " + std::to_string(encoded.size()) +
                        " of the input\n");
    }
  }
}

TEST(ZlibDecoderTest, GzipHeadersMayHaveEveryField) {
  std::string data = Sample(100), extra(300, '\x7f'), name = "a name", comment = "a comment";
  for (int fields = 0; fields < 32; ++fields) {
    gz_header header = {};
    header.time = 1500000000;
    header.os = 255;
    header.text = fields & 16;
    header.hcrc = fields & 8;
    if (fields & 4) header.extra = reinterpret_cast<Bytef*>(extra.data()), header.extra_len = 300;
    if (fields & 2) header.name = reinterpret_cast<Bytef*>(name.data());
    if (fields & 1) header.comment = reinterpret_cast<Bytef*>(comment.data());
    std::string encoded = Encode(data, {.header = &header});
    SCOPED_TRACE(fields);
    ExpectDecodes(encoded + encoded, {}, data + data);
    if (header.hcrc) {
      std::string changed = encoded;
      changed[4] ^= 1;  // the time
      EXPECT_THAT(Decode(changed).diagnostics,
                  MatchesRegex("zlib: header crc mismatch, at byte [0-9]+ of the input\n"));
    }
  }
}

TEST(ZlibDecoderTest, UnknownGzipMethodsAndFlagsAreRefused) {
  std::string encoded = Gzip("data");
  for (int flag : {0x20, 0x40, 0x80}) {
    std::string changed = encoded;
    changed[3] = static_cast<char>(flag);
    EXPECT_THAT(Decode(changed).diagnostics, MatchesRegex("zlib: unknown header flags set, .*\n"));
  }
  encoded[2] = 7;
  EXPECT_THAT(Decode(encoded).diagnostics, MatchesRegex("zlib: unknown compression method, .*\n"));
}

TEST(ZlibDecoderTest, AStreamThatNeedsADictionaryIsRefused) {
  std::string encoded = Encode("dictionary", {.window_bits = kZlib, .dictionary = "a dictionary"});
  EXPECT_THAT(Decode(encoded).diagnostics,
              MatchesRegex("zlib: the stream needs a preset dictionary, at byte 6 of the input\n"));
}

TEST(ZlibDecoderTest, AMatchBeforeTheBeginningIsRefused) {
  // The dictionary's matches, without the dictionary.
  std::string encoded =
      Encode("dictionary dictionary", {.window_bits = kRaw, .dictionary = "a dictionary"});
  EXPECT_THAT(Decode(encoded, {"--format=raw"}).diagnostics,
              MatchesRegex("zlib: invalid distance too far back, .*\n"));
}

TEST(ZlibDecoderTest, AStreamCutOffAnywhereIsRefusedAndWhatCameBeforeIsKept) {
  std::string data = Sample(300);
  for (Wrapper wrapper : kWrappers) {
    for (int level : {0, 9}) {
      std::string encoded = Encode(data, {.window_bits = wrapper, .level = level});
      for (size_t length = 0; length < encoded.size(); ++length) {
        SCOPED_TRACE(testing::Message() << wrapper << " " << length);
        GuestRun run = Decode(encoded.substr(0, length), Arguments(wrapper));
        EXPECT_EQ(run.failure, "");
        EXPECT_EQ(run.exit_status, 1u);
        EXPECT_THAT(run.diagnostics, MatchesRegex("zlib: .*, at byte [0-9]+ of the input\n"));
        EXPECT_EQ(run.output, data.substr(0, run.output.size()));
      }
    }
  }
}

TEST(ZlibDecoderTest, ASecondMemberCutOffAnywhereIsRefused) {
  std::string data = Sample(50), encoded = Gzip(data);
  for (size_t length = 1; length < encoded.size(); ++length) {
    GuestRun run = Decode(encoded + encoded.substr(0, length));
    EXPECT_EQ(run.exit_status, 1u) << length;
  }
}

TEST(ZlibDecoderTest, NoFlippedBitGivesOtherOutputAsGood) {
  std::string data = Sample(120);
  for (Wrapper wrapper : {kZlib, kGzip}) {
    std::string encoded = Encode(data, {.window_bits = wrapper});
    for (size_t bit = 0; bit < encoded.size() * 8; ++bit) {
      GuestRun run = Decode(FlipBit(encoded, bit));
      SCOPED_TRACE(testing::Message() << wrapper << " bit " << bit);
      EXPECT_EQ(run.failure, "");
      if (run.exit_status == 0) {
        EXPECT_EQ(run.output, data);
      } else {
        EXPECT_THAT(run.diagnostics, MatchesRegex("zlib: .*, at byte [0-9]+ of the input\n"));
      }
    }
  }
}

TEST(ZlibDecoderTest, NoFlippedBitOfRawDeflateDoesWorseThanAnError) {
  // Raw deflate has no check value: other output is possible, a trap is not.
  std::string encoded = Encode(Sample(120), {.window_bits = kRaw});
  for (size_t bit = 0; bit < encoded.size() * 8; ++bit) {
    GuestRun run = Decode(FlipBit(encoded, bit), {"--format=raw"});
    EXPECT_EQ(run.failure, "") << bit;
    EXPECT_LE(run.exit_status, 1u) << bit;
  }
}

TEST(ZlibDecoderTest, WrongCheckValuesAreRefused) {
  std::string data = Sample(1000), gzip = Gzip(data);
  std::string zlib = Encode(data, {.window_bits = kZlib});
  gzip[gzip.size() - 8] ^= 1;
  EXPECT_THAT(Decode(gzip).diagnostics, MatchesRegex("zlib: incorrect data check, .*\n"));
  gzip[gzip.size() - 8] ^= 1;
  gzip[gzip.size() - 1] ^= 1;
  EXPECT_THAT(Decode(gzip).diagnostics, MatchesRegex("zlib: incorrect length check, .*\n"));
  zlib[zlib.size() - 1] ^= 1;
  EXPECT_THAT(Decode(zlib).diagnostics, MatchesRegex("zlib: incorrect data check, .*\n"));
}

TEST(ZlibDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/zlib/zlib.vx"), 65536u);
}

TEST(ZlibDecoderTest, TheInputMayBeginWithADictionary) {
  for (size_t length : {3, 1000, 50000}) {
    const std::string dictionary = Sample(length),
                      argument = "--dictionary=" + std::to_string(length);
    for (size_t size : {0, 100, 300000}) {
      const std::string data = Sample(size);
      const std::string zlib = Encode(data, {.window_bits = kZlib, .dictionary = dictionary});
      ExpectDecodes(dictionary + zlib, {argument}, data);
      ExpectDecodes(dictionary + zlib, {"--format=zlib", argument}, data);
      ExpectDecodes(dictionary + Encode(data, {.window_bits = kRaw, .dictionary = dictionary}),
                    {argument, "--format=raw"}, data);
      ExpectDecodes(dictionary + Encode(data, {.window_bits = kZlib}), {argument}, data);
    }
  }
}

TEST(ZlibDecoderTest, AnotherDictionaryIsRefused) {
  const std::string dictionary = Sample(1000);
  const std::string encoded = Encode("data", {.window_bits = kZlib, .dictionary = dictionary});
  ExpectRefused(FlipBit(dictionary, 77) + encoded, {"--dictionary=1000"},
                "zlib: the stream needs another dictionary, at byte 1006 of the input\n");
  ExpectRefused(dictionary + Gzip("data"), {"--dictionary=1000"},
                "zlib: gzip has no dictionaries, at byte 1000 of the input\n");
  ExpectRefused(dictionary, {"--dictionary=1001"},
                "zlib: the input ends within the dictionary, at byte 1000 of the input\n");
  ExpectRefused(dictionary, {"--dictionary=1000"},
                "zlib: the input is empty, at byte 1000 of the input\n");
}

}  // namespace
}  // namespace vxa::decoders
