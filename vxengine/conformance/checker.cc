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
  for (size_t i = 0; i < placed.size(); ++i) ApplyAbi(placed[i], &results[i]);
  return results;
}

struct Mismatch {
  size_t index;
  std::string text;
};

// A wild pointer met what one side has mapped for itself: the case says nothing.
bool MeetsHarness(const Result& result) {
  if (!result.trap || result.trap->cause != TrapCause::kPageFault) return false;
  const uint32_t address = result.trap->address;
  return address - ORACLE_OWN < ORACLE_OWN_SIZE || IsDriverMemory(address) ||
         (address - ORACLE_QEMU_OWN < ORACLE_QEMU_OWN_SIZE && ThisCpu().is_qemu());
}

void Compare(std::span<const Case> cases, size_t index, const Result& expected,
             const Result& actual, std::vector<Mismatch>* mismatches) {
  Counts& counts = TheCounts();
  ++counts.cases;
  if (MeetsHarness(expected) || MeetsHarness(actual)) {
    ++counts.unjudged;
    return;
  }
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
      ApplyAbi(batch[i], actual[i], &expected[i]);
      Compare(cases, first + i, expected[i], actual[i], &mismatches);
    }
  });
  return mismatches;
}

bool Observed(std::span<const Case> cases, bool has_oracle) {
  const auto& observer = TheSettings().observer;
  if (!observer) return false;
  for (const Case& test : cases) {
    const uint32_t start = test.state.eip != 0 ? test.state.eip - test.code_address : 0;
    observer({.code = std::span(test.code).subspan(start),
              .gpr = test.state.gpr,
              .eflags = test.state.eflags,
              .data = kData,
              .data_end = kDataEnd,
              .has_oracle = has_oracle});
  }
  return true;
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

void ExpectAgreement(std::span<const Case> cases) {
  if (!Observed(cases, true)) Report(CompareWithCpu(cases), cases.size());
}

void ExpectResults(std::span<const Case> cases, std::span<const Result> expected) {
  if (Observed(cases, false)) return;
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
