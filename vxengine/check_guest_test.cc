#include "vxengine/check_guest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"

namespace vx {
namespace {

using testing::BuildElf;
using testing::Bytes;
using testing::CodeElf;
using testing::Copy;
using testing::Exit;
using ::testing::HasSubstr;
using ::testing::Not;

std::string TestGuest(const std::string& name) {
  std::ifstream file("decoders/testing/" + name + ".vx", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

CheckReport Check(const std::string& elf, std::string_view input,
                  std::vector<std::string> arguments,
                  std::optional<std::string_view> expected = std::nullopt,
                  const std::vector<Way>& ways = WaysOfThisHost(), Limits limits = {}) {
  auto program = Program::Load(elf);
  if (!program.ok()) return {program.status().ToString(), false};
  CheckRequest request = {.elf = elf, .program = *program, .input = input, .expected = expected};
  request.options.arguments = std::move(arguments);
  request.options.limits = limits;
  return CheckGuest(request, ways);
}

TEST(CheckGuestTest, AGoodGuestIsGoodAndItsCostIsTold) {
  const CheckReport report = Check(TestGuest("xor"), "abc", {" "}, "ABC");
  EXPECT_TRUE(report.good) << report.text;
  EXPECT_THAT(report.text, HasSubstr("interpreter: 2 runs, "));
  EXPECT_THAT(report.text, HasSubstr("translator, shared: 2 runs, "));
  EXPECT_THAT(report.text, HasSubstr("3 bytes in, 3 bytes out\n"));
  EXPECT_THAT(report.text, HasSubstr("output: as expected\n"));
  EXPECT_THAT(report.text, HasSubstr("note: kit: vxa "));
  EXPECT_THAT(report.text, HasSubstr("advice: exit status 0 of the input's first 1 bytes alone"));
  EXPECT_THAT(report.text, Not(HasSubstr("--no-such-argument")));
  EXPECT_THAT(report.text, Not(HasSubstr("WRONG")));
}

TEST(CheckGuestTest, FindsTheFirstByteThatIsNotAsExpected) {
  const CheckReport report = Check(TestGuest("xor"), "abc", {" "}, "ABX");
  EXPECT_FALSE(report.good);
  EXPECT_THAT(report.text, HasSubstr("WRONG: the output (3 bytes) is not the expected (3), from "
                                     "byte 2 on\n"));
}

TEST(CheckGuestTest, TellsTheSmallestProfile) {
  EXPECT_THAT(Check(CodeElf(Copy()), "abc", {}).text, HasSubstr("profile: vx-2026-int, "));
  const std::string fld1 = Bytes({0xd9, 0xe8});
  const CheckReport report = Check(CodeElf(fld1 + Exit(0)), "", {});
  EXPECT_TRUE(report.good) << report.text;
  EXPECT_THAT(report.text, HasSubstr("profile: vx-2026, "));
  // Bad input may need the larger one: fld1 where argc isn't 1 is no fault.
  const CheckReport larger =
      Check(CodeElf(Bytes({0x83, 0x3c, 0x24, 0x01, 0x74, 0x02}) + fld1 + Copy()), "abc", {});
  EXPECT_TRUE(larger.good) << larger.text;
  EXPECT_THAT(larger.text, HasSubstr("profile: vx-2026-int, "));
}

TEST(CheckGuestTest, ATrapAStatusAndAnEndlessLoopAreWrong) {
  EXPECT_THAT(Check(TestGuest("fault"), "", {"read", "0"}).text,
              HasSubstr("WRONG: trap: page fault"));
  EXPECT_THAT(Check(TestGuest("fault"), "", {"ud2"}).text,
              HasSubstr("WRONG: trap: invalid opcode"));
  EXPECT_THAT(Check(TestGuest("fault"), "", {"exit", "3"}).text, HasSubstr("WRONG: exit status 3"));
  Limits limits;
  limits.instructions = 1'000'000;
  const CheckReport report =
      Check(TestGuest("misbehave"), "x", {"spin"}, std::nullopt, WaysOfThisHost(), limits);
  EXPECT_FALSE(report.good);
  EXPECT_THAT(report.text, HasSubstr("WRONG: limit: instructions"));
}

TEST(CheckGuestTest, DiagnosticsCannotSteerATerminal) {
  const CheckReport report = Check(TestGuest("fault"), "a\x1b[2J\\\nb", {"complain", "1"});
  EXPECT_THAT(report.text, HasSubstr("diagnostics: a\\x1b[2J\\x5c\ndiagnostics: b\n"));
}

TEST(CheckGuestTest, NotesAreShownAsFarAsTheyAreWellFormed) {
  const auto note = [](uint32_t name_size, uint32_t text_size, uint32_t type, std::string rest) {
    return testing::Imm32(name_size) + testing::Imm32(text_size) + testing::Imm32(type) + rest;
  };
  const std::string vxa("VXA\0", 4);
  const auto report = [](const std::string& notes) {
    return Check(BuildElf({.entry = testing::kCodeAddress,
                           .segments = {{testing::kCodeAddress, Exit(0), 0,
                                         testing::kElfR | testing::kElfX},
                                        {0, notes, 0, testing::kElfR, 4 /* PT_NOTE */}}}),
                 "", {})
        .text;
  };
  const std::string good = note(4, 6, 1, vxa + "a: b\x1b\n" + std::string(2, '\0'));
  const std::string others =
      note(4, 4, 2, vxa + "type") + note(4, 4, 1, std::string("GNU\0name", 8));
  EXPECT_THAT(report(others + good + good), HasSubstr("note: a: b\\x1b\nnote: a: b\\x1b\nprofile"));
  for (const std::string& bad : {note(4, 0xffffffff, 1, vxa), note(0xfffffff0, 4, 1, vxa + "text"),
                                 note(4, 9, 1, vxa + "1234"), good.substr(0, 11)}) {
    EXPECT_THAT(report(good + bad), HasSubstr("note: a: b\\x1b\nprofile"));
    EXPECT_THAT(report(bad), HasSubstr("advice: it has no note"));
  }
}

TEST(CheckGuestTest, ALoopOnAnUnknownArgumentIsWrong) {
  // Loops where argc isn't 1: cmp dword [esp], 1; jne itself.
  const CheckReport report =
      Check(CodeElf(Bytes({0x83, 0x3c, 0x24, 0x01, 0x75, 0xfe}) + Copy()), "", {});
  EXPECT_FALSE(report.good);
  EXPECT_THAT(report.text,
              HasSubstr("WRONG: with the argument --no-such-argument: limit: instructions"));
}

TEST(CheckGuestTest, AFloodOnAnUnknownArgumentIsWrong) {
  // Where argc isn't 1: writes for ever.
  const std::string flood =
      testing::Forever(testing::Write(VX_FD_OUTPUT, testing::kDataAddress, testing::kDataSize));
  const CheckReport report =
      Check(CodeElf(Bytes({0x83, 0x3c, 0x24, 0x01, 0x74, static_cast<uint8_t>(flood.size())}) +
                    flood + Copy()),
            "", {});
  EXPECT_FALSE(report.good);
  EXPECT_THAT(report.text, HasSubstr("WRONG: with the argument --no-such-argument: limit: output"));
}

TEST(CheckGuestTest, ATrapOnACutInputIsWrong) {
  // Reads 4 bytes, and traps where there are fewer: call; cmp eax, 4; je over ud2.
  const std::string code = testing::Call(VX_CALL_READ, 0, testing::kDataAddress, 4) +
                           Bytes({0x83, 0xf8, 0x04, 0x74, 0x02, 0x0f, 0x0b}) + Exit(0);
  const CheckReport report = Check(CodeElf(code, "data"), "12345", {});
  EXPECT_FALSE(report.good);
  EXPECT_THAT(report.text, HasSubstr("WRONG: of the input's first 2 bytes alone: trap: invalid"));
  EXPECT_THAT(report.text, HasSubstr("advice: it never read the input's last 1 bytes\n"));
}

// No guest can tell engines apart: engines that differ are made here, out of one that is sound.
class OtherEngineTest : public ::testing::Test {
 protected:
  // A report of a sound way and one whose run `n` (counted from 1) is changed.
  CheckReport With(std::function<void(CheckedRun&)> change, int n) {
    std::vector<Way> ways = WaysOfThisHost();
    const Way sound = ways[0];
    ways = {sound, {"other", [=, runs = 0](const auto&... run) mutable {
                      auto result = sound.run(run...);
                      if (result.ok() && ++runs == n) change(*result);
                      return result;
                    }}};
    return Check(TestGuest("xor"), "abc", {" "}, "ABC", ways);
  }
};

TEST_F(OtherEngineTest, EveryDifferenceIsFound) {
  const struct {
    void (*change)(CheckedRun&);
    std::string what;
  } kCases[] = {
      {[](CheckedRun& r) { r.output[1] ^= 1; }, "the output, from byte 1 on"},
      {[](CheckedRun& r) { r.diagnostics += "x"; }, "the diagnostics"},
      {[](CheckedRun& r) { r.outcome.exit_status = 1; }, "the end"},
      {[](CheckedRun& r) { r.outcome.end = Outcome::End::kTrapped; }, "the end"},
      {[](CheckedRun& r) { ++r.outcome.registers.gpr[kEsi]; }, "the registers at the end"},
      {[](CheckedRun& r) { ++r.outcome.registers.xmm[7].lane[1]; }, "the registers at the end"},
      {[](CheckedRun& r) { r.outcome.registers.eflags ^= kDf; }, "the registers at the end"},
      {[](CheckedRun& r) { r.outcome.counters.peak_memory += 4096; }, "the memory it took"},
      {[](CheckedRun& r) { --r.outcome.counters.bytes_in; }, "how much input it read"},
  };
  for (const auto& c : kCases) {
    for (const auto& [run, counting] : {std::pair(1, ""), std::pair(2, ", counting")}) {
      const CheckReport report = With(c.change, run);
      EXPECT_FALSE(report.good);
      EXPECT_THAT(report.text, HasSubstr("WRONG: other" + std::string(counting) + ": " + c.what));
    }
  }
  const auto more = [](CheckedRun& r) { ++r.outcome.counters.instructions; };
  EXPECT_TRUE(With(more, 1).good);  // which aren't counted there
  EXPECT_THAT(With(more, 2).text, HasSubstr("WRONG: other, counting: the number of instructions"));
  EXPECT_TRUE(With(more, 3).good);
}

}  // namespace
}  // namespace vx
