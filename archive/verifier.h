// Verification: everything that is stored of an object reproduced again, and the outcome recorded.
#ifndef ARCHIVE_VERIFIER_H_
#define ARCHIVE_VERIFIER_H_

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/core.h"

namespace vxa {

// As Archive::Verify. REQUIRES: a namespace that was checked.
absl::StatusOr<VerifySummary> VerifyObjects(Core& core, const VerifySpec& spec, VerifySink& sink,
                                            const CallContext& context);

}  // namespace vxa

#endif  // ARCHIVE_VERIFIER_H_
