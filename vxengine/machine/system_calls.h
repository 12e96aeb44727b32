// The four calls of the VX ABI (vxengine/abi.h), for any engine: memory and registers in, a verdict
// out.
#ifndef VXENGINE_MACHINE_SYSTEM_CALLS_H_
#define VXENGINE_MACHINE_SYSTEM_CALLS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "vxengine/machine/elf_loader.h"
#include "vxengine/machine/memory.h"
#include "vxengine/machine/outcome.h"

namespace vx {

// The host's side of read and write. A call that returns false ends the run; the guest never sees
// why.
class SystemCallHost {
 public:
  virtual ~SystemCallHost() = default;

  // Reads up to buffer.size() > 0 bytes of input into it; `count` is 0 at the end of the input
  // only.
  virtual bool Read(std::span<uint8_t> buffer, size_t* count) = 0;

  // Takes all of `bytes`, which aren't empty. `fd` is VX_FD_OUTPUT or VX_FD_DIAGNOSTICS.
  virtual bool Write(int fd, std::span<const uint8_t> bytes) = 0;
};

class SystemCalls {
 public:
  enum class Result : uint8_t {
    kContinue,     // EAX holds the result
    kExit,         // EDX holds the status
    kOutputLimit,  // the write would have passed `output_limit`; nothing was moved
    kHostFailed,   // the host returned false; what it moved before is counted
  };

  // All three outlive this object. `output_limit` bounds the bytes to VX_FD_OUTPUT.
  SystemCalls(Memory* memory, Registers* registers, SystemCallHost* host, const Layout& layout,
              uint64_t output_limit);

  // Does the call that the registers ask for, EIP already behind the SYSCALL instruction.
  Result Call();

  uint64_t bytes_in() const { return bytes_in_; }
  uint64_t bytes_out() const { return bytes_out_; }

  // What the calls so far cost the host, very roughly in guest instructions: for callers that look
  // at clocks only now and then.
  uint64_t effort() const { return effort_; }

 private:
  static constexpr size_t kPiece = 0x10000;  // bytes that the host is asked for, or given, at most

  Result Break();
  Result Read();
  Result Write();
  Result Return(uint32_t value);
  bool CheckTransfer(bool fd_valid, uint8_t permissions, Result* result);

  Memory* const memory_;
  Registers* const registers_;
  SystemCallHost* const host_;
  const Layout layout_;
  const uint64_t output_limit_;
  std::unique_ptr<std::array<uint8_t, kPiece>> piece_;
  uint32_t break_;  // rounded up to a page
  bool input_ended_ = false;
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  uint64_t diagnostics_kept_ = 0;
  uint64_t effort_ = 0;
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_SYSTEM_CALLS_H_
