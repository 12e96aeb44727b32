// The opcode table: which bytes stand for which family of handlers, and what follows them.
#ifndef VXENGINE_MACHINE_OPCODES_H_
#define VXENGINE_MACHINE_OPCODES_H_

#include <cstdint>

#include "vxengine/machine/instruction.h"

namespace vx {

// What belongs to an opcode: a bit set.
enum Format : uint16_t {
  kModRm = 1 << 0,
  kByte = 1 << 1,            // operands of 8 bits; else 32, or 16 with prefix 66
  kImmediate8 = 1 << 2,      // a byte, sign-extended; after a kImmediate16 its bits 16-23
  kImmediate16 = 1 << 3,     // two bytes, zero-extended
  kImmediateZ = 1 << 4,      // as wide as the operands
  kRelative = 1 << 5,        // the immediate counts from the next instruction
  kOpcodeRegister = 1 << 6,  // the opcode's low three bits take ModRM.rm's place
  kMemoryOffset = 1 << 7,    // an address of 32 bits takes the memory operand's place
  kBranch = 1 << 8,          // prefix 66 is #UD; ends a block
  kEndsBlock = 1 << 9,
  kString = 1 << 10,         // F3 and F2 choose another family, and end a block
  kFloatingState = 1 << 11,  // uses XMM, MXCSR or x87: not in Profile::kVx2026Int
};

// Without ModRM or kOpcodeRegister, ModRM.reg and rm are 0: the accumulator.
struct Opcode {
  // Null: #UD. With kString the first of three: none, F3, F2.
  const Family* family = nullptr;
  uint16_t format = 0;
};

// The last of the prefixes 66, F3 and F2 that counts: F3 and F2 before 66. It chooses among the
// meanings of SSE opcodes.
enum class Mandatory : uint8_t { kNone, k66, kF3, kF2 };

// `code` is the opcode's byte, plus kTwoByte if 0F goes before. For x87 without a memory operand it
// is kX87Register + 8 · (opcode - D8) + ModRM.reg. `digit` is ModRM.reg, or for those ModRM.rm; all
// digits of a code agree on kModRm, and without it are the same.
inline constexpr unsigned kTwoByte = 0x100, kX87Register = 0x200;
Opcode FindOpcode(Mandatory prefix, unsigned code, unsigned digit);

}  // namespace vx

#endif  // VXENGINE_MACHINE_OPCODES_H_
