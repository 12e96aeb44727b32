// The check of objects: every version is followed to all that it takes to read it.
#ifndef ARCHIVE_OBJECT_CHECK_H_
#define ARCHIVE_OBJECT_CHECK_H_

#include "absl/status/status.h"
#include "archive/check_report.h"
#include "archive/core.h"
#include "archive/index.h"

namespace vxa {

// Checks all versions that `core`'s index has, which is a replay's of these very packs: what is in
// it was read and had the right digest. With `decode` they are reproduced too. `stored`, the
// archive's own index brought up to date, may know where missing things were; it may be null.
// Counts objects, versions, bytes and decoders.
absl::Status CheckObjects(Core& core, const Index* stored, bool decode, const CallContext& context,
                          CheckReport& report);

}  // namespace vxa

#endif  // ARCHIVE_OBJECT_CHECK_H_
