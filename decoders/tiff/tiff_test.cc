// What tiff.vx accepts and refuses. The images come from the host's libtiff; what they must become
// is computed here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::HasSubstr;

const std::string kGuest = "decoders/tiff/tiff";

struct Page {
  int width = 50, height = 40;
  int channels = 3;
  int bits = 8;
  int photometric = PHOTOMETRIC_RGB;
  int compression = COMPRESSION_NONE;
  int predictor = PREDICTOR_NONE;
  bool separate = false;
  int tile = 0;  // its width and height; 0 for strips
  int rows_per_strip = 7;
  int options = 0;    // of CCITT G3
  bool runs = false;  // a picture of CCITT's runs: a row begins with one of 0s and one of 1s
  int extra = EXTRASAMPLE_UNASSALPHA;
};

bool HasAlpha(const Page& page) {
  return page.photometric != PHOTOMETRIC_SEPARATED && page.channels % 2 == 0;
}

// Sample `s` of pixel (x, y), of `bits` bits.
unsigned Sample(const Page& page, const std::string& picture, int x, int y, int s) {
  x = std::min(x, page.width - 1);
  y = std::min(y, page.height - 1);
  const size_t i = (static_cast<size_t>(y) * page.width + x) * page.channels + s;
  const unsigned value = static_cast<unsigned char>(picture[2 * i]) << 8 |
                         static_cast<unsigned char>(picture[2 * i + 1]);
  return value >> (16 - page.bits);
}

std::string Samples(const Page& page) {
  if (page.runs) {
    std::string samples;
    for (int y = 0; y < page.height; ++y) {
      const int length = y < 64 ? y : 64 * (y - 63);  // There are codes for each.
      std::string row(2 * page.width, '\0');
      samples += row.replace(2 * length, 2 * length, 2 * length, '\xff');
    }
    return samples;
  }
  return Picture(page.width, page.height, 2 * page.channels);
}

// A rectangle's samples of all channels, or of channel `plane`, as libtiff takes them.
std::string Packed(const Page& page, int left, int top, int width, int height, int plane) {
  const std::string picture = Samples(page);
  std::string packed;
  for (int y = top; y < top + height; ++y) {
    unsigned byte = 0;
    int filled = 0;
    for (int x = left; x < left + width; ++x) {
      for (int s = plane < 0 ? 0 : plane; s < (plane < 0 ? page.channels : plane + 1); ++s) {
        const unsigned sample = Sample(page, picture, x, y, s);
        if (page.bits == 16) {
          packed += static_cast<char>(sample);  // in the host's order
          packed += static_cast<char>(sample >> 8);
          continue;
        }
        byte = byte << page.bits | sample;
        if ((filled += page.bits) == 8) {
          packed += static_cast<char>(byte);
          byte = filled = 0;
        }
      }
    }
    if (filled != 0) packed += static_cast<char>(byte << (8 - filled));
  }
  return packed;
}

struct Memory {
  std::string bytes;
  size_t position = 0;
};

void Write(TIFF* tiff, const Page& page) {
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, page.width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, page.height);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, page.channels);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, page.bits);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, page.photometric);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, page.compression);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG,
               page.separate ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
  if (page.predictor != PREDICTOR_NONE) TIFFSetField(tiff, TIFFTAG_PREDICTOR, page.predictor);
  if (page.compression == COMPRESSION_CCITTFAX3)
    TIFFSetField(tiff, TIFFTAG_GROUP3OPTIONS, page.options);
  const uint16_t extra = static_cast<uint16_t>(page.extra);
  if (HasAlpha(page)) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &extra);
  std::vector<uint16_t> colors[3];
  if (page.photometric == PHOTOMETRIC_PALETTE) {
    for (int i = 0; i < 3; ++i) {
      for (int index = 0; index < 1 << page.bits; ++index)
        colors[i].push_back(static_cast<uint16_t>(index * (200 + i) + i));
    }
    TIFFSetField(tiff, TIFFTAG_COLORMAP, colors[0].data(), colors[1].data(), colors[2].data());
  }
  const int width = page.tile ? page.tile : page.width,
            height = page.tile ? page.tile : page.rows_per_strip;
  if (page.tile) {
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, width);
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, height);
  } else {
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, height);
  }
  uint32_t cell = 0;
  for (int plane = page.separate ? 0 : -1; plane < (page.separate ? page.channels : 0); ++plane) {
    for (int y = 0; y < page.height; y += height) {
      for (int x = 0; x < page.width; x += width) {
        const int rows = page.tile ? height : std::min(height, page.height - y);
        std::string packed = Packed(page, x, y, width, rows, plane);
        EXPECT_GE(page.tile ? TIFFWriteEncodedTile(tiff, cell, packed.data(), packed.size())
                            : TIFFWriteEncodedStrip(tiff, cell, packed.data(), packed.size()),
                  0);
        ++cell;
      }
    }
  }
  EXPECT_TRUE(TIFFWriteDirectory(tiff));
}

// `mode` is as TIFFOpen takes it: "wl" and "wb" of either byte order, "w8" for BigTIFF.
std::string Encode(const std::vector<Page>& pages, const char* mode = "wl") {
  Memory memory;
  TIFF* tiff = TIFFClientOpen(
      "", mode, &memory,
      [](thandle_t handle, void* to, tmsize_t size) {
        auto* memory = static_cast<Memory*>(handle);
        const size_t left =
            memory->position < memory->bytes.size() ? memory->bytes.size() - memory->position : 0;
        const size_t part = std::min(left, static_cast<size_t>(size));
        memcpy(to, memory->bytes.data() + memory->position, part);
        memory->position += part;
        return static_cast<tmsize_t>(part);
      },
      [](thandle_t handle, void* from, tmsize_t size) {
        auto* memory = static_cast<Memory*>(handle);
        memory->bytes.resize(std::max(memory->bytes.size(), memory->position + size));
        memcpy(memory->bytes.data() + memory->position, from, size);
        memory->position += size;
        return size;
      },
      [](thandle_t handle, toff_t to, int whence) {
        auto* memory = static_cast<Memory*>(handle);
        memory->position = to + (whence == SEEK_SET   ? 0
                                 : whence == SEEK_CUR ? memory->position
                                                      : memory->bytes.size());
        return static_cast<toff_t>(memory->position);
      },
      [](thandle_t) { return 0; },
      [](thandle_t handle) {
        return static_cast<toff_t>(static_cast<Memory*>(handle)->bytes.size());
      },
      nullptr, nullptr);
  for (const Page& page : pages) Write(tiff, page);
  TIFFClose(tiff);
  return memory.bytes;
}

std::string Expected(const Page& page) {
  const std::string picture = Samples(page);
  const bool has_palette = page.photometric == PHOTOMETRIC_PALETTE;
  const unsigned max = (1u << page.bits) - 1;
  std::string samples;
  auto put = [&](unsigned value, bool wide) {
    if (wide) samples += static_cast<char>(value >> 8);
    samples += static_cast<char>(value);
  };
  for (int y = 0; y < page.height; ++y) {
    for (int x = 0; x < page.width; ++x) {
      for (int s = 0; s < page.channels; ++s) {
        unsigned sample = Sample(page, picture, x, y, s);
        if (has_palette) {
          for (int i = 0; i < 3; ++i) put(sample * (200 + i) + i, true);
          continue;
        }
        if (page.photometric == PHOTOMETRIC_MINISWHITE && s == 0) sample = max - sample;
        put(page.bits < 8 ? sample * 255 / max : sample, page.bits == 16);
      }
    }
  }
  const bool wide = has_palette || page.bits == 16;
  const char* const kTypes[] = {"P5", "GRAYSCALE_ALPHA", "P6", "RGB_ALPHA"};
  const int channels = has_palette ? 3 : page.channels;
  return Image(page.photometric == PHOTOMETRIC_SEPARATED ? "CMYK" : kTypes[channels - 1], channels,
               page.width, page.height, wide ? 65535 : 255, samples);
}

void Expect(const Page& page, const char* mode = "wl") {
  SCOPED_TRACE(testing::Message() << page.channels << " of " << page.bits << " bits, "
                                  << page.photometric << ", compression " << page.compression
                                  << ", " << page.separate << page.tile);
  ExpectDecodes(kGuest, Encode({page}, mode), {}, Expected(page));
}

TEST(TiffDecoderTest, DecodesEveryKindOfImage) {
  for (const char* mode : {"wl", "wb", "w8"}) {
    for (int bits : {1, 2, 4, 8, 16}) {
      for (int photometric : {PHOTOMETRIC_MINISBLACK, PHOTOMETRIC_MINISWHITE}) {
        for (int channels : {1, 2})
          Expect({.channels = channels, .bits = bits, .photometric = photometric}, mode);
      }
      if (bits < 16)
        Expect({.channels = 1, .bits = bits, .photometric = PHOTOMETRIC_PALETTE}, mode);
      for (int channels : {3, 4}) Expect({.channels = channels, .bits = bits}, mode);
      Expect({.channels = 4, .bits = bits, .photometric = PHOTOMETRIC_SEPARATED}, mode);
    }
  }
  Expect({.channels = 4, .extra = EXTRASAMPLE_ASSOCALPHA});
}

TEST(TiffDecoderTest, DecodesEveryCompressionAndLayout) {
  for (int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_PACKBITS,
                          COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE}) {
    const bool predicts = compression != COMPRESSION_NONE && compression != COMPRESSION_PACKBITS;
    for (int bits : {4, 8, 16}) {
      for (bool separate : {false, true}) {
        for (int tile : {0, 16, 64}) {
          Page page{.bits = bits, .compression = compression, .separate = separate, .tile = tile};
          Expect(page);
          page.rows_per_strip = 100;
          page.predictor = predicts && bits >= 8 ? PREDICTOR_HORIZONTAL : PREDICTOR_NONE;
          Expect(page, "wb");
        }
      }
    }
  }
}

TEST(TiffDecoderTest, DecodesFaxes) {
  for (int photometric : {PHOTOMETRIC_MINISBLACK, PHOTOMETRIC_MINISWHITE}) {
    Page page{.width = 70,
              .channels = 1,
              .bits = 1,
              .photometric = photometric,
              .compression = COMPRESSION_CCITTFAX4};
    Expect(page);
    page.compression = COMPRESSION_CCITTRLE;
    Expect(page);
    page.compression = COMPRESSION_CCITTFAX3;
    for (int options : {0, GROUP3OPT_2DENCODING, GROUP3OPT_2DENCODING | GROUP3OPT_FILLBITS}) {
      page.options = options;
      Expect(page);
    }
    Expect({.width = 2 * 2624,
            .height = 64 + 2624 / 64,
            .channels = 1,
            .bits = 1,
            .photometric = photometric,
            .compression = COMPRESSION_CCITTFAX3,
            .runs = true});
  }
}

TEST(TiffDecoderTest, DecodesEverySize) {
  for (int width : {1, 7, 16, 17, 300}) {
    for (int bits : {1, 8}) {
      for (int tile : {0, 16})
        Expect({.width = width,
                .height = 20,
                .channels = 1,
                .bits = bits,
                .photometric = PHOTOMETRIC_MINISBLACK,
                .tile = tile});
    }
  }
}

TEST(TiffDecoderTest, PagesFollowEachOther) {
  const std::vector<Page> pages = {
      {},
      {.width = 9, .channels = 1, .photometric = PHOTOMETRIC_MINISBLACK},
      {.bits = 16, .tile = 16}};
  std::string images;
  for (const Page& page : pages) images += Expected(page);
  for (const char* mode : {"wl", "wb", "w8"})
    ExpectDecodes(kGuest, Encode(pages, mode), {}, images);
}

TEST(TiffDecoderTest, OtherKindsAreRefused) {
  EXPECT_THAT(RunGuest(kGuest, {}, Encode({{.photometric = PHOTOMETRIC_CIELAB}})).diagnostics,
              HasSubstr("tiff: of colours that"));
  EXPECT_EQ(RunGuest(kGuest, {}, "text that is longer").exit_status, 1u);
}

const Page kSmall = {.width = 9, .height = 8, .compression = COMPRESSION_LZW};

TEST(TiffDecoderTest, WhatIsCutOffIsRefused) {
  ExpectCutOffIsRefused(kGuest, Encode({kSmall}));
  ExpectCutOffIsRefused(kGuest, Encode({kSmall, {.width = 9, .height = 9, .tile = 16}}, "wb"), 5);
}

TEST(TiffDecoderTest, FlippedBitsEndCleanly) {
  for (int compression : {COMPRESSION_LZW, COMPRESSION_PACKBITS, COMPRESSION_ADOBE_DEFLATE}) {
    ExpectFlippedBitsEndCleanly(kGuest,
                                Encode({{.width = 9, .height = 8, .compression = compression}}), 3);
  }
  ExpectFlippedBitsEndCleanly(kGuest, Encode({{.width = 9,
                                               .height = 8,
                                               .channels = 1,
                                               .bits = 1,
                                               .photometric = 0,
                                               .compression = COMPRESSION_CCITTFAX4}}));
  ExpectFlippedBitsEndCleanly(
      kGuest, Encode({{.width = 9, .height = 9, .separate = true, .tile = 16}, kSmall}, "w8"), 5);
}

TEST(TiffDecoderTest, GivesPngOfTheFirstPage) {
  ExpectGivesPng(kGuest, Encode({kSmall, kSmall}));
  for (int bits : {8, 16}) {
    ExpectGivesPng(kGuest, Encode({{.width = 130, .channels = 4, .bits = bits}}));
    ExpectGivesPng(kGuest,
                   Encode({{.channels = 1, .bits = bits, .photometric = PHOTOMETRIC_MINISBLACK}}));
    ExpectGivesPng(kGuest,
                   Encode({{.channels = 2, .bits = bits, .photometric = PHOTOMETRIC_MINISBLACK}}));
  }
}

TEST(TiffDecoderTest, DamageWithinSamplesIsNoticedThatLibtiffOnlyWarnsOf) {
  const std::string encoded = Encode({{.width = 64,
                                       .height = 20,
                                       .channels = 1,
                                       .bits = 1,
                                       .photometric = PHOTOMETRIC_MINISWHITE,
                                       .compression = COMPRESSION_CCITTFAX3,
                                       .rows_per_strip = 20}});
  ExpectWarningIsDamage(kGuest, encoded, 8 * 8, 8 * 72, 1, "Line length mismatch");
}

TEST(TiffDecoderTest, SaysThatAFileIsCut) {
  // Its directory comes first, and the pixels' end is missing.
  const std::string encoded = Encode({{.width = 64, .height = 64, .rows_per_strip = 64}});
  GuestRun run = RunGuest(kGuest, {}, encoded.substr(0, encoded.size() - 1));
  EXPECT_EQ(run.diagnostics, "tiff: the input ends within the image, at byte " +
                                 std::to_string(encoded.size() - 1) + " of the input\n");
}

TEST(TiffDecoderTest, ManyStripsNeedNoMoreMemoryThanOne) {
  // 3.6 GB of samples, were they kept. Such an image isn't made in a moment: this one's strips but
  // the first aren't there.
  std::string encoded = Encode({{.width = 20000, .height = 9, .rows_per_strip = 9}});
  const size_t length = encoded.rfind(std::string("\x01\x01\x03\0\x01\0\0\0\x09\0", 10));
  ASSERT_NE(length, std::string::npos);
  encoded.replace(length + 8, 2, "\x60\xea");  // 60000
  GuestRun run = RunGuest(kGuest, {}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, HasSubstr("tiff: a strip or tile is missing, at byte "));
  EXPECT_TRUE(run.output.starts_with("P6\n20000 60000\n255\n"));
  EXPECT_EQ(run.output.size(), 19u + 9 * 60000);
}

}  // namespace
}  // namespace vxa::decoders
