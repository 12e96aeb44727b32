// Instructions that no guest has: every form of those that reach for the system, segments and I/O,
// with every prefix; and prefixes piled up before those that it has.
#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/hostile/attacks.h"
#include "vxengine/testing/guest_code.h"

namespace vx::hostile {
namespace {

using testing::Bytes;
using testing::Exit;

std::string Byte(unsigned value) { return std::string(1, static_cast<char>(value)); }

// ModRM bytes: a register, or the memory at EDI, for each value of the middle field; or all there
// are, with the bytes that some want behind them.
const std::vector<std::string> kRegisterForms = [] {
  std::vector<std::string> forms;
  for (unsigned reg = 0; reg < 8; ++reg) forms.push_back(Byte(0xc0 | reg << 3));
  return forms;
}();
const std::vector<std::string> kMemoryForms = [] {
  std::vector<std::string> forms;
  for (unsigned reg = 0; reg < 8; ++reg) forms.push_back(Byte(reg << 3 | 7));
  return forms;
}();
const std::vector<std::string> kAllForms = [] {
  std::vector<std::string> forms;
  for (unsigned modrm = 0; modrm < 256; ++modrm)
    forms.push_back(Byte(modrm) + std::string(5, '\0'));
  return forms;
}();

void Append(std::vector<std::string>* codes, const std::string& opcode,
            const std::vector<std::string>& rests) {
  for (const std::string& rest : rests) codes->push_back(opcode + rest);
}

std::vector<std::string> Slice(const std::vector<std::string>& forms,
                               const std::vector<size_t>& digits) {
  std::vector<std::string> some;
  for (size_t digit : digits) some.push_back(forms[digit]);
  return some;
}

// One or a few forms of each, which are tried with all prefixes.
std::vector<std::string> SystemInstructions() {
  std::vector<std::string> codes;
  // Segment registers: PUSH, POP, MOV, LES, LDS, LSS, LFS, LGS; ARPL.
  for (unsigned opcode : {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f}) codes.push_back(Byte(opcode));
  for (unsigned opcode : {0xa0, 0xa1, 0xa8, 0xa9}) codes.push_back("\x0f" + Byte(opcode));
  for (unsigned opcode : {0x8c, 0x8e, 0x63}) {
    Append(&codes, Byte(opcode), kRegisterForms);
    Append(&codes, Byte(opcode), kMemoryForms);
  }
  for (const char* opcode : {"\xc4", "\xc5", "\x0f\xb2", "\x0f\xb4", "\x0f\xb5"}) {
    Append(&codes, opcode, kMemoryForms);
  }
  // Far transfers, to segments of Linux and others; IRET.
  for (unsigned selector : {0x23, 0x33, 0x2b, 0x1b, 0x10, 0x07, 0x00}) {
    for (unsigned opcode : {0x9a, 0xea}) {
      codes.push_back(Byte(opcode) + testing::Imm32(testing::kCodeAddress) + Byte(selector) +
                      Byte(0));
    }
  }
  for (const auto& forms : {kMemoryForms, kRegisterForms}) {
    Append(&codes, "\xff", Slice(forms, {3, 5, 7}));
  }
  codes.push_back(Bytes({0xca, 4, 0}));
  for (unsigned opcode : {0xcb, 0xcf}) codes.push_back(Byte(opcode));
  // I/O.
  for (unsigned opcode : {0xe4, 0xe5, 0xe6, 0xe7}) {
    for (unsigned port : {0x00, 0x20, 0x60, 0x70, 0x80, 0xff}) {
      codes.push_back(Byte(opcode) + Byte(port));
    }
  }
  for (unsigned opcode = 0x6c; opcode < 0x70; ++opcode) codes.push_back(Byte(opcode));
  for (unsigned opcode = 0xec; opcode < 0xf0; ++opcode) codes.push_back(Byte(opcode));
  // INT1, HLT, CLI, STI, SALC; INT 0x80 and some others.
  for (unsigned opcode : {0xf1, 0xf4, 0xfa, 0xfb, 0xd6}) codes.push_back(Byte(opcode));
  for (unsigned vector : {0x00, 0x03, 0x0d, 0x20, 0x2e, 0x80, 0xff}) {
    codes.push_back("\xcd" + Byte(vector));
  }
  // CLTS, SYSRET, INVD, WBINVD, UD2; WRMSR, RDTSC, RDMSR, RDPMC, SYSENTER, SYSEXIT, GETSEC; RSM.
  for (unsigned opcode :
       {0x06, 0x07, 0x08, 0x09, 0x0b, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0xaa}) {
    codes.push_back("\x0f" + Byte(opcode));
  }
  // LAR, LSL; VMREAD, VMWRITE.
  for (unsigned opcode : {0x02, 0x03, 0x78, 0x79}) {
    Append(&codes, "\x0f" + Byte(opcode), Slice(kMemoryForms, {0, 7}));
    Append(&codes, "\x0f" + Byte(opcode), Slice(kRegisterForms, {0, 7}));
  }
  // SLDT, STR, LLDT, LTR, VERR, VERW; SGDT and what else is in its group.
  const std::string groups[] = {std::string("\x0f\x00", 2), "\x0f\x01"};
  for (const std::string& group : groups) {
    Append(&codes, group, kRegisterForms);
    Append(&codes, group, kMemoryForms);
  }
  // XSAVE, XRSTOR, XSAVEOPT; XSAVES and kin, VMPTRLD; RDRAND, RDSEED.
  Append(&codes, "\x0f\xae", Slice(kMemoryForms, {4, 5, 6}));
  Append(&codes, "\x0f\xc7", Slice(kMemoryForms, {0, 2, 3, 4, 5, 6, 7}));
  Append(&codes, "\x0f\xc7", kRegisterForms);
  return codes;
}

// What there is too much of for that.
std::vector<std::string> ManyForms() {
  std::vector<std::string> codes;
  for (unsigned vector = 0; vector < 256; ++vector) codes.push_back("\xcd" + Byte(vector));
  Append(&codes, std::string("\x0f\x00", 2), kAllForms);
  Append(&codes, "\x0f\x01", kAllForms);
  // Control, debug and test registers.
  for (unsigned opcode = 0x20; opcode < 0x28; ++opcode) {
    Append(&codes, "\x0f" + Byte(opcode), kRegisterForms);
  }
  // The maps of later extensions; VEX, EVEX, XOP.
  for (const char* map : {"\x0f\x38", "\x0f\x3a"}) {
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      codes.push_back(map + Byte(opcode) + Bytes({0x07, 0}));
    }
  }
  for (unsigned second = 0xc0; second < 0x100; ++second) {
    codes.push_back("\xc5" + Byte(second) + Bytes({0x58, 0xc1}));
    codes.push_back("\xc4" + Byte(second) + Bytes({0x7d, 0x58, 0xc1}));
    codes.push_back("\x62" + Byte(second) + Bytes({0x7c, 0x48, 0x58, 0xc1}));
    if ((second & 0x38) != 0) codes.push_back("\x8f" + Byte(second) + Bytes({0x78, 0xc1}));
  }
  // UD0, UD1, SYSCALL's neighbours.
  for (unsigned opcode : {0x04, 0x0a, 0x0c, 0x0e, 0x24, 0x25, 0x26, 0x27, 0x39, 0x3b,
                          0x3c, 0x3d, 0x3e, 0x3f, 0x7a, 0x7b, 0xa6, 0xa7, 0xb9, 0xff}) {
    codes.push_back("\x0f" + Byte(opcode) + Bytes({0xc0, 0}));
  }
  return codes;
}

constexpr unsigned kPrefixes[] = {0x66, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0xf0, 0x64, 0x65, 0x67};

// What a guest has, and what becomes of it with any prefixes, which may be what it ignores, with
// LOCK, and with FS, GS or 67.
struct Allowed {
  const char* name;
  std::string code;
  bool takes_66 = true;
};

void AddPrefixed(TableBuilder* table, const Allowed& allowed, const std::string& prefixes) {
  const auto has = [&](unsigned prefix) {
    return prefixes.find(static_cast<char>(prefix)) != std::string::npos;
  };
  const uint32_t eip = table->Code(prefixes + allowed.code + Exit(7));
  const size_t length = prefixes.size() + allowed.code.size();
  std::string expected = Exits(7);
  // Whichever byte comes first that makes it one or the other; LOCK is looked at last.
  const bool is_unknown = has(0x64) || has(0x65) || has(0x67) ||
                          (has(0x66) && !allowed.takes_66 && prefixes.size() < 15);
  if (is_unknown || (has(0xf0) && length <= 15)) {
    expected = Traps(TrapCause::kInvalidOpcode, eip);
  } else if (length > 15) {
    expected = Traps(TrapCause::kGeneralProtection, eip);
  }
  table->Add(absl::StrCat(allowed.name, " with prefixes ", absl::BytesToHexString(prefixes)), eip,
             {{kEsi, kData}, {kEdi, kData + 0x100}, {kEcx, 1}, {kEax, 999}}, expected);
}

}  // namespace

Table InstructionAttacks() {
  TableBuilder table;
  const auto add = [&table](const std::string& code) {
    const uint32_t eip = table.Code(code);
    table.Add("code " + absl::BytesToHexString(code), eip,
              {{kEdi, kData}, {kEsi, kData}, {kEcx, 1}, {kEdx, 0x70}},
              Traps(TrapCause::kInvalidOpcode, eip));
  };
  for (const std::string& code : SystemInstructions()) {
    add(code);
    for (unsigned prefix : kPrefixes) add(Byte(prefix) + code);
  }
  for (const std::string& code : ManyForms()) add(code);

  const Allowed allowed[] = {{"a load", Bytes({0x8b, 0x07})},
                             {"a store", Bytes({0x88, 0x07})},
                             {"MOVS", Bytes({0xa4})},
                             {"a call", testing::Syscall()},
                             {"a jump", Bytes({0xeb, 0x00}), false}};
  for (const Allowed& what : allowed) {
    for (unsigned first : kPrefixes) {
      for (unsigned second : kPrefixes) AddPrefixed(&table, what, Byte(first) + Byte(second));
      for (size_t count : {12, 13, 14, 15, 16, 100, 300}) {
        AddPrefixed(&table, what, std::string(count, static_cast<char>(first)));
      }
    }
  }
  return table.Finish();
}

}  // namespace vx::hostile
