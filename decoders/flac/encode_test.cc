// What flac_encode.vx makes of WAV files of all kinds, cut anywhere: streams that Debian's flac
// plays, and that flac.vx turns back into the pieces.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"
#include "decoders/testing/run_native.h"

namespace vxa::decoders {
namespace {

const std::string kEncoder = "decoders/flac/flac_encode", kDecoder = "decoders/flac/flac";
const char kRestore[] = "--restore";

struct Wav {
  unsigned channels = 2;
  unsigned bits = 16;  // of a sample that is a whole number of bytes
  unsigned rate = 44100;
  unsigned frames = 300;
  unsigned format = 1;
  int align = -1;                  // block align; -1: the right one
  std::string extension = "";      // of the fmt chunk
  std::string before = "";         // chunks between fmt and data
  std::string after = "";          // bytes behind the samples
  std::string size = "";           // of the data; "": the right one
  bool format_comes_last = false;  // behind the samples
};

std::string Riff(const std::string& id, const std::string& bytes) {
  return id + LittleEndian(bytes.size()) + bytes + std::string(bytes.size() % 2, '\0');
}

std::string Samples(const Wav& wav) {
  std::string samples;
  uint32_t noise = 1;
  const int bytes = static_cast<int>(wav.bits + 7) / 8;
  for (unsigned i = 0; i < wav.frames; ++i) {
    for (unsigned channel = 0; channel < wav.channels; ++channel) {
      noise = noise * 1664525u + 1013904223u;
      const double value = 0.7 * std::sin(i * 0.02 * (channel + 1)) + 0.001 * (noise >> 16) / 65536;
      const auto sample = static_cast<int64_t>(std::ldexp(value, 8 * bytes - 1));
      samples += LittleEndian(static_cast<uint64_t>(sample + (bytes == 1 ? 0x80 : 0)), bytes);
    }
  }
  return samples;
}

std::string Bytes(const Wav& wav) {
  const unsigned frame = wav.channels * ((wav.bits + 7) / 8);
  const std::string format =
      Riff("fmt ", LittleEndian(wav.format, 2) + LittleEndian(wav.channels, 2) +
                       LittleEndian(wav.rate) + LittleEndian(wav.rate * frame) +
                       LittleEndian(wav.align < 0 ? frame : wav.align, 2) +
                       LittleEndian(wav.bits, 2) + wav.extension);
  const std::string samples = Samples(wav);
  std::string file = "WAVE";
  if (!wav.format_comes_last) file += format;
  file += wav.before + "data" + (wav.size.empty() ? LittleEndian(samples.size()) : wav.size) +
          samples + wav.after;
  if (wav.format_comes_last) file += format;
  return "RIFF" + LittleEndian(file.size()) + file;
}

// Of WAVE_FORMAT_EXTENSIBLE, for samples whose format has this number.
std::string Extension(unsigned bits, uint32_t mask, unsigned format = 1) {
  return LittleEndian(22, 2) + LittleEndian(bits, 2) + LittleEndian(mask) + LittleEndian(format) +
         std::string("\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 12);
}

GuestRun Encode(const std::string& file, size_t offset, size_t size, size_t head = 65536) {
  head = std::min(head, file.size());
  std::vector<std::string> arguments = {"--head=" + std::to_string(head)};
  if (offset != 0) arguments.push_back("--offset=" + std::to_string(offset));
  return RunGuest(kEncoder, arguments, file.substr(0, head) + file.substr(offset, size));
}

uint32_t Number(const std::string& file, size_t at, int bytes) {
  uint32_t number = 0;
  while (bytes-- > 0) number = number << 8 | static_cast<unsigned char>(file[at + bytes]);
  return number;
}

bool HasWholeFrame(const std::string& file, size_t offset, size_t size) {
  const size_t frame = Number(file, file.find("fmt ") + 20, 2), data = file.find("data") + 8;
  const uint32_t data_size = Number(file, data - 4, 4);
  const size_t end = data_size == 0 ? file.size() : std::min<size_t>(file.size(), data + data_size);
  for (size_t at = data; at + frame <= end; at += frame) {
    if (at >= offset && at + frame <= offset + size) return true;
  }
  return false;
}

void ExpectRefused(const GuestRun& run, const std::string& why) {
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.output, "");
  EXPECT_EQ(run.diagnostics, "flac_encode: " + why + "\n");
}

// The chunk of the file comes back, if it has a whole frame of samples.
void ExpectRestored(const std::string& file, size_t offset, size_t size) {
  SCOPED_TRACE(testing::Message() << size << " bytes at " << offset);
  const GuestRun run = Encode(file, offset, size);
  if (!HasWholeFrame(file, offset, size)) {
    ExpectRefused(run, "no whole sample frame in the chunk");
    return;
  }
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.diagnostics, "");
  ExpectDecodes(kDecoder, run.output, {kRestore}, file.substr(offset, size));
}

// The file comes back in one piece and in many.
void ExpectRestored(const std::string& file) {
  ExpectRestored(file, 0, file.size());
  for (size_t size : {101, 333, 1024}) {
    for (size_t offset = 0; offset < file.size(); offset += size) {
      ExpectRestored(file, offset, std::min(size, file.size() - offset));
    }
  }
}

// What Debian's flac plays of it.
std::string Play(const std::string& encoded) {
  GuestRun run = RunNative(
      "/usr/bin/flac",
      {"-d", "-c", "-s", "--force-raw-format", "--endian=little", "--sign=signed", "-"}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 0u) << run.diagnostics;
  return run.output;
}

TEST(FlacEncoderTest, EncodesEveryNumberOfBitsAndChannels) {
  for (unsigned channels = 1; channels <= 8; ++channels) {
    for (unsigned bits : {8, 16, 24, 32}) {
      SCOPED_TRACE(testing::Message() << channels << " channels of " << bits << " bits");
      ExpectRestored(Bytes({.channels = channels, .bits = bits, .frames = 20}));
    }
  }
}

TEST(FlacEncoderTest, AStreamIsPlayedByItself) {
  for (unsigned bits : {8, 16, 24, 32}) {
    const Wav wav{.bits = bits, .frames = 5000};
    const std::string file = Bytes(wav);
    std::string samples = Samples(wav);
    if (bits == 8) {
      for (char& sample : samples) sample = static_cast<char>(sample ^ 0x80);
    }
    const GuestRun run = Encode(file, 0, file.size());
    EXPECT_TRUE(Play(run.output) == samples);
    EXPECT_LT(run.output.size(), file.size() * 7 / 8);
    // Of a piece that begins and ends within a frame.
    const size_t frame = bits / 4;
    const GuestRun piece = Encode(file, 44 + 40 * frame + 1, 60 * frame);
    EXPECT_TRUE(Play(piece.output) == samples.substr(41 * frame, 59 * frame));
  }
}

TEST(FlacEncoderTest, AStreamsHeaderSaysHowLongItIs) {
  const std::string file = Bytes({.frames = 4097});
  const GuestRun run = RunGuest(kDecoder, {}, Encode(file, 0, file.size()).output);
  EXPECT_TRUE(run.output == file);  // for it has just the header that the decoder gives
  EXPECT_TRUE(RunGuest(kEncoder, {}, file).output == Encode(file, 0, file.size()).output);
}

TEST(FlacEncoderTest, EncodesOddRatesAndFewerBitsThanBytesHave) {
  for (unsigned rate : {1, 44101, 96000, 655351, 1048575}) {
    ExpectRestored(Bytes({.rate = rate, .frames = 50}));
  }
  for (unsigned bits : {1, 7, 12, 20, 31}) {
    SCOPED_TRACE(bits);
    ExpectRestored(Bytes({.bits = bits, .frames = 50}));
  }
}

TEST(FlacEncoderTest, ChunksBeforeAndAfterTheSamplesAreKept) {
  const std::string bext = Riff("bext", Sample(603)), list = Riff("LIST", Sample(350));
  std::string file = Bytes({.before = bext, .after = list});
  ExpectRestored(file);
  // One before fmt too.
  file.insert(12, bext);
  ExpectRestored(file);
}

TEST(FlacEncoderTest, AFormatChunkMayBeLonger) {
  ExpectRestored(Bytes({.extension = std::string(2, '\0')}));
  ExpectRestored(Bytes({.extension = std::string("\5\0abcde\0", 8)}));
}

TEST(FlacEncoderTest, WithoutASizeSamplesGoOnToTheEnd) {
  for (const std::string& size : {LittleEndian(0), LittleEndian(0xffffffff), LittleEndian(99999)}) {
    const Wav wav{.size = size};
    const std::string file = Bytes(wav);
    ExpectRestored(file);
    EXPECT_TRUE(Play(Encode(file, 0, file.size()).output) == Samples(wav));
  }
}

TEST(FlacEncoderTest, ThatMayBeBehindFourGigabytes) {
  for (uint32_t size : {0u, 0xffffffffu, 0xfffffffeu}) {
    const std::string head = Bytes({.frames = 0, .size = LittleEndian(size)}),
                      samples = Samples({.frames = 100});
    const GuestRun run =
        RunGuest(kEncoder, {"--head=44", "--offset=4294967341"}, head + "abc" + samples);
    if (size == 0xfffffffe) {
      ExpectRefused(run, "no whole sample frame in the chunk");
    } else {
      EXPECT_TRUE(Play(run.output) == samples);
      ExpectDecodes(kDecoder, run.output, {kRestore}, "abc" + samples);
    }
  }
}

TEST(FlacEncoderTest, BytesBehindTheFileAreKept) {
  ExpectRestored(Bytes({.frames = 100, .after = Sample(400)}));
}

TEST(FlacEncoderTest, AnOddNumberOfBytesIsPadded) {
  ExpectRestored(Bytes({.channels = 1, .bits = 8, .frames = 301, .after = std::string(1, '\0')}));
  ExpectRestored(
      Bytes({.channels = 3, .bits = 24, .frames = 33, .after = "x" + Riff("id3 ", "y")}));
  // The last frame isn't whole.
  ExpectRestored(Bytes({.after = "abc", .size = LittleEndian(1203)}));
}

TEST(FlacEncoderTest, ExtensibleFormatsNameTheSpeakers) {
  for (uint32_t mask : {0x3fu, 0x60fu, 0x3fcu, 0x80000001u}) {
    const Wav wav{.channels = 6,
                  .bits = 24,
                  .frames = 60,
                  .format = 0xfffe,
                  .extension = Extension(24, mask)};
    const std::string file = Bytes(wav);
    ExpectRestored(file);
    const GuestRun run = RunGuest(kDecoder, {}, Encode(file, 0, file.size()).output);
    EXPECT_TRUE(run.output == file) << mask;
  }
  ExpectRestored(Bytes({.frames = 60, .format = 0xfffe, .extension = Extension(12, 0)}));
}

TEST(FlacEncoderTest, SilenceIsShort) {
  const std::string file = Bytes({.frames = 0, .after = std::string(100'000, '\0')});
  EXPECT_LT(Encode(file, 0, file.size()).output.size(), 400u);
  ExpectRestored(file, 0, file.size());
}

TEST(FlacEncoderTest, WhatIsKeptMayBeLargerThanABlock) {
  std::string file = Bytes({.frames = 10});
  file += Sample(1000) + std::string(16'800'000, 'x');
  ExpectRestored(file, 0, file.size());
}

TEST(FlacEncoderTest, WhatFlacCannotHoldIsRefused) {
  auto expect = [](Wav wav, const std::string& why) {
    wav.after = Sample(400);
    const std::string file = Bytes(wav);
    ExpectRefused(Encode(file, 0, file.size()), why);
    ExpectRefused(Encode(file, 100, 300), why);
  };
  for (unsigned format : {0, 2, 3, 0x55, 0xfffe}) {
    expect({.bits = 32, .format = format}, "the samples are not integers");
  }
  expect({.bits = 32, .format = 0xfffe, .extension = Extension(32, 3, 3)},
         "the samples are not integers");
  std::string other = Extension(16, 3);
  other.back() ^= 1;
  expect({.format = 0xfffe, .extension = other}, "the samples are not integers");
  for (unsigned channels : {0, 9, 65535}) {
    expect({.channels = channels, .frames = 300 / (channels + 1)}, "not 1 to 8 channels");
  }
  for (unsigned bits : {0, 33, 64}) expect({.bits = bits}, "not samples of 8 to 32 bits");
  for (int align : {0, 1, 3, 5, 65535}) {
    expect({.align = align}, "frames are not what their samples make");
  }
  for (unsigned rate : {0u, 1048576u, ~0u}) {
    expect({.rate = rate}, "a sample rate that FLAC can't have");
  }
  expect({.format_comes_last = true}, "no fmt chunk before the data");
}

TEST(FlacEncoderTest, ChunksWithoutSamplesAreRefused) {
  const std::string file = Bytes({.before = Riff("bext", Sample(100)), .after = Sample(1000)});
  const size_t samples = file.find("data") + 8, end = samples + 1200;
  for (const auto& [offset, size] : std::vector<std::pair<size_t, size_t>>{
           {0, 100}, {0, samples + 3}, {samples + 1, 6}, {end - 3, 1003}, {end, 1000}, {end, 0}}) {
    ExpectRefused(Encode(file, offset, size), "no whole sample frame in the chunk");
  }
  ExpectRestored(file, samples + 1, 7);
  ExpectRestored(file, 0, samples + 4);
}

TEST(FlacEncoderTest, AHeadMustReachTheSamples) {
  const std::string file = Bytes({.frames = 100, .before = Riff("bext", Sample(100))});
  const size_t samples = file.find("data") + 8;
  for (size_t head = 1; head < samples; ++head) {
    const GuestRun run = Encode(file, samples, 200, head);
    ExpectRefused(run, head < 12   ? "not a WAV file"
                       : head < 20 ? "no data chunk in the file's head"
                       : head < 36 ? "a short fmt chunk"
                                   : "no data chunk in the file's head");
    EXPECT_EQ(RunGuest(kEncoder, {}, file.substr(0, head)).diagnostics, run.diagnostics);
  }
  EXPECT_EQ(Encode(file, samples, 200, samples).exit_status, 0u);
}

TEST(FlacEncoderTest, SizesOfChunksMayBeAnything) {
  const std::string file = Bytes({.frames = 30, .before = Riff("bext", Sample(20))});
  for (size_t chunk : {size_t{12}, file.find("bext"), file.find("data")}) {
    for (uint32_t size : {0u, 1u, 15u, 39u, 40u, 0x7fffffffu, 0xfffffff0u, 0xffffffffu}) {
      std::string damaged = file;
      damaged.replace(chunk + 4, 4, LittleEndian(size));
      const GuestRun run = Encode(damaged, 0, damaged.size());
      EXPECT_EQ(run.failure, "");
      if (run.exit_status == 0) {
        ExpectDecodes(kDecoder, run.output, {kRestore}, damaged);
      } else {
        EXPECT_EQ(run.exit_status, 1u);
      }
    }
  }
}

TEST(FlacEncoderTest, AFlippedBitOfAHeadGivesAChunkBackOrIsRefused) {
  const std::string file = Bytes({.frames = 30, .format = 0xfffe, .extension = Extension(16, 3)});
  for (size_t bit = 0; bit < 68 * 8; bit += 3) {
    SCOPED_TRACE(bit);
    const std::string damaged = FlipBit(file, bit);
    for (size_t offset : {0, 90}) {
      const GuestRun run = Encode(damaged, offset, file.size());
      EXPECT_EQ(run.failure, "");
      if (run.exit_status == 0) {
        ExpectDecodes(kDecoder, run.output, {kRestore}, damaged.substr(offset));
      } else {
        EXPECT_EQ(run.exit_status, 1u);
        EXPECT_EQ(run.output, "");
      }
    }
  }
}

TEST(FlacEncoderTest, OtherFilesAndPlacesAreRefused) {
  const std::string file = Bytes({});
  ExpectRefused(RunGuest(kEncoder, {}, ""), "not a WAV file");
  ExpectRefused(RunGuest(kEncoder, {}, Sample(1000)), "not a WAV file");
  ExpectRefused(RunGuest(kEncoder, {"--offset=100"}, file), "not a WAV file");
  ExpectRefused(RunGuest(kEncoder, {"--head=2000"}, file), "the input ends within the head");
  ExpectRefused(RunGuest(kEncoder, {"--head=100", "--offset=9223372036854775808"}, file),
                "the chunk begins behind 2^63");
  ExpectRefused(RunGuest(kEncoder, {"--head=100", "--offset=9223372036854775807"}, file),
                "no whole sample frame in the chunk");
}

}  // namespace
}  // namespace vxa::decoders
