// What the tests of png_encode.vx and of png.vx --restore have in common: files to encode.
#ifndef DECODERS_PNG_FILES_H_
#define DECODERS_PNG_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "decoders/testing/expect.h"
#include "decoders/testing/image.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {

inline const std::string kEncoder = "decoders/png/png_encode", kDecoder = "decoders/png/png";

inline std::string EncodeWhole(const std::string& file) {
  return RunGuest(kEncoder, {}, file).output;
}

// A file with `height` rows of `stride` bytes, the first at `rows`.
struct File {
  std::string bytes;
  size_t rows, stride, height;
};

// PNM or PAM with 7 rows of 9 pixels, as Image() makes them.
inline File Netpbm(const std::string& type, int channels, int maxval,
                   const std::string& after = "") {
  const size_t stride = 9 * channels * (maxval > 255 ? 2 : 1);
  const std::string samples = Picture(static_cast<int>(stride), 7, 1);
  const std::string image = Image(type, channels, 9, 7, maxval, samples);
  return {image + after, image.size() - samples.size(), stride, 7};
}

// Rows of a picture of so many bits a pixel, zeros in the bits that are left.
inline std::string Rows(uint32_t width, uint32_t height, uint32_t bits) {
  const uint32_t row = (width * bits + 7) / 8;
  std::string rows = Picture(static_cast<int>(row), static_cast<int>(height), 1);
  for (size_t end = row; end <= rows.size(); end += row) {
    rows[end - 1] = static_cast<char>(rows[end - 1] & (0xff << (row * 8 - width * bits)));
  }
  return rows;
}

inline File Pbm(uint32_t width) {
  const std::string header = "P4\n" + std::to_string(width) + " 6\n", rows = Rows(width, 6, 1);
  return {header + rows, header.size(), (width + 7) / 8, 6};
}

inline const std::string kMasks =
    LittleEndian(0xff0000) + LittleEndian(0xff00) + LittleEndian(0xff);

struct Bmp {
  uint32_t width = 7, height = 6, bits = 24, header = 40, compression = 0;
  std::string palette = "", padding = "", after = "";
  bool has_alpha = true;
  std::string masks = kMasks;  // if compression is 3, after the first 40 bytes of the header
};

inline File Bytes(const Bmp& bmp) {
  const uint32_t height = static_cast<int32_t>(bmp.height) < 0 ? -bmp.height : bmp.height;
  const size_t row = (bmp.width * bmp.bits + 7) / 8;
  const std::string padding = bmp.padding.empty() ? std::string(-row & 3, '\0') : bmp.padding;
  const size_t stride = row + padding.size();
  std::string samples = Rows(bmp.width, height, bmp.bits), rows;
  if (!bmp.has_alpha) {
    for (size_t i = 3; i < samples.size(); i += 4) samples[i] = '\0';
  }
  for (uint32_t y = 0; y < height; ++y) rows += samples.substr(y * row, row) + padding;
  std::string rest = std::string(bmp.header - 20, '\0') + bmp.palette;
  if (bmp.compression == 3) rest.replace(20, bmp.masks.size(), bmp.masks);
  const uint32_t start = 34 + rest.size();
  return {"BM" + LittleEndian(start + rows.size()) + LittleEndian(0) + LittleEndian(start) +
              LittleEndian(bmp.header) + LittleEndian(bmp.width) + LittleEndian(bmp.height) +
              LittleEndian(1, 2) + LittleEndian(bmp.bits, 2) + LittleEndian(bmp.compression) +
              rest + rows + bmp.after,
          start, stride, height};
}

}  // namespace vxa::decoders

#endif  // DECODERS_PNG_FILES_H_
