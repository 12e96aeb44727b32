// Group commit: everyone who waits to commit shares one sync.
//
// The first in the queue leads: for all that wait it lets each change decide, in order and each
// seeing the ones before, appends their records, syncs once, writes the index once, and wakes them.
// Meanwhile others queue up for the next group.
#ifndef ARCHIVE_COMMIT_LOG_H_
#define ARCHIVE_COMMIT_LOG_H_

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/index.h"
#include "archive/pack_writer.h"

namespace vxa {

// Something to be committed.
class Change {
 public:
  virtual ~Change() = default;

  // Decides, given everything committed before: the record to append (a manifest or an update,
  // whose views live as long as the change), nothing if all is well without one, or an error. No
  // other change decides at the same time.
  virtual absl::StatusOr<std::optional<NewRecord>> Prepare(const IndexView& state) = 0;
};

// Thread-safe.
class CommitLog {
 public:
  CommitLog(PackWriter& writer, Index& index) : writer_(writer), index_(index) {}

  // OK once the change is durable and visible. Else it is not acknowledged: an error of Prepare, or
  // one of the disk.
  absl::Status Commit(Change& change);

  // How many changes are being committed or wait for it.
  size_t Waiting() const;

 private:
  struct Waiter {
    Change* change;
    std::condition_variable wake;
    bool done = false;
    absl::Status status;
    std::optional<RecordRef> record;  // what was appended
    std::string payload;
  };

  void CommitGroup(const std::vector<Waiter*>& group);
  void AppendOne(Waiter& waiter, IndexTransaction& state);
  absl::Status SyncAndPublish(const std::vector<Waiter*>& group, IndexTransaction& state);

  PackWriter& writer_;
  Index& index_;
  mutable std::mutex mutex_;  // guards the queue
  std::deque<Waiter*> queue_;
  // Once packs and index may disagree, only a restart, which replays, helps. Used by leaders only.
  absl::Status broken_;
};

}  // namespace vxa

#endif  // ARCHIVE_COMMIT_LOG_H_
