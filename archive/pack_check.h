// The check of packs, record by record: bytes, order, and what each record says of itself.
#ifndef ARCHIVE_PACK_CHECK_H_
#define ARCHIVE_PACK_CHECK_H_

#include "absl/status/status.h"
#include "archive/check_report.h"
#include "archive/index.h"
#include "archive/pack_files.h"
#include "archive/pack_writer.h"

namespace vxa {

// What else is known of the packs.
struct PackKnowledge {
  Index& fresh;        // what a replay makes of them
  Position end;        // where it says that the last of them ends
  Position seen = {};  // what the stored index has seen of them; pack 0 if nothing is known
};

// Reads all packs from front to back. Counts packs and records. FAILED_PRECONDITION, in the end, if
// there are records or packs that only a later program may read; other errors are of reading files.
absl::Status CheckPacks(PackFiles& packs, const PackKnowledge& known, CheckReport& report);

}  // namespace vxa

#endif  // ARCHIVE_PACK_CHECK_H_
