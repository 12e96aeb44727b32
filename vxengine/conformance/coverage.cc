#include "vxengine/conformance/coverage.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/machine/decoder.h"
#include "vxengine/machine/families.h"
#include "vxengine/machine/opcodes.h"

namespace vx::conformance {
namespace {

constexpr Mandatory kMandatory[] = {Mandatory::kNone, Mandatory::k66, Mandatory::kF3,
                                    Mandatory::kF2};
constexpr uint8_t kPrefixByte[] = {0, 0x66, 0xf3, 0xf2};

// The parts of an instruction that choose its handler.
struct Parts {
  bool operand_size = false, lock = false;
  Mandatory repeat = Mandatory::kNone;
  unsigned code = 0;
  uint8_t modrm = 0xc0;  // if there is one
};

// REQUIRES: the instruction decodes.
Parts Split(std::span<const uint8_t> code) {
  Parts parts;
  size_t at = 0;
  for (;; ++at) {
    if (code[at] == 0x66) {
      parts.operand_size = true;
    } else if (code[at] == 0xf0) {
      parts.lock = true;
    } else if (code[at] == 0xf3 || code[at] == 0xf2) {
      parts.repeat = code[at] == 0xf3 ? Mandatory::kF3 : Mandatory::kF2;
    } else if ((code[at] & 0xe7) != 0x26) {  // ES CS SS DS
      break;
    }
  }
  parts.code = code[at++];
  if (parts.code == 0x0f) parts.code = kTwoByte + code[at++];
  if (at < code.size()) parts.modrm = code[at];
  return parts;
}

// A code's meanings by digit.
using OpcodeGroup = std::array<Opcode, 8>;

OpcodeGroup Group(Mandatory prefix, unsigned code) {
  OpcodeGroup group;
  for (unsigned digit = 0; digit < group.size(); ++digit) {
    group[digit] = FindOpcode(prefix, code, digit);
  }
  return group;
}

bool SameMeaning(const OpcodeGroup& a, const OpcodeGroup& b) {
  return std::ranges::equal(a, b, [](const Opcode& x, const Opcode& y) {
    return x.family == y.family && x.format == y.format;
  });
}

bool PrefixMatters(unsigned code) {
  return std::ranges::any_of(kMandatory, [code](Mandatory prefix) {
    return !SameMeaning(Group(prefix, code), Group(Mandatory::kNone, code));
  });
}

bool DigitMatters(const OpcodeGroup& group) {
  return std::ranges::any_of(
      group, [&group](const Opcode& opcode) { return opcode.family != group[0].family; });
}

constexpr uint32_t kNear = 16;

uint32_t Address(const Instruction& instruction, std::span<const uint32_t, 8> gpr) {
  const auto value = [gpr](uint8_t reg) { return reg == kNoRegister ? 0 : gpr[reg]; };
  return value(instruction.base) + (value(instruction.index) << instruction.scale) +
         instruction.displacement;
}

}  // namespace

std::string Name(const CodedForm& form) {
  std::string text = form.lock ? "lock " : "";
  if (form.prefix != 0) absl::StrAppendFormat(&text, "%02X ", form.prefix);
  if (form.code >= kX87Register) {
    const unsigned opcode = 0xd8 + (form.code - kX87Register) / 8;
    const unsigned modrm = 0xc0 + (form.code & 7) * 8;
    if (form.digit >= 0) {
      return absl::StrFormat("%s%02X %02X", text, opcode, modrm + static_cast<uint8_t>(form.digit));
    }
    return absl::StrFormat("%s%02X %02X+i", text, opcode, modrm);
  }
  if (form.code >= kTwoByte) text += "0F ";
  absl::StrAppendFormat(&text, "%02X", form.code & 0xff);
  if (form.digit >= 0) absl::StrAppend(&text, " /", static_cast<int>(form.digit));
  const unsigned size = form.size;
  if (form.memory || size != 0) absl::StrAppend(&text, " ", form.memory ? "m" : "r");
  if (size != 0) absl::StrAppend(&text, size);
  return text;
}

std::optional<CodedForm> FormOf(std::span<const uint8_t> code) {
  code = code.first(std::min<size_t>(code.size(), kMaxInstructionLength));
  Instruction decoded;
  Decode(code, 0, Profile::kVx2026, &decoded);
  if (decoded.length == 0) return std::nullopt;
  const Parts parts = Split(code);
  CodedForm form{.code = static_cast<uint16_t>(parts.code), .lock = parts.lock};
  Mandatory prefix = parts.repeat;
  if (prefix == Mandatory::kNone && parts.operand_size) prefix = Mandatory::k66;
  OpcodeGroup group = Group(prefix, parts.code);
  const bool has_modrm =
      std::ranges::any_of(group, [](const Opcode& opcode) { return opcode.format & kModRm; });
  unsigned digit = 0;
  if (has_modrm) {
    digit = parts.modrm >> 3 & 7;
    form.memory = parts.modrm < 0xc0;
    if (!form.memory && (parts.code & ~7u) == 0xd8) {
      form.code = static_cast<uint16_t>(kX87Register + (parts.code & 7) * 8 + digit);
      group = Group(Mandatory::kNone, form.code);
      digit = parts.modrm & 7;
    }
    if (DigitMatters(group)) form.digit = static_cast<int8_t>(digit);
  }
  const Opcode& opcode = group[digit];
  if (opcode.format & kMemoryOffset) form.memory = true;
  if (opcode.format & kString) {
    form.prefix = kPrefixByte[static_cast<unsigned>(parts.repeat)];
  } else if (PrefixMatters(form.code)) {
    form.prefix = kPrefixByte[static_cast<unsigned>(prefix)];
    return form;
  }
  const std::array<Handler, 3>& handlers = form.memory ? opcode.family->mem : opcode.family->reg;
  if ((opcode.format & kByte) == 0 && handlers[1] != handlers[2] && handlers[1] != nullptr) {
    form.size = parts.operand_size ? 16 : 32;
  }
  return form;
}

std::set<CodedForm> AdmittedForms() {
  const std::vector<uint8_t> kPrefixes[] = {{},           {0x66},       {0xf3}, {0xf2},
                                            {0xf3, 0x66}, {0xf2, 0x66}, {0xf0}, {0xf0, 0x66}};
  std::set<CodedForm> forms;
  for (const std::vector<uint8_t>& prefixes : kPrefixes) {
    for (unsigned opcode = 0; opcode < 0x200; ++opcode) {
      std::vector<uint8_t> code = prefixes;
      if (opcode >= 0x100) code.push_back(0x0f);
      code.push_back(static_cast<uint8_t>(opcode));
      const size_t modrm_at = code.size();
      code.resize(kMaxInstructionLength);
      for (unsigned modrm = 0; modrm < 0x100; ++modrm) {
        code[modrm_at] = static_cast<uint8_t>(modrm);
        if (const auto form = FormOf(code)) forms.insert(*form);
      }
    }
  }
  return forms;
}

void Seen::Add(const Sighting& sighting, const std::string& test) {
  ++(sighting.has_oracle ? with_oracle : without)[test];
  uint32_t status = 0;
  while (status < 63 && StatusFlags(status) != (sighting.eflags & kStatusFlags)) ++status;
  flags |= uint64_t{1} << status;
  Instruction decoded;
  Decode(sighting.code.first(std::min<size_t>(sighting.code.size(), kMaxInstructionLength)), 0,
         Profile::kVx2026, &decoded);
  const uint32_t address = Address(decoded, sighting.gpr);
  const bool inside =
      address - (sighting.data + kNear) < sighting.data_end - sighting.data - 2 * kNear;
  edges += !inside;
}

}  // namespace vx::conformance
