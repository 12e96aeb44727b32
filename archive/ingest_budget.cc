#include "archive/ingest_budget.h"

#include "absl/time/clock.h"
#include "archive/call_context.h"

namespace vxa {
namespace {

// The part of a budget for small shares.
uint64_t SmallPart(uint64_t bytes) { return bytes / 8; }

}  // namespace

IngestBudget::IngestBudget(uint64_t bytes)
    : small_(SmallPart(bytes) / kSmall), large_((bytes - SmallPart(bytes)) / kLarge) {}

absl::Status IngestBudget::Places::Take(const CallContext& context) {
  std::unique_lock lock(mutex_);
  const uint64_t ticket = next_ticket_++;
  waiting_.insert(ticket);
  absl::Status status = absl::OkStatus();
  while (free_ == 0 || *waiting_.begin() != ticket) {
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kAskInterval));
    if (status = CheckContext(context); !status.ok()) break;
  }
  if (status.ok()) --free_;
  waiting_.erase(ticket);
  changed_.notify_all();
  return status;
}

void IngestBudget::Places::GiveBack() {
  std::lock_guard lock(mutex_);
  ++free_;
  changed_.notify_all();
}

absl::Status IngestBudget::Share::TakeSmall(const CallContext& context) {
  absl::Status status = budget_.small_.Take(context);
  small_ = status.ok();
  return status;
}

absl::Status IngestBudget::Share::TakeLarge(const CallContext& context) {
  if (absl::Status status = budget_.large_.Take(context); !status.ok()) return status;
  large_ = true;
  if (small_) budget_.small_.GiveBack();
  small_ = false;
  return absl::OkStatus();
}

IngestBudget::Share::~Share() {
  if (small_) budget_.small_.GiveBack();
  if (large_) budget_.large_.GiveBack();
}

}  // namespace vxa
