#include "vxengine/machine/block_cache.h"

#include <vector>

#include "gtest/gtest.h"

namespace vx {
namespace {

constexpr uint32_t kCode = 0x10000;

TEST(BlockCacheTest, ABlockEndsBehindItsBranch) {
  Memory memory;
  memory.Map(kCode >> 12, 1, Memory::kRead | Memory::kExecute);
  memory.Initialize(kCode, std::vector<uint8_t>{0x40, 0x40, 0xeb, 0xfc, 0x40});
  BlockCache cache(&memory, Profile::kVx2026);
  Block* block = cache.Find(kCode, nullptr);
  EXPECT_EQ(block->count, 3u);
  EXPECT_EQ(block->end, kCode + 4);
  EXPECT_EQ(cache.Find(kCode, nullptr), block);
}

TEST(BlockCacheTest, ABlockHasNoMoreThanItsMostInstructions) {
  Memory memory;
  memory.Map(kCode >> 12, 1, Memory::kRead | Memory::kExecute);
  memory.Initialize(kCode, std::vector<uint8_t>(Memory::kPageSize, 0x90));
  BlockCache cache(&memory, Profile::kVx2026);
  const Block* block = cache.Find(kCode, nullptr);
  EXPECT_EQ(block->count, BlockCache::kMaxBlockInstructions);
  EXPECT_EQ(block->end, kCode + BlockCache::kMaxBlockInstructions);
}

TEST(BlockCacheTest, ABlockRemembersWhereItWent) {
  Memory memory;
  memory.Map(kCode >> 12, 1, Memory::kRead | Memory::kExecute);
  memory.Initialize(kCode, std::vector<uint8_t>(Memory::kPageSize, 0xc3));
  BlockCache cache(&memory, Profile::kVx2026);
  Block* from = cache.Find(kCode, nullptr);
  EXPECT_EQ(from->successors[0], from);
  Block* to = cache.Find(kCode + 7, from);
  EXPECT_EQ(from->successors[0], to);
}

TEST(BlockCacheTest, EnteringCodeAtEveryByteKeepsTheCacheBounded) {
  constexpr uint32_t kPages = 16;
  Memory memory;
  memory.Map(kCode >> 12, kPages, Memory::kRead | Memory::kExecute);
  memory.Initialize(kCode, std::vector<uint8_t>(kPages * Memory::kPageSize, 0x90));
  BlockCache cache(&memory, Profile::kVx2026);
  uint32_t most = 0;
  for (uint32_t at = 0; at < kPages * Memory::kPageSize; ++at) {
    cache.Find(kCode + at, nullptr);
    ASSERT_LE(cache.size(), BlockCache::kMaxInstructions);
    most = std::max(most, cache.size());
  }
  EXPECT_GT(most, BlockCache::kMaxInstructions / 2);
}

TEST(BlockCacheTest, EnteringEveryPageKeepsTheCacheBounded) {
  Memory memory;
  BlockCache cache(&memory, Profile::kVx2026);
  for (uint32_t page = 0; page < 3 * BlockCache::kMaxPages; ++page) {
    cache.Find(page * Memory::kPageSize, nullptr);
    ASSERT_LE(cache.size(), BlockCache::kMaxPages + 1);
  }
}

}  // namespace
}  // namespace vx
