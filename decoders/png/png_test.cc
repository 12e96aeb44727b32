// What png.vx accepts and refuses. The images come from the host's libpng; what they must become is
// computed here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <cstdint>
#include <string>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::HasSubstr;

const std::string kGuest = "decoders/png/png";

struct Png {
  int type = PNG_COLOR_TYPE_RGB;
  int bits = 8;
  bool interlaced = false;
  std::vector<png_color> palette = {};
  std::vector<png_byte> palette_alpha = {};
  bool has_transparent = false;
  png_color_16 transparent = {};
};

// `samples` are bytes, or two bytes each at 16 bits. Of those with fewer bits the lower ones are
// taken.
std::string Encode(const Png& how, int width, int height, const std::string& samples) {
  std::string encoded;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &encoded,
      [](png_structp png, png_bytep bytes, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(png))
            ->append(reinterpret_cast<char*>(bytes), size);
      },
      nullptr);
  png_set_IHDR(png, info, width, height, how.bits, how.type,
               how.interlaced ? PNG_INTERLACE_ADAM7 : 0, 0, 0);
  png_set_filter(png, 0, PNG_ALL_FILTERS);
  if (!how.palette.empty())
    png_set_PLTE(png, info, how.palette.data(), static_cast<int>(how.palette.size()));
  if (!how.palette_alpha.empty()) {
    png_set_tRNS(png, info, how.palette_alpha.data(), static_cast<int>(how.palette_alpha.size()),
                 nullptr);
  }
  if (how.has_transparent) png_set_tRNS(png, info, nullptr, 0, &how.transparent);
  // What says how to show an image and must not change it.
  png_set_gAMA_fixed(png, info, 220000);
  png_text text = {};
  text.compression = PNG_TEXT_COMPRESSION_zTXt;
  text.key = const_cast<char*>("Comment");
  text.text = const_cast<char*>("no pixels");
  text.text_length = 9;
  png_set_text(png, info, &text, 1);
  png_write_info(png, info);
  png_set_packing(png);
  const size_t row_size = samples.size() / height;
  std::vector<png_bytep> rows;
  for (int y = 0; y < height; ++y) {
    rows.push_back(reinterpret_cast<png_bytep>(const_cast<char*>(samples.data() + row_size * y)));
  }
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return encoded;
}

std::string Masked(std::string samples, int bits) {
  for (char& sample : samples) sample = static_cast<char>(sample & ((1 << bits) - 1));
  return samples;
}

class PngDecoderTest : public testing::TestWithParam<bool> {
 protected:
  static void Expect(Png how, int width, int height, const std::string& samples,
                     const std::string& image) {
    how.interlaced = GetParam();
    decoders::ExpectDecodes(kGuest, Encode(how, width, height, samples), {}, image);
  }
};

INSTANTIATE_TEST_SUITE_P(Interlaced, PngDecoderTest, testing::Bool());

TEST_P(PngDecoderTest, DecodesEveryTypeOf8And16Bits) {
  const struct {
    int type, channels;
    const char* image;
  } kTypes[] = {{PNG_COLOR_TYPE_GRAY, 1, "P5"},
                {PNG_COLOR_TYPE_GRAY_ALPHA, 2, "GRAYSCALE_ALPHA"},
                {PNG_COLOR_TYPE_RGB, 3, "P6"},
                {PNG_COLOR_TYPE_RGB_ALPHA, 4, "RGB_ALPHA"}};
  for (auto [type, channels, image] : kTypes) {
    for (int width : {1, 2, 5, 33, 200}) {
      SCOPED_TRACE(testing::Message() << image << " " << width);
      const int height = 41 - width / 5;
      std::string samples = Picture(width, height, channels);
      Expect({.type = type}, width, height, samples,
             Image(image, channels, width, height, 255, samples));
      samples = Picture(width, height, channels * 2);
      Expect({.type = type, .bits = 16}, width, height, samples,
             Image(image, channels, width, height, 65535, samples));
    }
  }
}

TEST_P(PngDecoderTest, FewerBitsOfGrayBecome8) {
  for (int bits : {1, 2, 4}) {
    for (int width : {1, 7, 8, 9, 50}) {
      std::string samples = Masked(Picture(width, 20, 1), bits), image = samples;
      for (char& sample : image) sample = static_cast<char>(sample * (255 / ((1 << bits) - 1)));
      Expect({.type = PNG_COLOR_TYPE_GRAY, .bits = bits}, width, 20, samples,
             Image("P5", 1, width, 20, 255, image));
    }
  }
}

TEST_P(PngDecoderTest, PalettesBecomeTheirColours) {
  for (int bits : {1, 2, 4, 8}) {
    Png how{.type = PNG_COLOR_TYPE_PALETTE, .bits = bits};
    for (int i = 0; i < 1 << bits; ++i) {
      how.palette.push_back({static_cast<png_byte>(i * 7), static_cast<png_byte>(255 - i),
                             static_cast<png_byte>(i ^ 90)});
    }
    std::string samples = Masked(Picture(37, 20, 1), bits), rgb, rgba;
    how.palette_alpha = {0, 200};  // the rest is opaque
    for (unsigned char sample : samples) {
      const png_color& color = how.palette[sample];
      for (png_byte part : {color.red, color.green, color.blue}) {
        rgb += static_cast<char>(part);
        rgba += static_cast<char>(part);
      }
      rgba += static_cast<char>(sample < 2 ? how.palette_alpha[sample] : 255);
    }
    Expect(how, 37, 20, samples, Image("RGB_ALPHA", 4, 37, 20, 255, rgba));
    how.palette_alpha.clear();
    Expect(how, 37, 20, samples, Image("P6", 3, 37, 20, 255, rgb));
  }
}

TEST_P(PngDecoderTest, ATransparentColourBecomesAlpha) {
  for (int bits : {1, 2, 4, 8}) {
    std::string samples = Masked(Picture(30, 20, 1), bits), image;
    Png how{.type = PNG_COLOR_TYPE_GRAY, .bits = bits, .has_transparent = true};
    how.transparent.gray = static_cast<unsigned char>(samples[77]);
    for (char sample : samples) {
      image += static_cast<char>(sample * (255 / ((1 << bits) - 1)));
      image += sample == samples[77] ? '\0' : '\xff';
    }
    Expect(how, 30, 20, samples, Image("GRAYSCALE_ALPHA", 2, 30, 20, 255, image));
  }
  for (int bytes : {1, 2}) {
    const int pixel = 3 * bytes;
    std::string samples = Picture(30, 20, pixel), image;
    const std::string transparent = samples.substr(pixel * 99, pixel);
    auto part = [&](int i) {
      uint16_t value = 0;
      for (int byte = 0; byte < bytes; ++byte) {
        value = static_cast<uint16_t>(value << 8 |
                                      static_cast<unsigned char>(transparent[i * bytes + byte]));
      }
      return value;
    };
    Png how{.bits = 8 * bytes, .has_transparent = true};
    how.transparent = {.index = 0, .red = part(0), .green = part(1), .blue = part(2), .gray = 0};
    for (size_t at = 0; at < samples.size(); at += pixel) {
      image += samples.substr(at, pixel);
      image.append(bytes, samples.compare(at, pixel, transparent) == 0 ? '\0' : '\xff');
    }
    Expect(how, 30, 20, samples, Image("RGB_ALPHA", 4, 30, 20, bytes == 1 ? 255 : 65535, image));
  }
}

TEST_P(PngDecoderTest, WhatIsCutOffIsRefused) {
  ExpectCutOffIsRefused(kGuest, Encode({.interlaced = GetParam()}, 7, 6, Picture(7, 6, 3)));
}

TEST_P(PngDecoderTest, EveryFlippedBitIsRefused) {
  const std::string encoded = Encode({.interlaced = GetParam()}, 5, 4, Picture(5, 4, 3));
  ExpectFlippedBitsEndCleanly(kGuest, encoded);
  for (size_t bit = 0; bit < encoded.size() * 8; bit += 5) {
    SCOPED_TRACE(bit);
    EXPECT_EQ(RunGuest(kGuest, {}, FlipBit(encoded, bit)).exit_status, 1u);
  }
}

// The image's header says that it has another size; its check value is right.
std::string Resized(std::string encoded, uint32_t width, uint32_t height) {
  for (int i = 0; i < 4; ++i) {
    encoded[16 + i] = static_cast<char>(width >> (24 - 8 * i));
    encoded[20 + i] = static_cast<char>(height >> (24 - 8 * i));
  }
  uint32_t crc = ~0u;
  for (int i = 12; i < 29; ++i) {
    crc ^= static_cast<unsigned char>(encoded[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  for (int i = 0; i < 4; ++i) encoded[29 + i] = static_cast<char>(~crc >> (24 - 8 * i));
  return encoded;
}

TEST_P(PngDecoderTest, HeadersThatLieAboutTheSizeAreRefused) {
  const std::string encoded = Encode({.interlaced = GetParam()}, 5, 4, Picture(5, 4, 3));
  for (uint32_t width : {6u, 70000u, 178956970u, 0x7fffffffu}) {
    for (uint32_t height : {4u, 70000u, 0x7fffffffu}) {
      SCOPED_TRACE(testing::Message() << width << " x " << height);
      GuestRun run = RunGuest(kGuest, {}, Resized(encoded, width, height));
      EXPECT_EQ(run.failure, "");
      EXPECT_EQ(run.exit_status, 1u);
      EXPECT_THAT(run.diagnostics, HasSubstr(" of the input\n"));
    }
  }
}

TEST_P(PngDecoderTest, MoreSamplesThanTheHeaderSaysAreRefused) {
  GuestRun run = RunGuest(
      kGuest, {}, Resized(Encode({.interlaced = GetParam()}, 5, 40, Picture(5, 40, 3)), 5, 39));
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, HasSubstr(" of the input\n"));
}

TEST_P(PngDecoderTest, JunkAfterTheImageIsRefusedAtItsPlace) {
  const std::string samples = Picture(5, 4, 3),
                    encoded = Encode({.interlaced = GetParam()}, 5, 4, samples);
  for (const std::string& junk : {std::string(1, '\0'), encoded}) {
    GuestRun run = RunGuest(kGuest, {}, encoded + junk);
    EXPECT_EQ(run.exit_status, 1u);
    EXPECT_EQ(run.diagnostics, "png: junk after the image, at byte " +
                                   std::to_string(encoded.size()) + " of the input\n");
    EXPECT_TRUE(run.output == Image("P6", 3, 5, 4, 255, samples));
  }
}

TEST(PngDecoder, ManyRowsNeedNoMoreMemoryThanOne) {
  // 2.4 GB of samples, were they kept. Such an image isn't made in a moment: this one's data ends
  // early.
  const std::string encoded = Encode({}, 20000, 3, std::string(180000, 'x'));
  GuestRun run = RunGuest(kGuest, {}, Resized(encoded, 20000, 40000));
  EXPECT_EQ(run.failure, "");
  EXPECT_THAT(run.output, HasSubstr("P6\n20000 40000\n255\nxxx"));
}

}  // namespace
}  // namespace vxa::decoders
