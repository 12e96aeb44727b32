#include "vxengine/machine/elf_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "vxengine/testing/elf_builder.h"

namespace vx {
namespace {

using testing::BuildElf;
using testing::CodeElf;
using testing::ElfSpec;
using ::testing::HasSubstr;
using testing::kCodeAddress;
using testing::kDataAddress;
using testing::kDataSize;
using testing::kElfR;
using testing::kElfW;
using testing::kElfX;
using testing::PhdrOffset;
using testing::PutLe;

constexpr uint32_t kPage = Memory::kPageSize;
constexpr uint64_t kGib = uint64_t{1} << 30;

std::span<const uint8_t> AsBytes(const std::string& s) {
  return std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size());
}

// The message that refuses the image; "" if it is accepted.
std::string Refusal(const std::string& elf) {
  std::string error;
  if (ParseImage(AsBytes(elf), &error)) return "";
  EXPECT_NE(error, "");
  return error;
}

std::string RefusalOf(const ElfSpec& spec) { return Refusal(BuildElf(spec)); }

// CodeElf's image with a field overwritten.
std::string Spoiled(size_t offset, uint32_t value, size_t size) {
  std::string elf = CodeElf("\x90");
  PutLe(&elf, offset, value, size);
  return elf;
}

std::string SpoiledSegment(size_t segment, size_t field, uint32_t value) {
  return Spoiled(PhdrOffset(segment) + field, value, 4);
}

// Offsets within a program header.
enum { kType = 0, kOffset = 4, kVaddr = 8, kFilesz = 16, kMemsz = 20, kFlags = 24 };

TEST(ParseImage, FindsEntrySegmentsStackAndBreak) {
  const std::string elf = CodeElf("\x90\x90", "abc");
  std::string error;
  const auto image = ParseImage(AsBytes(elf), &error);
  ASSERT_TRUE(image) << error;
  EXPECT_EQ(image->entry, kCodeAddress);
  ASSERT_EQ(image->segments.size(), 2u);
  EXPECT_EQ(image->segments[0].address, kCodeAddress);
  EXPECT_EQ(image->segments[0].size, 2u);
  EXPECT_EQ(image->segments[0].permissions, Memory::kRead | Memory::kExecute);
  EXPECT_EQ(image->segments[0].bytes.size(), 2u);
  EXPECT_EQ(image->segments[1].address, kDataAddress);
  EXPECT_EQ(image->segments[1].size, kDataSize);
  EXPECT_EQ(image->segments[1].permissions, Memory::kRead | Memory::kWrite);
  EXPECT_EQ(image->segments[1].bytes.size(), 3u);
  EXPECT_EQ(image->stack_end(), kCodeAddress);
  EXPECT_EQ(image->initial_break(), kDataAddress + kDataSize);
}

TEST(ParseImage, NamesTheFileHeaderFieldThatIsWrong) {
  const struct {
    size_t offset;
    size_t size;
    uint32_t value;
    const char* message;
  } kCases[] = {
      {0, 1, 0x7e, "e_ident[EI_MAG] is 0x464c457e"},
      {3, 1, 'G', "e_ident[EI_MAG]"},
      {4, 1, 2, "e_ident[EI_CLASS] is 0x2"},
      {5, 1, 2, "e_ident[EI_DATA] is 0x2"},
      {6, 1, 0, "e_ident[EI_VERSION] is 0x0"},
      {7, 1, 9, "e_ident[EI_OSABI] is 0x9"},
      {7, 1, 1, "e_ident[EI_OSABI] is 0x1"},
      {16, 2, 3, "e_type is 0x3; wanted is 0x2"},
      {18, 2, 62, "e_machine is 0x3e"},
      {20, 4, 2, "e_version is 0x2"},
      {28, 4, 0xffffffff, "e_phoff=0xffffffff"},
      {42, 2, 56, "e_phentsize is 0x38"},
      {44, 2, 0, "e_phnum is 0"},
      {44, 2, 33, "e_phnum is 33"},
      {44, 2, 0xffff, "e_phnum is 65535"},
      {44, 2, 32, "the program headers"},
      {24, 4, kCodeAddress - 1, "e_entry is 0x8047fff"},
      {24, 4, kCodeAddress + 1, "e_entry is 0x8048001"},
      {24, 4, kDataAddress, "e_entry is 0x8100000"},
      {24, 4, 0, "e_entry is 0x0"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(Refusal(Spoiled(c.offset, c.value, c.size)), HasSubstr(c.message));
  }
}

TEST(ParseImage, AcceptsTheGnuOsAbi) { EXPECT_EQ(Refusal(Spoiled(7, 3, 1)), ""); }

TEST(ParseImage, NamesTheSegmentAndTheFieldThatAreWrong) {
  const struct {
    size_t segment;
    size_t field;
    uint32_t value;
    const char* message;
  } kCases[] = {
      {1, kType, 2, "segment 1 is PT_DYNAMIC"},
      {0, kType, 3, "segment 0 is PT_INTERP"},
      {1, kType, 7, "segment 1 is PT_TLS"},
      {1, kFlags, 7, "segment 1 is writable and executable (p_flags=0x7); relink"},
      {1, kFlags, 3, "segment 1 is writable and executable (p_flags=0x3)"},
      {1, kFlags, 2, "segment 1 has p_flags=0x2"},
      {1, kFlags, 1, "segment 1 has p_flags=0x1"},
      {1, kFlags, 0, "segment 1 has p_flags=0x0"},
      {1, kFlags, 0x80000004, "segment 1 has p_flags=0x80000004"},
      {0, kFilesz, 2, "segment 0 has p_filesz=0x2 over p_memsz=0x1"},
      {0, kOffset, 0xffffffff, "segment 0 (p_offset=0xffffffff, p_filesz=0x1) ends behind"},
      {0, kOffset, 0x10000, "segment 0 (p_offset=0x10000"},
      {0, kVaddr, 0xffff, "segment 0 (p_vaddr=0xffff, p_memsz=0x1) leaves [0x10000, 0xffff0000)"},
      {0, kVaddr, 0, "segment 0 (p_vaddr=0x0"},
      {1, kVaddr, 0xffff0000, "segment 1 (p_vaddr=0xffff0000"},
      {1, kMemsz, 0xffffffff, "segment 1 (p_vaddr=0x8100000, p_memsz=0xffffffff) leaves"},
      {1, kMemsz, 0xffff0001 - kDataAddress, "segment 1 (p_vaddr=0x8100000"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(Refusal(SpoiledSegment(c.segment, c.field, c.value)), HasSubstr(c.message));
  }
}

TEST(ParseImage, IgnoresOtherProgramHeaders) {
  for (uint32_t type : {0u, 4u, 6u, 0x6474e551u, 0x6474e553u}) {
    ElfSpec spec = {
        .entry = kCodeAddress,
        .segments = {{kCodeAddress, "\x90", 0, kElfR | kElfX}, {5, "note", 99, 7, type}}};
    EXPECT_EQ(RefusalOf(spec), "") << type;
  }
}

TEST(ParseImage, IgnoresEmptySegments) {
  EXPECT_EQ(RefusalOf({.entry = kCodeAddress,
                       .segments = {{kCodeAddress, "\x90", 0, kElfR | kElfX}, {0, "", 0, kElfR}}}),
            "");
  EXPECT_EQ(RefusalOf({.segments = {{kCodeAddress, "", 0, kElfR | kElfX}}}),
            "no segment has a byte in memory");
}

TEST(ParseImage, RefusesSegmentsThatShareAPage) {
  const auto refusal = [](uint32_t second, uint32_t memsz) {
    return RefusalOf({.entry = kCodeAddress,
                      .segments = {{second, "x", memsz, kElfR | kElfW},
                                   {kCodeAddress, "\x90", 0, kElfR | kElfX}}});
  };
  EXPECT_THAT(refusal(kCodeAddress + 1, 1), HasSubstr("segment 0 (p_vaddr=0x8048001) has bytes on "
                                                      "the same page as segment 1"));
  EXPECT_THAT(refusal(kCodeAddress + kPage - 1, 1), HasSubstr("the same page"));
  EXPECT_THAT(refusal(kCodeAddress, 1), HasSubstr("the same page"));
  EXPECT_THAT(refusal(kCodeAddress - kPage, kPage + 1), HasSubstr("the same page"));
  EXPECT_THAT(refusal(kCodeAddress - 0x10000, 0x80000000), HasSubstr("the same page"));
  EXPECT_EQ(refusal(kCodeAddress + kPage, 1), "");
  EXPECT_EQ(refusal(kCodeAddress - kPage, kPage), "");
}

TEST(ParseImage, WantsRoomForAStack) {
  const auto refusal = [](uint32_t address) {
    return RefusalOf({.entry = address, .segments = {{address, "\x90", 0, kElfR | kElfX}}});
  };
  EXPECT_EQ(refusal(0x20000), "");
  EXPECT_THAT(refusal(0x1ffff), HasSubstr("for the stack"));
  EXPECT_THAT(refusal(0x10000), HasSubstr("for the stack"));
}

TEST(ParseImage, AcceptsTheWholeAddressRange) {
  EXPECT_EQ(RefusalOf({.entry = 0x20000, .segments = {{0x20000, "", 0xfffd0000, kElfR | kElfX}}}),
            "");
}

TEST(ParseImage, RefusesEveryTruncation) {
  const std::string elf = CodeElf("\x90\x90\x90", "data");
  for (size_t size = 0; size < elf.size(); ++size) {
    EXPECT_NE(Refusal(elf.substr(0, size)), "") << size;
  }
}

TEST(ParseImage, SurvivesRandomDamage) {
  const std::string elf = CodeElf("\x90\x90\x90", "data");
  std::mt19937 random(1);
  for (int round = 0; round < 200'000; ++round) {
    std::string damaged = elf;
    for (int i = random() % 4; i >= 0; --i) damaged[random() % damaged.size()] = random();
    damaged.resize(damaged.size() - random() % 2 * (random() % 20));
    std::string error;
    const auto image = ParseImage(AsBytes(damaged), &error);
    if (!image) continue;
    // What is accepted can be laid out and mapped.
    const auto layout = LayOut(*image, 16 << 20, VX_STACK_SIZE, &error);
    if (!layout) continue;
    Memory memory;
    Registers registers;
    ASSERT_TRUE(MapImage(*image, *layout, {}, &memory, &registers, &error)) << error;
  }
}

Image ImageAt(uint32_t code, uint32_t size) {
  return {.entry = code,
          .segments = {{.address = code, .size = size, .permissions = Memory::kRead}}};
}

TEST(LayOut, PutsTheStackBelowAndTheHeapAboveTheImage) {
  std::string error;
  const auto layout = LayOut(ImageAt(0x08048123, 1), kGib, VX_STACK_SIZE, &error);
  ASSERT_TRUE(layout) << error;
  EXPECT_EQ(layout->stack_begin, 0x08048000u - VX_STACK_SIZE);
  EXPECT_EQ(layout->stack_end, 0x08048000u);
  EXPECT_EQ(layout->initial_break, 0x08049000u);
  EXPECT_EQ(layout->break_ceiling, 0x08049000u + kGib - VX_STACK_SIZE - kPage);
}

TEST(LayOut, GivesAStackThatFitsBelowTheImage) {
  std::string error;
  const auto layout = LayOut(ImageAt(0x21000, 1), kGib, VX_STACK_SIZE, &error);
  ASSERT_TRUE(layout) << error;
  EXPECT_EQ(layout->stack_begin, 0x10000u);
}

TEST(LayOut, CountsWholePages) {
  std::string error;
  // Two pages of image, 16 of stack.
  const Image image = ImageAt(0x08048fff, 2);
  EXPECT_FALSE(LayOut(image, 18 * kPage - 1, VX_STACK_MIN, &error));
  EXPECT_EQ(error, "the image and its stack take 73728 bytes; the memory limit is 73727");
  const auto exact = LayOut(image, 19 * kPage - 1, VX_STACK_MIN + kPage - 1, &error);
  ASSERT_TRUE(exact) << error;
  EXPECT_EQ(exact->break_ceiling, exact->initial_break);
  EXPECT_EQ(exact->stack_end - exact->stack_begin, uint32_t{VX_STACK_MIN});
}

TEST(LayOut, KeepsTheHeapBelowTheHighestAddress) {
  std::string error;
  const auto layout = LayOut(ImageAt(0x08048000, 1), UINT64_MAX, VX_STACK_SIZE, &error);
  ASSERT_TRUE(layout) << error;
  EXPECT_EQ(layout->break_ceiling, uint32_t{VX_HIGHEST_ADDRESS});
}

TEST(LayOut, RefusesASmallStack) {
  std::string error;
  EXPECT_FALSE(LayOut(ImageAt(0x08048000, 1), kGib, VX_STACK_MIN - 1, &error));
  EXPECT_THAT(error, HasSubstr("the stack limit is 65535 bytes"));
}

class MapImageTest : public ::testing::Test {
 protected:
  bool Map(const std::string& elf, const std::vector<std::string>& arguments,
           uint32_t stack = VX_STACK_SIZE) {
    const auto image = ParseImage(AsBytes(elf), &error_);
    if (!image) return false;
    const auto layout = LayOut(*image, kGib, stack, &error_);
    return layout && MapImage(*image, *layout, arguments, &memory_, &registers_, &error_);
  }

  uint32_t Word(uint32_t address) {
    uint32_t value = 0, fault;
    EXPECT_TRUE(memory_.Load(address, &value, &fault)) << std::hex << fault;
    return value;
  }

  std::string Text(uint32_t address) {
    std::string text;
    uint8_t c = 1;
    for (uint32_t fault; memory_.Load(address, &c, &fault) && c != 0; ++address) text += c;
    EXPECT_EQ(c, 0) << "runs out of memory";
    return text;
  }

  bool May(uint32_t address, uint8_t permissions) {
    uint32_t fault;
    return memory_.Check(address, 1, permissions, &fault);
  }

  Memory memory_;
  Registers registers_;
  std::string error_;
};

TEST_F(MapImageTest, MapsSegmentsWithTheirPermissionsAndZerosAroundTheirBytes) {
  const std::string elf =
      BuildElf({.entry = kCodeAddress + 0x10,
                .segments = {{kCodeAddress + 0x10, "\x90", 0, kElfR | kElfX},
                             {kDataAddress + 2, "\x11\x22", kPage, kElfR | kElfW},
                             {0x09000000, "ro", 0, kElfR}}});
  ASSERT_TRUE(Map(elf, {})) << error_;
  EXPECT_EQ(Word(kCodeAddress + 0xe), 0x00900000u);
  EXPECT_EQ(Word(kDataAddress), 0x22110000u);
  EXPECT_EQ(Word(kDataAddress + 4), 0u);
  EXPECT_EQ(Word(0x09000000), 0x6f72u);
  EXPECT_TRUE(May(kCodeAddress, Memory::kRead | Memory::kExecute));
  EXPECT_FALSE(May(kCodeAddress, Memory::kWrite));
  EXPECT_TRUE(May(kDataAddress + 2 * kPage - 1, Memory::kRead | Memory::kWrite));
  EXPECT_FALSE(May(kDataAddress, Memory::kExecute));
  EXPECT_FALSE(May(kDataAddress + 2 * kPage, Memory::kRead));
  EXPECT_FALSE(May(0x09000000, Memory::kWrite));
  EXPECT_FALSE(May(0x09001000, Memory::kRead));
  EXPECT_FALSE(May(0, Memory::kRead));
  EXPECT_TRUE(May(kCodeAddress - 1, Memory::kRead | Memory::kWrite));
  EXPECT_TRUE(May(kCodeAddress - VX_STACK_SIZE, Memory::kRead | Memory::kWrite));
  EXPECT_FALSE(May(kCodeAddress - VX_STACK_SIZE - 1, Memory::kRead));
  EXPECT_EQ(memory_.mapped_bytes(), uint64_t{VX_STACK_SIZE} + 4 * kPage);
}

TEST_F(MapImageTest, StartsWithArgcAtEspAndAllElseAtItsInitialValue) {
  ASSERT_TRUE(Map(CodeElf("\x90"), {"one", "", "three"})) << error_;
  Registers expected;
  expected.eip = kCodeAddress;
  expected.gpr[kEsp] = registers_.gpr[kEsp];
  EXPECT_EQ(registers_, expected);
  const uint32_t esp = registers_.gpr[kEsp];
  EXPECT_EQ(esp % 16, 0u);
  EXPECT_EQ(Word(esp), 4u);
  EXPECT_EQ(Text(Word(esp + 4)), "vx");
  EXPECT_EQ(Text(Word(esp + 8)), "one");
  EXPECT_EQ(Text(Word(esp + 12)), "");
  EXPECT_EQ(Text(Word(esp + 16)), "three");
  EXPECT_EQ(Word(esp + 20), 0u);
  EXPECT_EQ(Word(esp + 24), 0u);
  // The strings lie in order, up to the end of the stack, and the pointers close below them.
  EXPECT_EQ(Word(esp + 8), Word(esp + 4) + 3);
  EXPECT_EQ(Word(esp + 12), Word(esp + 8) + 4);
  EXPECT_EQ(Word(esp + 16), Word(esp + 12) + 1);
  EXPECT_EQ(Word(esp + 16) + 6, kCodeAddress);
  EXPECT_GE(Word(esp + 4), esp + 28);
  EXPECT_LT(Word(esp + 4), esp + 28 + 16);
}

TEST_F(MapImageTest, PassesAsManyBytesOfArgumentsAsTheAbiSays) {
  EXPECT_TRUE(Map(CodeElf("\x90"), {std::string(VX_ARGUMENTS_MAX - 1, 'a')})) << error_;
}

TEST_F(MapImageTest, PassesAsManyEmptyArguments) {
  ASSERT_TRUE(Map(CodeElf("\x90"), std::vector<std::string>(VX_ARGUMENTS_MAX))) << error_;
  EXPECT_EQ(Word(registers_.gpr[kEsp]), VX_ARGUMENTS_MAX + 1u);
}

TEST_F(MapImageTest, RefusesArgumentsThatCannotBePassed) {
  EXPECT_FALSE(Map(CodeElf("\x90"), {std::string(VX_ARGUMENTS_MAX, 'a')}));
  EXPECT_EQ(error_, "the arguments take more than 65536 bytes with their NULs");
  EXPECT_FALSE(Map(CodeElf("\x90"), {"ok", std::string("a\0b", 3)}));
  EXPECT_EQ(error_, "argument 2 has a NUL byte inside");
  EXPECT_FALSE(Map(CodeElf("\x90"), {std::string(VX_ARGUMENTS_MAX - 1, 'a')}, VX_STACK_MIN));
  EXPECT_THAT(error_, HasSubstr("of a stack of 65536"));
  EXPECT_EQ(memory_.mapped_bytes(), 0u);
}

}  // namespace
}  // namespace vx
