// An oracle of what the verifier may admit, after a disassembler that somebody else wrote: it
// decodes with Zydis and looks at operands, where the verifier looks at encodings.
#ifndef VXENGINE_VERIFIER_ORACLE_H_
#define VXENGINE_VERIFIER_ORACLE_H_

#include <Zydis/Zydis.h>
#include <fnmatch.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "vxengine/verifier_testing.h"

namespace vx::testing {

struct Decoded {
  size_t at = 0;
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  size_t end() const { return at + instruction.length; }
  bool Is(std::initializer_list<ZydisMnemonic> mnemonics) const {
    return std::find(mnemonics.begin(), mnemonics.end(), instruction.mnemonic) != mnemonics.end();
  }
};

class Oracle {
 public:
  Oracle(const VerifierRules& rules) : rules_(rules) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
  }

  std::optional<Decoded> Decode(const Code& code, size_t at) const {
    Decoded decoded;
    decoded.at = at;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder_, code.data() + at, code.size() - at,
                                             &decoded.instruction, decoded.operands))) {
      return std::nullopt;
    }
    return decoded;
  }

  // What is unsafe about a region that was admitted, or "".
  std::string Check(const Code& code, const VerifiedRegion& region) const {
    std::vector<Decoded> all;
    for (size_t at = 0; at < code.size();) {
      const std::optional<Decoded> decoded = Decode(code, at);
      if (!decoded) return "not decoded: " + ToHex(Code(code.begin() + at, code.end()));
      all.push_back(*decoded);
      at = decoded->end();
    }
    std::vector<uint32_t> boundaries;
    std::vector<std::pair<const Decoded*, std::string>> branches;  // and where they must lead
    bool falls = false, returns = false;
    for (size_t i = 0; i < all.size();) {
      if (all[i].Is({ZYDIS_MNEMONIC_INT3})) {
        if (falls) return "falls into filling";
        ++i;
        continue;
      }
      boundaries.push_back(static_cast<uint32_t>(kOffset + all[i].at));
      const bool was_call = std::exchange(returns, false);
      falls = true;
      if (size_t n = Matches(all, i, kReturnSites); was_call) {
        if (n == 0) return "no return site";
        i += n;
      } else if (n = Matches(all, i, kMeterings); n > 0) {
        branches.emplace_back(&all[n == 2 ? i + 1 : i + 7], "inside");
        i += n;
      } else if (n = Matches(all, i, kIndirect); n > 0) {
        if (std::string bad = Ordinary(all[i]); !bad.empty()) return bad;
        falls = returns = all[i + 3].Is({ZYDIS_MNEMONIC_CALL});
        i += n;
      } else {
        if (std::string bad = Ordinary(all[i]); !bad.empty()) return bad + ": " + Text(all[i]);
        const ZydisInstructionCategory category = all[i].instruction.meta.category;
        if (category == ZYDIS_CATEGORY_CALL || category == ZYDIS_CATEGORY_COND_BR ||
            category == ZYDIS_CATEGORY_UNCOND_BR) {
          if (!all[i].operands[0].imm.is_relative) return "indirect: " + Text(all[i]);
          branches.emplace_back(&all[i], "");
        }
        falls = category != ZYDIS_CATEGORY_UNCOND_BR && category != ZYDIS_CATEGORY_RET;
        returns = category == ZYDIS_CATEGORY_CALL && !IsIn(rules_.helpers, Target(all[i]));
        ++i;
      }
    }
    if (falls || returns) return "falls out of the region";
    if (boundaries != region.boundaries) return "other boundaries";

    std::vector<std::pair<uint32_t, uint32_t>> direct, reported;
    for (const auto& [branch, where] : branches) {
      const int64_t target = Target(*branch);
      if (target >= kOffset && target < static_cast<int64_t>(kOffset + code.size())) {
        if (!IsIn(boundaries, target)) return "into an instruction: " + Text(*branch);
        if (where != "inside" && branch->instruction.raw.imm[0].size == 32) {
          direct.emplace_back(kOffset + branch->at + branch->instruction.raw.imm[0].offset, target);
        }
      } else if (where == "inside") {
        return "out of the region: " + Text(*branch);
      } else if (!branch->Is({ZYDIS_MNEMONIC_CALL}) || !IsIn(rules_.helpers, target)) {
        if (branch->instruction.raw.imm[0].size != 32) return "short: " + Text(*branch);
        if (target < 0 || target > UINT32_MAX) return "out of the code: " + Text(*branch);
        if (!IsIn(rules_.stubs, target) && !rules_.is_entry(static_cast<uint32_t>(target))) {
          return "out of the region: " + Text(*branch);
        }
        direct.emplace_back(kOffset + branch->at + branch->instruction.raw.imm[0].offset, target);
      }
    }
    for (const Branch& branch : region.branches) {
      reported.emplace_back(branch.rel32, branch.target);
      if (branch.is_call != (code[branch.rel32 - kOffset - 1] == 0xe8)) return "is_call";
    }
    return direct == reported ? "" : "other direct branches";
  }

  // What is unsafe about an instruction that is no part of a sequence, or "". Of direct branches
  // the targets are not looked at.
  std::string Ordinary(const Decoded& decoded) const {
    const ZydisDecodedInstruction& i = decoded.instruction;
    switch (i.meta.isa_ext) {
      case ZYDIS_ISA_EXT_BASE:
      case ZYDIS_ISA_EXT_X87:
      case ZYDIS_ISA_EXT_SSE:
      case ZYDIS_ISA_EXT_SSE2:
      case ZYDIS_ISA_EXT_PAUSE:
      case ZYDIS_ISA_EXT_CLFSH:
      case ZYDIS_ISA_EXT_LONGMODE:
        break;
      default:
        return "extension";
    }
    switch (i.meta.category) {
      case ZYDIS_CATEGORY_INTERRUPT:
      case ZYDIS_CATEGORY_IO:
      case ZYDIS_CATEGORY_IOSTRINGOP:
      case ZYDIS_CATEGORY_POP:
      case ZYDIS_CATEGORY_PUSH:
      case ZYDIS_CATEGORY_SEGOP:
      case ZYDIS_CATEGORY_SYSCALL:
      case ZYDIS_CATEGORY_SYSRET:
      case ZYDIS_CATEGORY_SYSTEM:
        return "category";
      default:
        break;
    }
    if ((i.attributes & (ZYDIS_ATTRIB_IS_PRIVILEGED | ZYDIS_ATTRIB_HAS_LOCK)) != 0 ||
        i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
      return "attribute";
    }
    if (i.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || (i.raw.rex.W != 0)) return "encoding";
    if (decoded.Is({ZYDIS_MNEMONIC_LDMXCSR, ZYDIS_MNEMONIC_STMXCSR, ZYDIS_MNEMONIC_FLDENV,
                    ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_JRCXZ, ZYDIS_MNEMONIC_CPUID,
                    ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_MASKMOVDQU})) {
      return "mnemonic";
    }
    // A prefix 66 in front of a near branch: Intel's CPUs ignore it, AMD's do not, and Zydis is of
    // Intel's opinion, so that nothing else here would see it.
    if (i.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && i.raw.prefix_count > 0 &&
        !decoded.Is({ZYDIS_MNEMONIC_JECXZ})) {
      return "prefix of a branch";
    }
    const bool uses_stack = decoded.Is({ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_RET});
    for (int n = 0; n < i.operand_count; ++n) {
      const ZydisDecodedOperand& operand = decoded.operands[n];
      const bool is_hidden = operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
      if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) return "far";
      if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        if (uses_stack && is_hidden) continue;
        if (!IsRegister(operand.reg.value, is_hidden)) return "register";
      }
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
      if (uses_stack && is_hidden && operand.mem.base == ZYDIS_REGISTER_RSP) continue;
      for (ZydisRegister part : {operand.mem.base, operand.mem.index}) {
        if (part != ZYDIS_REGISTER_NONE && !IsAddress(part)) return "address";
      }
      if (decoded.Is({ZYDIS_MNEMONIC_LEA, ZYDIS_MNEMONIC_NOP})) continue;
      if (i.address_width != 32) return "address width";
      if (operand.size > 128 && !decoded.Is({ZYDIS_MNEMONIC_CLFLUSH})) return "too much memory";
      const ZydisRegister segment = operand.mem.segment;
      if (rules_.placement == kShared
              ? segment != ZYDIS_REGISTER_GS
              : segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS) {
        return "segment";
      }
      if (decoded.Is(
              {ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC}) &&
          decoded.operands[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return "bit offset";
      }
    }
    return "";
  }

  std::string Text(const Decoded& decoded) const {
    char text[128];
    ZydisFormatterFormatInstruction(&formatter_, &decoded.instruction, decoded.operands,
                                    decoded.instruction.operand_count_visible, text, sizeof(text),
                                    ZYDIS_RUNTIME_ADDRESS_NONE, nullptr);
    return text;
  }

 private:
  using Patterns = std::vector<std::vector<std::string>>;

  // For a budget at 0x20.
  inline static const Patterns kIndirect = {
      {"mov r8d, *", "mov r9d, [[]r14+r8*4[]]", "lea r9, [[]r9+r13*1[]]", "jmp r9"},
      {"mov r8d, *", "mov r9d, [[]r14+r8*4[]]", "lea r9, [[]r9+r13*1[]]", "call r9"},
  };
  inline static const Patterns kReturnSites = {
      {"lea r9d, [[]r8*[]]", "movzx r10d, byte ptr [[]r12+r9*1+0xFFF[]]"},
  };
  inline static const Patterns kMeterings = {
      {"sub qword ptr [[]r12+0x20[]], *", "js *"},
      {"mov r10d, ecx", "mov r8, [[]r12+0x20[]]", "lea r8, [[]r8*[]]", "mov [[]r12+0x20[]], r8",
       "mov ecx, [[]r12+0x24[]]", "jecxz +0x0B", "mov ecx, r10d", "jmp *", "mov ecx, r10d"},
  };

  size_t Matches(const std::vector<Decoded>& all, size_t at, const Patterns& patterns) const {
    for (const std::vector<std::string>& pattern : patterns) {
      if (all.size() - at < pattern.size()) continue;
      bool matches = true;
      for (size_t i = 0; matches && i < pattern.size(); ++i) {
        const Decoded& decoded = all[at + i];
        // Formatting takes long.
        const std::string mnemonic = ZydisMnemonicGetString(decoded.instruction.mnemonic);
        matches = pattern[i].starts_with(mnemonic + " ") &&
                  fnmatch(pattern[i].c_str(), Text(decoded).c_str(), 0) == 0;
      }
      if (matches) return pattern.size();
    }
    return 0;
  }

  static bool IsAddress(ZydisRegister part) {
    if (ZydisRegisterGetClass(part) == ZYDIS_REGCLASS_IP) return false;
    switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, part)) {
      case ZYDIS_REGISTER_RSP:
      case ZYDIS_REGISTER_R12:
      case ZYDIS_REGISTER_R13:
      case ZYDIS_REGISTER_R14:
        return false;
      default:
        return true;
    }
  }

  static bool IsRegister(ZydisRegister value, bool is_hidden) {
    switch (ZydisRegisterGetClass(value)) {
      case ZYDIS_REGCLASS_GPR8:
      case ZYDIS_REGCLASS_GPR16:
      case ZYDIS_REGCLASS_GPR32:
        return IsAddress(value);
      case ZYDIS_REGCLASS_XMM:
        return value <= ZYDIS_REGISTER_XMM7;
      case ZYDIS_REGCLASS_X87:
        return true;
      case ZYDIS_REGCLASS_FLAGS:
      case ZYDIS_REGCLASS_IP:
        return is_hidden;
      default:
        return is_hidden &&
               (value == ZYDIS_REGISTER_X87CONTROL || value == ZYDIS_REGISTER_X87STATUS ||
                value == ZYDIS_REGISTER_X87TAG || value == ZYDIS_REGISTER_MXCSR);
    }
  }

  static int64_t Target(const Decoded& branch) {
    return static_cast<int64_t>(kOffset + branch.end()) + branch.operands[0].imm.value.s;
  }

  template <typename Container>
  static bool IsIn(const Container& container, int64_t value) {
    return std::find(container.begin(), container.end(), value) != container.end();
  }

  const VerifierRules rules_;
  ZydisDecoder decoder_;
  ZydisFormatter formatter_;
};

}  // namespace vx::testing

#endif  // VXENGINE_VERIFIER_ORACLE_H_
