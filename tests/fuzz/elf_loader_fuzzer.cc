// Images that nobody vouches for: what vxengine/machine/elf_loader.h admits is as it promises, and
// so is the memory that becomes of it. The symbol table comes from the same file.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/check.h"
#include "vxengine/abi.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/machine/symbols.h"

namespace {

using vx::Image;
using vx::Layout;
using vx::Memory;
using vx::Segment;
using vxa::fuzz::Check;

constexpr uint32_t kPageSize = Memory::kPageSize;
constexpr uint64_t kMostMapped = uint64_t{1} << 20;  // more takes too long to look at

void CheckImage(std::span<const uint8_t> elf, const Image& image) {
  Check(!image.segments.empty(), "no segments");
  uint32_t free_page = 0;
  bool entry_is_code = false;
  for (const Segment& s : image.segments) {
    Check(s.size > 0 && s.bytes.size() <= s.size, "a segment's size");
    Check(s.address >= VX_LOWEST_ADDRESS, "a segment begins too low");
    Check(uint64_t{s.address} + s.size <= VX_HIGHEST_ADDRESS, "a segment ends too high");
    Check(s.first_page() >= free_page, "segments share a page, or aren't sorted");
    free_page = s.end_page();
    Check(s.permissions == Memory::kRead || s.permissions == (Memory::kRead | Memory::kWrite) ||
              s.permissions == (Memory::kRead | Memory::kExecute),
          "permissions");
    if (!s.bytes.empty()) {
      Check(s.bytes.data() >= elf.data() &&
                s.bytes.data() + s.bytes.size() <= elf.data() + elf.size(),
            "a segment's bytes are outside of the file");
    }
    entry_is_code |= (s.permissions & Memory::kExecute) != 0 && image.entry >= s.address &&
                     image.entry - s.address < s.size;
  }
  Check(entry_is_code, "the entry is in no executable segment");
  Check(image.stack_end() <= image.segments.front().address &&
            image.stack_end() >= VX_LOWEST_ADDRESS + VX_STACK_MIN,
        "no room for the stack");
  Check(image.initial_break() > image.segments.back().address &&
            image.initial_break() <= VX_HIGHEST_ADDRESS,
        "where the heap begins");
}

uint64_t ImageBytes(const Image& image) {
  uint64_t bytes = 0;
  for (const Segment& s : image.segments)
    bytes += uint64_t{s.end_page() - s.first_page()} * kPageSize;
  return bytes;
}

void CheckLayout(const Image& image, uint64_t memory, uint32_t stack, const Layout& layout) {
  const uint64_t size = uint64_t{layout.stack_end} - layout.stack_begin;
  Check(layout.stack_end == image.stack_end() && layout.stack_begin >= VX_LOWEST_ADDRESS,
        "where the stack is");
  Check(size >= VX_STACK_MIN && size <= stack && size % kPageSize == 0, "the stack's size");
  Check(layout.initial_break == image.initial_break() &&
            layout.break_ceiling >= layout.initial_break &&
            layout.break_ceiling <= VX_HIGHEST_ADDRESS,
        "where the heap is");
  Check(ImageBytes(image) + size + (layout.break_ceiling - layout.initial_break) <= memory,
        "more than the memory limit");
}

// Each page has the permissions and bytes that it should, and there is no other.
void CheckMemory(const Image& image, const Layout& layout, const Memory& memory) {
  uint64_t pages = (layout.stack_end - layout.stack_begin) / kPageSize;
  for (const Segment& s : image.segments) {
    std::vector<uint8_t> wanted(uint64_t{s.end_page() - s.first_page()} * kPageSize);
    std::copy(s.bytes.begin(), s.bytes.end(), wanted.begin() + s.address % kPageSize);
    for (uint32_t page = s.first_page(); page < s.end_page(); ++page, ++pages) {
      const uint8_t* const bytes = memory.ReadablePage(page, s.permissions);
      Check(bytes != nullptr, "a page lacks a permission");
      for (uint8_t more : {Memory::kWrite, Memory::kExecute}) {
        if ((s.permissions & more) == 0) {
          Check(memory.ReadablePage(page, more) == nullptr, "a page has a permission too many");
        }
      }
      Check(
          std::memcmp(bytes, &wanted[uint64_t{page - s.first_page()} * kPageSize], kPageSize) == 0,
          "a page's bytes");
    }
  }
  Check(memory.mapped_bytes() == pages * kPageSize, "pages that nobody asked for");
}

uint32_t Word(const Memory& memory, uint32_t address) {
  uint32_t word = 0, fault = 0;
  Check(memory.Load(address, &word, &fault), "the stack can't be read");
  return word;
}

void CheckStart(const Image& image, const Layout& layout, std::span<const std::string> arguments,
                const Memory& memory, const vx::Registers& registers) {
  Check(registers.eip == image.entry, "EIP");
  const uint32_t esp = registers.gpr[vx::kEsp];
  Check(esp % 16 == 0 && esp >= layout.stack_begin && esp < layout.stack_end, "ESP");
  Check(Word(memory, esp) == arguments.size() + 1, "argc");
  for (uint32_t n = 0; n <= arguments.size(); ++n) {
    const std::string wanted = n == 0 ? VX_ARGV0 : arguments[n - 1];
    std::vector<uint8_t> got(wanted.size() + 1);
    uint32_t fault = 0;
    Check(memory.Read(Word(memory, esp + 4 * (n + 1)), got, &fault), "an argument can't be read");
    Check(std::memcmp(got.data(), wanted.c_str(), got.size()) == 0, "an argument");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> elf(data, size);
  std::string error;
  const std::optional<Image> image = vx::ParseImage(elf, &error);
  Check(image.has_value() == error.empty(), "refused without a reason, or with one admitted");
  for (uint32_t address : {uint32_t{0}, image ? image->entry : 0x08048000u, UINT32_MAX}) {
    const std::string symbol = vx::SymbolizeAddress(elf, address);
    Check(symbol.size() <= 128 + sizeof("+0x12345678"), "a symbol's name is too long");
    Check(std::ranges::all_of(symbol, [](char c) { return c > 0x20 && c < 0x7f; }),
          "a symbol's name can't be printed");
  }
  if (!image) return 0;
  CheckImage(elf, *image);

  const uint64_t own = ImageBytes(*image);
  for (uint64_t memory : {own, own + VX_STACK_MIN, uint64_t{1} << 33}) {
    for (uint32_t stack : {0u, VX_STACK_MIN - 1u, VX_STACK_MIN + 1u, UINT32_MAX}) {
      const std::optional<Layout> layout = vx::LayOut(*image, memory, stack, &error);
      if (layout) CheckLayout(*image, memory, stack, *layout);
    }
  }
  if (own > kMostMapped) return 0;
  const std::optional<Layout> layout =
      vx::LayOut(*image, own + VX_STACK_MIN + 5 * kPageSize, VX_STACK_MIN, &error);
  Check(layout.has_value(), "refused, although there is enough memory");
  const std::vector<std::string> arguments = {"", "raw"};
  Memory mapped;
  vx::Registers registers;
  Check(vx::MapImage(*image, *layout, arguments, &mapped, &registers, &error), "not mapped");
  CheckMemory(*image, *layout, mapped);
  CheckStart(*image, *layout, arguments, mapped, registers);
  return 0;
}
