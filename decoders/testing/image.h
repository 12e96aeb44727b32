// What the tests of image decoders have in common.
#ifndef DECODERS_TESTING_IMAGE_H_
#define DECODERS_TESTING_IMAGE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace vxa::decoders {

// Samples of a picture, row by row: gradients, edges and a little noise, another for each `seed`.
// The same for the same arguments.
std::string Picture(int width, int height, int channels, int seed = 0);

// As decoders/README.md says; `type` is "P5", "P6", or a TUPLTYPE of `depth` samples a pixel.
std::string Image(const std::string& type, int depth, int width, int height, int maxval,
                  const std::string& samples);

// The image in a PNG as libpng reads it, in the same form.
std::string ReadPng(std::string_view bytes);

// Expects `guest` to exit with status 0, or with status 1 and `NAME: why, at byte N of the input`,
// where NAME is the guest's.
void ExpectEndsCleanly(const std::string& guest, const std::string& encoded);

// Expects the same of `encoded` with any one bit of it another, of which every `stride`th is tried.
void ExpectFlippedBitsEndCleanly(const std::string& guest, const std::string& encoded,
                                 size_t stride = 1);

// Expects damage that the library only warns of, with words with `warning` in them, to be refused:
// `encoded` with any one of the bits from `first` to `end` another, of which every `stride`th is
// tried. Some have to cause the warning.
void ExpectWarningIsDamage(const std::string& guest, const std::string& encoded, size_t first,
                           size_t end, size_t stride, const std::string& warning);

// Expects `encoded` cut off to fewer bytes, of which every `stride`th number is tried, to be
// refused with `NAME: why, at byte N of the input`.
void ExpectCutOffIsRefused(const std::string& guest, const std::string& encoded, size_t stride = 1);

// Expects `guest` with --png to give a PNG of what it gives as the first image without.
// REQUIRES: samples have 8 or 16 bits.
void ExpectGivesPng(const std::string& guest, const std::string& encoded);

}  // namespace vxa::decoders

#endif  // DECODERS_TESTING_IMAGE_H_
