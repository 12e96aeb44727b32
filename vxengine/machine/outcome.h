// What a run of a guest leaves behind: how it ended, the registers it ended with, what it cost.
//
// Plain values without host assumptions; safe to copy between threads and processes.
#ifndef VXENGINE_MACHINE_OUTCOME_H_
#define VXENGINE_MACHINE_OUTCOME_H_

#include <array>
#include <cstdint>
#include <string>

#include "vxengine/abi.h"

namespace vx {

// The set of instructions that a guest may use. The numbers are stored in archives: never reuse
// one.
enum class Profile : uint8_t {
  kVx2026 = 1,     // i686 integer, x87, SSE and SSE2
  kVx2026Int = 2,  // integer only: x87 and SSE trap #UD
};

// General registers in the order of their encoding (Intel SDM vol. 2, table 2-1).
enum Gpr : uint8_t { kEax, kEcx, kEdx, kEbx, kEsp, kEbp, kEsi, kEdi };

// The bits of EFLAGS that guests can see (Intel SDM vol. 1, 3.4.3).
enum Eflag : uint32_t {
  kCf = 1u << 0,
  kPf = 1u << 2,
  kAf = 1u << 4,
  kZf = 1u << 6,
  kSf = 1u << 7,
  kIf = 1u << 9,  // always 1
  kDf = 1u << 10,
  kOf = 1u << 11,
  kId = 1u << 21,
};
inline constexpr uint32_t kStatusFlags = kCf | kPf | kAf | kZf | kSf | kOf;

// An XMM register as two 64-bit lanes: lane 0 holds bytes 0-7, byte 0 in its lowest bits, on any
// host.
struct Xmm {
  std::array<uint64_t, 2> lane{};
  bool operator==(const Xmm&) const = default;
};

// An x87 register: 64-bit significand and 16 bits of sign and exponent (Intel SDM vol. 1, 8.2).
struct X87Register {
  uint64_t significand = 0;
  uint16_t sign_exponent = 0;
  bool operator==(const X87Register&) const = default;
};

// x87 state: R0-R7 by physical number (not rotated by TOP), control, status and full 16-bit tag
// word.
struct X87State {
  std::array<X87Register, 8> reg{};
  uint16_t control = VX_INITIAL_FCW;
  uint16_t status = 0;
  uint16_t tag = 0xffff;
  bool operator==(const X87State&) const = default;
};

struct Registers {
  std::array<uint32_t, 8> gpr{};
  uint32_t eip = 0;
  uint32_t eflags = VX_INITIAL_EFLAGS;
  X87State x87;
  std::array<Xmm, 8> xmm{};
  uint32_t mxcsr = VX_INITIAL_MXCSR;
  bool operator==(const Registers&) const = default;
};

enum class TrapCause : uint8_t {
  kPageFault,          // #PF: `access` and `address` tell
  kGeneralProtection,  // #GP
  kInvalidOpcode,      // #UD
  kDivideError,        // #DE
  kX87Error,           // #MF
  kSimdError,          // #XM
  kBreakpoint,         // #BP
  kOverflow,           // #OF
  kBoundRange,         // #BR
};

enum class Access : uint8_t { kRead, kWrite, kFetch };

// A guest's fault. The EIP of the faulting instruction is in the registers.
struct Trap {
  TrapCause cause = TrapCause::kInvalidOpcode;
  Access access = Access::kRead;  // page faults only; a read-modify-write counts as a write
  uint32_t address = 0;           // page faults only: the first inaccessible byte
  bool operator==(const Trap&) const = default;
};

enum class Limit : uint8_t { kInstructions, kOutput, kCpuTime };

struct Counters {
  // Completed; a REP instruction counts 1 + its iterations. 0 unless they are counted: the
  // translator does only where it was asked to, or there is a limit.
  uint64_t instructions = 0;
  uint64_t bytes_in = 0;   // read from descriptor 0
  uint64_t bytes_out = 0;  // written to descriptor 1
  uint64_t peak_memory =
      0;  // bytes: the most that segments, stack and heap came to, in whole pages
  bool operator==(const Counters&) const = default;
};

// How a run ended. `exit_status`, `trap` and `limit` mean something for their own `end` only.
struct Outcome {
  enum class End : uint8_t {
    kExited,        // the guest called exit
    kTrapped,       // the guest faulted
    kLimited,       // a limit was hit
    kInterrupted,   // Sandbox::Interrupt
    kHostFailed,    // the host could not supply input, take output or spare memory; `host_error`
                    // tells
    kEngineFailed,  // the engine's own fault, such as code that the verifier refuses; `host_error`
                    // tells
  };
  End end = End::kExited;
  uint32_t exit_status = 0;
  Trap trap;
  Limit limit = Limit::kInstructions;
  std::string host_error;
  // At the end. A run that was interrupted, or ran out of CPU time, in translated code knows its
  // EIP only.
  Registers registers;
  // Which status flags of registers.eflags are the guest's. Flags that nothing could have looked at
  // any more need not be kept.
  uint32_t valid_flags = kStatusFlags;
  Counters counters;
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_OUTCOME_H_
