// What the parts of a check tell, on its way to the sink and into the summary.
#ifndef ARCHIVE_CHECK_REPORT_H_
#define ARCHIVE_CHECK_REPORT_H_

#include <cstdint>
#include <set>
#include <string>

#include "archive/check.h"

namespace vxa {

// Used by one thread.
class CheckReport {
 public:
  CheckReport(CheckSink& sink, const CallContext& context) : sink_(sink), context_(context) {}

  void Note(std::string where, std::string text);
  void Warn(std::string where, std::string text);
  void Damage(std::string where, std::string text);

  // The pack isn't what it was: a copy of it would mend something.
  void NeedsCopyOf(uint32_t pack) { hurt_packs_.insert(pack); }
  // The index isn't what the packs make it, and they are all right.
  void NeedsRebuild() { rebuild_ = true; }
  // The index knows of versions that the packs don't give.
  void IndexKnowsMore() { index_knows_more_ = true; }

  void PacksAreHurt() { packs_are_hurt_ = true; }

  bool packs_are_hurt() const { return packs_are_hurt_ || !hurt_packs_.empty(); }

  // Counts, to be filled in, and in the end the advice.
  CheckSummary summary;
  enum class Index { kStored, kRebuilt };
  void Advise(Index index);

 private:
  void Add(Severity severity, std::string where, std::string text);

  CheckSink& sink_;
  const CallContext& context_;
  std::set<uint32_t> hurt_packs_;
  bool packs_are_hurt_ = false;
  bool rebuild_ = false;
  bool index_knows_more_ = false;
};

}  // namespace vxa

#endif  // ARCHIVE_CHECK_REPORT_H_
