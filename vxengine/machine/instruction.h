// A predecoded instruction: what to do, to which operands.
#ifndef VXENGINE_MACHINE_INSTRUCTION_H_
#define VXENGINE_MACHINE_INSTRUCTION_H_

#include <array>
#include <cstdint>

namespace vx {

class Cpu;
struct Instruction;

// Executes one instruction. False: it stopped the run, and the CPU tells why (see Cpu::Raise and
// its kin). An instruction that traps has changed nothing but what its iterations before did
// (string instructions), and MXCSR's exception flags (SSE arithmetic).
using Handler = bool (*)(Cpu& cpu, const Instruction& instruction);

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
