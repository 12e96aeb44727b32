#include "vxengine/hosts/foreign_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace vx {
namespace {

absl::Status ErrnoStatus(std::string_view what, int error) {
  return absl::InternalError(absl::StrCat(
      "vxmachine: ", absl::string_view(what.data(), what.size()), ": ", strerror(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ForeignMachine>> ForeignMachine::Start(
    std::vector<std::string> command) {
  int requests[2], replies[2];
  if (pipe2(requests, O_CLOEXEC) != 0) return ErrnoStatus("pipe", errno);
  if (pipe2(replies, O_CLOEXEC) != 0) {
    const int error = errno;
    for (int fd : requests) close(fd);
    return ErrnoStatus("pipe", error);
  }
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, requests[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, replies[1], STDOUT_FILENO);
  pid_t pid;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(requests[0]);
  close(replies[1]);
  if (error != 0) {
    close(requests[1]);
    close(replies[0]);
    return ErrnoStatus(command[0], error);
  }
  return std::unique_ptr<ForeignMachine>(new ForeignMachine(pid, requests[1], replies[0]));
}

ForeignMachine::~ForeignMachine() {
  close(requests_);
  close(replies_);
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::StatusOr<MachineReply> ForeignMachine::Run(const MachineRequest& request) {
  const std::string bytes = EncodeMachineRequest(request);
  if (absl::Status status = Write(EncodeFrameLength(bytes.size())); !status.ok()) return status;
  if (absl::Status status = Write(bytes); !status.ok()) return status;
  std::string length(kFrameLengthSize, '\0');
  if (absl::Status status = Read(&length); !status.ok()) return status;
  std::string answer(DecodeFrameLength(length), '\0');
  if (absl::Status status = Read(&answer); !status.ok()) return status;
  MachineReply reply;
  if (!DecodeMachineReply(answer, &reply)) {
    return absl::InternalError("vxmachine: its reply is damaged");
  }
  return reply;
}

absl::Status ForeignMachine::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(requests_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus("writing a request", errno);
    bytes.remove_prefix(count);
  }
  return absl::OkStatus();
}

absl::Status ForeignMachine::Read(std::string* bytes) {
  for (size_t done = 0; done < bytes->size();) {
    const ssize_t count = read(replies_, bytes->data() + done, bytes->size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus("reading a reply", errno);
    if (count == 0) return absl::InternalError("vxmachine: ended without a reply");
    done += count;
  }
  return absl::OkStatus();
}

}  // namespace vx
