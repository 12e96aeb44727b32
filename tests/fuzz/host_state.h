// State of a thread that translated code must leave alone.
#ifndef TESTS_FUZZ_HOST_STATE_H_
#define TESTS_FUZZ_HOST_STATE_H_

#include <cstdint>

namespace vxa::fuzz {

struct HostState {
  uint32_t mxcsr = 0;
  uint16_t x87_control = 0;
  uint64_t flags = 0;  // DF and AC
  bool operator==(const HostState&) const = default;
};

inline HostState CurrentHostState() {
  HostState state;
  asm volatile("stmxcsr %0" : "=m"(state.mxcsr));
  asm volatile("fnstcw %0" : "=m"(state.x87_control));
  state.flags = __builtin_ia32_readeflags_u64() & (1 << 10 | 1 << 18);
  return state;
}

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_HOST_STATE_H_
