#include "archive/names.h"

#include <string>

#include "archive/errors.h"
#include "gtest/gtest.h"

namespace vxa {
namespace {

using std::string_view_literals::operator""sv;

TEST(NamesTest, AcceptsNamesThatFollowTheRules) {
  for (std::string_view name :
       {"a"sv, "a/b/c.txt"sv, ".hidden"sv, "..."sv, "a b"sv,
        "gr\xc3\xb6\xc3\x9f"
        "e"sv,
        "\xf0\x9f\x8d\x95"sv, "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_TRUE(CheckName(name).ok()) << CheckName(name);
  }
  EXPECT_TRUE(CheckName(std::string(kMaxNameBytes, 'x')).ok());
}

TEST(NamesTest, RefusesEverythingElse) {
  for (std::string_view name : {""sv,
                                "/"sv,
                                "/a"sv,
                                "a/"sv,
                                "a//b"sv,
                                "."sv,
                                ".."sv,
                                "a/.."sv,
                                "./a"sv,
                                "a\0b"sv,
                                "\x1f"sv,
                                "\x7f"sv,
                                "\xc2\x80"sv,
                                "\xc2\x9f"sv,
                                "\x80"sv,
                                "\xc0\xaf"sv,
                                "\xc3"sv,
                                "\xe0\x80\x80"sv,
                                "\xed\xa0\x80"sv,
                                "\xf4\x90\x80\x80"sv,
                                "\xf8\x88\x80\x80\x80"sv,
                                "\xff"sv}) {
    EXPECT_EQ(ReasonName(CheckName(name)), "INVALID_NAME") << name;
  }
  EXPECT_FALSE(CheckName(std::string(kMaxNameBytes + 1, 'x')).ok());
}

TEST(NamesTest, SaysWhichRuleIsBrokenAndWhere) {
  EXPECT_NE(CheckName("ab/../c").message().find("\"..\" at byte 3"), std::string::npos)
      << CheckName("ab/../c");
}

TEST(NamesTest, KnowsOneNamespace) {
  EXPECT_TRUE(CheckNamespace("default").ok());
  EXPECT_EQ(ReasonName(CheckNamespace("other")), "NAMESPACE_NOT_FOUND");
  EXPECT_EQ(ReasonName(CheckNamespace("")), "INVALID_NAME");
  EXPECT_EQ(ReasonName(CheckNamespace("a/b")), "INVALID_NAME");
}

}  // namespace
}  // namespace vxa
