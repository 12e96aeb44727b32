// Packs as files to read: finds, opens and keeps open, and reads a record's payload by its place.
#ifndef ARCHIVE_PACK_FILES_H_
#define ARCHIVE_PACK_FILES_H_

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/env.h"
#include "archive/record_format.h"

namespace vxa {

struct OpenPack {
  std::unique_ptr<File> file;
  PackHeader header;
};

// Thread-safe.
class PackFiles {
 public:
  PackFiles(Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }

  // Numbers of the packs that are there, ascending.
  absl::StatusOr<std::vector<uint32_t>> List() const;

  // A pack whose header is right. FAILED_PRECONDITION for a format that isn't known, DATA_LOSS for
  // a header that is damaged, NOT_FOUND, STORE_FAILED.
  absl::StatusOr<std::shared_ptr<const OpenPack>> Open(uint32_t number);

  // The payload of the record at `location`, of that type and payload hash. DATA_DAMAGED, saying
  // what and where, for anything else that is found there.
  absl::StatusOr<std::string> Read(const Location& location, RecordType type,
                                   const Digest& payload);

 private:
  // Files kept open: far below the usual limit of 1,024 descriptors.
  static constexpr size_t kKeptOpen = 128;

  Env& env_;
  const std::string directory_;
  std::mutex mutex_;  // guards what follows
  // Latest used first.
  std::list<std::pair<uint32_t, std::shared_ptr<const OpenPack>>> open_;
};

}  // namespace vxa

#endif  // ARCHIVE_PACK_FILES_H_
