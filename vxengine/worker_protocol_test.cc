#include "vxengine/worker_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace vx {
namespace {

Report FullReport() {
  Report report;
  report.outcome = {.end = Outcome::End::kTrapped,
                    .exit_status = 0x11223344,
                    .trap = {TrapCause::kPageFault, Access::kFetch, 0xcafef00d},
                    .limit = Limit::kCpuTime,
                    .host_error = "error",
                    .counters = {1, uint64_t{1} << 40, 3, UINT64_MAX}};
  Registers& registers = report.outcome.registers;
  for (uint32_t i = 0; i < 8; ++i) {
    registers.gpr[i] = 0x80000000 + i;
    registers.x87.reg[i] = {~uint64_t{i}, static_cast<uint16_t>(0xff00 + i)};
    registers.xmm[i].lane = {i, ~uint64_t{i}};
  }
  registers.eip = 0x8048000;
  registers.eflags = 0x246;
  registers.x87.status = 0x1234;
  registers.mxcsr = 0x1fbf;
  report.description = "description";
  report.diagnostics = std::string("dia\0\xff", 5);
  return report;
}

TEST(Preparation, ComesBackWhole) {
  const Preparation sent = {
      .elf_size = 0xfedcba98, .profile = Profile::kVx2026Int, .count_instructions = true};
  const auto got = DecodePreparation(EncodePreparation(sent));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(*got, sent);
}

TEST(Preparation, OfAnotherVersionOrLengthIsRefused) {
  std::string bytes = EncodePreparation({});
  EXPECT_EQ(DecodePreparation(bytes + "x").status().code(), absl::StatusCode::kFailedPrecondition);
  ++bytes[3];
  EXPECT_EQ(DecodePreparation(bytes).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(WorkerEnd, ComesBackWhole) {
  const auto got = DecodeWorkerEnd(EncodeWorkerEnd({.code = 2, .status = -3}));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->code, 2);
  EXPECT_EQ(got->status, -3);
  EXPECT_FALSE(DecodeWorkerEnd("started"));
}

TEST(RequestHeader, ComesBackWhole) {
  const RequestHeader sent = {.arguments_size = 0x12345678,
                              .limits = {.memory = 1,
                                         .stack = 2,
                                         .instructions = kUnlimited,
                                         .output = 4,
                                         .cpu_time = std::chrono::nanoseconds::max()}};
  const std::string bytes = EncodeRequestHeader(sent);
  ASSERT_EQ(bytes.size(), kRequestHeaderSize);
  const auto got = DecodeRequestHeader(bytes);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->arguments_size, sent.arguments_size);
  EXPECT_EQ(got->limits.memory, 1u);
  EXPECT_EQ(got->limits.stack, 2u);
  EXPECT_EQ(got->limits.instructions, kUnlimited);
  EXPECT_EQ(got->limits.output, 4u);
  EXPECT_EQ(got->limits.cpu_time, std::chrono::nanoseconds::max());
}

TEST(RequestHeader, OfAnotherVersionIsRefused) {
  std::string bytes = EncodeRequestHeader({});
  ++bytes[3];
  EXPECT_EQ(DecodeRequestHeader(bytes).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Arguments, ComeBackWhole) {
  const std::vector<std::string> arguments = {"", "a", "", "bcd", ""};
  EXPECT_EQ(DecodeArguments(EncodeArguments(arguments)), arguments);
  EXPECT_TRUE(DecodeArguments(EncodeArguments({})).empty());
}

TEST(Report, ComesBackWhole) {
  const Report sent = FullReport();
  const auto got = DecodeReport(EncodeReport(sent));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(got->status.ok());
  EXPECT_EQ(got->outcome.end, sent.outcome.end);
  EXPECT_EQ(got->outcome.exit_status, sent.outcome.exit_status);
  EXPECT_EQ(got->outcome.trap, sent.outcome.trap);
  EXPECT_EQ(got->outcome.limit, sent.outcome.limit);
  EXPECT_EQ(got->outcome.host_error, sent.outcome.host_error);
  EXPECT_EQ(got->outcome.registers, sent.outcome.registers);
  EXPECT_EQ(got->outcome.counters, sent.outcome.counters);
  EXPECT_EQ(got->description, sent.description);
  EXPECT_EQ(got->diagnostics, sent.diagnostics);
}

TEST(Report, CarriesAStatus) {
  const auto got = DecodeReport(EncodeReport({.status = absl::InvalidArgumentError("e_type")}));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->status, absl::InvalidArgumentError("e_type"));
}

TEST(Report, IsCutToItsGreatestSize) {
  Report report = FullReport();
  report.description = report.outcome.host_error = std::string(100'000, 'x');
  report.diagnostics = std::string(100'000, 'd');
  report.status = absl::InternalError(std::string(100'000, 'm'));
  const std::string bytes = EncodeReport(report);
  EXPECT_LE(bytes.size(), kReportMax);
  const auto got = DecodeReport(bytes);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->diagnostics.size(), size_t{VX_DIAGNOSTICS_KEPT});
}

TEST(Report, HasPrintableTexts) {
  Report report = FullReport();
  report.description = "a\n\x1b\xff";
  EXPECT_EQ(DecodeReport(EncodeReport(report))->description, "a???");
}

TEST(Report, IsRefusedIfCutOrLengthened) {
  const std::string bytes = EncodeReport(FullReport());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeReport(bytes.substr(0, size)).status().code(), absl::StatusCode::kInternal)
        << size;
  }
  EXPECT_FALSE(DecodeReport(bytes + "x").ok());
}

TEST(Report, HasOnlyValuesThatExistHoweverDamaged) {
  const std::string bytes = EncodeReport(FullReport());
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string damaged = bytes;
    for (int i = random() % 3; i >= 0; --i) damaged[random() % damaged.size()] = random();
    const auto got = DecodeReport(damaged);
    if (!got.ok()) continue;
    ++accepted;
    EXPECT_LE(got->outcome.end, Outcome::End::kEngineFailed);
    EXPECT_LE(got->outcome.trap.cause, TrapCause::kBoundRange);
    EXPECT_LE(got->outcome.trap.access, Access::kFetch);
    EXPECT_LE(got->outcome.limit, Limit::kCpuTime);
    EXPECT_LE(got->status.code(), absl::StatusCode::kUnauthenticated);
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace vx
