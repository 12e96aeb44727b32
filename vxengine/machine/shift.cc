// ROL ROR RCL RCR SHL SHR SAR, SHLD and SHRD. Counts are taken modulo 32; a count of 0 changes no
// flag. MACHINE.md says what happens where manuals leave it undefined.

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

template <typename T>
constexpr unsigned kBits = 8 * sizeof(T);

template <typename T>
bool TopBit(T value) {
  return value >> (kBits<T> - 1) & 1;
}

struct Rol {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    const uint64_t twice = uint64_t{a} << kBits<T> | a;
    const T r = static_cast<T>(twice >> (kBits<T> - count % kBits<T>));
    flags.SetCfAndOf(r & 1, (r & 1) != TopBit(r));
    return r;
  }
};

struct Ror {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    const uint64_t twice = uint64_t{a} << kBits<T> | a;
    const T r = static_cast<T>(twice >> (count % kBits<T>));
    flags.SetCfAndOf(TopBit(r), TopBit(r) != TopBit(static_cast<T>(r << 1)));
    return r;
  }
};

// RCL and RCR rotate the operand and CF together: one bit at a time is plain, and they are rare.
struct Rcl {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    bool cf = flags.cf();
    for (unsigned n = count % (kBits<T> + 1); n > 0; --n) {
      const bool out = TopBit(a);
      a = static_cast<T>(uint32_t{a} << 1 | cf);
      cf = out;
    }
    flags.SetCfAndOf(cf, cf != TopBit(a));
    return a;
  }
};

struct Rcr {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    bool cf = flags.cf();
    for (unsigned n = count % (kBits<T> + 1); n > 0; --n) {
      const bool out = a & 1;
      a = static_cast<T>(a >> 1 | uint32_t{cf} << (kBits<T> - 1));
      cf = out;
    }
    flags.SetCfAndOf(cf, TopBit(a) != TopBit(static_cast<T>(a << 1)));
    return a;
  }
};

struct Shl {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    const uint64_t wide = uint64_t{a} << count;
    const T r = static_cast<T>(wide);
    const bool cf = wide >> kBits<T> & 1;
    flags.SetResultAnd(r, cf, true, cf != TopBit(r));
    return r;
  }
};

struct Shr {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    const T r = static_cast<T>(uint32_t{a} >> count);
    const bool cf = uint32_t{a} >> (count - 1) & 1;
    flags.SetResultAnd(r, cf, true, TopBit(static_cast<T>(r << 1)));
    return r;
  }
};

struct Sar {
  template <typename T>
  static T Do(Flags& flags, T a, unsigned count) {
    const uint64_t wide = TopBit(a) ? ~uint64_t{0} << kBits<T> | a : a;
    const T r = static_cast<T>(wide >> count);
    flags.SetResultAnd(r, wide >> (count - 1) & 1, true, false);
    return r;
  }
};

template <typename Op, typename Count>
struct ShiftBy {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      uint8_t count;
      Count::Load(cpu, i, &count);
      return Rm::template Modify<T>(
          cpu, i, [&](T a) { return count % 32 == 0 ? a : Op::Do(cpu.flags, a, count % 32); });
    }
  };
  static constexpr Family kFamily = AllSizes<Handler>();
};

template <typename Count>
constexpr std::array<Family, 8> ByOperation() {
  return {ShiftBy<Rol, Count>::kFamily, ShiftBy<Ror, Count>::kFamily, ShiftBy<Rcl, Count>::kFamily,
          ShiftBy<Rcr, Count>::kFamily, ShiftBy<Shl, Count>::kFamily, ShiftBy<Shr, Count>::kFamily,
          ShiftBy<Shl, Count>::kFamily, ShiftBy<Sar, Count>::kFamily};
}

// For 16 bits and counts over 16 the filler comes in a second time.
struct Shld {
  template <typename T>
  static T Do(Flags& flags, T a, T filler, unsigned count) {
    uint64_t wide = uint64_t{a} << 32 | filler;
    if constexpr (sizeof(T) == 2) wide |= uint64_t{filler} << 16;
    const T r = static_cast<T>(wide >> (32 - count));
    const uint64_t shifted = uint64_t{a} << count;
    const bool cf = shifted >> kBits<T> & 1;
    flags.SetResultAnd(r, cf, true, cf != TopBit(static_cast<T>(shifted)));
    return r;
  }
};

struct Shrd {
  template <typename T>
  static T Do(Flags& flags, T a, T filler, unsigned count) {
    uint64_t wide = uint64_t{filler} << kBits<T> | a;
    if constexpr (sizeof(T) == 2) wide |= uint64_t{filler} << 32;
    const T r = static_cast<T>(wide >> count);
    const bool cf = uint32_t{a} >> (count - 1) & 1;
    flags.SetResultAnd(r, cf, true, TopBit(r) != TopBit(static_cast<T>(r << 1)));
    return r;
  }
};

template <typename Op, typename Count>
struct DoubleShiftBy {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      uint8_t count;
      Count::Load(cpu, i, &count);
      const T filler = GetRegister<T>(cpu, i.reg);
      return Rm::template Modify<T>(cpu, i, [&](T a) {
        return count % 32 == 0 ? a : Op::Do(cpu.flags, a, filler, count % 32);
      });
    }
  };
  static constexpr Family kFamily = WordSizes<Handler>();
};

}  // namespace

constinit const std::array<Family, 8> kShiftImmediate = ByOperation<Immediate>();
constinit const std::array<Family, 8> kShiftOne = ByOperation<One>();
constinit const std::array<Family, 8> kShiftCl = ByOperation<Cl>();
constinit const Family kShldImmediate = DoubleShiftBy<Shld, Immediate>::kFamily;
constinit const Family kShldCl = DoubleShiftBy<Shld, Cl>::kFamily;
constinit const Family kShrdImmediate = DoubleShiftBy<Shrd, Immediate>::kFamily;
constinit const Family kShrdCl = DoubleShiftBy<Shrd, Cl>::kFamily;

}  // namespace vx
