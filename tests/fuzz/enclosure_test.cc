// The enclosure is able to tell: code that breaks one rule of the verifier's each, and that does so
// visibly, is reported; what keeps to them isn't. Without this, a fuzzer that finds nothing says
// nothing.
#include "tests/fuzz/enclosure.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <tuple>
#include <vector>

namespace vxa::fuzz {
namespace {

using ::testing::ValuesIn;
using vx::CodePlacement;
using Code = std::vector<uint8_t>;

struct Named {
  const char* name;
  Code code;  // then control goes out
  bool is_admitted = false;
  enum : uint8_t { kAnywhere, kExclusive, kShared } where = kAnywhere;
};
void PrintTo(const Named& named, std::ostream* out) { *out << named.name; }

std::vector<Named> All() {
  return {
      {"nothing at all", {0x90}, true},
      {"arithmetic", {0x01, 0xd8, 0x0f, 0xaf, 0xc1, 0xc1, 0xe0, 0x03}, true},
      {"load and store", {0x67, 0x8b, 0x03, 0x67, 0x89, 0x01}, true, Named::kExclusive},
      {"load and store", {0x65, 0x67, 0x8b, 0x03, 0x65, 0x67, 0x89, 0x01}, true, Named::kShared},
      {"x87 and SSE", {0xd9, 0xe8, 0xde, 0xc1, 0x66, 0x0f, 0xef, 0xc9, 0x0f, 0x58, 0xc1}, true},
      {"division", {0xf7, 0xf1}, true},
      {"a direction flag", {0xfd}, true},
      {"a loop without an end", {0xeb, 0xfe}, true},
      {"returns", {0xc3}, true},
      {"an indirect jump",
       {0x41, 0x89, 0xc0, 0x47, 0x8b, 0x0c, 0x86, 0x4f, 0x8d, 0x0c, 0x29, 0x41, 0xff, 0xe1},
       true},
      {"a call into itself",
       {0xe8, 0xfb, 0xff, 0xff, 0xff,                           // call .
        0x45, 0x8d, 0x88, 0x00, 0x00, 0x00, 0x00,               // lea r9d, [r8]
        0x47, 0x0f, 0xb6, 0x94, 0x0c, 0xff, 0x0f, 0x00, 0x00},  // movzx r10d, byte [r12+r9+0xfff]
       true},

      {"a load without 67", {0x8b, 0x03}, false, Named::kExclusive},
      {"a store without 67", {0x89, 0x03}, false, Named::kExclusive},
      {"a byte stored without 67", {0x88, 0x03}, false, Named::kExclusive},
      {"a string instruction without 67", {0xa5}, false, Named::kExclusive},
      {"an XMM register stored without 67", {0x0f, 0x11, 0x03}, false, Named::kExclusive},
      {"a load without 67 behind 65", {0x65, 0x8b, 0x03}, false, Named::kShared},
      {"a load without 65", {0x67, 0x8b, 0x03}, false, Named::kShared},
      {"a store without 65", {0x67, 0x89, 0x03}, false, Named::kShared},
      {"a string instruction", {0x67, 0xa5}, false, Named::kShared},
      {"FS", {0x64, 0x67, 0x89, 0x03}, false},
      {"a store to the context", {0x45, 0x89, 0x44, 0x24, 0x20}},
      {"a store behind the context", {0x41, 0xc6, 0x84, 0x24, 0x00, 0x0e, 0x00, 0x00, 0x01}},
      {"a load from behind the context", {0x41, 0x8b, 0x84, 0x24, 0x00, 0x0e, 0x00, 0x00}},
      {"a store to the code", {0x41, 0x89, 0x45, 0x00}},
      {"a store to the table of entries",
       {0x41, 0xc7, 0x86, 0x00, 0x00, 0x12, 0x20, 0x01, 0x00, 0x00, 0x00}},
      {"a store to the stack", {0x48, 0xc7, 0x04, 0x24, 0x01, 0x00, 0x00, 0x00}},
      {"PUSH", {0x50}},
      {"POP", {0x58}},
      {"MOV ESP", {0x89, 0xc4}},
      {"a load from below the stack", {0x8b, 0x84, 0x24, 0x00, 0xfc, 0xff, 0xff}},
      {"R13 changed", {0x49, 0x81, 0xc5, 0x00, 0x00, 0x00, 0x40, 0x41, 0x89, 0xc0, 0x47,
                       0x8b, 0x0c, 0x86, 0x4f, 0x8d, 0x0c, 0x29, 0x41, 0xff, 0xe1}},
      {"SYSCALL", {0x0f, 0x05}},
      {"SYSCALL, getpid", {0xb8, 0x27, 0x00, 0x00, 0x00, 0x0f, 0x05}},
      {"INT3 in the way", {0x90, 0xcc}},
      {"UD2", {0x0f, 0x0b}},
      {"JMP EAX", {0xff, 0xe0}},
      {"CALL EAX", {0xff, 0xd0}},
      {"a jump into the host's code", {0xe9, 0x00, 0x00, 0x00, 0x40}},
      {"a jump to a place in the runtime that is no stub", {0xe9, 0x01, 0x00, 0xff, 0xff}},
      {"an indirect jump without the table",
       {0x41, 0x89, 0xc1, 0x4f, 0x8d, 0x0c, 0x29, 0x41, 0xff, 0xe1}},
      {"POPF", {0x9d}},
      {"a RIP-relative load", {0x8b, 0x05, 0x00, 0x00, 0x10, 0x00}},
  };
}

// Each in the placements that it is code for.
std::vector<std::tuple<Named, CodePlacement>> InPlacements() {
  std::vector<std::tuple<Named, CodePlacement>> all;
  for (const Named& named : All()) {
    if (named.where != Named::kShared) all.emplace_back(named, CodePlacement::kExclusive);
    if (named.where != Named::kExclusive) all.emplace_back(named, CodePlacement::kShared);
  }
  return all;
}

class EnclosureTest : public ::testing::TestWithParam<std::tuple<Named, CodePlacement>> {};

TEST_P(EnclosureTest, TellsWhatStaysInside) {
  const auto& [named, placement] = GetParam();
  Enclosure::Region region{.placement = placement, .code = WithExit(named.code)};
  vx::VerifiedRegion verified;
  std::string error;
  ASSERT_EQ(
      vx::VerifyRegion(region.code, Enclosure::kOffset, RulesFor(placement), &verified, &error),
      named.is_admitted)
      << error;
  region.boundaries = named.is_admitted ? verified.boundaries : std::vector{Enclosure::kOffset};
  Enclosure enclosure;
  std::string escape;
  for (uint32_t seed = 0; seed < 16 && escape.empty(); ++seed) {
    escape = enclosure.Run(region, seed);
  }
  if (named.is_admitted) {
    EXPECT_EQ(escape, "");
  } else {
    EXPECT_NE(escape, "");
  }
}

INSTANTIATE_TEST_SUITE_P(All, EnclosureTest, ValuesIn(InPlacements()));

}  // namespace
}  // namespace vxa::fuzz
