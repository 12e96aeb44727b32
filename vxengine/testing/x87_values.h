// Values of the 80-bit format, for tests.
#ifndef VXENGINE_TESTING_X87_VALUES_H_
#define VXENGINE_TESTING_X87_VALUES_H_

#include <cstdint>
#include <ostream>

#include "vxengine/machine/outcome.h"
#include "vxengine/machine/transcendental.h"

namespace vx {

inline void PrintTo(const Exact& value, std::ostream* out) {
  *out << (value.sign ? "-" : "+") << std::hex;
  switch (value.kind) {
    case Kind::kZero:
      *out << "0";
      break;
    case Kind::kInfinity:
      *out << "infinity";
      break;
    case Kind::kFinite:
      *out << value.significand << ":" << value.rest << std::dec << " * 2^" << value.exponent
           << "-63";
      break;
    default:
      *out << "indefinite";
  }
  *out << std::dec;
}

inline void PrintTo(const X87Register& r, std::ostream* out) {
  *out << std::hex << r.sign_exponent << ":" << r.significand << std::dec;
}

// ±significand · 2^(exponent - 63), for exponents of normal numbers.
constexpr X87Register X87Value(bool sign, int exponent, uint64_t significand) {
  const int sign_bit = sign ? 0x8000 : 0;
  return {.significand = significand,
          .sign_exponent = static_cast<uint16_t>(sign_bit | (exponent + 0x3fff))};
}

}  // namespace vx

#endif  // VXENGINE_TESTING_X87_VALUES_H_
