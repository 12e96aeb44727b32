// Where an instruction's operands come from and go to. Each operand kind has Load and, where it can
// be written, Store and Modify (a read-modify-write); all may fault (memory) and then return false
// with nothing done.
#ifndef VXENGINE_MACHINE_OPERANDS_H_
#define VXENGINE_MACHINE_OPERANDS_H_

#include <cstdint>

#include "vxengine/machine/cpu.h"
#include "vxengine/machine/instruction.h"

namespace vx {

// General registers by their encoded number: as bytes, 4-7 are AH CH DH BH.
template <typename T>
T GetRegister(const Cpu& cpu, unsigned number) {
  if constexpr (sizeof(T) == 1) {
    return static_cast<T>(cpu.gpr[number & 3] >> ((number & 4) * 2));
  } else {
    return static_cast<T>(cpu.gpr[number]);
  }
}

template <typename T>
void SetRegister(Cpu& cpu, unsigned number, T value) {
  if constexpr (sizeof(T) == 1) {
    const unsigned shift = (number & 4) * 2;
    uint32_t& whole = cpu.gpr[number & 3];
    whole = (whole & ~(0xffu << shift)) | uint32_t{value} << shift;
  } else if constexpr (sizeof(T) == 2) {
    cpu.gpr[number] = (cpu.gpr[number] & 0xffff0000) | value;
  } else {
    cpu.gpr[number] = value;
  }
}

// The address of the memory operand; wraps at 4 GiB.
inline uint32_t EffectiveAddress(const Cpu& cpu, const Instruction& i) {
  return cpu.gpr[i.base] + (cpu.gpr[i.index] << i.scale) + i.displacement;
}

template <uint8_t Instruction::*kNumber>
struct RegisterOperand {
  static constexpr Cpu::Effort kEffort = Cpu::kWhole;
  template <typename T>
  static bool Load(Cpu& cpu, const Instruction& i, T* value) {
    *value = GetRegister<T>(cpu, i.*kNumber);
    return true;
  }
  template <typename T>
  static bool Store(Cpu& cpu, const Instruction& i, T value) {
    SetRegister<T>(cpu, i.*kNumber, value);
    return true;
  }
  template <typename T, typename F>
  static bool Modify(Cpu& cpu, const Instruction& i, F f) {
    SetRegister<T>(cpu, i.*kNumber, f(GetRegister<T>(cpu, i.*kNumber)));
    return true;
  }
};

using Reg = RegisterOperand<&Instruction::reg>;   // what ModRM.reg names
using RmReg = RegisterOperand<&Instruction::rm>;  // the register that ModRM.rm or the opcode names

// The memory that ModRM.rm names.
template <Cpu::Effort kAnEffort>
struct MemoryOperand {
  static constexpr Cpu::Effort kEffort = kAnEffort;
  template <typename T>
  static bool Load(Cpu& cpu, const Instruction& i, T* value) {
    return cpu.Load<T, kEffort>(EffectiveAddress(cpu, i), value);
  }
  template <typename T>
  static bool Store(Cpu& cpu, const Instruction& i, T value) {
    return cpu.Store<T, kEffort>(EffectiveAddress(cpu, i), value);
  }
  template <typename T, typename F>
  static bool Modify(Cpu& cpu, const Instruction& i, F f) {
    return cpu.Modify<T, kEffort>(EffectiveAddress(cpu, i), f);
  }
};

using RmMem = MemoryOperand<Cpu::kWhole>;

struct Immediate {
  static constexpr Cpu::Effort kEffort = Cpu::kWhole;
  template <typename T>
  static bool Load(Cpu&, const Instruction& i, T* value) {
    *value = static_cast<T>(i.immediate);
    return true;
  }
};

struct One {
  template <typename T>
  static bool Load(Cpu&, const Instruction&, T* value) {
    *value = 1;
    return true;
  }
};

struct Cl {
  template <typename T>
  static bool Load(Cpu& cpu, const Instruction&, T* value) {
    *value = static_cast<T>(cpu.gpr[kEcx] & 0xff);
    return true;
  }
};

// The operand of an action that makes quick accesses only, its own and others.
template <typename Operand>
struct Quick : Operand {
  static constexpr Cpu::Effort kEffort = Cpu::kQuick;
};
template <>
struct Quick<RmMem> : MemoryOperand<Cpu::kQuick> {};

template <template <typename, typename> typename H, typename T, typename Operand>
inline constexpr Handler kQuickThread =
    ThreadQuick<H<T, Quick<Operand>>::Do, Thread<H<T, Operand>::Do>>;

// Families of a handler template that is told its operand's type and kind:
//   template <typename T, typename Rm> struct H { static bool Do(Cpu&, const Instruction&); };
template <template <typename, typename> typename H>
constexpr Family AllSizes(bool lockable = false) {
  return {.reg = kHandlers<H<uint8_t, RmReg>::Do, H<uint16_t, RmReg>::Do, H<uint32_t, RmReg>::Do>,
          .mem = {kQuickThread<H, uint8_t, RmMem>, kQuickThread<H, uint16_t, RmMem>,
                  kQuickThread<H, uint32_t, RmMem>},
          .lockable = lockable};
}

// The same without the 8-bit forms.
template <template <typename, typename> typename H>
constexpr Family WordSizes(bool lockable = false) {
  return {.reg = kHandlers<nullptr, H<uint16_t, RmReg>::Do, H<uint32_t, RmReg>::Do>,
          .mem = {nullptr, kQuickThread<H, uint16_t, RmMem>, kQuickThread<H, uint32_t, RmMem>},
          .lockable = lockable};
}

// For an instruction without a ModRM operand: one handler, whatever the operand size.
template <Action kAction>
constexpr Family Single() {
  return {.reg = kHandlers<kAction, kAction, kAction>};
}

}  // namespace vx

#endif  // VXENGINE_MACHINE_OPERANDS_H_
