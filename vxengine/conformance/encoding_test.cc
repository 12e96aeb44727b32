// How instructions are encoded: addressing modes, prefixes, lengths, and code that ends with its
// page, against the CPU; and every value of what is small enough to try it all.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/forms.h"

namespace vx::conformance {
namespace {

using Code = std::vector<uint8_t>;

void Append(Code* code, const Code& more) { code->insert(code->end(), more.begin(), more.end()); }

Case Make(std::string name, Code code, Random& random, bool with_xmm = false) {
  Case test;
  test.name = std::move(name);
  test.state = RandomState(random, with_xmm);
  test.code = std::move(code);
  return test;
}

// Every ModRM with every SIB there is.
TEST(EncodingTest, LeaComputesEveryAddressingMode) {
  Random random(1);
  std::vector<Case> cases;
  for (int mod = 0; mod < 3; ++mod) {
    for (int rm = 0; rm < 8; ++rm) {
      for (int sib = 0; sib < (rm == 4 ? 256 : 1); ++sib) {
        Code code = {0x8d, static_cast<uint8_t>(mod << 6 | Below(random, 8) << 3 | rm)};
        if (rm == 4) code.push_back(sib);
        const bool word = mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5)));
        for (int i = word ? 4 : mod; i > 0; --i) code.push_back(EdgeValue(random));
        cases.push_back(Make("lea", code, random));
        for (uint32_t& gpr : cases.back().state.gpr) gpr = random();
      }
    }
  }
  ExpectAgreement(cases);
}

TEST(EncodingTest, UnneededPrefixesChangeNothing) {
  Random random(2);
  std::vector<Case> cases;
  for (const Form& form : Expand(IntegerRows())) {
    const bool two_byte =
        form.opcode[0] == 0x0f || (form.opcode[0] == 0x66 && form.opcode[1] == 0x0f);
    if (form.inputs == Inputs::kString) continue;
    for (Code prefixes : {Code{0x26}, Code{0x36}, Code{0x3e}, Code{0x66, 0x3e, 0x66}, Code{0xf2},
                          Code{0xf3}, Code{0xf2, 0xf3}, Code{0x26, 0xf3, 0x36, 0xf2, 0x3e}}) {
      // Behind F2 and F3 two-byte opcodes are other instructions; 66 is a size, which rows set
      // themselves.
      const bool repeat = prefixes[0] >= 0xf2 || prefixes.size() == 5;
      if (two_byte && repeat) continue;
      if (prefixes[0] == 0x66 && form.opcode[0] != 0x66) continue;
      Case test = MakeCase(form, random);
      Append(&prefixes, test.code);
      test.code = std::move(prefixes);
      cases.push_back(std::move(test));
    }
  }
  for (const Form& form : Expand(SseRows())) {
    for (uint8_t prefix : {0x26, 0x36, 0x3e}) {
      cases.push_back(MakeCase(form, random));
      cases.back().code.insert(cases.back().code.begin(), prefix);
    }
  }
  ExpectAgreement(cases);
}

TEST(EncodingTest, OfSeveralMandatoryPrefixesTheSameOneCounts) {
  Random random(3);
  std::vector<Case> cases;
  for (const Code& prefixes :
       {Code{0x66, 0xf3}, Code{0xf3, 0x66}, Code{0x66, 0xf2}, Code{0xf2, 0x66}, Code{0xf2, 0xf3},
        Code{0xf3, 0xf2}, Code{0xf3, 0x66, 0xf2}}) {
    for (uint8_t opcode : {0x6f, 0x70, 0x7e, 0x10, 0x11, 0x12, 0xd6, 0x7f}) {
      Code code = prefixes;
      Append(&code, {0x0f, opcode, 0xca});
      if (opcode == 0x70) code.push_back(0x1b);
      // The last of F2 and F3 counts; these are SSE3, MMX or nothing.
      const uint8_t last =
          prefixes.back() == 0x66 ? prefixes[prefixes.size() - 2] : prefixes.back();
      const bool known = last == 0xf3 ? opcode != 0x12 && opcode != 0xd6
                                      : opcode == 0x10 || opcode == 0x11 || opcode == 0x70;
      if (known) cases.push_back(Make("prefixes", code, random, true));
    }
  }
  ExpectAgreement(cases);
}

// 15 bytes are the longest instruction; one more is #GP.
TEST(EncodingTest, LengthsOf14And15WorkAnd16Fault) {
  Random random(4);
  std::vector<Case> cases;
  for (size_t length : {13, 14, 15, 16, 17}) {
    for (const Code& instruction :
         {Code{0x90}, Code{0x01, 0xd8}, Code{0x05, 1, 2, 3, 4}, Code{0x0f, 0xb6, 0xc3},
          Code{0xeb, 0x00}, Code{0x81, 0x05, 0x00, 0x08, 0x00, 0x40, 1, 2, 3, 4},
          Code{0xc7, 0x84, 0x00, 0x00, 0x08, 0x00, 0x40, 1, 2, 3, 4},
          Code{0x66, 0x0f, 0x6f, 0x05, 0x00, 0x08, 0x00, 0x40}}) {
      Code code(length - instruction.size(), 0x3e);
      Append(&code, instruction);
      cases.push_back(Make("length", code, random));
      cases.back().state.gpr[kEax] = 0;
    }
  }
  ExpectAgreement(cases);
}

TEST(EncodingTest, CodeMayEndWithItsPageButNotBeyond) {
  Random random(5);
  std::vector<Case> cases;
  for (const Code& instruction : {Code{0x90}, Code{0x01, 0xd8}, Code{0x05, 1, 2, 3, 4},
                                  Code{0x0f, 0xb6, 0xc3}, Code{0x66, 0x81, 0xc3, 0x34, 0x12},
                                  Code{0xc7, 0x84, 0x00, 0x00, 0x08, 0x00, 0x40, 1, 2, 3, 4},
                                  Code{0xf3, 0x0f, 0x6f, 0x05, 0x00, 0x08, 0x00, 0x40},
                                  Code{0xe9, 0, 0, 0, 0}, Code{0xeb, 0xfe}, Code{0xc8, 0, 0, 0}}) {
    for (size_t fits = 1; fits <= instruction.size(); ++fits) {
      if (fits == instruction.size() && instruction[0] == 0xeb) continue;  // would loop for ever
      // Two instructions, to see the first one done.
      Code code = {0x41};
      code.insert(code.end(), instruction.begin(), instruction.begin() + fits);
      cases.push_back(Make("page end", code, random));
      cases.back().code_address = kCode + kCodeSize - code.size();
      cases.back().state.gpr[kEax] = 0;
      cases.back().state.gpr[kEbp] = kData + 0x800;
    }
  }
  ExpectAgreement(cases);
}

// Code that crosses from one page into the next.
TEST(EncodingTest, InstructionsMayCrossPages) {
  Random random(6);
  std::vector<Case> cases;
  const Code instruction = {0xc7, 0x84, 0x00, 0x00, 0x08, 0x00, 0x40, 1, 2, 3, 4};
  for (uint32_t before = 0; before <= instruction.size(); ++before) {
    Code code = instruction;
    const uint32_t address = kCode + VX_PAGE_SIZE - before;
    const uint32_t distance = kExit - (address + code.size() + 5);
    Append(&code, {0xe9, static_cast<uint8_t>(distance), static_cast<uint8_t>(distance >> 8),
                   static_cast<uint8_t>(distance >> 16), static_cast<uint8_t>(distance >> 24)});
    cases.push_back(Make("page crossing", code, random));
    cases.back().code_address = address;
    cases.back().state.gpr[kEax] = 0;
  }
  ExpectAgreement(cases);
}

class DecimalTest : public testing::TestWithParam<const char*> {};

// AAA AAS DAA DAS: every AL, CF and AF, some AH.
TEST_P(DecimalTest, AgreesForEveryInput) {
  Random random(7);
  const std::vector<Form> forms = Expand(IntegerRows());
  const Form& form = *std::find_if(forms.begin(), forms.end(),
                                   [](const Form& form) { return form.name == GetParam(); });
  std::vector<Case> cases;
  for (uint32_t al = 0; al < 256; ++al) {
    for (uint32_t flags = 0; flags < 4; ++flags) {
      for (uint32_t ah : {0x00, 0x7f, 0x80, 0xff}) {
        Case test = MakeCase(form, random);
        test.state.gpr[kEax] = (random() & 0xffff0000) | ah << 8 | al;
        test.state.eflags &= ~(kCf | kAf);
        test.state.eflags |= FlagIf(flags & 1, kCf) | FlagIf(flags & 2, kAf);
        cases.push_back(std::move(test));
      }
    }
  }
  ExpectAgreement(cases);
}

INSTANTIATE_TEST_SUITE_P(All, DecimalTest, testing::Values("daa", "das", "aaa", "aas"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace vx::conformance
