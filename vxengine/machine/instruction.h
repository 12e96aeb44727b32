// A predecoded instruction: what to do, to which operands.
#ifndef VXENGINE_MACHINE_INSTRUCTION_H_
#define VXENGINE_MACHINE_INSTRUCTION_H_

#include <array>
#include <cstdint>

namespace vx {

class Cpu;
struct Instruction;

// What one instruction does. False: it stopped the run, and the CPU tells why (see Cpu::Raise and
// its kin). An instruction that traps has changed nothing but what its iterations before did
// (string instructions), and MXCSR's exception flags (SSE arithmetic).
using Action = bool (*)(Cpu& cpu, const Instruction& instruction);

// Executes an instruction and all those behind it in its block. Null, or the one that stopped.
using Handler = const Instruction* (*)(Cpu& cpu, const Instruction& instruction);

// In `base` and `index`: none. The CPU keeps a zero there.
inline constexpr uint8_t kNoRegister = 8;

struct Instruction {
  Handler handler = nullptr;
  uint32_t eip = 0;  // its own address
  uint32_t immediate =
      0;  // sign-extended to 32 bits; a direct branch's target; a fetch fault's address
  uint32_t displacement = 0;
  uint8_t length = 0;
  uint8_t reg = 0;              // ModRM.reg
  uint8_t rm = 0;               // ModRM.rm or the opcode's register
  uint8_t base = kNoRegister;   // the address of a memory operand is
  uint8_t index = kNoRegister;  // base + (index << scale) + displacement
  uint8_t scale = 0;            //
  uint32_t next() const { return eip + length; }
};

// An action as a handler, which calls the next one's: "threaded code" (Bell, CACM 16(6), 1973). It
// is the last thing that it does, so compilers that optimize make jumps of these calls. With others
// they go as deep as a block is long. Not inlined, since ThreadQuick shall stay without it.
template <Action kAction>
[[gnu::noinline]] const Instruction* Thread(Cpu& cpu, const Instruction& instruction) {
  if (!kAction(cpu, instruction)) return &instruction;
  const Instruction* next = &instruction + 1;
  return next->handler(cpu, *next);
}

// The same for actions that end a block.
template <Action kAction>
[[gnu::noinline]] const Instruction* ThreadEnd(Cpu& cpu, const Instruction& instruction) {
  return kAction(cpu, instruction) ? nullptr : &instruction;
}

// Tries kQuick, the action for what is usual, first. Where it is false nothing has happened, or
// what will happen again: then all is left to the whole action's handler. A handler without calls
// that come back has no registers to save.
template <Action kQuick, Handler kWhole>
const Instruction* ThreadQuick(Cpu& cpu, const Instruction& instruction) {
  if (!kQuick(cpu, instruction)) [[unlikely]]
    return kWhole(cpu, instruction);
  const Instruction* next = &instruction + 1;
  return next->handler(cpu, *next);
}

// The same for actions that end a block.
template <Action kQuick, Handler kWhole>
const Instruction* ThreadQuickEnd(Cpu& cpu, const Instruction& instruction) {
  if (!kQuick(cpu, instruction)) [[unlikely]]
    return kWhole(cpu, instruction);
  return nullptr;
}

template <Action kAction>
inline constexpr Handler kThread = Thread<kAction>;
template <>
inline constexpr Handler kThread<nullptr> = nullptr;

// The handlers for operands of 8, 16 and 32 bits.
template <Action k8, Action k16 = nullptr, Action k32 = nullptr>
inline constexpr std::array<Handler, 3> kHandlers = {kThread<k8>, kThread<k16>, kThread<k32>};

// Behind a block's last instruction.
inline const Instruction* EndBlock(Cpu&, const Instruction&) { return nullptr; }
inline constexpr Instruction kBlockEnd = {.handler = EndBlock};

// Executes one instruction alone. False: it stopped the run.
inline bool ExecuteOne(Cpu& cpu, const Instruction& instruction) {
  const std::array<Instruction, 2> block = {instruction, kBlockEnd};
  return block[0].handler(cpu, block[0]) == nullptr;
}

// The handlers of one instruction: for a register or a memory operand in ModRM.rm, each for 8, 16
// and 32 bits. Null: there is no such form (#UD). Instructions of one form only fill in what they
// have.
struct Family {
  std::array<Handler, 3> reg{};
  std::array<Handler, 3> mem{};
  bool lockable = false;  // LOCK is allowed on the memory form
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_INSTRUCTION_H_
