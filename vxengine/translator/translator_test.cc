// Guests that no compiler would make, through vxengine/vx.h: what they do must come to the same as
// on the interpreter, end when it should, and cost no more than it may. --placement=NAME,
// --contrary-cpu (host_cpu.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <latch>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/translator/host_cpu.h"
#include "vxengine/vx.h"

namespace vx {
namespace {

using testing::BuildElf;
using testing::Bytes;
using testing::CodeElf;
using testing::Exit;
using testing::Forever;
using testing::Imm32;
using testing::kCodeAddress;
using testing::kDataAddress;
using testing::kDataSize;
using testing::kElfR;
using testing::kElfW;
using testing::kElfX;
using testing::Mov;
using End = Outcome::End;
using std::chrono::milliseconds;

constexpr uint32_t kDataEnd = kDataAddress + kDataSize;

Placement the_placement = Placement::kShared;

class NullIo : public Io {
 public:
  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override { return buffer.size(); }
  absl::Status Write(int, std::span<const uint8_t>) override { return absl::OkStatus(); }
};

std::shared_ptr<const Program> Load(const std::string& elf) {
  auto program = Program::Load(elf);
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

std::unique_ptr<Sandbox> Create(std::shared_ptr<const Program> program, Options options = {}) {
  options.placement = the_placement;
  auto sandbox = Sandbox::Create(std::move(program), std::move(options));
  EXPECT_TRUE(sandbox.ok()) << sandbox.status();
  EXPECT_EQ((*sandbox)->placement(), the_placement);
  return *std::move(sandbox);
}

Outcome RunGuest(std::shared_ptr<const Program> program, Options options = {}) {
  NullIo io;
  return Create(std::move(program), std::move(options))->Run(io);
}

// Runs the guest counted and not counted, and expects what the interpreter says; which is returned.
Outcome ExpectLikeTheInterpreter(const std::string& elf, const std::string& what = "",
                                 Options options = {}) {
  SCOPED_TRACE(what);
  options.engine = Engine::kInterpreter;
  const Outcome expected = RunGuest(Load(elf), options);
  options.engine = Engine::kTranslator;
  const auto program = Load(elf);
  for (bool counted : {false, true}) {
    SCOPED_TRACE(counted ? "counted" : "not counted");
    options.count_instructions = counted;
    const Outcome actual = RunGuest(program, options);
    EXPECT_EQ(Describe(actual, *program), Describe(expected, *program));
    EXPECT_EQ(actual.trap, expected.trap);
    EXPECT_EQ(actual.exit_status, expected.exit_status);
    EXPECT_EQ(actual.registers.gpr, expected.registers.gpr);
    EXPECT_EQ(actual.registers.eip, expected.registers.eip);
    const uint32_t mask = ~kStatusFlags | actual.valid_flags;
    EXPECT_EQ(actual.registers.eflags & mask, expected.registers.eflags & mask);
    if (counted) {
      EXPECT_EQ(actual.counters.instructions, expected.counters.instructions);
    }
  }
  return expected;
}

std::string Jump(uint8_t opcode, int32_t distance) {
  return Bytes({opcode}) + Imm32(static_cast<uint32_t>(distance));
}

std::string Repeat(const std::string& piece, size_t count) {
  std::string all;
  all.reserve(piece.size() * count);
  for (size_t n = 0; n < count; ++n) all += piece;
  return all;
}

// Exits with EAX.
std::string ExitWithEax() {
  return Bytes({0x89, 0xc2}) + Mov(kEax, VX_CALL_EXIT) + testing::Syscall();
}

// Calls EBX for each `step` bytes of [begin, end), then exits with EAX.
std::string CallEach(uint32_t begin, uint32_t end, uint8_t step) {
  return Mov(kEbx, begin) + Bytes({0xff, 0xd3, 0x83, 0xc3, step, 0x81, 0xfb}) + Imm32(end) +
         Bytes({0x72, 0xf3}) + ExitWithEax();
}

// An image with a second piece of code.
constexpr uint32_t kFar = 0x10000000;
std::string WithFarCode(std::string code, std::string far, uint32_t data_size = kDataSize) {
  return BuildElf({.entry = kCodeAddress,
                   .segments = {{kCodeAddress, std::move(code), 0, kElfR | kElfX},
                                {kDataAddress, "", data_size, kElfR | kElfW},
                                {kFar, std::move(far), 0, kElfR | kElfX}},
                   .symbols = {}});
}

// --- Flags that manuals leave undefined ---

TEST(Flags, ARunThatEndsInAHelperTellsWhichAreLost) {
  const std::string elf = CodeElf(Bytes({0x39, 0xc8, 0x6b, 0xc0, 0xff}) +  // cmp; imul eax, eax, -1
                                  Mov(kEsi, kDataAddress) + Mov(kEdi, kDataAddress + 64) +
                                  Mov(kEcx, 16) + Bytes({0xf3, 0xa5}) +  // rep movsd
                                  Bytes({0x0d, 1, 0, 0, 0}) + Exit(0));  // or eax, 1
  for (uint64_t limit = 1; limit < 26; ++limit) {
    Options options;
    options.limits.instructions = limit;
    ExpectLikeTheInterpreter(elf, std::to_string(limit), options);
  }
}

// They leave flags undefined.
const std::string kUndefining[] = {
    Bytes({0x21, 0xda}),                                      // and edx, ebx
    Bytes({0x84, 0xda}),                                      // test dl, bl
    Bytes({0xc1, 0xe2, 5}),                                   // shl edx, 5
    Bytes({0x66, 0xd1, 0xea}),                                // shr dx, 1
    Bytes({0xd2, 0xfe}),                                      // sar dh, cl
    Bytes({0xd3, 0xe1}),                                      // shl ecx, cl
    Bytes({0x66, 0xd3, 0xc2}),                                // rol dx, cl
    Bytes({0xc0, 0xca, 3}),                                   // ror dl, 3
    Bytes({0xd2, 0xd2}),                                      // rcl dl, cl
    Bytes({0x66, 0xd3, 0xda}),                                // rcr dx, cl
    Bytes({0x0f, 0xa5, 0xda}),                                // shld edx, ebx, cl
    Bytes({0x0f, 0xac, 0xda, 9}),                             // shrd edx, ebx, 9
    Bytes({0xf7, 0xe3}),                                      // mul ebx
    Bytes({0xf6, 0xeb}),                                      // imul bl
    Bytes({0x0f, 0xaf, 0xd3}),                                // imul edx, ebx
    Bytes({0x6b, 0xd3, 3}),                                   // imul edx, ebx, 3
    Bytes({0x80, 0xcb, 1, 0x66, 0xb8, 0x7f, 0, 0xf6, 0xf3}),  // or bl, 1; mov ax, 127; div bl
    Bytes({0x0f, 0xbc, 0xd3}),                                // bsf edx, ebx
    Bytes({0x66, 0x0f, 0xbd, 0xd3}),                          // bsr dx, bx
    Bytes({0x0f, 0xab, 0xda}),                                // bts edx, ebx
};

// Sets all flags and registers to anything, runs `instructions` and adds to ESI what has become of
// the flags and EDX.
std::string Undefining(const std::string& instructions, uint32_t ecx, std::mt19937& random) {
  const uint32_t flags = random();
  std::string code =
      Bytes({0xb0, static_cast<uint8_t>(flags & 1), 0x04, 0x7f}) +  // mov al, OF; add al, 0x7f
      Bytes({0xb4, static_cast<uint8_t>(flags >> 8), 0x9e});        // mov ah, flags; sahf
  for (Gpr gpr : {kEax, kEdx, kEbx}) code += Mov(gpr, random() & random() << random() % 3);
  // pushf; pop ebp; imul esi, esi, 31; add esi, ebp; imul esi, esi, 31; add esi, edx
  return code + Mov(kEcx, ecx) + instructions +
         Bytes({0x9c, 0x5d, 0x6b, 0xf6, 31, 0x01, 0xee, 0x6b, 0xf6, 31, 0x01, 0xd6});
}

void ExpectFlagsOfTheAbi(const std::string& code) {
  const std::string elf = WithFarCode(Jump(0xe9, kFar - kCodeAddress - 5),
                                      code + Bytes({0x89, 0xf0}) + ExitWithEax());  // mov eax, esi
  EXPECT_EQ(ExpectLikeTheInterpreter(elf).end, End::kExited);
}

TEST(Flags, UndefinedOnesAreTheAbisWhateverTheCpu) {
  std::mt19937 random(1);
  std::string code;
  for (int n = 0; n < 2000; ++n) {
    code += Undefining(kUndefining[n % std::size(kUndefining)], random(), random);
  }
  ExpectFlagsOfTheAbi(code);
}

TEST(Flags, ThoseFromBeforeAShiftByZeroAreTheAbis) {
  std::mt19937 random(1);
  for (const std::string& first : kUndefining) {
    std::string code;
    for (const std::string& second : kUndefining) {
      for (const uint32_t count : {0, 1, 2, 32}) {
        const std::string both = first + Mov(kEcx, count) + second;
        code += Undefining(both, random(), random);
        // cmp esi, esi: only EDX tells of the flags between both.
        code += Undefining(both + Bytes({0x39, 0xf6}), random(), random);
      }
    }
    SCOPED_TRACE(&first - kUndefining);
    ExpectFlagsOfTheAbi(code);
  }
}

// --- Where control may go ---

TEST(Control, JumpsIntoTheMiddleOfInstructionsAtEveryOffset) {
  // add eax, 0x40404040, inside of which each byte is an INC.
  constexpr uint32_t kBytes = 3000;
  const std::string run = Repeat(Bytes({0x05, 0x40, 0x40, 0x40, 0x40}), kBytes / 5) + "\xc3";
  const std::string elf = WithFarCode(CallEach(kFar, kFar + kBytes, 1), run);
  EXPECT_EQ(ExpectLikeTheInterpreter(elf).end, End::kExited);
  // No more is translated than to the end of the run from each of its offsets.
  const auto program = Load(elf);
  NullIo io;
  const auto sandbox = Create(program);
  sandbox->Run(io);
  EXPECT_LE(sandbox->translation_cost().instructions, kBytes * (kBytes / 5 + 10) / 2);
}

TEST(Control, SixteenMegabytesOfStraightCodeAreTranslatedOnce) {
  constexpr uint32_t kBytes = 16 << 20;
  const auto program = Load(
      WithFarCode(Jump(0xe9, kFar - kCodeAddress - 5), Repeat("\x40", kBytes) + ExitWithEax()));
  NullIo io;
  const auto sandbox = Create(program);
  const Outcome outcome = sandbox->Run(io);
  EXPECT_EQ(outcome.end, End::kExited) << Describe(outcome, *program);
  EXPECT_EQ(outcome.exit_status, kBytes);
  EXPECT_GE(sandbox->translation_cost().instructions, kBytes);
  // A region is at most 4096, and where one ends another begins.
  EXPECT_LE(sandbox->translation_cost().instructions, kBytes + kBytes / 4096 + 100);
}

TEST(Control, AFullCodeCacheEndsTheRun) {
  // Calls of a RET: of five bytes some forty are made.
  constexpr uint32_t kCalls = 2'000'000;
  std::string calls;
  for (uint32_t n = 0; n < kCalls; ++n) calls += Jump(0xe8, kCodeAddress + 5 - (kFar + n * 5 + 5));
  const auto program =
      Load(WithFarCode(Jump(0xe9, kFar - kCodeAddress - 5) + "\xc3", calls + Exit(0)));
  const Outcome outcome = RunGuest(program);
  EXPECT_EQ(outcome.end, End::kHostFailed) << Describe(outcome, *program);
  EXPECT_THAT(outcome.host_error, ::testing::HasSubstr("full"));
}

TEST(Control, AHundredThousandIndirectTargets) {
  constexpr uint32_t kTargets = 100'000;
  const auto program =
      Load(WithFarCode(CallEach(kFar, kFar + 2 * kTargets, 2), Repeat("\x40\xc3", kTargets)));
  NullIo io;
  const auto sandbox = Create(program);
  EXPECT_EQ(sandbox->Run(io).exit_status, kTargets);
  EXPECT_LE(sandbox->translation_cost().instructions, 2 * kTargets + 4100);
}

// f: dec ecx; jz out; call f; inc eax; out: ret
std::string Recursion(uint32_t depth) {
  return Mov(kEcx, depth) + Bytes({0xe8}) + Imm32(9) + ExitWithEax() +
         Bytes({0x49, 0x74, 6, 0xe8, 0xf8, 0xff, 0xff, 0xff, 0x40, 0xc3});
}

TEST(Control, RecursesAMillionDeep) {
  const Options options = {.limits = {.stack = 0x800000}};
  EXPECT_EQ(ExpectLikeTheInterpreter(CodeElf(Recursion(1'000'000)), "", options).exit_status,
            999'999u);
}

TEST(Control, AStackOverflowFaultsAtTheExactEsp) {
  for (uint32_t stack : {0x10000u, 0x800000u}) {
    const Outcome outcome =
        ExpectLikeTheInterpreter(CodeElf(Recursion(100'000'000)), "", {.limits = {.stack = stack}});
    EXPECT_EQ(outcome.end, End::kTrapped);
    EXPECT_EQ(outcome.trap.address, outcome.registers.gpr[kEsp] - 4);
    EXPECT_EQ(outcome.trap.address, kCodeAddress - stack - 4);
  }
}

TEST(Control, UnwindsAsLongjmpDoes) {
  // mov ebp, esp; mov ecx, n; again: call a; (never here) ud2; a: push eax; call b; ud2;
  // b: inc eax; mov esp, ebp; dec ecx; jnz again
  const std::string code = Bytes({0x89, 0xe5}) + Mov(kEcx, 200'000) +
                           Bytes({0xe8, 2, 0,    0,    0,    0x0f, 0x0b, 0x50, 0xe8, 2,   0,
                                  0,    0, 0x0f, 0x0b, 0x40, 0x89, 0xec, 0x49, 0x75, 0xeb}) +
                           ExitWithEax();
  EXPECT_EQ(ExpectLikeTheInterpreter(CodeElf(code)).exit_status, 200'000u);
  // The same, and in b's place a return to elsewhere: mov esp, ebp; push again; dec ecx; jz +1; ret
  const std::string other = Bytes({0x89, 0xe5}) + Mov(kEcx, 200'000) +
                            Bytes({0xe8, 2, 0, 0, 0, 0x0f, 0x0b, 0x50, 0xe8, 2, 0, 0, 0, 0x0f, 0x0b,
                                   0x40, 0x89, 0xec, 0x68}) +
                            Imm32(kCodeAddress + 7) + Bytes({0x49, 0x74, 1, 0xc3}) + ExitWithEax();
  EXPECT_EQ(ExpectLikeTheInterpreter(CodeElf(other)).exit_status, 200'000u);
}

TEST(Control, ReturnsThatNobodyCalledForAreJumps) {
  // again: inc eax; cmp eax, n; je out; push again; ret; out:
  const std::string code = Bytes({0x40, 0x3d}) + Imm32(100'000) + Bytes({0x74, 6, 0x68}) +
                           Imm32(kCodeAddress) + "\xc3" + ExitWithEax();
  EXPECT_EQ(ExpectLikeTheInterpreter(CodeElf(code)).exit_status, 100'000u);
}

TEST(Control, ReturnsMoreOftenThanItCalls) {
  // jmp main; f: inc eax; ret; main: push out; mov ecx, n; again: push f; dec ecx; jnz again; ret
  std::string code = Bytes({0xeb, 2, 0x40, 0xc3, 0x68});
  code += Imm32(kCodeAddress + 23) + Mov(kEcx, 100'000) + Bytes({0x68}) + Imm32(kCodeAddress + 2) +
          Bytes({0x49, 0x75, 0xf8, 0xc3});
  ASSERT_EQ(code.size(), 23u);
  EXPECT_EQ(ExpectLikeTheInterpreter(CodeElf(code + ExitWithEax())).exit_status, 100'000u);
}

TEST(Control, RunsOffTheEndOfExecutableMemory) {
  for (const std::string& end :
       {std::string(), Bytes({0xb8}), Bytes({0xb8, 1, 2, 3}), Bytes({0x0f}), Bytes({0x66}),
        Bytes({0xe8, 0, 0}), Bytes({0x8b, 0x84, 0x24}), Bytes({0xc7, 0x05, 0, 0, 0, 0, 1}),
        Bytes({0x75, 0x00}), Bytes({0xe8, 0, 0, 0, 0}), Bytes({0x0f, 0x05}), Bytes({0xf3, 0xa4}),
        Bytes({0x40, 0xff, 0xd0})}) {
    const std::string code = std::string(0x1000 - end.size(), '\x90') + end;
    EXPECT_EQ(ExpectLikeTheInterpreter(CodeElf(code), ::testing::PrintToString(end)).end,
              End::kTrapped);
  }
}

TEST(Control, StoresToCodeFault) {
  const Outcome outcome = ExpectLikeTheInterpreter(
      CodeElf(Bytes({0xc6, 0x05}) + Imm32(kCodeAddress + 7) + "\x40" + "\x90" + Exit(0)));
  EXPECT_EQ(outcome.trap, (Trap{TrapCause::kPageFault, Access::kWrite, kCodeAddress + 7}));
  ExpectLikeTheInterpreter(CodeElf(Mov(kEdi, kCodeAddress) + Mov(kEcx, 4) + Bytes({0xf3, 0xaa})));
  ExpectLikeTheInterpreter(CodeElf(Mov(kEsp, kCodeAddress + 32) + "\x50"));
}

TEST(Control, FaultsWhereNothingCanBeExecuted) {
  for (uint32_t target : {0u, 1u, 0xfffu, 0x10000u, kDataAddress, kDataEnd - 1, kDataEnd,
                          kCodeAddress - 1, kCodeAddress - 16, kCodeAddress + 0x1000, 0x7fffffffu,
                          0x80000000u, 0xffff0000u, 0xfffffffcu, 0xffffffffu}) {
    const std::string what = ::testing::PrintToString(target);
    const auto relative = [&](int at) {
      return static_cast<int32_t>(target - (kCodeAddress + at));
    };
    for (const std::string& code :
         {Mov(kEax, target) + Bytes({0xff, 0xe0}), Mov(kEax, target) + Bytes({0xff, 0xd0}),
          Jump(0x68, static_cast<int32_t>(target)) + "\xc3", Jump(0xe9, relative(5)),
          Jump(0xe8, relative(5)), Bytes({0x31, 0xc0, 0x0f}) + Jump(0x84, relative(8)),
          Jump(0x68, static_cast<int32_t>(target)) + Bytes({0xc2, 8, 0}),
          Jump(0x68, static_cast<int32_t>(target)) + Bytes({0xff, 0x24, 0x24})}) {
      const Outcome outcome = ExpectLikeTheInterpreter(CodeElf(code), what);
      EXPECT_EQ(outcome.trap, (Trap{TrapCause::kPageFault, Access::kFetch, target}));
      EXPECT_EQ(outcome.registers.eip, target);
    }
  }
}

TEST(Control, FindsItsOwnAddress) {
  ExpectLikeTheInterpreter(CodeElf(Bytes({0xe8, 0, 0, 0, 0, 0x58}) + ExitWithEax()));
  ExpectLikeTheInterpreter(CodeElf(Bytes({0xe8, 0, 0, 0, 0, 0x5c}) + Exit(0)));  // pop esp
  for (uint8_t reg = 0; reg < 8; ++reg) {
    // call thunk; twice; inc ebx; ud2; thunk: mov reg, [esp]; ret
    const std::string thunk = Bytes({0x8b, static_cast<uint8_t>(0x04 | reg << 3), 0x24, 0xc3});
    const std::string code = Bytes({0xe8, 8, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0x43, 0x0f, 0x0b}) + thunk;
    ExpectLikeTheInterpreter(CodeElf(code), "thunk " + std::to_string(reg));
    // Where there is no stack to push on, and where the push spoils nothing but its own place.
    for (uint32_t esp : {kDataAddress, kDataAddress + 2, kDataAddress + 4, kDataEnd + 4, 0u, 2u}) {
      ExpectLikeTheInterpreter(CodeElf(Mov(kEsp, esp) + code),
                               "thunk " + std::to_string(reg) + " esp " + std::to_string(esp));
    }
    // A limit inside.
    for (uint64_t limit = 1; limit < 8; ++limit) {
      ExpectLikeTheInterpreter(CodeElf(code), "limit", {.limits = {.instructions = limit}});
    }
  }
}

// --- Memory and ESP ---

TEST(Memory, StringsWrapPastFourGiB) {
  for (uint8_t opcode : {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}) {
    for (uint8_t repeat : {0x90, 0xf2, 0xf3}) {
      for (uint8_t direction : {0xfc, 0xfd}) {
        for (const auto& [esi, edi] :
             std::vector<std::pair<uint32_t, uint32_t>>{{0xfffffff8, kDataAddress},
                                                        {kDataAddress, 0xfffffffe},
                                                        {0xfffffffd, 0xffffffff},
                                                        {4, kDataAddress + 16},
                                                        {kDataAddress + 16, 2},
                                                        {kDataEnd - 3, kDataAddress + 6},
                                                        {kDataAddress + 5, kDataEnd - 6},
                                                        {kDataAddress + 2, kDataAddress + 9}}) {
          const std::string code = Bytes({direction}) + Mov(kEsi, esi) + Mov(kEdi, edi) +
                                   Mov(kEcx, 16) + Bytes({repeat, opcode}) + Bytes({0x0f, 0x0b});
          ExpectLikeTheInterpreter(CodeElf(code), ::testing::PrintToString(code));
        }
      }
    }
  }
}

TEST(Memory, FaultsTellTheExactEspWhereverAChainBreaks) {
  // Each is run with the data so close that its accesses fault one after another.
  const std::string chains[] = {
      Repeat("\x50", 12),
      Repeat("\x58", 12),
      Repeat(Bytes({0x50, 0x83, 0xec, 0x08, 0x53}), 4),        // push; sub esp; push
      Repeat(Bytes({0x58, 0x83, 0xc4, 0x04, 0x5b}), 4),        // pop; add esp; pop
      Repeat(Bytes({0x50, 0x8d, 0x64, 0x24, 0xf4, 0x54}), 4),  // push; lea esp; push esp
      Repeat(Bytes({0x6a, 0x05, 0x89, 0xe1, 0x83, 0xec, 0x04, 0x51}),
             4),                                         // push 5; mov ecx, esp; …
      Repeat(Bytes({0xff, 0x74, 0x24, 0x04, 0x50}), 4),  // push [esp + 4]; push
      Repeat(Bytes({0x8f, 0x44, 0x24, 0xfc, 0x58}), 4),  // pop [esp - 4]; pop
      Repeat(Bytes({0x50, 0x01, 0x04, 0x24, 0x83, 0x44, 0x24, 0xf8, 1}), 4),  // push; add [esp], …
      Repeat(Bytes({0x50, 0x9c, 0x51, 0x9d}), 4),                             // pushf, popf
      Repeat(Bytes({0x60}), 4),
      Repeat(Bytes({0x61}), 4),
      Repeat(Bytes({0x50, 0xc8, 4, 0, 1, 0x50, 0xc9, 0x58, 0x58, 0x58}), 2),  // enter, leave
      Bytes({0x50, 0xe8, 1, 0, 0, 0, 0x53, 0x51, 0xe8, 0, 0, 0, 0, 0x52}),    // calls between
      Repeat(Bytes({0x87, 0x24, 0x24, 0x50}), 3),                             // xchg [esp], esp
      Repeat(Bytes({0x50, 0xf7, 0x34, 0x24}), 3),                             // div [esp]
  };
  for (const std::string& chain : chains) {
    for (uint32_t end : {kDataAddress, kDataEnd}) {
      for (int32_t off = -72; off <= 72; off += 6) {
        if (off % 4 != 0 && off % 9 != 0) continue;
        const std::string code = Mov(kEax, 0x11) + Mov(kEbp, end + static_cast<uint32_t>(off)) +
                                 Mov(kEsp, end + static_cast<uint32_t>(off)) + chain +
                                 Bytes({0x0f, 0x0b});
        ExpectLikeTheInterpreter(CodeElf(code),
                                 ::testing::PrintToString(chain) + " off " + std::to_string(off));
      }
    }
  }
}

TEST(Memory, HighBytesBesideStackOperandsKeepEbp) {
  for (const std::string& opcode :
       {Bytes({0x00}), Bytes({0x02}), Bytes({0x10}), Bytes({0x38}), Bytes({0x84}), Bytes({0x86}),
        Bytes({0x88}), Bytes({0x8a}), Bytes({0x0f, 0xb0}), Bytes({0x0f, 0xc0})}) {
    for (uint8_t reg = 4; reg < 8; ++reg) {
      for (uint8_t sib : {0x24, 0x2c, 0x6c, 0x04}) {  // [esp], [esp+ebp], [esp+ebp*2], [esp+eax]
        for (uint32_t esp : {kDataAddress + 0x100, kDataEnd, kDataAddress - 9}) {
          const std::string code =
              Mov(kEax, 0x0201) + Mov(kEcx, 0x0403) + Mov(kEdx, 0x0605) + Mov(kEbx, 0x0807) +
              Mov(kEbp, 0x18) + Mov(kEsp, esp) + "\x90" + opcode +
              Bytes({static_cast<uint8_t>(0x44 | reg << 3), sib, 0x08}) + Bytes({0x0f, 0x0b});
          ExpectLikeTheInterpreter(CodeElf(code), ::testing::PrintToString(code));
        }
      }
    }
  }
}

TEST(Memory, ExchangesAndConditionsWithEsp) {
  for (uint8_t reg = 0; reg < 8; ++reg) {
    const auto modrm = [](int a, int b) { return static_cast<uint8_t>(0xc0 | a << 3 | b); };
    std::vector<std::string> pieces = {Bytes({static_cast<uint8_t>(0x90 + reg)}),
                                       Bytes({0x87, modrm(reg, 4)}),
                                       Bytes({0x87, modrm(4, reg)}),
                                       Bytes({0x66, 0x87, modrm(4, reg)}),
                                       Bytes({0x94}),
                                       Bytes({0x66, 0x94}),
                                       Bytes({0x0f, 0x94, modrm(0, reg)}),
                                       Bytes({0x0f, 0x94, 0x44, 0x24, 8}),
                                       Bytes({0x0f, 0xb6, modrm(4, reg)}),
                                       Bytes({0x0f, 0xbf, modrm(4, reg)}),
                                       Bytes({0x66, 0x0f, 0xbe, modrm(4, reg)}),
                                       Bytes({0x0f, 0xc1, modrm(4, reg)}),
                                       Bytes({0x0f, 0xb1, modrm(reg, 4)}),
                                       Bytes({0x0f, 0xcc}),
                                       Bytes({0x66, 0x0f, 0xcc}),
                                       Bytes({0x44}),
                                       Bytes({0x66, 0x4c}),
                                       Bytes({0x0f, 0xaf, modrm(4, reg)}),
                                       Bytes({0x6b, modrm(4, reg), 3}),
                                       Bytes({0x8d, 0xa4, 0x24, 1, 0, 0, 0}),
                                       Bytes({0x8d, 0x24, 0x04}),
                                       Bytes({0x66, 0x8d, 0x64, 0x24, 8})};
    for (uint8_t condition = 0; condition < 16; ++condition) {
      pieces.push_back(Bytes({0x0f, static_cast<uint8_t>(0x40 + condition), modrm(4, reg)}));
      pieces.push_back(Bytes({0x0f, static_cast<uint8_t>(0x40 + condition), modrm(reg, 4)}));
      pieces.push_back(Bytes({0x0f, static_cast<uint8_t>(0x40 + condition), 0x64, 0x24, 8}));
    }
    for (const std::string& piece : pieces) {
      // With pushes before, so that R15D isn't ESP itself.
      const std::string code = Mov(kEax, 0x81) + Mov(kEcx, kDataAddress + 0x40) +
                               Mov(kEsp, kDataAddress + 0x100) + Bytes({0x39, 0xc8, 0x50, 0x51}) +
                               piece + Bytes({0x54, 0x58, 0x0f, 0x0b});
      ExpectLikeTheInterpreter(CodeElf(code), ::testing::PrintToString(code));
    }
  }
}

// --- Many threads ---

// There is only one exclusive guest at a time: these run in the shared placement, whatever is asked
// for.
struct SharedPlacement {
  ~SharedPlacement() { the_placement = asked_for; }
  const Placement asked_for = std::exchange(the_placement, Placement::kShared);
};

TEST(Threads, TranslateOneProgramTogether) {
  const SharedPlacement shared;
  // Functions of some size, called directly and indirectly, that loop for a while: so there always
  // is a thread in code beside the place where another one puts more.
  constexpr uint32_t kFunctions = 4000, kSize = 32;
  std::string functions;
  for (uint32_t n = 0; n < kFunctions; ++n) {
    // mov ecx, 300; l: add eax, 0x01010101; imul edx, eax, imm; add [data], eax; loop l; ret
    std::string one = Mov(kEcx, n % 64 == 0 ? 300 : 3) +
                      Bytes({0x05, 1, 1, 1, 1, 0x69, 0xd0, 3, 1, 0, 0}) + Bytes({0x01, 0x05}) +
                      Imm32(kDataAddress) + Bytes({0xe2, 0xed, 0xc3});
    one.resize(kSize, '\x90');
    functions += one;
  }
  const std::string elf = WithFarCode(CallEach(kFar, kFar + kFunctions * kSize, kSize), functions);
  const uint32_t expected = RunGuest(Load(elf), {.engine = Engine::kInterpreter}).exit_status;
  for (int round = 0; round < 10; ++round) {
    const auto program = Load(elf);
    std::vector<std::thread> threads;
    for (int n = 0; n < 6; ++n) {
      threads.emplace_back([&] {
        const Outcome outcome = RunGuest(program);
        EXPECT_EQ(outcome.end, End::kExited) << Describe(outcome, *program);
        EXPECT_EQ(outcome.exit_status, expected);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(Threads, ExecuteBesideCodeThatIsBeingWritten) {
  const SharedPlacement shared;
  // Loops so long that they lie across pages, their instructions too; and behind each of them small
  // functions, which are put into the loop's last page while other threads are in the loop.
  constexpr uint32_t kGroups = 12, kSmall = 40, kAdds = 1000, kTimes = 400;
  std::string functions, calls;
  const auto call = [&] {
    const uint32_t from = kCodeAddress + static_cast<uint32_t>(calls.size()) + 5;
    const uint32_t to = kFar + static_cast<uint32_t>(functions.size());
    calls += Jump(0xe8, static_cast<int32_t>(to - from));
  };
  for (uint32_t group = 0; group < kGroups; ++group) {
    call();
    // mov ecx, n; l: add eax, imm, many times; dec ecx; jnz l; ret
    functions += Mov(kEcx, kTimes) + Repeat(Bytes({0x05, 1, 1, 1, 1}), kAdds) +
                 Bytes({0x49, 0x0f}) + Jump(0x85, -static_cast<int32_t>(kAdds * 5 + 7)) + "\xc3";
    for (uint32_t n = 0; n < kSmall; ++n) {
      call();
      functions += Bytes({0x40, 0xc3});
    }
  }
  const std::string elf = WithFarCode(calls + ExitWithEax(), functions);
  const uint32_t expected = RunGuest(Load(elf), {.engine = Engine::kInterpreter}).exit_status;
  for (int round = 0; round < 10; ++round) {
    const auto program = Load(elf);
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&] { EXPECT_EQ(RunGuest(program).exit_status, expected); });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

// --- Stopping ---

constexpr uint32_t kLargeData = 0x7000000;

struct Endless {
  const char* name;
  std::string code;
};

std::vector<Endless> EndlessGuests() {
  const auto repeated = [](uint8_t opcode) {
    return Forever(Mov(kEsi, kDataAddress) + Mov(kEdi, kDataAddress) + Mov(kEcx, kLargeData) +
                   Bytes({0xf3, opcode}));
  };
  return {
      {"jmp $", Forever("")},
      {"rep movsb", repeated(0xa4)},
      {"rep stosb", repeated(0xaa)},
      {"repe cmpsb", repeated(0xa6)},
      {"calls and returns", Bytes({0xeb, 1, 0xc3, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0xeb, 0xf9})},
      // call f; f: add esp, 4; jmp: the stack of return addresses overflows again and again.
      {"calls without returns", Bytes({0xe8, 1, 0, 0, 0, 0xcc, 0x83, 0xc4, 4, 0xeb, 0xf5})},
      {"returns without calls", Bytes({0x68}) + Imm32(kCodeAddress) + "\xc3"},
      {"indirect jumps", Mov(kEax, kCodeAddress) + Bytes({0xff, 0xe0})},
      {"system calls", Forever(testing::Call(VX_CALL_WRITE, 9, 0, 0))},
      {"interpreted", Forever(Bytes({0x9c, 0x9d}))},
      // Each round at another offset of far code, until all of it has been translated.
      {"misses", Mov(kEbx, kFar) + Bytes({0xff, 0xd3, 0x43, 0x81, 0xfb}) + Imm32(kFar + 0x10000) +
                     Bytes({0x72, 0xf5, 0xeb, 0xee})},
  };
}

std::string EndlessElf(const Endless& guest) {
  return WithFarCode(guest.code, std::string(0x10000, '\xc3'), kLargeData);
}

// Dies if the run doesn't end: there is no other way out of it.
Outcome RunWithDeadline(Sandbox& sandbox, const char* name, std::latch* started = nullptr) {
  auto run = std::async(std::launch::async, [&] {
    NullIo io;
    if (started != nullptr) started->count_down();
    return sandbox.Run(io);
  });
  if (run.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
    std::fprintf(stderr, "%s was not stopped\n", name);
    std::abort();
  }
  return run.get();
}

TEST(Stopping, AnInterruptEndsAnyLoop) {
  for (const Endless& guest : EndlessGuests()) {
    SCOPED_TRACE(guest.name);
    const auto program = Load(EndlessElf(guest));
    for (int round = 0; round < 60; ++round) {
      const auto sandbox = Create(program, {.count_instructions = round % 3 == 0});
      std::latch started(1);
      std::thread interrupter([&] {
        started.wait();
        std::this_thread::sleep_for(std::chrono::microseconds(round * 137 % 3000));
        sandbox->Interrupt();
      });
      EXPECT_EQ(RunWithDeadline(*sandbox, guest.name, &started).end, End::kInterrupted);
      interrupter.join();
    }
  }
}

TEST(Stopping, TheCpuTimeLimitEndsAnyLoop) {
  for (const Endless& guest : EndlessGuests()) {
    SCOPED_TRACE(guest.name);
    const auto program = Load(EndlessElf(guest));
    for (int round = 0; round < 12; ++round) {
      const auto sandbox = Create(program, {.limits = {.cpu_time = milliseconds(round)},
                                            .count_instructions = round % 3 == 0});
      const Outcome outcome = RunWithDeadline(*sandbox, guest.name);
      EXPECT_EQ(outcome.end, End::kLimited) << Describe(outcome, *program);
      EXPECT_EQ(outcome.limit, Limit::kCpuTime);
    }
  }
}

// --- Counting ---

// Translated code gets 2^31 - 1 units at a time. The last of the first pays for an iteration that
// ends a repeated instruction, whose own unit is of the next.
TEST(Counting, IsExactAcrossPortions) {
  constexpr uint32_t kRounds = 0x3ffffffd;
  const std::string code = Mov(kEcx, kRounds) + Bytes({0x49, 0x75, 0xfd}) + Mov(kEax, 0) +
                           Mov(kEdi, kDataAddress) + Mov(kEcx, 10) +
                           Bytes({0xf2, 0xae}) +  // repne scasb
                           Exit(0);
  const Outcome outcome =
      RunGuest(Load(CodeElf(code)), {.engine = Engine::kTranslator, .count_instructions = true});
  EXPECT_EQ(outcome.end, End::kExited);
  EXPECT_EQ(outcome.counters.instructions, 1 + uint64_t{2} * kRounds + 3 + 2 + 3);
}

// --- The host's own signals ---

sigjmp_buf back;
volatile sig_atomic_t handled = 0;

void OnHostFault(int signal, siginfo_t*, void*) {
  handled = signal;
  siglongjmp(back, 1);
}

// The signal that `fault` made the host's own handler see.
__attribute__((noinline)) int SignalOf(void (*fault)()) {
  handled = 0;
  if (sigsetjmp(back, 1) == 0) fault();
  return handled;
}

__attribute__((noinline)) void ReadNowhere() {
  void* const nowhere = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const volatile char byte = *static_cast<volatile char*>(nowhere);
  static_cast<void>(byte);
}

__attribute__((noinline)) void DivideByZero() {
  asm volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx" ::: "eax", "ecx", "edx", "cc");
}

#define CHECK_OR_DIE(condition)                                  \
  if (!(condition)) {                                            \
    std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
    _exit(1);                                                    \
  }

void UseSignalsAroundGuests() {
  struct sigaction action = {};
  action.sa_sigaction = OnHostFault;
  action.sa_flags = SA_SIGINFO;
  CHECK_OR_DIE(sigaction(SIGSEGV, &action, nullptr) == 0);
  CHECK_OR_DIE(sigaction(SIGFPE, &action, nullptr) == 0);
  const auto both = [] {
    return SignalOf(ReadNowhere) == SIGSEGV && SignalOf(DivideByZero) == SIGFPE;
  };
  CHECK_OR_DIE(both());
  class FaultingIo : public NullIo {
   public:
    absl::Status Write(int, std::span<const uint8_t>) override {
      faulted = SignalOf(ReadNowhere) == SIGSEGV && SignalOf(DivideByZero) == SIGFPE;
      return absl::OkStatus();
    }
    bool faulted = false;
  };
  for (int round = 0; round < 2; ++round) {
    const auto program = Load(
        CodeElf(testing::Write(1, kDataAddress, 1) + Bytes({0xf7, 0x35}) + Imm32(kDataAddress)));
    const auto sandbox = Create(program);
    CHECK_OR_DIE(both());
    FaultingIo io;
    const Outcome outcome = sandbox->Run(io);
    CHECK_OR_DIE(io.faulted);
    CHECK_OR_DIE(outcome.end == End::kTrapped && outcome.trap.cause == TrapCause::kDivideError);
    CHECK_OR_DIE(both());
  }
  CHECK_OR_DIE(both());
  _exit(0);
}

TEST(SignalsDeathTest, ThoseOfTheHostReachItsHandlers) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(UseSignalsAroundGuests(), ::testing::ExitedWithCode(0), "");
}

// How a process ends by a signal that nobody handles; AddressSanitizer handles them all.
auto EndedBy(int signal) {
#if defined(__SANITIZE_ADDRESS__)
  (void)signal;
  return ::testing::ExitedWithCode(1);
#else
  return ::testing::KilledBySignal(signal);
#endif
}

TEST(SignalsDeathTest, ThoseThatNobodyHandlesKill) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto die = [](auto fault) {
    const auto sandbox = Create(Load(CodeElf(Exit(0))));
    NullIo io;
    sandbox->Run(io);
    fault();
  };
  EXPECT_EXIT(die(ReadNowhere), EndedBy(SIGSEGV), "");
  EXPECT_EXIT(die(DivideByZero), EndedBy(SIGFPE), "");
  EXPECT_EXIT(die([] { raise(SIGSEGV); }), EndedBy(SIGSEGV), "");
}

}  // namespace

bool ParseFlag(std::string_view flag) {
  if (flag == "--contrary-cpu") {
    static const HostCpu contrary = ContraryCpu();
    Pretend(&contrary);
    return true;
  }
  constexpr std::string_view kName = "--placement=";
  if (flag == "--engine=translator") return true;
  if (!flag.starts_with(kName)) return false;
  const absl::StatusOr<Placement> placement = ParsePlacement(flag.substr(kName.size()));
  if (placement.ok()) the_placement = *placement;
  return placement.ok();
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
