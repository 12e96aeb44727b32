// What jp2.vx accepts and refuses. The images come from the host's OpenJPEG; what is lossless must
// come back, the rest is compared with what the host's library decodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openjpeg-2.5/openjpeg.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

using ::testing::HasSubstr;

const std::string kGuest = "decoders/jp2/jp2";

struct Memory {
  std::string bytes;
  size_t position = 0;
};

opj_stream_t* Stream(Memory* memory, bool is_input) {
  opj_stream_t* stream = opj_stream_default_create(is_input);
  opj_stream_set_user_data(stream, memory, nullptr);
  opj_stream_set_user_data_length(stream, memory->bytes.size());
  opj_stream_set_read_function(stream, [](void* to, OPJ_SIZE_T size, void* data) {
    auto* memory = static_cast<Memory*>(data);
    size = std::min(size, memory->bytes.size() - memory->position);
    memcpy(to, memory->bytes.data() + memory->position, size);
    memory->position += size;
    return size == 0 ? static_cast<OPJ_SIZE_T>(-1) : size;
  });
  opj_stream_set_write_function(stream, [](void* from, OPJ_SIZE_T size, void* data) {
    auto* memory = static_cast<Memory*>(data);
    memory->bytes.resize(std::max(memory->bytes.size(), memory->position + size));
    memcpy(memory->bytes.data() + memory->position, from, size);
    memory->position += size;
    return size;
  });
  opj_stream_set_seek_function(stream, [](OPJ_OFF_T to, void* data) {
    static_cast<Memory*>(data)->position = static_cast<size_t>(to);
    return OPJ_TRUE;
  });
  opj_stream_set_skip_function(stream, [](OPJ_OFF_T count, void* data) {
    static_cast<Memory*>(data)->position += static_cast<size_t>(count);
    return count;
  });
  return stream;
}

struct Jp2 {
  int width = 50, height = 40;
  int channels = 3;
  int bits = 8;
  bool is_signed = false;
  OPJ_COLOR_SPACE space = OPJ_CLRSPC_SRGB;
  OPJ_CODEC_FORMAT format = OPJ_CODEC_JP2;
  std::function<void(opj_cparameters_t*)> set = {};
};

int Sample(const Jp2& how, const std::string& picture, size_t i) {
  const int sample = static_cast<unsigned char>(picture[2 * i]) << 8 |
                     static_cast<unsigned char>(picture[2 * i + 1]);
  return sample >> (16 - how.bits);
}

std::string Encode(const Jp2& how) {
  opj_cparameters_t parameters;
  opj_set_default_encoder_parameters(&parameters);
  parameters.tcp_numlayers = 1;
  parameters.cp_disto_alloc = 1;
  parameters.numresolution = 4;
  parameters.tcp_mct = how.channels >= 3 && how.space == OPJ_CLRSPC_SRGB;
  if (how.set) how.set(&parameters);
  opj_image_cmptparm_t components[4] = {};
  for (int i = 0; i < how.channels; ++i) {
    components[i].dx = components[i].dy = 1;
    components[i].w = how.width;
    components[i].h = how.height;
    components[i].prec = how.bits;
    components[i].sgnd = how.is_signed;
  }
  opj_image_t* image = opj_image_create(how.channels, components, how.space);
  image->x1 = how.width;
  image->y1 = how.height;
  if (how.channels % 2 == 0 && how.space != OPJ_CLRSPC_CMYK)
    image->comps[how.channels - 1].alpha = 1;
  const std::string picture = Picture(how.width, how.height, 2 * how.channels);
  for (int i = 0; i < how.width * how.height * how.channels; ++i) {
    image->comps[i % how.channels].data[i / how.channels] =
        Sample(how, picture, i) - (how.is_signed ? 1 << (how.bits - 1) : 0);
  }
  Memory memory;
  opj_codec_t* codec = opj_create_compress(how.format);
  opj_set_error_handler(
      codec, [](const char* why, void*) { ADD_FAILURE() << why; }, nullptr);
  EXPECT_TRUE(opj_setup_encoder(codec, &parameters, image));
  opj_stream_t* stream = Stream(&memory, false);
  EXPECT_TRUE(opj_start_compress(codec, image, stream) && opj_encode(codec, stream) &&
              opj_end_compress(codec, stream));
  opj_stream_destroy(stream);
  opj_destroy_codec(codec);
  opj_image_destroy(image);
  return memory.bytes;
}

std::string AsImage(const Jp2& how, const std::function<int(size_t)>& sample) {
  std::string samples;
  for (int i = 0; i < how.width * how.height * how.channels; ++i) {
    if (how.bits > 8) samples += static_cast<char>(sample(i) >> 8);
    samples += static_cast<char>(sample(i));
  }
  const char* const kTypes[] = {"P5", "GRAYSCALE_ALPHA", "P6", "RGB_ALPHA"};
  return Image(how.space == OPJ_CLRSPC_CMYK ? "CMYK" : kTypes[how.channels - 1], how.channels,
               how.width, how.height, (1 << how.bits) - 1, samples);
}

// Of lossless images.
std::string Original(const Jp2& how) {
  const std::string picture = Picture(how.width, how.height, 2 * how.channels);
  return AsImage(how, [&](size_t i) { return Sample(how, picture, i); });
}

// The image that the host's library decodes, without the `reduce` highest resolutions.
std::string Expected(Jp2 how, const std::string& encoded, int reduce = 0) {
  Memory memory{encoded};
  opj_codec_t* codec = opj_create_decompress(how.format);
  opj_stream_t* stream = Stream(&memory, true);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  parameters.cp_reduce = reduce;
  opj_image_t* image = nullptr;
  EXPECT_TRUE(opj_setup_decoder(codec, &parameters) && opj_read_header(stream, codec, &image) &&
              opj_decode(codec, stream, image) && opj_end_decompress(codec, stream));
  how.width = static_cast<int>(image->comps[0].w);
  how.height = static_cast<int>(image->comps[0].h);
  std::string expected =
      AsImage(how, [&](size_t i) { return image->comps[i % how.channels].data[i / how.channels]; });
  opj_stream_destroy(stream);
  opj_destroy_codec(codec);
  opj_image_destroy(image);
  return expected;
}

void ExpectLossless(const Jp2& how) { ExpectDecodes(kGuest, Encode(how), {}, Original(how)); }

void ExpectLossy(const Jp2& how) {
  const std::string encoded = Encode(how), expected = Expected(how, encoded);
  EXPECT_NE(expected, Original(how));
  ExpectDecodes(kGuest, encoded, {}, expected);
}

TEST(Jp2DecoderTest, DecodesEveryKindOfImage) {
  for (OPJ_CODEC_FORMAT format : {OPJ_CODEC_JP2, OPJ_CODEC_J2K}) {
    for (int channels = 1; channels <= 4; ++channels) {
      for (int bits : {1, 4, 8, 10, 12, 16}) {
        for (bool is_signed : {false, true}) {
          SCOPED_TRACE(testing::Message()
                       << format << " " << channels << " " << bits << " " << is_signed);
          ExpectLossless({.width = 20,
                          .height = 15,
                          .channels = channels,
                          .bits = bits,
                          .is_signed = is_signed,
                          .space = channels < 3 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_SRGB,
                          .format = format});
        }
      }
    }
  }
}

TEST(Jp2DecoderTest, DecodesEverySizeAndNumberOfResolutions) {
  for (int width : {1, 2, 33, 150}) {
    for (int resolutions : {1, 2, 6}) {
      if (width < 1 << (resolutions - 1)) continue;  // which the encoder refuses
      ExpectLossless({.width = width,
                      .height = 130 - width / 2,
                      .channels = 1,
                      .space = OPJ_CLRSPC_GRAY,
                      .set = [=](auto* parameters) { parameters->numresolution = resolutions; }});
    }
  }
}

TEST(Jp2DecoderTest, DecodesIrreversibleImages) {
  for (int channels : {1, 3}) {
    for (float rate : {2.f, 10.f}) {
      for (bool irreversible : {false, true}) {
        ExpectLossy({.width = 100,
                     .height = 90,
                     .channels = channels,
                     .space = channels == 1 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_SRGB,
                     .set = [=](auto* parameters) {
                       parameters->irreversible = irreversible;
                       parameters->tcp_numlayers = 2;
                       parameters->tcp_rates[0] = 2 * rate;
                       parameters->tcp_rates[1] = rate;
                     }});
      }
    }
  }
  ExpectLossy({.channels = 1, .bits = 16, .space = OPJ_CLRSPC_GRAY, .set = [](auto* parameters) {
                 parameters->irreversible = 1;
                 parameters->tcp_rates[0] = 3;
               }});
}

TEST(Jp2DecoderTest, DecodesTilesAndProgressionsAndModes) {
  for (OPJ_PROG_ORDER order : {OPJ_LRCP, OPJ_RLCP, OPJ_RPCL, OPJ_PCRL, OPJ_CPRL}) {
    for (int mode : {0, 1 | 2 | 4, 8 | 32}) {
      ExpectLossless({.width = 99, .height = 80, .set = [=](auto* parameters) {
                        parameters->prog_order = order;
                        parameters->mode = mode;
                        parameters->numresolution = 3;
                        parameters->tile_size_on = OPJ_TRUE;
                        parameters->cp_tdx = 66;
                        parameters->cp_tdy = 40;
                        parameters->csty = 2 | 4;  // SOP and EPH markers
                        parameters->cblockw_init = parameters->cblockh_init = 16;
                      }});
    }
  }
}

TEST(Jp2DecoderTest, DecodesCmyk) {
  // The encoder doesn't write this colour space in a file's header: it stands there as 12.
  Jp2 how{.channels = 4, .space = OPJ_CLRSPC_CMYK};
  std::string encoded = Encode(how);
  const size_t at = encoded.find("colr");
  ASSERT_NE(at, std::string::npos);
  encoded[at + 10] = 12;
  // Nor can a component that isn't alpha be called such.
  ExpectDecodes(kGuest, encoded, {}, Original(how));
}

TEST(Jp2DecoderTest, OtherColoursAreRefused) {
  std::string encoded = Encode({});
  encoded[encoded.find("colr") + 10] = 18;  // sYCC
  ExpectRefused(kGuest, encoded, {},
                "jp2: of colours that are neither gray nor RGB nor CMYK, at byte 0 of the input\n");
}

const Jp2 kFile = {.width = 9, .height = 8};
const Jp2 kBare = {
    .width = 9, .height = 8, .channels = 1, .space = OPJ_CLRSPC_GRAY, .format = OPJ_CODEC_J2K};

TEST(Jp2DecoderTest, BoxesMayFollowTheCodestream) {
  ExpectDecodes(kGuest, Encode(kFile) + std::string("\0\0\0\x0dxml <a/>!", 13), {},
                Original(kFile));
}

TEST(Jp2DecoderTest, JunkAfterTheImageIsRefused) {
  const std::string file = Encode(kFile), bare = Encode(kBare);
  ExpectRefused(
      kGuest, bare + "x", {},
      "jp2: junk after the image, at byte " + std::to_string(bare.size()) + " of the input\n");
  ExpectRefused(
      kGuest, bare + bare, {},
      "jp2: junk after the image, at byte " + std::to_string(bare.size()) + " of the input\n");
  for (const char* junk : {"x", "xxxxxxxxx"})
    EXPECT_EQ(RunGuest(kGuest, {}, file + junk).exit_status, 1u);
}

TEST(Jp2DecoderTest, WhatIsCutOffIsRefused) {
  ExpectCutOffIsRefused(kGuest, Encode(kFile));
  ExpectCutOffIsRefused(kGuest, Encode(kBare));
}

TEST(Jp2DecoderTest, FlippedBitsEndCleanly) {
  ExpectFlippedBitsEndCleanly(kGuest, Encode(kFile), 5);
  ExpectFlippedBitsEndCleanly(kGuest, Encode(kBare), 3);
}

TEST(Jp2DecoderTest, AnImageLargerThanMemoryIsRefused) {
  std::string encoded = Encode(kBare);
  for (int field : {0, 16}) {  // of the image and its tiles
    for (int i : {0, 4}) encoded.replace(8 + field + i, 4, std::string("\0\0\x75\x30", 4));
  }
  GuestRun run = RunGuest(kGuest, {}, encoded);
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_THAT(run.diagnostics, HasSubstr("jp2: "));
}

TEST(Jp2DecoderTest, OtherFormatsAreRefused) {
  ExpectRefused(kGuest, "text", {}, "jp2: not a JPEG 2000 codestream, at byte 0 of the input\n");
}

TEST(Jp2DecoderTest, ScalesByLeavingResolutionsOut) {
  for (OPJ_CODEC_FORMAT format : {OPJ_CODEC_JP2, OPJ_CODEC_J2K}) {
    const Jp2 how = {
        .width = 101, .height = 67, .format = format, .set = [](opj_cparameters_t* set) {
          set->numresolution = 6;
        }};
    const std::string encoded = Encode(how);
    for (int reduce = 1; reduce <= 5; ++reduce) {
      ExpectDecodes(kGuest, encoded, {"--scale=" + std::to_string(1 << reduce)},
                    Expected(how, encoded, reduce));
    }
  }
  const GuestRun run = RunGuest(kGuest, {"--scale=16"}, Encode(kBare));
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.output, "");
  EXPECT_THAT(run.diagnostics, HasSubstr("resolutions"));
}

TEST(Jp2DecoderTest, GivesPngWithSamplesStretchedToFullBytes) {
  for (int channels = 1; channels <= 4; ++channels) {
    for (int bits : {1, 3, 8, 10, 12, 16}) {
      SCOPED_TRACE(testing::Message() << channels << " " << bits);
      const Jp2 how = {.channels = channels,
                       .bits = bits,
                       .space = channels < 3 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_SRGB};
      Jp2 full = how;
      full.bits = bits > 8 ? 16 : 8;
      const std::string picture = Picture(how.width, how.height, 2 * channels);
      const double ratio = ((1 << full.bits) - 1.0) / ((1 << bits) - 1);
      const GuestRun run = RunGuest(kGuest, {"--png"}, Encode(how));
      EXPECT_EQ(run.exit_status, 0u);
      EXPECT_TRUE(ReadPng(run.output) == AsImage(full, [&](size_t i) {
                    return static_cast<int>(std::lround(Sample(how, picture, i) * ratio));
                  }));
    }
  }
}

TEST(Jp2DecoderTest, DamageWithinSamplesIsNoticedThatOpenJpegOnlyWarnsOf) {
  // Where each code block ends is predictable, and looked at.
  Jp2 how = kBare;
  how.set = [](opj_cparameters_t* set) { set->mode = 16; };
  const std::string encoded = Encode(how);
  ExpectWarningIsDamage(kGuest, encoded, encoded.size() * 4, encoded.size() * 8, 3,
                        "PTERM check failure");
}

}  // namespace
}  // namespace vxa::decoders
