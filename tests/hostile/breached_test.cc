// The second wall alone: a guest that runs what host code it likes in its worker, because the
// verifier is off and the translator has a hole (breach.cc). All else is the real thing: service,
// zygote, worker, jail. --no-layers: as where a system grants no layers.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/hostile/canaries.h"
#include "tests/hostile/hatch.h"
#include "tests/hostile/payload.h"
#include "tests/hostile/streams.h"
#include "vxengine/decode_service.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/worker_protocol.h"

namespace vx::hostile {
namespace {

using testing::Bytes;
using ::testing::HasSubstr;
using testing::Imm32;
using ::testing::Not;

constexpr uint64_t kCopy = 1000;                   // an act of the guest itself
constexpr uint64_t kText = PAYLOAD_ORDER + 8 * 8;  // where the order's text lies
bool try_layers = true;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Reads an order. If it is kCopy, copies input to output; else jumps to the hatch.
const std::string& Breacher() {
  static const std::string elf = [] {
    const std::string payload = ReadFile("tests/hostile/payload.bin");
    const std::string read = testing::Call(VX_CALL_READ, 0, PAYLOAD_ORDER, sizeof(PayloadOrder)) +
                             Bytes({0x81, 0x3d}) + Imm32(PAYLOAD_ORDER) +
                             Imm32(kCopy);  // cmp [order], kCopy
    const std::string jump = Bytes({0xb8}) + Imm32(testing::kCodeAddress + 0x1000) +
                             Bytes({0xff, 0xe0});  // mov eax, hatch; jmp eax
    std::string code =
        read + Bytes({0x74, static_cast<uint8_t>(jump.size())}) + jump + testing::Copy();
    code.resize(0x1000, '\xf4');
    // A page of NOPs, so that no other code shares the payload's.
    code += std::string(kHatch) + std::string(0x1000, '\x90') + payload;
    return testing::CodeElf(code);
  }();
  return elf;
}

class BreachedTest : public ::testing::Test {
 protected:
  BreachedTest() : service_(NewService("tests/hostile/vxworker_breached")) {}

  static std::unique_ptr<WorkerDecodeService> NewService(const std::string& worker) {
    auto service =
        NewWorkerDecodeService(std::filesystem::absolute(worker), {.try_layers = try_layers});
    EXPECT_TRUE(service.ok()) << service.status();
    return *std::move(service);
  }

  absl::StatusOr<DecodeResult> Decode(const PayloadOrder& order, ByteSink& sink,
                                      DecodeRequest request = {}) {
    StringSource source(std::string(reinterpret_cast<const char*>(&order), sizeof order) +
                        "good bytes");
    request.decoder = Breacher();
    return service_->Decode(request, source, sink);
  }

  // How the worker ends that was given the order, and what it told before.
  struct End {
    absl::Status status;
    std::optional<int64_t> told;
  };
  End Obey(const PayloadOrder& order, DecodeRequest request = {}) {
    StringSink sink;
    End end = {.status = Decode(order, sink, std::move(request)).status(), .told = {}};
    if (sink.bytes.size() == sizeof(int64_t)) memcpy(&end.told.emplace(), sink.bytes.data(), 8);
    return end;
  }
  End Call(int64_t number, std::initializer_list<uint64_t> arguments, const char* text = "",
           uint64_t act = PAYLOAD_CALL) {
    PayloadOrder order = {.act = act, .number = number, .arguments = {}, .text = {}};
    std::copy(arguments.begin(), arguments.end(), order.arguments);
    strncpy(order.text, text, sizeof order.text - 1);
    return Obey(order);
  }

  // The same worker's zygote makes another, which is as good as ever.
  void ExpectGoodDecode() {
    StringSink sink;
    const auto result = Decode({.act = kCopy}, sink);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->description, "exit status 0");
    EXPECT_EQ(sink.bytes, "good bytes");
  }

  static void ExpectKilled(const End& end, int signal, const std::string& what) {
    EXPECT_EQ(end.told, std::nullopt) << what << " gave " << *end.told;
    EXPECT_EQ(end.status.code(), absl::StatusCode::kInternal) << what << ": " << end.status;
    EXPECT_THAT(std::string(end.status.message()),
                HasSubstr(absl::StrCat("died of signal ", signal, " ")))
        << what;
  }

  std::unique_ptr<WorkerDecodeService> service_;
};

TEST_F(BreachedTest, IsOutAndCanCallTheKernel) {
  // Else nothing here would show anything.
  const End end = Call(SYS_clock_gettime, {CLOCK_THREAD_CPUTIME_ID, kText});
  EXPECT_EQ(end.told, 0);
  EXPECT_EQ(Call(SYS_munmap, {1, 1}).told, -EINVAL);
  ExpectGoodDecode();
}

TEST_F(BreachedTest, IsNotWhatProductionIs) {
  service_ = NewService("vxengine/vxworker");
  StringSink sink;
  const auto result = Decode({.act = PAYLOAD_SPIN}, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->description, "trap: invalid opcode at eip 0x08049000");
  ExpectGoodDecode();
}

// All that a worker may call, whatever the arguments; some of it with certain arguments only.
const std::set<int64_t> kAllowed = {
    SYS_brk,           SYS_mremap,     SYS_munmap,       SYS_mprotect,      SYS_futex,
    SYS_mmap,          SYS_exit_group, SYS_read,         SYS_write,         SYS_rt_sigreturn,
    SYS_clock_gettime, SYS_gettid,     SYS_timer_create, SYS_timer_settime, SYS_timer_delete,
    SYS_arch_prctl,    SYS_mincore,    SYS_madvise};

// uretprobe and uprobe, which kernels that have them let through any filter. They do nothing but
// for the kernel's own trampolines: whoever else comes is told so, or gets SIGILL.
const std::set<int64_t> kUnfiltered = {335, 336};

constexpr int64_t kX32 = 0x40000000, kLastCall = 470;

// In parts, for shards.
class EveryCallTest : public BreachedTest, public ::testing::WithParamInterface<int64_t> {
 protected:
  static constexpr int64_t kParts = 4;
};

TEST_P(EveryCallTest, KillsButTheFew) {
  for (int64_t number = GetParam(); number <= kLastCall; number += kParts) {
    if (kAllowed.count(number) != 0) continue;
    const End end = Call(number, {kText, 0, 0, 0, 0, 0});
    if (kUnfiltered.count(number) != 0) {
      EXPECT_LT(end.told.value_or(-1), 0);
    } else {
      ExpectKilled(end, SIGSYS, absl::StrCat("call ", number));
    }
  }
  for (int64_t number : {int64_t{-1}, int64_t{0x7fffffff}, int64_t{1} << 31, int64_t{999}}) {
    ExpectKilled(Call(number, {}), SIGSYS, absl::StrCat("call ", number));
  }
  ExpectGoodDecode();
}

TEST_P(EveryCallTest, KillsWithoutExceptionByX32) {
  for (int64_t number = GetParam(); number <= kLastCall; number += kParts) {
    ExpectKilled(Call(kX32 | number, {1, kText, 0}), SIGSYS, absl::StrCat("x32 call ", number));
  }
  ExpectGoodDecode();
}

TEST_P(EveryCallTest, KillsWithoutExceptionBy32BitCalls) {
  // Where the kernel has no such calls, or what is below it, the attempt alone is a fault.
  const pid_t child = fork();
  if (child == 0) {
    long result = 20;  // getpid
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const int signal = WIFEXITED(status) ? SIGSYS : SIGSEGV;
  for (int64_t number = GetParam(); number <= kLastCall; number += kParts) {
    ExpectKilled(Call(number, {1, kText, 0}, "", PAYLOAD_INT80), signal,
                 absl::StrCat("int 0x80, call ", number));
  }
  ExpectGoodDecode();
}

INSTANTIATE_TEST_SUITE_P(Part, EveryCallTest, ::testing::Range(int64_t{0}, int64_t{4}));

TEST_F(BreachedTest, DiesOfCallsThatItMayMakeWithOtherArguments) {
  struct Attempt {
    const char* name;
    int64_t number;
    std::vector<uint64_t> arguments;
  };
  constexpr uint64_t kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS, kNone = ~uint64_t{0};
  constexpr uint64_t kGuestPage = PAYLOAD_ORDER;
  std::vector<Attempt> attempts = {
      {"map executable memory", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, kAnonymous, kNone, 0}},
      {"map memory to write and execute", SYS_mmap, {0, 4096, 7, kAnonymous, kNone, 0}},
      {"map shared memory", SYS_mmap, {0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, kNone, 0}},
      {"map its input", SYS_mmap, {0, 4096, 1, MAP_PRIVATE, 0, 0}},
      {"move memory to a chosen place",
       SYS_mremap,
       {kGuestPage, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20000}},
      {"make guest memory executable", SYS_mprotect, {kGuestPage, 4096, PROT_READ | PROT_EXEC}},
      {"make guest memory all", SYS_mprotect, {kGuestPage, 4096, 7}},
      {"make memory above executable", SYS_mprotect, {1ull << 46, 4096, PROT_EXEC}},
      {"look at pages above 4 GiB", SYS_mincore, {1ull << 32, 4096, kText}},
      {"keep pages from its dumps", SYS_madvise, {kGuestPage, 4096, MADV_DONTDUMP}},
      {"free pages", SYS_madvise, {kGuestPage, 4096, MADV_FREE}},
      {"wait for a futex", SYS_futex, {kText, FUTEX_WAIT, 0, 0}},
      {"wake by another's futex", SYS_futex, {kText, FUTEX_WAKE, 1}},
      {"read the clock", SYS_clock_gettime, {CLOCK_REALTIME, kText}},
      {"read a clock of another process", SYS_clock_gettime, {~uint64_t{1} << 3 | 2, kText}},
      {"make a timer of real time", SYS_timer_create, {CLOCK_MONOTONIC, 0, kText}},
      {"set a timer to a time", SYS_timer_settime, {0, TIMER_ABSTIME, kText, 0}},
      {"set FS", SYS_arch_prctl, {0x1002, 0}},
      {"ask for FS", SYS_arch_prctl, {0x1003, kText}},
      {"read with a descriptor of 2^32", SYS_read, {1ull << 32, kText, 1}},
      {"write to its input", SYS_write, {0, kText, 1}},
  };
  for (uint64_t fd : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 63, 255, 1023}) {
    attempts.push_back({"read another descriptor", SYS_read, {fd, kText, 1}});
    if (fd > 2) attempts.push_back({"write to another descriptor", SYS_write, {fd, kText, 1}});
  }
  for (const Attempt& attempt : attempts) {
    PayloadOrder order = {.act = PAYLOAD_CALL, .number = attempt.number, .arguments = {}};
    std::copy(attempt.arguments.begin(), attempt.arguments.end(), order.arguments);
    ExpectKilled(Obey(order), SIGSYS, attempt.name);
  }
  ExpectGoodDecode();
}

TEST_F(BreachedTest, ReachesNoFileNetworkOrProcess) {
  const Canaries canaries(Canaries::Descriptors::kMayChange);
  const uint64_t server = static_cast<uint64_t>(getpid());
  const std::string file = ::testing::TempDir() + "/canaries/file";
  const auto killed = [&](const char* name, int64_t number, std::initializer_list<uint64_t> with,
                          const std::string& text = "") {
    ExpectKilled(Call(number, with, text.c_str()), SIGSYS, name);
  };
  constexpr uint64_t kHere = static_cast<uint64_t>(AT_FDCWD);
  killed("open a file", SYS_open, {kText, O_RDWR}, file);
  killed("make a file", SYS_openat, {kHere, kText, O_WRONLY | O_CREAT, 0600}, file + "2");
  killed("cut a file", SYS_truncate, {kText, 0}, file);
  killed("remove a file", SYS_unlink, {kText}, file);
  killed("read /proc", SYS_openat, {kHere, kText, O_RDONLY}, "/proc/self/environ");
  killed("list a folder", SYS_getdents64, {0, kText, 100});
  killed("ask for a path", SYS_readlink, {kText, kText + 64, 64}, "/proc/self/exe");
  killed("execute", SYS_execve, {kText, 0, 0}, "/bin/true");
  killed("make a socket", SYS_socket, {AF_INET, SOCK_STREAM, 0});
  killed("make a local socket", SYS_socket, {AF_UNIX, SOCK_STREAM, 0});
  killed("connect", SYS_connect, {0, kText, 16});
  killed("send descriptors", SYS_sendmsg, {1, kText, 0});
  killed("receive descriptors", SYS_recvmsg, {0, kText, 0});
  killed("fork", SYS_clone, {SIGCHLD, 0, 0, 0, 0});
  killed("fork as its zygote does", SYS_clone, {CLONE_PIDFD | SIGCHLD, 0, kText, 0, 0});
  killed("make a thread", SYS_clone, {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0});
  for (uint64_t process : {server, uint64_t{1}, uint64_t{0}, ~uint64_t{0}}) {
    killed("kill", SYS_kill, {process, SIGKILL});
    killed("trace", SYS_ptrace, {16 /* PTRACE_ATTACH */, process, 0, 0});
    killed("read another's memory", SYS_process_vm_readv, {process, kText, 1, kText, 1, 0});
    killed("open another", SYS_pidfd_open, {process, 0});
  }
  killed("take a descriptor", SYS_pidfd_getfd, {0, 0, 0});
  killed("outlive its zygote", SYS_prctl, {PR_SET_PDEATHSIG, 0});
  killed("be dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1});
  killed("raise its limits", SYS_prlimit64, {0, 7, kText, 0});
  killed("be nice to itself", SYS_setpriority, {0, 0, ~uint64_t{19}});
  killed("loosen its filter", SYS_seccomp, {1, 0, kText});
  killed("handle SIGSYS", SYS_rt_sigaction, {SIGSYS, kText, 0, 8});
  killed("block SIGKILL", SYS_rt_sigprocmask, {0, kText, 0, 8});
  killed("control its output", SYS_ioctl, {1, 0x541b, kText});
  killed("make its input not block", SYS_fcntl, {0, F_SETFL, O_NONBLOCK});
  killed("become root", SYS_setuid, {0});
  killed("enter namespaces", SYS_unshare, {CLONE_NEWUSER});
  ExpectGoodDecode();
  EXPECT_EQ(canaries.DamageOfFiles(), "");
  EXPECT_EQ(canaries.Damage(), "");
}

TEST_F(BreachedTest, CannotWriteToCodeNorRunData) {
  ExpectKilled(Obey({.act = PAYLOAD_WRITE_CODE}), SIGSEGV, "a write to code");
  ExpectKilled(Obey({.act = PAYLOAD_RUN_DATA}), SIGSEGV, "a run of data");
  // Where the frame is nonsense the kernel makes a fault of it, like one of the guest's.
  EXPECT_EQ(Call(SYS_rt_sigreturn, {}).told, std::nullopt);
  ExpectGoodDecode();
}

TEST_F(BreachedTest, FindsNoSecretInItsMemory) {
  ASSERT_EQ(setenv("SECRET_OF_THE_SERVER", "tell nobody", 1), 0);
  service_ = NewService("tests/hostile/vxworker_breached");
  StringSink stack, heap;
  EXPECT_FALSE(Decode({.act = PAYLOAD_STACK}, stack).ok());
  // Up to its top, where the kernel put the program's name and arguments.
  EXPECT_GT(stack.bytes.size(), 0x1000u);
  EXPECT_THAT(stack.bytes, HasSubstr("vxworker_breached"));
  EXPECT_FALSE(Decode({.act = PAYLOAD_HEAP}, heap).ok());
  EXPECT_GT(heap.bytes.size(), 0x1000u);
  for (const std::string& bytes : {stack.bytes, heap.bytes}) {
    for (const char* secret : {"SECRET_OF_THE_SERVER", "tell nobody", "PATH=", "HOME="}) {
      EXPECT_EQ(bytes.find(secret), std::string::npos) << secret;
    }
  }
}

TEST_F(BreachedTest, GetsNoMoreMemoryThanItsLimit) {
  const End end = Obey({.act = PAYLOAD_GRAB}, {.limits = {.memory = uint64_t{64} << 20}});
  ASSERT_TRUE(end.told.has_value()) << end.status;
  EXPECT_GT(*end.told, 0);
  EXPECT_LE(*end.told, 512 + 66);  // its own and the guest's, MiB
  ExpectGoodDecode();
}

// Once the worker has told something, another decodes; then the sink has enough.
class Meanwhile final : public ByteSink {
 public:
  explicit Meanwhile(std::function<void()> then) : then_(std::move(then)) {}
  absl::Status Append(std::string_view more) override {
    bytes += more;
    if (bytes.size() < sizeof(int64_t)) return absl::OkStatus();
    then_();
    return absl::AbortedError("enough");
  }
  std::string bytes;

 private:
  const std::function<void()> then_;
};

TEST_F(BreachedTest, SpoilsItsOwnCodeOnly) {
  ExpectGoodDecode();
  Meanwhile sink([this] { ExpectGoodDecode(); });
  EXPECT_EQ(Decode({.act = PAYLOAD_TAMPER}, sink).status(), absl::AbortedError("enough"));
  // It did: what it reads back is INT3.
  EXPECT_EQ(sink.bytes, std::string("\xcc\0\0\0\0\0\0\0", 8));
  ExpectGoodDecode();
}

TEST_F(BreachedTest, LeavesOthersRunningWhileItBabbles) {
  PayloadOrder order = {.act = PAYLOAD_BABBLE, .text = "garbage"};
  Meanwhile sink([this] { ExpectGoodDecode(); });
  EXPECT_EQ(Decode(order, sink).status(), absl::AbortedError("enough"));
  // And no further than the limit.
  StringSink limited;
  const auto result = Decode(order, limited, {.limits = {.output = 100'000}});
  EXPECT_LE(limited.bytes.size(), 100'000u);
  EXPECT_FALSE(result.ok() && result->outcome.end == Outcome::End::kExited);
  ExpectGoodDecode();
}

TEST_F(BreachedTest, EndsWithItsDeadlineOrCaller) {
  EXPECT_EQ(
      Obey({.act = PAYLOAD_SPIN}, {.deadline = absl::Now() + absl::Milliseconds(50)}).status.code(),
      absl::StatusCode::kDeadlineExceeded);
  int asked = 0;
  EXPECT_EQ(
      Obey({.act = PAYLOAD_SPIN}, {.cancelled = [&asked] { return ++asked == 2; }}).status.code(),
      absl::StatusCode::kCancelled);
  ExpectGoodDecode();
}

// What it can: say that it did well. It has no more to say than a decoder has, and whoever asked
// compares digests.
TEST_F(BreachedTest, LiesAsADecoderCanAndNoBetter) {
  const auto report = [this](const std::string& bytes) {
    PayloadOrder order = {.act = PAYLOAD_REPORT, .arguments = {bytes.size()}};
    EXPECT_LE(bytes.size(), sizeof order.text);
    memcpy(order.text, bytes.data(), std::min(bytes.size(), sizeof order.text));
    StringSink sink;
    return Decode(order, sink);
  };
  // A report of success is believed as far as it goes: there is no output, whatever it says.
  const std::string success = EncodeReport({.description = "exit status 0"});
  const auto claim = report(EncodeSize(static_cast<uint32_t>(success.size())) + success);
  EXPECT_TRUE(claim.ok()) << claim.status();
  // One of failure is an error, and shows nothing that a terminal would heed.
  const std::string failure = EncodeReport({.status = absl::UnavailableError("\x1b[31m a lie")});
  const auto lie = report(EncodeSize(static_cast<uint32_t>(failure.size())) + failure);
  EXPECT_FALSE(lie.ok());
  EXPECT_EQ(std::string(lie.status().message()).find('\x1b'), std::string::npos) << lie.status();
  for (const std::string& bytes :
       {std::string(), std::string(4, '\0'), std::string(4, '\xff'), std::string(200, 'x'),
        EncodeSize(1) + "x", EncodeSize(100) + "x",
        EncodeSize(static_cast<uint32_t>(failure.size())) + failure + "more"}) {
    EXPECT_EQ(report(bytes).status().code(), absl::StatusCode::kInternal);
  }
  ExpectGoodDecode();
}

}  // namespace
}  // namespace vx::hostile

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "--no-layers") vx::hostile::try_layers = false;
  return RUN_ALL_TESTS();
}
