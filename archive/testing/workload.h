// What archives go through in tests of crashes and faults: a little of everything.
#ifndef ARCHIVE_TESTING_WORKLOAD_H_
#define ARCHIVE_TESTING_WORKLOAD_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/testing/fault_env.h"
#include "archive/testing/model.h"

namespace vxa::testing {

// Where the archive is in a FaultEnv, and the directory of its index.
inline constexpr char kDirectory[] = "/data";
inline constexpr char kIndexDirectory[] = "/data/index";

// Opens it with packs of `pack_size` bytes, far smaller than Archive::Open has them, and decoders
// run in this process.
absl::StatusOr<std::unique_ptr<Archive>> OpenIn(FaultEnv& env, uint64_t pack_size = 50'000);

// Puts of stored, deflated and viewed objects, of several versions, with preconditions and
// requests; deletes and removals; packs that get full. `large`: also an object of several chunks.
std::vector<Operation> Workload(bool large);

}  // namespace vxa::testing

#endif  // ARCHIVE_TESTING_WORKLOAD_H_
