#include "vxengine/machine/elf_loader.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <utility>

namespace vx {
namespace {

// The ELF specification 1.2 (TIS, 1995), figures 1-3 and 2-1: offsets and sizes of what is used
// here.
constexpr size_t kFileHeaderSize = 52;
constexpr size_t kProgramHeaderSize = 32;
constexpr size_t kPhoff = 28;
constexpr size_t kEntry = 24;
constexpr size_t kPhnum = 44;

enum SegmentType : uint32_t { kLoad = 1, kDynamic = 2, kInterp = 3, kTls = 7 };
enum SegmentFlags : uint32_t { kFlagX = 1, kFlagW = 2, kFlagR = 4 };

// A field of the file header that has to have one of two values (most often the same one twice).
struct FixedField {
  const char* name;
  size_t offset;
  size_t size;
  uint32_t value;
  uint32_t other_value;
  const char* meaning;
};

constexpr FixedField kFixedFields[] = {
    {"e_ident[EI_MAG]", 0, 4, 0x464c457f, 0x464c457f, "an ELF file"},
    {"e_ident[EI_CLASS]", 4, 1, 1, 1, "32-bit"},
    {"e_ident[EI_DATA]", 5, 1, 1, 1, "little-endian"},
    {"e_ident[EI_VERSION]", 6, 1, 1, 1, "version 1"},
    {"e_ident[EI_OSABI]", 7, 1, 0, 3, "System V (0) or GNU (3)"},
    {"e_type", 16, 2, 2, 2, "ET_EXEC, linked statically at a fixed address"},
    {"e_machine", 18, 2, 3, 3, "EM_386"},
    {"e_version", 20, 4, 1, 1, "version 1"},
    {"e_phentsize", 42, 2, kProgramHeaderSize, kProgramHeaderSize, "32 bytes"},
};

uint32_t Load(std::span<const uint8_t> bytes, size_t offset, size_t size) {
  uint32_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | bytes[offset + i];
  return value;
}

std::string Hex(uint64_t value) {
  char digits[16];
  return "0x" + std::string(digits, std::to_chars(digits, digits + 16, value, 16).ptr);
}

bool Fail(std::string* error, std::string message) {
  *error = std::move(message);
  return false;
}

bool CheckFileHeader(std::span<const uint8_t> elf, std::string* error) {
  if (elf.size() < kFileHeaderSize) {
    return Fail(error, "the file has " + std::to_string(elf.size()) +
                           " bytes; an ELF file header alone takes 52");
  }
  for (const FixedField& field : kFixedFields) {
    const uint32_t value = Load(elf, field.offset, field.size);
    if (value == field.value || value == field.other_value) continue;
    return Fail(error, std::string(field.name) + " is " + Hex(value) + "; wanted is " +
                           Hex(field.value) + ", " + field.meaning);
  }
  const uint32_t count = Load(elf, kPhnum, 2);
  if (count == 0 || count > VX_MAX_PROGRAM_HEADERS) {
    return Fail(error, "e_phnum is " + std::to_string(count) + "; 1 to " +
                           std::to_string(VX_MAX_PROGRAM_HEADERS) + " program headers are allowed");
  }
  const uint64_t offset = Load(elf, kPhoff, 4);
  if (offset + count * kProgramHeaderSize > elf.size()) {
    return Fail(error, "the program headers (e_phoff=" + Hex(offset) +
                           ", e_phnum=" + std::to_string(count) + ") end behind the file's " +
                           std::to_string(elf.size()) + " bytes");
  }
  return true;
}

// One program header: refuses it, ignores it, or adds a segment.
bool ParseProgramHeader(std::span<const uint8_t> elf, uint32_t number, Image* image,
                        std::string* error) {
  const size_t header = Load(elf, kPhoff, 4) + number * kProgramHeaderSize;
  const uint32_t type = Load(elf, header, 4);
  const uint32_t offset = Load(elf, header + 4, 4);
  const uint32_t address = Load(elf, header + 8, 4);
  const uint32_t file_size = Load(elf, header + 16, 4);
  const uint32_t memory_size = Load(elf, header + 20, 4);
  const uint32_t flags = Load(elf, header + 24, 4);
  const auto fail = [number, error](const std::string& message) {
    return Fail(error, "segment " + std::to_string(number) + message);
  };

  switch (type) {
    case kLoad:
      break;
    case kDynamic:
      return fail(" is PT_DYNAMIC (p_type=0x2); link statically");
    case kInterp:
      return fail(" is PT_INTERP (p_type=0x3); link statically");
    case kTls:
      return fail(" is PT_TLS (p_type=0x7); thread-local storage is not supported");
    default:
      return true;
  }
  if ((flags & kFlagW) && (flags & kFlagX)) {
    return fail(" is writable and executable (p_flags=" + Hex(flags) +
                "); relink without -z execstack, -N or --omagic");
  }
  if (flags != kFlagR && flags != (kFlagR | kFlagW) && flags != (kFlagR | kFlagX)) {
    return fail(" has p_flags=" + Hex(flags) + "; 0x4 (R), 0x6 (RW) and 0x5 (RX) are allowed");
  }
  if (file_size > memory_size) {
    return fail(" has p_filesz=" + Hex(file_size) + " over p_memsz=" + Hex(memory_size));
  }
  if (memory_size == 0) return true;
  if (file_size != 0 && uint64_t{offset} + file_size > elf.size()) {
    return fail(" (p_offset=" + Hex(offset) + ", p_filesz=" + Hex(file_size) +
                ") ends behind the file's " + std::to_string(elf.size()) + " bytes");
  }
  if (address < VX_LOWEST_ADDRESS || uint64_t{address} + memory_size > VX_HIGHEST_ADDRESS) {
    return fail(" (p_vaddr=" + Hex(address) + ", p_memsz=" + Hex(memory_size) + ") leaves [" +
                Hex(VX_LOWEST_ADDRESS) + ", " + Hex(VX_HIGHEST_ADDRESS) + ")");
  }
  const uint8_t permissions = Memory::kRead | (flags & kFlagW ? Memory::kWrite : 0) |
                              (flags & kFlagX ? Memory::kExecute : 0);
  image->segments.push_back(
      {.number = number,
       .address = address,
       .size = memory_size,
       .permissions = permissions,
       .bytes = file_size == 0 ? std::span<const uint8_t>() : elf.subspan(offset, file_size)});
  return true;
}

// What segments and entry have to be to each other. REQUIRES: the segments are sorted.
bool CheckWhole(const Image& image, std::string* error) {
  if (image.segments.empty()) return Fail(error, "no segment has a byte in memory");
  for (size_t i = 1; i < image.segments.size(); ++i) {
    const Segment& low = image.segments[i - 1];
    const Segment& high = image.segments[i];
    if (high.first_page() >= low.end_page()) continue;
    return Fail(error, "segment " + std::to_string(high.number) + " (p_vaddr=" + Hex(high.address) +
                           ") has bytes on the same page as segment " + std::to_string(low.number) +
                           " (p_vaddr=" + Hex(low.address) + ", p_memsz=" + Hex(low.size) + ")");
  }
  const auto holds_entry = [&image](const Segment& segment) {
    return (segment.permissions & Memory::kExecute) && image.entry >= segment.address &&
           image.entry - segment.address < segment.size;
  };
  if (std::none_of(image.segments.begin(), image.segments.end(), holds_entry)) {
    return Fail(error, "e_entry is " + Hex(image.entry) + ", which is in no executable segment");
  }
  if (image.stack_end() < VX_LOWEST_ADDRESS + VX_STACK_MIN) {
    return Fail(error, "segment " + std::to_string(image.segments.front().number) + " (p_vaddr=" +
                           Hex(image.segments.front().address) + ") leaves less than " +
                           Hex(VX_STACK_MIN) + " bytes below it for the stack; its page must be " +
                           Hex(VX_LOWEST_ADDRESS + VX_STACK_MIN) + " or higher");
  }
  return true;
}

uint64_t PageBytes(const Segment& segment) {
  return uint64_t{segment.end_page() - segment.first_page()} * Memory::kPageSize;
}

}  // namespace

std::optional<Image> ParseImage(std::span<const uint8_t> elf, std::string* error) {
  if (!CheckFileHeader(elf, error)) return std::nullopt;
  Image image;
  image.entry = Load(elf, kEntry, 4);
  const uint32_t count = Load(elf, kPhnum, 2);
  for (uint32_t number = 0; number < count; ++number) {
    if (!ParseProgramHeader(elf, number, &image, error)) return std::nullopt;
  }
  std::sort(image.segments.begin(), image.segments.end(),
            [](const Segment& a, const Segment& b) { return a.address < b.address; });
  if (!CheckWhole(image, error)) return std::nullopt;
  return image;
}

std::optional<Layout> LayOut(const Image& image, uint64_t memory, uint32_t stack,
                             std::string* error) {
  const uint32_t stack_size =
      std::min(stack, image.stack_end() - VX_LOWEST_ADDRESS) & ~(Memory::kPageSize - 1);
  if (stack_size < VX_STACK_MIN) {
    *error = "the stack limit is " + std::to_string(stack) + " bytes; a stack has " +
             std::to_string(VX_STACK_MIN) + " at least";
    return std::nullopt;
  }
  uint64_t fixed = stack_size;
  for (const Segment& segment : image.segments) fixed += PageBytes(segment);
  if (fixed > memory) {
    *error = "the image and its stack take " + std::to_string(fixed) +
             " bytes; the memory limit is " + std::to_string(memory);
    return std::nullopt;
  }
  const uint64_t heap = std::min<uint64_t>((memory - fixed) & ~uint64_t{Memory::kPageSize - 1},
                                           VX_HIGHEST_ADDRESS - image.initial_break());
  return Layout{.stack_begin = image.stack_end() - stack_size,
                .stack_end = image.stack_end(),
                .initial_break = image.initial_break(),
                .break_ceiling = image.initial_break() + static_cast<uint32_t>(heap)};
}

namespace {

// What lies on the stack at the start.
struct InitialStack {
  std::string strings, frame;
  uint32_t strings_at = 0, esp = 0;
};

std::optional<InitialStack> LayOutArguments(const Layout& layout,
                                            std::span<const std::string> arguments,
                                            std::string* error) {
  const auto fail = [error](const std::string& message) {
    *error = message;
    return std::nullopt;
  };
  std::string strings(VX_ARGV0, sizeof(VX_ARGV0));
  const size_t own = strings.size();
  std::vector<uint32_t> offsets = {0};
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].find('\0') != std::string::npos) {
      return fail("argument " + std::to_string(i + 1) + " has a NUL byte inside");
    }
    if (strings.size() - own + arguments[i].size() + 1 > VX_ARGUMENTS_MAX) {
      return fail("the arguments take more than " + std::to_string(VX_ARGUMENTS_MAX) +
                  " bytes with their NULs");
    }
    offsets.push_back(strings.size());
    strings.append(arguments[i].c_str(), arguments[i].size() + 1);
  }
  const uint32_t stack_size = layout.stack_end - layout.stack_begin;
  // At most 64 KiB of strings and as many pointers: no overflow.
  const uint32_t words = offsets.size() + 3;
  const uint64_t needed = strings.size() + uint64_t{words} * 4 + 15;
  if (needed > stack_size) {
    return fail("the arguments take " + std::to_string(needed) + " bytes of a stack of " +
                std::to_string(stack_size));
  }
  const uint32_t strings_at = layout.stack_end - static_cast<uint32_t>(strings.size());
  std::string frame;
  const auto push = [&frame](uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) frame += static_cast<char>(word >> shift & 0xff);
  };
  push(offsets.size());
  for (uint32_t offset : offsets) push(strings_at + offset);
  push(0);
  push(0);
  return InitialStack{.strings = std::move(strings),
                      .frame = std::move(frame),
                      .strings_at = strings_at,
                      .esp = (strings_at - words * 4) & ~uint32_t{15}};
}

void Start(const Image& image, const InitialStack& stack, Memory* memory, Registers* registers) {
  const auto bytes = [](const std::string& s) {
    return std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size());
  };
  memory->Initialize(stack.strings_at, bytes(stack.strings));
  memory->Initialize(stack.esp, bytes(stack.frame));
  registers->eip = image.entry;
  registers->gpr[kEsp] = stack.esp;
}

uint32_t StackPages(const Layout& layout) {
  return (layout.stack_end - layout.stack_begin) / Memory::kPageSize;
}

}  // namespace

bool MapImage(const Image& image, const Layout& layout, std::span<const std::string> arguments,
              Memory* memory, Registers* registers, std::string* error) {
  const std::optional<InitialStack> stack = LayOutArguments(layout, arguments, error);
  if (!stack) return false;
  for (const Segment& segment : image.segments) {
    const uint32_t first = segment.first_page(), count = segment.end_page() - first;
    memory->Map(first, count, Memory::kRead | Memory::kWrite);
    memory->Initialize(segment.address, segment.bytes);
    if ((segment.permissions & Memory::kWrite) == 0) {
      memory->Map(first, count, segment.permissions);
    }
  }
  memory->Map(layout.stack_begin / Memory::kPageSize, StackPages(layout),
              Memory::kRead | Memory::kWrite);
  Start(image, *stack, memory, registers);
  return true;
}

bool RestoreImage(const Image& image, const Layout& layout, std::span<const std::string> arguments,
                  Memory* memory, Registers* registers, std::string* error) {
  const std::optional<InitialStack> stack = LayOutArguments(layout, arguments, error);
  if (!stack) return false;
  uint64_t heap_pages = memory->mapped_bytes() / Memory::kPageSize - StackPages(layout);
  for (const Segment& segment : image.segments) {
    const uint32_t first = segment.first_page(), count = segment.end_page() - first;
    heap_pages -= count;
    if ((segment.permissions & Memory::kWrite) == 0) continue;
    memory->Zero(first, count);
    memory->Initialize(segment.address, segment.bytes);
  }
  memory->Unmap(layout.initial_break / Memory::kPageSize, static_cast<uint32_t>(heap_pages));
  memory->Zero(layout.stack_begin / Memory::kPageSize, StackPages(layout));
  memory->RestartPeak();
  *registers = Registers();
  Start(image, *stack, memory, registers);
  return true;
}

}  // namespace vx
