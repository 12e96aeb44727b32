#include "decoders/builtin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

namespace vxa::decoders {
namespace {

TEST(BuiltinTest, HoldsEachDecoderExactlyAsItWasBuilt) {
  ASSERT_FALSE(Builtins().empty());
  for (const Builtin& builtin : Builtins()) {
    std::string name(builtin.name);
    std::ifstream file("decoders/" + name + "/" + name + ".vx", std::ios::binary);
    ASSERT_TRUE(file) << name;
    std::string built{std::istreambuf_iterator<char>(file), {}};
    EXPECT_TRUE(builtin.elf == built)
        << name << ": " << builtin.elf.size() << " bytes embedded, " << built.size() << " built";
  }
}

TEST(BuiltinTest, ListsTheDecodersSortedByNameAndWithoutDuplicates) {
  auto not_ascending = [](const Builtin& a, const Builtin& b) { return a.name >= b.name; };
  EXPECT_EQ(std::ranges::adjacent_find(Builtins(), not_ascending), Builtins().end());
}

TEST(BuiltinTest, HoldsTheZlibDecoder) {
  auto named_zlib = [](const Builtin& builtin) { return builtin.name == "zlib"; };
  EXPECT_TRUE(std::ranges::any_of(Builtins(), named_zlib));
}

}  // namespace
}  // namespace vxa::decoders
