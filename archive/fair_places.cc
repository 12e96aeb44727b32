#include "archive/fair_places.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "archive/call_context.h"
#include "archive/errors.h"
#include "archive/text.h"

namespace vxa {

absl::Status FairPlaces::Wait(const CallContext& context, size_t most_waiting) {
  std::unique_lock lock(mutex_);
  Waiter waiter{.client = context.client};
  const auto place = waiting_.insert(waiting_.end(), &waiter);
  HandOut();
  if (!waiter.has_place && waiting_.size() > most_waiting) {
    waiting_.erase(place);
    return Error(Reason::kOverloaded,
                 Std(absl::StrCat("at this server ", most_waiting,
                                  " wait for their turn, as many as it takes; try again")));
  }
  while (!waiter.changed.wait_for(lock, absl::ToChronoMilliseconds(kAskInterval),
                                  [&] { return waiter.has_place; })) {
    lock.unlock();
    const absl::Status status = CheckContext(context);
    lock.lock();
    if (status.ok() || waiter.has_place) continue;
    waiting_.erase(place);
    return status;
  }
  return absl::OkStatus();
}

void FairPlaces::GiveBack(const std::string& client) {
  const std::lock_guard lock(mutex_);
  const auto held = held_.find(client);
  if (--held->second == 0) held_.erase(held);
  ++free_;
  HandOut();
}

bool FairPlaces::MustGiveWay(const std::string& client) {
  const std::lock_guard lock(mutex_);
  const auto next = Next();
  return next != waiting_.end() && HeldBy((*next)->client) < HeldBy(client);
}

size_t FairPlaces::taken() {
  const std::lock_guard lock(mutex_);
  return limits_.places - free_;
}

size_t FairPlaces::waiting() {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

// Who is next. mutex_ is held, as for what follows.
std::list<FairPlaces::Waiter*>::iterator FairPlaces::Next() {
  auto next = waiting_.end();
  size_t fewest = limits_.of_a_client;
  for (auto waiter = waiting_.begin(); waiter != waiting_.end(); ++waiter) {
    const size_t held = HeldBy((*waiter)->client);
    if (held >= fewest) continue;
    fewest = held;
    next = waiter;
  }
  return next;
}

size_t FairPlaces::HeldBy(const std::string& client) const {
  const auto held = held_.find(client);
  return held == held_.end() ? 0 : held->second;
}

void FairPlaces::HandOut() {
  for (auto next = Next(); free_ > 0 && next != waiting_.end(); next = Next()) {
    --free_;
    ++held_[(*next)->client];
    (*next)->has_place = true;
    (*next)->changed.notify_one();
    waiting_.erase(next);
  }
}

}  // namespace vxa
