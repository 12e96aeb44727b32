// A directory for a while, for what is too much for memory.
#ifndef ARCHIVE_SCRATCH_DIRECTORY_H_
#define ARCHIVE_SCRATCH_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace vxa {

class ScratchDirectory {
 public:
  // Makes one in $TMPDIR if that is set, else beside `neighbour`. UNAVAILABLE, naming both ways, if
  // it can't be made.
  static absl::StatusOr<std::unique_ptr<ScratchDirectory>> Make(const std::string& neighbour);
  // Removes it with all that is in it.
  ~ScratchDirectory();

  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace vxa

#endif  // ARCHIVE_SCRATCH_DIRECTORY_H_
