#include "tests/fuzz/coverage.h"

extern "C" uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];

namespace vxa::fuzz {

std::span<uint8_t> CoverageCounters() { return {__start___sancov_cntrs, __stop___sancov_cntrs}; }

}  // namespace vxa::fuzz
