// A case of floating point: x87, XMM and MXCSR, an area of memory for operands, one instruction (or
// a few) to run, and what came out. As case.h, for state that the 32-bit oracle doesn't know.
#ifndef VXENGINE_CONFORMANCE_FP_CASE_H_
#define VXENGINE_CONFORMANCE_FP_CASE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vxengine/machine/outcome.h"

namespace vx::conformance {

// Operands lie at the end of a page with nothing mapped around it, at the same address on the CPU
// and in guests.
inline constexpr uint32_t kFpPage = 0x5d400000, kFpPageSize = 0x1000;
inline constexpr uint32_t kFpAreaSize = 0x400, kFpAreaEnd = kFpPage + kFpPageSize;
inline constexpr uint32_t kFpArea = kFpAreaEnd - kFpAreaSize;

struct FpState {
  X87State x87;
  std::array<Xmm, 8> xmm{};
  uint32_t mxcsr = VX_INITIAL_MXCSR;
  uint32_t eax = 0, ecx = 0;
  uint32_t eflags = VX_INITIAL_EFLAGS;
  bool operator==(const FpState&) const = default;
};

struct FpCase {
  std::string name;
  // Addresses its operand by EAX or ECX and has no other registers or branches, so that it means
  // the same in 64-bit mode.
  std::vector<uint8_t> code;
  FpState state;  // its summary bits and tags agree with the rest: see Settle
  std::array<uint8_t, kFpAreaSize> area{};
};

struct FpResult {
  FpState state;
  uint32_t valid_flags = kStatusFlags;  // which of the status flags are known
  std::optional<Trap> trap;
  uint32_t offset = 0;        // in the code, of where it trapped; its size if it ran to its end
  std::vector<uint8_t> area;  // empty after a trap
  std::string failure;        // why there is no result, if there is none
};

// The bits of x87 words that hardware derives from others: ES and B of the status from flags and
// masks, tags of registers in use from the registers.
void Settle(X87State* x87);

// The class of a register's value as tag words have it: 0 valid, 1 zero, 2 special.
unsigned TagOf(const X87Register& reg);

inline constexpr size_t kFxImageSize = 512, kEnvironmentSize = 28, kX87ImageSize = 108;
using FxImage = std::array<uint8_t, kFxImageSize>;

// What FXRSTOR loads, and back from what FXSAVE stores: x87, XMM0-7 and MXCSR. The tags are derived
// from the registers.
FxImage ToFxImage(const FpState& state);
void FromFxImage(const uint8_t* image, FpState* state);

// All of the state, and the code as hex bytes.
std::string Describe(const FpCase& test);

// What differs, one line for each thing; empty if nothing.
std::string Difference(const FpResult& expected, const FpResult& actual);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_FP_CASE_H_
