// Random sequences of instructions against the CPU: what one leaves in registers, flags and memory,
// the next ones use. --seed=N gives other sequences, --sequences=N more.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/forms.h"

namespace vx::conformance {
namespace {

constexpr int kBlocks = 16;
constexpr size_t kMostCode = 200;

// What a sequence is made of and can be made smaller by: an instruction with what belongs to it.
using Piece = std::vector<uint8_t>;

std::vector<Form> Usable() {
  std::vector<Form> forms = Expand(IntegerRows());
  const std::vector<Form> sse = Expand(SseRows());
  forms.insert(forms.end(), sse.begin(), sse.end());
  std::erase_if(forms, [](const Form& form) {
    // Results that are undefined as a whole, or a deviation that only holds for an instruction
    // alone.
    const bool double_shift = form.rule == Rule::kShld || form.rule == Rule::kShrd;
    return (double_shift && form.size == 2) || form.rule == Rule::kPopa ||
           form.inputs == Inputs::kMaskmov || form.name.starts_with("leave");
  });
  return forms;
}

Piece MakePiece(const std::vector<Form>& forms, Random& random) {
  const Form* form = &forms[Below(random, forms.size())];
  while (form->rule == Rule::kDiv && Below(random, 8) != 0) {
    form = &forms[Below(random, forms.size())];
  }
  Piece piece;
  AppendInstruction(*form, random, &piece);
  // CMP defines all flags, so that what comes next doesn't depend on undefined ones.
  if (form->rule != Rule::kExact) {
    piece.insert(piece.end(), {0x39, static_cast<uint8_t>(0xc0 | Below(random, 64))});
  }
  if (Below(random, 6) == 0 && piece.size() < 128) {  // jcc over it
    const uint8_t jump[] = {static_cast<uint8_t>(0x70 | Below(random, 16)),
                            static_cast<uint8_t>(piece.size())};
    piece.insert(piece.begin(), jump, jump + 2);
  }
  return piece;
}

Case Assemble(const Case& start, const std::vector<Piece>& pieces) {
  Case test = start;
  test.code.clear();
  for (const Piece& piece : pieces) test.code.insert(test.code.end(), piece.begin(), piece.end());
  return test;
}

class RandomTest : public testing::TestWithParam<int> {};

TEST_P(RandomTest, SequencesAgreeWithTheCpu) {
  static const auto* const forms = new std::vector<Form>(Usable());
  Random random(TheSettings().seed * kBlocks + GetParam());
  std::vector<Case> cases;
  std::vector<std::vector<Piece>> pieces;
  for (uint32_t i = 0; i < TheSettings().sequences / kBlocks; ++i) {
    Case start;
    start.name = "sequence";
    start.state = RandomState(random, true);
    std::vector<Piece> sequence;
    for (uint32_t left = 1 + Below(random, 8); left > 0; --left) {
      sequence.push_back(MakePiece(*forms, random));
      if (Assemble(start, sequence).code.size() > kMostCode) sequence.pop_back();
    }
    if (sequence.empty()) continue;
    cases.push_back(Assemble(start, sequence));
    pieces.push_back(std::move(sequence));
  }
  const std::vector<size_t> bad = Disagreements(cases);
  for (size_t i = 0; i < std::min<size_t>(bad.size(), 3); ++i) {
    // Leave out pieces for as long as the rest still disagrees.
    std::vector<Piece>& sequence = pieces[bad[i]];
    for (size_t at = 0; at < sequence.size() && sequence.size() > 1;) {
      std::vector<Piece> shorter = sequence;
      shorter.erase(shorter.begin() + at);
      const Case test = Assemble(cases[bad[i]], shorter);
      if (Disagreements({&test, 1}).empty()) {
        ++at;
      } else {
        sequence = std::move(shorter);
      }
    }
    const Case test = Assemble(cases[bad[i]], sequence);
    ExpectAgreement({&test, 1});
  }
  EXPECT_EQ(bad.size(), 0u) << "of " << cases.size();
}

INSTANTIATE_TEST_SUITE_P(Block, RandomTest, testing::Range(0, kBlocks));

}  // namespace
}  // namespace vx::conformance
