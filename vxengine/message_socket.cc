#include "vxengine/message_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

namespace vx {
namespace {

union Control {
  cmsghdr header;
  char space[CMSG_SPACE(kMessageFdsMax * sizeof(int))];
};

}  // namespace

int SendMessage(int socket, std::string_view bytes, std::span<const int> fds) {
  iovec data = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  Control control = {};
  if (!fds.empty()) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(fds.size_bytes());
    memcpy(CMSG_DATA(&control.header), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

int ReceiveMessage(int socket, Message* message) {
  char bytes[kMessageMax];
  iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
  Control control = {};
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = &control;
  header.msg_controllen = sizeof control;
  ssize_t count;
  do {
    count = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno;
  message->bytes.assign(bytes, static_cast<size_t>(count));
  message->fds.clear();
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t size = c->cmsg_len - CMSG_LEN(0);
    for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
      message->fds.emplace_back(fd);
    }
  }
  return (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 ? 0 : EMSGSIZE;
}

}  // namespace vx
