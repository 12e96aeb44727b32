// A file system in memory whose power can fail, and whose calls can.
//
// It keeps two states of everything: what programs see, and what is on the disk. A file's bytes and
// size are on the disk after a Sync of it; names made, renamed and removed after a SyncDirectory of
// the directory that they are in (fsync(2), fdatasync(2)). In between, a power cut leaves any part
// of the changes, as POSIX allows: see Survival. A rename is there or not, never by half.
#ifndef ARCHIVE_TESTING_FAULT_ENV_H_
#define ARCHIVE_TESTING_FAULT_ENV_H_

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "archive/env.h"

namespace vxa::testing {

enum class Call {
  kOpen,
  kCreate,
  kRead,
  kWrite,
  kSync,
  kList,
  kMakeDirectory,
  kRename,
  kRemove,
  kSyncDirectory,
  kLock
};

// One call that fails, or all from one on.
struct Fault {
  std::optional<Call> call;  // of this kind; none: of any kind for which there is such an error
  uint64_t nth = 1;          // counted from when the fault is set
  bool lasting = false;
  int error = EIO;  // or ENOSPC, which calls have that take space
};

// What a power cut leaves of what was not synced.
enum class Survival {
  kNothing,
  kNames,       // all names, no bytes
  kEverything,  // but what failed syncs lost
  // Any subset of names; writes whole, in part, or not at all, in sectors of 512 bytes or cut
  // anywhere; what is missing reads as it was before, or as zeros if the file is longer now.
  kSome,
};

// Thread-safe. Paths are absolute; "/" is there from the start.
class FaultEnv : public Env {
 public:
  FaultEnv();
  ~FaultEnv() override;

  // A failing write has written half of its bytes. A failing sync loses what it was to write: it is
  // still read, but later syncs don't know of it (Linux marks the pages clean). Any other call that
  // fails has done nothing.
  void Set(const Fault& fault);
  void ClearFault();
  // Whether the fault has struck.
  bool struck() const;

  // The size of the disk; at first it has no end.
  void set_disk_size(uint64_t bytes);
  uint64_t used() const;  // bytes in files

  // Is told before each call that may change something, on the calling thread.
  void set_observer(std::function<void(Call, const std::string& path)> observer);

  // Ends the program, or the machine with it: from here on all calls fail, so that what is left of
  // the dead program's objects can go without doing anything.
  void Kill();
  void PowerCut(Survival survival, uint64_t seed = 0);
  // The next program begins: what was open stays closed, locks are free. It sees all that the one
  // before saw, or, after a power cut, what the disk has.
  void Restart();

  // Another file system in the same state, with nothing open, as after a Restart.
  std::unique_ptr<FaultEnv> Clone() const;

  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<uint64_t> FreeSpace(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<Held>> Lock(const std::string& path) override;

 private:
  struct Node;
  struct Place;
  class OpenFile;
  class HeldLock;

  void Observe(Call call, const std::string& path) const;

  // These are called with the mutex held.
  absl::Status Enter(Call call, const std::string& path);
  std::optional<Place> Find(const std::string& path) const;
  std::shared_ptr<Node> NodeAt(const std::string& path) const;
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path);
  absl::Status Write(Node& node, const std::string& path, uint64_t offset, std::string bytes);
  absl::Status Sync(Node& node, const std::string& path);

  mutable std::mutex mutex_;  // guards what follows
  std::function<void(Call, const std::string&)> observer_;
  std::shared_ptr<Node> root_;
  bool dead_ = false;
  uint64_t generation_ = 0;  // of what is open
  std::set<std::string> locked_;
  uint64_t disk_size_ = UINT64_MAX;
  std::optional<Fault> fault_;
  uint64_t calls_ = 0;  // that the fault counts
};

// For tests that lay hands on files.
std::string ReadFile(Env& env, const std::string& path);
void WriteFile(Env& env, const std::string& path, std::string_view bytes);
void RemoveFiles(Env& env, const std::string& directory);  // all in it

}  // namespace vxa::testing

#endif  // ARCHIVE_TESTING_FAULT_ENV_H_
