#include "vxengine/conformance/fp_case.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace vx::conformance {
namespace {

constexpr uint16_t kExceptions = 0x3f, kSummaryBits = 0x8080;

unsigned Top(const X87State& x87) { return x87.status >> 11 & 7; }

// Places in an FXSAVE image (Intel SDM vol. 1, table 10-2).
constexpr size_t kFxTags = 4, kFxMxcsr = 24, kFxRegisters = 32, kFxXmm = 160;

template <typename T>
void Put(uint8_t* to, const T& value) {
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
void Get(const uint8_t* from, T* value) {
  std::memcpy(value, from, sizeof *value);
}

std::string Hex(const uint8_t* bytes, size_t size) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

std::string Text(const X87Register& reg) {
  return absl::StrFormat("%04x:%016x", reg.sign_exponent, reg.significand);
}

std::string Text(const Xmm& xmm) { return absl::StrFormat("%016x%016x", xmm.lane[1], xmm.lane[0]); }

std::string Text(uint32_t value) { return absl::StrFormat("%#x", value); }

std::string End(const FpResult& result) {
  if (!result.failure.empty()) return result.failure;
  constexpr absl::string_view kNames[] = {"#PF", "#GP", "#UD", "#DE", "#MF",
                                          "#XM", "#BP", "#OF", "#BR"};
  if (!result.trap) return "ran to its end";
  std::string text =
      absl::StrCat(kNames[static_cast<int>(result.trap->cause)], " at +", result.offset);
  if (result.trap->cause == TrapCause::kPageFault) {
    absl::StrAppendFormat(&text, " %s %#x",
                          result.trap->access == Access::kWrite ? "write" : "read",
                          result.trap->address);
  }
  return text;
}

}  // namespace

unsigned TagOf(const X87Register& reg) {
  const unsigned exponent = reg.sign_exponent & 0x7fff;
  if (exponent == 0) return reg.significand == 0 ? 1 : 2;
  return exponent == 0x7fff || reg.significand >> 63 == 0 ? 2 : 0;
}

void Settle(X87State* x87) {
  x87->status &= ~kSummaryBits;
  if (x87->status & ~x87->control & kExceptions) x87->status |= kSummaryBits;
  for (unsigned i = 0; i < 8; ++i) {
    if ((x87->tag >> (2 * i) & 3) == 3) continue;
    x87->tag &= ~(3u << (2 * i));
    x87->tag |= TagOf(x87->reg[i]) << (2 * i);
  }
}

FxImage ToFxImage(const FpState& state) {
  FxImage image{};
  Put(image.data(), state.x87.control);
  Put(image.data() + 2, state.x87.status);
  for (unsigned i = 0; i < 8; ++i) {
    if ((state.x87.tag >> (2 * i) & 3) != 3) image[kFxTags] |= 1u << i;
    const X87Register& st = state.x87.reg[(Top(state.x87) + i) & 7];
    Put(&image[kFxRegisters + 16 * i], st.significand);
    Put(&image[kFxRegisters + 16 * i + 8], st.sign_exponent);
    Put(&image[kFxXmm + 16 * i], state.xmm[i].lane);
  }
  Put(&image[kFxMxcsr], state.mxcsr);
  return image;
}

void FromFxImage(const uint8_t* image, FpState* state) {
  X87State& x87 = state->x87;
  Get(image, &x87.control);
  Get(image + 2, &x87.status);
  x87.tag = 0;
  for (unsigned i = 0; i < 8; ++i) {
    X87Register& st = x87.reg[(Top(x87) + i) & 7];
    Get(image + kFxRegisters + 16 * i, &st.significand);
    Get(image + kFxRegisters + 16 * i + 8, &st.sign_exponent);
    Get(image + kFxXmm + 16 * i, &state->xmm[i].lane);
  }
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned tag = image[kFxTags] >> i & 1 ? TagOf(x87.reg[i]) : 3;
    x87.tag |= tag << (2 * i);
  }
  Get(image + kFxMxcsr, &state->mxcsr);
}

std::string Describe(const FpCase& test) {
  const FpState& s = test.state;
  std::string text = absl::StrFormat(
      "%s\n  code %s\n  eax=%#x ecx=%#x eflags=%#x mxcsr=%#x control=%#x status=%#x (top %d) "
      "tag=%#x",
      test.name, Hex(test.code.data(), test.code.size()), s.eax, s.ecx, s.eflags, s.mxcsr,
      s.x87.control, s.x87.status, Top(s.x87), s.x87.tag);
  for (int i = 0; i < 8; ++i) absl::StrAppend(&text, "\n  r", i, "=", Text(s.x87.reg[i]));
  for (int i = 0; i < 8; ++i) absl::StrAppend(&text, "\n  xmm", i, "=", Text(s.xmm[i]));
  if (s.eax - kFpArea < kFpAreaSize) {
    const size_t size = std::min<size_t>(16, kFpAreaEnd - s.eax);
    absl::StrAppend(&text, "\n  [eax]=", Hex(&test.area[s.eax - kFpArea], size));
  }
  return text;
}

std::string Difference(const FpResult& expected, const FpResult& actual) {
  std::string text;
  const auto differ = [&text](absl::string_view what, const std::string& want,
                              const std::string& got) {
    if (want != got) absl::StrAppend(&text, "  ", what, ": expected ", want, ", got ", got, "\n");
  };
  differ("end", End(expected), End(actual));
  if (!expected.failure.empty() || !actual.failure.empty()) return text;
  const FpState &want = expected.state, &got = actual.state;
  differ("eax", Text(want.eax), Text(got.eax));
  differ("ecx", Text(want.ecx), Text(got.ecx));
  const uint32_t unknown = kStatusFlags & ~(expected.valid_flags & actual.valid_flags);
  differ("eflags", Text(want.eflags & ~unknown), Text(got.eflags & ~unknown));
  differ("mxcsr", Text(want.mxcsr), Text(got.mxcsr));
  differ("control", Text(want.x87.control), Text(got.x87.control));
  differ("status", Text(want.x87.status), Text(got.x87.status));
  differ("tag", Text(want.x87.tag), Text(got.x87.tag));
  for (int i = 0; i < 8; ++i) {
    differ(absl::StrCat("r", i), Text(want.x87.reg[i]), Text(got.x87.reg[i]));
  }
  for (int i = 0; i < 8; ++i) {
    differ(absl::StrCat("xmm", i), Text(want.xmm[i]), Text(got.xmm[i]));
  }
  if (expected.area.empty() || actual.area.empty() || expected.area == actual.area) return text;
  const auto at = std::mismatch(expected.area.begin(), expected.area.end(), actual.area.begin());
  const size_t offset = at.first - expected.area.begin();
  const size_t size = std::min<size_t>(16, kFpAreaSize - offset);
  differ(absl::StrFormat("memory at %#x", kFpArea + offset), Hex(&expected.area[offset], size),
         Hex(&actual.area[offset], size));
  return text;
}

}  // namespace vx::conformance
