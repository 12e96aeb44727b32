// The forms of instructions that the machine admits, as its decoder tells them apart, and what
// tests' cases show of each.
#ifndef VXENGINE_CONFORMANCE_COVERAGE_H_
#define VXENGINE_CONFORMANCE_COVERAGE_H_

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "vxengine/conformance/checker.h"

namespace vx::conformance {

// What chooses a handler: fields that don't are 0, or -1.
struct CodedForm {
  uint16_t code = 0;   // as FindOpcode (machine/opcodes.h) takes it
  uint8_t prefix = 0;  // 66, F3 or F2
  int8_t digit = -1;   // ModRM.reg; ModRM.rm of x87 instructions without a memory operand
  bool memory = false;
  bool lock = false;
  uint8_t size = 0;  // bits: 16 or 32
  auto operator<=>(const CodedForm&) const = default;
};

// "F7 /4 m16", "66 0F 6F r", "D9 E8", "D8 C0+i", "F3 A5 32", "lock 0F C1 m32".
std::string Name(const CodedForm& form);

// The form of the first instruction; none if the machine refuses it.
std::optional<CodedForm> FormOf(std::span<const uint8_t> code);

// All that the decoder admits.
std::set<CodedForm> AdmittedForms();

// What cases of one form there are.
struct Seen {
  std::map<std::string, uint32_t> with_oracle, without;  // cases by test
  uint64_t flags = 0;  // a bit for each value of the status flags before the instruction
  uint32_t edges = 0;  // cases whose explicit memory operand begins at most 16 bytes from an
                       // end of what is mapped, on either side, or nowhere near
  void Add(const Sighting& sighting, const std::string& test);
};

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_COVERAGE_H_
