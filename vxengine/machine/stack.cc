// PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE.

#include "vxengine/machine/stack.h"

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

template <typename T, typename Source>
struct PushFrom {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T value;
    return Source::Load(cpu, i, &value) && Push<T, Source::kEffort>(cpu, value);
  }
};

// An address based on ESP is that after the pop. POP ESP keeps what was popped.
template <typename T, typename Rm>
struct PopTo {
  static bool Do(Cpu& cpu, const Instruction& i) {
    const uint32_t esp = cpu.gpr[kEsp];
    T value;
    if (!Pop<T, Rm::kEffort>(cpu, &value)) return false;
    if (Rm::template Store<T>(cpu, i, value)) return true;
    cpu.gpr[kEsp] = esp;
    return false;
  }
};

template <typename T>
bool Pusha(Cpu& cpu, const Instruction& i) {
  const uint32_t esp = cpu.gpr[kEsp];
  for (uint32_t n = 1; n <= 8; ++n) {
    if (!cpu.CheckWrite(esp - n * sizeof(T), sizeof(T))) return false;
  }
  const std::array<uint32_t, 9> gpr = cpu.gpr;
  for (unsigned n = kEax; n <= kEdi; ++n) Push(cpu, static_cast<T>(gpr[n]));
  return true;
}

template <typename T>
bool Popa(Cpu& cpu, const Instruction& i) {
  if (!cpu.CheckRead(cpu.gpr[kEsp], 8 * sizeof(T))) return false;
  for (unsigned n = 8; n-- > 0;) {
    T value;
    Pop(cpu, &value);
    if (n != kEsp) SetRegister<T>(cpu, n, value);
  }
  return true;
}

template <typename T>
bool Pushf(Cpu& cpu, const Instruction& i) {
  return Push(cpu, static_cast<T>(cpu.eflags()));
}

// The upper half, with ID, stays in the 16-bit form.
template <typename T>
bool Popf(Cpu& cpu, const Instruction& i) {
  T value;
  if (!Pop(cpu, &value)) return false;
  const uint32_t kept = sizeof(T) == 2 ? cpu.eflags() & 0xffff0000 : 0;
  cpu.set_eflags(kept | value);
  return true;
}

// Whether all of ENTER's accesses succeed, tried in the order in which it makes them. What the new
// ESP points at must be writable too (Intel SDM vol. 2A, ENTER, exceptions).
template <typename T>
bool CheckEnter(Cpu& cpu, uint32_t level, uint32_t locals) {
  constexpr uint32_t kSize = sizeof(T);
  const uint32_t esp = cpu.gpr[kEsp], ebp = cpu.gpr[kEbp];
  if (!cpu.CheckWrite(esp - kSize, kSize)) return false;
  for (uint32_t n = 1; n < level; ++n) {
    if (!cpu.CheckRead(ebp - n * kSize, kSize)) return false;
    if (!cpu.CheckWrite(esp - (n + 1) * kSize, kSize)) return false;
  }
  const uint32_t top = esp - (level > 0 ? level + 1 : 1) * kSize;
  return cpu.CheckWrite(top, kSize) && cpu.CheckWrite(top - locals, kSize);
}

// The immediate is 16 bits of local storage, then 8 of nesting level, of which 5 count.
template <typename T>
bool Enter(Cpu& cpu, const Instruction& i) {
  constexpr uint32_t kSize = sizeof(T);
  const uint32_t level = i.immediate >> 16 & 31, locals = i.immediate & 0xffff;
  if (!CheckEnter<T>(cpu, level, locals)) return false;
  const uint32_t ebp = cpu.gpr[kEbp];
  Push(cpu, static_cast<T>(ebp));
  const uint32_t frame = cpu.gpr[kEsp];
  for (uint32_t n = 1; n < level; ++n) {
    T link;
    cpu.Load(ebp - n * kSize, &link);
    Push(cpu, link);
  }
  if (level > 0) Push(cpu, static_cast<T>(frame));
  SetRegister<T>(cpu, kEbp, static_cast<T>(frame));
  cpu.gpr[kEsp] -= locals;
  return true;
}

template <typename T>
bool Leave(Cpu& cpu, const Instruction& i) {
  const uint32_t ebp = cpu.gpr[kEbp];
  T value;
  if (!cpu.Load(ebp, &value)) return false;
  cpu.gpr[kEsp] = ebp + static_cast<uint32_t>(sizeof(T));
  SetRegister<T>(cpu, kEbp, value);
  return true;
}

}  // namespace

template <template <typename, typename> typename H, typename Operand>
constexpr std::array<Handler, 3> kQuickWords = {nullptr, kQuickThread<H, uint16_t, Operand>,
                                                kQuickThread<H, uint32_t, Operand>};

constinit const Family kPush = {.reg = kQuickWords<PushFrom, RmReg>,
                                .mem = kQuickWords<PushFrom, RmMem>};
constinit const Family kPop = {.reg = kQuickWords<PopTo, RmReg>, .mem = kQuickWords<PopTo, RmMem>};
constinit const Family kPushImmediate = {.reg = kQuickWords<PushFrom, Immediate>};
constinit const Family kPusha = {.reg = kHandlers<nullptr, Pusha<uint16_t>, Pusha<uint32_t>>};
constinit const Family kPopa = {.reg = kHandlers<nullptr, Popa<uint16_t>, Popa<uint32_t>>};
constinit const Family kPushf = {.reg = kHandlers<nullptr, Pushf<uint16_t>, Pushf<uint32_t>>};
constinit const Family kPopf = {.reg = kHandlers<nullptr, Popf<uint16_t>, Popf<uint32_t>>};
constinit const Family kEnter = {.reg = kHandlers<nullptr, Enter<uint16_t>, Enter<uint32_t>>};
constinit const Family kLeave = {.reg = kHandlers<nullptr, Leave<uint16_t>, Leave<uint32_t>>};

}  // namespace vx
