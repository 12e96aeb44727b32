// The way out of a breached worker (breach.cc): a guest that jumps to these bytes runs what is
// behind them, up to kHatchMost bytes in all, as code of the host's.
#ifndef TESTS_HOSTILE_HATCH_H_
#define TESTS_HOSTILE_HATCH_H_

#include <cstdint>
#include <string_view>

namespace vx::hostile {

// UD2, which is what it is elsewhere.
inline constexpr std::string_view kHatch(
    "\x0f\x0b"
    "breached",
    10);
inline constexpr uint32_t kHatchMost = 0x2000;

}  // namespace vx::hostile

#endif  // TESTS_HOSTILE_HATCH_H_
