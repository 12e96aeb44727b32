// The check of the index an archive has against one that was just made from its packs.
#ifndef ARCHIVE_INDEX_CHECK_H_
#define ARCHIVE_INDEX_CHECK_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/check_report.h"
#include "archive/env.h"
#include "archive/index.h"
#include "archive/pack_files.h"
#include "archive/pack_writer.h"

namespace vxa {

struct StoredIndex {
  std::unique_ptr<Index> index;  // null if it is no good, which has been told
  Position seen;                 // up to where it had seen the packs; pack 0 if nothing is known
};

// Copies an index, which opening would change, into `to`. What can't be read is damage that is
// told; then there is no copy, and the answer is false. `from` reads, `env` writes.
absl::StatusOr<bool> CopyIndex(Env& from, const std::string& directory, Env& env,
                               const std::string& to, CheckReport& report);

// Opens an index as it is.
StoredIndex OpenStoredIndex(Env& env, const std::string& directory, CheckReport& report);

// Brings it up to date, as a start would, or forgets one that a start would make anew. An error is
// that it was cancelled. REQUIRES: an index, and packs that were replayed well into another one.
absl::Status CatchUp(Env& env, PackFiles& packs, StoredIndex& stored, CheckReport& report);

// Compares the entries of both, up to date, key by key, and tells what one of them lacks. REQUIRES:
// the packs were checked by `report`, which so knows whether they are damaged.
absl::Status CompareIndexes(const Index& stored, const Index& fresh, PackFiles& packs,
                            CheckReport& report);

}  // namespace vxa

#endif  // ARCHIVE_INDEX_CHECK_H_
