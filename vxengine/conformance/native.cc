#include "vxengine/conformance/native.h"

#include <cpuid.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace vx::conformance {
namespace {

constexpr char kOraclePath[] = "vxengine/conformance/native_oracle";
constexpr char kQemu[] = "qemu-i386";

// Starts the oracle with its standard input and output; 0 or an error.
int Spawn(bool qemu, int in, int out, pid_t* child) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  static const std::string stack = std::to_string(ORACLE_QEMU_STACK);
  // One instruction at a time: CMPXCHG8B behind an instruction whose flags it hasn't worked out yet
  // makes qemu 7.2 fail an assertion.
  const char* const qemu_argv[] = {kQemu, "-singlestep", "-s", stack.c_str(), kOraclePath, nullptr};
  const char* const own_argv[] = {kOraclePath, nullptr};
  const char* const envp[] = {nullptr};
  const int error =
      qemu ? posix_spawnp(child, kQemu, &actions, nullptr, const_cast<char* const*>(qemu_argv),
                          const_cast<char* const*>(envp))
           : posix_spawn(child, kOraclePath, &actions, nullptr, const_cast<char* const*>(own_argv),
                         const_cast<char* const*>(envp));
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// True if the kernel refuses 32-bit programs, or they die of their first instruction.
bool HostIsWithout32Bit() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  pid_t child;
  const int error = Spawn(false, null, null, &child);
  close(null);
  if (error != 0) return error == ENOEXEC;
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status);
}

bool WriteAll(int fd, const void* from, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = write(fd, static_cast<const char*>(from) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += n;
  }
  return true;
}

bool ReadAll(int fd, void* to, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = read(fd, static_cast<char*>(to) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += n;
  }
  return true;
}

OracleCase Encode(const Case& test) {
  OracleCase wire{};
  std::copy(test.state.gpr.begin(), test.state.gpr.end(), wire.gpr);
  wire.eflags = test.state.eflags;
  wire.eip = test.state.eip;
  for (int i = 0; i < 8; ++i) std::memcpy(wire.xmm[i], test.state.xmm[i].lane.data(), 16);
  wire.code_address = test.code_address;
  wire.code_size = test.code.size();
  std::copy(test.code.begin(), test.code.end(), wire.code);
  for (size_t i = 0; i < test.patches.size(); ++i) {
    wire.patches[i].address = test.patches[i].address;
    wire.patches[i].size = test.patches[i].bytes.size();
    std::copy(test.patches[i].bytes.begin(), test.patches[i].bytes.end(), wire.patches[i].bytes);
  }
  return wire;
}

// Exception vectors and page-fault error codes: Intel SDM vol. 3, table 6-1 and figure 4-12.
Trap DecodeTrap(const OracleResult& wire, std::string* failure) {
  switch (wire.trap) {
    case 0:
      return {.cause = TrapCause::kDivideError};
    case 3:
      return {.cause = TrapCause::kBreakpoint};
    case 4:
      return {.cause = TrapCause::kOverflow};
    case 5:
      return {.cause = TrapCause::kBoundRange};
    case 6:
      return {.cause = TrapCause::kInvalidOpcode};
    case 12:  // #SS, which guests don't have
    case 13:
      return {.cause = TrapCause::kGeneralProtection};
    case 14:
      return {.cause = TrapCause::kPageFault,
              .access = wire.error_code & 16  ? Access::kFetch
                        : wire.error_code & 2 ? Access::kWrite
                                              : Access::kRead,
              .address = wire.address};
    case ORACLE_TIMED_OUT:
      *failure = "did not end";
      return {};
    default:
      *failure = "exception " + std::to_string(wire.trap);
      return {};
  }
}

Result Decode(const OracleResult& wire) {
  Result result;
  std::copy(wire.gpr, wire.gpr + 8, result.state.gpr.begin());
  result.state.eip = wire.eip;
  result.state.eflags = (wire.eflags & (kStatusFlags | kDf | kId)) | VX_INITIAL_EFLAGS;
  for (int i = 0; i < 8; ++i) std::memcpy(result.state.xmm[i].lane.data(), wire.xmm[i], 16);
  result.data.assign(wire.data, wire.data + kDataSize);
  if (wire.trap != 6 || wire.eip != kExit) result.trap = DecodeTrap(wire, &result.failure);
  return result;
}

}  // namespace

void Native::Die(const char* what) {
  std::fprintf(
      stderr,
      "conformance: %s (%s): %s. These tests need a host whose kernel runs 32-bit x86 code "
      "(CONFIG_IA32_EMULATION), or else %s (Debian: qemu-user); there is no result without.\n",
      what, kOraclePath, std::strerror(errno), kQemu);
  std::exit(1);
}

Native::Native() {
  signal(SIGPIPE, SIG_IGN);
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) Die("pipe");
  is_qemu_ = HostIsWithout32Bit();
  if (is_qemu_) {
    std::fprintf(stderr, "conformance: this host can't run 32-bit code; %s is the oracle\n", kQemu);
  }
  errno = Spawn(is_qemu_, in[0], out[1], &child_);
  if (errno != 0) Die("cannot start the oracle");
  close(in[0]);
  close(out[1]);
  to_child_ = in[1];
  from_child_ = out[0];
}

Native::~Native() {
  close(to_child_);
  close(from_child_);
  waitpid(child_, nullptr, 0);
}

std::vector<Result> Native::Run(std::span<const Case> cases) {
  if (cases.empty()) return {};
  std::vector<OracleCase> wire;
  for (const Case& test : cases) wire.push_back(Encode(test));
  const uint32_t count = wire.size();
  if (!WriteAll(to_child_, &count, sizeof count) ||
      !WriteAll(to_child_, wire.data(), count * sizeof wire[0])) {
    Die("the oracle died before a batch");
  }
  static auto* const answers = new std::vector<OracleResult>(ORACLE_BATCH);
  if (!ReadAll(from_child_, answers->data(), count * sizeof(OracleResult))) {
    Die("the oracle died in a batch");
  }
  std::vector<Result> results;
  for (uint32_t i = 0; i < count; ++i) results.push_back(Decode((*answers)[i]));
  return results;
}

Native& ThisCpu() {
  static Native* const native = new Native;
  return *native;
}

bool IsReferenceCpu() {
  if (ThisCpu().is_qemu()) return false;
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx) || ebx != signature_AMD_ebx) return false;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return false;
  return ((eax >> 8) & 15) + ((eax >> 20) & 255) == 26;
}

}  // namespace vx::conformance
