#include "archive/decode_turns.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/errors.h"
#include "archive/text.h"

namespace vxa {

absl::Status DecodeTurns::Wait(const CallContext& context, int queue) {
  std::unique_lock lock(mutex_);
  Waiter waiter{.client = context.client};
  const auto place = waiting_.insert(waiting_.end(), &waiter);
  HandOut();
  if (!waiter.has_turn && waiting_.size() > static_cast<size_t>(queue)) {
    waiting_.erase(place);
    return Error(Reason::kOverloaded,
                 Std(absl::StrCat("the server has ", queue,
                                  " decodes waiting for their turn, as many as it takes; try "
                                  "again")));
  }
  while (!waiter.changed.wait_for(lock, absl::ToChronoMilliseconds(kAskInterval),
                                  [&] { return waiter.has_turn; })) {
    lock.unlock();
    const absl::Status status = CheckContext(context);
    lock.lock();
    if (status.ok() || waiter.has_turn) continue;
    waiting_.erase(place);
    return status;
  }
  return absl::OkStatus();
}

void DecodeTurns::GiveBack(const std::string& client) {
  const std::lock_guard lock(mutex_);
  const auto held = held_.find(client);
  if (--held->second == 0) held_.erase(held);
  ++free_;
  HandOut();
}

bool DecodeTurns::MustGiveWay(const std::string& client) {
  const std::lock_guard lock(mutex_);
  const auto next = Next();
  return next != waiting_.end() && HeldBy((*next)->client) < HeldBy(client);
}

DecodeLoad DecodeTurns::load() {
  const std::lock_guard lock(mutex_);
  DecodeLoad load{.waiting = static_cast<int>(waiting_.size())};
  for (const auto& [client, turns] : held_) load.running += turns;
  return load;
}

// Whose turn is next. mutex_ is held, as for what follows.
std::list<DecodeTurns::Waiter*>::iterator DecodeTurns::Next() {
  return std::min_element(waiting_.begin(), waiting_.end(), [&](const Waiter* a, const Waiter* b) {
    return HeldBy(a->client) < HeldBy(b->client);
  });
}

int DecodeTurns::HeldBy(const std::string& client) const {
  const auto held = held_.find(client);
  return held == held_.end() ? 0 : held->second;
}

void DecodeTurns::HandOut() {
  for (; free_ > 0 && !waiting_.empty(); --free_) {
    const auto next = Next();
    ++held_[(*next)->client];
    (*next)->has_turn = true;
    (*next)->changed.notify_one();
    waiting_.erase(next);
  }
}

}  // namespace vxa
