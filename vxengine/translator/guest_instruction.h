// What the translator knows of a guest instruction: its parts, what becomes of it, and what it does
// to the flags. A whitelist: whatever isn't known here is left to the interpreter, one instruction
// at a time, which does it or traps as the ABI wants.
#ifndef VXENGINE_TRANSLATOR_GUEST_INSTRUCTION_H_
#define VXENGINE_TRANSLATOR_GUEST_INSTRUCTION_H_

#include <cstdint>
#include <span>

#include "vxengine/machine/outcome.h"

namespace vx {

// How an instruction is translated.
enum class Kind : uint8_t {
  kInterpret,  // by the interpreter: rare ones, and all that traps
  kPlain,      // the same instruction, re-encoded
  kNop,        // not at all
  kIncDec,     // 40-4F, which are REX prefixes on the host
  kExchange,   // 91-97
  kPush,
  kPushImmediate,
  kPushRm,
  kPop,
  kLeave,
  kString,
  kSwap16,  // BSWAP r16: 0
  kJcc,
  kJump,
  kJumpRm,
  kCall,
  kCallRm,
  kReturn,
  kLoop,
  kJecxz,
  kSystemCall,
};

// What an operand field names.
enum class Operand : uint8_t { kNone, kGpr, kGpr8, kXmm };

// Instructions that leave flags undefined, by what the ABI says of them (MACHINE.md).
enum class UndefinedRule : uint8_t {
  kRol,  // in the order of their ModRM.reg
  kRor,
  kRcl,
  kRcr,
  kShl,
  kShr,
  kSal,  // SHL
  kSar,
  kShld,
  kShrd,
  kLogic,
  kMul,
  kDiv,
  kBitScan,
  kBitTest,
};
inline constexpr unsigned kUndefinedRules = 15;

inline constexpr uint8_t kNoBase = 0xff;

// Small: a region has thousands, and memory that is touched first costs more than the work on it.
struct GuestInstruction {
  uint32_t eip = 0;
  uint32_t immediate = 0;     // sign-extended; a direct branch's target
  uint32_t displacement = 0;  // of a memory operand, as are base, index and scale

  // Status flags that are read, certainly written as manuals say, and left undefined by them (which
  // are not among those `written`). A repeated comparison of strings, which may leave all as they
  // were, counts as reading all; a shift by CL, which may too, as writing none.
  uint16_t reads = 0, written = 0, undefined = 0;

  uint8_t length = 0;
  Kind kind = Kind::kInterpret;
  uint8_t opcode = 0;
  uint8_t repeat = 0;  // F2 or F3 where it means something
  uint8_t reg = 0;     // ModRM.reg, or the opcode's register
  uint8_t rm = 0;      // ModRM.rm if a register
  Operand reg_operand = Operand::kNone;
  Operand rm_operand = Operand::kNone;
  uint8_t base = kNoBase;
  uint8_t index = kNoBase;
  uint8_t scale = 0;
  uint8_t immediate_size = 0;  // bytes
  bool prefix66 : 1 = false;   // operand size, or mandatory
  bool two_byte : 1 = false;   // 0F goes before
  bool has_modrm : 1 = false;
  bool memory : 1 = false;           // ModRM.rm names memory
  bool accesses_memory : 1 = false;  // and it is read or written (not so for LEA)

  uint32_t next() const { return eip + length; }
  bool falls_through() const {
    return kind != Kind::kJump && kind != Kind::kJumpRm && kind != Kind::kReturn;
  }
  bool uses_x87() const {
    return kind == Kind::kPlain && !two_byte && ((opcode & 0xf8) == 0xd8 || opcode == 0x9b);
  }
  // FST, FSTP, FIST, FISTP and FBSTP to memory.
  bool stores_x87() const {
    if (!uses_x87() || !memory || (opcode & 1) == 0) return false;
    return reg == 2 || reg == 3 || (reg == 7 && (opcode & 2) != 0) || (reg == 6 && opcode == 0xdf);
  }
  // Shifts and rotations by CL, which may be 0.
  bool counts_in_cl() const {
    return two_byte ? opcode == 0xa5 || opcode == 0xad : (opcode & 0xfe) == 0xd2;
  }
  // XCHG of 16 or 32 bits of memory.
  bool exchanges_memory() const {
    return kind == Kind::kPlain && !two_byte && opcode == 0x87 && memory;
  }
  // REQUIRES: undefined != 0.
  UndefinedRule rule() const;
  // Of the operands: 0, 1, 2 for 8, 16, 32 bits. REQUIRES: undefined != 0.
  unsigned size_index() const { return !two_byte && (opcode & 1) == 0 ? 0 : prefix66 ? 1 : 2; }
  // The flags that don't depend on those before, by manuals or the ABI.
  uint16_t determined() const;

  // Whether what follows in a region has to be a block of its own.
  bool ends_block() const { return kind >= Kind::kJcc || kind == Kind::kInterpret; }
};

// Decodes the instruction at `eip`, of which `bytes` can be fetched (at most 15; fewer only at the
// end of executable memory). What can't be decoded becomes kInterpret of length 0.
void DecodeGuestInstruction(std::span<const uint8_t> bytes, uint32_t eip, Profile profile,
                            GuestInstruction* result);

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_GUEST_INSTRUCTION_H_
