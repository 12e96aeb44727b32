// All that the archive asks of the operating system, for packs and, by index_env.h, for the index.
//
// Errors: NOT_FOUND for a file that isn't there, DISK_FULL (errors.h) where there is no space or
// quota, STORE_FAILED for everything else; each names the call, the file and errno's text.
#ifndef ARCHIVE_ENV_H_
#define ARCHIVE_ENV_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vxa {

// An open file. Reads and writes say where, so that threads can share it.
class File {
 public:
  virtual ~File() = default;

  virtual absl::StatusOr<uint64_t> Size() const = 0;

  // Fills `buffer` from `offset`. OUT_OF_RANGE if the file ends before it is full.
  virtual absl::Status Read(uint64_t offset, std::span<char> buffer) const = 0;

  // Writes the pieces one after another from `offset`. After an error any part may be written.
  virtual absl::Status Write(uint64_t offset, std::span<const std::string_view> pieces) = 0;

  // Returns once data and size are on stable storage. After an error nothing is known of what was
  // written since the last success, and asking again proves nothing (Linux marks the pages clean).
  virtual absl::Status Sync() = 0;
};

// The status for errno's value `error` of a system call on `path`.
absl::Status CallFailed(std::string_view call, const std::string& path, int error);

// Something held until it is destroyed.
class Held {
 public:
  virtual ~Held() = default;
};

class Env {
 public:
  virtual ~Env() = default;

  // The operating system itself.
  static Env& Real();

  virtual absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) = 0;
  // Makes an empty file, in place of any there was.
  virtual absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) = 0;

  virtual absl::Status MakeDirectory(const std::string& path) = 0;  // fine if it is there
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  // Makes the names made, renamed and removed in a directory durable.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  // Bytes that this process may still write to the file system of `path`.
  virtual absl::StatusOr<uint64_t> FreeSpace(const std::string& path) = 0;
  // Locks a file, made if need be, against other openers, in this process too. FAILED_PRECONDITION
  // if it is locked.
  virtual absl::StatusOr<std::unique_ptr<Held>> Lock(const std::string& path) = 0;
};

// Writes a small file so that it is there whole or not at all, even after a power loss: a temporary
// name, sync, rename, sync of the directory.
absl::StatusOr<std::unique_ptr<File>> WriteAtomically(Env& env, const std::string& directory,
                                                      const std::string& name,
                                                      std::string_view content);

// The suffix of WriteAtomically's temporary names, in the file's own directory.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

}  // namespace vxa

#endif  // ARCHIVE_ENV_H_
