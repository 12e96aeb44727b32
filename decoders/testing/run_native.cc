#include "decoders/testing/run_native.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "vxengine/abi.h"

namespace vxa::decoders {
namespace {

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

std::string Contents(FILE* file) {
  std::string contents(static_cast<size_t>(lseek(fileno(file), 0, SEEK_END)), '\0');
  rewind(file);
  contents.resize(fread(contents.data(), 1, contents.size(), file));
  return contents;
}

}  // namespace

GuestRun RunNative(const std::string& program, const std::vector<std::string>& arguments,
                   std::string_view input) {
  GuestRun run;
  File in(tmpfile(), fclose), out(tmpfile(), fclose), diagnostics(tmpfile(), fclose);
  if (!in || !out || !diagnostics ||
      fwrite(input.data(), 1, input.size(), in.get()) != input.size() || fflush(in.get()) != 0) {
    run.failure = "no temporary files";
    return run;
  }
  rewind(in.get());

  std::string name = VX_ARGV0;
  std::vector<std::string> copies = arguments;
  std::vector<char*> argv = {name.data()};
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t child = fork();
  if (child == 0) {
    dup2(fileno(in.get()), STDIN_FILENO);
    dup2(fileno(out.get()), STDOUT_FILENO);
    dup2(fileno(diagnostics.get()), STDERR_FILENO);
    execve(program.c_str(), argv.data(), environment);
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) {
    run.failure = std::string("cannot run ") + program + ": " + strerror(errno);
  } else if (WIFSIGNALED(status)) {
    run.failure = strsignal(WTERMSIG(status));
  } else if (WEXITSTATUS(status) == 127) {
    run.failure = "cannot run " + program;
  }
  run.exit_status = static_cast<uint32_t>(WEXITSTATUS(status));
  run.output = Contents(out.get());
  run.diagnostics = Contents(diagnostics.get());
  return run;
}

}  // namespace vxa::decoders
