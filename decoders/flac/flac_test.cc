// What flac.vx accepts and refuses. The streams come from the host's libFLAC, an encoder that
// shares no object with the guest; what they must decode to says Debian's flac.
#include <FLAC/metadata.h>
#include <FLAC/stream_encoder.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"
#include "decoders/testing/run_native.h"

namespace vxa::decoders {
namespace {

using ::testing::MatchesRegex;

const std::string kGuest = "decoders/flac/flac";

struct Encoding {
  unsigned channels = 2;
  unsigned bits = 16;
  unsigned rate = 44100;
  unsigned level = 5;
  unsigned block = 0;      // samples; 0: as the level has it
  bool can_seek = true;    // else the header has neither length nor MD5
  bool escape = false;     // residuals without Rice codes, where that is smaller
  unsigned frames = 3000;  // samples of a channel
  unsigned wave = 0;       // 0: tones and noise, 1: silence, 2: noise of full scale
  std::vector<FLAC__StreamMetadata*> metadata;
};

std::vector<FLAC__int32> Samples(const Encoding& encoding) {
  const double scale = std::ldexp(1.0, static_cast<int>(encoding.bits) - 1);
  std::vector<FLAC__int32> samples;
  uint32_t noise = 1;
  for (unsigned i = 0; i < encoding.frames; ++i) {
    for (unsigned channel = 0; channel < encoding.channels; ++channel) {
      noise = noise * 1664525u + 1013904223u;
      const double random = static_cast<int32_t>(noise) / 2147483648.0;
      double value = 0.7 * std::sin(i * 0.03 * (channel + 1)) + 0.001 * random;
      if (encoding.wave == 1) value = 0;
      if (encoding.wave == 2) value = random;
      samples.push_back(static_cast<FLAC__int32>(std::floor(value * scale)));
    }
  }
  return samples;
}

struct File {
  std::string bytes;
  size_t at = 0;
};

FLAC__StreamEncoderWriteStatus Write(const FLAC__StreamEncoder*, const FLAC__byte* bytes,
                                     size_t length, uint32_t, uint32_t, void* client) {
  File& file = *static_cast<File*>(client);
  file.bytes.resize(std::max(file.bytes.size(), file.at + length));
  std::memcpy(file.bytes.data() + file.at, bytes, length);
  file.at += length;
  return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

FLAC__StreamEncoderSeekStatus Seek(const FLAC__StreamEncoder*, FLAC__uint64 at, void* client) {
  static_cast<File*>(client)->at = at;
  return FLAC__STREAM_ENCODER_SEEK_STATUS_OK;
}

FLAC__StreamEncoderTellStatus Tell(const FLAC__StreamEncoder*, FLAC__uint64* at, void* client) {
  *at = static_cast<File*>(client)->at;
  return FLAC__STREAM_ENCODER_TELL_STATUS_OK;
}

std::string Encode(const Encoding& encoding) {
  File file;
  FLAC__StreamEncoder* encoder = FLAC__stream_encoder_new();
  FLAC__stream_encoder_set_streamable_subset(encoder, false);
  FLAC__stream_encoder_set_channels(encoder, encoding.channels);
  FLAC__stream_encoder_set_bits_per_sample(encoder, encoding.bits);
  FLAC__stream_encoder_set_sample_rate(encoder, encoding.rate);
  FLAC__stream_encoder_set_compression_level(encoder, encoding.level);
  FLAC__stream_encoder_set_do_escape_coding(encoder, encoding.escape);
  if (encoding.block != 0) FLAC__stream_encoder_set_blocksize(encoder, encoding.block);
  std::vector<FLAC__StreamMetadata*> metadata = encoding.metadata;
  if (!metadata.empty()) {
    FLAC__stream_encoder_set_metadata(encoder, metadata.data(),
                                      static_cast<uint32_t>(metadata.size()));
  }
  EXPECT_EQ(FLAC__stream_encoder_init_stream(encoder, Write, encoding.can_seek ? Seek : nullptr,
                                             encoding.can_seek ? Tell : nullptr, nullptr, &file),
            FLAC__STREAM_ENCODER_INIT_STATUS_OK);
  const std::vector<FLAC__int32> samples = Samples(encoding);
  EXPECT_TRUE(FLAC__stream_encoder_process_interleaved(encoder, samples.data(), encoding.frames));
  EXPECT_TRUE(FLAC__stream_encoder_finish(encoder));
  FLAC__stream_encoder_delete(encoder);
  return file.bytes;
}

// What Debian's flac makes of it.
std::string Wav(const std::string& encoded) {
  GuestRun run = RunNative("/usr/bin/flac", {"-d", "-c", "-s", "-"}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 0u) << run.diagnostics;
  return run.output;
}

// `wav` with the sizes of a stream of unknown length.
std::string WithoutSizes(std::string wav) {
  wav.replace(4, 4, "\xff\xff\xff\xff");
  wav.replace(wav.find("data") + 4, 4, "\xff\xff\xff\xff");
  return wav;
}

GuestRun Decode(const std::string& encoded) { return RunGuest(kGuest, {}, encoded); }

void ExpectSame(const Encoding& encoding) {
  const std::string encoded = Encode(encoding);
  ExpectDecodes(kGuest, encoded, {}, Wav(encoded));
}

void ExpectRefused(const std::string& encoded, const std::string& why, size_t offset) {
  decoders::ExpectRefused(
      kGuest, encoded, {},
      "flac: " + why + ", at byte " + std::to_string(offset) + " of the input\n");
}

constexpr size_t kStreamInfo = 8;  // its offset, after "fLaC" and the block's header

TEST(FlacDecoderTest, DecodesEveryNumberOfBits) {
  for (unsigned bits = 4; bits <= 32; ++bits) {
    for (unsigned wave : {0, 1, 2}) {
      SCOPED_TRACE(testing::Message() << bits << " bits, wave " << wave);
      ExpectSame({.bits = bits, .frames = 501, .wave = wave});
    }
  }
}

TEST(FlacDecoderTest, DecodesEveryNumberOfChannels) {
  for (unsigned channels = 1; channels <= 8; ++channels) {
    for (unsigned bits : {8, 16, 24}) {
      SCOPED_TRACE(testing::Message() << channels << " channels of " << bits << " bits");
      ExpectSame({.channels = channels, .bits = bits, .frames = 501});
    }
  }
}

TEST(FlacDecoderTest, DecodesEveryLevel) {
  for (unsigned level = 0; level <= 8; ++level) {
    SCOPED_TRACE(level);
    ExpectSame({.level = level, .frames = 9000});
    ExpectSame({.level = level, .escape = true, .frames = 700, .wave = 2});
  }
}

TEST(FlacDecoderTest, DecodesOddRatesAndBlocks) {
  for (unsigned rate : {1, 7, 8000, 11025, 44101, 96000, 192000, 655350, 1048575}) {
    SCOPED_TRACE(rate);
    ExpectSame({.rate = rate, .frames = 100});
  }
  for (unsigned block : {16, 17, 192, 576, 4608, 65535}) {
    SCOPED_TRACE(block);
    ExpectSame({.block = block, .frames = 1001});
  }
}

TEST(FlacDecoderTest, APadByteMakesTheDataEven) {
  ExpectSame({.channels = 1, .bits = 8, .frames = 101});
  ExpectSame({.channels = 3, .bits = 24, .frames = 33});
}

TEST(FlacDecoderTest, AWavOfUnknownLengthSaysSo) {
  for (unsigned bits : {8, 24}) {
    const std::string wav = Wav(Encode({.channels = 1, .bits = bits, .frames = 1000}));
    ExpectDecodes(kGuest, Encode({.channels = 1, .bits = bits, .can_seek = false, .frames = 1000}),
                  {}, WithoutSizes(wav));
  }
}

TEST(FlacDecoderTest, AWavOfMoreThanFourGigabytesSaysSo) {
  // Its header says 2^36 - 1 samples: they are missed only after all that are there.
  std::string encoded = Encode({.frames = 1000});
  const std::string wav = Wav(encoded);
  encoded[kStreamInfo + 13] = static_cast<char>(encoded[kStreamInfo + 13] | 0xf);
  encoded.replace(kStreamInfo + 14, 4, "\xff\xff\xff\xff");
  GuestRun run = Decode(encoded);
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.diagnostics, "flac: fewer samples than the header says, at byte " +
                                 std::to_string(encoded.size()) + " of the input\n");
  EXPECT_TRUE(run.output == WithoutSizes(wav));
}

TEST(FlacDecoderTest, DecodesNoSamplesAtAll) {
  GuestRun run = Decode(Encode({.frames = 0}));
  EXPECT_EQ(run.exit_status, 0u);
  std::string header = Wav(Encode({.frames = 1})).substr(0, 44);
  header.replace(4, 4, std::string("\x24\0\0\0", 4));
  header.replace(40, 4, std::string(4, '\0'));
  EXPECT_EQ(run.output, header);
}

// An APPLICATION block that the caller deletes.
FLAC__StreamMetadata* Application(const std::string& id, std::string data) {
  FLAC__StreamMetadata* block = FLAC__metadata_object_new(FLAC__METADATA_TYPE_APPLICATION);
  std::memcpy(block->data.application.id, id.data(), 4);
  FLAC__metadata_object_application_set_data(block, reinterpret_cast<FLAC__byte*>(data.data()),
                                             static_cast<unsigned>(data.size()), true);
  return block;
}

TEST(FlacDecoderTest, SkipsMetadata) {
  FLAC__StreamMetadata* picture = FLAC__metadata_object_new(FLAC__METADATA_TYPE_PICTURE);
  std::string image = Sample(70000);
  FLAC__metadata_object_picture_set_data(picture, reinterpret_cast<FLAC__byte*>(image.data()),
                                         70000, true);
  FLAC__StreamMetadata* application = Application("riff", image.substr(0, 300));
  FLAC__StreamMetadata* padding = FLAC__metadata_object_new(FLAC__METADATA_TYPE_PADDING);
  padding->length = 1000;
  FLAC__StreamMetadata* seek_table = FLAC__metadata_object_new(FLAC__METADATA_TYPE_SEEKTABLE);
  FLAC__metadata_object_seektable_template_append_spaced_points(seek_table, 10, 3000);
  FLAC__StreamMetadata* cue_sheet = FLAC__metadata_object_new(FLAC__METADATA_TYPE_CUESHEET);
  FLAC__metadata_object_cuesheet_insert_blank_track(cue_sheet, 0);
  cue_sheet->data.cue_sheet.tracks[0].number = 170;
  const std::string encoded =
      Encode({.metadata = {picture, application, seek_table, cue_sheet, padding}});
  EXPECT_GT(encoded.size(), 71000u);
  ExpectDecodes(kGuest, encoded, {}, Wav(encoded));
  EXPECT_TRUE(Decode(encoded).output == Wav(Encode({})));
  for (auto* block : {picture, application, padding, seek_table, cue_sheet}) {
    FLAC__metadata_object_delete(block);
  }
}

TEST(FlacDecoderTest, ACommentNamesTheSpeakers) {
  for (const char* comment :
       {"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x3F", "waveformatextensible_channel_mask=0x600",
        "WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x0", "WAVEFORMATEXTENSIBLE_CHANNEL_MASK=63",
        "TITLE=0x3f"}) {
    FLAC__StreamMetadata* comments = FLAC__metadata_object_new(FLAC__METADATA_TYPE_VORBIS_COMMENT);
    FLAC__StreamMetadata_VorbisComment_Entry entry = {
        static_cast<FLAC__uint32>(std::strlen(comment)),
        reinterpret_cast<FLAC__byte*>(const_cast<char*>(comment))};
    FLAC__metadata_object_vorbiscomment_append_comment(comments, entry, true);
    for (unsigned channels : {1, 2, 4, 5, 6}) {
      SCOPED_TRACE(testing::Message() << comment << " " << channels);
      ExpectSame({.channels = channels, .frames = 30, .metadata = {comments}});
    }
    FLAC__metadata_object_delete(comments);
  }
}

TEST(FlacDecoderTest, GivesBackTheFileWithWhatIsNotSamples) {
  for (unsigned bits : {8, 16, 24, 32}) {
    for (bool can_seek : {false, true}) {
      Encoding encoding = {.channels = 1, .bits = bits, .can_seek = can_seek, .frames = 101};
      const std::string wav = Wav(Encode({.channels = 1, .bits = bits, .frames = 101}));
      const size_t header = wav.find("data") + 8;
      const std::string samples = wav.substr(header, 101 * bits / 8);
      const std::string before = Sample(90000), after = Sample(70001);
      encoding.metadata = {Application("vxaw", "<" + before.substr(0, 50000)),
                           Application("vxaw", ">" + after.substr(0, 3)),
                           Application("riff", "<something else's"),
                           Application("vxaw", "<" + before.substr(50000)),
                           Application("vxaw", ">" + after.substr(3))};
      const std::string encoded = Encode(encoding);
      ExpectDecodes(kGuest, encoded, {"--restore"}, before + samples + after);
      ExpectDecodes(kGuest, encoded, {},
                    can_seek ? wav : WithoutSizes(wav.substr(0, header) + samples));
      for (FLAC__StreamMetadata* block : encoding.metadata) FLAC__metadata_object_delete(block);
    }
  }
}

TEST(FlacDecoderTest, GivesBackAFileWithoutSamples) {
  FLAC__StreamMetadata* block = Application("vxaw", "<all of it");
  ExpectDecodes(kGuest, Encode({.frames = 0, .metadata = {block}}), {"--restore"}, "all of it");
  FLAC__metadata_object_delete(block);
}

TEST(FlacDecoderTest, AFileThatIsNotAllThereIsNotGivenBack) {
  for (const auto& [data, why] :
       {std::pair(">after", "no vxaw block with what came before the samples"),
        std::pair("", "a damaged vxaw block"), std::pair("=data", "a damaged vxaw block")}) {
    FLAC__StreamMetadata* block = Application("vxaw", data);
    EXPECT_THAT(RunGuest(kGuest, {"--restore"}, Encode({.metadata = {block}})).diagnostics,
                MatchesRegex(std::string("flac: ") + why + ", at byte [0-9]+ of the input\n"));
    FLAC__metadata_object_delete(block);
  }
  EXPECT_EQ(RunGuest(kGuest, {"--restore"}, Encode({})).exit_status, 1u);
}

TEST(FlacDecoderTest, AnId3TagMayComeFirst) {
  const std::string encoded = Encode({});
  const std::string tag = std::string("ID3\4\0\0\0\0\1\1", 10) + std::string(129, 'x');
  ExpectDecodes(kGuest, tag + encoded, {}, Wav(encoded));
}

TEST(FlacDecoderTest, SamplesOfAnotherMd5AreRefused) {
  std::string encoded = Encode({});
  encoded[kStreamInfo + 20] ^= 1;
  ExpectRefused(encoded, "the samples are not those that the header's MD5 is of", encoded.size());
}

TEST(FlacDecoderTest, MoreOrFewerSamplesThanTheHeaderSaysAreRefused) {
  std::string encoded = Encode({.frames = 0x1080});
  encoded[kStreamInfo + 16] ^= 1;  // 0x1180
  ExpectRefused(encoded, "fewer samples than the header says", encoded.size());
  encoded[kStreamInfo + 17] = 0, encoded[kStreamInfo + 16] = 0x10;  // the first frame's 4096
  EXPECT_THAT(Decode(encoded).diagnostics, MatchesRegex("flac: more samples than .*\n"));
}

TEST(FlacDecoderTest, FramesOfAnotherFormatThanTheHeaderAreRefused) {
  const std::string frames = Encode({.frames = 500}).substr(kStreamInfo + 34);
  for (const Encoding& other :
       {Encoding{.channels = 1, .frames = 500}, Encoding{.bits = 24, .frames = 500},
        Encoding{.rate = 48000, .frames = 500}}) {
    EXPECT_THAT(Decode(Encode(other).substr(0, kStreamInfo + 34) + frames).diagnostics,
                MatchesRegex("flac: a frame of another format than the stream's, .*\n"));
  }
}

TEST(FlacDecoderTest, OtherFormatsAreRefused) {
  ExpectRefused("", "the input is empty", 0);
  for (const char* other : {"plain text", "OggS", "RIFF....WAVE"}) {
    EXPECT_THAT(Decode(other).diagnostics, MatchesRegex("flac: not a FLAC stream, .*\n"));
    EXPECT_EQ(Decode(other).exit_status, 1u);
  }
}

TEST(FlacDecoderTest, JunkAfterTheStreamIsRefused) {
  const std::string encoded = Encode({}), wav = Wav(encoded);
  for (const std::string& junk :
       {std::string(1, '\0'), std::string("\xff"), std::string("\xff\xff"), std::string("\xff\xf8"),
        std::string("junk"), "TAG" + std::string(125, ' '), encoded}) {
    GuestRun run = Decode(encoded + junk);
    SCOPED_TRACE(junk.size());
    EXPECT_EQ(run.failure, "");
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_THAT(run.diagnostics, MatchesRegex("flac: .*, at byte [0-9]+ of the input\n"));
    EXPECT_TRUE(run.output == wav);
  }
}

TEST(FlacDecoderTest, AStreamCutOffAnywhereIsRefusedAndWhatCameBeforeIsKept) {
  for (bool can_seek : {false, true}) {
    const Encoding encoding = {.block = 64, .can_seek = can_seek, .frames = 200};
    const std::string encoded = Encode(encoding);
    const std::string wav = can_seek ? Wav(encoded) : WithoutSizes(Wav(Encode({.frames = 200})));
    const size_t header = encoded.find("\xff\xf8");
    size_t whole = 0;  // streams that end between frames, which those of unknown length may
    for (size_t length = 0; length < encoded.size(); ++length) {
      SCOPED_TRACE(length);
      GuestRun run = Decode(encoded.substr(0, length));
      EXPECT_EQ(run.failure, "");
      EXPECT_TRUE(run.output == wav.substr(0, run.output.size()) || length == header);
      if (!can_seek && run.exit_status == 0) {
        ++whole;
      } else {
        EXPECT_EQ(run.exit_status, 1u);
        EXPECT_THAT(run.diagnostics, MatchesRegex("flac: .*, at byte [0-9]+ of the input\n"));
      }
    }
    EXPECT_EQ(whole, can_seek ? 0u : 4u);
  }
}

TEST(FlacDecoderTest, NoFlippedBitOfAFrameGivesOtherOutputAsGood) {
  const std::string encoded = Encode({.block = 64, .frames = 100}), wav = Wav(encoded);
  const size_t header = encoded.find("\xff\xf8");
  for (size_t bit = 32; bit < encoded.size() * 8; ++bit) {
    GuestRun run = Decode(FlipBit(encoded, bit));
    SCOPED_TRACE(bit);
    EXPECT_EQ(run.failure, "");
    if (run.exit_status == 0) {
      EXPECT_TRUE(run.output == wav || bit < header * 8);
    } else {
      EXPECT_EQ(run.exit_status, 1u);
      EXPECT_THAT(run.diagnostics, MatchesRegex("flac: .*, at byte [0-9]+ of the input\n"));
    }
  }
}

TEST(FlacDecoderTest, IsSmall) {
  EXPECT_LE(std::filesystem::file_size("decoders/flac/flac.vx"), 98304u);
}

TEST(FlacDecoderTest, GivesTheFirstSecondsAndTheirSizes) {
  for (unsigned bits : {8, 16}) {  // of which 8 need padding
    for (bool can_seek : {false, true}) {
      Encoding encoding = {.channels = 1, .bits = bits, .rate = 8001, .can_seek = can_seek};
      encoding.frames = 20000;
      const std::string all = Encode(encoding);
      encoding.frames = 8001;
      encoding.can_seek = true;
      std::string second = Wav(Encode(encoding));
      if (!can_seek) second = WithoutSizes(second.substr(0, 44 + 8001 * bits / 8));
      ExpectDecodes(kGuest, all + "junk", {"--seconds=1"}, second);
      ExpectDecodes(kGuest, all, {"--seconds=3"}, Decode(all).output);
    }
  }
  // A header may leave the rate out: there are no seconds then.
  std::string encoded = Encode({.channels = 1, .rate = 123457});
  encoded.replace(kStreamInfo + 10, 2, 2, '\0');
  encoded[kStreamInfo + 12] = static_cast<char>(encoded[kStreamInfo + 12] & 0x0f);
  const GuestRun all = Decode(encoded);
  EXPECT_EQ(all.exit_status, 0u);
  ExpectDecodes(kGuest, encoded, {"--seconds=1"}, all.output);
  const GuestRun both = RunGuest(kGuest, {"--seconds=1", "--restore"}, "");
  EXPECT_EQ(both.exit_status, 2u);
  EXPECT_EQ(both.diagnostics, "flac: --restore and --seconds exclude each other\n");
}

}  // namespace
}  // namespace vxa::decoders
