// How many calls are in at once, which, and whose: so that a server can refuse what would overload
// it, or leave nothing to other clients, and at its end wait for those that are left or cancel
// them.
#ifndef SERVER_CALL_GATE_H_
#define SERVER_CALL_GATE_H_

#include <grpcpp/server_context.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"

namespace vxa {

// Who is one client, as far as it can be told: from an address of a peer as gRPC gives it, what
// remains without the port, and for IPv6 the network's 64 bits, all of which one host may have.
std::string ClientOf(const std::string& peer);

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

  // Lets at most `limit` calls in at once, `client_limit` of one client (ClientOf); `calls` is what
  // they are called in messages.
  CallGate(size_t limit, size_t client_limit, const char* calls)
      : limit_(limit), client_limit_(client_limit), calls_(calls) {}

  // OVERLOADED if the gate is full, for this client or all, or closed.
  absl::StatusOr<Pass> Enter(grpc::ServerContext* context);

  // No call comes in any more.
  void Close();

  // Cancels the calls that are in; they leave in their own time.
  void CancelAll();

  bool Empty() const { return size() == 0; }
  size_t size() const;

 private:
  const size_t limit_, client_limit_;
  const char* const calls_;
  mutable std::mutex mutex_;
  std::map<grpc::ServerContext*, std::string> in_;  // with their clients
  bool closed_ = false;
};

}  // namespace vxa

#endif  // SERVER_CALL_GATE_H_
