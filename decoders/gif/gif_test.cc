// What gif.vx accepts and refuses. The images come from the host's giflib; what they must become is
// computed here.
#include <gif_lib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::HasSubstr;

const std::string kGuest = "decoders/gif/gif";

struct Frame {
  int left = 0, top = 0, width = 1, height = 1;
  int bits = 8;  // a pixel has
  bool interlaced = false;
  bool own_colors = false;
  int transparent = NO_TRANSPARENT_COLOR;
  int disposal = DISPOSAL_UNSPECIFIED;
  std::string pixels = {};
};

Frame Noisy(Frame frame, int seed) {
  frame.pixels = Picture(frame.width, frame.height, 1, seed);
  for (char& pixel : frame.pixels) pixel = static_cast<char>(pixel & ((1 << frame.bits) - 1));
  return frame;
}

GifColorType Color(int index, bool own) {
  return {static_cast<GifByteType>(index * 5), static_cast<GifByteType>(own ? index : 255 - index),
          static_cast<GifByteType>(index ^ (own ? 77 : 0))};
}

ColorMapObject* Colors(int bits, bool own) {
  ColorMapObject* map = GifMakeMapObject(1 << bits, nullptr);
  for (int i = 0; i < 1 << bits; ++i) map->Colors[i] = Color(i, own);
  return map;
}

std::string Encode(int width, int height, const std::vector<Frame>& frames,
                   bool has_colors = true) {
  std::string encoded;
  int error;
  GifFileType* gif = EGifOpen(
      &encoded,
      [](GifFileType* file, const GifByteType* bytes, int size) {
        static_cast<std::string*>(file->UserData)
            ->append(reinterpret_cast<const char*>(bytes), size);
        return size;
      },
      &error);
  EGifSetGifVersion(gif, true);
  ColorMapObject* shared = has_colors ? Colors(8, false) : nullptr;
  EXPECT_EQ(EGifPutScreenDesc(gif, width, height, 8, 3, shared), GIF_OK);
  const char kLoop[] = "NETSCAPE2.0";
  EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE);
  EGifPutExtensionBlock(gif, 11, kLoop);
  EGifPutExtensionBlock(gif, 3, "\1\0\0");
  EGifPutExtensionTrailer(gif);
  for (const Frame& frame : frames) {
    GraphicsControlBlock control = {frame.disposal, false, 5, frame.transparent};
    GifByteType bytes[4];
    const size_t size = EGifGCBToExtension(&control, bytes);
    EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, static_cast<int>(size), bytes);
    EGifPutComment(gif, "no pixels");
    ColorMapObject* own = frame.own_colors ? Colors(frame.bits, true) : nullptr;
    EXPECT_EQ(EGifPutImageDesc(gif, frame.left, frame.top, frame.width, frame.height,
                               frame.interlaced, own),
              GIF_OK);
    std::string pixels = frame.pixels;
    auto put = [&](int y) {
      EGifPutLine(gif, reinterpret_cast<GifPixelType*>(pixels.data()) + y * frame.width,
                  frame.width);
    };
    if (frame.interlaced) {
      for (auto [first, step] : {std::pair(0, 8), {4, 8}, {2, 4}, {1, 2}}) {
        for (int y = first; y < frame.height; y += step) put(y);
      }
    } else {
      for (int y = 0; y < frame.height; ++y) put(y);
    }
    GifFreeMapObject(own);
  }
  EGifCloseFile(gif, &error);
  GifFreeMapObject(shared);
  return encoded;
}

std::string Expected(int width, int height, const std::vector<Frame>& frames) {
  std::string images, canvas(width * height * 4, '\0');
  for (const Frame& frame : frames) {
    const std::string before = canvas;
    std::string after = canvas;
    for (int y = frame.top; y < height && y < frame.top + frame.height; ++y) {
      for (int x = frame.left; x < width && x < frame.left + frame.width; ++x) {
        const size_t at = (y * width + x) * 4;
        const int index = static_cast<unsigned char>(
            frame.pixels[(y - frame.top) * frame.width + x - frame.left]);
        if (index != frame.transparent) {
          const GifColorType color = Color(index, frame.own_colors);
          for (int i = 0; i < 4; ++i) {
            after[at + i] = static_cast<char>(
                (const GifByteType[]){color.Red, color.Green, color.Blue, 255}[i]);
          }
        }
        if (frame.disposal == DISPOSE_BACKGROUND) canvas.replace(at, 4, 4, '\0');
      }
    }
    images += Image("RGB_ALPHA", 4, width, height, 255, after);
    if (frame.disposal == DISPOSE_PREVIOUS) canvas = before;
    if (frame.disposal == DISPOSAL_UNSPECIFIED || frame.disposal == DISPOSE_DO_NOT) canvas = after;
  }
  return images;
}

void ExpectDecodes(int width, int height, const std::vector<Frame>& frames) {
  decoders::ExpectDecodes(kGuest, Encode(width, height, frames), {},
                          Expected(width, height, frames));
}

TEST(GifDecoderTest, DecodesEverySizeAndOrderOfRows) {
  for (int width : {1, 2, 17, 300}) {
    for (int height : {1, 2, 3, 4, 5, 8, 9, 50}) {
      for (bool interlaced : {false, true}) {
        SCOPED_TRACE(testing::Message() << width << " x " << height << " " << interlaced);
        ExpectDecodes(width, height,
                      {Noisy({.width = width, .height = height, .interlaced = interlaced}, 0)});
      }
    }
  }
}

TEST(GifDecoderTest, DecodesColoursOfTheirOwn) {
  for (int bits = 1; bits <= 8; ++bits) {
    ExpectDecodes(40, 30,
                  {Noisy({.width = 40, .height = 30, .bits = bits, .own_colors = true}, bits)});
  }
  const Frame frame = Noisy({.width = 40, .height = 30, .bits = 3, .own_colors = true}, 0);
  decoders::ExpectDecodes(kGuest, Encode(40, 30, {frame}, false), {}, Expected(40, 30, {frame}));
}

TEST(GifDecoderTest, DecodesFlatImagesThatFillTheTable) {
  ExpectDecodes(600, 500, {{.width = 600, .height = 500, .pixels = std::string(300000, '\7')}});
}

TEST(GifDecoderTest, DecodesTransparency) {
  for (int transparent : {0, 3, 255}) {
    Frame frame = Noisy({.width = 40, .height = 30, .transparent = transparent}, 0);
    frame.pixels.replace(100, 200, 200, static_cast<char>(transparent));
    ExpectDecodes(40, 30, {frame});
  }
}

TEST(GifDecoderTest, DecodesFramesOntoTheCanvas) {
  std::vector<Frame> frames;
  int seed = 0;
  for (int disposal : {DISPOSE_DO_NOT, DISPOSE_PREVIOUS, DISPOSE_BACKGROUND, DISPOSE_PREVIOUS,
                       DISPOSAL_UNSPECIFIED}) {
    for (int first : {0, 1}) {
      frames.push_back(Noisy({.left = 3 * seed * first,
                              .top = 2 * seed,
                              .width = 12,
                              .height = 10,
                              .bits = 2 + first,
                              .interlaced = first == 1,
                              .own_colors = seed % 3 == 1,
                              .transparent = seed % 4 == 0 ? NO_TRANSPARENT_COLOR : 1,
                              .disposal = disposal},
                             seed));
      ++seed;
    }
  }
  ExpectDecodes(30, 25, frames);  // Some lie in part outside the canvas.
}

TEST(GifDecoderTest, WhatLiesOutsideTheCanvasIsLeftOut) {
  ExpectDecodes(
      10, 10,
      {Noisy({.left = 4, .top = 3, .width = 20, .height = 20}, 0),
       Noisy({.left = 50, .top = 3, .width = 2, .height = 2, .disposal = DISPOSE_BACKGROUND}, 1),
       Noisy({.left = 3, .top = 50, .width = 2, .height = 2}, 2)});
}

TEST(GifDecoderTest, IndicesWithoutColourAreNotDrawn) {
  std::string encoded = Encode(4, 1, {{.width = 4, .own_colors = false, .pixels = "\1\2\3\4"}});
  // The screen's 256 colours become its first 2.
  encoded[10] = static_cast<char>(encoded[10] & ~7);
  encoded.erase(13 + 6, 254 * 3);
  std::string samples(16, '\0');
  const GifColorType color = Color(1, false);
  samples.replace(0, 4,
                  {static_cast<char>(color.Red), static_cast<char>(color.Green),
                   static_cast<char>(color.Blue), '\xff'});
  decoders::ExpectDecodes(kGuest, encoded, {}, Image("RGB_ALPHA", 4, 4, 1, 255, samples));
}

const std::vector<Frame>& TwoFrames() {
  static const auto& frames = *new std::vector<Frame>{
      Noisy({.width = 7, .height = 6, .bits = 2, .own_colors = true, .transparent = 2}, 0),
      Noisy({.left = 1,
             .width = 5,
             .height = 6,
             .bits = 3,
             .interlaced = true,
             .own_colors = true,
             .disposal = 3},
            1)};
  return frames;
}

TEST(GifDecoderTest, WhatIsCutOffIsRefused) {
  ExpectCutOffIsRefused(kGuest, Encode(7, 6, TwoFrames(), false));
}

TEST(GifDecoderTest, FramesBeforeTheCutAreKept) {
  const std::string encoded = Encode(7, 6, TwoFrames());
  EXPECT_TRUE(RunGuest(kGuest, {}, encoded.substr(0, encoded.size() - 1)).output ==
              Expected(7, 6, TwoFrames()));
}

TEST(GifDecoderTest, FlippedBitsEndCleanly) {
  ExpectFlippedBitsEndCleanly(kGuest, Encode(7, 6, TwoFrames(), false));
}

TEST(GifDecoderTest, ACanvasLargerThanMemoryIsRefused) {
  std::string encoded = Encode(7, 6, TwoFrames());
  encoded.replace(6, 4, "\xff\xff\xff\xff");
  ExpectRefused(kGuest, encoded, {}, "gif: out of memory, at byte 781 of the input\n");
}

TEST(GifDecoderTest, FilesWithoutPixelsAreRefused) {
  EXPECT_THAT(RunGuest(kGuest, {}, Encode(7, 6, {})).diagnostics,
              HasSubstr("gif: no image, at byte "));
  std::string encoded = Encode(7, 6, TwoFrames());
  encoded.replace(6, 2, 2, '\0');
  ExpectRefused(kGuest, encoded, {}, "gif: a canvas without pixels, at byte 781 of the input\n");
  encoded = Encode(7, 6, {Noisy({.width = 7, .height = 6}, 0)});
  encoded[10] = static_cast<char>(encoded[10] & 0x7f);
  encoded.erase(13, 768);
  EXPECT_THAT(RunGuest(kGuest, {}, encoded).diagnostics,
              HasSubstr("gif: a frame without colours, at byte "));
}

TEST(GifDecoderTest, OtherFormatsAreRefused) {
  EXPECT_EQ(RunGuest(kGuest, {}, "something quite different").exit_status, 1u);
}

TEST(GifDecoderTest, WhatFollowsTheTrailerIsPassedOver) {
  const std::string encoded = Encode(7, 6, TwoFrames());
  for (const std::string& rest : {std::string("\0", 1), encoded, std::string(200'000, 'x')}) {
    decoders::ExpectDecodes(kGuest, encoded + rest, {}, Expected(7, 6, TwoFrames()));
  }
}

TEST(GifDecoderTest, GivesPngOfTheFirstFrame) {
  ExpectGivesPng(kGuest, Encode(7, 6, TwoFrames()));
  ExpectGivesPng(kGuest, Encode(7, 6, TwoFrames()) + "junk");
}

}  // namespace
}  // namespace vxa::decoders
