#include "vxengine/machine/block_cache.h"

#include <algorithm>

#include "vxengine/machine/decoder.h"

namespace vx {
namespace {

// What can be fetched at `eip`, up to the longest instruction.
struct Fetched {
  std::array<uint8_t, kMaxInstructionLength> bytes{};
  uint32_t count = 0;
};

Fetched Fetch(const Memory& memory, uint32_t eip) {
  Fetched fetched;
  uint64_t at = eip;
  while (fetched.count < kMaxInstructionLength && at <= UINT32_MAX) {
    const uint32_t page = static_cast<uint32_t>(at / Memory::kPageSize);
    const uint32_t offset = static_cast<uint32_t>(at % Memory::kPageSize);
    const uint8_t* bytes = memory.ReadablePage(page, Memory::kExecute);
    if (bytes == nullptr) break;
    const uint32_t size =
        std::min(kMaxInstructionLength - fetched.count, Memory::kPageSize - offset);
    std::copy_n(bytes + offset, size, fetched.bytes.begin() + fetched.count);
    fetched.count += size;
    at += size;
  }
  return fetched;
}

}  // namespace

BlockCache::BlockCache(const Memory* memory, Profile profile)
    : memory_(memory), profile_(profile) {}

BlockCache::~BlockCache() = default;

void BlockCache::Clear() {
  for (std::unique_ptr<Leaf>& leaf : directory_) leaf.reset();
  blocks_.clear();
  storage_.clear();
  instruction_count_ = 0;
  page_count_ = 0;
}

Block*& BlockCache::Slot(uint32_t eip) {
  const uint32_t page = eip / Memory::kPageSize;
  std::unique_ptr<Leaf>& leaf = directory_[page / 1024];
  if (!leaf) leaf = std::make_unique<Leaf>();
  std::unique_ptr<Page>& blocks = (*leaf)[page % 1024];
  if (!blocks) {
    blocks = std::make_unique<Page>();
    ++page_count_;
  }
  return (*blocks)[eip % Memory::kPageSize];
}

Block* BlockCache::Find(uint32_t eip, Block* previous) {
  Block** slot = &Slot(eip);
  if (*slot == nullptr) {
    if (instruction_count_ > kMaxInstructions - kMaxBlockInstructions || page_count_ > kMaxPages) {
      Clear();
      previous = nullptr;
      slot = &Slot(eip);
    }
    *slot = Build(eip);
  }
  if (previous != nullptr) {
    previous->successors[1] = previous->successors[0];
    previous->successors[0] = *slot;
  }
  return *slot;
}

Block* BlockCache::Build(uint32_t eip) {
  std::array<Instruction, kMaxBlockInstructions> decoded;
  uint32_t count = 0, at = eip;
  bool ends = false;
  while (!ends && count < kMaxBlockInstructions) {
    const Fetched fetched = Fetch(*memory_, at);
    Instruction& instruction = decoded[count++];
    ends = Decode({fetched.bytes.data(), fetched.count}, at, profile_, &instruction);
    at = instruction.next();
  }
  auto& instructions = storage_.emplace_back(std::make_unique<Instruction[]>(count + 1));
  std::copy_n(decoded.begin(), count, instructions.get());
  instructions[count] = kBlockEnd;
  instruction_count_ += count;
  Block* block = blocks_.emplace_back(std::make_unique<Block>()).get();
  *block = {.start = eip, .end = at, .count = count, .instructions = instructions.get()};
  block->successors = {block, block};
  return block;
}

}  // namespace vx
