// Guest images for tests, made from bytes written by hand: no compiler or linker is needed.
//
//   // mov eax, VX_CALL_EXIT; mov edx, 7; syscall
//   std::string elf = CodeElf("\xb8\x01\x00\x00\x00\xba\x07\x00\x00\x00\x0f\x05"s);
#ifndef VXENGINE_TESTING_ELF_BUILDER_H_
#define VXENGINE_TESTING_ELF_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace vx::testing {

// p_flags of a segment (ELF specification 1.2, figure 2-2).
inline constexpr uint32_t kElfX = 1, kElfW = 2, kElfR = 4;

// Where CodeElf puts things.
inline constexpr uint32_t kCodeAddress = 0x08048000;
inline constexpr uint32_t kDataAddress = 0x08100000;
inline constexpr uint32_t kDataSize = 0x10000;

// Offsets in an image of BuildElf, for tests that spoil a field.
inline constexpr size_t kEhdrSize = 52, kPhdrSize = 32, kShdrSize = 40;
constexpr size_t PhdrOffset(size_t segment) { return kEhdrSize + segment * kPhdrSize; }

struct ElfSegment {
  uint32_t vaddr = 0;
  std::string bytes;
  uint32_t memsz = 0;  // the larger of this and bytes.size() is what the image says
  uint32_t flags = kElfR;
  uint32_t type = 1;  // PT_LOAD
};

struct ElfSymbol {
  std::string name;
  uint32_t address = 0;
  uint32_t size = 0;
};

struct ElfSpec {
  uint32_t entry = 0;
  std::vector<ElfSegment> segments;
  std::vector<ElfSymbol> symbols;  // functions; if there are any, the image has sections
};

inline void PutLe(std::string* image, size_t offset, uint32_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) image->at(offset + i) = static_cast<char>(value >> (8 * i));
}

inline void AppendLe(std::string* image, uint32_t value, size_t size = 4) {
  image->append(size, '\0');
  PutLe(image, image->size() - size, value, size);
}

// Bytes({0x0f, 0x05}): code bytes without casts and escapes.
inline std::string Bytes(std::initializer_list<uint8_t> bytes) {
  return std::string(bytes.begin(), bytes.end());
}

// The 4 little-endian bytes of an immediate or an address.
inline std::string Imm32(uint32_t value) {
  std::string bytes;
  AppendLe(&bytes, value);
  return bytes;
}

// File header, program headers, the segments' bytes in order, then symbols and section headers if
// any.
inline std::string BuildElf(const ElfSpec& spec) {
  std::string image(
      "\x7f"
      "ELF\x01\x01\x01",
      7);
  image.append(9, '\0');                      // OSABI, ABI version, padding
  AppendLe(&image, 2, 2);                     // e_type: ET_EXEC
  AppendLe(&image, 3, 2);                     // e_machine: EM_386
  AppendLe(&image, 1);                        // e_version
  AppendLe(&image, spec.entry);               // e_entry
  AppendLe(&image, kEhdrSize);                // e_phoff
  AppendLe(&image, 0);                        // e_shoff
  AppendLe(&image, 0);                        // e_flags
  AppendLe(&image, kEhdrSize, 2);             // e_ehsize
  AppendLe(&image, kPhdrSize, 2);             // e_phentsize
  AppendLe(&image, spec.segments.size(), 2);  // e_phnum
  AppendLe(&image, kShdrSize, 2);             // e_shentsize
  AppendLe(&image, 0, 2);                     // e_shnum
  AppendLe(&image, 0, 2);                     // e_shstrndx
  size_t offset = PhdrOffset(spec.segments.size());
  for (const ElfSegment& segment : spec.segments) {
    const uint32_t filesz = segment.bytes.size();
    AppendLe(&image, segment.type);
    AppendLe(&image, offset);
    AppendLe(&image, segment.vaddr);
    AppendLe(&image, segment.vaddr);
    AppendLe(&image, filesz);
    AppendLe(&image, segment.memsz > filesz ? segment.memsz : filesz);
    AppendLe(&image, segment.flags);
    AppendLe(&image, 0x1000);
    offset += filesz;
  }
  for (const ElfSegment& segment : spec.segments) image += segment.bytes;
  if (spec.symbols.empty()) return image;

  std::string names(1, '\0'), table(16, '\0');
  for (const ElfSymbol& symbol : spec.symbols) {
    AppendLe(&table, names.size());
    AppendLe(&table, symbol.address);
    AppendLe(&table, symbol.size);
    AppendLe(&table, 2, 1);  // st_info: STB_LOCAL, STT_FUNC
    AppendLe(&table, 0, 1);
    AppendLe(&table, 1, 2);
    names += symbol.name;
    names += '\0';
  }
  const uint32_t names_at = image.size(), table_at = names_at + names.size();
  image += names + table;
  PutLe(&image, 32, image.size(), 4);  // e_shoff
  PutLe(&image, 48, 3, 2);             // e_shnum: null, .symtab, .strtab, in that order
  const auto section = [&image](uint32_t type, uint32_t at, size_t size, uint32_t link,
                                uint32_t entsize) {
    for (uint32_t word :
         {0u, type, 0u, 0u, at, static_cast<uint32_t>(size), link, 0u, 4u, entsize}) {
      AppendLe(&image, word);
    }
  };
  section(0, 0, 0, 0, 0);
  section(2, table_at, table.size(), 2, 16);
  section(3, names_at, names.size(), 0, 0);
  return image;
}

// An image that starts at the first byte of `code`, with `data` (zeros up to kDataSize behind it)
// to read and write at kDataAddress.
inline std::string CodeElf(std::string code, std::string data = "",
                           std::vector<ElfSymbol> symbols = {}) {
  return BuildElf({.entry = kCodeAddress,
                   .segments = {{kCodeAddress, std::move(code), 0, kElfR | kElfX},
                                {kDataAddress, std::move(data), kDataSize, kElfR | kElfW}},
                   .symbols = std::move(symbols)});
}

}  // namespace vx::testing

#endif  // VXENGINE_TESTING_ELF_BUILDER_H_
