// Real programs on both engines, or both hosts, in lock-step: decoders, and computations in SSE and
// x87 registers.
#include "vxengine/conformance/lockstep.h"

#include <bzlib.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "vxengine/conformance/checker.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/testing/run_elf.h"

namespace vx::conformance {
namespace {

std::string File(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Words and numbers that repeat themselves like text.
std::string Text(size_t size) {
  static const char* const kWords[] = {"guest ",     "a",    "decoder, ", "of ",
                                       "registers ", "in\n", "Words ",    "0123456789 "};
  std::string text;
  for (uint32_t state = 1; text.size() < size;) {
    state = state * 1664525u + 1013904223u;
    text += kWords[state >> 29];
    if (state % 16 == 0) text += std::to_string(state);
  }
  text.resize(size);
  return text;
}

std::string Deflated(const std::string& text, int level) {
  uLongf size = compressBound(text.size());
  std::string encoded(size, '\0');
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(encoded.data()), &size,
                      reinterpret_cast<const Bytef*>(text.data()), text.size(), level),
            Z_OK);
  encoded.resize(size);
  return encoded;
}

std::string Bzipped(const std::string& text) {
  unsigned size = static_cast<unsigned>(text.size() + text.size() / 100 + 600);
  std::string encoded(size, '\0');
  EXPECT_EQ(BZ2_bzBuffToBuffCompress(encoded.data(), &size, const_cast<char*>(text.data()),
                                     static_cast<unsigned>(text.size()), /*blockSize100k=*/1, 0, 0),
            BZ_OK);
  encoded.resize(size);
  return encoded;
}

// The report; empty if the engines differ.
LockstepReport RunBoth(const LockstepProgram& program) {
  const LockstepReport report =
      testing::UsesMachine() ? CompareWithMachine(program, TheSettings().seed)
                             : RunInLockstep(program, TheSettings().placement, TheSettings().seed);
  EXPECT_TRUE(report.difference.empty()) << report.difference;
  if (!report.difference.empty()) return {};
  EXPECT_EQ(report.exit_status, 0u);
  std::printf("%llu instructions, %u stops, %u of them in repeated instructions\n",
              static_cast<unsigned long long>(report.instructions), report.stops,
              report.stops_in_repeats);
  return report;
}

TEST(LockstepTest, Zlib) {
  const std::string text = Text(40'000);
  for (int level : {0, 6}) {  // at 0 it only copies
    const LockstepReport report = RunBoth({.elf = File("decoders/zlib/zlib.vx.debug"),
                                           .arguments = {"--format=zlib"},
                                           .input = Deflated(text, level)});
    EXPECT_TRUE(report.output == text);
    if (level == 0 && !testing::UsesMachine()) {
      EXPECT_GT(report.stops_in_repeats, 0u);
    }
  }
}

TEST(LockstepTest, Bzip2) {
  const std::string text = Text(12'000);
  const LockstepReport report = RunBoth(
      {.elf = File("decoders/bzip2/bzip2.vx.debug"), .arguments = {}, .input = Bzipped(text)});
  EXPECT_TRUE(report.output == text);
}

TEST(LockstepTest, FloatingPointInSseRegisters) {
  const LockstepReport report = RunBoth(
      {.elf = File("tools/benchmarks/guests/fft.vx.debug"), .arguments = {}, .input = Text(9'000)});
  EXPECT_GT(report.instructions, 1'000'000u);
}

TEST(LockstepTest, FloatingPointInX87Registers) {
  const LockstepReport report = RunBoth(
      {.elf = File("decoders/testing/nbody.gcc-O2-x87.vx"), .arguments = {"400"}, .input = ""});
  EXPECT_GT(report.instructions, 300'000u);
}

// All kinds of repeated instructions, which compilers don't make: to their ends and not, in both
// directions, and what comes behind them.
TEST(LockstepTest, RepeatedInstructions) {
  using testing::Bytes, testing::Imm32, testing::Mov;
  constexpr uint32_t kSource = testing::kDataAddress, kTarget = kSource + 0x400,
                     kSum = kSource + 0xf00;
  const auto lea_edi = [](uint32_t address) {  // lea edi, [ebp + address]
    return Bytes({0x8d, 0xbd}) + Imm32(address);
  };
  const std::string rounds = Mov(kEbp, 6);
  std::string round;
  round += Mov(kEsi, kSource) + lea_edi(kTarget) + Mov(kEcx, 300) + Bytes({0xf3, 0xa4});  // movsb
  round += Mov(kEsi, kSource) + lea_edi(kTarget) + Mov(kEcx, 400) + Bytes({0xf3, 0xa6});  // cmpsb
  round += Bytes({0x11, 0x0d}) + Imm32(kSum);                                // adc [sum], ecx
  round += Mov(kEdi, kTarget) + Mov(kEcx, 500) + Bytes({0x8d, 0x45, 0x60});  // lea eax, [ebp+'`']
  round += Bytes({0xf2, 0xae});                                              // repne scasb
  round += Bytes({0x11, 0x0d}) + Imm32(kSum);
  round += Bytes({0xfd}) + Mov(kEdi, kTarget + 0x800) + Mov(kEcx, 40);       // std
  round += Bytes({0xf3, 0xab, 0xfc});                                        // rep stosd; cld
  round += Mov(kEsi, kSource) + Mov(kEcx, 100) + Bytes({0xf3, 0x66, 0xad});  // rep lodsw
  round += Bytes({0x88, 0x85}) + Imm32(kSource);                             // mov [ebp+source], al
  round += Bytes({0x00, 0xa5}) + Imm32(kSource + 7);  // add [ebp+source+7], ah
  round += Bytes({0x4d, 0x0f, 0x85});                 // dec ebp; jnz
  round += Imm32(static_cast<uint32_t>(-static_cast<int>(round.size()) - 4));
  const LockstepReport report =
      RunBoth({.elf = testing::CodeElf(rounds + round + testing::Exit(0), Text(0x1000)),
               .arguments = {},
               .input = "",
               .longest_stride = 6});
  if (!testing::UsesMachine()) {
    EXPECT_GT(report.stops_in_repeats, 1000u);
  }
}

}  // namespace
}  // namespace vx::conformance
