// The instructions under test as data: one row per opcode form, in the letters of the opcode maps
// (Intel SDM vol. 2, appendix A.2), and what makes cases of them.
#ifndef VXENGINE_CONFORMANCE_FORMS_H_
#define VXENGINE_CONFORMANCE_FORMS_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vxengine/conformance/case.h"
#include "vxengine/conformance/deviations.h"

namespace vx::conformance {

// What a form's cases need beyond random operands.
enum class Inputs : uint8_t {
  kPlain,
  kStack,    // ESP and EBP wherever a stack can be, its ends included
  kString,   // ESI, EDI and ECX for a string instruction, with and without REP, in both directions
  kXlat,     // EBX points at a table
  kFlags,    // all 64 values of the status flags
  kMaskmov,  // EDI points at data
};

// A row of the table. `syntax` is a mnemonic and operands. Letters: E general register or memory by
// ModRM.rm, R the register only, M memory only; G general register by ModRM.reg; V, W, U the same
// of XMM (reg, rm, rm register only); Z general register in the opcode's low bits; I immediate; O
// absolute address. Sizes: b 1, w 2, d 4, q 8, x 16 bytes, v 2 and 4 (two forms, the 2-byte one
// with prefix 66), a two of v, s a byte that is sign-extended; Operands in lower case are implied
// (a lone v gives sizes). `cc` in a mnemonic: 16 forms.
struct Row {
  std::string_view syntax;
  std::string_view opcode;  // hex bytes, then /digit where ModRM.reg is part of it
  Rule rule = Rule::kExact;
  Inputs inputs = Inputs::kPlain;
};

// A row made explicit.
struct Form {
  std::string name;  // a C identifier
  std::vector<uint8_t> opcode;
  int digit = -1;
  char rm = 0, reg = 0;               // E, R, M, W, U; G, V; 0 if there is none
  uint8_t rm_size = 0, reg_size = 0;  // bytes
  uint8_t low_register_size = 0;      // of a Z operand, 0 if there is none
  uint8_t immediate = 0;              // bytes
  bool address = false;               // an O operand
  bool rm_is_destination = false;
  uint8_t size = 4;  // bytes of the operation: that of the first operand
  Rule rule = Rule::kExact;
  Inputs inputs = Inputs::kPlain;
};

// For GoogleTest.
void PrintTo(const Form& form, std::ostream* out);

std::span<const Row> IntegerRows();
std::span<const Row> SseRows();

std::vector<Form> Expand(std::span<const Row> rows);

using Random = std::mt19937_64;

// A number below `limit`.
uint32_t Below(Random& random, uint32_t limit);

// A number that is often 0, 1, -1, the largest, the smallest or near one of those in 8, 16 or 32
// bits.
uint32_t EdgeValue(Random& random);

// A random state; ESP is in the data.
State RandomState(Random& random, bool with_xmm);

// How an instruction gets its memory operand: asked to make a general register `wish`, returns the
// value that the register has in fact.
using SetRegister = std::function<uint32_t(int gpr, uint32_t wish)>;

// ModRM, SIB and displacement of some addressing mode that reaches `target`.
std::vector<uint8_t> EncodeAddress(Random& random, int reg_field, uint32_t target,
                                   const SetRegister& set);

// Address of an operand of `size` bytes in the data: mostly valid, of any alignment; now and then
// one that faults, whole or in part.
uint32_t OperandAddress(Random& random, uint32_t size);

// One instruction of the form in one random state.
Case MakeCase(const Form& form, Random& random);

// Appends one instruction of the form to a sequence, behind instructions that load the pointers it
// needs.
void AppendInstruction(const Form& form, Random& random, std::vector<uint8_t>* code);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_FORMS_H_
