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
  // If it is damaged: no more than the number, and the UUID if the first record tells it, else
  // zero.
  PackHeader header;
  absl::Status damage;  // what is wrong with the header: DATA_LOSS, or OK
};

// Thread-safe.
class PackFiles {
 public:
  PackFiles(Env& env, std::string directory) : env_(env), directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }

  // Numbers of the packs that are there, ascending.
  absl::StatusOr<std::vector<uint32_t>> List() const;

  // FAILED_PRECONDITION for a format that isn't known, NOT_FOUND, or why it can't be read.
  absl::StatusOr<std::shared_ptr<const OpenPack>> Open(uint32_t number);

  // The payload of the record at `location`, of that type and payload hash, which are proof enough:
  // the pack's header may be damaged. DATA_DAMAGED, saying what and where, for anything else that
  // is found there.
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
