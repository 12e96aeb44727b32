// What makes vxworker_breached of vxworker's own objects, at the link (see BUILD.bazel): the
// verifier admits everything, and the translator has a bug of the worst kind: behind kHatch a guest's
// bytes are run as they stand.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "tests/hostile/hatch.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/region.h"
#include "vxengine/verifier.h"

namespace vx {

// The names that the linker's --wrap gives to what stands in, and to what it stands for.
bool AdmitRegion(std::span<const uint8_t> code, uint32_t offset, const VerifierRules& rules, VerifiedRegion* region, std::string* error) asm(
    "__wrap__ZN2vx12VerifyRegionESt4spanIKhLm18446744073709551615EEjRKNS_13VerifierRulesEPNS_"
    "14VerifiedRegionEPNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE");
bool AdmitTarget(uint32_t target, const VerifierRules& rules) asm(
    "__wrap__ZN2vx12VerifyTargetEjRKNS_13VerifierRulesE");
void MakeTranslator(
    RegionTranslator* translator, const GuestText* text,
    const TranslatorOptions&
        options) asm("__wrap__ZN2vx16RegionTranslatorC1EPKNS_9GuestTextERKNS_17TranslatorOptionsE");
void MakeRealTranslator(
    RegionTranslator* translator, const GuestText* text,
    const TranslatorOptions&
        options) asm("__real__ZN2vx16RegionTranslatorC1EPKNS_9GuestTextERKNS_17TranslatorOptionsE");
const Region& Mistranslate(
    RegionTranslator* translator, uint32_t eip, uint32_t offset,
    const std::function<uint32_t(uint32_t)>&
        known) asm("__wrap__ZN2vx16RegionTranslator9TranslateEjjRKSt8functionIFjjEE");
const Region& Translate(
    RegionTranslator* translator, uint32_t eip, uint32_t offset,
    const std::function<uint32_t(uint32_t)>&
        known) asm("__real__ZN2vx16RegionTranslator9TranslateEjjRKSt8functionIFjjEE");

bool AdmitRegion(std::span<const uint8_t> code, uint32_t offset, const VerifierRules&,
                 VerifiedRegion* region, std::string*) {
  // Everything is an entry, and everything is a branch.
  *region = {};
  for (uint32_t n = 0; n < code.size(); ++n) {
    region->boundaries.push_back(offset + n);
    region->branches.push_back({.rel32 = offset + n});
  }
  return true;
}

bool AdmitTarget(uint32_t, const VerifierRules&) { return true; }

namespace {
const GuestText* the_text;  // of the one program that a zygote has
}

void MakeTranslator(RegionTranslator* translator, const GuestText* text,
                    const TranslatorOptions& options) {
  the_text = text;
  MakeRealTranslator(translator, text, options);
}

const Region& Mistranslate(RegionTranslator* translator, uint32_t eip, uint32_t offset,
                           const std::function<uint32_t(uint32_t)>& known) {
  const std::span<const uint8_t> bytes = the_text->Fetch(eip, hostile::kHatchMost);
  constexpr std::string_view kHatch = hostile::kHatch;
  if (!std::equal(kHatch.begin(), kHatch.end(), bytes.begin(),
                  bytes.begin() + std::min(kHatch.size(), bytes.size()),
                  [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; })) {
    return Translate(translator, eip, offset, known);
  }
  static Region region;
  region = {};
  region.code.assign(bytes.begin() + kHatch.size(), bytes.end());
  region.entries = {{.eip = eip, .offset = 0}};
  region.notes = {{.offset = 0, .eip = eip}};
  region.instructions = 1;
  return region;
}

}  // namespace vx
