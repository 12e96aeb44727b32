// What must hold of the file of every decoder and encoder: the image that the VX ABI wants, and
// nothing of the machine that built it.
#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "decoders/builtin.h"
#include "vxengine/abi.h"

namespace vxa::decoders {
namespace {

class ImageTest : public testing::TestWithParam<Builtin> {
 protected:
  // REQUIRES: the image is large enough, else the test fails and gets zeros.
  template <typename T>
  T At(size_t offset) const {
    T value = {};
    std::string_view elf = GetParam().elf;
    EXPECT_LE(offset + sizeof value, elf.size());
    if (offset + sizeof value <= elf.size()) std::memcpy(&value, elf.data() + offset, sizeof value);
    return value;
  }

  Elf32_Ehdr Header() const { return At<Elf32_Ehdr>(0); }

  std::vector<Elf32_Phdr> Segments() const {
    std::vector<Elf32_Phdr> segments;
    for (int i = 0; i < Header().e_phnum; ++i) {
      segments.push_back(At<Elf32_Phdr>(Header().e_phoff + i * sizeof(Elf32_Phdr)));
    }
    return segments;
  }

  std::vector<Elf32_Phdr> LoadSegments() const {
    std::vector<Elf32_Phdr> segments = Segments();
    std::erase_if(segments, [](const Elf32_Phdr& segment) { return segment.p_type != PT_LOAD; });
    return segments;
  }
};

TEST_P(ImageTest, IsAStaticProgramFor32BitX86) {
  Elf32_Ehdr header = Header();
  EXPECT_EQ(std::string_view(GetParam().elf).substr(0, 8), std::string_view("\x7f"
                                                                            "ELF\x01\x01\x01\x00",
                                                                            8));
  EXPECT_EQ(header.e_type, ET_EXEC);
  EXPECT_EQ(header.e_machine, EM_386);
  EXPECT_EQ(header.e_phentsize, sizeof(Elf32_Phdr));
  EXPECT_LE(header.e_phnum, VX_MAX_PROGRAM_HEADERS);
  for (const Elf32_Phdr& segment : Segments()) {
    EXPECT_TRUE(segment.p_type == PT_LOAD || segment.p_type == PT_NOTE ||
                segment.p_type == PT_GNU_STACK)
        << segment.p_type;
  }
}

TEST_P(ImageTest, KeepsConstantsCodeAndVariablesApart) {
  std::vector<Elf32_Phdr> segments = LoadSegments();
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[0].p_flags, uint32_t{PF_R});
  EXPECT_EQ(segments[1].p_flags, uint32_t{PF_R | PF_X});
  EXPECT_EQ(segments[2].p_flags, uint32_t{PF_R | PF_W});
  EXPECT_GE(Header().e_entry, segments[1].p_vaddr);
  EXPECT_LT(Header().e_entry, segments[1].p_vaddr + segments[1].p_filesz);
}

TEST_P(ImageTest, NoTwoSegmentsShareAPage) {
  uint32_t first_free_page = VX_LOWEST_ADDRESS / VX_PAGE_SIZE;
  for (const Elf32_Phdr& segment : LoadSegments()) {
    EXPECT_GE(segment.p_vaddr / VX_PAGE_SIZE, first_free_page);
    EXPECT_LE(segment.p_filesz, segment.p_memsz);
    EXPECT_LE(segment.p_memsz, VX_HIGHEST_ADDRESS - segment.p_vaddr);
    first_free_page = (segment.p_vaddr + segment.p_memsz - 1) / VX_PAGE_SIZE + 1;
  }
}

TEST_P(ImageTest, LeavesRoomForAFullStack) {
  EXPECT_GE(LoadSegments().front().p_vaddr, uint32_t{VX_LOWEST_ADDRESS + VX_STACK_SIZE});
}

TEST_P(ImageTest, IsStripped) {
  for (int i = 0; i < Header().e_shnum; ++i) {
    uint32_t type = At<Elf32_Shdr>(Header().e_shoff + i * sizeof(Elf32_Shdr)).sh_type;
    EXPECT_NE(type, uint32_t{SHT_SYMTAB});
  }
}

TEST_P(ImageTest, NamesNoPlaceOfItsBuild) {
  for (const char* place : {"bazel", "execroot", "external/", "decoders/", "src/", "newlib/",
                            "/tmp", "/usr", "/home", "/proc"}) {
    EXPECT_EQ(GetParam().elf.find(place), std::string_view::npos) << place;
  }
}

// The lines that start with one of these words, in the order of the file.
std::vector<std::string> Lines(const std::string& words, std::string_view text) {
  const std::regex line("[\\n\\0]((?:" + words + "): [^\n]+)(?=\n)");
  std::vector<std::string> lines;
  for (std::cregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
    lines.push_back((*it)[1]);
  }
  return lines;
}

TEST_P(ImageTest, SaysWhatItIsMadeOf) {
  static const std::map<std::string, std::vector<std::string>> kSources = {
      {"gif", {"giflib"}},           {"jp2", {"openjpeg"}},
      {"jpeg", {"libjpeg-turbo"}},   {"mp3", {"mpg123"}},
      {"opus", {"libogg", "opus"}},  {"png", {"libpng", "zlib"}},
      {"tiff", {"libtiff", "zlib"}}, {"vorbis", {"libvorbis", "libogg"}},
      {"webp", {"libwebp"}},
  };
  static const std::regex kSource(
      R"(source: ([a-z0-9-]+) ([0-9.]+) \(([A-Za-z0-9. -]+)\) (\S+\.tar\.\S+) (sha256:[0-9a-f]{64}))");
  static const std::regex kPatch(R"(patch: (\S+\.patch) (sha256:[0-9a-f]{64}))");
  const std::string name(GetParam().name), decoder = name.substr(0, name.find("_encode"));
  auto known = kSources.find(decoder);
  std::vector<std::string> expected =
      known != kSources.end() ? known->second : std::vector<std::string>{decoder};
  expected.push_back("newlib");

  // What WORKSPACE pins is what the note says.
  std::ifstream file("WORKSPACE");
  const std::string workspace{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> sources;
  size_t at = 0;  // of the source's rule
  for (const std::string& line : Lines("source|patch", GetParam().elf)) {
    std::smatch match;
    if (std::regex_match(line, match, kSource)) {
      sources.push_back(match[1]);
      at = workspace.find("orig = \"" + match[4].str() + "\"");
      EXPECT_NE(at, std::string::npos) << line;
    } else {
      ASSERT_TRUE(std::regex_match(line, match, kPatch)) << line;
    }
    const std::string digest = match[match.size() - 1].str().substr(7);
    EXPECT_LT(workspace.find("\"" + digest + "\"", at), workspace.find("\n)\n", at)) << line;
  }
  EXPECT_EQ(sources, expected);
  EXPECT_EQ(Lines("kit", GetParam().elf), std::vector<std::string>{"kit: vxa 1"});
  const std::string nasm = GetParam().name == "jpeg" ? R"(nasm \S+, )" : "";
  const std::vector<std::string> compiler = Lines("compiler", GetParam().elf);
  ASSERT_EQ(compiler.size(), 1u);
  EXPECT_TRUE(std::regex_match(
      compiler[0], std::regex(R"(compiler: gcc \d[\d.]*, )" + nasm + R"(binutils \d[\d.]*)")))
      << compiler[0];
}

std::string Name(const testing::TestParamInfo<Builtin>& info) {
  return std::string(info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Decoders, ImageTest, testing::ValuesIn(Builtins()), Name);
INSTANTIATE_TEST_SUITE_P(Encoders, ImageTest, testing::ValuesIn(Encoders()), Name);

}  // namespace
}  // namespace vxa::decoders
