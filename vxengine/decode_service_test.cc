#include "vxengine/decode_service.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to say so itself.
extern "C" {
#include <sys/pidfd.h>
}

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"

namespace vx {
namespace {

using ::testing::AllOf;
using testing::Bytes;
using testing::CodeElf;
using testing::Copy;
using ::testing::EndsWith;
using testing::Exit;
using testing::Forever;
using ::testing::HasSubstr;
using testing::Imm32;
using testing::kCodeAddress;
using testing::kDataAddress;
using testing::kDataSize;
using testing::Mov;
using ::testing::StartsWith;
using testing::Syscall;
using testing::Write;

class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string bytes, size_t piece = 1000)
      : bytes_(std::move(bytes)), piece_(piece) {}
  absl::StatusOr<std::string_view> Next() override {
    const std::string_view next = std::string_view(bytes_).substr(at_, piece_);
    at_ += next.size();
    return next;
  }

 private:
  const std::string bytes_;
  const size_t piece_;
  size_t at_ = 0;
};

// `size` zero bytes.
class ZeroSource final : public ByteSource {
 public:
  explicit ZeroSource(uint64_t size = UINT64_MAX) : left_(size) {}
  absl::StatusOr<std::string_view> Next() override {
    const uint64_t size = std::min<uint64_t>(left_, bytes_.size());
    left_ -= size;
    return std::string_view(bytes_).substr(0, size);
  }

 private:
  const std::string bytes_ = std::string(1 << 20, '\0');
  uint64_t left_;
};

class StringSink final : public ByteSink {
 public:
  absl::Status Append(std::string_view more) override {
    EXPECT_FALSE(more.empty());
    bytes += more;
    return absl::OkStatus();
  }
  std::string bytes;
};

class CountingSink final : public ByteSink {
 public:
  absl::Status Append(std::string_view more) override {
    count += more.size();
    return absl::OkStatus();
  }
  uint64_t count = 0;
};

class FailingSource final : public ByteSource {
 public:
  absl::StatusOr<std::string_view> Next() override { return absl::DataLossError("bad sector"); }
};

class FailingSink final : public ByteSink {
 public:
  absl::Status Append(std::string_view) override { return absl::AbortedError("client left"); }
};

bool try_layers = true;  // --no-layers: as on a system without

std::unique_ptr<WorkerDecodeService> NewService() {
  const absl::StatusOr<std::string> worker = FindWorker();
  EXPECT_TRUE(worker.ok()) << worker.status();
  auto service = NewWorkerDecodeService(*worker, {.try_layers = try_layers});
  EXPECT_TRUE(service.ok()) << service.status();
  return *std::move(service);
}

absl::StatusOr<DecodeResult> Decode(DecodeRequest request, ByteSource& source, ByteSink& sink) {
  return NewService()->Decode(request, source, sink);
}

// Decodes nothing into nothing, where how it ends is what matters.
absl::StatusOr<DecodeResult> DecodeCode(const std::string& code, DecodeRequest request = {}) {
  const std::string elf = CodeElf(code);
  request.decoder = elf;
  StringSource source("");
  CountingSink sink;
  return Decode(request, source, sink);
}

// The children of all threads of a process; none if it has ended.
std::vector<pid_t> ChildrenOf(pid_t parent) try {
  std::vector<pid_t> children;
  const std::string tasks = "/proc/" + std::to_string(parent) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream file(task.path() / "children");
    std::copy(std::istream_iterator<pid_t>(file), {}, std::back_inserter(children));
  }
  return children;
} catch (const std::filesystem::filesystem_error&) {
  return {};
}

std::string NameOf(pid_t process) {
  std::string name;
  std::ifstream file("/proc/" + std::to_string(process) + "/comm");
  std::getline(file, name);
  return name;
}

// A process's descendants of that name.
std::vector<pid_t> Descendants(pid_t process, std::string_view name) {
  std::vector<pid_t> found;
  for (pid_t child : ChildrenOf(process)) {
    if (NameOf(child) == name) found.push_back(child);
    const std::vector<pid_t> more = Descendants(child, name);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

std::vector<pid_t> ZygotesOf(pid_t server) { return Descendants(server, "vxzygote"); }

std::vector<pid_t> WorkersOf(pid_t server) {
  std::vector<pid_t> workers;
  for (pid_t zygote : ZygotesOf(server)) {
    const std::vector<pid_t> more = Descendants(zygote, "vxworker");
    workers.insert(workers.end(), more.begin(), more.end());
  }
  return workers;
}

// Spare workers that wait for the first request.
std::vector<pid_t> SparesOf(pid_t server) { return Descendants(server, "vxspare"); }

// True if the condition, which another thread or process sees to, becomes true.
bool Settles(const std::function<bool()>& condition) {
  for (int n = 0; n < 2000 && !condition(); ++n) absl::SleepFor(absl::Milliseconds(5));
  return condition();
}

size_t OpenDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

// Workers that run a script, to stand for ones that a guest has taken over.
class ImpostorTest : public ::testing::Test {
 protected:
  absl::StatusOr<DecodeResult> DecodeWith(const std::string& script, DecodeRequest request = {}) {
    const std::string path = ::testing::TempDir() + "/impostor";
    std::filesystem::remove(path);  // which the last one's spare may still be about to leave
    std::filesystem::copy_file(
        std::filesystem::path(*FindWorker()).parent_path() / "testing/impostor_zygote", path);
    std::ofstream(path + ".sh") << script << "\n";
    const std::string elf = CodeElf(Exit(0));
    request.decoder = elf;
    StringSource source("input");
    auto service = NewWorkerDecodeService(path);
    EXPECT_TRUE(service.ok()) << service.status();
    return (*service)->Decode(request, source, sink_);
  }

  StringSink sink_;
};

TEST(Decode, RunsInputThroughTheDecoder) {
  const std::string elf = CodeElf(Copy());
  std::string input;
  for (int i = 0; i < 100'000; ++i) input += std::to_string(i);
  StringSource source(input);
  StringSink sink;
  const auto result = Decode({.decoder = elf}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(sink.bytes, input);
  EXPECT_EQ(result->outcome.end, Outcome::End::kExited);
  EXPECT_EQ(result->outcome.exit_status, 0u);
  EXPECT_EQ(result->outcome.counters.bytes_in, input.size());
  EXPECT_EQ(result->outcome.counters.bytes_out, input.size());
  EXPECT_EQ(result->description, "exit status 0");
  EXPECT_EQ(result->diagnostics, "");
  EXPECT_GT(result->wall_time, absl::ZeroDuration());
}

TEST(Decode, PassesArgumentsAndReturnsDiagnostics) {
  // Writes 7 bytes of argv[1] and on to descriptor 2.
  const std::string elf = CodeElf(Bytes({0x8b, 0x4c, 0x24, 0x08}) + Mov(kEax, VX_CALL_WRITE) +
                                  Mov(kEdx, 2) + Mov(kEbx, 7) + Syscall() + Exit(9));
  StringSource source("");
  StringSink sink;
  const auto result = Decode({.decoder = elf, .arguments = {"", "raw", "x"}}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->diagnostics, std::string("\0raw\0x\0", 7));
  EXPECT_EQ(result->outcome.exit_status, 9u);
}

TEST(Decode, ReturnsTheSameOutcomeAsASandbox) {
  const std::string elf =
      CodeElf(Mov(kEsi, 77) + Bytes({0xa1}) + Imm32(4), "", {{"decode", kCodeAddress, 0x20}});
  StringSource source("");
  StringSink sink;
  const auto result = Decode({.decoder = elf}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->description,
            "trap: page fault reading 0x00000004 at eip 0x08048005 (decode+0x5)");
  EXPECT_EQ(result->outcome.registers.gpr[kEsi], 77u);
  EXPECT_EQ(result->outcome.trap.address, 4u);
}

TEST(Decode, KeepsToTheProfile) {
  const auto result = DecodeCode(Bytes({0x0f, 0x57, 0xc0}), {.profile = Profile::kVx2026Int});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->description, "trap: invalid opcode at eip 0x08048000");
}

TEST(Decode, KeepsToTheLimits) {
  auto result = DecodeCode(Forever(""), {.limits = {.instructions = 1000}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome.limit, Limit::kInstructions);
  EXPECT_EQ(result->outcome.counters.instructions, 1000u);

  result = DecodeCode(Forever(""), {.limits = {.cpu_time = std::chrono::milliseconds(10)}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome.limit, Limit::kCpuTime);

  const std::string elf = CodeElf(Forever(Write(1, kDataAddress, 999)));
  StringSource source("");
  StringSink sink;
  result = Decode({.decoder = elf, .limits = {.output = 1'000'000}}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome.end, Outcome::End::kLimited);
  EXPECT_EQ(result->outcome.limit, Limit::kOutput);
  EXPECT_EQ(sink.bytes.size(), 999'999u);
}

TEST(Decode, GivesTheGuestAllOfItsMemory) {
  // Grows the heap to the ceiling and writes to each page of it.
  const uint32_t heap = kDataAddress + kDataSize;
  const uint32_t size = 200 << 20;
  const std::string touch = Bytes({0x88, 0x06}) +                       // mov [esi], al
                            Bytes({0x81, 0xc6}) + Imm32(0x1000) +       // add esi, 0x1000
                            Bytes({0x81, 0xfe}) + Imm32(heap + size) +  // cmp esi, end
                            Bytes({0x72, static_cast<uint8_t>(-16)});   // jb
  const auto result =
      DecodeCode(testing::Call(VX_CALL_BRK, heap + size) + Mov(kEsi, heap) + touch + Exit(5),
                 {.limits = {.memory = size + VX_STACK_SIZE + 0x1000 + kDataSize}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->description, "exit status 5");
}

TEST(Decode, RefusesWhatCannotBeRun) {
  StringSource source("");
  StringSink sink;
  auto status = Decode({.decoder = "no ELF"}, source, sink).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("not a VX guest: the file has 6 bytes"));
  EXPECT_EQ(Decode({.decoder = ""}, source, sink).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeCode(Exit(0), {.arguments = {std::string("a\0b", 3)}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeCode(Exit(0), {.arguments = {std::string(0x10000, 'a')}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeCode(Exit(0), {.limits = {.memory = 4096}}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Decode, RefusesCodeThatTheHostHasNoMemoryFor) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;  // the jail doesn't bound their memory
#endif
  const std::string elf =
      testing::BuildElf({.entry = kCodeAddress,
                         .segments = {{.vaddr = kCodeAddress,
                                       .bytes = Exit(0),
                                       .memsz = 0x60000000,
                                       .flags = testing::kElfR | testing::kElfX}}});
  StringSource source("");
  StringSink sink;
  EXPECT_EQ(Decode({.decoder = elf, .limits = {.memory = uint64_t{1} << 32}}, source, sink)
                .status()
                .code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Decode, ADecoderNeedNotReadItsInput) {
  const std::string elf = CodeElf(Exit(3));
  ZeroSource endless;
  StringSink sink;
  const auto result = Decode({.decoder = elf}, endless, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome.exit_status, 3u);
}

TEST(Decode, ADecoderMayWriteMuchBeforeItReads) {
  // 4 MiB out, then input to output.
  const std::string write = Write(1, kDataAddress, kDataSize);
  std::string code;
  for (int i = 0; i < 64; ++i) code += write;
  const std::string elf = CodeElf(code + Copy());
  ZeroSource source(4 << 20);
  CountingSink sink;
  const auto result = Decode({.decoder = elf}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(sink.count, 8u << 20);
}

TEST(Decode, StreamsWithoutGrowing) {
  const auto peak_kib = [] {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const std::string elf = CodeElf(Copy());
  constexpr uint64_t kSize = uint64_t{512} << 20;
  ZeroSource source(kSize);
  CountingSink sink;
  const long before = peak_kib();
  const auto result = Decode({.decoder = elf}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(sink.count, kSize);
  EXPECT_LT(peak_kib() - before, 16 * 1024);
}

TEST(Decode, EndsWithTheErrorOfSourceOrSink) {
  const std::string elf = CodeElf(Copy());
  FailingSource bad_source;
  StringSource source("bytes");
  FailingSink bad_sink;
  StringSink sink;
  EXPECT_EQ(Decode({.decoder = elf}, bad_source, sink).status(), absl::DataLossError("bad sector"));
  EXPECT_EQ(Decode({.decoder = elf}, source, bad_sink).status(), absl::AbortedError("client left"));
}

TEST(Decode, EndsWhenCancelled) {
  for (const std::string& code : {Forever(""), Forever(Write(1, kDataAddress, kDataSize))}) {
    int asked = 0;
    const auto result = DecodeCode(code, {.cancelled = [&asked] { return ++asked == 3; }});
    EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(asked, 3);
  }
}

// The state of a process, as proc(5) has it.
char StateOf(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end == std::string::npos ? '?' : line.at(name_end + 2);
}

TEST(Decode, StandsStillWhileItHasTo) {
  int pauses = 0;
  const auto pause = [&pauses] {
    const std::vector<pid_t> workers = WorkersOf(getpid());
    EXPECT_EQ(workers.size(), 1u);
    // On another CPU it takes a moment.
    while (!workers.empty() && StateOf(workers[0]) != 'T') absl::SleepFor(absl::Milliseconds(1));
    return ++pauses < 3 ? absl::OkStatus() : absl::AbortedError("long enough");
  };
  const auto result =
      DecodeCode(Forever(""), {.has_to_pause = [] { return true; }, .pause = pause});
  EXPECT_EQ(result.status(), absl::AbortedError("long enough"));
}

TEST(Decode, EndsWhenItStalls) {
  const auto result = DecodeCode(Forever(""), {.stall_limit = absl::Milliseconds(50)});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(result.status().message(), HasSubstr("the decoder stalled: for 50ms"));
}

TEST(Decode, EndsAtTheDeadline) {
  const auto soon = [] { return absl::Now() + absl::Milliseconds(50); };
  for (const std::string& code : {Forever(""), Forever(Write(1, kDataAddress, kDataSize))}) {
    EXPECT_EQ(DecodeCode(code, {.deadline = soon()}).status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(DecodeCode(Exit(0), {.deadline = absl::InfinitePast()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(Decode, NamesTheSignalThatAWorkerDiedOf) {
  for (const auto& [signal, name] :
       {std::pair(SIGKILL, "signal 9 (Killed)"), std::pair(SIGABRT, "signal 6 (Aborted)")}) {
    const auto result = DecodeCode(Forever(""), {.cancelled = [signal = signal] {
                                     for (pid_t worker : WorkersOf(getpid())) kill(worker, signal);
                                     return false;
                                   }});
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
    EXPECT_THAT(result.status().message(), HasSubstr(name));
  }
}

TEST(Decode, SurvivesAWorkerThatDiesBetweenPollAndWrite) {
  class KillingSource final : public ByteSource {
   public:
    absl::StatusOr<std::string_view> Next() override {
      for (pid_t worker : WorkersOf(getpid())) {
        const int pidfd = pidfd_open(worker, 0);
        kill(worker, SIGKILL);
        pollfd end = {.fd = pidfd, .events = POLLIN, .revents = 0};
        EXPECT_EQ(poll(&end, 1, -1), 1);
        close(pidfd);
      }
      return "bytes";
    }
  };
  const std::string elf = CodeElf(Copy());
  KillingSource source;
  StringSink sink;
  // The write raises SIGPIPE, which would end this process.
  EXPECT_EQ(Decode({.decoder = elf}, source, sink).status().code(), absl::StatusCode::kInternal);
  sigset_t pending;
  sigpending(&pending);
  EXPECT_FALSE(sigismember(&pending, SIGPIPE));
}

TEST(Decode, RunsManyAtATime) {
  const auto service = NewService();
  const std::string elf = CodeElf(Copy(777));
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&service, &elf, i] {
      for (int round = 0; round < 5; ++round) {
        const std::string input(100'000 + i, static_cast<char>('a' + i));
        StringSource source(input);
        StringSink sink;
        const auto result = service->Decode({.decoder = elf}, source, sink);
        EXPECT_TRUE(result.ok()) << result.status();
        EXPECT_EQ(sink.bytes, input);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Decode, OutlivesTheThreadThatAskedForIt) {
  // Workers die with the thread that started them: that must not be the one of another, shorter
  // decode.
  const auto service = NewService();
  const std::string looping = CodeElf(Forever("")), exiting = CodeElf(Exit(0));
  std::thread first([&] {
    StringSource source("");
    StringSink sink;
    EXPECT_TRUE(service->Decode({.decoder = exiting}, source, sink).ok());
  });
  first.join();
  StringSource source("");
  StringSink sink;
  const auto result =
      service->Decode({.decoder = looping, .limits = {.instructions = 10'000'000}}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome.end, Outcome::End::kLimited);
}

TEST(Decode, LeaksNeitherDescriptorsNorProcesses) {
  const auto service = NewService();
  const std::string copy = CodeElf(Copy()), loop = CodeElf(Forever(""));
  const auto decode = [&](int i) {
    StringSource source("bytes");
    StringSink sink;
    FailingSink bad_sink;
    switch (i % 4) {
      case 0:
        EXPECT_TRUE(service->Decode({.decoder = copy}, source, sink).ok());
        break;
      case 1:
        EXPECT_FALSE(service->Decode({.decoder = copy}, source, bad_sink).ok());
        break;
      case 2:
        EXPECT_FALSE(
            service->Decode({.decoder = loop, .cancelled = [] { return true; }}, source, sink)
                .ok());
        break;
      case 3:
        EXPECT_FALSE(service->Decode({.decoder = "junk"}, source, sink).ok());
        break;
    }
  };
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 100; ++i) decode(i);
  // For each decoder there stay a zygote and what a spare's pipes were.
  EXPECT_TRUE(Settles([&] { return OpenDescriptors() == before + 3 * (2 + 4); }))
      << before << ", " << OpenDescriptors();
  EXPECT_EQ(ChildrenOf(getpid()).size(), 3u);
}

TEST(Decode, LeavesNoProcessBehind) {
  const std::string copy = CodeElf(Copy());
  StringSource source("bytes");
  StringSink sink;
  const size_t before = OpenDescriptors();
  EXPECT_TRUE(Decode({.decoder = copy}, source, sink).ok());
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD) << "a child was left";
}

// A decode of some bytes in a session, by a decoder that copies them.
void DecodeIn(DecodeService& service, DecodeSession* session, const std::string& elf,
              uint64_t memory = uint64_t{1} << 30) {
  const std::string input(100'000, 'x');
  StringSource source(input);
  StringSink sink;
  const auto result = service.Decode(
      {.decoder = elf, .limits = {.memory = memory}, .session = session}, source, sink);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->description, "exit status 0");
  EXPECT_EQ(sink.bytes, input);
}

TEST(Session, KeepsAWorker) {
  const auto service = NewService();
  const auto session = service->NewSession();
  const std::string elf = CodeElf(Copy());
  DecodeIn(*service, session.get(), elf);
  const std::vector<pid_t> first = WorkersOf(getpid());
  ASSERT_EQ(first.size(), 1u);
  for (int i = 0; i < 5; ++i) DecodeIn(*service, session.get(), elf);
  EXPECT_EQ(WorkersOf(getpid()), first);
  // Which has no room for more than the first had.
  DecodeIn(*service, session.get(), elf, uint64_t{2} << 30);
  EXPECT_EQ(WorkersOf(getpid()).size(), 2u);
}

TEST(Session, ShowsAGuestNothingOfTheOneBefore) {
  const auto service = NewService();
  const auto session = service->NewSession();
  // Exits with what is in its data, its heap and a register, and leaves something there.
  const uint32_t heap = kDataAddress + kDataSize;
  const std::string code =
      testing::Call(VX_CALL_BRK, heap + 0x1000) + Bytes({0xa1}) +
      Imm32(kDataAddress) +                          // mov eax, [data]
      Bytes({0x0b, 0x05}) + Imm32(heap) +            // or eax, [heap]
      Bytes({0x09, 0xe8}) +                          // or eax, ebp
      Bytes({0x66, 0x0f, 0x7e, 0xc2, 0x09, 0xd0}) +  // movd edx, xmm0; or eax, edx
      Mov(kEbp, 0x1000) + Bytes({0x89, 0x2d}) + Imm32(kDataAddress) + Bytes({0x89, 0x2d}) +
      Imm32(heap) + Bytes({0x66, 0x0f, 0x6e, 0xc5}) + testing::ExitWithResult();
  const std::string elf = CodeElf(code);
  for (int i = 0; i < 3; ++i) {
    StringSource source("");
    StringSink sink;
    const auto result = service->Decode({.decoder = elf, .session = session.get()}, source, sink);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->description, "exit status 0");
  }
  EXPECT_EQ(WorkersOf(getpid()).size(), 1u);
}

TEST(Session, GoesOnAfterDecodesThatFail) {
  const auto service = NewService();
  const auto session = service->NewSession();
  const std::string copy = CodeElf(Copy()), trap = CodeElf(Bytes({0x0f, 0x0b}));
  for (int i = 0; i < 3; ++i) {
    // It reads nothing of its input.
    ZeroSource source(10'000'000);
    StringSink sink;
    const auto result = service->Decode({.decoder = trap, .session = session.get()}, source, sink);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->outcome.end, Outcome::End::kTrapped);
    StringSource bytes("bytes");
    FailingSink bad_sink;
    EXPECT_FALSE(
        service->Decode({.decoder = copy, .session = session.get()}, bytes, bad_sink).ok());
    DecodeIn(*service, session.get(), copy);
  }
}

TEST(Session, LeavesNoWorkerBehind) {
  const auto service = NewService();
  const std::string elf = CodeElf(Copy());
  const size_t before = OpenDescriptors();
  {
    const auto session = service->NewSession();
    DecodeIn(*service, session.get(), elf);
  }
  EXPECT_EQ(WorkersOf(getpid()).size(), 0u);
  EXPECT_TRUE(Settles([&] { return OpenDescriptors() == before + 2 + 4; }))
      << before << ", " << OpenDescriptors();
}

// The spare that there is once one of its zygote's workers has been needed.
pid_t WaitForSpare() {
  EXPECT_TRUE(Settles([] { return SparesOf(getpid()).size() == 1; }));
  return SparesOf(getpid()).front();
}

TEST(Spare, IsTheNextWorkerAndIsReplaced) {
  const auto service = NewService();
  const std::string elf = CodeElf(Copy());
  DecodeIn(*service, nullptr, elf);
  const pid_t spare = WaitForSpare();
  const auto session = service->NewSession();
  DecodeIn(*service, session.get(), elf);
  EXPECT_EQ(WorkersOf(getpid()), std::vector<pid_t>{spare});
  EXPECT_NE(WaitForSpare(), spare);
}

TEST(Spare, MayDie) {
  const auto service = NewService();
  const std::string elf = CodeElf(Copy());
  DecodeIn(*service, nullptr, elf);
  const pid_t spare = WaitForSpare();
  kill(spare, SIGKILL);
  // Gone altogether: its zygote has told.
  EXPECT_TRUE(Settles([spare] { return kill(spare, 0) != 0; }));
  DecodeIn(*service, nullptr, elf);
  EXPECT_NE(WaitForSpare(), spare);
}

TEST(Spare, EndsWithTheService) {
  auto service = NewService();
  DecodeIn(*service, nullptr, CodeElf(Copy()));
  const int pidfd = pidfd_open(WaitForSpare(), 0);
  ASSERT_GE(pidfd, 0);
  service.reset();
  pollfd end = {.fd = pidfd, .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&end, 1, -1), 1);
  close(pidfd);
}

TEST(Layers, AreToldAndMayBeRequired) {
  const auto missing = NewService()->MissingLayers();
  ASSERT_TRUE(missing.ok()) << missing.status();
  const auto strict =
      NewWorkerDecodeService(*FindWorker(), {.try_layers = try_layers, .require_all_layers = true});
  ASSERT_TRUE(strict.ok());
  const std::string elf = CodeElf(Exit(0));
  StringSource source("");
  StringSink sink;
  const absl::Status decoded = (*strict)->Decode({.decoder = elf}, source, sink).status();
  const absl::Status asked = (*strict)->MissingLayers().status();
  if (try_layers && missing->empty()) {
    EXPECT_TRUE(decoded.ok()) << decoded;
    EXPECT_TRUE(asked.ok()) << asked;
    return;
  }
  if (!try_layers) {
    EXPECT_THAT(*missing, StartsWith("user namespace, mount namespace, "));
    EXPECT_THAT(*missing, EndsWith(", Landlock, speculation controls"));
  }
  for (const absl::Status& status : {decoded, asked}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(status.message(), HasSubstr(*missing));
  }
}

// What the kernel says of a process's speculation, by kind.
std::map<std::string, std::string> Speculation(pid_t process) {
  std::map<std::string, std::string> states;
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(":\t");
    if (line.starts_with("Speculation")) states[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return states;
}

TEST(Layers, ControlTheSpeculationOfWorkers) {
  const auto service = NewService();
  const auto session = service->NewSession();
  DecodeIn(*service, session.get(), CodeElf(Copy()));
  const std::vector<pid_t> workers = WorkersOf(getpid());
  ASSERT_EQ(workers.size(), 1u);
  auto expected = Speculation(getpid());
  ASSERT_FALSE(expected.empty());
  for (auto& [kind, state] : expected) {
    if (!try_layers) continue;
    if (state == "thread vulnerable") state = "thread force mitigated";
    if (state == "conditional enabled") state = "conditional force disabled";
  }
  EXPECT_EQ(Speculation(workers[0]), expected);
}

TEST(Zygote, IsReplacedWhenItDies) {
  const auto service = NewService();
  const std::string elf = CodeElf(Copy());
  DecodeIn(*service, nullptr, elf);
  WaitForSpare();  // until it has its name it has the zygote's
  const std::vector<pid_t> zygotes = ZygotesOf(getpid());
  ASSERT_EQ(zygotes.size(), 1u);
  DecodeIn(*service, nullptr, elf);
  WaitForSpare();
  EXPECT_EQ(ZygotesOf(getpid()), zygotes);
  const int pidfd = pidfd_open(zygotes[0], 0);
  kill(zygotes[0], SIGKILL);
  pollfd end = {.fd = pidfd, .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&end, 1, -1), 1);
  close(pidfd);
  DecodeIn(*service, nullptr, elf);
}

// Runs `body` in a process of its own. True if that exits with 0.
bool InProcess(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status == 0;
}

TEST(Decode, WorksInAServerWithoutStandardDescriptors) {
  EXPECT_TRUE(InProcess([] {
    const auto service = NewService();
    for (int fd : {0, 1, 2}) close(fd);
    const std::string elf = CodeElf(Copy());
    StringSource source("bytes");
    StringSink sink;
    return service->Decode({.decoder = elf}, source, sink).ok() && sink.bytes == "bytes";
  }));
}

TEST(Decode, FailsWithoutDescriptorsToSpare) {
  EXPECT_TRUE(InProcess([] {
    close_range(3, ~0u, 0);
    const auto service = NewService();
    const size_t before = OpenDescriptors();
    rlimit old;
    getrlimit(RLIMIT_NOFILE, &old);
    // Three pipes, a socket; and for a zygote another, its image and its pidfd.
    for (rlim_t spare = 0; spare < 12; ++spare) {
      const rlimit few = {.rlim_cur = before - 1 + spare, .rlim_max = old.rlim_max};
      setrlimit(RLIMIT_NOFILE, &few);
      const std::string elf = CodeElf(Exit(0));
      StringSource source("");
      StringSink sink;
      const absl::Status status = service->Decode({.decoder = elf}, source, sink).status();
      setrlimit(RLIMIT_NOFILE, &old);
      if (status.code() != absl::StatusCode::kUnavailable) return false;
    }
    return OpenDescriptors() == before;
  }));
}

TEST(Decode, LeavesNoWorkerBehindWhenTheServerIsKilled) {
  // Signals by a byte to `fd`: that the guest runs, and that it waits for input.
  class SignallingSink final : public ByteSink {
   public:
    explicit SignallingSink(int fd) : fd_(fd) {}
    absl::Status Append(std::string_view) override {
      return write(fd_, "x", 1) == 1 ? absl::OkStatus() : absl::InternalError("no pipe");
    }

   private:
    const int fd_;
  };
  // More than pipes hold: once it is asked again, a guest has read of it.
  class StallingSource final : public ByteSource {
   public:
    explicit StallingSource(int fd) : fd_(fd) {}
    absl::StatusOr<std::string_view> Next() override {
      if (!std::exchange(gave_, true)) return bytes_;
      if (write(fd_, "x", 1) == 1) pause();
      return absl::InternalError("no pipe");
    }

   private:
    const int fd_;
    const std::string bytes_ = std::string(4 << 20, 'x');
    bool gave_ = false;
  };
  for (const bool loops : {true, false}) {
    int fds[2];
    ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
    const pid_t server = fork();
    if (server == 0) {
      SignallingSink signalling_sink(fds[1]);
      CountingSink counting_sink;
      StringSource no_source("");
      StallingSource stalling_source(fds[1]);
      const std::string elf = CodeElf(loops ? Write(1, kDataAddress, 1) + Forever("") : Copy());
      ByteSource& source = loops ? static_cast<ByteSource&>(no_source) : stalling_source;
      ByteSink& sink = loops ? static_cast<ByteSink&>(signalling_sink) : counting_sink;
      NewService()->Decode({.decoder = elf}, source, sink).IgnoreError();
      _exit(1);
    }
    char byte;
    ASSERT_EQ(read(fds[0], &byte, 1), 1);
    const std::vector<pid_t> workers = WorkersOf(server);
    ASSERT_EQ(workers.size(), 1u);
    const int pidfd = pidfd_open(workers[0], 0);
    ASSERT_GE(pidfd, 0);
    kill(server, SIGKILL);
    ASSERT_EQ(waitpid(server, nullptr, 0), server);
    pollfd end = {.fd = pidfd, .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&end, 1, -1), 1);
    for (int fd : {fds[0], fds[1], pidfd}) close(fd);
  }
}

TEST(NewWorkerDecodeService, WantsAnExecutableFile) {
  for (const char* path : {"/nowhere/vxworker", "/etc/passwd", "/", ""}) {
    EXPECT_EQ(NewWorkerDecodeService(path).status().code(), absl::StatusCode::kNotFound) << path;
  }
}

TEST(NewWorkerDecodeService, NoticesThatTheWorkerIsGone) {
  const std::string path = ::testing::TempDir() + "/worker_copy";
  std::filesystem::copy_file(*FindWorker(), path);
  auto service = NewWorkerDecodeService(path);
  ASSERT_TRUE(service.ok()) << service.status();
  std::filesystem::remove(path);
  StringSource source("");
  StringSink sink;
  const absl::Status status = (*service)->Decode({.decoder = ""}, source, sink).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("worker_copy: No such file or directory"));
}

TEST_F(ImpostorTest, GetsThreePipesAndNothingElse) {
  const std::string seen = ::testing::TempDir() + "/seen";
  const int inheritable = open("/dev/null", O_RDONLY);
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
  signal(SIGHUP, SIG_IGN);
  // The last descriptor is that of the folder which ls lists.
  DecodeWith("{ ls /proc/self/fd; pwd; grep -E 'Sig(Blk|Ign)' /proc/self/status; env; } >" + seen)
      .IgnoreError();
  signal(SIGHUP, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
  close(inheritable);
  std::ifstream file(seen);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_THAT(text, StartsWith("0\n1\n2\n3\n/\nSigBlk:\t0000000000000000\nSigIgn:\t"));
  EXPECT_THAT(text, EndsWith("\nPWD=/\n")) << "the shell's own";
  // glibc's own signals (32 and 33) stay ignored.
  const uint64_t ignored = std::stoull(text.substr(text.find("SigIgn:") + 8), nullptr, 16);
  EXPECT_EQ(ignored & 0x7fffffff, 0u);
}

TEST_F(ImpostorTest, IsHeldToTheOutputLimit) {
  const auto result = DecodeWith("exec yes", {.limits = {.output = 100'000}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(result.status().message(), HasSubstr("more than the limit of 100000 bytes"));
  EXPECT_LE(sink_.bytes.size(), 100'000u);
}

TEST_F(ImpostorTest, CannotReportWithoutEnd) {
  EXPECT_EQ(DecodeWith("exec yes >&2").status(),
            absl::InternalError("vxworker's report is too long"));
}

TEST_F(ImpostorTest, CannotReportNonsense) {
  EXPECT_EQ(DecodeWith("printf '\\003\\0\\0\\0abc' >&2").status(),
            absl::InternalError("vxworker's report is damaged"));
  EXPECT_EQ(DecodeWith("printf '\\003\\0\\0\\0abcd' >&2").status(),
            absl::InternalError("vxworker writes behind its report"));
  EXPECT_EQ(DecodeWith("exit 0").status(), absl::InternalError("vxworker's report is damaged"));
  const absl::Status status = DecodeWith("echo some; exit 7").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("ended with exit status 7 after "), HasSubstr(" of CPU time, with "),
                    EndsWith("it had been sent 5 bytes of input and gave 5 of output")));
}

TEST_F(ImpostorTest, CannotOutliveTheDeadline) {
  EXPECT_EQ(DecodeWith("exec sleep 1000", {.deadline = absl::Now() + absl::Milliseconds(100)})
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ImpostorTest, CannotKeepTheCallerByHoldingThePipesAfterItsDeath) {
  // A real worker can't start processes; a bug elsewhere in the server might leak descriptors.
  const auto result = DecodeWith("sleep 100 & echo some; exit 0");
  EXPECT_EQ(result.status(), absl::InternalError("vxworker's report is damaged"));
  EXPECT_EQ(sink_.bytes, "some\n");
}

}  // namespace
}  // namespace vx

int main(int argc, char** argv) {
  ::testing::InitGoogleMock(&argc, argv);
  if (argc > 1 && std::string_view(argv[1]) == "--no-layers") vx::try_layers = false;
  return RUN_ALL_TESTS();
}
