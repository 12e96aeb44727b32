#include "decoders/builtin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

namespace vxa::decoders {
namespace {

std::string File(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

class BuiltinTest : public testing::TestWithParam<std::span<const Builtin>> {};

INSTANTIATE_TEST_SUITE_P(DecodersAndEncoders, BuiltinTest, testing::Values(Builtins(), Encoders()));

TEST_P(BuiltinTest, HoldsEachGuestExactlyAsItWasBuilt) {
  ASSERT_FALSE(GetParam().empty());
  for (const Builtin& builtin : GetParam()) {
    const std::string name(builtin.name), folder = name.substr(0, name.find("_encode"));
    const std::string built = File("decoders/" + folder + "/" + name + ".vx");
    EXPECT_TRUE(builtin.elf == built)
        << name << ": " << builtin.elf.size() << " bytes embedded, " << built.size() << " built";
  }
}

TEST(RebuiltTest, DecodersAreTheSameFilesCompiledInAnotherFolder) {
  for (const Builtin& builtin : Builtins()) {
    const std::string name(builtin.name);
    EXPECT_TRUE(File("decoders/" + name + "/" + name + ".rebuilt.vx") == builtin.elf) << name;
  }
}

TEST_P(BuiltinTest, ListsGuestsSortedByNameAndWithoutDuplicates) {
  auto not_ascending = [](const Builtin& a, const Builtin& b) { return a.name >= b.name; };
  EXPECT_EQ(std::ranges::adjacent_find(GetParam(), not_ascending), GetParam().end());
}

TEST(ZlibTest, IsAmongBoth) {
  auto is_named = [](const char* name) {
    return [name](const Builtin& builtin) { return builtin.name == name; };
  };
  EXPECT_TRUE(std::ranges::any_of(Builtins(), is_named("zlib")));
  EXPECT_TRUE(std::ranges::any_of(Encoders(), is_named("zlib_encode")));
}

}  // namespace
}  // namespace vxa::decoders
