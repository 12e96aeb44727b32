// How fuzzers say that something isn't as it should be.
#ifndef TESTS_FUZZ_CHECK_H_
#define TESTS_FUZZ_CHECK_H_

#include <cstdio>
#include <cstdlib>
#include <string>

namespace vxa::fuzz {

// Ends the process, which libFuzzer takes for a crash and keeps the input.
[[noreturn]] inline void Fail(const std::string& what) {
  std::fprintf(stderr, "\nFOUND: %s\n", what.c_str());
  std::abort();
}

inline void Check(bool holds, const char* what) {
  if (!holds) Fail(what);
}

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_CHECK_H_
