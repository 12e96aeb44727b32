// Where the ABI's definition may differ from what a CPU does: flags that the manuals leave
// undefined. Their values are the ABI's, not those of the CPU at hand, so that the tests say the
// same on every x86. (Of results that are undefined as a whole the CPU isn't asked: see
// abi_test.cc.)
//
// The CPU they were measured on (native.h: IsReferenceCpu) must agree with every line of flags.
//
// Each deviation is a line of a table that cites vxengine/MACHINE.md.
#ifndef VXENGINE_CONFORMANCE_DEVIATIONS_H_
#define VXENGINE_CONFORMANCE_DEVIATIONS_H_

#include <string_view>
#include <vector>

#include "vxengine/conformance/case.h"

namespace vx::conformance {

enum class Rule : uint8_t {
  kExact,  // the manuals define everything
  kLogic,
  kMul,
  kDiv,
  kShl,
  kShr,
  kSar,
  kRol,
  kRor,
  kRcl,
  kRcr,
  kShld,
  kShrd,
  kBitScan,
  kBitTest,
  kAaa,
  kAas,
  kDaa,
  kDas,
  kAad,
  kAam,
  kPopa,  // a CPU's POPA that faults half-way has popped some; the ABI's leaves all as before
};

// Words of MACHINE.md, in the section of a heading.
struct Citation {
  std::string_view heading, words;
};

// Replaces what is undefined in a CPU's result of the case by what the ABI says.
void ApplyAbi(const Case& test, Result* result);

// The same for what depends on what the guest met: which of two faults came first.
void ApplyAbi(const Case& test, const Result& actual, Result* result);

// What both cite.
std::vector<Citation> DeviationCitations();

// A place's value in a state and memory, zero-extended.
uint32_t Value(const Place& place, const State& state, const std::vector<uint8_t>& data);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_DEVIATIONS_H_
