// Checks an archive that no server has open, changes nothing, and tells in words what is wrong with
// it, whom it hurts, and what to do.
//
// The packs are read twice: by the replay that a start would make, into a fresh index in a
// temporary directory, which knows what the archive is by the packs alone; and record by record.
// Then every version is followed to all that it needs, and the stored index compared with the fresh
// one. Memory does not grow with the archive: the fresh index answers what would else be kept.
#ifndef ARCHIVE_CHECK_H_
#define ARCHIVE_CHECK_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/archive.h"

namespace vxa {

class Env;

enum class Severity {
  kNote,     // as it may well be: a tail that a crash left
  kWarning,  // not as it should be, but nothing is lost by it
  kDamage,   // something that was stored can't be had, or not for sure
};

struct Finding {
  Severity severity = Severity::kNote;
  std::string where;  // "00000001.vxp, offset 96", "default/a version 2", "index"
  std::string text;   // what, why, and what it means; the names in it may have any characters
};

// Where findings go, as they are made. Called on the checking thread.
class CheckSink {
 public:
  virtual ~CheckSink() = default;
  virtual void Found(const Finding& finding) = 0;
};

struct CheckOptions {
  std::string directory;
  // To reproduce every version through its decoders; null: decoders are not run.
  vx::DecodeService* decoder = nullptr;
};

struct CheckSummary {
  uint64_t packs = 0;
  uint64_t pack_bytes = 0;
  uint64_t records = 0;   // good ones
  uint64_t objects = 0;   // names that have a version
  uint64_t versions = 0;  // delete markers included
  uint64_t bytes = 0;     // of originals
  uint64_t decoders = 0;
  uint64_t reproduced = 0;  // bytes of originals and views that decoders gave again
  uint64_t notes = 0;
  uint64_t warnings = 0;
  uint64_t damages = 0;
  std::vector<std::string> advice;  // what to do next, in this order; none: nothing
};

// What is there and what was found, in a sentence or two.
std::string ToText(const CheckSummary& summary);

// "note", "warning", "damage".
std::string_view Name(Severity severity);

// Checks it, and makes no change to it (but a LOCK if there is none). An error keeps it from being
// checked: FAILED_PRECONDITION if somebody has it open, or a later program wrote it; NOT_FOUND if
// there is none; CANCELLED.
absl::StatusOr<CheckSummary> CheckArchive(const CheckOptions& options, CheckSink& sink,
                                          const CallContext& context);

// Makes the index anew from the packs, beside the one there is, and tells what that one knew that
// the packs don't give any more before it is gone. Until the two are exchanged, and from then on,
// a start finds a whole index; in between, none, and makes it. Errors as above.
absl::StatusOr<CheckSummary> RebuildIndex(const std::string& directory, CheckSink& sink);

// The same on some other operating system than the real one.
absl::StatusOr<CheckSummary> RebuildIndex(Env& env, const std::string& directory, CheckSink& sink);

}  // namespace vxa

#endif  // ARCHIVE_CHECK_H_
