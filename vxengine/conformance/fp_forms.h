// Floating-point instructions under test as data, and what makes cases of them.
#ifndef VXENGINE_CONFORMANCE_FP_FORMS_H_
#define VXENGINE_CONFORMANCE_FP_FORMS_H_

#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vxengine/conformance/deviations.h"
#include "vxengine/conformance/forms.h"
#include "vxengine/conformance/fp_case.h"

namespace vx::conformance {

// What an operand holds. As an SSE operand, kI32 without lanes is a general register or memory; all
// other types are an XMM register or memory.
enum class FpType : uint8_t {
  kNone,
  kI16,
  kI32,
  kI64,
  kF32,
  kF64,
  kF80,
  kBcd,
  kI32x2,
  kI32x4,  // those of 16 bytes are aligned in memory
  kF32x2,
  kF32x4,
  kF64x2,
  kControlWord,
  kMxcsr,
  kEnvironment,
  kX87Image,
  kFxImage,
  kStoredEnvironment,  // the same as they are stored: they have fields that guests don't see
  kStoredX87Image,
  kStoredFxImage,
};

// A row of the tables. `opcode` is hex bytes, then, for x87 and state, "/digit" (memory),
// "+i" (the last byte plus a stack register) or nothing. SSE rows have an `rm` operand and maybe a
// `reg` one; a digit in place of a reg operand.
struct FpRow {
  std::string_view name;
  std::string_view opcode;
  FpType rm = FpType::kNone;
  FpType reg = FpType::kNone;
  bool predicate = false;  // an immediate from 0 to 7: a form each
};

struct FpEncoding {
  std::vector<uint8_t> code;
  bool memory = false;  // the rm operand is at [EAX]
  bool waits = false;   // FWAIT comes after it: what it raised traps there
};

struct FpForm {
  std::string name;  // a C identifier
  FpType rm = FpType::kNone, reg = FpType::kNone;
  std::vector<FpEncoding> encodings;
};

// For GoogleTest.
void PrintTo(const FpForm& form, std::ostream* out);

std::vector<FpForm> SseArithmeticForms();
std::vector<FpForm> X87ArithmeticForms();
// x87's and MXCSR's control and state.
std::vector<FpForm> FpStateForms();

// A form whose one encoding is a few instructions of `forms`, with the same memory operand.
FpForm MakeSequence(std::span<const FpForm> forms, std::string name, Random& random);

// One case of the form: values with many edges, related to each other; all rounding modes and
// precisions; flags and masks at random, mostly masked; full and empty stacks; now and then a
// misaligned or inaccessible memory operand.
FpCase MakeFpCase(const FpForm& form, const FpEncoding& encoding, Random& random);

// Makes of what the CPU did what the ABI says: fields of stored images that guests see as 0,
// XMM8-15 of 64-bit mode, and the address of a page fault.
void ApplyAbi(const FpForm& form, const FpCase& test, FpResult* result);

// Whether the two differ because the CPU looked at the memory operand of an x87 store although, with
// an exception that isn't masked, nothing was to be stored: the case says nothing then. abi_test.cc
// has what is right.
bool FaultsOfNoStore(const FpCase& test, const FpResult& expected, const FpResult& actual);

// What these cite.
std::vector<Citation> FpDeviationCitations();

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_FP_FORMS_H_
