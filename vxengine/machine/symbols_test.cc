#include "vxengine/machine/symbols.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "vxengine/testing/elf_builder.h"

namespace vx {
namespace {

using testing::CodeElf;

std::string Symbolize(const std::string& elf, uint32_t address) {
  return SymbolizeAddress(std::span(reinterpret_cast<const uint8_t*>(elf.data()), elf.size()),
                          address);
}

TEST(SymbolizeAddress, NamesTheFunctionAndTheOffset) {
  const std::string elf =
      CodeElf("\x90", "", {{"later", 0x1100, 0x10}, {"start", 0x1000, 0}, {"sized", 0x1050, 0x20}});
  EXPECT_EQ(Symbolize(elf, 0xfff), "");
  EXPECT_EQ(Symbolize(elf, 0x1000), "start+0x0");
  EXPECT_EQ(Symbolize(elf, 0x104f), "start+0x4f");
  EXPECT_EQ(Symbolize(elf, 0x106f), "sized+0x1f");
  EXPECT_EQ(Symbolize(elf, 0x1070), "start+0x70");
  EXPECT_EQ(Symbolize(elf, 0x110f), "later+0xf");
}

TEST(SymbolizeAddress, KnowsNothingWithoutATable) { EXPECT_EQ(Symbolize(CodeElf("\x90"), 0), ""); }

TEST(SymbolizeAddress, MakesNamesPrintableAndShort) {
  EXPECT_EQ(Symbolize(CodeElf("\x90", "", {{"a\n\x1b[31m\xff b", 0, 0}}), 1), "a??[31m??b+0x1");
  EXPECT_EQ(Symbolize(CodeElf("\x90", "", {{std::string(10000, 'x'), 0, 0}}), 1),
            std::string(128, 'x') + "+0x1");
}

TEST(SymbolizeAddress, SurvivesDamageOfAnyKind) {
  const std::string elf = CodeElf("\x90", "", {{"one", 0x1000, 0x10}, {"two", 0x1010, 0}});
  for (size_t size = 0; size < elf.size(); ++size) {
    EXPECT_EQ(Symbolize(elf.substr(0, size), 0x1000), "") << size;
  }
  std::mt19937 random(1);
  for (int round = 0; round < 100'000; ++round) {
    std::string damaged = elf;
    for (int i = random() % 4; i >= 0; --i) damaged[random() % damaged.size()] = random();
    EXPECT_LE(Symbolize(damaged, 0x1000 + random() % 0x20).size(), 150u);
  }
}

}  // namespace
}  // namespace vx
