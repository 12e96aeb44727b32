// Archive::Open: the directory, its lock and version, the index, the replay.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/archive_impl.h"
#include "archive/core.h"
#include "archive/directory.h"
#include "archive/log.h"
#include "archive/replay.h"

namespace vxa {
namespace {

// Checks that an archive of a known version is there, or makes an empty one.
absl::Status CheckOrMakeVersion(Env& env, const std::string& directory) {
  absl::Status checked = CheckVersion(env, directory);
  if (!absl::IsNotFound(checked)) return checked;
  absl::StatusOr<std::vector<std::string>> names = env.List(directory);
  if (!names.ok()) return names.status();
  if (std::ranges::count(*names, "packs") != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " has packs but no VERSION: put back what belongs there"));
  }
  return WriteAtomically(env, directory, "VERSION", kVersionLine).status();
}

absl::Status MakeDirectories(Env& env, const std::string& directory) {
  absl::Status status = env.MakeDirectory(directory + "/packs");
  // All may be new; a pack, too, that its maker had no time to sync the name of.
  for (const char* name : {"/..", "", "/packs"}) {
    if (status.ok()) status = env.SyncDirectory(directory + name);
  }
  return status;
}

// Removes what a crash left of files that never got their names.
absl::Status RemoveTemporaries(Env& env, const std::string& packs) {
  absl::StatusOr<std::vector<std::string>> names = env.List(packs);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!name.ends_with(kTemporarySuffix)) continue;
    if (absl::Status removed = env.Remove(absl::StrCat(packs, "/", name)); !removed.ok()) {
      return removed;
    }
  }
  return absl::OkStatus();
}

// An empty index in place of one that is no good.
absl::StatusOr<std::unique_ptr<Index>> RenewIndex(Env& env, const std::string& directory,
                                                  const absl::Status& why) {
  Log(LogLevel::kWarning, absl::StrCat("the index is rebuilt: ", why.message()));
  if (absl::Status destroyed = Index::Destroy(env, directory); !destroyed.ok()) return destroyed;
  return Index::Open(env, directory);
}

// Opens the index, anew if it is damaged.
absl::StatusOr<std::unique_ptr<Index>> OpenIndex(Env& env, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Index>> index = Index::Open(env, directory);
  if (!absl::IsDataLoss(index.status())) return index;
  return RenewIndex(env, directory, index.status());
}

absl::Status CheckOptions(const ArchiveOptions& options) {
  if (options.directory.empty()) return absl::InvalidArgumentError("no directory is given");
  if (options.decoder == nullptr) return absl::InvalidArgumentError("no decode service is given");
  if (options.pack_size < kMaxPayload) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pack_size is ", options.pack_size, " bytes, at least ", kMaxPayload, " are needed"));
  }
  if (options.ingest_budget < IngestBudget::kLeast) {
    return absl::InvalidArgumentError(absl::StrCat("ingest_budget is ", options.ingest_budget,
                                                   " bytes, at least ", IngestBudget::kLeast,
                                                   " are needed"));
  }
  if (options.decodes.concurrent < 1) {
    return absl::InvalidArgumentError("decodes.concurrent must be 1 or more");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Archive>> Archive::Open(ArchiveOptions options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  return OpenArchive(Env::Real(), std::move(options));
}

absl::StatusOr<std::unique_ptr<Archive>> OpenArchive(Env& env, ArchiveOptions options) {
  const std::string directory = options.directory;
  const std::string packs_directory = directory + "/packs";
  const std::string index_directory = directory + "/index";
  if (absl::Status made = env.MakeDirectory(directory); !made.ok()) return made;
  absl::StatusOr<std::unique_ptr<Held>> lock = LockArchive(env, directory);
  if (!lock.ok()) return lock.status();
  absl::Status status = CheckOrMakeVersion(env, directory);
  if (status.ok()) status = MakeDirectories(env, directory);
  if (status.ok()) status = RemoveTemporaries(env, packs_directory);
  if (!status.ok()) return status;

  absl::StatusOr<std::unique_ptr<Index>> index = OpenIndex(env, index_directory);
  if (!index.ok()) return index.status();
  PackFiles packs(env, packs_directory);
  absl::StatusOr<PackWriter::Start> start = Replay(env, packs, **index);
  if (absl::IsAborted(start.status()) || (!start.ok() && (*index)->damaged())) {
    index->reset();
    index = RenewIndex(env, index_directory, start.status());
    if (!index.ok()) return index.status();
    start = Replay(env, packs, **index);
  }
  if (!start.ok()) return start.status();
  auto core = std::make_unique<Core>(env, std::move(options), *std::move(index), packs_directory,
                                     *std::move(start));
  core->writer.RecordEnd();
  return std::make_unique<ArchiveImpl>(*std::move(lock), std::move(core));
}

}  // namespace vxa
