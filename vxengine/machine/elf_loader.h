// From the bytes of an ELF file that nobody vouches for to a guest's memory and registers at its
// start.
//
// What an image may be is told in vxengine/abi.h (VX_LOWEST_ADDRESS and on). It is decided here,
// for all engines, that:
//  - p_flags is exactly R, R+W or R+X; a PT_LOAD with p_memsz 0 is checked for that and then
//  ignored,
//    and p_offset counts only where p_filesz isn't 0;
//  - the entry point lies in [p_vaddr, p_vaddr + p_memsz) of an executable segment;
//  - e_flags, e_ehsize, EI_ABIVERSION, p_paddr, p_align, alignment of any kind, the order of
//  program
//    headers, and program headers of other types mean nothing.
#ifndef VXENGINE_MACHINE_ELF_LOADER_H_
#define VXENGINE_MACHINE_ELF_LOADER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vxengine/machine/memory.h"
#include "vxengine/machine/outcome.h"

namespace vx {

// A PT_LOAD that isn't empty. All of [address, address + size) is within an image's range, and no
// other segment has a byte on its pages.
struct Segment {
  uint32_t number = 0;  // of its program header, counted from 0
  uint32_t address = 0;
  uint32_t size = 0;               // bytes in memory, > 0; those behind `bytes` are zero
  uint8_t permissions = 0;         // of Memory::Permission
  std::span<const uint8_t> bytes;  // in the file, at most `size`

  uint32_t first_page() const { return address / Memory::kPageSize; }
  uint32_t end_page() const { return (address + size - 1) / Memory::kPageSize + 1; }
};

struct Image {
  uint32_t entry = 0;
  std::vector<Segment> segments;  // at least one, by ascending address

  // The stack ends where the lowest segment's page begins, the heap begins where the highest one's
  // ends.
  uint32_t stack_end() const { return segments.front().first_page() * Memory::kPageSize; }
  uint32_t initial_break() const { return segments.back().end_page() * Memory::kPageSize; }
};

// Parses and checks an ELF file. The image points into `elf`, which must outlive it. On failure
// nullopt, and `error` names the field, the segment and the value.
std::optional<Image> ParseImage(std::span<const uint8_t> elf, std::string* error);

// Where a run has its stack and heap: a function of the image and the limits, so that all engines
// agree.
struct Layout {
  uint32_t stack_begin = 0;
  uint32_t stack_end = 0;
  uint32_t initial_break = 0;
  uint32_t break_ceiling = 0;  // the highest break that brk grants
};

// Gives the image a stack of at most `stack` bytes, and a heap of what then is left of `memory`
// bytes; all in whole pages. nullopt and an `error` if the image and its stack alone need more than
// `memory`, or if the stack would be smaller than VX_STACK_MIN.
std::optional<Layout> LayOut(const Image& image, uint64_t memory, uint32_t stack,
                             std::string* error);

// Maps the image and its stack and sets the registers for the first instruction. From the top of
// the stack down lie: the strings of argv, in order, the last one's NUL in the stack's last byte; 0
// to 15 bytes of padding; NULL (envp), NULL, argv[argc-1] … argv[0], argc, at which ESP points.
// argv[0] is VX_ARGV0, the rest are `arguments`. False and an `error` if those can't be passed.
// REQUIRES: `layout` is the image's, nothing is mapped, the registers are as constructed.
bool MapImage(const Image& image, const Layout& layout, std::span<const std::string> arguments,
              Memory* memory, Registers* registers, std::string* error);

// Makes memory that MapImage mapped for this image and layout, and that a run has used since, what
// MapImage would make of one where nothing is mapped, and the registers likewise. Pages that a
// guest can't write are left alone. `layout` may have another ceiling of the break than then.
bool RestoreImage(const Image& image, const Layout& layout, std::span<const std::string> arguments,
                  Memory* memory, Registers* registers, std::string* error);

}  // namespace vx

#endif  // VXENGINE_MACHINE_ELF_LOADER_H_
