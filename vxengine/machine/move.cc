// MOV MOVZX MOVSX MOVNTI LEA XCHG XLAT, CMOVcc SETcc, CBW CWDE CWD CDQ.

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

// Destination = source, one of which is ModRM.rm.
template <typename Source>
struct ToRm {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      T value;
      return Source::Load(cpu, i, &value) && Rm::template Store<T>(cpu, i, value);
    }
  };
  static constexpr Family kFamily = AllSizes<Handler>();
};

template <typename T, typename Rm>
struct ToReg {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T value;
    return Rm::Load(cpu, i, &value) && Reg::Store<T>(cpu, i, value);
  }
};

// ModRM.reg = ModRM.rm, which is a narrower `From`, extended.
template <typename From, bool kSigned>
struct Extend {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      From from;
      if (!Rm::Load(cpu, i, &from)) return false;
      T value = static_cast<T>(from);
      if constexpr (kSigned) value = static_cast<T>(static_cast<std::make_signed_t<From>>(from));
      return Reg::Store<T>(cpu, i, value);
    }
  };
  static constexpr Family kFamily = WordSizes<Handler>();
};

template <typename T>
bool Lea(Cpu& cpu, const Instruction& i) {
  SetRegister<T>(cpu, i.reg, static_cast<T>(EffectiveAddress(cpu, i)));
  return true;
}

template <typename T, typename Rm>
struct Xchg {
  static bool Do(Cpu& cpu, const Instruction& i) {
    const T value = GetRegister<T>(cpu, i.reg);
    T old = 0;
    if (!Rm::template Modify<T>(cpu, i, [&](T a) {
          old = a;
          return value;
        })) {
      return false;
    }
    SetRegister<T>(cpu, i.reg, old);
    return true;
  }
};

// XCHG with the accumulator: the other register is the opcode's.
template <typename T>
bool XchgAccumulator(Cpu& cpu, const Instruction& i) {
  const T value = GetRegister<T>(cpu, kEax);
  SetRegister<T>(cpu, kEax, GetRegister<T>(cpu, i.rm));
  SetRegister<T>(cpu, i.rm, value);
  return true;
}

bool Xlat(Cpu& cpu, const Instruction& i) {
  uint8_t value;
  if (!cpu.Load(cpu.gpr[kEbx] + (cpu.gpr[kEax] & 0xff), &value)) return false;
  SetRegister<uint8_t>(cpu, kEax, value);
  return true;
}

// The source is read, and may fault, whatever the condition.
template <unsigned kCode>
struct Cmov {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      T value;
      if (!Rm::Load(cpu, i, &value)) return false;
      if (Condition<kCode>(cpu.flags)) SetRegister<T>(cpu, i.reg, value);
      return true;
    }
  };
  static constexpr Family kFamily = WordSizes<Handler>();
};

template <unsigned kCode>
struct Setcc {
  template <typename Rm>
  static bool Do(Cpu& cpu, const Instruction& i) {
    return Rm::template Store<uint8_t>(cpu, i, Condition<kCode>(cpu.flags));
  }
  static constexpr Family kFamily = {.reg = kHandlers<Do<RmReg>>, .mem = kHandlers<Do<RmMem>>};
};

template <template <unsigned> typename F, unsigned... kCodes>
constexpr std::array<Family, 16> ByCondition(std::integer_sequence<unsigned, kCodes...>) {
  return {F<kCodes>::kFamily...};
}

// Half of the accumulator, sign-extended to the whole: CBW and CWDE.
template <typename Half, typename T>
bool ExtendAccumulator(Cpu& cpu, const Instruction& i) {
  const Half half = GetRegister<Half>(cpu, kEax);
  SetRegister<T>(cpu, kEax, static_cast<T>(static_cast<std::make_signed_t<Half>>(half)));
  return true;
}

// The accumulator's sign in all of DX or EDX: CWD and CDQ.
template <typename T>
bool ExtendIntoD(Cpu& cpu, const Instruction& i) {
  const bool negative = GetRegister<T>(cpu, kEax) >> (8 * sizeof(T) - 1) != 0;
  SetRegister<T>(cpu, kEdx, negative ? static_cast<T>(~T{0}) : T{0});
  return true;
}

}  // namespace

using Codes = std::make_integer_sequence<unsigned, 16>;
constinit const std::array<Family, 16> kCmov = ByCondition<Cmov>(Codes());
constinit const std::array<Family, 16> kSetcc = ByCondition<Setcc>(Codes());
constinit const Family kMovRmReg = ToRm<Reg>::kFamily;
constinit const Family kMovRegRm = AllSizes<ToReg>();
constinit const Family kMovImmediate = ToRm<Immediate>::kFamily;
constinit const Family kMovnti = {.mem = kHandlers<nullptr, ToRm<Reg>::Handler<uint32_t, RmMem>::Do,
                                                   ToRm<Reg>::Handler<uint32_t, RmMem>::Do>};
constinit const Family kMovzxByte = Extend<uint8_t, false>::kFamily;
constinit const Family kMovzxWord = Extend<uint16_t, false>::kFamily;
constinit const Family kMovsxByte = Extend<uint8_t, true>::kFamily;
constinit const Family kMovsxWord = Extend<uint16_t, true>::kFamily;
constinit const Family kLea = {.mem = kHandlers<nullptr, Lea<uint16_t>, Lea<uint32_t>>};
constinit const Family kXchg = AllSizes<Xchg>(true);
constinit const Family kXchgAccumulator = {
    .reg = kHandlers<nullptr, XchgAccumulator<uint16_t>, XchgAccumulator<uint32_t>>};
constinit const Family kXlat = Single<Xlat>();
constinit const Family kExtendAccumulator = {
    .reg = kHandlers<nullptr, ExtendAccumulator<uint8_t, uint16_t>,
                     ExtendAccumulator<uint16_t, uint32_t>>};
constinit const Family kExtendIntoD = {
    .reg = kHandlers<nullptr, ExtendIntoD<uint16_t>, ExtendIntoD<uint32_t>>};

}  // namespace vx
