// What the translator emits, in full: for each form of guest instruction the host instructions and
// their bytes' count, in both placements, against emitted.golden. A change of the translator shows
// there as a diff. To make the file anew:
//
//   UPDATE_GOLDEN=$PWD/vxengine/translator/emitted.golden bazel run
//   //vxengine/translator:golden_test
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "vxengine/conformance/forms.h"
#include "vxengine/conformance/fp_forms.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/region.h"

namespace vx {
namespace {

using Code = std::vector<uint8_t>;
using conformance::Form;
using testing::kCodeAddress;

constexpr char kGolden[] = "vxengine/translator/emitted.golden";
constexpr uint32_t kRegion = 0x10000;
constexpr uint8_t kInt3 = 0xcc;

// Where stubs would be.
constexpr Stubs kStubs = {.miss = 0x100, .interpret = 0x300, .system_call = 0x400, .budget = 0x500};

// The host instructions that stand for the first `size` bytes of the guest's code.
std::string Emitted(const Code& code, uint32_t size, bool shared, Metering metering,
                    const HostCpu& cpu = {}) {
  const std::string elf = testing::CodeElf(std::string(code.begin(), code.end()));
  std::string error;
  const Image image =
      *ParseImage({reinterpret_cast<const uint8_t*>(elf.data()), elf.size()}, &error);
  const GuestText text(image);
  RegionTranslator translator(&text, {.shared = shared,
                                      .metering = metering,
                                      .profile = Profile::kVx2026,
                                      .budget_offset = 0,
                                      .stubs = kStubs,
                                      .cpu = cpu});
  const Region& region =
      translator.Translate(kCodeAddress, kRegion, [](uint32_t) -> uint32_t { return 0; });
  const auto end = std::ranges::find_if(
      region.notes, [&](const Note& note) { return note.eip - kCodeAddress >= size; });
  const uint32_t count =
      end == region.notes.end() ? static_cast<uint32_t>(region.code.size()) : end->offset;
  std::string lines;
  for (uint32_t at = 0; at < count;) {
    ZydisDisassembledInstruction one;
    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, kRegion + at,
                                            &region.code[at], region.code.size() - at, &one))) {
      absl::StrAppend(&lines, "    ?\n");
      break;
    }
    absl::StrAppend(&lines, "    ", one.text, "\n");
    at += one.info.length;
  }
  return absl::StrCat(count, "\n", lines);
}

// One instruction, before one that needs all flags and ESP.
std::string Describe(const std::string& name, const Code& code) {
  Code all = code;
  all.push_back(kInt3);
  const uint32_t size = static_cast<uint32_t>(code.size());
  const std::string hex = absl::BytesToHexString(std::string(code.begin(), code.end()));
  const std::string exclusive = Emitted(all, size, false, Metering::kNone);
  const std::string shared = Emitted(all, size, true, Metering::kNone);
  return absl::StrCat(name, " ", hex, "\n  exclusive ", exclusive, "  shared ",
                      shared == exclusive ? "the same\n" : shared);
}

Code Join(Code code, const Code& more) {
  code.insert(code.end(), more.begin(), more.end());
  return code;
}

// The form with each kind of operand.
void DescribeForm(const Form& form, std::string* text) {
  const auto describe = [&](const char* operand, const Code& modrm) {
    Code code = form.opcode;
    if (form.low_register_size != 0) code.back() += 3;  // EBX or BL
    code = Join(code, modrm);
    if (form.address) code = Join(code, {0x78, 0x56, 0x34, 0x12});
    for (uint8_t n = 0; n < form.immediate; ++n) code.push_back(static_cast<uint8_t>(0x12 + n));
    absl::StrAppend(text, Describe(absl::StrCat(form.name, operand), code));
  };
  if (form.rm == 0) {
    describe("", {});
    return;
  }
  const auto modrm = [&](int mod, int rm, int reg) {
    return static_cast<uint8_t>(mod << 6 | (form.digit >= 0 ? form.digit : reg) << 3 | rm);
  };
  const bool names_gpr = form.rm == 'E' || form.rm == 'R';
  if (form.rm != 'M') {
    describe(" register", {modrm(3, 2, 3)});
    if (names_gpr && form.rm_size > 1) describe(" esp", {modrm(3, 4, 3)});
    if (names_gpr && form.rm_size == 1) describe(" ah", {modrm(3, 4, 3)});
  }
  if (form.rm == 'R' || form.rm == 'U') return;
  describe(" memory", {modrm(1, 6, 3), 8});       // [esi+8]
  describe(" stack", {modrm(1, 4, 3), 0x24, 8});  // [esp+8]
  if (form.reg == 'G' && form.reg_size > 1) describe(" esp, memory", {modrm(1, 6, 4), 8});
  if (form.reg == 'G' && form.reg_size == 1) describe(" ah, stack", {modrm(1, 4, 4), 0x24, 8});
}

// Of rows that stand for all conditions, the first one; OVERFLOW is as good as any.
void DescribeRows(std::span<const conformance::Row> rows, std::string* text) {
  for (const conformance::Row& row : rows) {
    std::vector<Form> forms = conformance::Expand({&row, 1});
    if (forms.size() >= 16) forms.resize(forms.size() / 16);
    for (const Form& form : forms) DescribeForm(form, text);
  }
}

void DescribeFloatingPoint(const std::vector<conformance::FpForm>& forms, std::string* text) {
  for (const conformance::FpForm& form : forms) {
    bool done[2] = {};
    for (const conformance::FpEncoding& encoding : form.encodings) {
      if (std::exchange(done[encoding.memory], true)) continue;
      absl::StrAppend(
          text, Describe(absl::StrCat(form.name, encoding.memory ? " memory" : ""), encoding.code));
    }
  }
}

// What isn't in the tables: control flow, and the stack's.
void DescribeOthers(std::string* text) {
  const auto add = [&](const char* name, const Code& code) {
    absl::StrAppend(text, Describe(name, code));
  };
  // Before INT3 all flags are alive; ADD or CMP before it kills them.
  const Code kill = {0x39, 0xc8};
  const auto add_both = [&](const std::string& name, const Code& code) {
    add(name.c_str(), code);
    Code dead = Join(Join(code, kill), {kInt3});
    const uint32_t size = static_cast<uint32_t>(code.size());
    for (bool shared : {false, true}) {
      absl::StrAppend(text, name, ", flags dead, ", shared ? "shared " : "exclusive ",
                      Emitted(dead, size, shared, Metering::kNone));
    }
  };
  add("jz far", {0x74, 0x40});
  add("jz rel32", {0x0f, 0x84, 0, 1, 0, 0});
  add("jmp rel8", {0xeb, 0x40});
  add("jmp rel32", {0xe9, 0, 1, 0, 0});
  add("loop", {0xe2, 0x40});
  add("jecxz", {0xe3, 0x40});
  add("jmp ebx", {0xff, 0xe3});
  add("jmp esp", {0xff, 0xe4});
  add("jmp [esi+8]", {0xff, 0x66, 8});
  add("jmp [esp+8]", {0xff, 0x64, 0x24, 8});
  add_both("call rel32", {0xe8, 0, 1, 0, 0});
  add_both("call ebx", {0xff, 0xd3});
  add_both("call esp", {0xff, 0xd4});
  add_both("call [esi+8]", {0xff, 0x56, 8});
  add_both("call [esp+8]", {0xff, 0x54, 0x24, 8});
  add("call +0", {0xe8, 0, 0, 0, 0});
  add("ret", {0xc3});
  add("ret 8", {0xc2, 8, 0});
  add("leave", {0xc9});
  add("syscall", {0x0f, 0x05});
  add("push ebx", {0x53});
  add("push esp", {0x54});
  add("push ebx; push esp; pop edx", {0x53, 0x54, 0x5a});
  add("push 18", {0x6a, 0x12});
  add("push [esp+8]", {0xff, 0x74, 0x24, 8});
  add("pop ebx", {0x5b});
  add("pop esp", {0x5c});
  add_both("add esp, 8", {0x83, 0xc4, 8});
  add_both("sub esp, 0x1000", {0x81, 0xec, 0, 0x10, 0, 0});
  add("lea esp, [esp-16]", {0x8d, 0x64, 0x24, 0xf0});
  add("mov ebp, esp", {0x89, 0xe5});
  add("mov esp, ebp", {0x89, 0xec});
  add("push eax; mov ebp, esp", {0x50, 0x89, 0xe5});
  add("rep movsd", {0xf3, 0xa5});
  add("repne scasb", {0xf2, 0xae});
  for (Metering metering : {Metering::kBlocks, Metering::kInstructions}) {
    for (const Code& code : {Code{0x40, 0x89, 0xc2}, Code{0x89, 0xc2, 0x39, 0xc8}}) {
      absl::StrAppend(
          text, metering == Metering::kBlocks ? "metered block " : "metered instructions ",
          absl::BytesToHexString(std::string(code.begin(), code.end())), " ",
          Emitted(Join(code, {kInt3}), static_cast<uint32_t>(code.size()), true, metering));
    }
  }
}

// Where the CPU does otherwise than the ABI what manuals leave undefined.
void DescribeRepairs(std::string* text) {
  HostCpu cpu = ContraryCpu();
  cpu.pretended = false;
  const auto add = [&](const char* name, const Code& code) {
    absl::StrAppend(text, "repaired ", name, " ",
                    Emitted(Join(code, {kInt3}), static_cast<uint32_t>(code.size()), true,
                            Metering::kNone, cpu));
  };
  add("and edx, ebx", {0x21, 0xda});
  add("shl edx, 3", {0xc1, 0xe2, 3});
  add("shl edx, 3; cmp eax, ecx", {0xc1, 0xe2, 3, 0x39, 0xc8});
  add("shr dl, cl", {0xd2, 0xea});
  add("sar dh, 1", {0xd0, 0xfe});
  add("rol word [eax+8], cl", {0x66, 0xd3, 0x40, 8});
  add("ror edx, 1", {0xd1, 0xca});
  add("rcl bx, 3", {0x66, 0xc1, 0xd3, 3});
  add("shld edx, ebx, cl", {0x0f, 0xa5, 0xda});
  add("shrd [esp+8], ebx, 3", {0x0f, 0xac, 0x5c, 0x24, 8, 3});
  add("imul edx, ebx", {0x0f, 0xaf, 0xd3});
  add("mul [esi+8]", {0xf7, 0x66, 8});
  add("div ebx", {0xf7, 0xf3});
  add("bsf edx, ebx", {0x0f, 0xbc, 0xd3});
  add("bt edx, ebx", {0x0f, 0xa3, 0xda});
}

std::string Everything() {
  std::string text;
  DescribeOthers(&text);
  DescribeRows(conformance::IntegerRows(), &text);
  DescribeRows(conformance::SseRows(), &text);
  DescribeFloatingPoint(conformance::SseArithmeticForms(), &text);
  DescribeFloatingPoint(conformance::X87ArithmeticForms(), &text);
  DescribeFloatingPoint(conformance::FpStateForms(), &text);
  DescribeRepairs(&text);
  return text;
}

TEST(GoldenTest, TheTranslatorEmitsWhatTheFileSays) {
  constexpr int kShown = 10;
  const std::string actual = Everything();
  if (const char* const update = std::getenv("UPDATE_GOLDEN")) {
    std::ofstream(update, std::ios::binary) << actual;
    return;
  }
  std::ifstream file(kGolden, std::ios::binary);
  ASSERT_TRUE(file.good()) << kGolden;
  const std::string expected((std::istreambuf_iterator<char>(file)), {});
  if (actual == expected) return;
  const std::vector<std::string> want = absl::StrSplit(expected, '\n');
  const std::vector<std::string> got = absl::StrSplit(actual, '\n');
  std::string form;
  int shown = 0;
  for (size_t n = 0; n < std::max(want.size(), got.size()) && shown < kShown; ++n) {
    const std::string& old_line = n < want.size() ? want[n] : "(end)";
    const std::string& new_line = n < got.size() ? got[n] : "(end)";
    if (!new_line.empty() && new_line[0] != ' ') form = new_line;
    if (old_line == new_line) continue;
    ADD_FAILURE() << kGolden << ":" << n + 1 << ", " << form << "\n- " << old_line << "\n+ "
                  << new_line;
    ++shown;
  }
  ADD_FAILURE() << "if that is as it should be, make the file anew: see golden_test.cc";
}

}  // namespace
}  // namespace vx
