#include "server/call_gate.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "archive/errors.h"
#include "archive/text.h"

namespace vxa {

std::string ClientOf(const std::string& peer) {
  // "ipv4:192.0.2.1:4711", "ipv6:%5B2001:db8::1%5D:4711" or, without an address, "unix:".
  constexpr std::string_view kV4 = "ipv4:", kV6 = "ipv6:%5B";
  if (peer.rfind(kV4, 0) == 0) return peer.substr(0, peer.rfind(':'));
  const size_t end = peer.find("%5D");
  if (peer.rfind(kV6, 0) != 0 || end == std::string::npos) return peer;
  const std::string text = peer.substr(kV6.size(), end - kV6.size());
  in6_addr address;
  if (inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), &address) != 1) return peer;
  if (IN6_IS_ADDR_V4MAPPED(&address)) return text;
  return absl::StrCat("ipv6:", absl::BytesToHexString(absl::string_view(
                                   reinterpret_cast<const char*>(address.s6_addr), 8)));
}

CallGate::Pass::~Pass() {
  if (gate_ == nullptr) return;
  std::lock_guard lock(gate_->mutex_);
  gate_->in_.erase(context_);
}

absl::StatusOr<CallGate::Pass> CallGate::Enter(grpc::ServerContext* context) {
  std::string client = ClientOf(context->peer());
  std::lock_guard lock(mutex_);
  if (closed_) return Error(Reason::kOverloaded, "the server is shutting down");
  if (in_.size() >= limit_) {
    return Error(Reason::kOverloaded,
                 Std(absl::StrCat("the server has ", in_.size(), " ", calls_,
                                  " going on, as many as it takes; try again")));
  }
  const auto is_clients = [&](const auto& call) { return call.second == client; };
  if (std::count_if(in_.begin(), in_.end(), is_clients) >= static_cast<ptrdiff_t>(client_limit_)) {
    return Error(Reason::kOverloaded,
                 Std(absl::StrCat("the server has ", client_limit_, " ", calls_,
                                  " of this client going on, as many as it takes; try again")));
  }
  in_.emplace(context, std::move(client));
  return Pass(this, context);
}

void CallGate::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

void CallGate::CancelAll() {
  std::lock_guard lock(mutex_);
  for (const auto& [context, client] : in_) context->TryCancel();
}

size_t CallGate::size() const {
  std::lock_guard lock(mutex_);
  return in_.size();
}

}  // namespace vxa
