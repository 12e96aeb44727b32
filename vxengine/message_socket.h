// Messages with descriptors attached, between processes that belong together: unix(7),
// SOCK_SEQPACKET.
#ifndef VXENGINE_MESSAGE_SOCKET_H_
#define VXENGINE_MESSAGE_SOCKET_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vxengine/unique_fd.h"

namespace vx {

// No message here is longer, or carries more descriptors.
inline constexpr size_t kMessageMax = 256, kMessageFdsMax = 4;

// Sends a message, which isn't empty. 0, or errno: EPIPE if nobody can receive it any more. Raises
// no SIGPIPE.
int SendMessage(int socket, std::string_view bytes, std::span<const int> fds = {});

struct Message {
  std::string bytes;          // empty: the other end is closed
  std::vector<UniqueFd> fds;  // close-on-exec
};

// Receives one. 0, or errno; EMSGSIZE if it is longer than messages are.
int ReceiveMessage(int socket, Message* message);

}  // namespace vx

#endif  // VXENGINE_MESSAGE_SOCKET_H_
