// Reproducing a version from what is stored, to see whether that still works.
#ifndef ARCHIVE_REPRODUCE_H_
#define ARCHIVE_REPRODUCE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "archive/archive.h"
#include "archive/core.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

struct Reproduced {
  uint64_t bytes = 0;            // of originals and views, so far
  std::vector<DecodeCost> cost;  // of the forms that came out right
};

// Told every now and then how many bytes are reproduced; an error ends it.
using ReproduceProgress = std::function<absl::Status(uint64_t bytes)>;

// Reproduces the original and all views that were ever verified, and compares their digests with
// those recorded. An error is damage (IsDamage), or neither's fault.
absl::Status Reproduce(Core& core, const archive::v1::Manifest& manifest,
                       const ReproduceProgress& progress, const CallContext& context,
                       Reproduced& reproduced);

// Whether an error says that what is stored can't be reproduced.
bool IsDamage(const absl::Status& status);

}  // namespace vxa

#endif  // ARCHIVE_REPRODUCE_H_
