#include "decoders/testing/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <csetjmp>
#include <cstdint>
#include <string>
#include <string_view>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

std::string Name(const std::string& guest) { return guest.substr(guest.rfind('/') + 1); }

void ExpectSaysWhyAndWhere(const std::string& guest, const GuestRun& run) {
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics,
              testing::MatchesRegex(Name(guest) + ": .*, at byte [0-9]+ of the input\n"));
}

}  // namespace

std::string Picture(int width, int height, int channels, int seed) {
  std::string samples;
  uint32_t state = static_cast<uint32_t>(seed) * 7919u + 1;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < channels; ++channel) {
        state = state * 1664525u + 1013904223u;
        const int edge = (x / 5 + y / 7 + channel + seed) % 3 == 0 ? 90 : 0;
        samples += static_cast<char>(x * (3 + channel) + y * (5 - channel) + edge + (state >> 28));
      }
    }
  }
  return samples;
}

std::string Image(const std::string& type, int depth, int width, int height, int maxval,
                  const std::string& samples) {
  const std::string w = std::to_string(width), h = std::to_string(height),
                    max = std::to_string(maxval);
  if (type == "P5" || type == "P6") return type + "\n" + w + " " + h + "\n" + max + "\n" + samples;
  return "P7\nWIDTH " + w + "\nHEIGHT " + h + "\nDEPTH " + std::to_string(depth) + "\nMAXVAL " +
         max + "\nTUPLTYPE " + type + "\nENDHDR\n" + samples;
}

std::string ReadPng(std::string_view bytes) {
  png_structp png = png_create_read_struct(
      PNG_LIBPNG_VER_STRING, nullptr,
      [](png_structp png, png_const_charp why) {
        ADD_FAILURE() << why;
        png_longjmp(png, 1);
      },
      [](png_structp, png_const_charp why) { ADD_FAILURE() << why; });
  png_infop info = png_create_info_struct(png);
  std::string samples;
  if (setjmp(png_jmpbuf(png)) == 0) {
    png_set_read_fn(png, &bytes, [](png_structp png, png_bytep to, size_t size) {
      auto* left = static_cast<std::string_view*>(png_get_io_ptr(png));
      if (left->size() < size) png_error(png, "the PNG is cut off");
      left->copy(reinterpret_cast<char*>(to), size);
      left->remove_prefix(size);
    });
    png_read_info(png, info);
    const size_t row = png_get_rowbytes(png, info);
    samples.resize(row * png_get_image_height(png, info));
    for (size_t at = 0; at < samples.size(); at += row) {
      png_read_row(png, reinterpret_cast<png_bytep>(samples.data() + at), nullptr);
    }
    png_read_end(png, nullptr);
  }
  EXPECT_EQ(bytes, "");
  const int channels = png_get_channels(png, info);
  const char* const kTypes[] = {"P5", "GRAYSCALE_ALPHA", "P6", "RGB_ALPHA"};
  const std::string image =
      Image(kTypes[channels - 1], channels, static_cast<int>(png_get_image_width(png, info)),
            static_cast<int>(png_get_image_height(png, info)),
            (1 << png_get_bit_depth(png, info)) - 1, samples);
  png_destroy_read_struct(&png, &info, nullptr);
  return image;
}

void ExpectEndsCleanly(const std::string& guest, const std::string& encoded) {
  GuestRun run = RunGuest(guest, {}, encoded);
  EXPECT_EQ(run.failure, "");
  if (run.exit_status == 0) {
    EXPECT_EQ(run.diagnostics, "");
  } else {
    ExpectSaysWhyAndWhere(guest, run);
  }
}

void ExpectFlippedBitsEndCleanly(const std::string& guest, const std::string& encoded,
                                 size_t stride) {
  for (size_t bit = 0; bit < encoded.size() * 8; bit += stride) {
    SCOPED_TRACE("bit " + std::to_string(bit));
    ExpectEndsCleanly(guest, FlipBit(encoded, bit));
  }
}

void ExpectWarningIsDamage(const std::string& guest, const std::string& encoded, size_t first,
                           size_t end, size_t stride, const std::string& warning) {
  int warned = 0;
  for (size_t bit = first; bit < end; bit += stride) {
    SCOPED_TRACE("bit " + std::to_string(bit));
    const GuestRun run = RunGuest(guest, {}, FlipBit(encoded, bit));
    EXPECT_EQ(run.failure, "");
    if (run.diagnostics.find(warning) == std::string::npos) continue;
    EXPECT_EQ(run.exit_status, 1u);
    ++warned;
  }
  EXPECT_GT(warned, 0);
}

void ExpectCutOffIsRefused(const std::string& guest, const std::string& encoded, size_t stride) {
  for (size_t length = 0; length < encoded.size(); length += stride) {
    SCOPED_TRACE(std::to_string(length) + " bytes");
    GuestRun run = RunGuest(guest, {}, encoded.substr(0, length));
    EXPECT_EQ(run.failure, "");
    ExpectSaysWhyAndWhere(guest, run);
  }
}

void ExpectGivesPng(const std::string& guest, const std::string& encoded) {
  const GuestRun run = RunGuest(guest, {"--png"}, encoded), plain = RunGuest(guest, {}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 0u);
  EXPECT_EQ(run.diagnostics, "");
  const std::string image = ReadPng(run.output);
  EXPECT_TRUE(plain.output.starts_with(image)) << image.substr(0, 40);
}

}  // namespace vxa::decoders
