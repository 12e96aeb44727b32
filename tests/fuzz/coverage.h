// The counters of coverage of the fuzzer that this is part of, one a branch; libFuzzer clears them
// before each input.
//
// In a library of its own, as gcc compiles it: where clang finds the linker's names for them in
// use, it registers no counters.
#ifndef TESTS_FUZZ_COVERAGE_H_
#define TESTS_FUZZ_COVERAGE_H_

#include <cstdint>
#include <span>

namespace vxa::fuzz {

std::span<uint8_t> CoverageCounters();

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_COVERAGE_H_
