#include "archive/ingest_budget.h"

#include <algorithm>

namespace vxa {
namespace {

// The part of a budget for small shares.
uint64_t SmallPart(uint64_t bytes) { return bytes / 8; }

// All but some, where there are several.
size_t OfAClient(size_t places) {
  return std::max<size_t>(1, places - std::max<size_t>(1, places / 4));
}

}  // namespace

IngestBudget::IngestBudget(uint64_t bytes)
    : small_({.places = SmallPart(bytes) / kSmall}),
      large_({.places = (bytes - SmallPart(bytes)) / kLarge,
              .of_a_client = OfAClient((bytes - SmallPart(bytes)) / kLarge)}) {}

absl::Status IngestBudget::Share::TakeSmall(const CallContext& context) {
  client_ = context.client;
  absl::Status status = budget_.small_.Take(context);
  small_ = status.ok();
  return status;
}

absl::Status IngestBudget::Share::TakeLarge(const CallContext& context) {
  client_ = context.client;
  if (absl::Status status = budget_.large_.Take(context); !status.ok()) return status;
  large_ = true;
  if (small_) budget_.small_.GiveBack(client_);
  small_ = false;
  return absl::OkStatus();
}

IngestBudget::Share::~Share() {
  if (small_) budget_.small_.GiveBack(client_);
  if (large_) budget_.large_.GiveBack(client_);
}

}  // namespace vxa
