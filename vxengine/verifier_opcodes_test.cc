// The verifier against a list of all opcodes that it must admit, written down a second time here.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "vxengine/verifier_testing.h"

namespace vx::testing {
namespace {

// The list of opcodes, written down a second time: what is admitted of each with any ModRM.
// Operands: G general register, B byte register, X XMM register, / digits of ModRM.reg. Behind them
// "m" or "r": memory or registers only.
struct Listed {
  const char* prefixes;  // "-" for none
  const char* opcodes;
  const char* operands;
};

constexpr Listed kListed[] = {
    {"-", "00 02 08 0a 10 12 18 1a 20 22 28 2a 30 32 38 3a 84 86 88 8a", "B B"},
    {"- 66", "01 03 09 0b 11 13 19 1b 21 23 29 2b 31 33 39 3b 69 6b 85 87 89 8b", "G G"},
    {"-", "04 0c 14 1c 24 2c 34 3c a8 9b 9e 9f c3 f5 f8 f9 fc fd", "plain"},
    {"- 66", "05 0d 15 1d 25 2d 35 3d 98 99 a9 90", "plain"},
    {"f3", "90", "plain"},
    {"- f3", "a4 aa ac", "plain"},
    {"- 66 f3", "a5 ab ad", "plain"},
    {"- f2 f3", "a6 ae", "plain"},
    {"- 66 f2 f3", "a7 af", "plain"},
    {"-", "b0 b1 b2 b3 b4 b5 b6 b7", "plain"},
    {"- 66", "b8 b9 ba bb bd be bf", "plain"},
    {"-", "80", "/01234567 B"},
    {"- 66", "81 83", "/01234567 G"},
    {"- 66", "8d", "G G m"},
    {"-", "c0 d0 d2", "/0123457 B"},
    {"- 66", "c1 d1 d3", "/0123457 G"},
    {"-", "c6", "/0 B"},
    {"- 66", "c7", "/0 G"},
    {"-", "f6", "/0234567 B"},
    {"- 66", "f7", "/0234567 G"},
    {"-", "fe", "/01 B"},
    {"- 66", "ff", "/01 G"},
    {"-", "d8 da dc de", "/01234567 - m"},  // x87, but the register forms
    {"-", "d9 db", "/02357 - m"},
    {"-", "dd", "/0237 - m"},
    {"-", "df", "/0234567 - m"},
    {"-", "0f18", "/0123 - m"},
    {"- 66", "0f40 0f41 0f42 0f43 0f44 0f45 0f46 0f47 0f48 0f49 0f4a 0f4b 0f4c 0f4d 0f4e 0f4f",
     "G G"},
    {"-", "0f90 0f91 0f92 0f93 0f94 0f95 0f96 0f97 0f98 0f99 0f9a 0f9b 0f9c 0f9d 0f9e 0f9f",
     "/0 B"},
    {"- 66", "0fa3 0fab 0fb3 0fbb", "G G r"},
    {"- 66", "0fa4 0fa5 0fac 0fad 0faf 0fb1 0fb7 0fbc 0fbd 0fbf 0fc1", "G G"},
    {"- 66", "0fb6 0fbe", "G B"},
    {"-", "0fb0 0fc0", "B B"},
    {"- 66", "0fba", "/4567 G"},
    {"-", "0fc3", "G - m"},
    {"-", "0fc7", "/1 - m"},
    {"-", "0fc8 0fc9 0fca 0fcb 0fcd 0fce 0fcf", "plain"},
    {"-", "0f10 0f11 0f12 0f14 0f15 0f16 0f28 0f29 0f2e 0f2f 0f51", "X X"},
    {"-", "0f54 0f55 0f56 0f57 0f58 0f59 0f5a 0f5b 0f5c 0f5d 0f5e 0f5f 0fc2 0fc6", "X X"},
    {"-", "0f13 0f17 0f2b", "X - m"},
    {"-", "0f50", "G X r"},
    {"66", "0f10 0f11 0f14 0f15 0f28 0f29 0f2e 0f2f 0f51 0f54 0f55 0f56 0f57 0f58 0f59 0f5a",
     "X X"},
    {"66", "0f5b 0f5c 0f5d 0f5e 0f5f 0f60 0f61 0f62 0f63 0f64 0f65 0f66 0f67 0f68 0f69 0f6a",
     "X X"},
    {"66", "0f6b 0f6c 0f6d 0f6f 0f70 0f74 0f75 0f76 0f7f 0fc2 0fc6 0fd1 0fd2 0fd3 0fd4 0fd5",
     "X X"},
    {"66", "0fd6 0fd8 0fd9 0fda 0fdb 0fdc 0fdd 0fde 0fdf 0fe0 0fe1 0fe2 0fe3 0fe4 0fe5 0fe6",
     "X X"},
    {"66", "0fe8 0fe9 0fea 0feb 0fec 0fed 0fee 0fef 0ff1 0ff2 0ff3 0ff4 0ff5 0ff6", "X X"},
    {"66", "0ff8 0ff9 0ffa 0ffb 0ffc 0ffd 0ffe", "X X"},
    {"66", "0f12 0f13 0f16 0f17 0f2b 0fe7", "X - m"},
    {"66", "0f50 0fc5 0fd7", "G X r"},
    {"66", "0f6e 0f7e 0fc4", "X G"},
    {"66", "0f71 0f72", "/246 X r"},
    {"66", "0f73", "/2367 X r"},
    {"f3", "0f10 0f11 0f51 0f58 0f59 0f5a 0f5b 0f5c 0f5d 0f5e 0f5f 0f6f 0f70 0f7e 0f7f", "X X"},
    {"f3", "0fc2 0fe6", "X X"},
    {"f2", "0f10 0f11 0f51 0f58 0f59 0f5a 0f5c 0f5d 0f5e 0f5f 0f70 0fc2 0fe6", "X X"},
    {"f2 f3", "0f2a", "X G"},
    {"f2 f3", "0f2c 0f2d", "G X"},
};

// The register forms of the x87, as the second byte.
const std::map<int, std::vector<std::pair<int, int>>> kX87 = {
    {0xd8, {{0xc0, 0xff}}},
    {0xd9,
     {{0xc0, 0xcf},
      {0xd0, 0xd0},
      {0xe0, 0xe1},
      {0xe4, 0xe5},
      {0xe8, 0xee},
      {0xf4, 0xf8},
      {0xfa, 0xfa},
      {0xfc, 0xfd}}},
    {0xda, {{0xc0, 0xdf}, {0xe9, 0xe9}}},
    {0xdb, {{0xc0, 0xdf}, {0xe2, 0xe3}, {0xe8, 0xf7}}},
    {0xdc, {{0xc0, 0xcf}, {0xe0, 0xff}}},
    {0xdd, {{0xc0, 0xc7}, {0xd0, 0xdf}, {0xe0, 0xef}}},
    {0xde, {{0xc0, 0xcf}, {0xd9, 0xd9}, {0xe0, 0xff}}},
    {0xdf, {{0xe0, 0xe0}, {0xe8, 0xf7}}},
};

// For each value of ModRM, whether it is admitted, as text: a set.
using Forms = std::set<int>;

Forms ExpectedForms(const std::string& operands) {
  Forms forms;
  std::istringstream words(operands);
  std::string reg, rm, only;
  words >> reg >> rm >> only;
  const auto is_in = [](const std::string& kind, int n) {
    if (kind == "-" || kind == "B" || kind == "X") return true;
    if (kind == "G") return n != 4;
    return kind.find(static_cast<char>('0' + n), 1) != std::string::npos;
  };
  for (int modrm = 0; modrm < 256; ++modrm) {
    if (operands == "plain") {
      forms.insert(modrm);
      continue;
    }
    const bool is_memory = modrm < 0xc0;
    if (only == (is_memory ? "r" : "m") || !is_in(reg, modrm >> 3 & 7)) continue;
    // The bytes behind ModRM are 0: SIB is [eax+eax].
    if (is_memory ? (modrm & 0xc7) == 0x05 : !is_in(rm, modrm & 7)) continue;
    forms.insert(modrm);
  }
  return forms;
}

TEST(VerifierTest, EveryOpcodeIsAsListed) {
  std::map<std::string, Forms> expected;  // by prefix and opcode
  for (const Listed& listed : kListed) {
    std::istringstream prefixes(listed.prefixes);
    for (std::string prefix; prefixes >> prefix;) {
      std::istringstream opcodes(listed.opcodes);
      for (std::string opcode; opcodes >> opcode;) {
        const bool is_new =
            expected.emplace(prefix + " " + opcode, ExpectedForms(listed.operands)).second;
        ASSERT_TRUE(is_new) << opcode;
      }
    }
  }
  for (const auto& [opcode, ranges] : kX87) {
    char text[8];
    snprintf(text, sizeof(text), "- %02x", opcode);
    for (const auto& [first, last] : ranges) {
      for (int modrm = first; modrm <= last; ++modrm) expected[text].insert(modrm);
    }
  }
  for (int modrm : {0xe8, 0xf0, 0xf8}) expected["- 0fae"].insert(modrm);
  // The NOPs that have only zeros behind ModRM.
  expected["- 0f1f"] = {0x00, 0x40, 0x44, 0x80, 0x84};
  expected["66 0f1f"] = {0x44, 0x84};
  // Branches, where the byte is a target: behind the branch, or the branch itself.
  for (int opcode = 0x70; opcode < 0x80; ++opcode) {
    char text[8];
    snprintf(text, sizeof(text), "- %02x", opcode);
    expected[text] = {0x00, 0xfe};
    snprintf(text, sizeof(text), "- 0f%02x", opcode + 0x10);
    expected[text] = {0x00};
  }
  expected["- eb"] = {0x00, 0xfe};
  expected["- e3"] = {0x00, 0xfd};
  expected["- e9"] = {0x00};

  VerifierRules rules = Rules(kExclusive);
  rules.is_entry = nullptr;
  VerifiedRegion region;
  std::map<std::string, Forms> actual;
  for (const std::string prefix : {"-", "66", "f3", "f2"}) {
    for (bool is_two_byte : {false, true}) {
      for (int opcode = 0; opcode < 256; ++opcode) {
        if (opcode == 0x0f && !is_two_byte) continue;
        // These as opcodes are further prefixes.
        if (!is_two_byte && ((opcode & 0xf0) == 0x40 || opcode == 0x66 || opcode == 0xf2 ||
                             opcode == 0xf3 || opcode == 0x67 || opcode == 0xcc)) {
          continue;
        }
        char name[16];
        snprintf(name, sizeof(name), "%s %s%02x", prefix.c_str(), is_two_byte ? "0f" : "", opcode);
        for (int modrm = 0; modrm < 256; ++modrm) {
          for (bool has_67 : {false, true}) {
            char text[64];
            snprintf(text, sizeof(text), "%s%s%s%02x %02x 0 0 0 0 0 0 0 0 0 0", has_67 ? "67 " : "",
                     prefix == "-" ? "" : (prefix + " ").c_str(), is_two_byte ? "0f " : "", opcode,
                     modrm);
            const Code bytes = Assemble(text);
            if (AdmittedLength(bytes.data(), bytes.size(), rules, &region) != 0) {
              actual[name].insert(modrm);
            }
          }
        }
      }
    }
  }
  for (const auto& [name, forms] : expected) EXPECT_EQ(actual[name], forms) << name;
  for (const auto& [name, forms] : actual) EXPECT_TRUE(expected.contains(name)) << name;
}

}  // namespace
}  // namespace vx::testing
