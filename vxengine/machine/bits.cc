// BT BTS BTR BTC, BSF BSR, BSWAP. MACHINE.md says what happens where manuals leave it undefined.

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

template <typename T>
constexpr unsigned kBits = 8 * sizeof(T);

struct Keep {
  static constexpr bool kWrites = false;
  static uint32_t Do(uint32_t a, uint32_t) { return a; }
};
struct Set {
  static constexpr bool kWrites = true;
  static uint32_t Do(uint32_t a, uint32_t mask) { return a | mask; }
};
struct Reset {
  static constexpr bool kWrites = true;
  static uint32_t Do(uint32_t a, uint32_t mask) { return a & ~mask; }
};
struct Complement {
  static constexpr bool kWrites = true;
  static uint32_t Do(uint32_t a, uint32_t mask) { return a ^ mask; }
};

// A bit offset in a register reaches memory far from the operand: the word that holds the bit is
// what is read and written.
template <typename T>
struct BitStringMem {
  static uint32_t Address(const Cpu& cpu, const Instruction& i) {
    const T offset = GetRegister<T>(cpu, i.reg);
    const uint32_t extended = sizeof(T) == 2 ? (uint32_t{offset} ^ 0x8000) - 0x8000 : offset;
    const uint32_t sign = extended >> 31 != 0 ? ~0u : 0;
    const uint32_t word = (extended ^ sign) / kBits<T> ^ sign;  // rounded down
    return EffectiveAddress(cpu, i) + word * static_cast<uint32_t>(sizeof(T));
  }
  static bool Load(Cpu& cpu, const Instruction& i, T* value) {
    return cpu.Load<T>(Address(cpu, i), value);
  }
  template <typename U, typename F>
  static bool Modify(Cpu& cpu, const Instruction& i, F f) {
    return cpu.Modify<U>(Address(cpu, i), f);
  }
};

template <typename Op, typename T, typename Rm, typename Offset>
bool BitTest(Cpu& cpu, const Instruction& i) {
  uint8_t offset;
  Offset::Load(cpu, i, &offset);
  const uint32_t mask = 1u << offset % kBits<T>;
  T old = 0;
  if constexpr (Op::kWrites) {
    if (!Rm::template Modify<T>(cpu, i, [&](T a) {
          old = a;
          return static_cast<T>(Op::Do(a, mask));
        })) {
      return false;
    }
  } else {
    if (!Rm::Load(cpu, i, &old)) return false;
  }
  cpu.flags.SetCf((old & mask) != 0);
  return true;
}

// The low byte of the register is enough: offsets are taken modulo 16 or 32.
struct RegOffset {
  static bool Load(Cpu& cpu, const Instruction& i, uint8_t* value) {
    *value = static_cast<uint8_t>(cpu.gpr[i.reg] & 0xff);
    return true;
  }
};

template <typename Op>
constexpr Family ByReg() {
  return {.reg = kHandlers<nullptr, BitTest<Op, uint16_t, RmReg, RegOffset>,
                           BitTest<Op, uint32_t, RmReg, RegOffset>>,
          .mem = kHandlers<nullptr, BitTest<Op, uint16_t, BitStringMem<uint16_t>, RegOffset>,
                           BitTest<Op, uint32_t, BitStringMem<uint32_t>, RegOffset>>,
          .lockable = Op::kWrites};
}

template <typename Op>
constexpr Family ByImmediate() {
  return {.reg = kHandlers<nullptr, BitTest<Op, uint16_t, RmReg, Immediate>,
                           BitTest<Op, uint32_t, RmReg, Immediate>>,
          .mem = kHandlers<nullptr, BitTest<Op, uint16_t, RmMem, Immediate>,
                           BitTest<Op, uint32_t, RmMem, Immediate>>,
          .lockable = Op::kWrites};
}

// BSF and BSR: the destination stays where the source is 0.
template <bool kForward>
struct BitScan {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      T source;
      if (!Rm::Load(cpu, i, &source)) return false;
      if (source == 0) {
        cpu.flags.Set(kZf | kPf);
        return true;
      }
      const uint8_t index =
          static_cast<uint8_t>(kForward ? std::countr_zero(source) : std::bit_width(source) - 1);
      cpu.flags.SetArithmetic(index, 0);
      cpu.flags.Replace(kZf, 0);
      SetRegister<T>(cpu, i.reg, index);
      return true;
    }
  };
  static constexpr Family kFamily = WordSizes<Handler>();
};

bool Bswap32(Cpu& cpu, const Instruction& i) {
  const uint32_t a = cpu.gpr[i.rm];
  cpu.gpr[i.rm] = a << 24 | (a & 0xff00) << 8 | (a >> 8 & 0xff00) | a >> 24;
  return true;
}

bool Bswap16(Cpu& cpu, const Instruction& i) {
  SetRegister<uint16_t>(cpu, i.rm, 0);
  return true;
}

}  // namespace

constinit const std::array<Family, 4> kBitTestReg = {ByReg<Keep>(), ByReg<Set>(), ByReg<Reset>(),
                                                     ByReg<Complement>()};
constinit const std::array<Family, 4> kBitTestImmediate = {
    ByImmediate<Keep>(), ByImmediate<Set>(), ByImmediate<Reset>(), ByImmediate<Complement>()};
constinit const Family kBsf = BitScan<true>::kFamily;
constinit const Family kBsr = BitScan<false>::kFamily;
constinit const Family kBswap = {.reg = kHandlers<nullptr, Bswap16, Bswap32>};

}  // namespace vx
