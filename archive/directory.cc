#include "archive/directory.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace vxa {

absl::Status CheckVersion(Env& env, const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/VERSION");
  absl::StatusOr<std::unique_ptr<File>> file = env.OpenForReading(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  std::string line(std::min<uint64_t>(*size, 100), '\0');
  if (absl::Status read = (*file)->Read(0, line); !read.ok()) return read;
  if (line == kVersionLine) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " says \"", line.substr(0, line.find('\n')), "\", this program knows \"",
                   std::string(kVersionLine.substr(0, kVersionLine.size() - 1)), "\""));
}

absl::StatusOr<std::unique_ptr<Held>> LockArchive(Env& env, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Held>> lock = env.Lock(directory + "/LOCK");
  if (!absl::IsFailedPrecondition(lock.status())) return lock;
  return absl::FailedPreconditionError(
      absl::StrCat("another server has the archive ", directory, " open"));
}

}  // namespace vxa
