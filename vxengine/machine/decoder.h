// From bytes to a predecoded instruction.
#ifndef VXENGINE_MACHINE_DECODER_H_
#define VXENGINE_MACHINE_DECODER_H_

#include <cstdint>
#include <span>

#include "vxengine/machine/instruction.h"
#include "vxengine/machine/outcome.h"

namespace vx {

// A longer instruction is #GP (Intel SDM vol. 2A, 2.3.11).
inline constexpr unsigned kMaxInstructionLength = 15;

// Decodes the instruction at `eip`. `bytes` are what can be fetched there, at most
// kMaxInstructionLength: fewer only where the next one can't be fetched. What doesn't decode
// becomes an instruction that traps as the ABI wants it; so there is always a result. True: it ends
// a basic block.
bool Decode(std::span<const uint8_t> bytes, uint32_t eip, Profile profile, Instruction* result);

}  // namespace vx

#endif  // VXENGINE_MACHINE_DECODER_H_
