#include "archive/commit_log.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/log.h"

namespace vxa {

absl::Status CommitLog::Commit(Change& change) {
  Waiter waiter{.change = &change};
  std::unique_lock lock(mutex_);
  queue_.push_back(&waiter);
  while (!waiter.done && queue_.front() != &waiter) waiter.wake.wait(lock);
  if (waiter.done) return waiter.status;

  const std::vector<Waiter*> group(queue_.begin(), queue_.end());
  lock.unlock();
  CommitGroup(group);
  lock.lock();
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(group.size()));
  for (Waiter* member : group) {
    member->done = true;
    if (member != &waiter) member->wake.notify_one();
  }
  if (!queue_.empty()) queue_.front()->wake.notify_one();
  return waiter.status;
}

size_t CommitLog::Waiting() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

void CommitLog::CommitGroup(const std::vector<Waiter*>& group) {
  if (!broken_.ok()) {
    for (Waiter* waiter : group) waiter->status = broken_;
    return;
  }
  IndexTransaction state(index_);
  for (Waiter* waiter : group) AppendOne(*waiter, state);
  if (std::ranges::none_of(group, [](Waiter* waiter) { return waiter->record.has_value(); })) {
    return;
  }
  if (absl::Status status = SyncAndPublish(group, state); !status.ok()) {
    broken_ = Error(Reason::kStoreFailed,
                    absl::StrCat("the archive takes no more changes until it is opened anew: ",
                                 status.message()));
    Log(LogLevel::kError, std::string(broken_.message()));
    for (Waiter* waiter : group) waiter->status = broken_;
  }
}

void CommitLog::AppendOne(Waiter& waiter, IndexTransaction& state) {
  absl::StatusOr<std::optional<NewRecord>> prepared = waiter.change->Prepare(state);
  waiter.status = prepared.status();
  if (!prepared.ok() || !*prepared) return;
  for (std::string_view piece : (*prepared)->pieces) waiter.payload += piece;
  absl::StatusOr<PackWriter::Appended> appended = writer_.Append(**prepared);
  waiter.status = appended.status();
  if (!appended.ok()) return;
  waiter.record = {(*prepared)->type, Digest::Of(waiter.payload), appended->record,
                   appended->sequence};
  waiter.status = Apply(*waiter.record, waiter.payload, state);
  if (!waiter.status.ok()) broken_ = waiter.status;
}

// An error means that packs and index may disagree.
absl::Status CommitLog::SyncAndPublish(const std::vector<Waiter*>& group, IndexTransaction& state) {
  if (!broken_.ok()) return broken_;
  const auto intact = [this](const Waiter* waiter) {
    return !waiter->record || writer_.IsIntact(waiter->record->location);
  };
  absl::StatusOr<PackWriter::Synced> synced = writer_.Sync();
  // Records are lost with a failed sync, and with a failed write that came after them too.
  auto lost = std::ranges::find_if_not(group, intact);
  if (!synced.ok() || lost != group.end()) {
    // All answers from the first lost record on may build on it. But what went into another pack,
    // before or after, is durable all the same, and stands as it will after a restart.
    const std::string why = lost == group.end() ? "" : writer_.WhyLost((*lost)->record->location);
    for (auto at = lost; at != group.end(); ++at) {
      (*at)->status = Error(Reason::kStoreFailed, absl::StrCat("nothing is stored: ", why));
    }
    state.Clear();
    for (Waiter* waiter : group) {
      if (!waiter->record || !intact(waiter)) continue;
      absl::Status applied = Apply(*waiter->record, waiter->payload, state);
      if (!applied.ok()) return applied;
    }
    if (!synced.ok()) synced = writer_.Sync();
    if (!synced.ok()) return synced.status();
  }
  for (const RecordRef& record : synced->records) {
    if (IsCommitted(record.type)) continue;  // applied when it was appended
    if (absl::Status applied = Apply(record, "", state); !applied.ok()) return applied;
  }
  for (const PackRef& pack : synced->packs) state.SetPack(pack);
  state.SetWatermark(synced->position);
  return state.Write();
}

}  // namespace vxa
