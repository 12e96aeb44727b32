#include "vxengine/conformance/checker.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "vxengine/conformance/deviations.h"
#include "vxengine/conformance/guest.h"
#include "vxengine/conformance/native.h"
#include "vxengine/conformance/qemu_differences.h"

namespace vx::conformance {
namespace {

constexpr size_t kDescribed = 3;

Case Placed(const Case& test, uint32_t slot) {
  Case placed = test;
  if (test.code_address == 0) placed.code_address = kCode + slot * ORACLE_SLOT_SIZE;
  placed.code = PlacedCode(test, placed.code_address);
  if (placed.state.eip == 0) placed.state.eip = placed.code_address;
  return placed;
}

// Calls `run` with batches of placed cases: those with a place of their own come alone.
template <typename Run>
void ForEachBatch(std::span<const Case> cases, Run run) {
  std::vector<Case> batch;
  size_t first = 0;
  const auto flush = [&](size_t next) {
    if (!batch.empty()) run(std::span<const Case>(batch), first);
    batch.clear();
    first = next;
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const bool own_place = cases[i].code_address != 0;
    if (own_place || batch.size() == ORACLE_BATCH) flush(i);
    batch.push_back(Placed(cases[i], batch.size()));
    if (own_place) flush(i + 1);
  }
  flush(cases.size());
}

std::vector<Result> ExpectedOfBatch(std::span<const Case> placed) {
  Native& cpu = ThisCpu();
  std::vector<Result> results = cpu.is_qemu() ? RunOnQemu(cpu, placed) : cpu.Run(placed);
  for (size_t i = 0; i < placed.size(); ++i) {
    Result& result = results[i];
    // The CPU's EIP is behind INT3 and INTO, the ABI's is theirs; such a case holds one
    // instruction.
    if (result.trap && (result.trap->cause == TrapCause::kBreakpoint ||
                        result.trap->cause == TrapCause::kOverflow)) {
      result.state.eip = placed[i].state.eip;
    }
    ApplyAbi(placed[i], &result);
  }
  return results;
}

struct Mismatch {
  size_t index;
  std::string text;
};

constexpr uint8_t kStringPrefixes[] = {0x66, 0xf2, 0xf3};
constexpr uint8_t kCmps = 0xa7;  // and 0xa6

// An operand that wraps round the address space is #GP or #SS on a CPU (Intel SDM vol. 3, 5.3), and
// a page fault here: nothing is mapped at either end. abi_test.cc has what the fault says.
bool WrapsRound(const Result& expected, const Result& actual) {
  return expected.trap && expected.trap->cause == TrapCause::kGeneralProtection && actual.trap &&
         actual.trap->cause == TrapCause::kPageFault && actual.trap->address > 0xfffffff0;
}

// Which operand a CMPS reads first no manual says, and CPUs differ (AMD family 25 takes EDI's where
// it is 16 bits, else ESI's); here it is ESI's, as abi_test.cc has it.
bool ReadsOtherOperandFirst(const Case& test, const Result& expected, const Result& actual) {
  if (!expected.trap || !actual.trap || expected.trap->cause != TrapCause::kPageFault ||
      actual.trap->cause != TrapCause::kPageFault || expected.state.eip != actual.state.eip) {
    return false;
  }
  size_t at = actual.state.eip - test.code_address;
  while (at < test.code.size() && std::ranges::count(kStringPrefixes, test.code[at]) != 0) ++at;
  if (at >= test.code.size() || (test.code[at] | 1) != kCmps) return false;
  const auto in = [](uint32_t address, uint32_t operand) { return address - operand < 4; };
  return in(expected.trap->address, expected.state.gpr[kEdi]) &&
         in(actual.trap->address, actual.state.gpr[kEsi]);
}

// A wild pointer met what one side has mapped for itself: the case says nothing.
bool MeetsHarness(const Result& result) {
  if (!result.trap || result.trap->cause != TrapCause::kPageFault) return false;
  const uint32_t address = result.trap->address;
  return address - ORACLE_OWN < ORACLE_OWN_SIZE || IsDriverMemory(address) ||
         (address - ORACLE_QEMU_OWN < ORACLE_QEMU_OWN_SIZE && ThisCpu().is_qemu());
}

void Compare(std::span<const Case> cases, size_t index, Result expected, const Result& actual,
             std::vector<Mismatch>* mismatches) {
  Counts& counts = TheCounts();
  ++counts.cases;
  if (MeetsHarness(expected) || MeetsHarness(actual)) {
    ++counts.unjudged;
    return;
  }
  if (WrapsRound(expected, actual)) expected.trap = actual.trap;
  const std::string difference = Difference(expected, actual);
  if (!difference.empty()) {
    mismatches->push_back({index, absl::StrCat(Describe(cases[index]), "\n", difference)});
  }
}

void Report(std::span<const Mismatch> mismatches, size_t cases) {
  if (mismatches.empty()) return;
  std::string text;
  for (size_t i = 0; i < std::min(kDescribed, mismatches.size()); ++i) text += mismatches[i].text;
  ADD_FAILURE() << mismatches.size() << " of " << cases << " cases differ; the first:\n" << text;
}

std::vector<Result> RunOnEngine(std::span<const Case> placed, std::span<const Result> expected) {
  const Engine engine = TheSettings().engine;
  std::vector<Case> together;
  std::vector<Result> results(placed.size());
  for (size_t i = 0; i < placed.size(); ++i) {
    if (expected[i].trap || !expected[i].failure.empty()) {
      results[i] = RunAlone(engine, placed[i]);
    } else {
      together.push_back(placed[i]);
    }
  }
  std::vector<Result> ended = RunTogether(engine, together);
  for (size_t i = 0, next = 0; i < placed.size(); ++i) {
    if (!expected[i].trap && expected[i].failure.empty()) results[i] = std::move(ended[next++]);
  }
  return results;
}

std::vector<Mismatch> CompareWithCpu(std::span<const Case> cases) {
  std::vector<Mismatch> mismatches;
  ForEachBatch(cases, [&](std::span<const Case> batch, size_t first) {
    std::vector<Result> expected = ExpectedOfBatch(batch);
    const std::vector<Result> actual = RunOnEngine(batch, expected);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (ReadsOtherOperandFirst(batch[i], expected[i], actual[i])) {
        expected[i].trap = actual[i].trap;
      }
      Compare(cases, first + i, expected[i], actual[i], &mismatches);
    }
  });
  return mismatches;
}

}  // namespace

Settings& TheSettings() {
  static Settings settings;
  return settings;
}

Counts& TheCounts() {
  static Counts counts;
  return counts;
}

std::vector<size_t> Disagreements(std::span<const Case> cases) {
  std::vector<size_t> indexes;
  for (const Mismatch& mismatch : CompareWithCpu(cases)) indexes.push_back(mismatch.index);
  return indexes;
}

void ExpectAgreement(std::span<const Case> cases) { Report(CompareWithCpu(cases), cases.size()); }

void ExpectResults(std::span<const Case> cases, std::span<const Result> expected) {
  std::vector<Mismatch> mismatches;
  ForEachBatch(cases, [&](std::span<const Case> batch, size_t first) {
    const auto wanted = expected.subspan(first, batch.size());
    const std::vector<Result> actual = RunOnEngine(batch, wanted);
    for (size_t i = 0; i < batch.size(); ++i) {
      Compare(cases, first + i, wanted[i], actual[i], &mismatches);
    }
  });
  Report(mismatches, cases.size());
}

}  // namespace vx::conformance
