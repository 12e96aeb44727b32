// Host code around one instruction that gives the flags that manuals leave undefined the ABI's
// values, where the host's CPU gives them others (host_cpu.h). What is repaired is what guests meet
// behind everyday instructions; the rest is the interpreter's.
#ifndef VXENGINE_TRANSLATOR_FLAG_REPAIR_H_
#define VXENGINE_TRANSLATOR_FLAG_REPAIR_H_

#include <cstdint>

#include "vxengine/translator/emitter.h"
#include "vxengine/translator/guest_instruction.h"

namespace vx {

// The flags that can be repaired.
uint16_t RepairableFlags(UndefinedRule rule);

// What has to be kept from before the instruction. `flags`: those to be repaired, of the
// instruction's undefined ones. R11, and R9 with OF, are taken from here to the repair.
void EmitBeforeRepair(const GuestInstruction& i, uint16_t flags, Emitter* emit);

// Behind the instruction; `operand` is where ModRM.rm's memory lies. R8 to R11 are lost.
void EmitRepair(const GuestInstruction& i, uint16_t flags, const HostMemory& operand,
                Emitter* emit);

// For tests, directly behind the instruction: changes the flags, as another CPU might, but where a
// count of 0 leaves them alone. Needs what EmitBeforeRepair keeps; R8 and R10 are lost.
void EmitDamage(const GuestInstruction& i, uint16_t flags, Emitter* emit);

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_FLAG_REPAIR_H_
