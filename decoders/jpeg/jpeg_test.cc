// What jpeg.vx accepts and refuses. The images come from the host's libjpeg-turbo, and are compared
// with what it decodes, with its SIMD code, at its own defaults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
// jpeglib.h needs size_t and FILE.
#include <jpeglib.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::HasSubstr;

const std::string kGuest = "decoders/jpeg/jpeg";

using Setting = std::function<void(jpeg_compress_struct*)>;

std::string Encode(J_COLOR_SPACE space, int channels, int width, int height,
                   const Setting& set = {}) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = channels;
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 80, TRUE);
  if (set) set(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  std::string samples = Picture(width, height, channels);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row =
        reinterpret_cast<unsigned char*>(samples.data()) + jpeg.next_scanline * width * channels;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string encoded(reinterpret_cast<char*>(bytes), size);
  free(bytes);
  return encoded;
}

std::string Rgb(int width, int height, const Setting& set = {}) {
  return Encode(JCS_RGB, 3, width, height, set);
}

// The image that the host's library decodes, with sides divided by `scale`.
std::string Expected(const std::string& encoded, int scale = 1) {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(encoded.data()), encoded.size());
  jpeg_read_header(&jpeg, TRUE);
  jpeg.scale_denom = scale;
  jpeg_start_decompress(&jpeg);
  const int width = static_cast<int>(jpeg.output_width),
            height = static_cast<int>(jpeg.output_height);
  const int channels = jpeg.output_components;
  std::string samples(static_cast<size_t>(width) * height * channels, '\0');
  while (jpeg.output_scanline < jpeg.output_height) {
    auto* row =
        reinterpret_cast<unsigned char*>(samples.data()) + jpeg.output_scanline * width * channels;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  if (channels == 4 && jpeg.saw_Adobe_marker) {
    for (char& sample : samples) sample = static_cast<char>(~sample);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  const char* type = channels == 1 ? "P5" : channels == 3 ? "P6" : "CMYK";
  return Image(type, channels, width, height, 255, samples);
}

void ExpectDecodes(const std::string& encoded) {
  decoders::ExpectDecodes(kGuest, encoded, {}, Expected(encoded));
}

Setting Sampling(int h, int v) {
  return [h, v](jpeg_compress_struct* jpeg) {
    jpeg->comp_info[0].h_samp_factor = h;
    jpeg->comp_info[0].v_samp_factor = v;
  };
}

void Progressive(jpeg_compress_struct* jpeg) { jpeg_simple_progression(jpeg); }

void Arithmetic(jpeg_compress_struct* jpeg) { jpeg->arith_code = TRUE; }

TEST(JpegDecoderTest, DecodesEverySizeAndSampling) {
  for (int h : {1, 2, 4}) {
    for (int v : {1, 2, 4}) {
      if (h * v > 8) continue;  // more than a scan may have
      for (int width : {1, 8, 17, 70}) {
        SCOPED_TRACE(testing::Message() << h << " x " << v << ", " << width);
        ExpectDecodes(Rgb(width, 90 - width, Sampling(h, v)));
      }
    }
  }
}

// SSE2 code takes 8, 16 and 32 samples at once, and then the rest of a row.
TEST(JpegDecoderTest, DecodesRowsOfEveryLength) {
  for (int h : {1, 2}) {
    for (int width = 1; width < 70; ++width) {
      SCOPED_TRACE(testing::Message() << h << ", " << width);
      ExpectDecodes(Rgb(width, 5, Sampling(h, h)));
      ExpectDecodes(Rgb(width, 3, Sampling(h, 1)));
    }
  }
}

TEST(JpegDecoderTest, DecodesEveryQuality) {
  for (int quality : {1, 25, 50, 75, 90, 98, 100}) {
    ExpectDecodes(Rgb(
        70, 60, [quality](jpeg_compress_struct* jpeg) { jpeg_set_quality(jpeg, quality, FALSE); }));
  }
}

TEST(JpegDecoderTest, DecodesProgressiveAndArithmeticAndBoth) {
  for (int width : {9, 100}) {
    for (auto sampling : {Sampling(1, 1), Sampling(2, 1), Sampling(2, 2)}) {
      for (bool progressive : {false, true}) {
        for (bool arithmetic : {false, true}) {
          for (int restart : {0, 3}) {
            SCOPED_TRACE(testing::Message()
                         << width << " " << progressive << arithmetic << restart);
            ExpectDecodes(Rgb(width, 50, [&](jpeg_compress_struct* jpeg) {
              sampling(jpeg);
              if (progressive) Progressive(jpeg);
              if (arithmetic) Arithmetic(jpeg);
              jpeg->restart_interval = restart;
              jpeg->optimize_coding = !arithmetic && restart == 3;
            }));
          }
        }
      }
    }
  }
}

TEST(JpegDecoderTest, DecodesGray) {
  const std::string encoded = Encode(JCS_GRAYSCALE, 1, 45, 33);
  EXPECT_THAT(Expected(encoded), HasSubstr("P5\n45 33\n255\n"));
  ExpectDecodes(encoded);
  ExpectDecodes(Encode(JCS_GRAYSCALE, 1, 45, 33, Progressive));
}

TEST(JpegDecoderTest, DecodesRgbThatIsStoredAsSuch) {
  ExpectDecodes(
      Rgb(45, 33, [](jpeg_compress_struct* jpeg) { jpeg_set_colorspace(jpeg, JCS_RGB); }));
}

TEST(JpegDecoderTest, DecodesCmyk) {
  for (J_COLOR_SPACE space : {JCS_CMYK, JCS_YCCK}) {
    const Setting set = [space](jpeg_compress_struct* jpeg) { jpeg_set_colorspace(jpeg, space); };
    ExpectDecodes(Encode(JCS_CMYK, 4, 45, 33, set));
  }
  // Without Adobe's marker nothing is inverted.
  ExpectDecodes(Encode(JCS_CMYK, 4, 45, 33,
                       [](jpeg_compress_struct* jpeg) { jpeg->write_Adobe_marker = FALSE; }));
}

TEST(JpegDecoderTest, WhatIsNotPixelsIsPassedOver) {
  std::string encoded = Rgb(20, 20);
  const std::string image = Expected(encoded);
  // A comment, an EXIF orientation, an ICC profile longer than the decoder's buffer, all after SOI.
  std::string segments(
      "\xff\xfe\x00\x06note\xff\xe1\x00\x22"
      "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
      44);
  for (int i = 0; i < 3; ++i) segments += "\xff\xe2\xff\xff" + std::string(65533, 'p');
  encoded.insert(2, segments);
  decoders::ExpectDecodes(kGuest, encoded, {}, image);
}

TEST(JpegDecoderTest, ImagesFollowEachOther) {
  const std::string a = Rgb(30, 20), b = Encode(JCS_GRAYSCALE, 1, 7, 9, Progressive),
                    c = Rgb(3, 5, Arithmetic);
  decoders::ExpectDecodes(kGuest, a + b + c, {}, Expected(a) + Expected(b) + Expected(c));
}

TEST(JpegDecoderTest, WhatFollowsAnImageAndIsNoneIsPassedOver) {
  const std::string encoded = Rgb(30, 20);
  const std::string video(
      "\0\0\0\x18"
      "ftypmp42",
      12);
  for (const std::string& trailer : {std::string(1, '\0'), std::string("\xff"), video,
                                     video + encoded, std::string(200'000, '\xff')}) {
    decoders::ExpectDecodes(kGuest, encoded + trailer, {}, Expected(encoded));
    decoders::ExpectDecodes(kGuest, encoded + encoded + trailer, {},
                            Expected(encoded) + Expected(encoded));
  }
}

TEST(JpegDecoderTest, AnImageMayBeginAtBothSidesOfAnyEndOfTheBuffer) {
  const std::string image = Rgb(30, 20);
  for (size_t at = (1 << 16) - 3; at <= (1 << 16) + 1; ++at) {
    // The first image with a comment that makes it so long.
    const size_t comment = at - image.size() - 2;
    ASSERT_LT(comment, 1u << 16);
    std::string first = image;
    first.insert(2, std::string("\xff\xfe") + static_cast<char>(comment >> 8) +
                        static_cast<char>(comment & 255) + std::string(comment - 2, 'c'));
    ASSERT_EQ(first.size(), at);
    decoders::ExpectDecodes(kGuest, first + image, {}, Expected(image) + Expected(image));
  }
}

TEST(JpegDecoderTest, WhatIsCutOffIsRefused) {
  const std::string encoded = Rgb(30, 20);
  ExpectCutOffIsRefused(kGuest, encoded);
  for (size_t length = 2; length < encoded.size(); length += 7) {
    EXPECT_EQ(RunGuest(kGuest, {}, encoded + encoded.substr(0, length)).exit_status, 1u);
  }
  ExpectCutOffIsRefused(kGuest, Rgb(30, 20, Progressive), 5);
  ExpectCutOffIsRefused(kGuest, Rgb(30, 20, Arithmetic), 5);
}

TEST(JpegDecoderTest, FlippedBitsEndCleanly) {
  for (const Setting& set : {Setting(), Setting(Progressive), Setting(Arithmetic)}) {
    ExpectFlippedBitsEndCleanly(kGuest, Encode(JCS_GRAYSCALE, 1, 9, 9, set));
  }
  ExpectFlippedBitsEndCleanly(kGuest, Rgb(20, 20, Progressive), 5);
}

TEST(JpegDecoderTest, DamagedDataIsDecodedAndRefused) {
  // The last bits are as zeros where the image's end has come too early.
  std::string encoded = Rgb(60, 60);
  encoded.erase(encoded.size() - 200, 198);
  GuestRun run = RunGuest(kGuest, {}, encoded);
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, HasSubstr("premature end of data segment"));
  EXPECT_TRUE(run.output == Expected(encoded));
}

TEST(JpegDecoderTest, MoreThanMemoryHasRoomForIsRefused) {
  std::string encoded = Rgb(16, 16, Progressive);
  const size_t frame = encoded.find("\xff\xc2");
  ASSERT_NE(frame, std::string::npos);
  encoded.replace(frame + 5, 4,
                  "\xfd\xe8\xfd\xe8");  // 65000 x 65000, whose coefficients must be kept
  GuestRun run = RunGuest(kGuest, {}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, HasSubstr("Insufficient memory"));
}

TEST(JpegDecoderTest, ScalesWhileItDecodes) {
  for (int scale : {2, 4, 8}) {
    for (const std::string& encoded :
         {Rgb(101, 67), Rgb(64, 64, Sampling(1, 1)), Rgb(50, 33, Progressive),
          Rgb(5, 3, Sampling(2, 1)), Encode(JCS_GRAYSCALE, 1, 45, 33),
          Encode(JCS_CMYK, 4, 45, 33, Arithmetic)}) {
      decoders::ExpectDecodes(kGuest, encoded, {"--scale=" + std::to_string(scale)},
                              Expected(encoded, scale));
    }
  }
}

TEST(JpegDecoderTest, GivesPng) {
  for (const auto& [width, height] : {std::pair(1, 1), {45, 33}, {150, 73}, {700, 300}}) {
    ExpectGivesPng(kGuest, Rgb(width, height));
    ExpectGivesPng(kGuest, Encode(JCS_GRAYSCALE, 1, width, height));
  }
  ExpectGivesPng(kGuest, Rgb(20, 10) + Rgb(30, 20));
  ExpectGivesPng(kGuest, Rgb(20, 10) + "junk");
  ExpectRefused(kGuest, Encode(JCS_CMYK, 4, 5, 3), {"--png"},
                "jpeg: PNG has no CMYK, at byte 0 of the input\n");
}

}  // namespace
}  // namespace vxa::decoders
