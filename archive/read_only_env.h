// An operating system that only lets read, for what must not change a thing.
//
// Every read asks first whether the caller still waits, so that whatever reads the packs through
// this can be cancelled.
#ifndef ARCHIVE_READ_ONLY_ENV_H_
#define ARCHIVE_READ_ONLY_ENV_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/env.h"

namespace vxa {

// Thread-safe if `context.cancelled` is.
class ReadOnlyEnv : public Env {
 public:
  // Both outlive it and its files.
  ReadOnlyEnv(Env& env, const CallContext& context) : env_(env), context_(context) {}

  // CANCELLED or DEADLINE_EXCEEDED from the files' Read as soon as the context says so.
  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override;
  // A file that takes only what it has already. There is nothing to sync, so that succeeds.
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::StatusOr<uint64_t> FreeSpace(const std::string& path) override;

  // All of these are refused: PERMISSION_DENIED.
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<Held>> Lock(const std::string& path) override;

 private:
  Env& env_;
  const CallContext& context_;
};

}  // namespace vxa

#endif  // ARCHIVE_READ_ONLY_ENV_H_
