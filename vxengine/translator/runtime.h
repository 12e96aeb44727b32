// The run-time routines (runtime.S) as the host sees them: bytes, and offsets of what is in them.
#ifndef VXENGINE_TRANSLATOR_RUNTIME_H_
#define VXENGINE_TRANSLATOR_RUNTIME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vxengine/translator/context.h"

extern "C" {
extern const uint8_t vx_runtime[], vx_runtime_miss[], vx_runtime_interpret[],
    vx_runtime_system_call[], vx_runtime_budget[], vx_runtime_underflow[], vx_runtime_return_miss[],
    vx_runtime_leave[], vx_runtime_enter[], vx_runtime_entering[], vx_runtime_entered[],
    vx_runtime_bail[], vx_runtime_helpers[], vx_runtime_movsb[], vx_runtime_movsd[],
    vx_runtime_stosb[], vx_runtime_stosd[], vx_runtime_cmpsb[], vx_runtime_cmpsd[],
    vx_runtime_movsb_shared[], vx_runtime_movsd_shared[], vx_runtime_stosb_shared[],
    vx_runtime_stosd_shared[], vx_runtime_cmpsb_shared[], vx_runtime_cmpsd_shared[],
    vx_runtime_end[];
}

namespace vx {

inline std::span<const uint8_t> RuntimeBytes() {
  return {vx_runtime, static_cast<size_t>(vx_runtime_end - vx_runtime)};
}

// An offset from the start of the code that the routines are a part of.
inline uint32_t RuntimeOffset(const uint8_t* routine) {
  return static_cast<uint32_t>(routine - vx_runtime);
}

static_assert(offsetof(Context, budget) == VX_CTX_BUDGET);
static_assert(offsetof(Context, host_rsp) == VX_CTX_HOST_RSP);
static_assert(offsetof(Context, return_stack) == VX_CTX_RETURN_STACK);
static_assert(offsetof(Context, resume) == VX_CTX_RESUME);
static_assert(offsetof(Context, code) == VX_CTX_CODE);
static_assert(offsetof(Context, entries) == VX_CTX_ENTRIES);
static_assert(offsetof(Context, reason) == VX_CTX_REASON);
static_assert(offsetof(Context, eip) == VX_CTX_EIP);
static_assert(offsetof(Context, host_mxcsr) == VX_CTX_HOST_MXCSR);
static_assert(offsetof(Context, stop) == VX_CTX_STOP);
static_assert(offsetof(Context, uses_x87) == VX_CTX_USES_X87);
static_assert(offsetof(Context, units) == VX_CTX_UNITS);
static_assert(offsetof(Context, registers) + offsetof(Registers, gpr) == VX_CTX_GPR);
static_assert(offsetof(Context, registers) + offsetof(Registers, eflags) == VX_CTX_EFLAGS);
static_assert(offsetof(Context, registers) + offsetof(Registers, xmm) == VX_CTX_XMM);
static_assert(offsetof(Context, registers) + offsetof(Registers, mxcsr) == VX_CTX_MXCSR);
static_assert(offsetof(Context, fxsave) == VX_CTX_FXSAVE);
static_assert(offsetof(Context, helper_flags) == VX_CTX_HELPER_FLAGS);

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_RUNTIME_H_
