// What png.vx --restore makes of PNGs whose chunk vxAW is as it should be, or isn't.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "decoders/png/files.h"
#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

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
  const std::string header = "P4\n9 6\n";
  EXPECT_NE(
      EncodeWhole(Pbm(9).bytes).find(PngChunk("vxAW", std::string("\0\0\0\0\0\7", 6) + header)),
      std::string::npos);
}

// Whatever a chunk vxAW says of a PNG's rows.
TEST(PngRestoreTest, RowsOfAnotherKindThanTheChunkSaysEndCleanly) {
  for (const File& file : {Pbm(9), Pbm(2000), Bytes({.width = 2000, .bits = 4}),
                           Netpbm("GRAYSCALE_ALPHA", 2, 255), Netpbm("RGB_ALPHA", 4, 65535)}) {
    const std::string encoded = EncodeWhole(file.bytes);
    const size_t kept = encoded.find("vxAW") - 4;
    for (char flags : {0, 1, 2, 3}) {
      const GuestRun run = RunGuest(
          kDecoder, {"--restore"},
          encoded.substr(0, kept) + PngChunk("vxAW", std::string(1, flags) + std::string(5, '\0')) +
              encoded.substr(encoded.find("IDAT") - 4));
      EXPECT_EQ(run.failure, "");
      EXPECT_LE(run.exit_status, 1u);
    }
  }
}

TEST(PngRestoreTest, AChunkThatIsNotAllThereIsNotGivenBack) {
  const auto [before, kept, after] = Split(EncodeWhole(Netpbm("P6", 3, 255).bytes));
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
  ExpectDecodes(kDecoder, all, {"--restore"}, Netpbm("P6", 3, 255).bytes);
  EXPECT_EQ(
      RunGuest(kDecoder, {"--restore"}, before + kept + PngChunk("PRIv", "x") + after).exit_status,
      1u);
}

TEST(PngRestoreTest, WhatIsCutOffIsRefused) {
  for (const std::string& file : {Netpbm("P6", 3, 255).bytes, Pbm(9).bytes}) {
    const std::string encoded = EncodeWhole(file);
    for (size_t length = 0; length < encoded.size(); ++length) {
      const GuestRun run = RunGuest(kDecoder, {"--restore"}, encoded.substr(0, length));
      EXPECT_EQ(run.failure, "");
      EXPECT_EQ(run.exit_status, 1u) << length;
      EXPECT_TRUE(run.output == file.substr(0, run.output.size()));
    }
  }
}

TEST(PngRestoreTest, EveryFlippedBitIsRefused) {
  for (const File& file : {Bytes({.bits = 32, .has_alpha = false}), Pbm(9)}) {
    const std::string encoded = EncodeWhole(file.bytes);
    for (size_t bit = 0; bit < encoded.size() * 8; bit += 5) {
      const GuestRun run = RunGuest(kDecoder, {"--restore"}, FlipBit(encoded, bit));
      EXPECT_EQ(run.failure, "");
      EXPECT_EQ(run.exit_status, 1u) << bit;
    }
  }
}

}  // namespace
}  // namespace vxa::decoders
