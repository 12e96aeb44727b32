// Any bytes as guest code, on the interpreter and on the translator: same trap, registers, flags,
// memory, and number of instructions (vxengine/conformance/engine_pair.h).
//
//   0     bit 0: exclusive placement; bit 1: instructions are counted; bits 2-4: registers are
//         pointers: all, or most of them
//   1 4   seed of the state
//   5 2   the limit, of instructions
//   7..   the code
#include <string>

#include "tests/fuzz/check.h"
#include "tests/fuzz/input.h"
#include "vxengine/conformance/engine_pair.h"
#include "vxengine/conformance/forms.h"
#include "vxengine/conformance/fp_forms.h"

namespace {

using namespace vx::conformance;
using vxa::fuzz::Input;

constexpr size_t kMostCode = 240;  // of a slot, with a jump behind it

Sequence Make(Input* input) {
  const uint8_t flags = input->Byte();
  Random random(input->Integer<uint32_t>());
  Sequence sequence{.state = RandomState(random, true), .address = kCode};
  for (uint32_t& gpr : sequence.state.gpr) {
    const bool is_esp = &gpr == &sequence.state.gpr[vx::kEsp];
    if (is_esp || Below(random, 8) < (flags >> 2 & 7)) gpr = kData + 0x800 + Below(random, 64);
  }
  if (Below(random, 2) == 0) {
    static const std::vector<FpForm> forms = X87ArithmeticForms();
    const FpForm& form = forms[Below(random, forms.size())];
    const FpState state = MakeFpCase(form, form.encodings[0], random).state;
    sequence.x87 = state.x87;
    sequence.mxcsr = state.mxcsr;
  }
  const auto limit = input->Integer<uint16_t>();
  if (flags & 2) sequence.limit = 1 + limit % 3000;
  const auto code = input->Bytes(kMostCode);
  sequence.pieces.emplace_back(code.begin(), code.end());
  return sequence;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const vx::Placement placement =
      size > 0 && data[0] & 1 ? vx::Placement::kExclusive : vx::Placement::kShared;
  const Sequence sequence = Make(&input);
  EnginePair engines({&sequence, 1}, placement);
  bool unjudged = false;
  const std::string difference = engines.Disagreement(sequence, data[0] & 1, &unjudged);
  if (difference.empty()) return 0;
  const std::string code = Code(sequence);
  Case test{.name = sequence.limit != 0 ? "counted" : "not counted", .state = sequence.state};
  test.code.assign(code.begin(), code.end());
  vxa::fuzz::Fail("the engines disagree\n" + Describe(test) + "\n" + difference);
}
