// Whatever the verifier admits is run in the enclosure and has to stay inside: translations of any
// guest code, damaged byte by byte, and host code that was never a translation.
//
//   0     bits 0: shared placement; 1-2: metering; 3: what follows is host code, not guest code
//   1     its length, in pairs of bytes
//   2..   the code
//   +0 4  seed of the states it is run in
//   +4..  edits, 4 bytes each: what, place (2), value
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/enclosure.h"
#include "tests/fuzz/input.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/translator/context.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/region.h"
#include "vxengine/translator/translation.h"
#include "vxengine/verifier.h"

namespace vxa::fuzz {
namespace {

using Code = std::vector<uint8_t>;
using vx::CodePlacement;

Code Translate(std::span<const uint8_t> guest, const vx::TranslatorOptions& options) {
  static_assert(Enclosure::kText == vx::testing::kCodeAddress);
  const std::string elf =
      vx::testing::CodeElf(std::string(guest.begin(), guest.end()) + "\x0f\x0b");
  std::string error;
  const std::optional<vx::Image> image =
      vx::ParseImage({reinterpret_cast<const uint8_t*>(elf.data()), elf.size()}, &error);
  Check(image.has_value(), "no image");
  const vx::GuestText text(*image);
  vx::RegionTranslator translator(&text, options);
  return translator.Translate(Enclosure::kText, Enclosure::kOffset, [](uint32_t) { return 0; })
      .code;
}

// What the bytes of a direct branch may be pointed at, wherever they lie.
uint32_t TargetOf(uint8_t value, size_t size, const vx::VerifierRules& rules) {
  if (value < rules.stubs.size()) return rules.stubs[value];
  if (value - 4u < rules.helpers.size()) return rules.helpers[value - 4u];
  return Enclosure::kOffset + static_cast<uint32_t>(value * size / 256);
}

void Edit(uint8_t what, uint16_t place, uint8_t value, const vx::VerifierRules& rules, Code* code) {
  if (code->empty()) code->push_back(0x90);
  const auto at = code->begin() + place % static_cast<ptrdiff_t>(code->size());
  const auto left = code->end() - at;
  switch (what % 6) {
    case 0:
      *at = value;
      break;
    case 1:
      *at ^= value;
      break;
    case 2:
      code->insert(at, value);
      break;
    case 3:
      code->erase(at, at + std::min<ptrdiff_t>(1 + value % 16, left));
      break;
    case 4: {  // another target for a branch
      if (left < 4) break;
      const uint32_t behind = Enclosure::kOffset + static_cast<uint32_t>(at - code->begin()) + 4;
      const uint32_t distance = TargetOf(value, code->size(), rules) - behind;
      for (int n = 0; n < 4; ++n) at[n] = static_cast<uint8_t>(distance >> (8 * n));
      break;
    }
    case 5: {  // some of what is in front, once more
      const Code piece(code->begin(), code->begin() + std::min<ptrdiff_t>(1 + value % 64, left));
      code->insert(at, piece.begin(), piece.end());
      break;
    }
  }
}

}  // namespace
}  // namespace vxa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vxa::fuzz;
  static Enclosure* const enclosure = new Enclosure;
  Input input(data, size);
  const uint8_t flags = input.Byte();
  Enclosure::Region region{.placement =
                               flags & 1 ? CodePlacement::kShared : CodePlacement::kExclusive};
  const vx::VerifierRules rules = RulesFor(region.placement);
  const std::span<const uint8_t> code = input.Bytes(size_t{input.Byte()} * 2);
  const auto metering = static_cast<vx::Metering>((flags >> 1 & 3) % 3);
  region.code = flags & 8 ? WithExit(Code(code.begin(), code.end()))
                          : Translate(code, vx::OptionsFor({region.placement, metering}));
  const auto seed = input.Integer<uint32_t>();
  while (!input.empty()) {
    const uint8_t what = input.Byte();
    const auto place = input.Integer<uint16_t>();
    Edit(what, place, input.Byte(), rules, &region.code);
  }
  if (region.code.size() > Enclosure::kMostCode) return -1;

  vx::VerifiedRegion verified;
  std::string error;
  if (!vx::VerifyRegion(region.code, Enclosure::kOffset, rules, &verified, &error)) return 0;
  if (verified.boundaries.empty()) return 0;
  region.boundaries = verified.boundaries;
  const std::string escape = enclosure->Run(region, seed);
  if (!escape.empty()) {
    Fail(absl::StrCat("the verifier admitted what doesn't stay inside (",
                      region.placement == CodePlacement::kShared ? "shared" : "exclusive",
                      " placement, seed ", seed, "): ", escape, "\n",
                      absl::BytesToHexString(std::string(region.code.begin(), region.code.end()))));
  }
  return 0;
}
