// The guest side of the ABI: start-up code, system calls and C library.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

GuestRun RunNamed(const std::string& name, const std::vector<std::string>& arguments,
                  std::string_view input = "") {
  return RunGuest("decoders/testing/" + name, arguments, input);
}

TEST(SdkTest, PassesItsOwnTrialOfTheCLibrary) {
  GuestRun run = RunNamed("c_library", {}, "three words here\n");
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 0u);
  EXPECT_EQ(run.output, "0 failures\n");
  EXPECT_EQ(run.diagnostics, "");
}

TEST(SdkTest, TheTrialOfTheCLibraryCanFail) {
  GuestRun run = RunNamed("c_library", {}, "other words\n");
  EXPECT_EQ(run.exit_status, 1u);
  EXPECT_EQ(run.diagnostics, "fgets\n");
}

TEST(SdkTest, RunsCxxWithoutExceptions) {
  GuestRun run = RunNamed("cxx_library", {}, "to be or not\nto be");
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 0u);
  EXPECT_EQ(run.output, "be\nnot\nor\nto\n");
  EXPECT_EQ(RunNamed("cxx_library", {"out of range"}, "word").exit_status, 134u);
}

TEST(SdkTest, MainGetsEveryArgument) {
  GuestRun run = RunNamed("echo_args", {"raw", "", "two words", std::string(5000, 'x')});
  EXPECT_EQ(run.failure, "");
  size_t first = run.output.find('\n', run.output.find('\n') + 1);  // argv[0] is natively the path
  EXPECT_EQ(run.output.substr(0, 2), "5\n");
  EXPECT_EQ(run.output.substr(first + 1), "raw\n\ntwo words\n" + std::string(5000, 'x') + "\n");
}

TEST(SdkTest, InputOfAnyLengthGoesThrough) {
  for (size_t length : {0u, 1u, 65535u, 65536u, 65537u, 200000u}) {
    std::string input(length, 'i');
    GuestRun run = RunNamed("cat", {}, input);
    EXPECT_EQ(run.failure, "");
    EXPECT_TRUE(run.output == input) << length;
  }
}

TEST(SdkTest, XorUndoesItself) {
  const std::string once = RunNamed("xor", {"key"}, "some input").output;
  EXPECT_EQ(once.substr(0, 3), (std::string{'s' ^ 'k', 'o' ^ 'e', 'm' ^ 'y'}));
  EXPECT_EQ(RunNamed("xor", {"key"}, once).output, "some input");
  EXPECT_EQ(RunNamed("xor", {}, once).exit_status, 2u);
}

TEST(SdkTest, ReadReturnsZeroAgainAndAgainAtTheEnd) {
  GuestRun run = RunNamed("fault", {"read-past-end", "3"}, "input");
  EXPECT_EQ(run.output, "0\n0\n0\n");
}

TEST(SdkTest, SbrkGivesMemoryThatCanBeWritten) {
  GuestRun run = RunNamed("hog", {"20"});
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.output, "20\n");
}

TEST(SdkTest, FailedSystemCallsReturnNegativeErrorNumbers) {
  EXPECT_EQ(RunNamed("fault", {"call", "77"}).output, "-38\n");
  EXPECT_EQ(RunNamed("fault", {"read-fd", "1"}).output, "-9\n");
  EXPECT_EQ(RunNamed("fault", {"write-fd", "0"}).output, "-9\n");
  EXPECT_EQ(RunNamed("fault", {"write-from", "0"}).output, "-14\n");
  EXPECT_EQ(RunNamed("fault", {"write-length", "0x80000000"}).output, "-22\n");
  EXPECT_EQ(RunNamed("fault", {"brk", "0xf0000000"}).output, "-12\n");
}

TEST(SdkTest, TheExitStatusArrives) {
  GuestRun run = RunNamed("fault", {"exit", "42"});
  EXPECT_EQ(run.failure, "");
  EXPECT_EQ(run.exit_status, 42u);
}

TEST(SdkTest, AbortEndsTheGuestWithTheStatusOfItsSignal) {
  EXPECT_EQ(RunNamed("fault", {"abort"}).exit_status, 128u + 6);
}

TEST(SdkTest, DiagnosticsAreKeptApartFromTheOutput) {
  GuestRun run = RunNamed("fault", {"diagnose", "4"});
  EXPECT_EQ(run.diagnostics, "!!!!");
  EXPECT_EQ(run.output, "");
}

TEST(SdkTest, CodeAndConstantsAreNotWritableAndDataIsNotExecutable) {
  for (const char* fault : {"write-code", "write-constant", "jump-to-data", "jump-to-stack"}) {
    EXPECT_NE(RunNamed("fault", {fault}).failure, "") << fault;
  }
}

}  // namespace
}  // namespace vxa::decoders
