// Pieces of guest code as bytes, to be put together for CodeElf.
#ifndef VXENGINE_TESTING_GUEST_CODE_H_
#define VXENGINE_TESTING_GUEST_CODE_H_

#include <cstdint>
#include <string>

#include "vxengine/abi.h"
#include "vxengine/machine/outcome.h"
#include "vxengine/testing/elf_builder.h"

namespace vx::testing {

// mov register, value
inline std::string Mov(Gpr to, uint32_t value) {
  return Bytes({static_cast<uint8_t>(0xb8 + to)}) + Imm32(value);
}

inline std::string Syscall() { return Bytes({0x0f, 0x05}); }

// Sets EAX, EDX, ECX and EBX and makes the call: 5 instructions, 22 bytes.
inline std::string Call(uint32_t number, uint32_t edx = 0, uint32_t ecx = 0, uint32_t ebx = 0) {
  return Mov(kEax, number) + Mov(kEdx, edx) + Mov(kEcx, ecx) + Mov(kEbx, ebx) + Syscall();
}

// 3 instructions.
inline std::string Exit(uint32_t status) {
  return Mov(kEax, VX_CALL_EXIT) + Mov(kEdx, status) + Syscall();
}

// Exits with what the last call returned: mov edx, eax; mov eax, VX_CALL_EXIT; syscall.
inline std::string ExitWithResult() {
  return Bytes({0x89, 0xc2}) + Mov(kEax, VX_CALL_EXIT) + Syscall();
}

inline std::string Write(int fd, uint32_t buffer, uint32_t length) {
  return Call(VX_CALL_WRITE, fd, buffer, length);
}

// `body` again and again. REQUIRES: at most 120 bytes.
inline std::string Forever(const std::string& body) {
  return body + Bytes({0xeb, static_cast<uint8_t>(-static_cast<int>(body.size()) - 2)});
}

// Copies input to output, `piece` bytes at a time through the memory at kDataAddress, and exits
// with 0.
inline std::string Copy(uint32_t piece = kDataSize) {
  const std::string read = Call(VX_CALL_READ, 0, kDataAddress, piece);
  const std::string write = Bytes({0x89, 0xc3}) +  // mov ebx, eax
                            Mov(kEax, VX_CALL_WRITE) + Mov(kEdx, 1) + Syscall();
  const std::string test = Bytes({0x85, 0xc0, 0x74, static_cast<uint8_t>(write.size() + 2)});
  return Forever(read + test + write) + Exit(0);
}

}  // namespace vx::testing

#endif  // VXENGINE_TESTING_GUEST_CODE_H_
