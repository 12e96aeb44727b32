#include "client/names.h"

#include <gtest/gtest.h>

namespace vxa::client {
namespace {

std::string Name(const std::string& path) { return NameOfPath(path).value_or("(none)"); }

TEST(NameOfPath, KeepsARelativePathAsTyped) {
  EXPECT_EQ(Name("letters/1.txt"), "letters/1.txt");
  EXPECT_EQ(Name("a b/ü"), "a b/ü");
  EXPECT_EQ(Name(".hidden"), ".hidden");
  EXPECT_EQ(Name("a..b/...c"), "a..b/...c");
}

TEST(NameOfPath, DropsWhatNoNameMayHave) {
  EXPECT_EQ(Name("/etc/passwd"), "etc/passwd");
  EXPECT_EQ(Name("./x"), "x");
  EXPECT_EQ(Name("a//b/./c/"), "a/b/c");
}

TEST(NameOfPath, ResolvesDotDotAndDropsWhatLeadsOut) {
  EXPECT_EQ(Name("a/../b"), "b");
  EXPECT_EQ(Name("../../x/y"), "x/y");
  EXPECT_EQ(Name("a/b/../../../c"), "c");
}

TEST(NameOfPath, RefusesAPathThatLeavesNothing) {
  for (const char* path : {"", "/", ".", "..", "a/..", "././"}) {
    EXPECT_EQ(NameOfPath(path).status().code(), absl::StatusCode::kInvalidArgument) << path;
  }
}

TEST(BaseName, IsTheLastSegment) {
  EXPECT_EQ(BaseName("a/b/c.txt"), "c.txt");
  EXPECT_EQ(BaseName("c.txt"), "c.txt");
}

TEST(ViewFileName, PutsTheViewsExtensionInPlaceOfTheObjects) {
  EXPECT_EQ(ViewFileName("a/x.tar.gz", ".tar"), "x.tar");
  EXPECT_EQ(ViewFileName("x.tgz", ".tar"), "x.tar");
  EXPECT_EQ(ViewFileName("photo.jpeg", ".bmp"), "photo.bmp");
  EXPECT_EQ(ViewFileName("notes.txt.gz", ""), "notes.txt");
  EXPECT_EQ(ViewFileName("dump", ".sql"), "dump.sql");
}

TEST(ViewFileName, LeavesWhatIsNoExtension) {
  EXPECT_EQ(ViewFileName("v1.2", ".tar"), "v1.2.tar");
  EXPECT_EQ(ViewFileName(".bashrc", ".txt"), ".bashrc.txt");
}

TEST(ViewFileName, IsNeverTheObjectsOwnBaseName) {
  EXPECT_EQ(ViewFileName("dump", ""), "dump.view");
  EXPECT_EQ(ViewFileName("a.tar", ".tar"), "a.tar.view");
}

TEST(ViewFileName, DoesNotLetAServerLeadOutOfTheFolder) {
  EXPECT_EQ(ViewFileName("x.gz", "/../../etc/passwd"), "x");
  EXPECT_EQ(ViewFileName("x.gz", ".a\nb"), "x");
}

TEST(DecoderNameOf, IsTheBaseNameWithoutTheExtension) {
  EXPECT_EQ(DecoderNameOf("bazel-bin/decoders/xor/xor.vx"), "xor");
  EXPECT_EQ(DecoderNameOf("xor"), "xor");
  EXPECT_EQ(DecoderNameOf("xor.vx.debug"), "xor.vx.debug");
  EXPECT_EQ(DecoderNameOf("a/.vx"), ".vx");
}

TEST(DecoderFileName, IsTheNameOrTheIdsFirstDigits) {
  EXPECT_EQ(DecoderFileName("zlib", "0123456789abcdef"), "zlib.vx");
  EXPECT_EQ(DecoderFileName("ünï 2", "0123456789abcdef"), "ünï 2.vx");
  EXPECT_EQ(DecoderFileName("", "0123456789abcdef"), "01234567.vx");
}

TEST(DecoderFileName, DoesNotLetAClaimLeadOutOfTheFolderOrHideTheFile) {
  for (const std::string name : {"../../etc/cron.d/x", "/tmp/x", "..", ".bashrc", "-rf", "a\x1b[2J",
                                 "a\nb", "a\u202Eb", "\xff"}) {
    EXPECT_EQ(DecoderFileName(name, "0123456789abcdef"), "01234567.vx") << name;
  }
  EXPECT_EQ(DecoderFileName(std::string("a\0b", 3), "0123456789abcdef"), "01234567.vx");
}

}  // namespace
}  // namespace vxa::client
