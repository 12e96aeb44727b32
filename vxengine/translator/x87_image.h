// x87 state between Registers and the image of FXSAVE (Intel SDM vol. 1, 10.5.1).
#ifndef VXENGINE_TRANSLATOR_X87_IMAGE_H_
#define VXENGINE_TRANSLATOR_X87_IMAGE_H_

#include <cstdint>
#include <cstring>

#include "vxengine/machine/outcome.h"

namespace vx {

// Of the image only what is x87's; MXCSR and XMM in it are FXRSTOR's to load, too, so they are set
// to something that can be.
inline void X87ToImage(const X87State& x87, uint8_t* image) {
  std::memset(image, 0, 512);
  std::memcpy(image, &x87.control, 2);
  std::memcpy(image + 2, &x87.status, 2);
  for (unsigned r = 0; r < 8; ++r) {
    if ((x87.tag >> (2 * r) & 3) != 3) image[4] |= static_cast<uint8_t>(1 << r);
  }
  const uint32_t mxcsr = VX_INITIAL_MXCSR;
  std::memcpy(image + 24, &mxcsr, 4);
  const unsigned top = x87.status >> 11 & 7;
  for (unsigned st = 0; st < 8; ++st) {
    const X87Register& reg = x87.reg[(top + st) & 7];
    std::memcpy(image + 32 + 16 * st, &reg.significand, 8);
    std::memcpy(image + 40 + 16 * st, &reg.sign_exponent, 2);
  }
}

inline void ImageToX87(const uint8_t* image, X87State* x87) {
  std::memcpy(&x87->control, image, 2);
  std::memcpy(&x87->status, image + 2, 2);
  const unsigned top = x87->status >> 11 & 7;
  x87->tag = 0;
  for (unsigned st = 0; st < 8; ++st) {
    const unsigned r = (top + st) & 7;
    X87Register& reg = x87->reg[r];
    std::memcpy(&reg.significand, image + 32 + 16 * st, 8);
    std::memcpy(&reg.sign_exponent, image + 40 + 16 * st, 2);
    const unsigned exponent = reg.sign_exponent & 0x7fff;
    const bool integer_bit = reg.significand >> 63 != 0;
    unsigned tag = 0;  // valid
    if ((image[4] >> r & 1) == 0) {
      tag = 3;  // empty
    } else if (exponent == 0 && reg.significand == 0) {
      tag = 1;  // zero
    } else if (exponent == 0 || exponent == 0x7fff || !integer_bit) {
      tag = 2;  // special
    }
    x87->tag = static_cast<uint16_t>(x87->tag | tag << (2 * r));
  }
}

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_X87_IMAGE_H_
