#include "vxengine/conformance/fp_native.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

namespace vx::conformance {
namespace {

// What the assembly below reads and writes.
struct alignas(64) Frame {
  FxImage before;
  FxImage after;
  std::array<uint8_t, kEnvironmentSize> environment;  // after; for the full tag word
  const void* code;
  uint64_t stack;
  uint32_t eax, ecx;
  uint64_t eflags;
  uint32_t host_mxcsr;
};
static_assert(offsetof(Frame, after) == 512 && offsetof(Frame, environment) == 1024 &&
              offsetof(Frame, code) == 1056 && offsetof(Frame, stack) == 1064 &&
              offsetof(Frame, eax) == 1072 && offsetof(Frame, ecx) == 1076 &&
              offsetof(Frame, eflags) == 1080 && offsetof(Frame, host_mxcsr) == 1088);

extern "C" void vx_fp_native_run(Frame* frame);
extern "C" const char vx_fp_native_leave[];

// Calls the code with the frame's state. The code changes neither RBX nor RSP, so that the handler
// of a trap can go on at vx_fp_native_leave, having saved the state itself.
asm(R"(
.text
.type vx_fp_native_run, @function
vx_fp_native_run:
  push %rbx
  mov %rdi, %rbx
  mov %rsp, 1064(%rbx)
  fxrstor64 (%rbx)
  pushq 1080(%rbx)
  popfq
  mov 1072(%rbx), %eax
  mov 1076(%rbx), %ecx
  call *1056(%rbx)
  mov %eax, 1072(%rbx)
  mov %ecx, 1076(%rbx)
  pushfq
  popq 1080(%rbx)
  fxsave64 512(%rbx)
  fnstenv 1024(%rbx)
vx_fp_native_leave:
  fninit
  ldmxcsr 1088(%rbx)
  pop %rbx
  ret
.size vx_fp_native_run, . - vx_fp_native_run
)");

// Intel SDM vol. 3A, table 6-1, and the error code of page faults.
constexpr int kInvalidOpcodeVector = 6, kGeneralProtectionVector = 13, kPageFaultVector = 14,
              kX87Vector = 16, kSimdVector = 19;
constexpr uint64_t kPageFaultWrite = 2;

constexpr size_t kCodePageSize = 0x1000;

constexpr int kSignals[] = {SIGFPE, SIGSEGV, SIGBUS, SIGILL};
struct sigaction previous_actions[std::size(kSignals)];

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

// The one case that runs, for the handler.
struct {
  uint8_t* code = nullptr;
  Frame* frame = nullptr;  // null: none
  bool trapped = false;
  Trap trap;
  uint32_t offset = 0;
} running;

void HandleTrap(int signal, siginfo_t*, void* context) {
  auto* const machine = &static_cast<ucontext_t*>(context)->uc_mcontext;
  greg_t* const registers = machine->gregs;
  const uint64_t offset = registers[REG_RIP] - reinterpret_cast<uint64_t>(running.code);
  TrapCause cause;
  switch (registers[REG_TRAPNO]) {
    case kInvalidOpcodeVector:
      cause = TrapCause::kInvalidOpcode;
      break;
    case kGeneralProtectionVector:
      cause = TrapCause::kGeneralProtection;
      break;
    case kPageFaultVector:
      cause = TrapCause::kPageFault;
      break;
    case kX87Vector:
      cause = TrapCause::kX87Error;
      break;
    case kSimdVector:
      cause = TrapCause::kSimdError;
      break;
    default:
      ::signal(signal, SIG_DFL);
      return;
  }
  if (running.frame == nullptr || offset >= kCodePageSize) {
    ::signal(signal, SIG_DFL);  // it isn't the case's: happens again, and ends the process
    return;
  }
  running.trapped = true;
  running.trap = {.cause = cause};
  if (cause == TrapCause::kPageFault) {
    const bool write = (registers[REG_ERR] & kPageFaultWrite) != 0;
    running.trap.access = write ? Access::kWrite : Access::kRead;
    running.trap.address = static_cast<uint32_t>(registers[REG_CR2]);
  }
  running.offset = static_cast<uint32_t>(offset);
  Frame* const frame = running.frame;
  std::memcpy(frame->after.data(), machine->fpregs, kFxImageSize);
  frame->eax = static_cast<uint32_t>(registers[REG_RAX]);
  frame->ecx = static_cast<uint32_t>(registers[REG_RCX]);
  frame->eflags = static_cast<uint64_t>(registers[REG_EFL]);
  registers[REG_EFL] = VX_INITIAL_EFLAGS;
  registers[REG_RIP] = reinterpret_cast<greg_t>(vx_fp_native_leave);
  registers[REG_RSP] = static_cast<greg_t>(frame->stack);
  registers[REG_RBX] = reinterpret_cast<greg_t>(frame);
}

void SetUp() {
  void* const area =
      mmap(reinterpret_cast<void*>(uintptr_t{kFpPage - kFpPageSize}), 3 * kFpPageSize, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (area != reinterpret_cast<void*>(uintptr_t{kFpPage - kFpPageSize})) Die("mmap of operands");
  if (mprotect(reinterpret_cast<void*>(uintptr_t{kFpPage}), kFpPageSize, PROT_READ | PROT_WRITE)) {
    Die("mprotect");
  }
  void* const code = mmap(nullptr, kCodePageSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) Die("mmap of code");
  running.code = static_cast<uint8_t*>(code);
  struct sigaction action = {};
  action.sa_sigaction = HandleTrap;
  action.sa_flags = SA_SIGINFO;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    if (sigaction(kSignals[i], &action, &previous_actions[i]) != 0) Die("sigaction");
  }
}

}  // namespace

void ReleaseCpu() {
  if (running.code == nullptr) return;
  munmap(reinterpret_cast<void*>(uintptr_t{kFpPage - kFpPageSize}), 3 * kFpPageSize);
  munmap(running.code, kCodePageSize);
  running.code = nullptr;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], &previous_actions[i], nullptr);
  }
}

FpResult RunOnCpu(const FpCase& test) {
  if (running.code == nullptr) SetUp();
  constexpr uint8_t kRet = 0xc3;
  const size_t size = test.code.size();
  // Writing code that was just run is slow: most cases have their predecessor's.
  if (std::memcmp(running.code, test.code.data(), size) != 0 || running.code[size] != kRet) {
    std::memcpy(running.code, test.code.data(), size);
    running.code[size] = kRet;
  }
  auto* const area = reinterpret_cast<uint8_t*>(uintptr_t{kFpArea});
  std::memcpy(area, test.area.data(), kFpAreaSize);

  Frame frame = {};
  frame.before = ToFxImage(test.state);
  frame.code = running.code;
  frame.eax = test.state.eax;
  frame.ecx = test.state.ecx;
  frame.eflags = test.state.eflags;
  frame.host_mxcsr = VX_INITIAL_MXCSR;
  running.trapped = false;
  running.frame = &frame;
  vx_fp_native_run(&frame);
  running.frame = nullptr;

  FpResult result;
  FromFxImage(frame.after.data(), &result.state);
  result.state.eax = frame.eax;
  result.state.ecx = frame.ecx;
  constexpr uint32_t kShown = kStatusFlags | kDf;
  result.state.eflags = VX_INITIAL_EFLAGS | (static_cast<uint32_t>(frame.eflags) & kShown);
  if (running.trapped) {
    result.trap = running.trap;
    result.offset = running.offset;
  } else {
    result.offset = static_cast<uint32_t>(size);
    std::memcpy(&result.state.x87.tag, &frame.environment[8], 2);
    result.area.assign(area, area + kFpAreaSize);
  }
  return result;
}

}  // namespace vx::conformance
