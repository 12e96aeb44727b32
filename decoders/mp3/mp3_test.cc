// What mp3.vx accepts and refuses. The streams come from the host's LAME and TwoLAME, those of
// layer I, for which there is no encoder, are noise; what they must decode to says the decoder's
// own source as a 64-bit program, with upstream's SSE code of 64 bits. The host's libmpg123, in
// plain C, adds in another order and must nearly agree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lame/lame.h>
#include <mpg123.h>
#include <twolame.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "decoders/audio/testing.h"
#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"
#include "decoders/testing/run_native.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;

const std::string kGuest = "decoders/mp3/mp3";

struct Encoding {
  int channels = 2;
  int rate = 44100;
  int bit_rate = 128;  // kbit/s
  vbr_mode vbr = vbr_off;
  MPEG_mode mode = NOT_SET;  // of stereo
  bool tag = true;           // Xing's or LAME's, which says how long the stream is
  bool crc = false;
  bool free_format = false;
  int frames = 6000;  // samples of a channel
};

std::string Encode(const Encoding& encoding) {
  lame_t lame = lame_init();
  lame_set_num_channels(lame, encoding.channels);
  lame_set_in_samplerate(lame, encoding.rate);
  lame_set_out_samplerate(lame, encoding.rate);
  lame_set_VBR(lame, encoding.vbr);
  lame_set_brate(lame, encoding.bit_rate);
  if (encoding.channels == 1) lame_set_mode(lame, MONO);
  if (encoding.mode != NOT_SET) lame_set_mode(lame, encoding.mode);
  lame_set_bWriteVbrTag(lame, encoding.tag);
  lame_set_error_protection(lame, encoding.crc);
  lame_set_free_format(lame, encoding.free_format);
  lame_set_write_id3tag_automatic(lame, 0);
  EXPECT_GE(lame_init_params(lame), 0);
  const auto tones = Tones(encoding.channels, encoding.frames);
  std::string encoded(100000, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(encoded.data());
  int length = lame_encode_buffer_ieee_float(lame, tones.front().data(), tones.back().data(),
                                             encoding.frames, bytes, 100000);
  EXPECT_GE(length, 0);
  length += lame_encode_flush(lame, bytes + length, 100000 - length);
  if (encoding.tag) lame_get_lametag_frame(lame, bytes, 100000);
  encoded.resize(length);
  lame_close(lame);
  return encoded;
}

std::string EncodeLayer2(int channels, int rate, int bit_rate) {
  twolame_options* options = twolame_init();
  twolame_set_num_channels(options, channels);
  twolame_set_mode(options, channels == 1 ? TWOLAME_MONO : TWOLAME_AUTO_MODE);
  twolame_set_in_samplerate(options, rate);
  twolame_set_out_samplerate(options, rate);
  twolame_set_bitrate(options, bit_rate);
  EXPECT_EQ(twolame_init_params(options), 0);
  const auto tones = Tones(channels, 6000);
  std::string encoded(100000, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(encoded.data());
  int length = twolame_encode_buffer_float32(options, tones.front().data(), tones.back().data(),
                                             6000, bytes, 100000);
  length += twolame_encode_flush(options, bytes + length, 100000 - length);
  encoded.resize(length);
  twolame_close(&options);
  return encoded;
}

GuestRun Decode(const std::string& encoded, const std::vector<std::string>& arguments = {}) {
  return RunGuest(kGuest, arguments, encoded);
}

// What the host's libmpg123 makes of it.
std::vector<float> HostSamples(const std::string& encoded) {
  static const int initialized = mpg123_init();
  EXPECT_EQ(initialized, 0);
  mpg123_handle* decoder = mpg123_new("generic", nullptr);
  mpg123_param(decoder, MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_FORCE_FLOAT, 0);
  mpg123_open_feed(decoder);
  mpg123_feed(decoder, reinterpret_cast<const unsigned char*>(encoded.data()), encoded.size());
  std::vector<float> samples, buffer(10000);
  for (;;) {
    size_t got = 0;
    const int result = mpg123_read(decoder, reinterpret_cast<unsigned char*>(buffer.data()),
                                   buffer.size() * 4, &got);
    samples.insert(samples.end(), buffer.begin(), buffer.begin() + got / 4);
    if (result != MPG123_OK && result != MPG123_NEW_FORMAT) break;
  }
  mpg123_delete(decoder);
  return samples;
}

// `frames`, if any, is the number of samples of a channel that must come out.
void ExpectDecodesAll(const std::string& encoded, int rate, int channels, int frames = -1) {
  for (bool is_float : {false, true}) {
    const std::vector<std::string> arguments(is_float ? 1 : 0, "--float");
    const GuestRun run = Decode(encoded, arguments);
    const GuestRun native = RunNative("tools/benchmarks/guests/mp3.m64", arguments, encoded);
    EXPECT_EQ(run.failure + native.failure, "");
    EXPECT_EQ(run.exit_status, 0u);
    EXPECT_EQ(run.diagnostics, "");
    EXPECT_TRUE(run.output == native.output);
    const std::string header = WavHeader(rate, channels, is_float, channels == 1 ? 4 : 3);
    EXPECT_EQ(run.output.substr(0, header.size()), header);
    if (frames >= 0) {
      EXPECT_EQ(run.output.size(), header.size() + (is_float ? 4 : 2) * channels * frames);
    }
    if (!is_float) continue;
    // The host waits for another frame after the last, which only LAME's tag spares it.
    const std::vector<float> host = HostSamples(encoded);
    const size_t samples = (run.output.size() - header.size()) / 4;
    EXPECT_GE(samples, host.size());
    EXPECT_LE(samples, host.size() + 1152u * channels);
    EXPECT_GT(host.size(), 0u);
    double worst = 0, squares = 0;
    const size_t compared = std::min(host.size(), samples);
    for (size_t i = 0; i < compared; ++i) {
      float ours;
      std::memcpy(&ours, run.output.data() + header.size() + 4 * i, 4);
      const double difference = std::abs(double{ours} - host[i]);
      worst = std::max(worst, difference);
      squares += difference * difference;
    }
    // ISO/IEC 11172-4 calls 2^-14 and 2^-15 / sqrt(12) full accuracy.
    EXPECT_LE(worst, 0x1p-18);
    EXPECT_LE(std::sqrt(squares / compared), 0x1p-21);
  }
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "mp3: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

const char kNoFrame[] = "neither a frame, of a known length, nor a tag nor the end";

TEST(Mp3DecoderTest, DecodesEveryRate) {
  for (int rate : {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}) {
    for (int channels : {1, 2}) {
      SCOPED_TRACE(testing::Message() << rate << " " << channels);
      ExpectDecodesAll(Encode({.channels = channels, .rate = rate, .bit_rate = 64}), rate, channels,
                       6000);
    }
  }
}

TEST(Mp3DecoderTest, DecodesEveryBitRate) {
  for (int bit_rate : {32, 64, 96, 160, 256, 320}) {
    SCOPED_TRACE(bit_rate);
    // Smaller frames have no room for the tag.
    ExpectDecodesAll(Encode({.bit_rate = bit_rate}), 44100, 2, bit_rate < 64 ? -1 : 6000);
  }
  for (vbr_mode mode : {vbr_abr, vbr_mtrh, vbr_rh}) {
    ExpectDecodesAll(Encode({.vbr = mode, .frames = 9000}), 44100, 2, 9000);
  }
}

TEST(Mp3DecoderTest, DecodesEveryKindOfStereo) {
  for (MPEG_mode mode : {STEREO, JOINT_STEREO, MONO}) {
    for (bool crc : {false, true}) {
      SCOPED_TRACE(testing::Message() << mode << " " << crc);
      ExpectDecodesAll(Encode({.mode = mode, .crc = crc}), 44100, mode == MONO ? 1 : 2, 6000);
    }
  }
}

TEST(Mp3DecoderTest, GivesAllSamplesWithoutATag) {
  const std::string encoded = Encode({.tag = false});
  ExpectDecodesAll(encoded, 44100, 2);
  EXPECT_GE(Decode(encoded).output.size(), 44u + 6000 * 4);
}

TEST(Mp3DecoderTest, DecodesLayer2) {
  for (int rate : {16000, 22050, 24000, 32000, 44100, 48000}) {
    for (int channels : {1, 2}) {
      for (int bit_rate : {64}) {
        SCOPED_TRACE(testing::Message() << rate << " " << channels << " " << bit_rate);
        ExpectDecodesAll(EncodeLayer2(channels, rate, bit_rate), rate, channels);
      }
    }
  }
}

TEST(Mp3DecoderTest, DecodesLayer1) {
  // Frames of 32 kbit/s at 48 kHz; all that is in them is noise.
  std::string encoded;
  uint32_t noise = 1;
  for (int i = 0; i < 30; ++i) {
    std::string frame = "\xff\xff\x14\xc0";
    while (frame.size() < 32) {
      noise = noise * 1664525u + 1013904223u;
      frame += static_cast<char>(noise >> 24 & 0x7f & (frame.size() < 20 ? 0x11 : 0x7f));
    }
    encoded += frame;
  }
  ExpectDecodesAll(encoded, 48000, 1, 30 * 384);
}

TEST(Mp3DecoderTest, SkipsTags) {
  const std::string encoded = Encode({}), wav = Decode(encoded).output;
  const std::string id3v1 = "TAG" + std::string(125, ' ');
  const std::string id3v2 = std::string("ID3\4\0\0\0\1\1\1", 10) + std::string(16513, '\xff');
  const std::string footer = std::string("ID3\4\0\x10\0\0\0\1", 10) + std::string(11, 'x');
  const std::string ape = std::string("APETAGEX\xd0\7\0\0\x41\0\0\0\1\0\0\0\0\0\0\xa0", 24) +
                          std::string(8, '\0') + std::string(65, 'y');
  for (const std::string& tagged :
       {id3v2 + encoded, encoded + id3v1, encoded + ape + id3v1, ape + footer + encoded,
        id3v2 + footer + encoded + id3v2 + ape}) {
    ExpectDecodes(kGuest, tagged, {}, wav);
  }
  ExpectRefused(encoded + id3v1.substr(0, 127), "the input ends within a tag",
                encoded.size() + 127);
  EXPECT_THAT(Decode(id3v2).diagnostics, MatchesRegex("mp3: no frames, .*\n"));
}

TEST(Mp3DecoderTest, StreamsOfAnotherFormatThanTheFirstAreRefused) {
  const std::string encoded = Encode({.tag = false});
  for (const Encoding& other : {Encoding{.channels = 1}, Encoding{.rate = 48000}}) {
    GuestRun run = Decode(encoded + Encode(other));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("mp3: a frame of another rate or number of channels "
                                              "than the first, at byte [0-9]+ of the input\n"));
  }
  EXPECT_TRUE(Decode(encoded + encoded).output.starts_with(Decode(encoded).output));
}

TEST(Mp3DecoderTest, OtherFormatsAreRefused) {
  ExpectRefused("", "the input is empty", 0);
  ExpectRefused("RIFF....WAVE", kNoFrame, 0);
  ExpectRefused("\xff\xfb", "neither a frame nor the end", 0);
  ExpectRefused(Encode({.bit_rate = 200, .tag = false, .free_format = true}), kNoFrame, 0);
}

TEST(Mp3DecoderTest, JunkAfterTheStreamIsRefusedAtItsPlace) {
  const std::string encoded = Encode({}), wav = Decode(encoded).output;
  for (const std::string& junk :
       {std::string(4, '\0'), std::string("junk"), std::string(500, 'x')}) {
    ExpectRefused(encoded + junk, kNoFrame, encoded.size());
    EXPECT_TRUE(Decode(encoded + junk).output == wav);
  }
}

TEST(Mp3DecoderTest, AStreamCutOffWithinAFrameIsRefusedAndWhatCameBeforeIsKept) {
  const std::string encoded =
      Encode({.channels = 1, .rate = 16000, .bit_rate = 8, .tag = false, .frames = 3000});
  const std::string wav = Decode(encoded).output;
  const size_t frame = 36;  // 72 * 8000 / 16000 bytes
  ASSERT_EQ(encoded.size() % frame, 0u);
  for (size_t length = 0; length < encoded.size(); ++length) {
    SCOPED_TRACE(length);
    GuestRun run = Decode(encoded.substr(0, length));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, length % frame == 0 && length > 0 ? 0u : 1u);
    EXPECT_TRUE(run.output == wav.substr(0, run.output.size()));
  }
}

TEST(Mp3DecoderTest, NoFlippedBitDoesWorseThanAnError) {
  // There are no check values to tell other output by.
  const std::string encoded = Encode({.rate = 16000, .bit_rate = 24, .frames = 2000}) +
                              EncodeLayer2(1, 48000, 32).substr(0, 192);
  for (size_t bit = 0; bit < encoded.size() * 8; bit += 101) {
    GuestRun run = Decode(FlipBit(encoded, bit));
    SCOPED_TRACE(bit);
    EXPECT_EQ(run.failure, "");
    EXPECT_LE(run.exit_status, 1u);
  }
}

TEST(Mp3DecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/mp3/mp3.vx"), 196608u);
}

TEST(Mp3DecoderTest, GivesTheFirstSeconds) {
  const std::string encoded = Encode({.rate = 16000, .bit_rate = 24, .frames = 40000});
  ExpectFirstSeconds(kGuest, encoded, {}, 44, 16000 * 4);
  ExpectFirstSeconds(kGuest, encoded, {"--float"}, WavHeader(16000, 2, true, 3).size(), 16000 * 8);
}

}  // namespace
}  // namespace vxa::decoders
