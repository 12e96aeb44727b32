#include "vxengine/vx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <latch>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/testing/string_io.h"

namespace vx {
namespace {

using testing::Bytes;
using testing::Call;
using testing::CodeElf;
using testing::Copy;
using testing::Exit;
using testing::ExitWithResult;
using testing::Forever;
using ::testing::HasSubstr;
using testing::Imm32;
using testing::kCodeAddress;
using testing::kDataAddress;
using testing::kDataSize;
using testing::Mov;
using ::testing::StartsWith;
using testing::StringIo;
using testing::Syscall;
using testing::Write;
using End = Outcome::End;

// Swallows all output, and has no end of input.
class EndlessIo : public Io {
 public:
  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override { return buffer.size(); }
  absl::Status Write(int, std::span<const uint8_t>) override { return absl::OkStatus(); }
};

// What the command line asks for: all that is tested here is true of every engine.
Engine the_engine = kDefaultEngine;
Placement the_placement = Placement::kShared;

Options OnTheEngine(Options options) {
  options.engine = the_engine;
  options.placement = the_placement;
  options.count_instructions = true;
  return options;
}

std::shared_ptr<const Program> Load(const std::string& elf) {
  auto program = Program::Load(elf);
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

Outcome RunElf(const std::string& elf, Io& io, Options options = {}) {
  auto sandbox = Sandbox::Create(Load(elf), OnTheEngine(std::move(options)));
  EXPECT_TRUE(sandbox.ok()) << sandbox.status();
  return (*sandbox)->Run(io);
}

Outcome RunCode(const std::string& code, Options options = {}) {
  StringIo io;
  return RunElf(CodeElf(code), io, std::move(options));
}

void ExpectTrap(const Outcome& outcome, TrapCause cause, uint32_t eip) {
  EXPECT_EQ(outcome.end, End::kTrapped);
  EXPECT_EQ(Name(outcome.trap.cause), Name(cause));
  EXPECT_EQ(outcome.registers.eip, eip);
}

void ExpectPageFault(const Outcome& outcome, Access access, uint32_t address, uint32_t eip) {
  ExpectTrap(outcome, TrapCause::kPageFault, eip);
  EXPECT_EQ(outcome.trap.access, access);
  EXPECT_EQ(outcome.trap.address, address);
}

TEST(Program, SaysWhatIsWrongWithAnImage) {
  std::string elf = CodeElf(Exit(0));
  elf[18] = 62;
  const absl::Status status = Program::Load(elf).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("e_machine is 0x3e"));
}

TEST(Program, OutlivesTheBytesItWasLoadedFrom) {
  auto elf = std::make_unique<std::string>(CodeElf(Copy()));
  const auto program = Load(*elf);
  elf.reset();
  StringIo io("bytes");
  (*Sandbox::Create(program, OnTheEngine({})))->Run(io);
  EXPECT_EQ(io.output, "bytes");
}

uint64_t ResidentMemory() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(Program, TakesNoMemoryForZerosThatAnImageClaims) {
  constexpr uint32_t kClaimed = 1 << 30;
  const std::string elf = testing::BuildElf(
      {.entry = kCodeAddress,
       .segments = {{kCodeAddress, Exit(3), kClaimed, testing::kElfR | testing::kElfX}}});
  const uint64_t before = ResidentMemory();
  const auto program = Program::Load(elf);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_LT(ResidentMemory(), before + kClaimed / 2);
  EXPECT_EQ(Sandbox::Create(*program, {.limits = {.memory = kClaimed}}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Sandbox, ReturnsAllBitsOfTheExitStatus) {
  const Outcome outcome = RunCode(Exit(0x12345678));
  EXPECT_EQ(outcome.end, End::kExited);
  EXPECT_EQ(outcome.exit_status, 0x12345678u);
}

TEST(Program, IsTranslatedAheadAsFarAsCanBeSeen) {
  if (the_engine != Engine::kTranslator) return;  // others translate nothing
  constexpr uint32_t kFirst = kCodeAddress + 27, kSecond = kFirst + 1;
  const std::string code = Mov(kEax, kFirst) + Bytes({0xff, 0xd0}) +             // call eax
                           Bytes({0xff, 0x15}) + Imm32(kDataAddress) +           // call [data]
                           Exit(0) + Bytes({0x0f, 0x0b}) + Bytes({0xc3, 0xc3});  // ud2; ret; ret
  const auto program = Load(CodeElf(code, Imm32(kSecond)));
  const auto sandbox = *Sandbox::Create(program, OnTheEngine({}));
  ASSERT_TRUE(
      program->TranslateAhead({.placement = sandbox->placement(), .count_instructions = true})
          .ok());
  const uint64_t ahead = sandbox->translation_cost().instructions;
  EXPECT_GE(ahead, 8u);
  StringIo io;
  EXPECT_EQ(sandbox->Run(io).end, End::kExited);
  EXPECT_EQ(sandbox->translation_cost().instructions, ahead);
}

TEST(Sandbox, CopiesInputToOutputAndCounts) {
  const std::string input = std::string(100'000, 'x') + "end";
  StringIo io(input);
  const Outcome outcome = RunElf(CodeElf(Copy()), io);
  EXPECT_EQ(outcome.end, End::kExited);
  EXPECT_EQ(io.output, input);
  EXPECT_EQ(outcome.counters.bytes_in, 100'003u);
  EXPECT_EQ(outcome.counters.bytes_out, 100'003u);
  // Two full rounds of 12 instructions, one of 7 that finds the end, and three to exit.
  EXPECT_EQ(outcome.counters.instructions, 2 * 12 + 7 + 3u);
  EXPECT_EQ(outcome.counters.peak_memory, VX_STACK_SIZE + 0x1000 + kDataSize);
}

TEST(Sandbox, PassesArguments) {
  StringIo io;
  // mov ecx, [esp + 8]: argv[1]
  const std::string code = Bytes({0x8b, 0x4c, 0x24, 0x08}) + Mov(kEax, VX_CALL_WRITE) +
                           Mov(kEdx, 1) + Mov(kEbx, 11) + Syscall() + Exit(0);
  RunElf(CodeElf(code), io, {.arguments = {"first", "again"}});
  EXPECT_EQ(io.output, std::string("first\0again", 11));
}

TEST(Sandbox, RefusesArgumentsThatCannotBePassed) {
  const auto refusal = [](std::vector<std::string> arguments) {
    return Sandbox::Create(Load(CodeElf(Exit(0))), OnTheEngine({.arguments = std::move(arguments)}))
        .status();
  };
  EXPECT_EQ(refusal({std::string("a\0", 2)}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal({std::string(VX_ARGUMENTS_MAX, 'a')}).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Sandbox, RefusesLimitsThatTheImageDoesNotFitInto) {
  const auto refusal = [](Limits limits) {
    return Sandbox::Create(Load(CodeElf(Exit(0))), OnTheEngine({.limits = limits})).status();
  };
  EXPECT_EQ(refusal({.memory = VX_STACK_SIZE}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refusal({.stack = 0xffff}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(refusal({.memory = VX_STACK_SIZE + 0x1000 + kDataSize}).ok());
}

TEST(Sandbox, TheMemoryLimitSetsTheHeapsCeiling) {
  const uint64_t fixed = VX_STACK_SIZE + 0x1000 + kDataSize;
  const uint32_t heap = kDataAddress + kDataSize;
  const Options options = {.limits = {.memory = fixed + 0x3000}};
  Outcome outcome = RunCode(Call(VX_CALL_BRK, heap + 0x3000) + ExitWithResult(), options);
  EXPECT_EQ(outcome.exit_status, 0u);
  EXPECT_EQ(outcome.counters.peak_memory, fixed + 0x3000);
  outcome = RunCode(Call(VX_CALL_BRK, heap + 0x3001) + ExitWithResult(), options);
  EXPECT_EQ(outcome.exit_status, -uint32_t{VX_ENOMEM});
  EXPECT_EQ(outcome.counters.peak_memory, fixed);
}

TEST(Sandbox, RunsAlikeEachTime) {
  const auto run = [] {
    const std::string input(1000, 'x');
    StringIo io(input);
    return RunElf(CodeElf(Copy(7) + Bytes({0x0f, 0x0b})), io, {.arguments = {"a"}});
  };
  const Outcome first = run(), second = run();
  EXPECT_EQ(first.end, second.end);
  EXPECT_EQ(first.registers, second.registers);
  EXPECT_EQ(first.counters, second.counters);
  EXPECT_EQ(ToJson(first), ToJson(second));
}

// A guest that writes out all it finds at its start, and leaves something else everywhere.
class ResetTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kReadOnly = 0x08200000, kHeap = kReadOnly + 0x1000;
  static constexpr uint32_t kData = 0x90000, kStack = 0x60000, kHeapSize = 0x100000;

  static std::string Guest() {
    const auto at = [](std::initializer_list<uint8_t> code, uint32_t address) {
      return Bytes(code) + Imm32(address);
    };
    const auto fill = [](uint32_t address, uint32_t size) {
      return Mov(kEdi, address) + Mov(kEcx, size / 4) + Mov(kEax, 0xa5a5a5a5) +
             Bytes({0xfc, 0xf3, 0xab});  // cld; rep stosd
    };
    constexpr uint32_t kSaved = kDataAddress + 0x2000;
    const std::string code =
        Bytes({0x60, 0x9c}) +                  // pushad; pushfd
        at({0x0f, 0xae, 0x1d}, kSaved) +       // stmxcsr [saved]
        at({0xd9, 0x35}, kSaved + 0x10) +      // fnstenv [saved + 16]
        at({0x0f, 0x11, 0x05}, kSaved + 48) +  // movups [saved + 48], xmm0
        at({0x0f, 0x11, 0x3d}, kSaved + 64) +  // movups [saved + 64], xmm7
        Write(1, kHeap, 1) +                   // of which there is none yet
        at({0xa3}, kSaved + 80) +              // mov [saved + 80], eax
        Call(VX_CALL_BRK, kHeap + kHeapSize) + Write(1, kHeap, kHeapSize) +
        Write(1, kDataAddress, kData) + Write(1, kReadOnly, 0x1000) +
        Write(1, kCodeAddress - kStack, kStack) +
        // And now all of it is spoilt.
        fill(kHeap, kHeapSize) + fill(kDataAddress, kData) + fill(kCodeAddress - kStack, kStack) +
        at({0xc7, 0x05}, kDataAddress) + Imm32(0x7fc0) +  // mov dword [data], 0x7fc0
        at({0x0f, 0xae, 0x15}, kDataAddress) +            // ldmxcsr [data]
        at({0xc7, 0x05}, kDataAddress) + Imm32(0x027f) +  // mov dword [data], 0x027f
        at({0xd9, 0x2d}, kDataAddress) +                  // fldcw [data]
        Bytes({0xd9, 0xe8, 0xd9, 0xeb}) +                 // fld1; fldpi
        at({0x0f, 0x10, 0x05}, kDataAddress) +            // movups xmm0, [data]
        at({0x0f, 0x10, 0x3d}, kDataAddress) +            // movups xmm7, [data]
        Call(VX_CALL_BRK, kHeap + 0x1000) + Call(VX_CALL_BRK, kHeap + 0x50000) +
        fill(kHeap, 0x50000) + Mov(kEbp, 0x12345678) + Bytes({0xfd, 0x0f, 0x0b});  // std; ud2
    return testing::BuildElf(
        {.entry = kCodeAddress,
         .segments = {
             {.vaddr = kCodeAddress, .bytes = code, .flags = testing::kElfR | testing::kElfX},
             {.vaddr = kDataAddress,
              .bytes = std::string(0x1800, 'd'),
              .memsz = kData,
              .flags = testing::kElfR | testing::kElfW},
             {.vaddr = kReadOnly, .bytes = "read only"}}});
  }

  // All that can be seen of a run.
  static std::string Seen(Sandbox& sandbox) {
    StringIo io;
    const Outcome outcome = sandbox.Run(io);
    return ToJson(outcome) + io.output;
  }
};

TEST_F(ResetTest, MakesASandboxAsNew) {
  const auto program = Load(Guest());
  const uint64_t fixed = kStack + 0x2000 + kData;
  const Options usual = {.limits = {.stack = kStack}};
  const std::vector<Options> all = {
      usual,
      {.limits = {.stack = kStack}, .arguments = {"one", "another"}},
      {.limits = {.stack = 2 * kStack}},
      {.limits = {.memory = fixed + 0x80000, .stack = kStack}},  // no heap, and so a page fault
      {.limits = {.stack = kStack, .instructions = 100'000}},
      {.limits = {.stack = kStack, .output = kHeapSize}},
  };
  std::vector<std::string> expected;
  for (const Options& options : all) {
    expected.push_back(Seen(**Sandbox::Create(program, OnTheEngine(options))));
  }
  EXPECT_THAT(expected[0], HasSubstr("invalid opcode"));
  const auto sandbox = *Sandbox::Create(program, OnTheEngine(usual));
  EXPECT_TRUE(Seen(*sandbox) == expected[0]);
  for (size_t first = 0; first < all.size(); ++first) {
    for (size_t second = 0; second < all.size(); ++second) {
      for (size_t n : {first, second, second}) {
        ASSERT_TRUE(sandbox->Reset(all[n].limits, all[n].arguments).ok());
        EXPECT_EQ(sandbox->placement(), the_placement);
        EXPECT_TRUE(Seen(*sandbox) == expected[n]) << second << " after " << first;
      }
    }
  }
  // Without a run between, and after what is refused.
  for (int n = 0; n < 2; ++n) {
    ASSERT_TRUE(sandbox->Reset(all[1].limits, all[1].arguments).ok());
    EXPECT_EQ(sandbox->Reset({.memory = fixed - 1, .stack = kStack}, {}).code(),
              absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(sandbox->Reset(usual.limits, {std::string(VX_ARGUMENTS_MAX, 'a')}).code(),
              absl::StatusCode::kInvalidArgument);
    ASSERT_TRUE(sandbox->Reset(usual.limits, {}).ok());
    EXPECT_TRUE(Seen(*sandbox) == expected[0]);
  }
}

TEST_F(ResetTest, TakesTheHeapAway) {
  // cmp dword [esp], 1; jne to the last; brk, exit; mov eax, [heap]
  const uint32_t heap = kDataAddress + kDataSize;
  const std::string grows = Call(VX_CALL_BRK, heap + 0x1000) + Exit(0);
  const std::string code =
      Bytes({0x83, 0x3c, 0x24, 0x01, 0x75, static_cast<uint8_t>(grows.size())}) + grows +
      Bytes({0xa1}) + Imm32(heap);
  const auto sandbox = *Sandbox::Create(Load(CodeElf(code)), OnTheEngine({}));
  StringIo io;
  EXPECT_EQ(sandbox->Run(io).end, End::kExited);
  ASSERT_TRUE(sandbox->Reset({}, {"look"}).ok());
  ExpectPageFault(sandbox->Run(io), Access::kRead, heap, kCodeAddress + 6 + grows.size());
}

TEST_F(ResetTest, UndoesAnInterrupt) {
  const auto sandbox = *Sandbox::Create(Load(CodeElf(Exit(0))), OnTheEngine({}));
  sandbox->Interrupt();
  StringIo io;
  EXPECT_EQ(sandbox->Run(io).end, End::kInterrupted);
  ASSERT_TRUE(sandbox->Reset({}, {}).ok());
  EXPECT_EQ(sandbox->Run(io).end, End::kExited);
}

TEST(Sandbox, OneProgramRunsOnManyThreads) {
  const auto program = Load(CodeElf(Copy(3)));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&program, i] {
      const std::string input(10'000, static_cast<char>('a' + i));
      StringIo io(input);
      (*Sandbox::Create(program, OnTheEngine({})))->Run(io);
      EXPECT_EQ(io.output, input);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(InstructionLimit, IsExact) {
  for (uint64_t limit : {0, 1, 2, 3, 999, 100'000, 100'001, 1'234'567}) {
    const Outcome outcome = RunCode(Forever("\x40"), {.limits = {.instructions = limit}});
    EXPECT_EQ(outcome.end, End::kLimited);
    EXPECT_EQ(outcome.limit, Limit::kInstructions);
    EXPECT_EQ(outcome.counters.instructions, limit);
    EXPECT_EQ(outcome.registers.gpr[kEax], (limit + 1) / 2);
  }
}

TEST(InstructionLimit, DoesNotTouchAGuestThatIsAtItsEnd) {
  EXPECT_EQ(RunCode(Exit(7), {.limits = {.instructions = 3}}).end, End::kExited);
  EXPECT_EQ(RunCode(Exit(7), {.limits = {.instructions = 2}}).end, End::kLimited);
}

TEST(InstructionLimit, ReachesInsideRepInstructions) {
  // rep stosb
  const std::string code = Mov(kEdi, kDataAddress) + Mov(kEcx, kDataSize) + Bytes({0xf3, 0xaa});
  const Outcome outcome = RunCode(code, {.limits = {.instructions = 1000}});
  EXPECT_EQ(outcome.end, End::kLimited);
  EXPECT_EQ(outcome.counters.instructions, 1000u);
  EXPECT_EQ(outcome.registers.gpr[kEdi] - kDataAddress + outcome.registers.gpr[kEcx], kDataSize);
}

TEST(OutputLimit, EndsAGuestThatWritesWithoutEnd) {
  EndlessIo io;
  const Outcome outcome =
      RunElf(CodeElf(Forever(Write(1, kDataAddress, 1000))), io, {.limits = {.output = 1'000'500}});
  EXPECT_EQ(outcome.end, End::kLimited);
  EXPECT_EQ(outcome.limit, Limit::kOutput);
  EXPECT_EQ(outcome.counters.bytes_out, 1'000'000u);
}

TEST(CpuTimeLimit, EndsAGuestThatLoopsForEver) {
  const Outcome outcome =
      RunCode(Forever(""), {.limits = {.cpu_time = std::chrono::milliseconds(20)}});
  EXPECT_EQ(outcome.end, End::kLimited);
  EXPECT_EQ(outcome.limit, Limit::kCpuTime);
}

TEST(CpuTimeLimit, CountsWhatCallsCost) {
  const std::string code = Forever(Call(VX_CALL_BRK, 0x30000000) + Call(VX_CALL_BRK, 0x08200000));
  const Outcome outcome = RunCode(code, {.limits = {.cpu_time = std::chrono::milliseconds(20)}});
  EXPECT_EQ(outcome.end, End::kLimited);
  EXPECT_EQ(outcome.limit, Limit::kCpuTime);
  EXPECT_LT(outcome.counters.instructions, 50'000u) << "the clock was not looked at often enough";
}

TEST(Interrupt, EndsARunFromAnotherThread) {
  // Tells when the guest has begun.
  class BegunIo final : public EndlessIo {
   public:
    absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
      if (!std::exchange(told_, true)) begun.count_down();
      return EndlessIo::Write(fd, bytes);
    }
    std::latch begun{1};

   private:
    bool told_ = false;
  };
  const std::string bodies[] = {"", Write(1, kDataAddress, kDataSize),
                                Call(VX_CALL_READ, 0, kDataAddress, 1),
                                Call(VX_CALL_BRK, 0x08200000)};
  for (const std::string& body : bodies) {
    auto sandbox =
        Sandbox::Create(Load(CodeElf(Write(1, kDataAddress, 1) + Forever(body))), OnTheEngine({}));
    ASSERT_TRUE(sandbox.ok());
    BegunIo io;
    std::thread interrupter([&] {
      io.begun.wait();
      (*sandbox)->Interrupt();
    });
    EXPECT_EQ((*sandbox)->Run(io).end, End::kInterrupted);
    interrupter.join();
  }
}

TEST(Interrupt, KeepsARunFromStarting) {
  auto sandbox = Sandbox::Create(Load(CodeElf(Exit(0))), OnTheEngine({}));
  (*sandbox)->Interrupt();
  StringIo io;
  const Outcome outcome = (*sandbox)->Run(io);
  EXPECT_EQ(outcome.end, End::kInterrupted);
  EXPECT_EQ(outcome.counters.instructions, 0u);
}

TEST(Interrupt, ExplainsAnErrorOfTheIoThatItUnblocked) {
  class UnblockedIo final : public EndlessIo {
   public:
    absl::StatusOr<size_t> Read(std::span<uint8_t>) override {
      sandbox->Interrupt();
      return absl::AbortedError("unblocked");
    }
    Sandbox* sandbox;
  };
  auto sandbox = Sandbox::Create(Load(CodeElf(Copy())), OnTheEngine({}));
  UnblockedIo io;
  io.sandbox = sandbox->get();
  EXPECT_EQ((*sandbox)->Run(io).end, End::kInterrupted);
}

TEST(Host, ErrorsEndTheRunUnseenByTheGuest) {
  class BrokenIo final : public Io {
   public:
    absl::StatusOr<size_t> Read(std::span<uint8_t>) override { return absl::DataLossError("disk"); }
    absl::Status Write(int fd, std::span<const uint8_t>) override {
      return absl::UnavailableError("pipe " + std::to_string(fd));
    }
  };
  BrokenIo io;
  Outcome outcome = RunElf(CodeElf(Copy()), io);
  EXPECT_EQ(outcome.end, End::kHostFailed);
  EXPECT_EQ(outcome.host_error, "disk");
  outcome = RunElf(CodeElf(Write(2, kDataAddress, 1) + Exit(0)), io);
  EXPECT_EQ(outcome.end, End::kHostFailed);
  EXPECT_EQ(outcome.host_error, "pipe 2");
}

TEST(Host, IsNotTrustedToCount) {
  class LyingIo final : public EndlessIo {
    absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override { return buffer.size() + 1; }
  };
  LyingIo io;
  EXPECT_EQ(RunElf(CodeElf(Copy()), io).end, End::kHostFailed);
}

TEST(HostileGuest, FaultsWithCauseAddressAndEip) {
  // mov eax, [0]
  ExpectPageFault(RunCode(Bytes({0xa1}) + Imm32(0)), Access::kRead, 0, kCodeAddress);
  // mov [0xffffffff], eax: all of it wraps or is out of bounds
  ExpectPageFault(RunCode("\x90" + Bytes({0xa3}) + Imm32(0xffffffff)), Access::kWrite, 0xffffffff,
                  kCodeAddress + 1);
  // Its own code, and a read that runs off the end of its data.
  ExpectPageFault(RunCode(Bytes({0xa3}) + Imm32(kCodeAddress)), Access::kWrite, kCodeAddress,
                  kCodeAddress);
  ExpectPageFault(RunCode(Bytes({0xa1}) + Imm32(kDataAddress + kDataSize - 3)), Access::kRead,
                  kDataAddress + kDataSize, kCodeAddress);
}

TEST(HostileGuest, CannotJumpIntoData) {
  // mov eax, kDataAddress; jmp eax
  ExpectPageFault(RunCode(Mov(kEax, kDataAddress) + Bytes({0xff, 0xe0})), Access::kFetch,
                  kDataAddress, kDataAddress);
  ExpectPageFault(RunCode(Mov(kEax, 0) + Bytes({0xff, 0xe0})), Access::kFetch, 0, 0);
}

TEST(HostileGuest, CannotRunOffTheEndOfItsCode) {
  const std::string code = Forever("").insert(0, std::string(0xffe, '\x90'));
  std::string off = code.substr(0, 0xffe) + "\x90\x90";
  ExpectPageFault(RunCode(off), Access::kFetch, kCodeAddress + 0x1000, kCodeAddress + 0x1000);
}

TEST(HostileGuest, CannotDivideByZero) {
  // xor ecx, ecx; div ecx
  ExpectTrap(RunCode(Bytes({0x31, 0xc9, 0xf7, 0xf1})), TrapCause::kDivideError, kCodeAddress + 2);
}

TEST(HostileGuest, CannotUseInstructionsThatAreOut) {
  ExpectTrap(RunCode(Bytes({0x0f, 0x0b})), TrapCause::kInvalidOpcode, kCodeAddress);  // ud2
  ExpectTrap(RunCode(Bytes({0xcd, 0x80})), TrapCause::kInvalidOpcode, kCodeAddress);  // int 0x80
  ExpectTrap(RunCode(Bytes({0x0f, 0x31})), TrapCause::kInvalidOpcode, kCodeAddress);  // rdtsc
  ExpectTrap(RunCode(Bytes({0xcc})), TrapCause::kBreakpoint, kCodeAddress);           // int3
}

TEST(HostileGuest, RunsOutOfStack) {
  const Outcome outcome = RunCode(Forever("\x50"), {.limits = {.stack = VX_STACK_MIN}});
  ExpectPageFault(outcome, Access::kWrite, kCodeAddress - VX_STACK_MIN - 4, kCodeAddress);
}

TEST(HostileGuest, IsToldThatUnknownCallsAreUnknown) {
  EXPECT_EQ(RunCode(Call(5) + ExitWithResult()).exit_status, -uint32_t{VX_ENOSYS});
  EXPECT_EQ(RunCode(Call(0xffffffff) + ExitWithResult()).exit_status, -uint32_t{VX_ENOSYS});
}

TEST(HostileGuest, IsToldThatWildPointersFault) {
  for (uint32_t pointer : {0u, kCodeAddress, kDataAddress + kDataSize, 0xfffffff0u}) {
    EXPECT_EQ(RunCode(Call(VX_CALL_READ, 0, pointer, 0x20) + ExitWithResult()).exit_status,
              -uint32_t{VX_EFAULT});
  }
  EXPECT_EQ(RunCode(Write(1, 0, 1) + ExitWithResult()).exit_status, -uint32_t{VX_EFAULT});
  EXPECT_EQ(RunCode(Write(1, kDataAddress, kDataSize + 1) + ExitWithResult()).exit_status,
            -uint32_t{VX_EFAULT});
}

TEST(HostileGuest, ReadsNothingPastTheEnd) {
  EXPECT_EQ(RunCode(Call(VX_CALL_READ, 0, kDataAddress, 99) + ExitWithResult()).exit_status, 0u);
}

TEST(HostileGuest, FillsDiagnosticsInVain) {
  StringIo io;
  const Outcome outcome = RunElf(CodeElf(Forever(Write(2, kDataAddress, 999))), io,
                                 {.limits = {.instructions = 10'000}});
  EXPECT_EQ(outcome.end, End::kLimited);
  EXPECT_EQ(io.diagnostics.size(), size_t{VX_DIAGNOSTICS_KEPT});
}

TEST(Names, ParseBackToWhatTheyName) {
  EXPECT_EQ(*ParseProfile("vx-2026"), Profile::kVx2026);
  EXPECT_EQ(*ParseProfile("vx-2026-int"), Profile::kVx2026Int);
  EXPECT_EQ(*ParseEngine("interpreter"), Engine::kInterpreter);
  const absl::Status status = ParseProfile("vx-2025").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "there is no profile \"vx-2025\"; there are: vx-2026, vx-2026-int");
}

TEST(Describe, NamesTheFunction) {
  const std::string elf =
      CodeElf("\x90" + Bytes({0xa1}) + Imm32(0x1234), "", {{"inflate_fast", kCodeAddress, 0x20}});
  StringIo io;
  EXPECT_EQ(Describe(RunElf(elf, io), *Load(elf)),
            "trap: page fault reading 0x00001234 at eip 0x08048001 (inflate_fast+0x1)");
}

TEST(Describe, TellsEveryEnd) {
  const auto program = Load(CodeElf(Exit(0)));
  Outcome outcome = {.exit_status = 300};
  EXPECT_EQ(Describe(outcome, *program), "exit status 300");
  outcome = {.end = End::kTrapped, .trap = {.cause = TrapCause::kDivideError}};
  EXPECT_EQ(Describe(outcome, *program), "trap: divide error at eip 0x00000000");
  outcome = {.end = End::kLimited,
             .limit = Limit::kOutput,
             .counters = {.instructions = 5, .bytes_out = 6}};
  EXPECT_EQ(Describe(outcome, *program),
            "limit: output after 5 instructions and 6 bytes of output, at eip 0x00000000");
  outcome.counters.instructions = 0;
  EXPECT_EQ(Describe(outcome, *program),
            "limit: output after 6 bytes of output, at eip 0x00000000");
  outcome = {.end = End::kInterrupted};
  EXPECT_EQ(Describe(outcome, *program), "interrupted at eip 0x00000000");
  outcome = {.end = End::kHostFailed, .host_error = "reading: no"};
  EXPECT_EQ(Describe(outcome, *program), "host: reading: no");
  outcome = {.end = End::kEngineFailed, .host_error = "verifier: no"};
  EXPECT_EQ(Describe(outcome, *program), "internal error: verifier: no");
}

TEST(ToJson, HasAllOfTheOutcome) {
  Outcome outcome = {.end = End::kTrapped,
                     .trap = {TrapCause::kPageFault, Access::kWrite, 0xdeadbeef},
                     .counters = {1, 2, 3, UINT64_MAX}};
  outcome.registers.gpr = {0x11111111, 2, 3, 4, 5, 6, 7, 8};
  outcome.registers.eip = 0x8048000;
  outcome.registers.x87.reg[7] = {.significand = uint64_t{1} << 63, .sign_exponent = 0x3fff};
  outcome.registers.xmm[0].lane = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(
      ToJson(outcome),
      R"({"end":"trapped","cause":"page fault","access":"write","address":"0xdeadbeef",)"
      R"("registers":{"eax":"0x11111111","ecx":"0x00000002","edx":"0x00000003",)"
      R"("ebx":"0x00000004","esp":"0x00000005","ebp":"0x00000006","esi":"0x00000007",)"
      R"("edi":"0x00000008","eip":"0x08048000","eflags":"0x00000202",)"
      R"("valid_flags":"0x000008d5","x87":{"control":"0x037f","status":"0x0000","tag":"0xffff",)"
      R"("r":["0x00000000000000000000","0x00000000000000000000","0x00000000000000000000",)"
      R"("0x00000000000000000000","0x00000000000000000000","0x00000000000000000000",)"
      R"("0x00000000000000000000","0x3fff8000000000000000"]},)"
      R"("xmm":["0x0f0e0d0c0b0a09080706050403020100","0x00000000000000000000000000000000",)"
      R"("0x00000000000000000000000000000000","0x00000000000000000000000000000000",)"
      R"("0x00000000000000000000000000000000","0x00000000000000000000000000000000",)"
      R"("0x00000000000000000000000000000000","0x00000000000000000000000000000000"],)"
      R"("mxcsr":"0x00001f80"},"counters":{"instructions":1,"bytes_in":2,"bytes_out":3,)"
      R"("peak_memory":18446744073709551615}})");
}

TEST(ToJson, EscapesWhatStringsMayNotHold) {
  const Outcome outcome = {.end = End::kHostFailed,
                           .host_error = "q\" b\\ n\n \x01 é € 𝄞 \xff \xc3 \xed\xa0\x80 \xc0\x80"};
  EXPECT_THAT(
      ToJson(outcome),
      StartsWith(R"({"end":"host failed","host_error":"q\" b\\ n\u000a \u0001 é € 𝄞 \ufffd \ufffd )"
                 R"(\ufffd\ufffd\ufffd \ufffd\ufffd",)"));
}

TEST(ToJson, TellsWhatEachEndHas) {
  EXPECT_THAT(ToJson({.exit_status = 4000000000}),
              StartsWith(R"({"end":"exited","exit_status":4000000000,"registers")"));
  EXPECT_THAT(ToJson({.end = End::kLimited, .limit = Limit::kCpuTime}),
              StartsWith(R"({"end":"limited","limit":"CPU time","registers")"));
  EXPECT_THAT(ToJson({.end = End::kInterrupted}), StartsWith(R"({"end":"interrupted","regi)"));
}

}  // namespace

// --engine=NAME and --placement=NAME.
bool ParseFlag(std::string_view flag) {
  const size_t equals = flag.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = flag.substr(0, equals), value = flag.substr(equals + 1);
  if (name == "--engine") {
    const absl::StatusOr<Engine> engine = ParseEngine(value);
    if (engine.ok()) the_engine = *engine;
    return engine.ok();
  }
  const absl::StatusOr<Placement> placement = ParsePlacement(value);
  if (placement.ok()) the_placement = *placement;
  return name == "--placement" && placement.ok();
}

}  // namespace vx

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (vx::ParseFlag(argv[i])) continue;
    std::fprintf(stderr, "%s: unknown flag or bad value\n", argv[i]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
