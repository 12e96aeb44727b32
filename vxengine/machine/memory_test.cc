#include "vxengine/machine/memory.h"

#include <vector>

#include "gtest/gtest.h"

namespace vx {
namespace {

constexpr uint8_t kReadWrite = Memory::kRead | Memory::kWrite;

TEST(MemoryTest, NothingIsMappedAtFirst) {
  Memory memory;
  uint32_t fault = 1;
  EXPECT_FALSE(memory.Check(0x12345678, 1, Memory::kNone, &fault));
  EXPECT_EQ(fault, 0x12345678u);
  EXPECT_EQ(memory.ReadablePage(0x12345, Memory::kRead), nullptr);
  EXPECT_EQ(memory.WritablePage(0x12345), nullptr);
  EXPECT_EQ(memory.mapped_bytes(), 0u);
}

TEST(MemoryTest, MappedPagesReadAsZeroUntilWritten) {
  Memory memory;
  memory.Map(0x10, 2, kReadWrite);
  uint32_t fault = 0, value = 1;
  ASSERT_TRUE(memory.Load<uint32_t>(0x10ffe, &value, &fault));
  EXPECT_EQ(value, 0u);
  ASSERT_TRUE(memory.Store<uint32_t>(0x10ffe, 0x44332211, &fault));
  ASSERT_TRUE(memory.Load<uint32_t>(0x10ffe, &value, &fault));
  EXPECT_EQ(value, 0x44332211u);
}

TEST(MemoryTest, IntegersAreLittleEndianAcrossPages) {
  Memory memory;
  memory.Map(0x10, 2, kReadWrite);
  uint32_t fault = 0;
  ASSERT_TRUE(memory.Store<uint64_t>(0x10ffd, 0x8877665544332211, &fault));
  std::vector<uint8_t> bytes(8);
  ASSERT_TRUE(memory.Read(0x10ffd, bytes, &fault));
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}));
  uint16_t half = 0;
  ASSERT_TRUE(memory.Load<uint16_t>(0x10fff, &half, &fault));
  EXPECT_EQ(half, 0x4433);
  uint8_t byte = 0;
  ASSERT_TRUE(memory.Load<uint8_t>(0x11004, &byte, &fault));
  EXPECT_EQ(byte, 0x88);
}

TEST(MemoryTest, AFaultMovesNothingAndTellsTheFirstBadByte) {
  Memory memory;
  memory.Map(0x10, 1, kReadWrite);
  memory.Map(0x11, 1, Memory::kRead);
  uint32_t fault = 0;
  EXPECT_FALSE(memory.Store<uint32_t>(0x10fff, 0xffffffff, &fault));
  EXPECT_EQ(fault, 0x11000u);
  uint32_t value = 1;
  EXPECT_TRUE(memory.Load<uint32_t>(0x10fff, &value, &fault));
  EXPECT_EQ(value, 0u);
  EXPECT_FALSE(memory.Load<uint32_t>(0x11ffd, &value, &fault));
  EXPECT_EQ(fault, 0x12000u);
}

TEST(MemoryTest, ChecksEveryPermissionAskedFor) {
  Memory memory;
  memory.Map(0x10, 1, Memory::kRead | Memory::kExecute);
  uint32_t fault = 0;
  EXPECT_TRUE(memory.Check(0x10000, 0x1000, Memory::kRead, &fault));
  EXPECT_TRUE(memory.Check(0x10000, 0x1000, Memory::kRead | Memory::kExecute, &fault));
  EXPECT_FALSE(memory.Check(0x10004, 1, kReadWrite, &fault));
  EXPECT_EQ(fault, 0x10004u);
  EXPECT_NE(memory.ReadablePage(0x10, Memory::kExecute), nullptr);
  EXPECT_EQ(memory.WritablePage(0x10), nullptr);
}

TEST(MemoryTest, ZeroBytesAreAccessibleAnywhere) {
  Memory memory;
  uint32_t fault = 0;
  EXPECT_TRUE(memory.Check(0, 0, kReadWrite, &fault));
  EXPECT_TRUE(memory.Read(0xffffffff, {}, &fault));
}

TEST(MemoryTest, ARangeThatWrapsFaultsAtZero) {
  Memory memory;
  memory.Map(0xfffff, 1, kReadWrite);
  memory.Map(0, 1, kReadWrite);
  uint32_t fault = 1, value = 0;
  EXPECT_TRUE(memory.Load<uint32_t>(0xfffffffc, &value, &fault));
  EXPECT_FALSE(memory.Load<uint32_t>(0xfffffffd, &value, &fault));
  EXPECT_EQ(fault, 0u);
  EXPECT_FALSE(memory.Check(0xfffff000, 0xffffffff, kReadWrite, &fault));
  EXPECT_EQ(fault, 0u);
}

TEST(MemoryTest, UnmappedPagesComeBackZero) {
  Memory memory;
  memory.Map(0x10, 3, kReadWrite);
  uint32_t fault = 0, value = 0;
  ASSERT_TRUE(memory.Store<uint32_t>(0x11000, 7, &fault));
  memory.Unmap(0x11, 1);
  EXPECT_FALSE(memory.Load<uint32_t>(0x11000, &value, &fault));
  EXPECT_EQ(memory.mapped_bytes(), 0x2000u);
  memory.Map(0x11, 1, kReadWrite);
  ASSERT_TRUE(memory.Load<uint32_t>(0x11000, &value, &fault));
  EXPECT_EQ(value, 0u);
  EXPECT_EQ(memory.mapped_bytes(), 0x3000u);
}

TEST(MemoryTest, NewPermissionsKeepTheBytes) {
  Memory memory;
  memory.Map(0x10, 1, kReadWrite);
  uint32_t fault = 0, value = 0;
  ASSERT_TRUE(memory.Store<uint32_t>(0x10000, 7, &fault));
  memory.Map(0x10, 1, Memory::kRead);
  ASSERT_TRUE(memory.Load<uint32_t>(0x10000, &value, &fault));
  EXPECT_EQ(value, 7u);
  EXPECT_FALSE(memory.Store<uint32_t>(0x10000, 8, &fault));
  EXPECT_EQ(memory.mapped_bytes(), 0x1000u);
}

TEST(MemoryTest, TheLoaderWritesWhateverThePermissions) {
  Memory memory;
  memory.Map(0x10, 2, Memory::kRead | Memory::kExecute);
  const std::vector<uint8_t> bytes(0x1800, 0x5a);
  memory.Initialize(0x10400, bytes);
  std::vector<uint8_t> back(0x1800);
  uint32_t fault = 0;
  ASSERT_TRUE(memory.Read(0x10400, back, &fault));
  EXPECT_EQ(back, bytes);
}

TEST(MemoryTest, PagesBecomeZeroAgain) {
  Memory memory;
  memory.Map(0x10, 3, kReadWrite);
  uint32_t fault = 0, value = 0;
  for (uint32_t address : {0x10ffc, 0x11000, 0x12000}) {
    ASSERT_TRUE(memory.Store<uint32_t>(address, 7, &fault));
  }
  const uint64_t generation = memory.generation();
  memory.Zero(0x11, 1);
  EXPECT_NE(memory.generation(), generation);
  ASSERT_TRUE(memory.Load<uint32_t>(0x11000, &value, &fault));
  EXPECT_EQ(value, 0u);
  for (uint32_t address : {0x10ffc, 0x12000}) {
    ASSERT_TRUE(memory.Load<uint32_t>(address, &value, &fault));
    EXPECT_EQ(value, 7u);
  }
}

TEST(MemoryTest, ThePeakOutlivesUnmapping) {
  Memory memory;
  memory.Map(0x100, 1024, kReadWrite);
  memory.Unmap(0x100, 1000);
  EXPECT_EQ(memory.mapped_bytes(), 24u * 0x1000);
  EXPECT_EQ(memory.peak_mapped_bytes(), 1024u * 0x1000);
  memory.RestartPeak();
  EXPECT_EQ(memory.peak_mapped_bytes(), 24u * 0x1000);
}

TEST(MemoryTest, TheGenerationTellsThatPagePointersAreStale) {
  Memory memory;
  memory.Map(0x10, 1, kReadWrite);
  const uint8_t* zero = memory.ReadablePage(0x10, Memory::kRead);
  uint64_t generation = memory.generation();
  uint8_t* own = memory.WritablePage(0x10);
  EXPECT_NE(zero, own);
  EXPECT_NE(memory.generation(), generation);
  generation = memory.generation();
  EXPECT_EQ(memory.WritablePage(0x10), own);
  EXPECT_EQ(memory.ReadablePage(0x10, Memory::kRead), own);
  EXPECT_EQ(memory.generation(), generation);
  memory.Unmap(0x10, 1);
  EXPECT_NE(memory.generation(), generation);
}

}  // namespace
}  // namespace vx
