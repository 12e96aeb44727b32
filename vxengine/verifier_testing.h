// What tests of the verifier share: the world that code under test lies in, code from text, and
// whole regions with every sequence.
#ifndef VXENGINE_VERIFIER_TESTING_H_
#define VXENGINE_VERIFIER_TESTING_H_

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "vxengine/verifier.h"

namespace vx::testing {

using Code = std::vector<uint8_t>;

inline constexpr CodePlacement kExclusive = CodePlacement::kExclusive;
inline constexpr CodePlacement kShared = CodePlacement::kShared;
inline constexpr CodePlacement kPlacements[] = {kExclusive, kShared};

// Where the code under test lies, and what there is besides.
inline constexpr uint32_t kOffset = 0x1000;
inline constexpr uint32_t kMiss = 0x100, kStub = 0x200, kHelper = 0x300, kEntry = 0x9000;
inline constexpr uint32_t kStubs[] = {kMiss, kStub};
inline constexpr uint32_t kHelpers[] = {kHelper, 0x340};
inline constexpr uint32_t kBudget = 0x20;

inline VerifierRules Rules(CodePlacement placement) {
  VerifierRules rules;
  rules.placement = placement;
  rules.is_entry = [](uint32_t target) { return target == kEntry; };
  rules.stubs = kStubs;
  rules.helpers = kHelpers;
  rules.budget_offset = kBudget;
  return rules;
}

// Bytes from text: "e9 >200" is a JMP whose rel32 leads to offset 0x200.
inline Code Assemble(const std::string& text) {
  Code code;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word[0] == '>') {
      const uint32_t relative = static_cast<uint32_t>(std::stoul(word.substr(1), nullptr, 16)) -
                                (kOffset + static_cast<uint32_t>(code.size()) + 4);
      for (int i = 0; i < 4; ++i) code.push_back(static_cast<uint8_t>(relative >> (8 * i)));
    } else {
      code.push_back(static_cast<uint8_t>(std::stoul(word, nullptr, 16)));
    }
  }
  return code;
}

inline std::string ToHex(const Code& code) {
  std::string text;
  char word[4];
  for (uint8_t byte : code) {
    snprintf(word, sizeof(word), "%02x ", byte);
    text += word;
  }
  return text;
}

// The refusal, or "" if it is admitted.
inline std::string Refusal(const Code& code, const VerifierRules& rules,
                           VerifiedRegion* region = nullptr) {
  VerifiedRegion unused;
  std::string error;
  return VerifyRegion(code, kOffset, rules, region != nullptr ? region : &unused, &error) ? ""
                                                                                          : error;
}

inline std::string Refusal(const std::string& text, CodePlacement placement,
                           VerifiedRegion* region = nullptr) {
  return Refusal(Assemble(text), Rules(placement), region);
}

// The length of the single instruction that `bytes` begins with, if it is admitted: followed by a
// RET.
inline size_t AdmittedLength(const uint8_t* bytes, size_t max, const VerifierRules& rules,
                             VerifiedRegion* region) {
  uint8_t code[20];
  std::string error;
  for (size_t length = 1; length <= max; ++length) {
    memcpy(code, bytes, length);
    code[length] = 0xc3;
    if (VerifyRegion({code, length + 1}, kOffset, rules, region, &error) &&
        region->boundaries.size() == 2 && region->boundaries[0] == kOffset &&
        region->boundaries[1] == kOffset + length) {
      return length;
    }
  }
  return 0;
}

// Realistic regions, with every sequence.

inline constexpr char kReturnSite[] = " 45 8d 88 bb dc fe f7 47 0f b6 94 0c ff 0f 00 00 ";

// A function: metering, a loop, calls of regions and helpers, an indirect jump.
inline std::string Function() {
  return std::string(
             "49 81 6c 24 20 09 00 00 00 0f 88 >1000 "  // metering
             "67 8b 45 08 67 45 89 07 "                 // mov eax, [ebp+8]; mov [r15d], r8d
             "31 c9 67 03 04 8b ff c1 39 d1 75 f6 "     // a loop
             "45 8d 7f fc 67 41 c7 07 45 23 01 08 "     // push of a return address
             "e8 >9000 ") +
         kReturnSite +
         "e8 >300 0f b6 c4 66 c1 e0 03 f7 f1 67 0f b1 08 67 f3 a5 "
         "e8 >1000 " +
         kReturnSite +
         "0f 84 >9000 0f 8f >200 "
         "67 44 8b 04 9d 00 10 00 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1 cc cc cc "  // jump
         "e9 >9000";
}

// In the shared placement, with flags that live across metering, and an indirect call.
inline std::string SharedFunction() {
  return "41 89 ca 4d 8b 44 24 20 4d 8d 80 f7 ff ff ff 4d 89 44 24 20 41 8b 4c 24 24 "  // metering
         "67 e3 08 44 89 d1 e9 >1000 44 89 d1 "
         "65 67 8b 45 08 65 67 45 89 07 "
         "65 67 66 0f 6f 04 0b 66 0f fe c8 66 0f 73 d8 04 65 67 0f 29 01 f2 0f 58 c1 "
         "65 67 d9 00 d8 c9 65 67 d9 58 04 66 0f 2e c1 "
         "45 8b c3 47 8b 0c 86 4f 8d 0c 29 41 ff d1 " +  // call
         std::string(kReturnSite) +
         "49 81 6c 24 20 03 00 00 00 0f 88 >1000 "
         "65 67 45 8b 40 04 47 8b 0c 86 4f 8d 0c 29 41 ff d1 " +
         kReturnSite + "e8 >200 " + kReturnSite + "c3 cc cc";
}

// Without relative branches, so that what is inserted or left out spoils none.
inline std::string Jumps() {
  return "89 c8 45 8b c3 47 8b 0c 86 4f 8d 0c 29 41 ff e1 "
         "45 89 d8 47 8b 0c 86 4f 8d 0c 29 41 ff e1 "
         "67 45 8b 00 47 8b 0c 86 4f 8d 0c 29 41 ff e1";
}

struct Region {
  std::string code;
  CodePlacement placement;
};
inline const Region kFunctions[] = {
    {Function(), kExclusive}, {SharedFunction(), kShared}, {Jumps(), kExclusive}};

}  // namespace vx::testing

#endif  // VXENGINE_VERIFIER_TESTING_H_
