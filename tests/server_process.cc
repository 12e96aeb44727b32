#include "tests/server_process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace vxa {
namespace {

[[noreturn]] void Die(const char* what) {
  perror(what);
  abort();
}

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

[[noreturn]] void Exec(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

ServerProcess::ServerProcess(std::vector<std::string> options) {
  directory_ = Environment("TEST_TMPDIR") + "/vxad-XXXXXX";
  if (mkdtemp(directory_.data()) == nullptr) Die(directory_.c_str());
  std::vector<std::string> command = {
      Environment("TEST_SRCDIR") + "/" + Environment("TEST_WORKSPACE") + "/server/vxad",
      "--data=" + directory_, "--listen=127.0.0.1:0"};
  command.insert(command.end(), options.begin(), options.end());
  int output[2];
  if (pipe(output) != 0) Die("pipe");
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) {
    dup2(output[1], STDOUT_FILENO);
    close(output[0]);
    close(output[1]);
    Exec(std::move(command));
  }
  close(output[1]);
  FILE* lines = fdopen(output[0], "r");
  char address[256];
  if (fscanf(lines, "listening on %255s", address) != 1) Die("vxad did not start");
  address_ = address;
  fclose(lines);
}

ServerProcess::~ServerProcess() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void ServerProcess::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace vxa
