#include "vxengine/machine/symbols.h"

#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

namespace vx {
namespace {

// The ELF specification 1.2 (TIS, 1995), figures 1-3, 1-8 and 1-15.
constexpr size_t kFileHeaderSize = 52, kSectionHeaderSize = 40, kSymbolSize = 16;
constexpr size_t kShoff = 32, kShentsize = 46, kShnum = 48;
constexpr uint32_t kSymbolTable = 2, kStringTable = 3;
constexpr uint8_t kFunction = 2;
constexpr size_t kLongestName = 128;

using Bytes = std::span<const uint8_t>;

// REQUIRES: in bounds.
uint32_t Load(Bytes bytes, size_t offset, size_t size = 4) {
  uint32_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | bytes[offset + i];
  return value;
}

std::optional<Bytes> Slice(Bytes bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(offset, size);
}

std::string Name(Bytes strings, uint32_t offset) {
  std::string name;
  for (size_t i = offset; i < strings.size() && strings[i] != 0; ++i) {
    if (name.size() == kLongestName) break;
    name += strings[i] > 0x20 && strings[i] < 0x7f ? static_cast<char>(strings[i]) : '?';
  }
  return name;
}

struct Tables {
  Bytes symbols;
  Bytes strings;
};

std::optional<Tables> FindTables(Bytes elf) {
  if (elf.size() < kFileHeaderSize) return std::nullopt;
  const uint32_t count = Load(elf, kShnum, 2);
  const auto headers = Slice(elf, Load(elf, kShoff), uint64_t{count} * kSectionHeaderSize);
  if (!headers || Load(elf, kShentsize, 2) != kSectionHeaderSize) return std::nullopt;
  const auto word = [&headers](uint32_t section, size_t index) {
    return Load(*headers, section * kSectionHeaderSize + index * 4);
  };
  for (uint32_t section = 0; section < count; ++section) {
    if (word(section, 1) != kSymbolTable) continue;
    const uint32_t link = word(section, 6);
    if (link >= count || word(link, 1) != kStringTable) return std::nullopt;
    const auto symbols = Slice(elf, word(section, 4), word(section, 5));
    const auto strings = Slice(elf, word(link, 4), word(link, 5));
    if (!symbols || !strings) return std::nullopt;
    return Tables{*symbols, *strings};
  }
  return std::nullopt;
}

}  // namespace

std::string SymbolizeAddress(std::span<const uint8_t> elf, uint32_t address) {
  const std::optional<Tables> tables = FindTables(elf);
  if (!tables) return "";
  std::string best;
  uint32_t best_start = 0;
  for (size_t at = 0; at + kSymbolSize <= tables->symbols.size(); at += kSymbolSize) {
    const uint32_t start = Load(tables->symbols, at + 4);
    const uint32_t size = Load(tables->symbols, at + 8);
    const uint8_t type = tables->symbols[at + 12] & 0xf;
    if (type != kFunction || start > address || (!best.empty() && start <= best_start)) continue;
    if (size != 0 && address - start >= size) continue;
    std::string name = Name(tables->strings, Load(tables->symbols, at));
    if (name.empty()) continue;
    best = std::move(name);
    best_start = start;
  }
  if (best.empty()) return "";
  char digits[8];
  char* const end = std::to_chars(digits, digits + 8, address - best_start, 16).ptr;
  return best + "+0x" + std::string(digits, end);
}

}  // namespace vx
