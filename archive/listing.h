// Lists names in bytewise order, a page at a time.
#ifndef ARCHIVE_LISTING_H_
#define ARCHIVE_LISTING_H_

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/index.h"
#include "archive/pack_files.h"

namespace vxa {

inline constexpr uint32_t kMaxPage = 1000;

// INVALID_REQUEST for a page token that wasn't given for this very listing. REQUIRES: a namespace
// that was checked.
absl::StatusOr<ListResult> ListObjects(const Index& index, PackFiles& packs, const ListSpec& spec);

}  // namespace vxa

#endif  // ARCHIVE_LISTING_H_
