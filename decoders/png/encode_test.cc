// What png_encode.vx makes of image files of all kinds, cut anywhere: PNGs that the host's libpng
// reads, and that png.vx --restore turns back into the pieces.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

const std::string kEncoder = "decoders/png/png_encode", kDecoder = "decoders/png/png";
const char kNoRow[] = "no whole row in the chunk";

GuestRun Encode(const std::string& file, size_t offset, size_t size, size_t head = 65536) {
  head = std::min(head, file.size());
  std::vector<std::string> arguments = {"--head=" + std::to_string(head)};
  if (offset != 0) arguments.push_back("--offset=" + std::to_string(offset));
  return RunGuest(kEncoder, arguments, file.substr(0, head) + file.substr(offset, size));
}

std::string EncodeWhole(const std::string& file) { return RunGuest(kEncoder, {}, file).output; }

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

// A file with `height` rows of `stride` bytes, the first at `rows`.
struct File {
  std::string bytes;
  size_t rows, stride, height;
};

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

// PNM or PAM with 7 rows of 9 pixels, as Image() makes them.
File Netpbm(const std::string& type, int channels, int bytes, const std::string& after = "") {
  const size_t stride = 9 * channels * bytes;
  const std::string samples = Picture(9, 7, channels * bytes);
  const std::string image = Image(type, channels, 9, 7, bytes == 1 ? 255 : 65535, samples);
  return {image + after, image.size() - samples.size(), stride, 7};
}

struct Bmp {
  uint32_t width = 7, height = 6, bits = 24, header = 40, compression = 0;
  std::string palette = "", padding = "", after = "";
  bool has_alpha = true;
};

File Bytes(const Bmp& bmp) {
  const uint32_t height = static_cast<int32_t>(bmp.height) < 0 ? -bmp.height : bmp.height;
  const std::string padding =
      bmp.padding.empty() ? std::string(-(bmp.width * bmp.bits / 8) & 3, '\0') : bmp.padding;
  const size_t row = bmp.width * bmp.bits / 8, stride = row + padding.size();
  std::string samples = Picture(bmp.width, height, bmp.bits / 8), rows;
  if (!bmp.has_alpha) {
    for (size_t i = 3; i < samples.size(); i += 4) samples[i] = '\0';
  }
  for (uint32_t y = 0; y < height; ++y) rows += samples.substr(y * row, row) + padding;
  const uint32_t start = 14 + bmp.header + bmp.palette.size();
  return {"BM" + LittleEndian(start + rows.size()) + LittleEndian(0) + LittleEndian(start) +
              LittleEndian(bmp.header) + LittleEndian(bmp.width) + LittleEndian(bmp.height) +
              LittleEndian(1, 2) + LittleEndian(bmp.bits, 2) + LittleEndian(bmp.compression) +
              std::string(bmp.header - 20, '\0') + bmp.palette + rows + bmp.after,
          start, stride, height};
}

struct Kind {
  const char* type;
  int channels;
};
constexpr Kind kKinds[] = {{"P5", 1},  {"P6", 3},       {"GRAYSCALE", 1}, {"GRAYSCALE_ALPHA", 2},
                           {"RGB", 3}, {"RGB_ALPHA", 4}};

TEST(PngEncoderTest, EncodesEveryKindOfNetpbm) {
  for (const auto& [type, channels] : kKinds) {
    for (int bytes : {1, 2}) {
      SCOPED_TRACE(testing::Message() << type << " " << bytes);
      ExpectRestored(Netpbm(type, channels, bytes));
    }
  }
}

TEST(PngEncoderTest, ThePngHasTheRows) {
  for (const auto& [type, channels] : kKinds) {
    for (int bytes : {1, 2}) {
      const File file = Netpbm(type, channels, bytes);
      const std::string plain = channels == 1 ? "P5" : channels == 3 ? "P6" : type;
      const std::string samples = file.bytes.substr(file.rows);
      const int maxval = bytes == 1 ? 255 : 65535;
      const std::string whole = Image(plain, channels, 9, 7, maxval, samples);
      EXPECT_TRUE(ReadPng(EncodeWhole(file.bytes)) == whole) << type << " " << bytes;
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
  for (uint32_t bits : {8, 24, 32}) {
    for (uint32_t width : {1, 2, 3, 4, 7}) {
      SCOPED_TRACE(testing::Message() << bits << " bits, width " << width);
      ExpectRestored(Bytes({.width = width, .bits = bits}));
    }
    ExpectRestored(Bytes({.height = static_cast<uint32_t>(-5), .bits = bits}));
    ExpectRestored(Bytes({.bits = bits, .header = 124, .palette = Sample(90), .after = "after"}));
  }
  ExpectRestored(Bytes({.bits = 8, .palette = Sample(1024)}));
  ExpectRestored(Bytes({.bits = 32, .has_alpha = false}));
}

TEST(PngEncoderTest, ABmpsColoursAreInPngsOrder) {
  for (bool has_alpha : {false, true}) {
    for (uint32_t bits : {24u, 32u}) {
      const File file = Bytes({.width = 8, .bits = bits, .has_alpha = has_alpha || bits == 24});
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
  const File file = Netpbm("P6", 3, 1);
  const File longer = Netpbm("P6", 3, 1, file.bytes + "junk");
  ExpectRestored(longer);
  EXPECT_TRUE(ReadPng(EncodeWhole(longer.bytes)) == file.bytes);
  // More rows are said to be there than are.
  ExpectRestored({"P5 10 70000\n255\n" + Picture(10, 5, 1) + "cut", 16, 10, 5});
}

TEST(PngEncoderTest, WhatIsKeptMayBeLarge) {
  File file = Netpbm("P5", 1, 1);
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
       {std::string(), std::string("B"), std::string("P6"), std::string("P4\n5 4\n"),
        "P3\n5 4\n255\n" + Sample(100), Sample(300), std::string("\x89PNG\r\n\x1a\n")}) {
    ExpectRefused(file, "not a PNM, PAM or BMP file");
  }
  const std::string samples = Picture(5, 4, 4);
  for (const char* maxval : {"0", "1", "254", "256", "65534", "65536", "2147483639"}) {
    ExpectRefused(std::string("P5 5 4\n") + maxval + "\n" + samples,
                  "neither of 8 nor of 16 bits a sample");
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
  expect("DEPTH 3\nTUPLTYPE RGB\n", "neither of 8 nor of 16 bits a sample");
  expect("DEPTH 3\nMAXVAL 1\nTUPLTYPE RGB\n", "neither of 8 nor of 16 bits a sample");
  expect("COLOUR blue\n", "a damaged or incomplete header");
  expect("DEPTH three\n", "not a number in the header");
  ExpectRefused("P7\nWIDTH 5\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n" + samples,
                "a size that PNG can't have");
  ExpectRefused("P7\nWIDTH 5\nHEIGHT 4\n", "a damaged or incomplete header");
}

TEST(PngEncoderTest, OtherBmpsAreRefused) {
  for (uint32_t bits : {0, 1, 4, 16, 48}) {
    std::string file = Bytes({}).bytes;
    file[28] = static_cast<char>(bits);
    ExpectRefused(file, "a BMP of other than 8, 24 or 32 bits a pixel");
  }
  for (uint32_t compression : {1, 2, 3, 4, 11}) {
    ExpectRefused(Bytes({.compression = compression}).bytes, "a BMP of an unknown kind");
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
  ExpectRefused(Bytes({.padding = std::string("\0\1\0", 3)}).bytes,
                "bytes between rows that are not zeros");
}

TEST(PngEncoderTest, ChunksWithoutAWholeRowAreRefused) {
  const File file = Netpbm("P6", 3, 1, std::string(100, 'x'));
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
  for (const File& file : {Netpbm("P5", 1, 2), Netpbm("RGB", 3, 1), Bytes({})}) {
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

// A PNG's chunk with the right check value.
std::string PngChunk(const std::string& type, const std::string& data) {
  auto big_endian = [](uint32_t value) {
    const std::string bytes = LittleEndian(value);
    return std::string(bytes.rbegin(), bytes.rend());
  };
  uint32_t crc = ~0u;
  for (unsigned char byte : type + data) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(~crc);
}

// A PNG in parts: what comes before its chunk vxAW, that, and what comes after it.
struct Parts {
  std::string before, kept, after;
};

Parts Split(const std::string& encoded) {
  constexpr size_t kStart = 33;  // after IHDR
  const size_t end = encoded.find("IDAT") - 4;
  return {encoded.substr(0, kStart), encoded.substr(kStart, end - kStart), encoded.substr(end)};
}

TEST(PngRestoreTest, WhatIsKeptIsWrittenAsMainSays) {
  const auto [before, kept, after] = Split(EncodeWhole(Bytes({.width = 2, .after = "z"}).bytes));
  EXPECT_EQ(kept, PngChunk("vxAW", std::string("\1\2\0\0\0\66", 6) + kept.substr(14, 54) + "z"));
  EXPECT_EQ(kept.substr(14, 2), "BM");
}

TEST(PngRestoreTest, AChunkThatIsNotAllThereIsNotGivenBack) {
  const auto [before, kept, after] = Split(EncodeWhole(Netpbm("P6", 3, 1).bytes));
  auto expect = [](const std::string& encoded, const std::string& why) {
    const GuestRun run = RunGuest(kDecoder, {"--restore"}, encoded);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_EQ(run.diagnostics.substr(0, 5 + why.size()), "png: " + why);
    EXPECT_EQ(RunGuest(kDecoder, {}, encoded).exit_status, 0u);  // other decoding doesn't care
  };
  expect(before + after, "no vxAW chunk with what is not samples");
  expect(before + PngChunk("vxAw", "\0\0\0\0\0\0") + after, "no vxAW chunk");
  expect(before + kept + kept + after, "two vxAW chunks");
  const size_t end = after.size() - 12;
  expect(before + after.substr(0, end) + kept + after.substr(end), "no vxAW chunk");
  for (const std::string& data :
       {std::string(), std::string(5, '\0'), std::string("\0\0\0\0\0\1", 6),
        std::string("\0\0\xff\xff\xff\xffxyz", 9), std::string("\4\0\0\0\0\0", 6),
        std::string("\0\4\0\0\0\0", 6)}) {
    expect(before + PngChunk("vxAW", data) + after, "a damaged vxAW chunk");
  }
  // Chunks of others are passed over, critical ones aren't.
  const std::string all = before + PngChunk("prIv", "x") + kept + after;
  ExpectDecodes(kDecoder, all, {"--restore"}, Netpbm("P6", 3, 1).bytes);
  EXPECT_EQ(
      RunGuest(kDecoder, {"--restore"}, before + kept + PngChunk("PRIv", "x") + after).exit_status,
      1u);
}

TEST(PngRestoreTest, WhatIsCutOffIsRefused) {
  const std::string file = Netpbm("P6", 3, 1).bytes, encoded = EncodeWhole(file);
  for (size_t length = 0; length < encoded.size(); ++length) {
    const GuestRun run = RunGuest(kDecoder, {"--restore"}, encoded.substr(0, length));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u) << length;
    EXPECT_TRUE(run.output == file.substr(0, run.output.size()));
  }
}

TEST(PngRestoreTest, EveryFlippedBitIsRefused) {
  const std::string file = Bytes({.bits = 32, .has_alpha = false}).bytes;
  const std::string encoded = EncodeWhole(file);
  for (size_t bit = 0; bit < encoded.size() * 8; bit += 5) {
    const GuestRun run = RunGuest(kDecoder, {"--restore"}, FlipBit(encoded, bit));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u) << bit;
  }
}

}  // namespace
}  // namespace vxa::decoders
