// Pushing and popping.
#ifndef VXENGINE_MACHINE_STACK_H_
#define VXENGINE_MACHINE_STACK_H_

#include "vxengine/machine/cpu.h"

namespace vx {

// False: it faulted, with nothing done.
template <typename T, Cpu::Effort kEffort = Cpu::kWhole>
bool Push(Cpu& cpu, T value) {
  const uint32_t esp = cpu.gpr[kEsp] - static_cast<uint32_t>(sizeof(T));
  if (!cpu.Store<T, kEffort>(esp, value)) return false;
  cpu.gpr[kEsp] = esp;
  return true;
}

template <typename T, Cpu::Effort kEffort = Cpu::kWhole>
bool Pop(Cpu& cpu, T* value) {
  if (!cpu.Load<T, kEffort>(cpu.gpr[kEsp], value)) return false;
  cpu.gpr[kEsp] += static_cast<uint32_t>(sizeof(T));
  return true;
}

}  // namespace vx

#endif  // VXENGINE_MACHINE_STACK_H_
