#include "client/text.h"

#include <gtest/gtest.h>

namespace vxa::client {
namespace {

TEST(Printable, LeavesTextInAnyLanguageAlone) {
  EXPECT_EQ(Printable("plain \\ text"), "plain \\ text");
  EXPECT_EQ(Printable("ünï 日本 𝄞"), "ünï 日本 𝄞");
}

TEST(Printable, ShowsControlCharactersAsBytes) {
  EXPECT_EQ(Printable("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
  EXPECT_EQ(Printable("\x7f\xc2\x9b"), "\\x7f\\xc2\\x9b");
}

TEST(Printable, ShowsCharactersThatReorderTextAsBytes) {
  EXPECT_EQ(Printable("a\u202Eb"), "a\\xe2\\x80\\xaeb");
}

TEST(Printable, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(Printable("\xff"), "\\xff");
  EXPECT_EQ(Printable("\xc3"), "\\xc3");                    // cut short
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(PrintableLines, KeepsLinesAndIndentsAllButTheFirst) {
  EXPECT_EQ(PrintableLines("", "  "), "");
  EXPECT_EQ(PrintableLines("one", "  "), "one");
  EXPECT_EQ(PrintableLines("one\ntwo\n\nfour", "  "), "one\n  two\n  \n  four");
}

TEST(PrintableLines, MakesEveryLineSafe) {
  EXPECT_EQ(PrintableLines("a\r\x1b[1m\nb\xff\tc", ""), "a\\x0d\\x1b[1m\nb\\xff\tc");
}

TEST(IsUtf8, KnowsGoodFromBad) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("aü日𝄞"));
  EXPECT_FALSE(IsUtf8("a\xfc"));
  EXPECT_FALSE(IsUtf8("\xe6\x97"));
}

TEST(IsNumber, TakesDecimalDigitsAlone) {
  for (const char* text : {"0", "7", "10", "18446744073709551615"}) {
    EXPECT_TRUE(IsNumber(text)) << text;
  }
  for (const char* text :
       {"", "-1", "+1", " 1", "1 ", "1.0", "0x10", "010", "x", "18446744073709551616"}) {
    EXPECT_FALSE(IsNumber(text)) << text;
  }
}

TEST(Thousands, GroupsDigits) {
  EXPECT_EQ(Thousands(0), "0");
  EXPECT_EQ(Thousands(999), "999");
  EXPECT_EQ(Thousands(1000), "1,000");
  EXPECT_EQ(Thousands(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(Count, HasTheWordThatBelongsToTheNumber) {
  EXPECT_EQ(Count(0, "run", "runs"), "0 runs");
  EXPECT_EQ(Count(1, "run", "runs"), "1 run");
  EXPECT_EQ(Count(2000, "run", "runs"), "2,000 runs");
}

TEST(HumanSize, PicksAUnit) {
  EXPECT_EQ(HumanSize(1023), "1023 bytes");
  EXPECT_EQ(HumanSize(1536), "1.5 KiB");
  EXPECT_EQ(HumanSize(uint64_t{5} << 30), "5.0 GiB");
  EXPECT_EQ(HumanSize(UINT64_MAX), "16.0 EiB");
}

TEST(Percent, OfNothingIsADash) {
  EXPECT_EQ(Percent(0, 0), "-");
  EXPECT_EQ(Percent(461, 1000), "46.1%");
}

TEST(Table, AlignsColumnsByCharacters) {
  EXPECT_EQ(Table({{"N", "NAME", "X"}, {"10", "ü", "y"}}, "><<"), " N  NAME  X\n10  ü     y\n");
}

}  // namespace
}  // namespace vxa::client
