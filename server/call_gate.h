// How many calls are in at once, and which: so that a server can refuse what would overload it, and
// at its end wait for those that are left or cancel them.
#ifndef SERVER_CALL_GATE_H_
#define SERVER_CALL_GATE_H_

#include <grpcpp/server_context.h>

#include <cstddef>
#include <mutex>
#include <set>

#include "absl/status/statusor.h"

namespace vxa {

// Thread-safe.
class CallGate {
 public:
  // A call that is in. The gate and the call's context must outlive it.
  class Pass {
   public:
    Pass(CallGate* gate, grpc::ServerContext* context) : gate_(gate), context_(context) {}
    ~Pass();
    Pass(Pass&& other) noexcept : gate_(other.gate_), context_(other.context_) {
      other.gate_ = nullptr;
    }
    Pass& operator=(Pass&&) = delete;

   private:
    CallGate* gate_;
    grpc::ServerContext* context_;
  };

  // Lets at most `limit` calls in at once; `calls` is what they are called in messages.
  CallGate(size_t limit, const char* calls) : limit_(limit), calls_(calls) {}

  // OVERLOADED if the gate is full or closed.
  absl::StatusOr<Pass> Enter(grpc::ServerContext* context);

  // No call comes in any more.
  void Close();

  // Cancels the calls that are in; they leave in their own time.
  void CancelAll();

  bool Empty() const;

 private:
  const size_t limit_;
  const char* const calls_;
  mutable std::mutex mutex_;
  std::set<grpc::ServerContext*> in_;
  bool closed_ = false;
};

}  // namespace vxa

#endif  // SERVER_CALL_GATE_H_
