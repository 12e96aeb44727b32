// Runs the vxrun binary as a shell would.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <string>

#include "vxengine/abi.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"

namespace vx {
namespace {

using ::testing::AllOf;
using testing::Bytes;
using testing::Call;
using testing::CodeElf;
using testing::Copy;
using ::testing::EndsWith;
using testing::Exit;
using testing::ExitWithResult;
using testing::Forever;
using ::testing::HasSubstr;
using testing::Imm32;
using testing::kCodeAddress;
using testing::kDataAddress;
using testing::kDataSize;
using ::testing::MatchesRegex;
using testing::Mov;
using ::testing::StartsWith;
using testing::Syscall;
using testing::Write;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

struct Result {
  int status;
  std::string output;
  std::string error;
};

class VxrunTest : public ::testing::Test {
 protected:
  // Writes a guest image to the file that $GUEST names in commands.
  void Guest(const std::string& elf) {
    setenv("GUEST", guest_.c_str(), 1);
    std::ofstream(guest_, std::ios::binary) << elf;
  }
  void GuestCode(const std::string& code) { Guest(CodeElf(code, "data\n")); }

  // Runs a shell command, in which $VXRUN is the binary.
  Result Shell(const std::string& command) {
    setenv("VXRUN", "vxengine/vxrun", 1);
    const std::string output = directory_ + "/output", error = directory_ + "/error";
    const std::string whole = "{ " + command + "\n} >'" + output + "' 2>'" + error + "'";
    const int status = system(whole.c_str());
    EXPECT_TRUE(WIFEXITED(status));
    return {WEXITSTATUS(status), ReadFile(output), ReadFile(error)};
  }

  const std::string directory_ = ::testing::TempDir();
  const std::string guest_ = directory_ + "/guest.vx";
};

TEST_F(VxrunTest, CopiesStandardInputToStandardOutput) {
  GuestCode(Copy());
  const Result result =
      Shell("seq 100000 | $VXRUN $GUEST | cmp - /dev/fd/3 3<<END\n$(seq 100000)\nEND");
  EXPECT_EQ(result.status, 0) << result.output << result.error;
}

TEST_F(VxrunTest, ExitsWithTheLowBitsOfTheStatus) {
  const struct {
    uint32_t guest;
    int shown;
  } kCases[] = {{0, 0},     {1, 1},   {124, 124},   {125, 124},        {126, 126},
                {255, 255}, {256, 1}, {0x17d, 124}, {0xffffffff, 255}, {0x80000000, 1}};
  for (const auto& c : kCases) {
    GuestCode(Exit(c.guest));
    const Result result = Shell("$VXRUN $GUEST");
    EXPECT_EQ(result.status, c.shown) << c.guest;
    EXPECT_EQ(result.output + result.error, "");
  }
}

TEST_F(VxrunTest, SaysWhereAGuestTrapped) {
  Guest(CodeElf("\x90" + Bytes({0xa1}) + Imm32(0), "", {{"inflate_fast", kCodeAddress, 0x20}}));
  const Result result = Shell("$VXRUN $GUEST");
  EXPECT_EQ(result.status, 125);
  EXPECT_EQ(result.error,
            "trap: page fault reading 0x00000000 at eip 0x08048001 (inflate_fast+0x1)\n");
}

TEST_F(VxrunTest, PassesArgumentsAndDiagnostics) {
  // Writes the 15 bytes of argv[1] and on to descriptor 2.
  GuestCode(Bytes({0x8b, 0x4c, 0x24, 0x08}) + Mov(kEax, VX_CALL_WRITE) + Mov(kEdx, 2) +
            Mov(kEbx, 15) + Syscall() + Exit(0));
  const Result result = Shell("$VXRUN $GUEST --stats 'a b' -x");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.error, std::string("--stats\0a b\0-x\0", 15));
}

TEST_F(VxrunTest, ChecksAGuest) {
  GuestCode(Copy());
  const auto check = [&](const std::string& rest) {
    return Shell("set -- " + directory_ + "/check; " + "echo input >$1.in; echo other >$1.other; " +
                 "$VXRUN --check " + rest);
  };
  Result result = check("$GUEST $1.in $1.in -- argument");
  EXPECT_EQ(result.status, 0) << result.output << result.error;
  EXPECT_THAT(result.output, AllOf(HasSubstr("output: as expected\n"), EndsWith("\ngood\n")));
  EXPECT_THAT(result.output, HasSubstr("translator, exclusive: 2 runs"));
  result = check("$GUEST $1.in $1.other");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, EndsWith("\nnot good\n"));
  EXPECT_EQ(check("$GUEST $1.in").status, 0);
  for (const char* wrong : {"$GUEST", "$GUEST /nonexistent", "$GUEST $1.in /nonexistent",
                            "$GUEST $1.in $1.in argument", "$1.in $1.in"}) {
    result = check(wrong);
    EXPECT_EQ(result.status, 125) << wrong;
    EXPECT_THAT(result.error, StartsWith("vxrun: ")) << wrong;
  }
}

TEST_F(VxrunTest, EndsAGuestAtTheInstructionLimit) {
  GuestCode(Forever(""));
  const Result result = Shell("$VXRUN --max-instructions=1000 $GUEST");
  EXPECT_EQ(result.status, 125);
  EXPECT_EQ(result.error,
            "limit: instructions after 1000 instructions and 0 bytes of output, at eip "
            "0x08048000\n");
}

TEST_F(VxrunTest, LimitsMemory) {
  GuestCode(Call(VX_CALL_BRK, kDataAddress + kDataSize + 0x100000) + ExitWithResult());
  EXPECT_EQ(Shell("$VXRUN --memory=10M $GUEST").status, 0);
  EXPECT_EQ(Shell("$VXRUN --memory=9250000 $GUEST").status, (-VX_ENOMEM) & 0xff);
  const Result result = Shell("$VXRUN --memory 8M $GUEST");
  EXPECT_EQ(result.status, 125);
  EXPECT_THAT(result.error, HasSubstr("the image and its stack take 8458240 bytes"));
}

TEST_F(VxrunTest, LimitsTheStack) {
  GuestCode(Exit(0));
  EXPECT_THAT(Shell("$VXRUN --stats --stack=64K $GUEST").error, HasSubstr(" 132 KiB of memory"));
  EXPECT_THAT(Shell("$VXRUN --stats --stack=1M $GUEST").error, HasSubstr(" 1092 KiB of memory"));
  const Result result = Shell("$VXRUN --stack=65535 $GUEST");
  EXPECT_EQ(result.status, 125);
  EXPECT_THAT(result.error, HasSubstr("stack is 65535"));
}

TEST_F(VxrunTest, PrintsWhatARunCost) {
  GuestCode(Write(1, kDataAddress, 5) + Exit(0));
  const std::string cost =
      "vxrun: 8 instructions, 0 bytes in, 5 bytes out, 8260 KiB of memory, [0-9]+.[0-9]+ s\n";
  Result result = Shell("$VXRUN --engine=interpreter --stats $GUEST");
  EXPECT_EQ(result.output, "data\n");
  EXPECT_THAT(result.error, MatchesRegex(cost));
  result = Shell("$VXRUN --placement=shared --count --stats $GUEST");
  EXPECT_EQ(result.output, "data\n");
  EXPECT_THAT(result.error, MatchesRegex(cost + "vxrun: shared placement, translated [0-9]+ "
                                                "instructions in 0.[0-9]+ s\n"));
}

TEST_F(VxrunTest, PrintsTheWholeOutcomeAsJson) {
  GuestCode(Mov(kEbx, 0xabcdef) + Exit(3));
  const Result result = Shell("$VXRUN --count --json $GUEST");
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.error,
              AllOf(StartsWith("{\"end\":\"exited\",\"exit_status\":3,\"registers\":{\"eax\":"),
                    HasSubstr("\"ebx\":\"0x00abcdef\""),
                    EndsWith("\"counters\":{\"instructions\":4,\"bytes_in\":0,\"bytes_out\":0,"
                             "\"peak_memory\":8458240}}\n")));
}

TEST_F(VxrunTest, NamesWhatIsWrongWithTheCommandLine) {
  GuestCode(Exit(0));
  const struct {
    const char* command;
    const char* message;
  } kCases[] = {
      {"$VXRUN --frobnicate $GUEST", "vxrun: --frobnicate: unknown or misused option"},
      {"$VXRUN -x $GUEST", "vxrun: -x: unknown"},
      {"$VXRUN --stats=1 $GUEST", "vxrun: --stats=1: unknown or misused option"},
      {"$VXRUN --memory", "vxrun: --memory: needs a value"},
      {"$VXRUN --memory=12Q $GUEST", "vxrun: --memory=12Q is not a number"},
      {"$VXRUN --memory= $GUEST", "vxrun: --memory= is not a number"},
      {"$VXRUN --memory=-1 $GUEST", "vxrun: --memory=-1 is not a number"},
      {"$VXRUN --memory=99999999999G $GUEST", "is not a number"},
      {"$VXRUN --stack=4G $GUEST", "vxrun: --stack=4G is not a number"},
      {"$VXRUN --max-instructions=1K $GUEST", "vxrun: --max-instructions=1K is not a number"},
      {"$VXRUN --engine=warp $GUEST", "there is no engine \"warp\"; there are: interpreter"},
      {"$VXRUN --profile=x $GUEST", "there are: vx-2026, vx-2026-int"},
      {"$VXRUN", "vxrun: no GUEST given"},
      {"$VXRUN /nowhere/guest", "vxrun: /nowhere/guest: No such file or directory"},
      {"$VXRUN /", "vxrun: /: Is a directory"},
      {"$VXRUN /dev/null", "vxrun: /dev/null: not a VX guest: the file has 0 bytes"},
      {"$VXRUN /dev/zero", "vxrun: /dev/zero: too large for a guest"},
      {"$VXRUN /bin/true", "not a VX guest: e_ident[EI_CLASS] is 0x2"},
  };
  for (const auto& c : kCases) {
    const Result result = Shell(c.command);
    EXPECT_EQ(result.status, 125) << c.command;
    EXPECT_THAT(result.error, HasSubstr(c.message));
    EXPECT_EQ(result.output, "");
  }
}

TEST_F(VxrunTest, PrintsHelp) {
  const Result result = Shell("$VXRUN --help");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, StartsWith("usage: vxrun [OPTION...] GUEST [ARG...]\n"));
}

TEST_F(VxrunTest, TakesAProfile) {
  GuestCode(Bytes({0x0f, 0x57, 0xc0}) + Exit(0));  // xorps xmm0, xmm0
  EXPECT_EQ(Shell("$VXRUN $GUEST").status, 0);
  EXPECT_THAT(Shell("$VXRUN --profile=vx-2026-int $GUEST").error,
              StartsWith("trap: invalid opcode at eip 0x08048000"));
}

TEST_F(VxrunTest, FailsWhereItsOutputIsClosed) {
  GuestCode(Forever(Write(1, kDataAddress, kDataSize)));
  const Result result = Shell("{ $VXRUN $GUEST; echo status $? >&2; } | head -c 1");
  EXPECT_EQ(result.error, "host: writing standard output: Broken pipe\nstatus 125\n");
  EXPECT_EQ(Shell("$VXRUN $GUEST >/dev/full").error,
            "host: writing standard output: No space left on device\n");
}

TEST_F(VxrunTest, NeverTakesTheGuestsFileForItsInputOrOutput) {
  GuestCode(Copy());
  Result result = Shell("$VXRUN $GUEST <&-");
  EXPECT_EQ(result.status, 125);
  EXPECT_EQ(result.error, "host: reading standard input: Bad file descriptor\n");
  EXPECT_EQ(result.output, "");
  result = Shell("echo x | $VXRUN $GUEST >&-");
  EXPECT_EQ(result.status, 125);
  EXPECT_EQ(result.error, "host: writing standard output: Bad file descriptor\n");
  EXPECT_EQ(Shell("echo x | $VXRUN $GUEST 2>&-").output, "x\n");
}

}  // namespace
}  // namespace vx
