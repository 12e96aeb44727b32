// The translator against the interpreter on code that no compiler makes: damaged instructions,
// random bytes, piled-up prefixes, and jumps to wherever. Both start in the same state and must end
// in the same one: trap, registers, flags, memory and, where instructions are counted, after the
// same number of them, be it a limit that ends them. --seed=N gives other sequences, --sequences=N
// more.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/engine_pair.h"
#include "vxengine/conformance/forms.h"
#include "vxengine/conformance/fp_forms.h"

namespace vx::conformance {
namespace {

constexpr int kShards = 8;
constexpr size_t kMostCode = 200;  // bytes of a case, in a slot of ORACLE_SLOT_SIZE

// --- Random code ---

constexpr uint8_t kPrefixes[] = {0x66, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x67};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed), forms_(Expand(IntegerRows())) {
    const std::vector<Form> sse = Expand(SseRows());
    // They are as many as all the others.
    for (const Form& form : sse) {
      if (Below(random_, 4) == 0) forms_.push_back(form);
    }
    std::erase_if(forms_, [](const Form& form) {
      // Results that are undefined as a whole.
      return (form.rule == Rule::kShld || form.rule == Rule::kShrd) && form.size == 2;
    });
    for (auto make : {SseArithmeticForms, X87ArithmeticForms, FpStateForms}) {
      std::ranges::move(make(), std::back_inserter(fp_forms_));
    }
  }

  Sequence Make(uint32_t address, bool counted) {
    Sequence sequence{.state = RandomState(random_, true), .address = address};
    for (uint32_t gpr = 0; gpr < 8; ++gpr) {
      if (gpr != kEsp && Chance(2)) sequence.state.gpr[gpr] = Pointer();
    }
    if (Chance(2)) {
      const FpForm& form = fp_forms_[Below(random_, fp_forms_.size())];
      const FpState state = MakeFpCase(form, form.encodings[0], random_).state;
      sequence.x87 = state.x87;
      sequence.mxcsr = state.mxcsr;
    }
    if (Chance(16)) sequence.state.gpr[kEsp] = Chance(2) ? Pointer() : EdgeValue(random_);
    if (counted) sequence.limit = 1 + (Chance(4) ? Below(random_, 3000) : Below(random_, 24));
    address_ = address;
    size_t size = 0;
    for (uint32_t left = 1 + Below(random_, 12); left > 0; --left) {
      Piece piece = MakePiece();
      if (size + piece.size() > kMostCode) break;
      size += piece.size();
      sequence.pieces.push_back(std::move(piece));
    }
    return sequence;
  }

 private:
  bool Chance(uint32_t of) { return Below(random_, of) == 0; }
  uint8_t Byte() { return static_cast<uint8_t>(random_()); }
  uint32_t Pointer() {
    return kData + (Chance(8) ? Below(random_, kDataSize + 8) : 0x800) + Below(random_, 64);
  }
  // In the case's own slot, most often in its first half.
  uint32_t Target() { return address_ + Below(random_, Chance(4) ? ORACLE_SLOT_SIZE : 64); }
  uint8_t Near() { return static_cast<uint8_t>(Below(random_, 64) - 32); }

  static void Append(uint32_t word, Piece* piece) {
    for (int n = 0; n < 4; ++n) piece->push_back(static_cast<uint8_t>(word >> (8 * n)));
  }

  Piece Valid() {
    if (Chance(4)) return FloatingPoint();
    Piece piece;
    AppendInstruction(forms_[Below(random_, forms_.size())], random_, &piece);
    return piece;
  }

  Piece FloatingPoint() {
    const FpForm& form = fp_forms_[Below(random_, fp_forms_.size())];
    const FpEncoding& encoding = form.encodings[Below(random_, form.encodings.size())];
    Piece piece;
    if (encoding.memory) {
      piece = {0xb8};  // mov eax
      Append(Chance(4) ? Pointer() : Pointer() & ~15u, &piece);
    }
    piece.insert(piece.end(), encoding.code.begin(), encoding.code.end());
    return piece;
  }

  Piece Damaged() {
    Piece piece = Valid();
    for (uint32_t times = 1 + Below(random_, 2); times > 0 && !piece.empty(); --times) {
      const size_t at = Below(random_, piece.size());
      switch (Below(random_, 6)) {
        case 0:
          piece[at] = Byte();
          break;
        case 1:
          piece[at] ^= 1u << Below(random_, 8);
          break;
        case 2:
          piece.resize(at);
          break;
        case 3:
          piece.erase(piece.begin(), piece.begin() + at);
          break;
        default:
          piece.insert(piece.begin() + (Chance(2) ? 0 : at),
                       kPrefixes[Below(random_, std::size(kPrefixes))]);
      }
    }
    return piece;
  }

  Piece Piled() {
    Piece piece;
    for (uint32_t left = Below(random_, Chance(4) ? 17 : 5); left > 0; --left) {
      piece.push_back(kPrefixes[Below(random_, std::size(kPrefixes))]);
    }
    const Piece rest = Chance(2) ? Valid() : RandomBytes();
    piece.insert(piece.end(), rest.begin(), rest.end());
    return piece;
  }

  Piece RandomBytes() {
    Piece piece(1 + Below(random_, 12));
    for (uint8_t& byte : piece) byte = Byte();
    return piece;
  }

  Piece Branch() {
    Piece piece;
    switch (Below(random_, 6)) {
      case 0:
        return {0xeb, Near()};
      case 1:
        piece = {0xe9};
        break;
      case 2:
        piece = {0x0f, static_cast<uint8_t>(0x80 | Below(random_, 16))};
        break;
      default:
        return {static_cast<uint8_t>(0x70 | Below(random_, 16)), Near()};
    }
    Append(Below(random_, 64) - 32, &piece);
    return piece;
  }

  Piece Loop() {
    // Mostly with a count that ends.
    Piece piece;
    if (!Chance(4)) {
      piece = {0xb9};
      Append(Below(random_, 40), &piece);
    }
    piece.push_back(static_cast<uint8_t>(0xe0 + Below(random_, 4)));
    piece.push_back(Near());
    return piece;
  }

  Piece CallOrReturn() {
    Piece piece;
    const uint8_t gpr = static_cast<uint8_t>(Below(random_, 8));
    switch (Below(random_, 8)) {
      case 0:
      case 1:
        piece = {0xe8};
        Append(Below(random_, 64) - 32, &piece);
        return piece;
      case 2:
        return {0xe8, 0, 0, 0, 0};
      case 3:
        return {0xc3};
      case 4:
        return {0xc2, static_cast<uint8_t>(Below(random_, 4) * 4), 0};
      case 5:
        piece = {0x68};
        Append(Target(), &piece);
        piece.push_back(0xc3);
        return piece;
      default:
        piece = {static_cast<uint8_t>(0xb8 + gpr)};
        Append(Chance(16) ? EdgeValue(random_) : Target(), &piece);
        piece.push_back(0xff);
        piece.push_back(static_cast<uint8_t>((Chance(2) ? 0xd0 : 0xe0) + gpr));
        return piece;
    }
  }

  Piece StackChange() {
    const uint8_t gpr = static_cast<uint8_t>(Below(random_, 8)),
                  small = static_cast<uint8_t>(Below(random_, 24) - 8);
    switch (Below(random_, 16)) {
      case 0:
      case 1:
      case 2:
        return {static_cast<uint8_t>(0x50 + gpr)};
      case 3:
      case 4:
        return {static_cast<uint8_t>(0x58 + gpr)};
      case 5:
        return {0x83, static_cast<uint8_t>(Chance(2) ? 0xc4 : 0xec), small};
      case 6:
        return {0x8d, 0x64, 0x24, small};
      case 7:
        return {0x8d, static_cast<uint8_t>(0x44 | gpr << 3),
                static_cast<uint8_t>((Byte() & 0xf8) | 4), small};
      case 8:
        return {static_cast<uint8_t>(Chance(2) ? 0x89 : 0x8b),
                static_cast<uint8_t>(0xc4 | gpr << 3)};
      case 9:
        return {0xc9};
      case 10:
        return {0xc8, 8, 0, static_cast<uint8_t>(Below(random_, 3))};
      case 11:
        return {static_cast<uint8_t>(0x60 + Below(random_, 2))};
      case 12:
        return {0x87, static_cast<uint8_t>(0xc4 | gpr << 3)};
      case 13:
        return {0xff, static_cast<uint8_t>(0x74), 0x24, small};
      case 14:
        return {0x8f, static_cast<uint8_t>(0x44), 0x24, small};
      default:
        return {0x0f, static_cast<uint8_t>(0x40 | Below(random_, 16)),
                static_cast<uint8_t>(0xc4 | gpr << 3)};
    }
  }

  Piece FlagChange() {
    static constexpr uint8_t kOpcodes[] = {0x9c, 0x9d, 0x9e, 0x9f, 0xf5, 0xf8,
                                           0xf9, 0xfc, 0xfd, 0xd6, 0x27, 0x2f};
    return {kOpcodes[Below(random_, std::size(kOpcodes))]};
  }

  // AH to BH beside operands on the stack.
  Piece HighByte() {
    static constexpr uint8_t kOpcodes[] = {0x00, 0x02, 0x10, 0x1a, 0x20, 0x30, 0x38,
                                           0x3a, 0x84, 0x86, 0x88, 0x8a, 0xb0, 0xc0};
    const uint32_t which = Below(random_, std::size(kOpcodes));
    Piece piece;
    if (which >= 12) piece.push_back(0x0f);
    piece.push_back(kOpcodes[which]);
    piece.push_back(static_cast<uint8_t>(0x44 | (4 + Below(random_, 4)) << 3));
    piece.push_back(static_cast<uint8_t>((Byte() & 0xf8) | 4));
    piece.push_back(Near());
    return piece;
  }

  Piece MakePiece() {
    switch (Below(random_, 24)) {
      case 0:
      case 1:
        return RandomBytes();
      case 2:
      case 3:
        return Piled();
      case 4:
      case 5:
      case 6:
        return Damaged();
      case 7:
      case 8:
      case 9:
        return Branch();
      case 10:
        return Loop();
      case 11:
      case 12:
      case 13:
        return CallOrReturn();
      case 14:
      case 15:
      case 16:
        return StackChange();
      case 17:
        return FlagChange();
      case 18:
        return HighByte();
      default:
        return Valid();
    }
  }

  Random random_;
  std::vector<Form> forms_;
  std::vector<FpForm> fp_forms_;
  uint32_t address_ = 0;
};

// Counts the case.
std::string Disagreement(EnginePair& engines, const Sequence& sequence) {
  Counts& counts = TheCounts();
  ++counts.cases;
  bool unjudged = false;
  // Few that don't end, for they take their time.
  std::string difference = engines.Disagreement(sequence, counts.cases % 16 == 0, &unjudged);
  counts.unjudged += unjudged;
  return difference;
}

std::string DisagreementAlone(const Sequence& sequence) {
  EnginePair engines({&sequence, 1}, TheSettings().placement);
  bool unjudged = false;
  return engines.Disagreement(sequence, true, &unjudged);
}

std::string Describe(const Sequence& sequence) {
  Case test;
  test.name = sequence.limit != 0 ? absl::StrCat("limit of ", sequence.limit, " instructions")
                                  : "not counted";
  test.state = sequence.state;
  test.code_address = sequence.address;
  const std::string code = Code(sequence);
  test.code.assign(code.begin(), code.end());
  return Describe(test);
}

// Replaces pieces by NOPs for as long as the rest still disagrees; NOPs, so that addresses stay.
Sequence Shrink(Sequence sequence) {
  const auto disagrees = [](const Sequence& shorter) {
    return !DisagreementAlone(shorter).empty();
  };
  if (!disagrees(sequence)) return sequence;  // it takes what lies around
  while (!sequence.pieces.empty()) {
    Sequence shorter = sequence;
    shorter.pieces.pop_back();
    if (!disagrees(shorter)) break;
    sequence = std::move(shorter);
  }
  for (size_t n = 0; n < sequence.pieces.size(); ++n) {
    Sequence shorter = sequence;
    std::ranges::fill(shorter.pieces[n], 0x90);
    if (disagrees(shorter)) sequence = std::move(shorter);
  }
  return sequence;
}

class DifferentialTest : public ::testing::TestWithParam<int> {};

TEST_P(DifferentialTest, EnginesAgreeOnAnyCode) {
  constexpr size_t kDescribed = 3;
  Generator generator(TheSettings().seed * kShards + static_cast<uint64_t>(GetParam()));
  size_t bad = 0;
  for (uint32_t done = 0; done < TheSettings().sequences / kShards;) {
    std::vector<Sequence> sequences;
    for (uint32_t slot = 0; slot < ORACLE_BATCH; ++slot, ++done) {
      sequences.push_back(
          generator.Make(kCode + slot * ORACLE_SLOT_SIZE, TheSettings().count || done % 2 == 0));
    }
    std::vector<std::pair<size_t, std::string>> differ;
    {
      EnginePair engines(sequences, TheSettings().placement);
      for (size_t n = 0; n < sequences.size(); ++n) {
        std::string difference = Disagreement(engines, sequences[n]);
        if (!difference.empty()) differ.emplace_back(n, std::move(difference));
      }
    }
    for (const auto& [n, difference] : differ) {
      if (++bad > kDescribed) continue;
      const Sequence small = Shrink(sequences[n]);
      const std::string now = DisagreementAlone(small);
      ADD_FAILURE() << Describe(small) << "\n"
                    << (now.empty() ? "together with others only:\n" + difference : now);
    }
  }
  EXPECT_EQ(bad, 0u);
}

INSTANTIATE_TEST_SUITE_P(Shard, DifferentialTest, ::testing::Range(0, kShards));

}  // namespace
}  // namespace vx::conformance
