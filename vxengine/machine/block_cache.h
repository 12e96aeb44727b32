// Decoded basic blocks, by the address at which they start.
#ifndef VXENGINE_MACHINE_BLOCK_CACHE_H_
#define VXENGINE_MACHINE_BLOCK_CACHE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "vxengine/machine/instruction.h"
#include "vxengine/machine/memory.h"
#include "vxengine/machine/outcome.h"

namespace vx {

// A run of instructions of which only the last may branch or be a repeated string instruction.
struct Block {
  uint32_t start = 0;
  uint32_t end = 0;    // where it goes on if nothing branches
  uint32_t count = 0;  // at least 1
  const Instruction* instructions = nullptr;
  // Where it went last. A block's successors are at first itself, which is true of what starts
  // there.
  std::array<Block*, 2> successors{};
};

// Jumps into the middle of instructions decode the same bytes many times over, so what is kept is
// bounded: when it is full, all goes.
class BlockCache {
 public:
  // The memory outlives the cache, and its executable pages don't change.
  BlockCache(const Memory* memory, Profile profile);
  ~BlockCache();

  // The block at `eip`, decoded if need be; good until a later call comes with `previous` null or
  // makes room. `previous`, where there is one, is the block that led here, and remembers it.
  Block* Find(uint32_t eip, Block* previous);

  // Instructions decoded and kept. For tests.
  uint32_t size() const { return instruction_count_; }

  static constexpr uint32_t kMaxBlockInstructions = 64;
  static constexpr uint32_t kMaxInstructions = 1 << 18;  // 32 bytes each, and up to one block each
  static constexpr uint32_t kMaxPages = 1 << 10;         // 32 KiB each

 private:
  // Blocks by the byte of a page where they start.
  using Page = std::array<Block*, Memory::kPageSize>;
  using Leaf = std::array<std::unique_ptr<Page>, 1024>;

  void Clear();
  Block*& Slot(uint32_t eip);
  Block* Build(uint32_t eip);

  const Memory* const memory_;
  const Profile profile_;
  std::array<std::unique_ptr<Leaf>, 1024> directory_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::unique_ptr<Instruction[]>> storage_;  // one for each block
  uint32_t instruction_count_ = 0;
  uint32_t page_count_ = 0;
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_BLOCK_CACHE_H_
