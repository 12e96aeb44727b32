// WAV files of all kinds, cut anywhere: what the encoder makes of each piece, the decoder turns back
// into it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

constexpr char kEncoder[] = "decoders/flac/flac_encode";
constexpr char kDecoder[] = "decoders/flac/flac";

std::string Le(uint64_t value, int bytes) {
  std::string out;
  for (; bytes > 0; --bytes, value >>= 8) out.push_back(static_cast<char>(value));
  return out;
}

std::string Chunk(const std::string& id, const std::string& body) {
  return id + Le(body.size(), 4) + body + std::string(body.size() % 2, '\0');
}

std::string Format(int encoding, int channels, int bits, int rate = 44100) {
  const int frame = channels * ((bits + 7) / 8);
  return Le(encoding, 2) + Le(channels, 2) + Le(rate, 4) + Le(uint64_t{1} * rate * frame, 4) +
         Le(frame, 2) + Le(bits, 2);
}

std::string Extensible(int channels, int bits, unsigned mask, int encoding = 1) {
  return Format(0xfffe, channels, bits) + Le(22, 2) + Le(bits, 2) + Le(mask, 4) + Le(encoding, 2) +
         std::string("\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 14);
}

std::string Samples(size_t size) {
  std::string samples;
  for (size_t i = 0; i < size; ++i) samples.push_back(static_cast<char>(i * i / 90 + i % 5));
  return samples;
}

std::string Riff(const std::string& chunks) {
  return "RIFF" + Le(4 + chunks.size(), 4) + "WAVE" + chunks;
}

std::string Wav(const std::string& format, const std::string& samples) {
  return Riff(Chunk("fmt ", format) + Chunk("data", samples));
}

// The piece of `file` from `offset` on, encoded.
GuestRun Encode(const std::string& file, size_t offset, size_t size, size_t head) {
  head = std::min(head, file.size());
  std::vector<std::string> arguments = {"--head=" + std::to_string(head)};
  if (offset != 0) arguments.push_back("--offset=" + std::to_string(offset));
  return RunGuest(kEncoder, arguments, file.substr(0, head) + file.substr(offset, size));
}

// `file` in pieces of `size` bytes; how many of them were encoded, and not refused.
int ExpectComesBackInPiecesOf(size_t size, const std::string& file, size_t head = 1000) {
  int encoded = 0;
  for (size_t offset = 0; offset < file.size(); offset += size) {
    const std::string piece = file.substr(offset, size);
    SCOPED_TRACE("offset " + std::to_string(offset) + ", " + std::to_string(size) + " bytes");
    GuestRun run = Encode(file, offset, size, head);
    EXPECT_EQ(run.failure, "");
    if (run.exit_status != 0) {
      EXPECT_EQ(run.exit_status, 1u);
      EXPECT_TRUE(run.diagnostics.starts_with("flac_encode: ")) << run.diagnostics;
      continue;
    }
    ++encoded;
    GuestRun restored = RunGuest(kDecoder, {"--restore"}, run.output);
    EXPECT_EQ(restored.diagnostics, "");
    EXPECT_EQ(restored.exit_status, 0u);
    EXPECT_TRUE(restored.output == piece);
    // Playable: without the argument it is a WAV file of the whole samples.
    EXPECT_EQ(RunGuest(kDecoder, {}, run.output).exit_status, 0u);
  }
  return encoded;
}

void ExpectComesBack(const std::string& file) {
  EXPECT_EQ(ExpectComesBackInPiecesOf(file.size(), file), 1);
  for (size_t size : {5000, 3331, 1501}) EXPECT_GT(ExpectComesBackInPiecesOf(size, file), 1);
}

void ExpectRefused(const std::string& file, const std::string& why, size_t head = 1000) {
  GuestRun run = Encode(file, 0, file.size(), head);
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.output, "");
  EXPECT_EQ(run.diagnostics, "flac_encode: " + why + "\n");
}

TEST(FlacEncodeTest, KeepsChunksBeforeAndAfterTheSamples) {
  ExpectComesBack(Riff(Chunk("bext", std::string(603, 'b')) + Chunk("fmt ", Format(1, 2, 16)) +
                       Chunk("data", Samples(8000)) + Chunk("LIST", "INFOISFT\4\0\0\0abc")));
}

TEST(FlacEncodeTest, KeepsAFormatOf18Bytes) {
  ExpectComesBack(Wav(Format(1, 2, 16) + Le(0, 2), Samples(8000)));
}

TEST(FlacEncodeTest, KeepsTheSizesOfStreams) {
  for (uint64_t size : {uint64_t{0}, uint64_t{0xffffffff}, uint64_t{0x7ffff000}}) {
    ExpectComesBack("RIFF" + Le(size, 4) + "WAVE" + Chunk("fmt ", Format(1, 2, 16)) + "data" +
                    Le(size, 4) + Samples(8001));
  }
}

TEST(FlacEncodeTest, KeepsWhatFollowsTheFile) {
  ExpectComesBack(Wav(Format(1, 2, 16), Samples(8000)) + "ID3 and more");
}

TEST(FlacEncodeTest, KeepsOddLengthsAndTheirPadding) {
  ExpectComesBack(Wav(Format(1, 1, 8), Samples(8001)));
  ExpectComesBack(Wav(Format(1, 2, 16), Samples(8003)));
  ExpectComesBack(Wav(Format(1, 1, 24), Samples(8002)));
}

TEST(FlacEncodeTest, TakesEveryWidth) {
  for (int bits : {8, 12, 16, 20, 24, 32}) ExpectComesBack(Wav(Format(1, 2, bits), Samples(8008)));
}

TEST(FlacEncodeTest, TakesOneToEightChannels) {
  for (int channels = 1; channels <= 8; ++channels) {
    ExpectComesBack(Wav(Format(1, channels, 16), Samples(16'016)));
  }
}

TEST(FlacEncodeTest, TakesTheExtensibleFormat) {
  ExpectComesBack(Wav(Extensible(6, 16, 0x3f), Samples(9000)));
  ExpectComesBack(Wav(Extensible(1, 24, 4), Samples(9000)));
}

TEST(FlacEncodeTest, TakesOddRates) {
  for (int rate : {1, 7919, 96'001, 655'350, 1'048'575}) {
    ExpectComesBack(Wav(Format(1, 1, 16, rate), Samples(8000)));
  }
}

TEST(FlacEncodeTest, RefusesWhatFlacDoesNotHave) {
  ExpectRefused(Wav(Format(3, 2, 32), Samples(800)), "the samples aren't integers");
  ExpectRefused(Wav(Extensible(2, 32, 3, 3), Samples(800)), "the samples aren't integers");
  ExpectRefused(Wav(Format(1, 9, 16), Samples(900)), "FLAC has 1 to 8 channels");
  ExpectRefused(Wav(Format(1, 2, 64), Samples(800)), "samples of more than 32 bits");
  ExpectRefused(Wav(Format(1, 2, 16, 1'048'576), Samples(800)), "a rate that FLAC doesn't have");
  ExpectRefused(Wav(Format(1, 2, 16, 0), Samples(800)), "a rate that FLAC doesn't have");
}

TEST(FlacEncodeTest, RefusesHeadersThatMakeNoSense) {
  ExpectRefused("RIFF", "not a WAV file");
  ExpectRefused("RIFF....WEBPVP8 ", "not a WAV file");
  ExpectRefused(Riff(""), "the samples begin later than the head ends");
  ExpectRefused(Wav(Format(1, 0, 16), "abcd"), "FLAC has 1 to 8 channels");
  ExpectRefused(Wav(Format(1, 2, 16).substr(0, 14), "abcd"), "a fmt chunk of less than 16 bytes");
  std::string uneven = Format(1, 3, 16);
  uneven[12] = 7;
  ExpectRefused(Wav(uneven, Samples(70)), "channels don't share a sample evenly");
  ExpectRefused(Riff(Chunk("data", Samples(80)) + Chunk("fmt ", Format(1, 2, 16))),
                "no fmt chunk before the samples");
  ExpectRefused(Wav(Format(1, 2, 16), "abc"), "the chunk has no whole sample");
  const std::string whole = Wav(Format(1, 2, 16), Samples(80));
  for (size_t head : {20, 30, 36, 43}) {
    ExpectRefused(whole, "the samples begin later than the head ends", head);
  }
  GuestRun run = RunGuest(kEncoder, {"--head=100"}, whole.substr(0, 99));
  EXPECT_EQ(run.diagnostics, "flac_encode: the input is shorter than the head\n");
}

TEST(FlacEncodeTest, EndsCleanlyWhateverTheHeaderSays) {
  const std::string file = Wav(Extensible(2, 16, 3), Samples(100));
  for (size_t bit = 0; bit < 68 * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    SCOPED_TRACE("bit " + std::to_string(bit));
    ExpectComesBackInPiecesOf(damaged.size(), damaged);
  }
}

TEST(FlacEncodeTest, TakesNoOtherArguments) {
  for (const char* argument : {"--head=x", "--offset=-1", "--best"}) {
    EXPECT_EQ(RunGuest(kEncoder, {argument}, "").exit_status, 2u);
  }
}

}  // namespace
}  // namespace vxa::decoders
