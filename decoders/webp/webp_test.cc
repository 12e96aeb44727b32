// What webp.vx accepts and refuses. The images come from the host's libwebp, and are compared with
// what it decodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <cstdint>
#include <functional>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::HasSubstr;

const std::string kGuest = "decoders/webp/webp";

using Setting = std::function<void(WebPConfig*)>;

void Lossless(WebPConfig* config) { config->lossless = 1; }

void SetPicture(WebPPicture* picture, int width, int height, int channels, int seed) {
  WebPPictureInit(picture);
  picture->use_argb = 1;
  picture->width = width;
  picture->height = height;
  const std::string samples = Picture(width, height, channels, seed);
  const auto* bytes = reinterpret_cast<const uint8_t*>(samples.data());
  EXPECT_TRUE(channels == 4 ? WebPPictureImportRGBA(picture, bytes, width * 4)
                            : WebPPictureImportRGB(picture, bytes, width * 3));
}

std::string Encode(int width, int height, int channels, const Setting& set = {}) {
  WebPConfig config;
  WebPConfigInit(&config);
  if (set) set(&config);
  WebPPicture picture;
  SetPicture(&picture, width, height, channels, 0);
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  EXPECT_TRUE(WebPEncode(&config, &picture));
  std::string encoded(reinterpret_cast<char*>(writer.mem), writer.size);
  WebPMemoryWriterClear(&writer);
  WebPPictureFree(&picture);
  return encoded;
}

const uint8_t* Bytes(const std::string& encoded) {
  return reinterpret_cast<const uint8_t*>(encoded.data());
}

// The image that the host's library decodes.
std::string Expected(const std::string& encoded) {
  WebPBitstreamFeatures features;
  EXPECT_EQ(WebPGetFeatures(Bytes(encoded), encoded.size(), &features), VP8_STATUS_OK);
  int width, height;
  const int channels = features.has_alpha ? 4 : 3;
  uint8_t* samples = (features.has_alpha ? WebPDecodeRGBA : WebPDecodeRGB)(
      Bytes(encoded), encoded.size(), &width, &height);
  std::string image = Image(features.has_alpha ? "RGB_ALPHA" : "P6", channels, width, height, 255,
                            std::string(reinterpret_cast<char*>(samples),
                                        static_cast<size_t>(width) * height * channels));
  WebPFree(samples);
  return image;
}

void ExpectDecodes(const std::string& encoded) {
  decoders::ExpectDecodes(kGuest, encoded, {}, Expected(encoded));
}

TEST(WebpDecoderTest, DecodesLossyImages) {
  for (int width : {1, 2, 15, 16, 17, 90}) {
    for (float quality : {0.f, 50.f, 100.f}) {
      for (int channels : {3, 4}) {
        SCOPED_TRACE(testing::Message() << width << " " << quality << " " << channels);
        ExpectDecodes(Encode(width, 100 - width, channels,
                             [=](WebPConfig* config) { config->quality = quality; }));
      }
    }
  }
}

TEST(WebpDecoderTest, DecodesEveryLossyFeature) {
  for (int filter : {0, 1}) {
    for (int partitions : {0, 3}) {
      for (int segments : {1, 4}) {
        for (int alpha : {0, 1}) {
          ExpectDecodes(Encode(70, 60, 4, [=](WebPConfig* config) {
            config->filter_type = filter;
            config->filter_strength = 80;
            config->partitions = partitions;
            config->segments = segments;
            config->alpha_compression = alpha;
            config->alpha_quality = alpha ? 40 : 100;
            config->alpha_filtering = partitions == 3 ? 2 : 1;
          }));
        }
      }
    }
  }
}

TEST(WebpDecoderTest, DecodesLosslessImagesExactly) {
  for (int width : {1, 3, 64, 91}) {
    for (int channels : {3, 4}) {
      for (int method : {0, 6}) {
        SCOPED_TRACE(testing::Message() << width << " " << channels << " " << method);
        const std::string encoded = Encode(width, 50, channels, [=](WebPConfig* config) {
          config->lossless = 1;
          config->exact = 1;
          config->method = method;
        });
        decoders::ExpectDecodes(kGuest, encoded, {},
                                Image(channels == 4 ? "RGB_ALPHA" : "P6", channels, width, 50, 255,
                                      Picture(width, 50, channels)));
      }
    }
  }
}

TEST(WebpDecoderTest, DecodesLosslessImagesOfFewColours) {
  for (int colours : {1, 2, 3, 10, 200}) {
    std::string samples;
    for (int i = 0; i < 40 * 30; ++i)
      samples += std::string(3, static_cast<char>(i * i % 211 % colours));
    uint8_t* bytes = nullptr;
    const size_t size = WebPEncodeLosslessRGB(Bytes(samples), 40, 30, 120, &bytes);
    const std::string encoded(reinterpret_cast<char*>(bytes), size);
    WebPFree(bytes);
    decoders::ExpectDecodes(kGuest, encoded, {}, Image("P6", 3, 40, 30, 255, samples));
  }
}

std::string Animation(int frames, bool lossless) {
  WebPAnimEncoderOptions options;
  WebPAnimEncoderOptionsInit(&options);
  options.allow_mixed = 0;
  WebPAnimEncoder* encoder = WebPAnimEncoderNew(60, 50, &options);
  WebPConfig config;
  WebPConfigInit(&config);
  config.lossless = lossless;
  for (int frame = 0; frame < frames; ++frame) {
    // Only a part differs from frame to frame: the encoder makes smaller frames, blended with the
    // canvas.
    WebPPicture picture;
    SetPicture(&picture, 60, 50, 4, 0);
    for (int y = 10; y < 20; ++y) {
      for (int x = 0; x < 10; ++x)
        picture.argb[y * picture.argb_stride + x + 4 * frame] = 0x80ff0000u + frame * 50;
    }
    EXPECT_TRUE(WebPAnimEncoderAdd(encoder, &picture, frame * 40, &config));
    WebPPictureFree(&picture);
  }
  WebPData data;
  WebPDataInit(&data);
  EXPECT_TRUE(WebPAnimEncoderAdd(encoder, nullptr, frames * 40, nullptr));
  EXPECT_TRUE(WebPAnimEncoderAssemble(encoder, &data));
  std::string encoded(reinterpret_cast<const char*>(data.bytes), data.size);
  WebPDataClear(&data);
  WebPAnimEncoderDelete(encoder);
  return encoded;
}

TEST(WebpDecoderTest, DecodesTheFramesOfAnimationsOntoTheirCanvas) {
  for (bool lossless : {false, true}) {
    const std::string encoded = Animation(5, lossless);
    WebPData data = {Bytes(encoded), encoded.size()};
    WebPAnimDecoder* decoder = WebPAnimDecoderNew(&data, nullptr);
    std::string images;
    int count = 0;
    for (uint8_t* canvas; WebPAnimDecoderHasMoreFrames(decoder); ++count) {
      int time;
      ASSERT_TRUE(WebPAnimDecoderGetNext(decoder, &canvas, &time));
      images += Image("RGB_ALPHA", 4, 60, 50, 255,
                      std::string(reinterpret_cast<char*>(canvas), 60 * 50 * 4));
    }
    WebPAnimDecoderDelete(decoder);
    EXPECT_EQ(count, 5);
    decoders::ExpectDecodes(kGuest, encoded, {}, images);
  }
}

TEST(WebpDecoderTest, OtherFormatsAreRefused) {
  for (const std::string& other :
       {std::string("text"), std::string("RIFF\x10\0\0\0WAVEfmt ", 16)}) {
    ExpectRefused(kGuest, other, {}, "webp: not a WebP header, at byte 0 of the input\n");
  }
}

TEST(WebpDecoderTest, JunkAfterTheImageIsRefused) {
  const std::string encoded = Encode(5, 5, 3);
  ExpectRefused(
      kGuest, encoded + "x", {},
      "webp: junk after the image, at byte " + std::to_string(encoded.size()) + " of the input\n");
}

TEST(WebpDecoderTest, WhatIsCutOffIsRefused) {
  ExpectCutOffIsRefused(kGuest, Encode(9, 9, 4));
  ExpectCutOffIsRefused(kGuest, Encode(9, 9, 4, Lossless));
  ExpectCutOffIsRefused(kGuest, Animation(2, false), 13);
}

// Cut off, while the headers say that this is all.
TEST(WebpDecoderTest, ImagesThatEndEarlyEndCleanly) {
  for (std::string encoded : {Encode(30, 30, 3), Encode(30, 30, 3, Lossless)}) {
    for (size_t length = 22; length < encoded.size(); length += 2) {
      std::string cut = encoded.substr(0, length);
      for (int i = 0; i < 4; ++i) {
        cut[4 + i] = static_cast<char>((length - 8) >> (8 * i));
        cut[16 + i] = static_cast<char>((length - 20) >> (8 * i));
      }
      ExpectEndsCleanly(kGuest, cut);
    }
  }
}

TEST(WebpDecoderTest, FlippedBitsEndCleanly) {
  ExpectFlippedBitsEndCleanly(kGuest, Encode(9, 9, 4), 1);
  ExpectFlippedBitsEndCleanly(kGuest, Encode(9, 9, 4, Lossless), 1);
  ExpectFlippedBitsEndCleanly(kGuest, Animation(2, false), 101);
}

TEST(WebpDecoderTest, ACanvasLargerThanMemoryIsRefused) {
  std::string encoded = Animation(2, true);
  ASSERT_EQ(encoded.substr(12, 4), "VP8X");
  encoded.replace(24, 6, std::string("\xff\xff\x00\xfe\xff\x00", 6));  // 65536 x 65535
  GuestRun run = RunGuest(kGuest, {}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, HasSubstr("out of memory, at byte 12 of the input\n"));
}

TEST(WebpDecoderTest, GivesPngOfTheFirstFrame) {
  ExpectGivesPng(kGuest, Encode(150, 90, 3));
  ExpectGivesPng(kGuest, Encode(150, 90, 4));
  ExpectGivesPng(kGuest, Animation(3, true));
}

}  // namespace
}  // namespace vxa::decoders
