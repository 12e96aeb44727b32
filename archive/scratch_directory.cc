#include "archive/scratch_directory.h"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace vxa {

absl::StatusOr<std::unique_ptr<ScratchDirectory>> ScratchDirectory::Make(
    const std::string& neighbour) {
  const char* tmpdir = getenv("TMPDIR");
  // Without the trailing slashes that would put it inside.
  const std::string beside = neighbour.substr(0, neighbour.find_last_not_of('/') + 1);
  std::string path = tmpdir != nullptr && *tmpdir != '\0'
                         ? absl::StrCat(tmpdir, "/vxad-fsck-XXXXXX")
                         : beside + ".fsck-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "mkdtemp ", path, ": ", std::generic_category().message(errno),
        "; set TMPDIR to a directory with room for two copies of the archive's index"));
  }
  return std::unique_ptr<ScratchDirectory>(new ScratchDirectory(std::move(path)));
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace vxa
