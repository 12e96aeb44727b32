// This machine's CPU as an engine: a child process that runs cases in 32-bit mode
// (native_oracle.c). Where the kernel can't run 32-bit code, the same program runs under qemu-i386,
// whose software CPU is the next best (qemu_differences.h).
#ifndef VXENGINE_CONFORMANCE_NATIVE_H_
#define VXENGINE_CONFORMANCE_NATIVE_H_

#include <sys/types.h>

#include <span>
#include <vector>

#include "vxengine/conformance/case.h"

namespace vx::conformance {

// Not thread-safe.
class Native {
 public:
  // Starts the child. Ends the process with a message where neither can be had: tests that have no
  // oracle must not pass.
  Native();
  ~Native();
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;

  // REQUIRES: every case has its place (code_address and state.eip as the oracle wants them, `code`
  // as PlacedCode gave it), at most ORACLE_BATCH of them.
  std::vector<Result> Run(std::span<const Case> cases);

  bool is_qemu() const { return is_qemu_; }

 private:
  [[noreturn]] void Die(const char* what);

  bool is_qemu_ = false;
  pid_t child_ = -1;
  int to_child_ = -1, from_child_ = -1;
};

// The shared one.
Native& ThisCpu();

// True if the oracle is a CPU, and one that the ABI's choices of undefined results were measured on
// (AMD family 26).
bool IsReferenceCpu();

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_NATIVE_H_
