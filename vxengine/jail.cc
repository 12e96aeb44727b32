#include "vxengine/jail.h"

#if defined(__x86_64__)
#include <asm/prctl.h>
#endif
#include <errno.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "vxengine/unique_fd.h"

namespace vx {
namespace {

// The sanitizers' run-time libraries have much writable memory, and make calls of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct AllowedCall {
  int number;
  std::vector<scmp_arg_cmp> arguments;  // all of which have to be so
};

using AllowedCalls = std::vector<AllowedCall>;

// What both need.
AllowedCalls CommonCalls(const CodeRange& code) {
  constexpr uint64_t kPrivateAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  AllowedCalls calls = {
    // malloc: memory that no file is behind and that is never executable.
    {SCMP_SYS(brk), {}},
    {SCMP_SYS(mmap),
     {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
      SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_TYPE | MAP_ANONYMOUS, kPrivateAnonymous)}},
    {SCMP_SYS(mremap), {SCMP_A3(SCMP_CMP_EQ, MREMAP_MAYMOVE)}},
    {SCMP_SYS(munmap), {}},
    // The guest's memory is made as new for the next decode: what of it is present (of the low
    // addresses alone, where no file is behind any), and gone then, as after munmap and mmap.
    {SCMP_SYS(mincore), {SCMP_A0(SCMP_CMP_LT, uint64_t{1} << 32)}},
    {SCMP_SYS(madvise), {SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED)}},
    // The guest's memory; and code, while it is written.
    {SCMP_SYS(mprotect), {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
    // pthread_once says so when it is done, which the first C++ exception finds out.
    {SCMP_SYS(futex), {SCMP_A1(SCMP_CMP_EQ, FUTEX_WAKE_PRIVATE)}},
    // What translating costs, and the limit on CPU time.
    {SCMP_SYS(clock_gettime), {SCMP_A0(SCMP_CMP_EQ, CLOCK_THREAD_CPUTIME_ID)}},
    {SCMP_SYS(exit_group), {}},
    // Encoded bytes come in, decoded bytes and the report go out.
    {SCMP_SYS(read), {SCMP_A0(SCMP_CMP_EQ, 0)}},
    {SCMP_SYS(write), {SCMP_A0(SCMP_CMP_EQ, 1)}},
    {SCMP_SYS(write), {SCMP_A0(SCMP_CMP_EQ, 2)}},
    // After a fault of the guest's, or a timer.
    {SCMP_SYS(rt_sigreturn), {}},
    // For whom the timer is.
    {SCMP_SYS(gettid), {}},
    {SCMP_SYS(timer_create), {SCMP_A0(SCMP_CMP_EQ, CLOCK_THREAD_CPUTIME_ID)}},
    {SCMP_SYS(timer_settime), {SCMP_A1(SCMP_CMP_EQ, 0)}},
    {SCMP_SYS(timer_delete), {}},
#if defined(__x86_64__)
    // Where a guest's memory lies that isn't at address 0.
    {SCMP_SYS(arch_prctl), {SCMP_A0(SCMP_CMP_EQ, ARCH_SET_GS)}},
#endif
  };
  if (code.size != 0) {
    const uint64_t begin = reinterpret_cast<uint64_t>(code.begin);
    calls.push_back({SCMP_SYS(mprotect),
                     {SCMP_A0(SCMP_CMP_MASKED_EQ, ~(code.size - 1), begin),
                      SCMP_A1(SCMP_CMP_LE, CodeRange::kMostAtOnce),
                      SCMP_A2(SCMP_CMP_EQ, PROT_READ | PROT_EXEC)}});
  }
  return calls;
}

// All that a worker can still ask of the kernel.
AllowedCalls WorkerCalls(const CodeRange& code) {
  AllowedCalls calls = CommonCalls(code);
  if (kSanitized) {
    for (int number : {SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getpid), SCMP_SYS(sched_yield),
                       SCMP_SYS(clock_nanosleep), SCMP_SYS(rt_sigprocmask), SCMP_SYS(mprotect),
                       SCMP_SYS(sigaltstack)}) {
      calls.push_back({number, {}});
    }
  }
  return calls;
}

// All that a zygote can.
AllowedCalls ZygoteCalls(const CodeRange& code) {
  const AllowedCalls own = {
      // Its image, orders, and what it says of its workers.
      {SCMP_SYS(pread64), {SCMP_A0(SCMP_CMP_EQ, 1)}},
      {SCMP_SYS(recvmsg), {SCMP_A0(SCMP_CMP_EQ, 0)}},
      {SCMP_SYS(sendmsg), {}},
      {SCMP_SYS(poll), {}},
      // The report in place of a worker.
      {SCMP_SYS(write), {}},
      {SCMP_SYS(close), {}},
      // Workers start and end,
      {SCMP_SYS(clone), {SCMP_A0(SCMP_CMP_EQ, CLONE_PIDFD | SIGCHLD)}},
      {SCMP_SYS(waitid), {SCMP_A0(SCMP_CMP_EQ, P_PIDFD)}},
      {SCMP_SYS(pidfd_send_signal), {}},
      // and get ready for their own jail.
      {SCMP_SYS(dup2), {}},
      {SCMP_SYS(close_range), {}},
      {SCMP_SYS(getpid), {}},
      {SCMP_SYS(getppid), {}},
      {SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG)}},
      {SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)}},
      {SCMP_SYS(prlimit64), {SCMP_A0(SCMP_CMP_EQ, 0)}},
      {SCMP_SYS(seccomp), {SCMP_A0(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER)}},
  };
  AllowedCalls calls = CommonCalls(code);
  calls.insert(calls.end(), own.begin(), own.end());
  return calls;
}

struct ResourceLimit {
  __rlimit_resource resource;
  rlim_t value;
  bool can_be_raised = false;  // again, by those forked off
};

absl::Status Failed(const char* step, int error) {
  return absl::UnavailableError(absl::StrCat("jail: ", step, ": ", strerror(error)));
}

absl::Status SetLimits(std::vector<ResourceLimit> limits) {
  for (const ResourceLimit& limit : limits) {
    rlimit both = {.rlim_cur = limit.value, .rlim_max = limit.value};
    if (limit.can_be_raised) {
      if (getrlimit(limit.resource, &both) != 0) return Failed("getrlimit", errno);
      both.rlim_cur = std::min(limit.value, both.rlim_max);
    }
    if (setrlimit(limit.resource, &both) != 0) return Failed("setrlimit", errno);
  }
  return absl::OkStatus();
}

// A filter that kills whoever makes another call, as a program for the kernel.
absl::StatusOr<std::vector<sock_filter>> CompileFilter(const AllowedCalls& calls) {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_KILL_PROCESS),
                                                                seccomp_release);
  if (!filter) return Failed("seccomp_init", ENOMEM);
  // 32-bit and x32 calls on a 64-bit kernel.
  int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (error != 0) return Failed("seccomp_attr_set", -error);
  for (const AllowedCall& call : calls) {
    error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call.number, call.arguments.size(),
                                   call.arguments.data());
    if (error != 0) return Failed("seccomp_rule_add", -error);
  }
  // libseccomp gives programs to files only.
  const UniqueFd file(memfd_create("filter", MFD_CLOEXEC));
  if (!file.open()) return Failed("memfd_create", errno);
  error = seccomp_export_bpf(filter.get(), file.get());
  if (error != 0) return Failed("seccomp_export_bpf", -error);
  std::vector<sock_filter> program(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)) /
                                   sizeof(sock_filter));
  const size_t size = program.size() * sizeof(sock_filter);
  if (pread(file.get(), program.data(), size, 0) != static_cast<ssize_t>(size)) {
    return Failed("reading the filter", errno);
  }
  return program;
}

// For good, since exec gives none either. (Who enters a user namespace has all of them inside.)
absl::Status DropCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) return Failed("capset", errno);
  return absl::OkStatus();
}

absl::Status LoadFilter(const std::vector<sock_filter>& filter) {
  const sock_fprog program = {.len = static_cast<unsigned short>(filter.size()),
                              .filter = const_cast<sock_filter*>(filter.data())};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return Failed("seccomp", errno);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DieWithParent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return Failed("PR_SET_PDEATHSIG", errno);
  // It may have died before the prctl, whose signal then never comes.
  if (getppid() != parent) return absl::UnavailableError("jail: the parent process is gone");
  return absl::OkStatus();
}

absl::Status EnterZygoteJail(uint64_t data, const CodeRange& code) {
  const absl::StatusOr<std::vector<sock_filter>> filter = CompileFilter(ZygoteCalls(code));
  if (!filter.ok()) return filter.status();
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed("PR_SET_DUMPABLE", errno);
  std::vector<ResourceLimit> limits = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}};
  if (!kSanitized) limits.push_back({RLIMIT_DATA, data, /*can_be_raised=*/true});
  if (absl::Status status = SetLimits(std::move(limits)); !status.ok()) return status;
  if (absl::Status status = DropCapabilities(); !status.ok()) return status;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("PR_SET_NO_NEW_PRIVS", errno);
  // A sanitizer's run-time library would need nearly every call.
  return kSanitized ? absl::OkStatus() : LoadFilter(*filter);
}

absl::StatusOr<WorkerJail> WorkerJail::Prepare(const CodeRange& code) {
  absl::StatusOr<std::vector<sock_filter>> filter = CompileFilter(WorkerCalls(code));
  if (!filter.ok()) return filter.status();
  return WorkerJail(*std::move(filter));
}

absl::Status WorkerJail::Enter(uint64_t data) const {
  std::vector<ResourceLimit> limits = {{RLIMIT_NOFILE, 0}, {RLIMIT_NPROC, 0}};
  if (!kSanitized) limits.push_back({RLIMIT_DATA, data});
  if (absl::Status status = SetLimits(std::move(limits)); !status.ok()) return status;
  return LoadFilter(filter_);
}

}  // namespace vx
