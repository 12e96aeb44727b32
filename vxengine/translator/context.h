/* What host code and run-time assembly share of a run: the context that R12 points at.
 *
 * Offsets as plain constants, for the assembler; runtime.h holds them to the struct. */
#ifndef VXENGINE_TRANSLATOR_CONTEXT_H_
#define VXENGINE_TRANSLATOR_CONTEXT_H_

#define VX_CTX_BUDGET 0
#define VX_CTX_HOST_RSP 8
#define VX_CTX_RETURN_STACK 16
#define VX_CTX_RESUME 24
#define VX_CTX_CODE 32
#define VX_CTX_ENTRIES 40
#define VX_CTX_REASON 48
#define VX_CTX_EIP 52
#define VX_CTX_HOST_MXCSR 56
#define VX_CTX_STOP 60
#define VX_CTX_USES_X87 64
#define VX_CTX_UNITS 68
#define VX_CTX_GPR 72
#define VX_CTX_EFLAGS 108
#define VX_CTX_XMM 248
#define VX_CTX_MXCSR 376
#define VX_CTX_FXSAVE 384
#define VX_CTX_HELPER_FLAGS 896

#define VX_CONTEXT_PAGE 4096

/* Why host code gave control back. */
#define VX_LEFT_MISS 0        /* EIP has not been translated */
#define VX_LEFT_INTERPRET 1   /* EIP's instruction is the interpreter's */
#define VX_LEFT_SYSTEM_CALL 2 /* EIP is behind a SYSCALL */
#define VX_LEFT_BUDGET 3      /* too few units for the block at EIP, which took UNITS already */
#define VX_LEFT_FAULT 4       /* see Context::fault */
#define VX_LEFT_STOPPED 5     /* Context::stop was set, or a signal said so */
#define VX_LEFT_HELPER 6      /* a helper faulted or has too few units: the interpreter goes on */

#ifndef __ASSEMBLER__

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vxengine/machine/outcome.h"

namespace vx {

// A fault of translated code, as the signal handler found it.
struct HostFault {
  uint64_t rip = 0;
  uint64_t address = 0;  // of a page fault
  uint32_t vector = 0;   // Intel SDM vol. 3, table 6-1
  uint32_t error_code = 0;
  uint32_t r8 = 0;
};

// It begins a page, of kContextPage bytes, behind which kReturnSiteSpan bytes can't be accessed: a
// return site reads the page's last byte, or whatever lies so far behind it as the guest's return
// address is off the expected one, and so faults unless they are the same.
struct alignas(64) Context {
  int64_t budget = 0;         // units left; where they aren't counted more than can be used up
  uint64_t host_rsp = 0;      // while translated code runs
  uint64_t return_stack = 0;  // RSP of translated code while it doesn't
  uint64_t resume = 0;        // host address
  uint64_t code = 0;          // where all code starts: R13
  uint64_t entries = 0;       // the table of entries: R14
  uint32_t reason = 0;
  uint32_t eip = 0;
  uint32_t host_mxcsr = 0;
  std::atomic<uint32_t> stop{0};  // nonzero: translated code isn't entered
  uint32_t uses_x87 = 0;  // nonzero: x87 state is in `fxsave` while translated code doesn't run
  uint32_t units = 0;     // of VX_LEFT_BUDGET, and the flags lost: see kLostFlagsShift
  Registers registers;    // but for EIP and x87, which `eip` and `fxsave` hold
  alignas(64) uint8_t fxsave[512] = {};
  uint32_t helper_flags = 0;  // EFLAGS, of VX_LEFT_HELPER

  // For the signal handler.
  HostFault fault;
  uint64_t code_size = 0;
  uint64_t return_stack_top = 0;  // what an empty stack of return addresses starts at
  uint64_t return_stack_guard = 0, return_stack_guard_size = 0;
  uint64_t entries_size = 0;
  uint64_t memory = 0;                             // host address of guest address 0
  const std::atomic<uint32_t>* writing = nullptr;  // CodeCache::writing
};

inline constexpr uint64_t kContextPage = VX_CONTEXT_PAGE;
inline constexpr uint64_t kReturnSiteSpan = uint64_t{1} << 32;
static_assert(sizeof(Context) < kContextPage);

// What a 32-bit address and the longest access there can reach.
inline constexpr uint64_t kGuestSpan = (uint64_t{1} << 32) + 0x10000;

}  // namespace vx

#endif  // __ASSEMBLER__

#endif  // VXENGINE_TRANSLATOR_CONTEXT_H_
