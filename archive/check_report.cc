#include "archive/check_report.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/record_format.h"

namespace vxa {
namespace {

std::string Count(uint64_t count, std::string_view what) {
  return absl::StrCat(count, " ", std::string(what), count == 1 ? "" : "s");
}

}  // namespace

std::string_view Name(Severity severity) {
  static constexpr std::string_view kNames[] = {"note", "warning", "damage"};
  return kNames[static_cast<int>(severity)];
}

std::string ToText(const CheckSummary& summary) {
  std::string text =
      absl::StrCat(Count(summary.packs, "pack"), " of ", Count(summary.pack_bytes, "byte"), ", ",
                   Count(summary.records, "record"), "; ", Count(summary.objects, "object"), ", ",
                   Count(summary.versions, "version"), " of ", Count(summary.bytes, "byte"), "; ",
                   Count(summary.decoders, "decoder"), ". ");
  if (summary.reproduced != 0) {
    absl::StrAppend(&text, Count(summary.reproduced, "byte"), " reproduced. ");
  }
  if (summary.damages == 0 && summary.warnings == 0) return text + "No damage.";
  return absl::StrCat(text, Count(summary.damages, "damage"), ", ",
                      Count(summary.warnings, "warning"), ".");
}

void CheckReport::Note(std::string where, std::string text) {
  Add(Severity::kNote, std::move(where), std::move(text));
}

void CheckReport::Warn(std::string where, std::string text) {
  Add(Severity::kWarning, std::move(where), std::move(text));
}

void CheckReport::Damage(std::string where, std::string text) {
  Add(Severity::kDamage, std::move(where), std::move(text));
}

void CheckReport::Add(Severity severity, std::string where, std::string text) {
  // What couldn't be read because the caller has gone is no finding.
  if (!CheckContext(context_).ok()) return;
  ++(severity == Severity::kNote      ? summary.notes
     : severity == Severity::kWarning ? summary.warnings
                                      : summary.damages);
  sink_.Found({severity, std::move(where), std::move(text)});
}

void CheckReport::Advise(Index index) {
  const char* then = index == Index::kRebuilt ? "rebuild the index again" : "check again";
  for (uint32_t pack : hurt_packs_) {
    summary.advice.push_back(
        absl::StrCat("restore pack ", PackName(pack), " from a copy of the archive, then ", then));
  }
  if (index == Index::kRebuilt) return;
  if (index_knows_more_) {
    summary.advice.emplace_back(
        "keep index/ until then: it names versions that the packs no longer give, and vxad "
        "rebuild-index would forget them");
  } else if (rebuild_) {
    summary.advice.emplace_back("run vxad rebuild-index, which mends the index");
  }
}

}  // namespace vxa
