// What an archive's directory is known by: its VERSION, and the LOCK of the one program that has it
// open.
#ifndef ARCHIVE_DIRECTORY_H_
#define ARCHIVE_DIRECTORY_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/env.h"

namespace vxa {

// What VERSION says.
inline constexpr std::string_view kVersionLine = "vxa-archive 0\n";

// FAILED_PRECONDITION if `directory` is an archive of a version that this program doesn't know,
// NOT_FOUND if it has no VERSION.
absl::Status CheckVersion(Env& env, const std::string& directory);

// Keeps other programs out. FAILED_PRECONDITION if one has the archive open.
absl::StatusOr<std::unique_ptr<Held>> LockArchive(Env& env, const std::string& directory);

}  // namespace vxa

#endif  // ARCHIVE_DIRECTORY_H_
