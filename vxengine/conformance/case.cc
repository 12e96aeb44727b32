#include "vxengine/conformance/case.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace vx::conformance {
namespace {

constexpr absl::string_view kGprNames[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
constexpr absl::string_view kCauseNames[] = {"#PF", "#GP", "#UD", "#DE", "#MF",
                                             "#XM", "#BP", "#OF", "#BR"};
constexpr absl::string_view kAccessNames[] = {"read", "write", "fetch"};

std::string Hex(const std::vector<uint8_t>& bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string Flags(uint32_t eflags) {
  std::string names = absl::StrFormat("%#x", eflags);
  constexpr struct {
    uint32_t bit;
    absl::string_view name;
  } kNames[] = {{kCf, "CF"}, {kPf, "PF"}, {kAf, "AF"}, {kZf, "ZF"},
                {kSf, "SF"}, {kDf, "DF"}, {kOf, "OF"}, {kId, "ID"}};
  for (const auto& flag : kNames) {
    if (eflags & flag.bit) absl::StrAppend(&names, " ", flag.name);
  }
  return names;
}

std::string Describe(const Xmm& xmm) {
  return absl::StrFormat("%016x%016x", xmm.lane[1], xmm.lane[0]);
}

std::string DescribeEnd(const Result& result) {
  if (!result.failure.empty()) return result.failure;
  if (!result.trap) return "ran to its end";
  std::string text(kCauseNames[static_cast<int>(result.trap->cause)]);
  if (result.trap->cause == TrapCause::kPageFault) {
    absl::StrAppendFormat(&text, " %s %#x", kAccessNames[static_cast<int>(result.trap->access)],
                          result.trap->address);
  }
  return text;
}

}  // namespace

std::vector<uint8_t> InitialData(const Case& test) {
  static const std::vector<uint8_t>* const background = [] {
    auto* bytes = new std::vector<uint8_t>(kDataSize);
    for (uint32_t i = 0; i < kDataSize; ++i) (*bytes)[i] = OracleBackground(i);
    return bytes;
  }();
  std::vector<uint8_t> data = *background;
  for (const Patch& patch : test.patches) {
    std::copy(patch.bytes.begin(), patch.bytes.end(), data.begin() + (patch.address - kData));
  }
  return data;
}

std::vector<uint8_t> PlacedCode(const Case& test, uint32_t address) {
  std::vector<uint8_t> code = test.code;
  if (test.code_address != 0) return code;
  const uint32_t distance = kExit - (address + code.size() + 5);
  code.push_back(0xe9);
  for (int i = 0; i < 4; ++i) code.push_back(distance >> (8 * i));
  return code;
}

std::string Describe(const Case& test) {
  std::string text = absl::StrCat(test.name, "\n  code ", Hex(test.code));
  if (test.code_address != 0) absl::StrAppendFormat(&text, " at %#x", test.code_address);
  absl::StrAppend(&text, "\n ");
  for (int i = 0; i < 8; ++i) {
    absl::StrAppendFormat(&text, " %s=%#x", kGprNames[i], test.state.gpr[i]);
  }
  absl::StrAppend(&text, "\n  eflags=", Flags(test.state.eflags));
  for (int i = 0; i < 8; ++i) {
    if (test.state.xmm[i] != Xmm{}) {
      absl::StrAppend(&text, "\n  xmm", i, "=", Describe(test.state.xmm[i]));
    }
  }
  for (const Patch& patch : test.patches) {
    absl::StrAppendFormat(&text, "\n  memory at %#x: %s", patch.address, Hex(patch.bytes));
  }
  return text;
}

std::string Difference(const Result& expected, const Result& actual) {
  std::string text;
  const auto differ = [&text](absl::string_view what, std::string want, std::string got) {
    if (want != got) absl::StrAppend(&text, "  ", what, ": expected ", want, ", got ", got, "\n");
  };
  differ("end", DescribeEnd(expected), DescribeEnd(actual));
  if (!expected.failure.empty() || !actual.failure.empty()) return text;
  for (int i = 0; i < 8; ++i) {
    differ(kGprNames[i], absl::StrFormat("%#x", expected.state.gpr[i]),
           absl::StrFormat("%#x", actual.state.gpr[i]));
  }
  const uint32_t unknown = kStatusFlags & ~(expected.valid_flags & actual.valid_flags);
  differ("eflags", Flags(expected.state.eflags & ~unknown), Flags(actual.state.eflags & ~unknown));
  differ("eip", absl::StrFormat("%#x", expected.state.eip),
         absl::StrFormat("%#x", actual.state.eip));
  for (int i = 0; i < 8; ++i) {
    differ(absl::StrCat("xmm", i), Describe(expected.state.xmm[i]), Describe(actual.state.xmm[i]));
  }
  if (expected.data.empty() || actual.data.empty() || expected.data == actual.data) return text;
  const auto at = std::mismatch(expected.data.begin(), expected.data.end(), actual.data.begin());
  const size_t offset = at.first - expected.data.begin();
  const size_t size = std::min<size_t>(16, kDataSize - offset);
  differ(absl::StrFormat("memory at %#x", kData + offset), Hex({at.first, at.first + size}),
         Hex({at.second, at.second + size}));
  return text;
}

}  // namespace vx::conformance
