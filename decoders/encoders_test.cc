// What the encoders that take any chunk make of it: the bytes that the host's library, which shares
// no object with the guest, makes too, and that the decoder gives back.
#include <brotli/encode.h>
#include <bzlib.h>
#include <gtest/gtest.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

const uint8_t* Bytes(const std::string& chunk) {
  return reinterpret_cast<const uint8_t*>(chunk.data());
}

uint8_t* Bytes(std::string& encoded) { return reinterpret_cast<uint8_t*>(encoded.data()); }

// Room for every encoder.
std::string Room(const std::string& chunk) {
  return std::string(chunk.size() + chunk.size() / 50 + 1000, '\0');
}

std::string Zlib(const std::string& chunk) {
  std::string encoded = Room(chunk);
  uLongf size = encoded.size();
  EXPECT_EQ(compress2(Bytes(encoded), &size, Bytes(chunk), chunk.size(), 6), Z_OK);
  return encoded.substr(0, size);
}

std::string Bzip2(const std::string& chunk) {
  std::string encoded = Room(chunk);
  auto size = static_cast<unsigned>(encoded.size());
  const int block = std::clamp(static_cast<int>((chunk.size() + 99'999) / 100'000), 1, 9);
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(encoded.data(), &size, const_cast<char*>(chunk.data()),
                                     static_cast<unsigned>(chunk.size()), block, 0, 0),
            BZ_OK);
  return encoded.substr(0, size);
}

std::string Zstd(const std::string& chunk) {
  std::string encoded = Room(chunk);
  const size_t size = ZSTD_compress(encoded.data(), encoded.size(), chunk.data(), chunk.size(), 3);
  EXPECT_FALSE(ZSTD_isError(size));
  return encoded.substr(0, size);
}

std::string Xz(const std::string& chunk) {
  lzma_options_lzma options;
  EXPECT_FALSE(lzma_lzma_preset(&options, 6));
  options.dict_size = std::max<uint32_t>(static_cast<uint32_t>(chunk.size()), LZMA_DICT_SIZE_MIN);
  lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA2, .options = &options},
                           {.id = LZMA_VLI_UNKNOWN, .options = nullptr}};
  std::string encoded = Room(chunk);
  size_t size = 0;
  EXPECT_EQ(lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, nullptr, Bytes(chunk), chunk.size(),
                                      Bytes(encoded), &size, encoded.size()),
            LZMA_OK);
  return encoded.substr(0, size);
}

std::string Brotli(const std::string& chunk) {
  std::string encoded = Room(chunk);
  size_t size = encoded.size();
  EXPECT_EQ(BrotliEncoderCompress(9, 22, BROTLI_MODE_GENERIC, chunk.size(), Bytes(chunk), &size,
                                  Bytes(encoded)),
            BROTLI_TRUE);
  return encoded.substr(0, size);
}

std::string Lz4(const std::string& chunk) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockSizeID = LZ4F_max4MB;
  preferences.frameInfo.contentSize = chunk.size();
  preferences.compressionLevel = 9;
  std::string encoded(LZ4F_compressFrameBound(chunk.size(), &preferences), '\0');
  const size_t size =
      LZ4F_compressFrame(encoded.data(), encoded.size(), chunk.data(), chunk.size(), &preferences);
  EXPECT_FALSE(LZ4F_isError(size));
  return encoded.substr(0, size);
}

struct Encoder {
  std::string name;
  std::string (*on_host)(const std::string& chunk);
};

class EncodersTest : public testing::TestWithParam<Encoder> {
 protected:
  static std::string Guest() { return "decoders/" + GetParam().name + "/" + GetParam().name; }

  static std::string Encode(const std::string& chunk) {
    const GuestRun run = RunGuest(Guest() + "_encode", {}, chunk);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 0u);
    EXPECT_EQ(run.diagnostics, "");
    return run.output;
  }

  static void ExpectEncodes(const std::string& chunk) {
    const std::string encoded = Encode(chunk);
    ExpectDecodes(Guest(), encoded, {}, chunk);
    const std::string on_host = GetParam().on_host(chunk);
    EXPECT_TRUE(encoded == on_host) << encoded.size() << " bytes, on the host " << on_host.size();
  }
};

INSTANTIATE_TEST_SUITE_P(All, EncodersTest,
                         testing::Values(Encoder{"brotli", Brotli}, Encoder{"bzip2", Bzip2},
                                         Encoder{"lz4", Lz4}, Encoder{"xz", Xz},
                                         Encoder{"zlib", Zlib}, Encoder{"zstd", Zstd}),
                         [](const auto& info) { return info.param.name; });

TEST_P(EncodersTest, EncodesTheEmptyChunk) { ExpectEncodes(""); }

TEST_P(EncodersTest, EncodesOneByte) { ExpectEncodes("x"); }

TEST_P(EncodersTest, EncodesWhatIsLikeText) { ExpectEncodes(Sample(110'000)); }

TEST_P(EncodersTest, EncodesWhatDoesNotCompress) { ExpectEncodes(Noise(50'000)); }

TEST_P(EncodersTest, EncodesWhatRepeats) {
  std::string chunk;
  while (chunk.size() < 50'000) chunk += "twelve bytes";
  ExpectEncodes(chunk);
  EXPECT_LT(Encode(chunk).size(), 300u);
}

// What reads the chunk is the same in all.
TEST(ChunkTest, MayBeLargerThanUsual) {
  const std::string chunk = Sample(100'000) + std::string(4'200'000, '\0');
  const GuestRun run = RunGuest("decoders/zstd/zstd_encode", {}, chunk);
  EXPECT_EQ(run.exit_status, 0u);
  EXPECT_TRUE(run.output == Zstd(chunk));
}

}  // namespace
}  // namespace vxa::decoders
