// Addition, subtraction and logic with their flags. Bit n of the carries of a sum is the majority
// of a, b and not sum there (a full adder's carry-out); borrows likewise.
#ifndef VXENGINE_MACHINE_ALU_H_
#define VXENGINE_MACHINE_ALU_H_

#include <cstdint>

#include "vxengine/machine/flags.h"

namespace vx {

template <typename T>
uint32_t Carries(T a, T b, T sum) {
  const uint32_t x = a, y = b, r = sum;
  return (x & y) | ((x | y) & ~r);
}

template <typename T>
uint32_t Borrows(T a, T b, T difference) {
  const uint32_t x = a, y = b, r = difference;
  return (~x & y) | ((~x | y) & r);
}

// The operations: `kWrites` is false where only the flags are wanted.
struct Add {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = static_cast<T>(uint32_t{a} + b);
    flags.SetArithmetic(r, Carries(a, b, r));
    return r;
  }
};

struct Adc {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = static_cast<T>(uint32_t{a} + b + flags.cf());
    flags.SetArithmetic(r, Carries(a, b, r));
    return r;
  }
};

struct Sub {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = static_cast<T>(uint32_t{a} - b);
    flags.SetArithmetic(r, Borrows(a, b, r));
    return r;
  }
};

struct Sbb {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = static_cast<T>(uint32_t{a} - b - flags.cf());
    flags.SetArithmetic(r, Borrows(a, b, r));
    return r;
  }
};

struct Cmp : Sub {
  static constexpr bool kWrites = false;
};

struct And {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = a & b;
    flags.SetArithmetic(r, 0);
    return r;
  }
};

struct Or {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = a | b;
    flags.SetArithmetic(r, 0);
    return r;
  }
};

struct Xor {
  static constexpr bool kWrites = true;
  template <typename T>
  static T Do(Flags& flags, T a, T b) {
    const T r = a ^ b;
    flags.SetArithmetic(r, 0);
    return r;
  }
};

struct Test : And {
  static constexpr bool kWrites = false;
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_ALU_H_
