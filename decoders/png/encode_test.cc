// What png_encode.vx makes of image files of all kinds, cut anywhere: PNGs that the host's libpng
// reads, and that png.vx --restore turns back into the pieces.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "decoders/png/files.h"
#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

const char kNoRow[] = "no whole row in the chunk";

GuestRun Encode(const std::string& file, size_t offset, size_t size, size_t head = 65536) {
  head = std::min(head, file.size());
  std::vector<std::string> arguments = {"--head=" + std::to_string(head)};
  if (offset != 0) arguments.push_back("--offset=" + std::to_string(offset));
  return RunGuest(kEncoder, arguments, file.substr(0, head) + file.substr(offset, size));
}

void ExpectRefused(const GuestRun& run, const std::string& why) {
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.output, "");
  EXPECT_EQ(run.diagnostics, "png_encode: " + why + "\n");
}

void ExpectRefused(const std::string& file, const std::string& why) {
  SCOPED_TRACE(file.substr(0, 60));
  ExpectRefused(RunGuest(kEncoder, {}, file), why);
}

void ExpectRestored(const File& file, size_t offset, size_t size) {
  SCOPED_TRACE(testing::Message() << size << " bytes at " << offset);
  bool has_row = false;
  for (size_t y = 0; y < file.height; ++y) {
    const size_t row = file.rows + y * file.stride;
    has_row |= row >= offset && row + file.stride <= offset + size;
  }
  const GuestRun run = Encode(file.bytes, offset, size);
  if (!has_row) {
    ExpectRefused(run, kNoRow);
    return;
  }
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.diagnostics, "");
  ExpectDecodes(kDecoder, run.output, {"--restore"}, file.bytes.substr(offset, size));
}

void ExpectRestored(const File& file) {
  ExpectRestored(file, 0, file.bytes.size());
  for (size_t size : {61, 200, 333}) {
    for (size_t offset = 0; offset < file.bytes.size(); offset += size) {
      ExpectRestored(file, offset, std::min(size, file.bytes.size() - offset));
    }
  }
}

// What png.vx makes of Rows() of fewer than 8 bits: `bytes` for each value.
std::string Unpacked(const std::string& rows, uint32_t width, uint32_t bits,
                     const std::vector<std::string>& bytes) {
  const size_t row = (width * bits + 7) / 8;
  std::string samples;
  for (size_t at = 0; at < rows.size(); at += row) {
    for (uint32_t x = 0; x < width; ++x) {
      const uint32_t byte = static_cast<uint8_t>(rows[at + x * bits / 8]);
      samples += bytes[byte >> (8 - bits - x * bits % 8) & ((1 << bits) - 1)];
    }
  }
  return samples;
}

struct Kind {
  const char* type;
  int channels;
};
constexpr Kind kKinds[] = {
    {"P5", 1},  {"P6", 3},        {"GRAYSCALE", 1},     {"GRAYSCALE_ALPHA", 2},
    {"RGB", 3}, {"RGB_ALPHA", 4}, {"BLACKANDWHITE", 1}, {"BLACKANDWHITE_ALPHA", 2}};

TEST(PngEncoderTest, EncodesEveryKindOfNetpbm) {
  for (const auto& [type, channels] : kKinds) {
    for (int maxval : {1, 254, 255, 256, 4095, 65535}) {
      SCOPED_TRACE(testing::Message() << type << " " << maxval);
      ExpectRestored(Netpbm(type, channels, maxval));
    }
  }
}

TEST(PngEncoderTest, EncodesBitmaps) {
  for (uint32_t width = 1; width <= 17; ++width) {
    SCOPED_TRACE(width);
    const File file = Pbm(width);
    ExpectRestored(file);
    const std::string encoded = EncodeWhole(file.bytes), rows = file.bytes.substr(file.rows);
    EXPECT_TRUE(ReadPng(encoded) == Image("P5", 1, static_cast<int>(width), 6, 1, rows));
    ExpectDecodes(kDecoder, encoded, {},
                  Image("P6", 3, static_cast<int>(width), 6, 255,
                        Unpacked(rows, width, 1, {"\xff\xff\xff", std::string(3, '\0')})));
  }
  ExpectRestored(Pbm(1201));
}

TEST(PngEncoderTest, ThePngHasTheRows) {
  for (const auto& [type, channels] : kKinds) {
    for (int file_maxval : {1, 255, 4095, 65535}) {
      const File file = Netpbm(type, channels, file_maxval);
      const std::string plain =
          std::vector{"P5", "GRAYSCALE_ALPHA", "P6", "RGB_ALPHA"}[channels - 1];
      const std::string samples = file.bytes.substr(file.rows);
      const int maxval = file_maxval > 255 ? 65535 : 255;
      const std::string whole = Image(plain, channels, 9, 7, maxval, samples);
      EXPECT_TRUE(ReadPng(EncodeWhole(file.bytes)) == whole) << type << " " << file_maxval;
      ExpectDecodes(kDecoder, EncodeWhole(file.bytes), {}, whole);
      // Of a piece that begins and ends within a row.
      const std::string piece =
          Encode(file.bytes, file.rows + file.stride + 1, 5 * file.stride).output;
      EXPECT_TRUE(ReadPng(piece) == Image(plain, channels, 9, 4, maxval,
                                          samples.substr(2 * file.stride, 4 * file.stride)));
    }
  }
}

TEST(PngEncoderTest, EncodesEveryKindOfBmp) {
  for (uint32_t bits : {1, 4, 8, 24, 32}) {
    for (uint32_t width : {1, 2, 3, 4, 7, 8, 9, 17}) {
      SCOPED_TRACE(testing::Message() << bits << " bits, width " << width);
      ExpectRestored(Bytes({.width = width, .bits = bits}));
    }
    ExpectRestored(Bytes({.height = static_cast<uint32_t>(-5), .bits = bits}));
    ExpectRestored(Bytes({.bits = bits, .header = 124, .palette = Sample(90), .after = "after"}));
  }
  ExpectRestored(Bytes({.bits = 8, .palette = Sample(1024)}));
  ExpectRestored(Bytes({.bits = 32, .has_alpha = false}));
  for (bool has_alpha : {false, true}) {
    ExpectRestored(Bytes(
        {.bits = 32, .compression = 3, .palette = std::string(12, '\0'), .has_alpha = has_alpha}));
    for (uint32_t header : {52, 124}) {
      ExpectRestored(
          Bytes({.bits = 32, .header = header, .compression = 3, .has_alpha = has_alpha}));
    }
  }
}

TEST(PngEncoderTest, ABmpsIndicesAreGray) {
  for (uint32_t bits : {1, 4}) {
    std::vector<std::string> grays;
    const int values = 1 << bits;
    for (int i = 0; i < values; ++i) {
      grays.emplace_back(1, static_cast<char>(i * (255 / (values - 1))));
    }
    for (uint32_t width = 1; width <= 17; ++width) {
      const File file = Bytes({.width = width, .bits = bits, .palette = Sample(4 * values)});
      ExpectRestored(file, 0, file.bytes.size());
      ExpectDecodes(kDecoder, EncodeWhole(file.bytes), {},
                    Image("P5", 1, static_cast<int>(width), 6, 255,
                          Unpacked(Rows(width, 6, bits), width, bits, grays)));
    }
  }
}

TEST(PngEncoderTest, ABmpsColoursAreInPngsOrder) {
  for (bool has_alpha : {false, true}) {
    for (const auto& [bits, compression] :
         std::vector<std::pair<uint32_t, uint32_t>>{{24, 0}, {32, 0}, {32, 3}}) {
      const File file = Bytes({.width = 8,
                               .bits = bits,
                               .header = 108,
                               .compression = compression,
                               .has_alpha = has_alpha || bits == 24});
      const bool is_rgb = bits == 24 || !has_alpha;
      std::string samples;
      for (size_t at = file.rows; at < file.bytes.size(); at += bits / 8) {
        for (int i : {2, 1, 0}) samples += file.bytes[at + i];
        if (!is_rgb) samples += file.bytes[at + 3];
      }
      EXPECT_TRUE(ReadPng(EncodeWhole(file.bytes)) ==
                  Image(is_rgb ? "P6" : "RGB_ALPHA", is_rgb ? 3 : 4, 8, 6, 255, samples));
    }
  }
}

TEST(PngEncoderTest, HeadersMayBeWrittenDifferently) {
  const std::string samples = Picture(5, 4, 3);
  for (const char* header : {"P6 5 4 255\n", "P6\t5\r\n4\v255 ",
                             "P6\n# made by hand\n5 # five\n4\n#\n#x\n255\n", "P6\n0005\n04 255\r",
                             "P7\n#x\nDEPTH 3\n\nHEIGHT 4\n# y\nTUPLTYPE RGB\nMAXVAL 255\n"
                             "WIDTH 5\nENDHDR\n",
                             "P7 WIDTH  5\tHEIGHT 4 DEPTH 3 MAXVAL 255 TUPLTYPE\tRGB ENDHDR "}) {
    SCOPED_TRACE(header);
    ExpectRestored({header + samples, std::string(header).size(), 15, 4});
    EXPECT_TRUE(ReadPng(EncodeWhole(header + samples)) == Image("P6", 3, 5, 4, 255, samples));
  }
}

TEST(PngEncoderTest, WhatFollowsTheImageIsKept) {
  const File file = Netpbm("P6", 3, 255);
  const File longer = Netpbm("P6", 3, 255, file.bytes + "junk");
  ExpectRestored(longer);
  EXPECT_TRUE(ReadPng(EncodeWhole(longer.bytes)) == file.bytes);
  // More rows are said to be there than are.
  ExpectRestored({"P5 10 70000\n255\n" + Picture(10, 5, 1) + "cut", 16, 10, 5});
}

TEST(PngEncoderTest, WhatIsKeptMayBeLarge) {
  File file = Netpbm("P5", 1, 255);
  file.bytes += std::string(9'000'000, 'x');
  ExpectRestored(file, 0, file.bytes.size());
}

TEST(PngEncoderTest, RowsMayBeLong) {
  const std::string header = "P5 1500000 3\n255\n";
  ExpectRestored({header + std::string(4'500'000, '\7'), header.size(), 1'500'000, 3}, 0,
                 4'500'000);
}

TEST(PngEncoderTest, OtherFilesAreRefused) {
  for (const std::string& file :
       {std::string(), std::string("B"), std::string("P6"), std::string("P1\n5 4\n"),
        "P3\n5 4\n255\n" + Sample(100), Sample(300), std::string("\x89PNG\r\n\x1a\n")}) {
    ExpectRefused(file, "not a PNM, PAM or BMP file");
  }
  const std::string samples = Picture(5, 4, 4);
  for (const char* maxval : {"0", "65536", "2147483639"}) {
    ExpectRefused(std::string("P5 5 4\n") + maxval + "\n" + samples,
                  "a maxval that isn't 1 to 65535");
  }
  for (const char* header : {"P5 5 4\n", "P5 5 4\n255", "P5 -5 4\n255\n", "P5 5.0 4\n255\n",
                             "P5 5,4 255\n", "P5\nx", "P5\n# no end", "P5 5 4 255#\n"}) {
    ExpectRefused(header, "not a number in the header");
  }
  for (const char* width : {"2147483647", "4294967301", "99999999999999999999"}) {
    ExpectRefused(std::string("P5 ") + width + " 4\n255\n" + samples,
                  "too large a number in the header");
    ExpectRefused(std::string("P5 4 ") + width + "\n255\n" + samples,
                  "too large a number in the header");
  }
  for (const char* size : {"0 4", "4 0", "0 0"}) {
    ExpectRefused(std::string("P5 ") + size + "\n255\n" + samples, "a size that PNG can't have");
  }
  ExpectRefused("P5 2000000000 4\n255\n" + samples, kNoRow);
  ExpectRefused("P6 2000000000 2000000000\n65535\n" + samples, kNoRow);
  ExpectRefused("P4\n2000000000 2000000000\n" + samples, kNoRow);
}

TEST(PngEncoderTest, OtherPamsAreRefused) {
  const std::string samples = Picture(5, 4, 4);
  auto expect = [&samples](const std::string& header, const std::string& why) {
    ExpectRefused("P7\nWIDTH 5\nHEIGHT 4\n" + header + "ENDHDR\n" + samples, why);
  };
  expect("DEPTH 4\nMAXVAL 255\nTUPLTYPE CMYK\n", "a TUPLTYPE that PNG doesn't have");
  expect("DEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALES\n", "a TUPLTYPE that PNG doesn't have");
  expect("DEPTH 4\nMAXVAL 255\n", "a DEPTH that isn't the TUPLTYPE's");
  expect("DEPTH 3\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\n", "a DEPTH that isn't the TUPLTYPE's");
  expect("MAXVAL 255\nTUPLTYPE RGB_ALPHA\n", "a DEPTH that isn't the TUPLTYPE's");
  expect("MAXVAL 255\n", "a DEPTH that isn't the TUPLTYPE's");
  expect("DEPTH 3\nTUPLTYPE RGB\n", "a maxval that isn't 1 to 65535");
  expect("COLOUR blue\n", "a damaged or incomplete header");
  expect("DEPTH three\n", "not a number in the header");
  ExpectRefused("P7\nWIDTH 5\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n" + samples,
                "a size that PNG can't have");
  ExpectRefused("P7\nWIDTH 5\nHEIGHT 4\n", "a damaged or incomplete header");
}

TEST(PngEncoderTest, OtherBmpsAreRefused) {
  for (uint32_t bits : {0, 2, 16, 48}) {
    std::string file = Bytes({}).bytes;
    file[28] = static_cast<char>(bits);
    ExpectRefused(file, "a BMP of other than 1, 4, 8, 24 or 32 bits a pixel");
  }
  for (uint32_t bits : {1, 4, 8, 24, 32}) {
    for (uint32_t compression : {1, 2, 3, 4, 11}) {
      if (bits == 32 && compression == 3) continue;
      ExpectRefused(Bytes({.bits = bits, .header = 52, .compression = compression}).bytes,
                    "a BMP of an unknown kind");
    }
  }
  for (size_t bit = 0; bit < kMasks.size() * 8; ++bit) {
    ExpectRefused(
        Bytes({.bits = 32, .header = 124, .compression = 3, .masks = FlipBit(kMasks, bit)}).bytes,
        "a BMP of unknown masks");
  }
  for (size_t size = 54; size < 66; ++size) {
    ExpectRefused(Bytes({.bits = 32, .header = 52, .compression = 3}).bytes.substr(0, size),
                  "a damaged or incomplete header");
  }
  std::string file = Bytes({}).bytes;
  file[14] = 12;
  ExpectRefused(file, "a BMP of an unknown kind");
  for (size_t size = 2; size < 54; ++size) {
    ExpectRefused(file.substr(0, size), "a damaged or incomplete header");
  }
  for (const auto& [width, height] : std::vector<std::pair<uint32_t, uint32_t>>{
           {0, 6}, {7, 0}, {0x80000000, 6}, {0xffffffff, 6}, {7, 0x80000000}}) {
    std::string damaged = Bytes({}).bytes;
    damaged.replace(18, 8, LittleEndian(width) + LittleEndian(height));
    ExpectRefused(damaged, "a size that PNG can't have");
  }
  for (uint32_t rows : {0xffffffffu, 194u}) {  // the latter leaves no whole row
    std::string damaged = Bytes({}).bytes;
    damaged.replace(10, 4, LittleEndian(rows));
    ExpectRefused(damaged, kNoRow);
  }
}

TEST(PngEncoderTest, PaddingThatIsNotZeroIsRefused) {
  const char kWhy[] = "padding of rows that isn't zero";
  for (const auto& [bits, padding] :
       std::vector<std::pair<uint32_t, uint32_t>>{{1, 3}, {4, 0}, {8, 1}, {24, 3}}) {
    for (uint32_t at = 0; at < padding; ++at) {
      std::string bytes(padding, '\0');
      bytes[at] = '\1';
      ExpectRefused(Bytes({.bits = bits, .padding = bytes}).bytes, kWhy);
    }
  }
  for (uint32_t bits : {1, 4}) {
    for (uint32_t width = 1; width <= 17; ++width) {
      const uint32_t used = width * bits % 8, row = (width * bits + 7) / 8;
      if (used == 0) continue;
      for (const File& file : {bits == 1 ? Pbm(width) : Bytes({.width = width, .bits = 4}),
                               Bytes({.width = width, .bits = bits})}) {
        const size_t last = file.rows + 2 * file.stride + row - 1;
        for (uint32_t bit = 0; bit < 8 - used; ++bit) {
          const std::string damaged = FlipBit(file.bytes, last * 8 + bit);
          ExpectRefused(damaged, kWhy);
          // What is in no whole row may be anything.
          if (row > 1) ExpectRestored({damaged, file.rows, file.stride, 6}, last, 5 * file.stride);
        }
        ExpectRestored({FlipBit(file.bytes, last * 8 + 8 - used), file.rows, file.stride, 6}, 0,
                       file.bytes.size());
      }
    }
  }
}

TEST(PngEncoderTest, ChunksWithoutAWholeRowAreRefused) {
  const File file = Netpbm("P6", 3, 255, std::string(100, 'x'));
  const size_t end = file.rows + 7 * file.stride;
  for (const auto& [offset, size] :
       std::vector<std::pair<size_t, size_t>>{{0, file.rows + file.stride - 1},
                                              {file.rows + 1, 2 * file.stride - 2},
                                              {end - file.stride + 1, file.stride + 99},
                                              {end, 100},
                                              {end, 0},
                                              {9999999, 0}}) {
    ExpectRefused(Encode(file.bytes + std::string(9999999, 'x'), offset, size), kNoRow);
  }
  ExpectRestored(file, file.rows + 1, 2 * file.stride - 1);
  const std::string head = file.bytes.substr(0, file.rows);
  ExpectRefused(RunGuest(kEncoder, {"--offset=100"}, file.bytes), "not a PNM, PAM or BMP file");
  ExpectRefused(RunGuest(kEncoder, {"--head=9999"}, file.bytes), "the input ends within the head");
  ExpectRefused(
      RunGuest(kEncoder, {"--head=" + std::to_string(head.size()), "--offset=9223372036854775807"},
               head + std::string(500, 'x')),
      kNoRow);
}

TEST(PngEncoderTest, AFlippedBitOfAHeadGivesAChunkBackOrIsRefused) {
  for (const File& file :
       {Pbm(9), Netpbm("P5", 1, 65535), Netpbm("RGB", 3, 255), Bytes({}), Bytes({.bits = 4}),
        Bytes({.bits = 32, .header = 108, .compression = 3})}) {
    for (size_t bit = 0; bit < file.rows * 8; bit += 3) {
      SCOPED_TRACE(bit);
      const std::string damaged = FlipBit(file.bytes, bit);
      for (size_t offset : {size_t{0}, file.rows + 1}) {
        const GuestRun run = Encode(damaged, offset, file.bytes.size());
        EXPECT_EQ(run.failure, "");
        if (run.exit_status == 0) {
          ExpectDecodes(kDecoder, run.output, {"--restore"}, damaged.substr(offset));
        } else {
          EXPECT_EQ(run.exit_status, 1u);
          EXPECT_EQ(run.output, "");
        }
      }
    }
  }
}

}  // namespace
}  // namespace vxa::decoders
