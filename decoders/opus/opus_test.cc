// What opus.vx accepts and refuses. The streams come from the host's libopus; what they must decode
// to says the decoder's own source as a 64-bit program, which the host's libopusfile, whose libopus
// computes with other instructions, must nearly agree with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opus/opus_multistream.h>
#include <opus/opusfile.h>

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

const std::string kGuest = "decoders/opus/opus";

struct Encoding {
  int channels = 2;
  int family = 0;
  int frames = 5000;        // samples of a channel, without the skipped ones
  int packet_frames = 960;  // samples of a channel in a packet
  int application = OPUS_APPLICATION_AUDIO;
  int bit_rate = 64000;
  int bandwidth = OPUS_AUTO;
  bool fec = false;
  int gain = 0;
  int pre_skip = 312;
  int64_t start = 0;  // granule position of the first sample
  int page = 50;      // packets on a page
  int serial = 1;
  bool silent = false;
};

std::string Encode(const Encoding& encoding) {
  int streams, coupled, error;
  unsigned char mapping[256];
  OpusMSEncoder* encoder =
      opus_multistream_surround_encoder_create(48000, encoding.channels, encoding.family, &streams,
                                               &coupled, mapping, encoding.application, &error);
  EXPECT_EQ(error, OPUS_OK);
  opus_multistream_encoder_ctl(encoder, OPUS_SET_BITRATE(encoding.bit_rate * encoding.channels));
  opus_multistream_encoder_ctl(encoder, OPUS_SET_BANDWIDTH(encoding.bandwidth));
  opus_multistream_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(encoding.fec));
  opus_multistream_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(encoding.fec ? 20 : 0));
  opus_multistream_encoder_ctl(encoder, OPUS_SET_DTX(encoding.silent));
  std::string head = "OpusHead\1";
  head += static_cast<char>(encoding.channels);
  for (int value : {encoding.pre_skip, 44100, 0, encoding.gain}) {
    head += static_cast<char>(value);
    head += static_cast<char>(value >> 8);
  }
  head += static_cast<char>(encoding.family);
  if (encoding.family != 0) {
    head += static_cast<char>(streams);
    head += static_cast<char>(coupled);
    head.append(reinterpret_cast<char*>(mapping), encoding.channels);
  }
  OggWriter ogg(encoding.serial);
  ogg.Add(head, 0, false);
  ogg.Flush();
  ogg.Add("OpusTags" + std::string("\4\0\0\0test\0\0\0\0", 12), 0, false);
  ogg.Flush();
  const int total = encoding.pre_skip + encoding.frames;
  const int packets = std::max(1, (total + encoding.packet_frames - 1) / encoding.packet_frames);
  auto tones = Tones(encoding.channels, packets * encoding.packet_frames);
  std::vector<float> input;
  for (int i = 0; i < packets * encoding.packet_frames; ++i) {
    for (const auto& tone : tones) input.push_back(encoding.silent ? 0 : tone[i]);
  }
  for (int i = 0; i < packets; ++i) {
    std::string packet(100000, '\0');
    const int length = opus_multistream_encode_float(
        encoder, input.data() + i * encoding.packet_frames * encoding.channels,
        encoding.packet_frames, reinterpret_cast<unsigned char*>(packet.data()),
        static_cast<int>(packet.size()));
    EXPECT_GT(length, 0);
    packet.resize(std::max(0, length));
    const bool is_last = i + 1 == packets;
    ogg.Add(packet, encoding.start + (is_last ? total : (i + 1) * encoding.packet_frames), is_last);
    if (i % encoding.page == encoding.page - 1) ogg.Flush();
  }
  ogg.Flush();
  opus_multistream_encoder_destroy(encoder);
  return ogg.bytes();
}

GuestRun Decode(const std::string& encoded, const std::vector<std::string>& arguments = {}) {
  return RunGuest(kGuest, arguments, encoded);
}

GuestRun Native(const std::string& encoded, const std::vector<std::string>& arguments = {}) {
  return RunNative("tools/benchmarks/guests/opus.m64", arguments, encoded);
}

// The samples that libopusfile makes of a stream, in Opus's order of channels.
std::vector<float> HostSamples(const std::string& encoded, int channels) {
  int error;
  OggOpusFile* file = op_open_memory(reinterpret_cast<const unsigned char*>(encoded.data()),
                                     encoded.size(), &error);
  EXPECT_EQ(error, 0);
  std::vector<float> samples, buffer(5760 * 8);
  for (int got; (got = op_read_float(file, buffer.data(), 5760 * 8, nullptr)) > 0;) {
    samples.insert(samples.end(), buffer.begin(), buffer.begin() + got * channels);
  }
  op_free(file);
  return samples;
}

void ExpectDecodesAll(const Encoding& encoding) {
  const std::string encoded = Encode(encoding);
  const int channels = encoding.channels;
  const uint32_t mask = encoding.family == 255 ? 0 : SpeakerMask(channels);
  for (bool is_float : {false, true}) {
    const std::vector<std::string> arguments(is_float ? 1 : 0, "--float");
    const GuestRun run = Decode(encoded, arguments), native = Native(encoded, arguments);
    EXPECT_EQ(run.failure + native.failure, "");
    EXPECT_EQ(run.exit_status, 0u);
    EXPECT_EQ(run.diagnostics, "");
    EXPECT_TRUE(run.output == native.output);
    std::string header = WavHeader(48000, channels, is_float, mask);
    if (channels <= 2 && encoding.family == 255) header.clear();  // known from native alone
    EXPECT_EQ(run.output.substr(0, header.size()), header);
    if (!is_float || encoding.family == 255) continue;
    ASSERT_EQ(run.output.size(), header.size() + 4 * channels * encoding.frames);
    const std::vector<float> host = HostSamples(encoded, channels);
    ASSERT_EQ(host.size(), static_cast<size_t>(channels * encoding.frames));
    float worst = 0;
    for (size_t i = 0; i < host.size(); ++i) {
      float ours;
      std::memcpy(&ours, run.output.data() + header.size() + 4 * i, 4);
      const size_t channel = i % channels;
      worst = std::max(worst, std::abs(ours - host[i - channel + OggPosition(channels, channel)]));
    }
    EXPECT_LE(worst, 1.0f / 4096);
  }
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "opus: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

std::string Joined(const std::vector<std::string>& pages) {
  std::string joined;
  for (const std::string& page : pages) joined += WithChecksum(page);
  return joined;
}

TEST(OpusDecoderTest, DecodesEveryNumberOfChannels) {
  for (int channels : {1, 2}) {
    SCOPED_TRACE(channels);
    ExpectDecodesAll({.channels = channels});
  }
  for (int channels = 1; channels <= 8; ++channels) {
    SCOPED_TRACE(channels);
    ExpectDecodesAll({.channels = channels, .family = 1, .frames = 700});
  }
  for (int channels : {3, 9}) {
    SCOPED_TRACE(channels);
    ExpectDecodesAll({.channels = channels, .family = 255, .frames = 1500});
  }
}

TEST(OpusDecoderTest, DecodesEveryPacketLength) {
  for (int frames : {120, 240, 480, 960, 1920, 2880, 3840, 4800, 5760}) {
    for (int application :
         {OPUS_APPLICATION_VOIP, OPUS_APPLICATION_AUDIO, OPUS_APPLICATION_RESTRICTED_LOWDELAY}) {
      SCOPED_TRACE(testing::Message() << frames << " " << application);
      ExpectDecodesAll(
          {.channels = 1, .frames = 5800, .packet_frames = frames, .application = application});
    }
  }
}

TEST(OpusDecoderTest, DecodesEveryBandwidthAndBitRate) {
  // The lower ones are SILK's, the higher ones CELT's, and both together between.
  for (int bandwidth :
       {OPUS_BANDWIDTH_NARROWBAND, OPUS_BANDWIDTH_MEDIUMBAND, OPUS_BANDWIDTH_WIDEBAND,
        OPUS_BANDWIDTH_SUPERWIDEBAND, OPUS_BANDWIDTH_FULLBAND}) {
    for (int bit_rate : {8000, 32000}) {
      SCOPED_TRACE(testing::Message() << bandwidth << " " << bit_rate);
      ExpectDecodesAll({.frames = 6000,
                        .application = OPUS_APPLICATION_VOIP,
                        .bit_rate = bit_rate,
                        .bandwidth = bandwidth,
                        .fec = true});
    }
  }
}

TEST(OpusDecoderTest, DecodesSilence) { ExpectDecodesAll({.frames = 20000, .silent = true}); }

TEST(OpusDecoderTest, SkipsTheBeginningAndCutsOffTheEnd) {
  for (int pre_skip : {0, 3840}) {
    for (int frames : {1, 648, 649, 2000}) {
      for (int page : {1, 3, 50}) {
        SCOPED_TRACE(testing::Message() << pre_skip << " " << frames << " " << page);
        ExpectDecodesAll({.channels = 1, .frames = frames, .pre_skip = pre_skip, .page = page});
      }
    }
  }
}

TEST(OpusDecoderTest, StreamsMayBeginAnywhere) {
  ExpectDecodesAll({.start = 123456789012, .page = 2});
}

TEST(OpusDecoderTest, AppliesTheGain) {
  for (int gain : {-256 * 12, -1, 1, 256 * 3, 256 * 30}) {
    SCOPED_TRACE(gain);
    const std::string encoded = Encode({.gain = gain});
    const GuestRun run = Decode(encoded);
    EXPECT_EQ(run.exit_status, 0u);
    EXPECT_TRUE(run.output == Native(encoded).output);
    if (gain <= 256 * 3) ExpectDecodesAll({.gain = gain});
  }
}

TEST(OpusDecoderTest, RoundsAndClips) {
  const std::string encoded = Encode({.channels = 1, .frames = 3000, .gain = 256 * 6});
  const std::string real = Decode(encoded, {"--float"}).output;
  const std::string header = WavHeader(48000, 1, true, 4);
  const std::vector<int16_t> samples = Samples16(Decode(encoded).output, 44);
  ASSERT_EQ(samples.size(), 3000u);
  for (size_t i = 0; i < samples.size(); ++i) {
    float value;
    std::memcpy(&value, real.data() + header.size() + 4 * i, 4);
    ASSERT_EQ(samples[i], std::clamp(std::nearbyintf(value * 32768), -32768.0f, 32767.0f)) << i;
  }
  EXPECT_EQ(*std::ranges::max_element(samples), 32767);
  EXPECT_EQ(*std::ranges::min_element(samples), -32768);
}

TEST(OpusDecoderTest, StreamsFollowEachOther) {
  const std::string a = Encode({}), b = Encode({.frames = 321, .pre_skip = 100, .serial = 2});
  GuestRun run = Decode(a + b + a);
  EXPECT_EQ(run.exit_status, 0u);
  const std::string first = Decode(a).output;
  EXPECT_TRUE(run.output == first + Decode(b).output.substr(44) + first.substr(44));
}

TEST(OpusDecoderTest, StreamsOfOtherChannelsThanTheFirstAreRefused) {
  const std::string a = Encode({});
  for (const Encoding& other :
       {Encoding{.channels = 1}, Encoding{.family = 255}, Encoding{.channels = 3, .family = 1}}) {
    GuestRun run = Decode(a + Encode(other));
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics,
                MatchesRegex("opus: a stream of another rate or other channels than the first, "
                             "at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == Decode(a).output);
  }
}

TEST(OpusDecoderTest, DamagedHeadersAreRefused) {
  std::vector<std::string> pages = Pages(Encode({.channels = 3, .family = 1, .frames = 100}));
  const size_t end = pages[0].size(), head = 28;
  const struct {
    size_t at;
    int value;
    const char* why;
  } kDamages[] = {{0, 'o', "not an Opus stream"},
                  {8, 16, "another version of Opus"},
                  {9, 0, "a damaged Opus header"},
                  {9, 4, "a damaged Opus header"},
                  {9, 9, "a damaged Opus header"},
                  {18, 0, "a damaged Opus header"},
                  {18, 2, "a mapping of channels other than family 0, 1 or 255"},
                  {19, 0, "a damaged Opus header"},
                  {20, 9, "a damaged Opus header"},
                  {21, 77, "a damaged Opus header"}};
  for (const auto& damage : kDamages) {
    SCOPED_TRACE(testing::Message() << damage.at << " " << damage.value);
    std::vector<std::string> damaged = pages;
    damaged[0][head + damage.at] = static_cast<char>(damage.value);
    ExpectRefused(Joined(damaged), damage.why, end);
  }
  pages.erase(pages.begin() + 1);
  EXPECT_EQ(Decode(Joined(pages)).exit_status, 1u);
}

TEST(OpusDecoderTest, BadGranulePositionsAreRefused) {
  const std::vector<std::string> pages = Pages(Encode({.frames = 9000, .page = 2}));
  ASSERT_GT(pages.size(), 4u);
  std::vector<std::string> changed = pages;
  changed[2].replace(6, 8, std::string("\1\0\0\0\0\0\0\0", 8));
  EXPECT_THAT(Decode(Joined(changed)).diagnostics,
              MatchesRegex("opus: a granule position before the beginning, .*\n"));
  changed[2].replace(6, 8, std::string(8, '\xff'));
  EXPECT_THAT(Decode(Joined(changed)).diagnostics,
              MatchesRegex("opus: a page without a granule position, .*\n"));
}

TEST(OpusDecoderTest, AMissingPageIsNoticed) {
  std::vector<std::string> pages = Pages(Encode({.frames = 9000, .page = 2}));
  pages.erase(pages.begin() + 3);
  EXPECT_THAT(Decode(Joined(pages)).diagnostics, MatchesRegex("opus: a page is missing, .*\n"));
}

TEST(OpusDecoderTest, OtherFormatsAreRefused) {
  ExpectRefused("", "the input is empty", 0);
  ExpectRefused(std::string(100, 'x'), "neither an Ogg page nor the end, or a damaged one", 0);
  OggWriter vorbis(1);
  vorbis.Add("\1vorbis and what else a header of Vorbis has", 0, true);
  vorbis.Flush();
  ExpectRefused(vorbis.bytes(), "not an Opus stream", vorbis.bytes().size());
}

TEST(OpusDecoderTest, JunkAfterTheStreamIsRefused) {
  const std::string encoded = Encode({}), wav = Decode(encoded).output;
  for (const std::string& junk :
       {std::string(1, '\0'), std::string("OggS"), std::string(500, 'x'), encoded.substr(0, 200)}) {
    GuestRun run = Decode(encoded + junk);
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("opus: .*, at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == wav);
  }
}

TEST(OpusDecoderTest, AStreamCutOffAnywhereIsRefusedAndWhatCameBeforeIsKept) {
  const std::string encoded = Encode({.channels = 1, .frames = 3000, .bit_rate = 12000, .page = 2});
  const std::string wav = Decode(encoded).output;
  for (size_t length = 0; length < encoded.size(); ++length) {
    SCOPED_TRACE(length);
    GuestRun run = Decode(encoded.substr(0, length));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("opus: .*, at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == wav.substr(0, run.output.size()));
  }
}

TEST(OpusDecoderTest, AFlippedBitIsNoticed) {
  const std::string encoded = Encode({.channels = 1, .frames = 2000, .bit_rate = 12000});
  for (size_t bit = 0; bit < encoded.size() * 8; bit += 3) {
    SCOPED_TRACE(bit);
    GuestRun run = Decode(FlipBit(encoded, bit));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("opus: .*, at byte [0-9]+ of the input\n"));
  }
}

TEST(OpusDecoderTest, AFlippedBitInAPageOfRightCheckValueDoesNoWorseThanAnError) {
  const std::vector<std::string> pages =
      Pages(Encode({.channels = 3, .family = 1, .frames = 700, .bit_rate = 12000}));
  for (size_t damaged = 0; damaged < pages.size(); ++damaged) {
    for (size_t bit = 0; bit < pages[damaged].size() * 8; bit += damaged < 2 ? 7 : 101) {
      if (bit / 8 == 26) continue;  // how many segments the page has, and so how long it is
      std::vector<std::string> changed = pages;
      changed[damaged] = FlipBit(pages[damaged], bit);
      SCOPED_TRACE(testing::Message() << damaged << " " << bit);
      GuestRun run = Decode(Joined(changed));
      EXPECT_EQ(run.failure, "");
      EXPECT_LE(run.exit_status, 1u);
    }
  }
}

TEST(OpusDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/opus/opus.vx"), 196608u);
}

TEST(OpusDecoderTest, GivesTheFirstSeconds) {
  const std::string encoded = Encode({.channels = 3, .family = 1, .frames = 120000});
  ExpectFirstSeconds(kGuest, encoded, {}, WavHeader(48000, 3, false, 7).size(), 48000 * 6);
}

}  // namespace
}  // namespace vxa::decoders
