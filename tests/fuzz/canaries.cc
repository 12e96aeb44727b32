#include "tests/fuzz/canaries.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/check.h"
#include "vxengine/translator/context.h"

namespace vxa::fuzz {
namespace {

constexpr uint64_t kBeyond = vx::kGuestSpan, kFarthest = uint64_t{64} << 30;
constexpr size_t kPages = size_t{64} << 10;  // bytes
constexpr size_t kFileSize = 4096;
constexpr int kDescriptors = 64;  // that are looked at
constexpr off_t kPlace = 1234;

uint8_t PatternAt(size_t place) { return static_cast<uint8_t>(place * 0x9e3779b1u >> 21); }

std::string Pattern(size_t size) {
  std::string pattern(size, '\0');
  for (size_t n = 0; n < size; ++n) pattern[n] = static_cast<char>(PatternAt(n));
  return pattern;
}
const std::string& FilePattern() {
  static const auto* const pattern = new std::string(Pattern(kFileSize));
  return *pattern;
}

void OnSystemCall(int, siginfo_t* info, void*) {
  char text[64];
  snprintf(text, sizeof text, "system call %d from where no code was", info->si_syscall);
  Fail(text);
}

// Allows system calls from what is executable now.
void ConfineSystemCalls() {
  std::vector<sock_filter> filter;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long long begin, end;
    char execute;
    Check(sscanf(line.c_str(), "%llx-%llx %*c%*c%c", &begin, &end, &execute) == 3, "maps");
    if (execute != 'x' || begin >> 63 != 0) continue;
    // Where the call returns to: behind the instruction. No piece has 4 GiB; one may straddle them.
    for (unsigned long long at = begin; at < end;) {
      const unsigned long long last = std::min(end, (at | 0xffffffff));
      constexpr uint32_t kIp = offsetof(seccomp_data, instruction_pointer);
      const sock_filter piece[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIp + 4),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(at >> 32), 0, 4),
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIp),
          BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, static_cast<uint32_t>(at), 0, 2),
          BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, static_cast<uint32_t>(last), 1, 0),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      filter.insert(filter.end(), std::begin(piece), std::end(piece));
      at = last + 1;
    }
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  struct sigaction action = {};
  action.sa_sigaction = OnSystemCall;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSYS, &action, nullptr);
  const sock_fprog program = {.len = static_cast<unsigned short>(filter.size()),
                              .filter = filter.data()};
  Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
        "no seccomp filter to be had");
}

// Pipes, sockets and what has no name, other threads may have opened.
std::vector<bool> OpenFiles() {
  std::vector<bool> open(kDescriptors);
  for (int fd = 0; fd < kDescriptors; ++fd) {
    struct stat found = {};
    open[fd] = fstat(fd, &found) == 0 && found.st_nlink > 0 &&
               (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
  }
  return open;
}

std::string Content(int fd) {
  std::string bytes(kFileSize + 1, '\0');
  const ssize_t size = pread(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return bytes;
}

std::string the_folder;

}  // namespace

Canaries::Canaries() {
  void* const beyond = reinterpret_cast<void*>(kBeyond);
  Check(mmap(beyond, kFarthest - kBeyond, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == beyond,
        "the addresses beyond the guest's are taken");
  pages_ = static_cast<uint8_t*>(
      mmap(nullptr, kPages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  Check(pages_ != MAP_FAILED, "no pages");
  memcpy(pages_, Pattern(kPages).data(), kPages);

  folder_ = std::filesystem::temp_directory_path() / "canaries-XXXXXX";
  Check(mkdtemp(folder_.data()) != nullptr, "no folder");
  the_folder = folder_;
  atexit([] { std::filesystem::remove_all(the_folder); });
  descriptor_ = open((folder_ + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  Check(write(descriptor_, FilePattern().data(), kFileSize) == kFileSize &&
            lseek(descriptor_, kPlace, SEEK_SET) == kPlace,
        "no file");
  ConfineSystemCalls();
  Set();
}

Canaries::ThreadState Canaries::CurrentThreadState() {
  ThreadState state{.registers = CurrentHostState()};
  syscall(SYS_arch_prctl, ARCH_GET_FS, &state.fs);
  syscall(SYS_arch_prctl, ARCH_GET_GS, &state.gs);
  return state;
}

std::vector<uint64_t> Canaries::FolderState() const {
  std::vector<uint64_t> state;
  for (const std::string& path : {folder_, folder_ + "/file"}) {
    struct stat found = {};
    Check(stat(path.c_str(), &found) == 0, "the folder is gone");
    for (const timespec& time : {found.st_mtim, found.st_ctim}) {
      state.push_back(static_cast<uint64_t>(time.tv_sec));
      state.push_back(static_cast<uint64_t>(time.tv_nsec));
    }
  }
  return state;
}

void Canaries::Set() {
  thread_ = CurrentThreadState();
  open_ = OpenFiles();
  folder_state_ = FolderState();
}

std::string Canaries::Changes() const {
  if (CurrentThreadState() != thread_) {
    return "MXCSR, x87's control word, DF, AC, the FS or GS base has changed";
  }
  for (size_t n = 0; n < kPages; ++n) {
    if (pages_[n] != PatternAt(n)) return "memory that isn't the guest's has changed";
  }
  const std::vector<bool> open = OpenFiles();
  for (int fd = 0; fd < kDescriptors; ++fd) {
    if (open[fd] && !open_[fd]) return "a file has been opened";
  }
  if (lseek(descriptor_, 0, SEEK_CUR) != kPlace || Content(descriptor_) != FilePattern()) {
    return "a descriptor has been used";
  }
  return FolderState() == folder_state_ ? "" : "a folder has changed";
}

}  // namespace vxa::fuzz
