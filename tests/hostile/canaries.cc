#include "tests/hostile/canaries.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace vx::hostile {
namespace {

constexpr size_t kPage = 0x1000, kGuard = 4 * kPage;
constexpr unsigned char kPattern = 0xa7;
constexpr char kText[] = "canary";

unsigned char* Map(uintptr_t address, size_t size, int protection, int flags) {
  void* const got = mmap(reinterpret_cast<void*>(address), size, protection,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
  EXPECT_NE(got, MAP_FAILED) << strerror(errno);
  return static_cast<unsigned char*>(got);
}

// Of the calling thread, but for MXCSR's exception flags, which anybody's arithmetic sets.
std::string ProcessorState() {
#if defined(__x86_64__)
  uint64_t flags;
  uint32_t mxcsr;
  struct {
    uint16_t control, reserved, status, reserved_2, tag, rest[9];
  } x87;
  asm volatile("pushfq; popq %0" : "=r"(flags));
  asm volatile("stmxcsr %0" : "=m"(mxcsr));
  asm volatile("fnstenv %0; fldenv %0" : "+m"(x87));
  constexpr uint64_t kTf = 1 << 8, kDf = 1 << 10, kIopl = 3 << 12, kNt = 1 << 14, kAc = 1 << 18;
  return absl::StrCat("flags ", flags & (kTf | kDf | kIopl | kNt | kAc), ", MXCSR ", mxcsr & ~0x3fu,
                      ", FCW ", x87.control, ", FTW ", x87.tag);
#else
  return "";
#endif
}

std::string Listing(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  std::string all;
  for (const std::string& name : names) absl::StrAppend(&all, " ", name);
  return all;
}

}  // namespace

Canaries::Canaries(Descriptors descriptors)
    : descriptors_(descriptors), folder_(std::filesystem::path(::testing::TempDir()) / "canaries") {
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directory(folder_);
  std::ofstream(folder_ / "file") << kText;
  file_ = open((folder_ / "file").c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_EQ(lseek(file_, 3, SEEK_SET), 3);
  EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
  EXPECT_EQ(write(pipe_[1], kText, 4), 4);
  setenv("CANARY", kText, 1);
  state_ = StateOfProcess();
}

Canaries::~Canaries() {
  for (unsigned char* page : pages_) munmap(page, kGuard);
  for (int fd : {file_, pipe_[0], pipe_[1]}) close(fd);
  std::filesystem::remove_all(folder_);
}

void Canaries::GuardMemoryAt(uintptr_t address) {
  unsigned char* const page = Map(address, kGuard, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE);
  memset(page, kPattern, kGuard);
  pages_.push_back(page);
}

// The kernel gives the highest place that fits. So this makes one of exactly that size.
void Canaries::GuardMemoryAround(uint64_t size) {
  unsigned char* const all = Map(0, size + 2 * kGuard, PROT_NONE, 0);
  for (unsigned char* page : {all, all + kGuard + size}) {
    EXPECT_EQ(mprotect(page, kGuard, PROT_READ | PROT_WRITE), 0);
    memset(page, kPattern, kGuard);
    pages_.push_back(page);
  }
  munmap(all + kGuard, size);
}

bool Canaries::IsTaken() const {
  unsigned char* const after_first = pages_[pages_.size() - 2] + kGuard;
  unsigned char* const before_last = pages_.back() - kPage;
  // Where there is nothing msync says so.
  return msync(after_first, kPage, MS_ASYNC) == 0 && msync(before_last, kPage, MS_ASYNC) == 0;
}

std::string Canaries::Damage() const {
  for (const unsigned char* page : pages_) {
    for (size_t n = 0; n < kGuard; ++n) {
      if (page[n] != kPattern) return absl::StrCat("memory at 0x", absl::Hex(page + n));
    }
  }
  if (lseek(file_, 0, SEEK_CUR) != 3) return "a file's offset";
  int waiting = 0;
  if (ioctl(pipe_[0], FIONREAD, &waiting) != 0 || waiting != 4) return "a pipe";
  if (waitpid(-1, nullptr, WNOHANG | __WNOTHREAD) > 0) return "a process";
  const std::vector<std::string> state = StateOfProcess();
  if (state.size() != state_.size()) return "environment";
  const auto [is, was] = std::mismatch(state.begin(), state.end(), state_.begin());
  return is == state.end() ? "" : absl::StrCat(*is, " was ", *was);
}

std::string Canaries::DamageOfFiles() const {
  if (const std::string names = Listing(folder_); names != " file") return "files:" + names;
  std::ifstream file(folder_ / "file");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text == kText ? "" : "a file's content: " + absl::CEscape(text);
}

std::vector<std::string> Canaries::StateOfProcess() const {
  std::vector<std::string> state = {ProcessorState()};
  for (char** variable = environ; *variable != nullptr; ++variable) state.push_back(*variable);
  sigset_t mask;
  sigprocmask(SIG_BLOCK, nullptr, &mask);
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    if (sigaction(signal, nullptr, &action) != 0) continue;
    state.push_back(absl::StrCat("signal ", signal, ": ",
                                 reinterpret_cast<uintptr_t>(action.sa_sigaction), ", flags ",
                                 action.sa_flags, ", blocked ", sigismember(&mask, signal)));
  }
  char folder[4096] = "";
  state.push_back(getcwd(folder, sizeof folder) != nullptr ? folder : "no folder");
  if (descriptors_ == Descriptors::kMayChange) return state;
  // Up to some number, for each costs a call.
  std::string fds = "descriptors ";
  for (int fd = 0; fd < 64; ++fd) fds += fcntl(fd, F_GETFD) >= 0 ? '+' : '-';
  state.push_back(fds);
  return state;
}

}  // namespace vx::hostile
