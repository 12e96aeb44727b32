#include "vxengine/machine/system_calls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace vx {
namespace {

using Result = SystemCalls::Result;

constexpr uint32_t kPage = Memory::kPageSize;
constexpr uint32_t kBuffer = 0x100000;  // 32 writable pages, then one read-only, then nothing
constexpr uint32_t kBufferSize = 32 * kPage;
constexpr uint32_t kReadOnly = kBuffer + kBufferSize;
constexpr uint32_t kHeap = 0x200000;
constexpr uint32_t kCeiling = kHeap + 16 * kPage;

class Host final : public SystemCallHost {
 public:
  bool Read(std::span<uint8_t> buffer, size_t* count) override {
    ++reads;
    EXPECT_FALSE(buffer.empty());
    if (fails) return false;
    *count = std::min({buffer.size(), input.size(), most_per_read});
    std::memcpy(buffer.data(), input.data(), *count);
    input.erase(0, *count);
    return true;
  }

  bool Write(int fd, std::span<const uint8_t> bytes) override {
    EXPECT_FALSE(bytes.empty());
    if (fails) return false;
    (fd == 1 ? output : diagnostics).append(bytes.begin(), bytes.end());
    return true;
  }

  std::string input, output, diagnostics;
  size_t most_per_read = SIZE_MAX;
  int reads = 0;
  bool fails = false;
};

class SystemCallsTest : public ::testing::Test {
 protected:
  SystemCallsTest() {
    memory_.Map(kBuffer / kPage, kBufferSize / kPage, Memory::kRead | Memory::kWrite);
    memory_.Map(kReadOnly / kPage, 1, Memory::kRead | Memory::kExecute);
  }

  Result Call(uint32_t number, uint32_t edx = 0, uint32_t ecx = 0, uint32_t ebx = 0) {
    registers_.gpr = {number, ecx, edx, ebx, 0x44444444, 0x55555555, 0x66666666, 0x77777777};
    const Registers before = registers_;
    const Result result = calls_.Call();
    Registers expected = before;
    if (result == Result::kContinue) expected.gpr[kEax] = registers_.gpr[kEax];
    EXPECT_EQ(registers_, expected) << "a call changes EAX only";
    return result;
  }

  // The value of EAX after a call that returns.
  int32_t Value(uint32_t number, uint32_t edx = 0, uint32_t ecx = 0, uint32_t ebx = 0) {
    EXPECT_EQ(Call(number, edx, ecx, ebx), Result::kContinue);
    return static_cast<int32_t>(registers_.gpr[kEax]);
  }

  bool Mapped(uint32_t address) {
    uint32_t fault;
    return memory_.Check(address, 1, Memory::kRead | Memory::kWrite, &fault);
  }

  std::string Bytes(uint32_t address, size_t size) {
    std::string bytes(size, '\0');
    uint32_t fault;
    EXPECT_TRUE(
        memory_.Read(address, std::span(reinterpret_cast<uint8_t*>(bytes.data()), size), &fault));
    return bytes;
  }

  void Put(uint32_t address, const std::string& bytes) {
    uint32_t fault;
    ASSERT_TRUE(memory_.Write(
        address, std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), &fault));
  }

  Memory memory_;
  Registers registers_;
  Host host_;
  SystemCalls calls_{&memory_,
                     &registers_,
                     &host_,
                     {.initial_break = kHeap, .break_ceiling = kCeiling},
                     /*output_limit=*/0x30000};
};

TEST_F(SystemCallsTest, ExitKeepsAllBitsOfTheStatus) {
  EXPECT_EQ(Call(VX_CALL_EXIT, 0x80000100), Result::kExit);
  EXPECT_EQ(registers_.gpr[kEdx], 0x80000100u);
}

TEST_F(SystemCallsTest, UnknownNumbersAreNotImplemented) {
  for (uint32_t number : {0u, 5u, 0xffffffffu, 0x80000001u, 0x101u}) {
    EXPECT_EQ(Value(number), -VX_ENOSYS) << number;
  }
}

TEST_F(SystemCallsTest, BreakMapsAndUnmapsWholePages) {
  EXPECT_FALSE(Mapped(kHeap));
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap), 0);
  EXPECT_FALSE(Mapped(kHeap));
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap + 1), 0);
  EXPECT_TRUE(Mapped(kHeap + kPage - 1));
  EXPECT_FALSE(Mapped(kHeap + kPage));
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap + kPage), 0);
  EXPECT_FALSE(Mapped(kHeap + kPage));
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap + kPage + 1), 0);
  EXPECT_TRUE(Mapped(kHeap + kPage));
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap), 0);
  EXPECT_FALSE(Mapped(kHeap));
}

TEST_F(SystemCallsTest, ShrinkingKeepsTheKeptPageAndClearsTheOthers) {
  ASSERT_EQ(Value(VX_CALL_BRK, kHeap + 2 * kPage), 0);
  Put(kHeap + 0x800, "kept");
  Put(kHeap + kPage, "lost");
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap + 1), 0);
  EXPECT_FALSE(Mapped(kHeap + kPage));
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap + 2 * kPage), 0);
  EXPECT_EQ(Bytes(kHeap + 0x800, 4), "kept");
  EXPECT_EQ(Bytes(kHeap + kPage, 4), std::string(4, '\0'));
}

TEST_F(SystemCallsTest, BreakStopsAtTheCeiling) {
  EXPECT_EQ(Value(VX_CALL_BRK, kCeiling), 0);
  EXPECT_TRUE(Mapped(kCeiling - 1));
  EXPECT_EQ(Value(VX_CALL_BRK, kCeiling + 1), -VX_ENOMEM);
  EXPECT_EQ(Value(VX_CALL_BRK, 0xffffffff), -VX_ENOMEM);
  EXPECT_TRUE(Mapped(kCeiling - 1));
  EXPECT_FALSE(Mapped(kCeiling));
}

TEST_F(SystemCallsTest, BreakBelowTheHeapChangesNothing) {
  ASSERT_EQ(Value(VX_CALL_BRK, kHeap + 1), 0);
  EXPECT_EQ(Value(VX_CALL_BRK, kHeap - 1), 0);
  EXPECT_EQ(Value(VX_CALL_BRK, 0), 0);
  EXPECT_TRUE(Mapped(kHeap));
}

TEST_F(SystemCallsTest, ReadGivesTheFullLengthUnlessTheInputEnds) {
  host_.input = std::string(100'000, 'i');
  host_.most_per_read = 7;
  EXPECT_EQ(Value(VX_CALL_READ, 0, kBuffer, 99'990), 99'990);
  EXPECT_EQ(Value(VX_CALL_READ, 0, kBuffer, 100), 10);
  EXPECT_EQ(Bytes(kBuffer + 99'989, 2), std::string("i\0", 2));
  EXPECT_EQ(Value(VX_CALL_READ, 0, kBuffer, 100), 0);
  EXPECT_EQ(calls_.bytes_in(), 100'000u);
}

TEST_F(SystemCallsTest, TheEndOfTheInputIsForGood) {
  EXPECT_EQ(Value(VX_CALL_READ, 0, kBuffer, 1), 0);
  host_.input = "more";
  EXPECT_EQ(Value(VX_CALL_READ, 0, kBuffer, 1), 0);
  EXPECT_EQ(host_.reads, 1);
}

TEST_F(SystemCallsTest, ReadTouchesOnlyTheBytesRead) {
  host_.input = "in";
  Put(kBuffer, "....");
  EXPECT_EQ(Value(VX_CALL_READ, 0, kBuffer, 4), 2);
  EXPECT_EQ(Bytes(kBuffer, 4), "in..");
}

TEST_F(SystemCallsTest, WriteMovesAllOfTheBuffer) {
  const std::string bytes(0x12345, 'o');
  Put(kBuffer + 3, bytes);
  EXPECT_EQ(Value(VX_CALL_WRITE, 1, kBuffer + 3, 0x12345), 0x12345);
  EXPECT_EQ(host_.output, bytes);
  EXPECT_EQ(calls_.bytes_out(), 0x12345u);
  EXPECT_EQ(Value(VX_CALL_WRITE, 1, kReadOnly, 1), 1) << "reading is enough";
}

TEST_F(SystemCallsTest, ChecksDescriptorThenLengthThenBuffer) {
  struct {
    uint32_t number, fd, buffer, length;
    int32_t expected;
  } const kCases[] = {
      {VX_CALL_READ, 1, 0, 0xffffffff, -VX_EBADF},
      {VX_CALL_READ, 2, kBuffer, 0, -VX_EBADF},
      {VX_CALL_READ, 0xffffffff, kBuffer, 1, -VX_EBADF},
      {VX_CALL_WRITE, 0, 0, 0xffffffff, -VX_EBADF},
      {VX_CALL_WRITE, 3, kBuffer, 0, -VX_EBADF},
      {VX_CALL_WRITE, 0x101, kBuffer, 1, -VX_EBADF},
      {VX_CALL_READ, 0, 0, 0x80000000, -VX_EINVAL},
      {VX_CALL_WRITE, 1, 0, 0x80000000, -VX_EINVAL},
      {VX_CALL_WRITE, 2, kBuffer, 0xffffffff, -VX_EINVAL},
      {VX_CALL_READ, 0, 0, 0, 0},
      {VX_CALL_WRITE, 1, 0xffffffff, 0, 0},
      {VX_CALL_WRITE, 2, 0, 0, 0},
      {VX_CALL_READ, 0, 0, 1, -VX_EFAULT},
      {VX_CALL_READ, 0, kReadOnly, 1, -VX_EFAULT},
      {VX_CALL_READ, 0, kReadOnly - 1, 2, -VX_EFAULT},
      {VX_CALL_READ, 0, kBuffer, 0x7fffffff, -VX_EFAULT},
      {VX_CALL_WRITE, 1, kReadOnly, kPage + 1, -VX_EFAULT},
      {VX_CALL_WRITE, 1, kBuffer - 1, 2, -VX_EFAULT},
      {VX_CALL_WRITE, 2, 0xfffffff0, 0x20, -VX_EFAULT},
      {VX_CALL_WRITE, 1, 0xffffffff, 0x7fffffff, -VX_EFAULT},
  };
  host_.input = "input";
  for (const auto& c : kCases) {
    EXPECT_EQ(Value(c.number, c.fd, c.buffer, c.length), c.expected)
        << c.number << " " << c.fd << " " << c.buffer << " " << c.length;
  }
  EXPECT_EQ(host_.input, "input");
  EXPECT_EQ(host_.output + host_.diagnostics, "");
  EXPECT_EQ(calls_.bytes_in() + calls_.bytes_out(), 0u);
}

TEST_F(SystemCallsTest, KeepsTheFirstBytesOfDiagnosticsAndSwallowsTheRest) {
  Put(kBuffer, std::string(0xffff, 'd') + "xyz");
  EXPECT_EQ(Value(VX_CALL_WRITE, 2, kBuffer, 0xffff), 0xffff);
  EXPECT_EQ(Value(VX_CALL_WRITE, 2, kBuffer + 0xffff, 3), 3);
  EXPECT_EQ(Value(VX_CALL_WRITE, 2, kBuffer, 0x10000), 0x10000);
  EXPECT_EQ(host_.diagnostics, std::string(0xffff, 'd') + "x");
  EXPECT_EQ(calls_.bytes_out(), 0u);
}

TEST_F(SystemCallsTest, AWriteThatWouldPassTheOutputLimitMovesNothing) {
  EXPECT_EQ(Value(VX_CALL_WRITE, 1, kBuffer, 0x20000), 0x20000);
  EXPECT_EQ(Call(VX_CALL_WRITE, 1, kBuffer, 0x10001), Result::kOutputLimit);
  EXPECT_EQ(calls_.bytes_out(), 0x20000u);
  EXPECT_EQ(Value(VX_CALL_WRITE, 1, kBuffer, 0x10000), 0x10000);
  EXPECT_EQ(Value(VX_CALL_WRITE, 2, kBuffer, 1), 1) << "diagnostics are no output";
  EXPECT_EQ(Call(VX_CALL_WRITE, 1, kBuffer, 1), Result::kOutputLimit);
}

TEST_F(SystemCallsTest, AHostThatFailsIsNeverAnErrno) {
  host_.fails = true;
  EXPECT_EQ(Call(VX_CALL_READ, 0, kBuffer, 1), Result::kHostFailed);
  EXPECT_EQ(Call(VX_CALL_WRITE, 1, kBuffer, 1), Result::kHostFailed);
  EXPECT_EQ(Call(VX_CALL_WRITE, 2, kBuffer, 1), Result::kHostFailed);
}

TEST_F(SystemCallsTest, LargeCallsCostMoreEffort) {
  const uint64_t start = calls_.effort();
  Value(VX_CALL_WRITE, 1, kBuffer, 1);
  const uint64_t small = calls_.effort() - start;
  Value(VX_CALL_WRITE, 1, kBuffer, 0x10000);
  EXPECT_GT(calls_.effort() - start, 2 * small);
}

}  // namespace
}  // namespace vx
