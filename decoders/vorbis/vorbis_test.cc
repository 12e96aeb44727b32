// What vorbis.vx accepts and refuses. The streams come from the host's libvorbisenc; what they must
// decode to says the decoder's own source as a 64-bit program, which the host's libvorbisfile,
// compiled to compute less exactly, must agree with up to one step of 16 bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vorbis/vorbisenc.h>
#include <vorbis/vorbisfile.h>

#include <algorithm>
#include <cstdlib>
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

const std::string kGuest = "decoders/vorbis/vorbis";

struct Encoding {
  unsigned channels = 2;
  unsigned rate = 44100;
  float quality = 0.3f;
  unsigned frames = 5000;  // samples of a channel
  int serial = 1;
  size_t picture = 0;  // bytes of a comment
};

std::string Encode(const Encoding& encoding) {
  vorbis_info info;
  vorbis_comment comment;
  vorbis_dsp_state dsp;
  vorbis_block block;
  vorbis_info_init(&info);
  EXPECT_EQ(vorbis_encode_init_vbr(&info, encoding.channels, encoding.rate, encoding.quality), 0);
  vorbis_comment_init(&comment);
  vorbis_comment_add_tag(&comment, "TITLE", "tones");
  vorbis_comment_add_tag(&comment, "PICTURE", std::string(encoding.picture, 'x').c_str());
  vorbis_analysis_init(&dsp, &info);
  vorbis_block_init(&dsp, &block);
  OggWriter ogg(encoding.serial);
  ogg_packet packet[3];
  vorbis_analysis_headerout(&dsp, &comment, &packet[0], &packet[1], &packet[2]);
  for (const ogg_packet& header : packet) {
    ogg.Add(header);
    if (&header != &packet[1]) ogg.Flush();
  }
  const auto tones = Tones(encoding.channels, encoding.frames);
  float** buffer = vorbis_analysis_buffer(&dsp, static_cast<int>(encoding.frames));
  for (unsigned i = 0; i < encoding.channels; ++i) {
    std::copy(tones[i].begin(), tones[i].end(), buffer[i]);
  }
  vorbis_analysis_wrote(&dsp, static_cast<int>(encoding.frames));
  if (encoding.frames > 0) vorbis_analysis_wrote(&dsp, 0);
  while (vorbis_analysis_blockout(&dsp, &block) == 1) {
    vorbis_analysis(&block, nullptr);
    vorbis_bitrate_addblock(&block);
    while (vorbis_bitrate_flushpacket(&dsp, &packet[0]) != 0) ogg.Add(packet[0]);
  }
  ogg.Flush();
  vorbis_block_clear(&block);
  vorbis_dsp_clear(&dsp);
  vorbis_comment_clear(&comment);
  vorbis_info_clear(&info);
  return ogg.bytes();
}

GuestRun Decode(const std::string& encoded, const std::vector<std::string>& arguments = {}) {
  return RunGuest(kGuest, arguments, encoded);
}

GuestRun Native(const std::string& encoded, const std::vector<std::string>& arguments = {}) {
  return RunNative("tools/benchmarks/guests/vorbis.m64", arguments, encoded);
}

// The samples that libvorbisfile makes of a stream, in Vorbis's order of channels.
std::vector<int16_t> HostSamples(const std::string& encoded) {
  struct Source {
    const std::string& bytes;
    size_t at;
  } source = {encoded, 0};
  auto read = [](void* to, size_t size, size_t count, void* from) {
    Source& source = *static_cast<Source*>(from);
    const size_t length = std::min(size * count, source.bytes.size() - source.at);
    std::memcpy(to, source.bytes.data() + source.at, length);
    source.at += length;
    return length;
  };
  OggVorbis_File file;
  EXPECT_EQ(ov_open_callbacks(&source, &file, nullptr, 0, {.read_func = read}), 0);
  std::vector<int16_t> samples;
  char buffer[4096];
  int link;
  for (long got; (got = ov_read(&file, buffer, sizeof buffer, 0, 2, 1, &link)) > 0;) {
    const size_t had = samples.size();
    samples.resize(had + got / 2);
    std::memcpy(samples.data() + had, buffer, got);
  }
  ov_clear(&file);
  return samples;
}

void ExpectDecodesAll(const Encoding& encoding) {
  const std::string encoded = Encode(encoding);
  const unsigned channels = encoding.channels;
  const uint32_t mask = SpeakerMask(channels);
  for (bool is_float : {false, true}) {
    const std::vector<std::string> arguments(is_float ? 1 : 0, "--float");
    const GuestRun run = Decode(encoded, arguments), native = Native(encoded, arguments);
    EXPECT_EQ(run.failure + native.failure, "");
    EXPECT_EQ(run.exit_status, 0u);
    EXPECT_EQ(run.diagnostics, "");
    EXPECT_TRUE(run.output == native.output);
    const std::string header = WavHeader(encoding.rate, channels, is_float, mask);
    EXPECT_EQ(run.output.substr(0, header.size()), header);
    const size_t sample = is_float ? 4 : 2;
    EXPECT_EQ(run.output.size(), header.size() + sample * channels * encoding.frames);
    if (is_float) continue;
    const std::vector<int16_t> ours = Samples16(run.output, header.size());
    const std::vector<int16_t> host = HostSamples(encoded);
    ASSERT_EQ(ours.size(), host.size());
    int worst = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      const size_t channel = i % channels;
      const size_t theirs = i - channel + OggPosition(channels, channel);
      worst = std::max(worst, std::abs(ours[i] - host[theirs]));
    }
    EXPECT_LE(worst, 1);
  }
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "vorbis: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

TEST(VorbisDecoderTest, DecodesEveryNumberOfChannels) {
  for (unsigned channels : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
    SCOPED_TRACE(channels);
    ExpectDecodesAll({.channels = channels, .frames = 1500});
  }
}

TEST(VorbisDecoderTest, DecodesEveryRateAndQuality) {
  for (unsigned rate : {8000, 16000, 44101, 48000, 192000}) {
    SCOPED_TRACE(rate);
    ExpectDecodesAll({.rate = rate, .frames = 2000});
  }
  for (float quality : {-0.1f, 0.2f, 0.6f, 1.0f}) {
    SCOPED_TRACE(quality);
    ExpectDecodesAll({.quality = quality, .frames = 3000});
  }
}

TEST(VorbisDecoderTest, DecodesEveryLength) {
  for (unsigned frames : {1, 128, 1023, 1024, 1025, 20000}) {
    SCOPED_TRACE(frames);
    ExpectDecodesAll({.channels = 1, .frames = frames});
  }
}

TEST(VorbisDecoderTest, LongCommentsAreSkipped) {
  ExpectDecodesAll({.frames = 100, .picture = 300000});
}

TEST(VorbisDecoderTest, StreamsFollowEachOther) {
  const std::string a = Encode({}), b = Encode({.frames = 321, .serial = 2});
  GuestRun run = Decode(a + b + a);
  EXPECT_EQ(run.exit_status, 0u);
  EXPECT_EQ(run.diagnostics, "");
  const std::string first = Decode(a).output;
  EXPECT_TRUE(run.output == first + Decode(b).output.substr(44) + first.substr(44));
}

TEST(VorbisDecoderTest, ManyStreamsMayFollow) {
  const std::string one = Encode({.channels = 6, .frames = 50});
  std::string encoded;
  for (int i = 0; i < 8; ++i) encoded += one;
  const GuestRun run = Decode(encoded);
  EXPECT_EQ(run.exit_status, 0u) << run.diagnostics;
  EXPECT_EQ(run.output.size(), 68u + 8 * 50 * 12);
}

TEST(VorbisDecoderTest, StreamsOfAnotherKindThanTheFirstAreRefused) {
  const std::string a = Encode({});
  for (const Encoding& other : {Encoding{.channels = 1}, Encoding{.rate = 48000}}) {
    GuestRun run = Decode(a + Encode(other));
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics,
                MatchesRegex("vorbis: a stream of another rate or other channels than the "
                             "first, at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == Decode(a).output);
  }
}

TEST(VorbisDecoderTest, StreamsBesideEachOtherAreRefused) {
  const std::vector<std::string> a = Pages(Encode({})), b = Pages(Encode({.serial = 2}));
  ExpectRefused(a[0] + b[0], "a stream begins within another", a[0].size() + b[0].size());
  ExpectRefused(a[0] + b[1], "a page of another stream", a[0].size() + b[1].size());
  ExpectRefused(a[1], "a page of no stream", a[1].size());
}

TEST(VorbisDecoderTest, AMissingPageIsNoticed) {
  std::vector<std::string> pages = Pages(Encode({.frames = 60000}));
  ASSERT_GT(pages.size(), 4u);
  pages.erase(pages.begin() + 3);
  std::string encoded;
  for (const std::string& page : pages) encoded += page;
  EXPECT_THAT(Decode(encoded).diagnostics, MatchesRegex("vorbis: a page is missing, .*\n"));
}

TEST(VorbisDecoderTest, AStreamWithoutItsEndIsRefused) {
  std::vector<std::string> pages = Pages(Encode({}));
  pages.back()[5] &= ~4;
  std::string encoded;
  for (const std::string& page : pages) encoded += WithChecksum(page);
  ExpectRefused(encoded, "the input ends within a stream", encoded.size());
}

TEST(VorbisDecoderTest, OtherFormatsAreRefused) {
  ExpectRefused("", "the input is empty", 0);
  for (const char* other :
       {"plain text that is longer than the header of a page", "RIFF....WAVE"}) {
    EXPECT_EQ(Decode(other).exit_status, 1u);
  }
  ExpectRefused(std::string(100, 'x'), "neither an Ogg page nor the end, or a damaged one", 0);
  OggWriter opus(1);
  opus.Add("OpusHead", 0, true);
  opus.Flush();
  ExpectRefused(opus.bytes(), "not a Vorbis stream", opus.bytes().size());
}

TEST(VorbisDecoderTest, JunkAfterTheStreamIsRefused) {
  const std::string encoded = Encode({}), wav = Decode(encoded).output;
  for (const std::string& junk : {std::string(1, '\0'), std::string("OggS"), std::string(500, 'x'),
                                  encoded.substr(0, 57), encoded.substr(0, 1000)}) {
    GuestRun run = Decode(encoded + junk);
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("vorbis: .*, at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == wav);
  }
}

TEST(VorbisDecoderTest, AStreamCutOffAnywhereIsRefusedAndWhatCameBeforeIsKept) {
  const std::string encoded = Encode({.channels = 1, .rate = 8000, .frames = 2000});
  const std::string wav = Decode(encoded).output;
  const size_t headers = Pages(encoded)[0].size() + Pages(encoded)[1].size();
  // Setting up takes most of the time: not at every byte.
  for (size_t length = 0; length < encoded.size(); length += length < headers ? 401 : 13) {
    SCOPED_TRACE(length);
    GuestRun run = Decode(encoded.substr(0, length));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("vorbis: .*, at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == wav.substr(0, run.output.size()));
  }
}

TEST(VorbisDecoderTest, AFlippedBitIsNoticed) {
  const std::string encoded = Encode({.channels = 1, .rate = 8000, .frames = 2000});
  for (size_t bit = 0; bit < encoded.size() * 8; bit += 509) {
    SCOPED_TRACE(bit);
    GuestRun run = Decode(FlipBit(encoded, bit));
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("vorbis: .*, at byte [0-9]+ of the input\n"));
  }
}

TEST(VorbisDecoderTest, AFlippedBitInAPageOfRightCheckValueDoesNoWorseThanAnError) {
  const std::vector<std::string> pages =
      Pages(Encode({.channels = 1, .rate = 8000, .frames = 1000}));
  for (size_t damaged = 0; damaged < pages.size(); ++damaged) {
    for (size_t bit = 0; bit < pages[damaged].size() * 8; bit += damaged == 0 ? 5 : 701) {
      std::string encoded;
      for (size_t i = 0; i < pages.size(); ++i) {
        std::string page = i == damaged ? FlipBit(pages[i], bit) : pages[i];
        const size_t header = 27 + static_cast<unsigned char>(page[26]);
        encoded += header <= page.size() ? WithChecksum(page) : page;
      }
      SCOPED_TRACE(testing::Message() << damaged << " " << bit);
      GuestRun run = Decode(encoded);
      EXPECT_EQ(run.failure, "");
      EXPECT_LE(run.exit_status, 1u);
    }
  }
}

TEST(VorbisDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/vorbis/vorbis.vx"), 196608u);
}

TEST(VorbisDecoderTest, GivesTheFirstSeconds) {
  const std::string encoded = Encode({.channels = 1, .rate = 11025, .frames = 25000});
  ExpectFirstSeconds(kGuest, encoded, {}, 44, 11025 * 2);
  ExpectFirstSeconds(kGuest, encoded, {"--float"}, WavHeader(11025, 1, true, 4).size(), 11025 * 4);
}

}  // namespace
}  // namespace vxa::decoders
