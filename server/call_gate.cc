#include "server/call_gate.h"

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/text.h"

namespace vxa {

CallGate::Pass::~Pass() {
  if (gate_ == nullptr) return;
  std::lock_guard lock(gate_->mutex_);
  gate_->in_.erase(context_);
}

absl::StatusOr<CallGate::Pass> CallGate::Enter(grpc::ServerContext* context) {
  std::lock_guard lock(mutex_);
  if (closed_) return Error(Reason::kOverloaded, "the server is shutting down");
  if (in_.size() >= limit_) {
    return Error(Reason::kOverloaded,
                 Std(absl::StrCat("the server has ", in_.size(), " ", calls_,
                                  " going on, as many as it takes; try again")));
  }
  in_.insert(context);
  return Pass(this, context);
}

void CallGate::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

void CallGate::CancelAll() {
  std::lock_guard lock(mutex_);
  for (grpc::ServerContext* context : in_) context->TryCancel();
}

bool CallGate::Empty() const {
  std::lock_guard lock(mutex_);
  return in_.empty();
}

}  // namespace vxa
