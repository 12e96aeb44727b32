// A zygote whose workers run a shell script instead of a decoder: FILE.sh, where FILE is this
// program. It stands for workers that a guest has taken over.
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "vxengine/message_socket.h"
#include "vxengine/worker_protocol.h"
#include "vxengine/zygote.h"

int main() {
  const std::string script = std::filesystem::read_symlink("/proc/self/exe").string() + ".sh";
  vx::Message preparation;
  if (vx::ReceiveMessage(vx::kOrdersFd, &preparation) != 0) return 1;
  if (vx::SendMessage(vx::kOrdersFd, vx::EncodeLayers(0)) != 0) return 1;
  return vx::ServeOrders(
             absl::OkStatus(),
             [&] {
               // As a worker does.
               pollfd request = {.fd = vx::kRequestFd, .events = POLLIN, .revents = 0};
               if (poll(&request, 1, -1) != 1 || (request.revents & POLLIN) == 0) return;
               char* const environment[] = {nullptr};
               execle("/bin/sh", "sh", script.c_str(), nullptr, environment);
             }).ok()
             ? 0
             : 1;
}
