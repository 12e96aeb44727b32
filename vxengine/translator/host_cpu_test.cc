#include "vxengine/translator/host_cpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vxengine/machine/cpu.h"
#include "vxengine/machine/decoder.h"

namespace vx {
namespace {

using Bytes = std::span<const uint8_t>;

GuestInstruction Known(Bytes instruction) {
  GuestInstruction i;
  DecodeGuestInstruction(instruction, 0, Profile::kVx2026Int, &i);
  return i;
}

// A CPU that does all as the ABI wants it.
void ExecutePortably(Bytes bytes, ProbeState* state) {
  Memory memory;
  Registers registers;
  Cpu cpu(&memory, &registers, Profile::kVx2026Int);
  Instruction instruction;
  Decode(bytes, 0, Profile::kVx2026Int, &instruction);
  std::ranges::copy(state->gpr, cpu.gpr.begin());
  cpu.set_eflags(state->flags);
  ASSERT_TRUE(ExecuteOne(cpu, instruction));
  std::copy_n(cpu.gpr.begin(), state->gpr.size(), state->gpr.begin());
  state->flags = cpu.eflags() & kStatusFlags;
}

std::string Describe(const HostCpu& cpu) {
  std::string text;
  for (unsigned rule = 0; rule < kUndefinedRules; ++rule) {
    for (unsigned size = 0; size < 3; ++size) {
      const uint16_t wrong = cpu.wrong[rule][size];
      if (wrong != 0) absl::StrAppend(&text, rule, ".", size, ": ", absl::Hex(wrong), "; ");
    }
  }
  return text;
}

// What is tried.
std::set<std::pair<UndefinedRule, unsigned>> Tried() {
  std::set<std::pair<UndefinedRule, unsigned>> tried;
  Probe([&](Bytes bytes, ProbeState* state) {
    ExecutePortably(bytes, state);
    const GuestInstruction i = Known(bytes);
    tried.emplace(i.rule(), i.size_index());
  });
  return tried;
}

TEST(ProbeTest, FindsNothingWhereAllIsAsTheAbiWants) {
  const HostCpu cpu = Probe(ExecutePortably);
  EXPECT_EQ(Describe(cpu), "");
  EXPECT_EQ(cpu.WrongAnywhere(), 0);
}

TEST(ProbeTest, TriesEveryRuleInEverySizeThatIsNotTheInterpreters) {
  const auto tried = Tried();
  for (unsigned n = 0; n < kUndefinedRules; ++n) {
    const UndefinedRule rule = static_cast<UndefinedRule>(n);
    if (rule == UndefinedRule::kSal) continue;  // becomes SHL
    const bool doubles = rule == UndefinedRule::kShld || rule == UndefinedRule::kShrd;
    const bool no_bytes = rule == UndefinedRule::kBitScan || rule == UndefinedRule::kBitTest;
    for (unsigned size = doubles ? 2 : no_bytes ? 1 : 0; size < 3; ++size) {
      EXPECT_TRUE(tried.contains({rule, size})) << n << "." << size;
    }
  }
}

TEST(ProbeTest, FindsEachFlagAndResultThatIsWrong) {
  for (const auto& [rule, size] : Tried()) {
    for (uint16_t what : {kCf, kPf, kAf, kZf, kSf, kOf, Eflag{kResult}}) {
      const HostCpu cpu = Probe([&](Bytes bytes, ProbeState* state) {
        ExecutePortably(bytes, state);
        const GuestInstruction i = Known(bytes);
        if (i.rule() != rule || i.size_index() != size) return;
        state->flags ^= what & kStatusFlags;
        if (what == kResult) state->gpr[kEdx] ^= 0x80;
      });
      HostCpu expected;
      expected.wrong[static_cast<unsigned>(rule)][size] = what;
      EXPECT_EQ(Describe(cpu), Describe(expected));
    }
  }
}

TEST(ProbeTest, FindsFlagsThatStayOrComeFromTheResult) {
  const auto probe = [](uint32_t flags, auto value) {
    return Probe([&](Bytes bytes, ProbeState* state) {
      const ProbeState before = *state;
      ExecutePortably(bytes, state);
      if ((Known(bytes).undefined & flags) == 0) return;
      state->flags = (state->flags & ~flags) | (value(before, *state) & flags);
    });
  };
  const HostCpu stays =
      probe(kAf, [](const ProbeState& before, const ProbeState&) { return before.flags; });
  EXPECT_EQ(stays.wrong[static_cast<unsigned>(UndefinedRule::kShl)][2], kAf);
  EXPECT_EQ(stays.wrong[static_cast<unsigned>(UndefinedRule::kMul)][2], 0);
  const HostCpu of_result = probe(kSf, [](const ProbeState&, const ProbeState& after) {
    return after.gpr[kEdx] >> 31 != 0 ? kSf : 0u;
  });
  EXPECT_EQ(of_result.wrong[static_cast<unsigned>(UndefinedRule::kMul)][2], kSf);
}

TEST(ProbeTest, RunsInstructionsOnThisCpu) {
  // Of AND, OR, XOR and TEST manuals leave only AF undefined.
  const HostCpu cpu = Probe(ExecuteOnThisCpu);
  for (uint16_t wrong : cpu.wrong[static_cast<unsigned>(UndefinedRule::kLogic)]) {
    EXPECT_EQ(wrong & ~kAf, 0u);
  }
}

TEST(ContraryCpuTest, GetsAllThatIsUndefinedWrong) {
  const HostCpu contrary = ContraryCpu();
  Probe([&](Bytes bytes, ProbeState* state) {
    ExecutePortably(bytes, state);
    const GuestInstruction i = Known(bytes);
    EXPECT_EQ(i.undefined & ~contrary.WrongAt(i), 0);
  });
}

}  // namespace
}  // namespace vx
