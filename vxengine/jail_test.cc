#include "vxengine/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <functional>
#include <new>

namespace vx {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr int kSurvived = 0;
constexpr int kNotJailed = 99;

CodeRange code;  // of inmates: none, but where a test has some

// As a worker does, through its zygote's.
void EnterJail() {
  const absl::StatusOr<WorkerJail> jail = WorkerJail::Prepare(code);
  if (!jail.ok() || !EnterZygoteJail(256 * kMib, code).ok() || !jail->Enter(512 * kMib).ok())
    _exit(kNotJailed);
}

// How a child process ends that runs `before`, enters the jail and then runs `inside`: its exit
// status, or 1000 and the signal that killed it.
int EndOfInmate(
    const std::function<int()>& inside, const std::function<void()>& before = [] {}) {
  const pid_t child = fork();
  if (child == 0) {
    before();
    EnterJail();
    syscall(SYS_exit_group, inside());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

constexpr int kKilledByFilter = 1000 + SIGSYS;

int g_pipe[2];  // for inmates: at descriptors 0 and 1

void PutPipeInPlace() {
  if (pipe(g_pipe) != 0 || dup2(g_pipe[0], 0) != 0 || dup2(g_pipe[1], 1) != 1) _exit(98);
}

TEST(Jail, AllowsWhatAWorkerNeeds) {
  EXPECT_EQ(EndOfInmate(
                [] {
                  char byte = 'x';
                  if (write(1, &byte, 1) != 1 || read(0, &byte, 1) != 1) return 1;
                  if (write(2, "", 0) != 0) return 2;
                  timespec now;
                  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 3;
                  // Small blocks, large ones, and ones that move as they grow.
                  for (size_t size = 1; size < 128 * kMib; size *= 3) {
                    char* block = static_cast<char*>(malloc(size));
                    if (block == nullptr) return 5;
                    block = static_cast<char*>(realloc(block, size * 2));
                    if (block == nullptr) return 6;
                    memset(block, 1, size * 2);
                    free(block);
                  }
                  // The guest's memory, at a low address.
                  void* const low =
                      mmap(reinterpret_cast<void*>(0x10000000), 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                  unsigned char present;
                  if (mincore(low, 4096, &present) != 0) return 7;
                  if (madvise(low, 4096, MADV_DONTNEED) != 0) return 8;
                  try {
                    throw std::bad_alloc();
                  } catch (const std::bad_alloc&) {
                  }
                  return kSurvived;
                },
                PutPipeInPlace),
            kSurvived);
}

TEST(Jail, BoundsWritableMemory) {
  if (kSanitized) return;  // they need more
  EXPECT_EQ(EndOfInmate([] { return malloc(600 * kMib) == nullptr ? kSurvived : 1; }), kSurvived);
}

TEST(Jail, BoundsAZygotesMemory) {
  if (kSanitized) return;  // they need more
  const pid_t child = fork();
  if (child == 0) {
    if (!EnterZygoteJail(256 * kMib, code).ok()) _exit(kNotJailed);
    syscall(SYS_exit_group, malloc(300 * kMib) == nullptr ? kSurvived : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Jail, SetsItsLimitsAndFlags) {
  // Looked at from outside, for the inmate can't.
  int fds[2], ready[2];
  ASSERT_EQ(pipe(fds), 0);
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(fds[0], 0);
    dup2(ready[1], 1);
    EnterJail();
    char byte = 'r';
    if (write(1, &byte, 1) != 1) _exit(1);
    syscall(SYS_exit_group, read(0, &byte, 1) == 1 ? kSurvived : 2);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  for (const auto resource : {RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC}) {
    rlimit limit;
    ASSERT_EQ(prlimit(child, resource, nullptr, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, 0u);
    EXPECT_EQ(limit.rlim_max, 0u);
  }
  const std::string path = "/proc/" + std::to_string(child) + "/status";
  FILE* const file = fopen(path.c_str(), "r");
  ASSERT_NE(file, nullptr);
  char text[8192];
  text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
  fclose(file);
  EXPECT_THAT(text, ::testing::HasSubstr("NoNewPrivs:\t1"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_THAT(text, ::testing::HasSubstr(std::string(set) + ":\t0000000000000000")) << set;
  }
  EXPECT_THAT(text, ::testing::HasSubstr("Seccomp:\t2"));
  EXPECT_EQ(write(fds[1], "x", 1), 1);
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (int fd : {fds[0], fds[1], ready[0], ready[1]}) close(fd);
}

struct Attempt {
  const char* name;
  std::function<long()> call;
  bool sanitizers_may = false;
};

void* const kNowhere = nullptr;

const Attempt kAttempts[] = {
    {"open a file", [] { return open("/etc/passwd", O_RDONLY); }},
    {"open with the old call", [] { return syscall(SYS_open, "/etc/passwd", O_RDONLY); }},
    {"create a file", [] { return open("/tmp/x", O_WRONLY | O_CREAT, 0600); }},
    {"stat", [] { return syscall(SYS_newfstatat, AT_FDCWD, "/", kNowhere, 0); }},
    {"unlink", [] { return unlink("/nowhere"); }},
    {"make a socket", [] { return socket(AF_INET, SOCK_STREAM, 0); }},
    {"make a pipe", [] { return pipe(g_pipe); }},
    {"duplicate a descriptor", [] { return dup(0); }},
    {"close a descriptor", [] { return close(0); }},
    {"poll", [] { return syscall(SYS_poll, kNowhere, 0, 0); }},
    {"ioctl on its output", [] { return ioctl(1, FIONREAD, &g_pipe); }},
    {"fcntl on its output", [] { return fcntl(1, F_GETFL); }},
    {"read its output", [] { return read(1, &g_pipe, 1); }},
    {"read another descriptor", [] { return read(3, &g_pipe, 1); }},
    {"write to its input", [] { return write(0, "", 1); }},
    {"write to another descriptor", [] { return write(3, "", 1); }},
    {"read from descriptor 2^32", [] { return syscall(SYS_read, 1ull << 32, &g_pipe, 1); }},
    {"fork", [] { return syscall(SYS_fork); }},
    {"vfork", [] { return syscall(SYS_vfork); }},
    {"clone", [] { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
    {"clone3", [] { return syscall(SYS_clone3, kNowhere, 0); }},
    {"execute a program", [] { return execl("/bin/true", "true", nullptr); }},
    {"execute by descriptor", [] { return syscall(SYS_execveat, 0, "", 0, 0, AT_EMPTY_PATH); }},
    {"trace", [] { return ptrace(PTRACE_TRACEME, 0, 0, 0); }},
    {"read another's memory",
     [] { return syscall(SYS_process_vm_readv, getppid(), kNowhere, 0, kNowhere, 0, 0); }},
    {"kill its parent", [] { return syscall(SYS_kill, 1, 0); }},
    {"signal itself", [] { return syscall(SYS_tgkill, 1, 1, 0); }},
    {"handle a signal", [] { return syscall(SYS_rt_sigaction, SIGSYS, kNowhere, kNowhere, 8); }},
    {"undo PDEATHSIG", [] { return prctl(PR_SET_PDEATHSIG, 0); }},
    {"raise a limit", [] { return syscall(SYS_prlimit64, 0, RLIMIT_AS, kNowhere, kNowhere); }},
    {"map executable memory",
     [] {
       return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
              MAP_FAILED;
     }},
    {"map shared memory",
     [] {
       return mmap(nullptr, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
     }},
    {"map a file", [] { return mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED; }},
    {"move memory to where it likes",
     [] {
       return mremap(&g_pipe, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0x10000) == MAP_FAILED;
     }},
    {"ask what is present of a file", [] { return syscall(SYS_mincore, 1ull << 32, 1, &g_pipe); }},
    {"give other advice on memory", [] { return madvise(nullptr, 0, MADV_MERGEABLE); }, true},
    {"use pkey_mprotect", [] { return syscall(SYS_pkey_mprotect, 0x10000, 4096, PROT_EXEC, -1); }},
    {"wait for a futex", [] { return syscall(SYS_futex, &g_pipe, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0); },
     true},
    {"read a real clock", [] { return syscall(SYS_clock_gettime, CLOCK_REALTIME, &g_pipe); }},
    {"get randomness", [] { return syscall(SYS_getrandom, &g_pipe, 1, 0); }},
    {"load BPF", [] { return syscall(SYS_bpf, BPF_PROG_LOAD, kNowhere, 0); }},
    {"use io_uring", [] { return syscall(SYS_io_uring_setup, 1, kNowhere); }},
    {"use userfaultfd", [] { return syscall(SYS_userfaultfd, 0); }},
    {"make namespaces", [] { return syscall(SYS_unshare, CLONE_NEWUSER); }},
    {"mount", [] { return syscall(SYS_mount, kNowhere, "/", kNowhere, 0, kNowhere); }},
    {"change its filter", [] { return syscall(SYS_seccomp, 1, 0, kNowhere); }},
    {"make a call with a number of the future", [] { return syscall(999); }},
#if defined(__x86_64__)
    {"make an x32 call", [] { return syscall(0x40000000 | SYS_write, 1, "", 0); }},
#endif
};

TEST(Jail, KillsWhoeverTriesAnythingElse) {
  for (const Attempt& attempt : kAttempts) {
    if (kSanitized && attempt.sanitizers_may) continue;
    EXPECT_EQ(EndOfInmate([&attempt] { return attempt.call() == 0 ? 1 : 2; }, PutPipeInPlace),
              kKilledByFilter)
        << "an inmate could " << attempt.name;
  }
}

#if defined(__x86_64__)
int Make32BitCall() {
  long result = 20;  // getpid
  asm volatile("int $0x80" : "+a"(result) : : "memory");
  return result == 0 ? 1 : 2;
}

TEST(Jail, KillsWhoeverMakesA32BitCall) {
  if (kSanitized) return;  // they see to faults themselves, with calls that the jail doesn't have
  // Where the kernel has no such calls, or what is below it, the attempt alone is a fault.
  const pid_t child = fork();
  if (child == 0) _exit(Make32BitCall());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const bool there_are_some = WIFEXITED(status);
  EXPECT_EQ(EndOfInmate(Make32BitCall), there_are_some ? kKilledByFilter : 1000 + SIGSEGV);
}
#endif

TEST(Jail, KillsWhoeverMakesMemoryExecutable) {
  if (kSanitized) return;  // they need mprotect
  EXPECT_EQ(EndOfInmate([] {
              void* const page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? 1 : 2;
            }),
            kKilledByFilter);
}

class JailWithCode : public testing::Test {
 protected:
  static constexpr uint64_t kSize = 4 * kMib;

  void SetUp() override {
    const uint64_t most = 2 * kSize + CodeRange::kMostAtOnce;
    void* const got = mmap(nullptr, most, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(got, MAP_FAILED);
    begin_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(got) + kSize - 1) & -kSize);
    code = {begin_, kSize};
  }
  void TearDown() override { code = {}; }

  static int Protect(uint8_t* at, size_t size, int protection) {
    return EndOfInmate([=] { return mprotect(at, size, protection) == 0 ? kSurvived : 1; });
  }

  uint8_t* begin_ = nullptr;
};

TEST_F(JailWithCode, LetsItsPagesBeExecutable) {
  EXPECT_EQ(Protect(begin_, 4096, PROT_READ | PROT_EXEC), kSurvived);
  EXPECT_EQ(Protect(begin_ + kSize - 4096, 4096, PROT_READ | PROT_EXEC), kSurvived);
  EXPECT_EQ(Protect(begin_, 4096, PROT_READ | PROT_WRITE), kSurvived);
}

TEST_F(JailWithCode, KillsWhoeverWantsMore) {
  if (kSanitized) return;  // they need mprotect
  EXPECT_EQ(Protect(begin_, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), kKilledByFilter);
  EXPECT_EQ(Protect(begin_, 4096, PROT_EXEC), kKilledByFilter);
  EXPECT_EQ(Protect(begin_ - 4096, 4096, PROT_READ | PROT_EXEC), kKilledByFilter);
  EXPECT_EQ(Protect(begin_ + kSize, 4096, PROT_READ | PROT_EXEC), kKilledByFilter);
  EXPECT_EQ(Protect(begin_, CodeRange::kMostAtOnce + 4096, PROT_READ | PROT_EXEC), kKilledByFilter);
}

TEST(DieWithParent, FailsIfTheParentIsGone) {
  EXPECT_TRUE(DieWithParent(getppid()).ok());
  EXPECT_FALSE(DieWithParent(getppid() + 1).ok());
}

TEST(DieWithParent, EndsAChildThatDoesNothingButLoop) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    const pid_t own = getpid();
    if (fork() == 0) {
      if (!DieWithParent(own).ok() || write(fds[1], "r", 1) != 1) _exit(1);
      while (true) asm volatile("");
    }
    while (true) pause();
  }
  close(fds[1]);
  char byte;
  ASSERT_EQ(read(fds[0], &byte, 1), 1);
  kill(parent, SIGKILL);
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  EXPECT_EQ(read(fds[0], &byte, 1), 0) << "the grandchild closes the pipe when it dies";
  close(fds[0]);
}

}  // namespace
}  // namespace vx
