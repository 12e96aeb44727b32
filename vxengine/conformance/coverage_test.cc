// Whether the suites have cases of every form of the profile that the machine admits. The suites
// are linked in and their tests run, but only to show their cases: what is counted is what they
// compare. The report, form by form, goes to coverage.txt among the test's outputs.
#include "vxengine/conformance/coverage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace vx::conformance {
namespace {

// What no CPU can be asked about. A test compares it with what MACHINE.md says.
struct Exemption {
  unsigned first, last;  // opcodes
  uint8_t size;          // bits; 0: all
  std::string_view test;
  std::string_view reason;

  bool Has(const CodedForm& form) const {
    return form.code >= first && form.code <= last && (size == 0 || form.size == size);
  }
};

constexpr unsigned k0f = 0x100;
constexpr Exemption kNoOracle[] = {
    {0x9d, 0x9d, 0, "AbiTest.PopfWritesTheFlagsThatGuestsHave", "processes change other flags"},
    {k0f + 0x05, k0f + 0x05, 0, "AbiTest.AnUnknownCallFailsAndKeepsAllOtherState",
     "SYSCALL is VX's, not the kernel's"},
    {k0f + 0xa2, k0f + 0xa2, 0, "AbiTest.CpuidAnswersByLeafAlone", "CPUID tells which CPU it is"},
    {k0f + 0xc8, k0f + 0xcf, 16, "AbiTest.BswapOf16BitsIsZero", "undefined as a whole"},
};

// Fewer cases of a form than these say little of it. (There are eight forms of what has a register
// in its opcode.) A LOCK changes nothing, so one case that it is let through will do.
constexpr uint32_t kLeastCases = 15, kLeastFlags = 12, kLeastEdges = 2, kLeastLocked = 1;

// What asks for flags sees all 64 values.
constexpr std::pair<unsigned, unsigned> kConditional[] = {{0x70, 0x7f},
                                                          {0xce, 0xce},
                                                          {k0f + 0x40, k0f + 0x4f},
                                                          {k0f + 0x80, k0f + 0x8f},
                                                          {k0f + 0x90, k0f + 0x9f}};

uint32_t LeastFlags(const CodedForm& form) {
  const bool all = std::ranges::any_of(kConditional, [&form](const auto& range) {
    return form.code >= range.first && form.code <= range.second;
  });
  return all ? 64 : kLeastFlags;
}

std::string TestName() {
  const testing::TestInfo& info = *testing::UnitTest::GetInstance()->current_test_info();
  std::string suite = info.test_suite_name(), name = info.name();
  suite.erase(0, suite.rfind('/') + 1);  // npos + 1 is 0
  name.resize(std::min(name.find('/'), name.size()));
  return absl::StrCat(suite, ".", name);
}

uint32_t Sum(const std::map<std::string, uint32_t>& cases) {
  uint32_t sum = 0;
  for (const auto& [test, count] : cases) sum += count;
  return sum;
}

class Coverage : public testing::Environment {
 public:
  void SetUp() override {
    for (const CodedForm& form : AdmittedForms()) seen_[form];
    TheSettings().observer = [this](const Sighting& sighting) { Look(sighting); };
  }

  void TearDown() override {
    TheSettings().observer = nullptr;
    Report();
    for (const auto& [form, seen] : seen_) Check(form, seen);
    for (const Exemption& exemption : kNoOracle) {
      EXPECT_EQ(used_.count(&exemption), 1u) << exemption.test << ": there is no need to exempt it";
    }
  }

 private:
  void Look(const Sighting& sighting) {
    const auto form = FormOf(sighting.code);
    if (form) seen_[*form].Add(sighting, TestName());
  }

  void Check(const CodedForm& form, const Seen& seen) {
    SCOPED_TRACE(Name(form));
    if (Sum(seen.with_oracle) == 0) {
      const auto* const exemption =
          std::ranges::find_if(kNoOracle, [&form](const Exemption& e) { return e.Has(form); });
      if (exemption == std::end(kNoOracle)) {
        ADD_FAILURE() << "no case that a CPU is asked about";
        return;
      }
      used_.insert(exemption);
      EXPECT_EQ(seen.without.count(std::string(exemption->test)), 1u)
          << exemption->test << " has no case of it";
      return;
    }
    if (form.lock) {
      EXPECT_GE(Sum(seen.with_oracle), kLeastLocked) << "cases";
      return;
    }
    EXPECT_GE(Sum(seen.with_oracle), kLeastCases) << "cases";
    EXPECT_GE(static_cast<uint32_t>(std::popcount(seen.flags)), LeastFlags(form))
        << "values of flags";
    if (form.memory) {
      EXPECT_GE(seen.edges, kLeastEdges) << "cases with an operand at an edge";
    }
  }

  void Report() const {
    const char* const folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    std::ofstream file(absl::StrCat(folder != nullptr ? folder : ".", "/coverage.txt"));
    file << absl::StreamFormat("%-18s %6s %6s %6s  %s\n", "form", "cases", "flags", "edges", "by");
    uint32_t with_oracle = 0;
    for (const auto& [form, seen] : seen_) {
      const uint32_t count = Sum(seen.with_oracle);
      with_oracle += count != 0;
      file << absl::StreamFormat("%-18s %6d %6d %6d ", Name(form), count, std::popcount(seen.flags),
                                 form.memory ? seen.edges : 0);
      for (const auto& [test, cases] : seen.with_oracle) file << " " << test << ":" << cases;
      for (const auto& [test, cases] : seen.without) file << " (" << test << ":" << cases << ")";
      file << "\n";
    }
    std::printf("%zu forms, %u of them with cases that a CPU is asked about\n", seen_.size(),
                with_oracle);
  }

  std::map<CodedForm, Seen> seen_;
  std::set<const Exemption*> used_;
};

const testing::Environment* const kCoverage = testing::AddGlobalTestEnvironment(new Coverage);

}  // namespace
}  // namespace vx::conformance
