#include "vxengine/testing/run_elf.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "vxengine/hosts/foreign_machine.h"

namespace vx::testing {
namespace {

std::vector<std::string>& Command() {
  static auto& command = *new std::vector<std::string>;
  return command;
}

// One for all runs, until it fails.
std::unique_ptr<ForeignMachine>& Machine() {
  static std::unique_ptr<ForeignMachine> machine;
  return machine;
}

absl::Status ReadAll(Io& io, std::string* input) {
  std::vector<uint8_t> buffer(1 << 16);
  for (;;) {
    const absl::StatusOr<size_t> count = io.Read(buffer);
    if (!count.ok()) return count.status();
    if (*count == 0) return absl::OkStatus();
    input->append(buffer.begin(), buffer.begin() + *count);
  }
}

absl::Status WriteAll(Io& io, int fd, const std::string& bytes) {
  if (bytes.empty()) return absl::OkStatus();
  return io.Write(fd, std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
}

absl::StatusOr<Outcome> RunOnMachine(std::string_view elf, const Options& options, Io& io) {
  MachineRequest request = {.profile = options.profile,
                            .memory = options.limits.memory,
                            .stack = options.limits.stack,
                            .instructions = options.limits.instructions,
                            .output = options.limits.output,
                            .arguments = options.arguments,
                            .elf = std::string(elf),
                            .input = {}};
  if (absl::Status status = ReadAll(io, &request.input); !status.ok()) return status;
  std::unique_ptr<ForeignMachine>& machine = Machine();
  if (machine == nullptr) {
    absl::StatusOr<std::unique_ptr<ForeignMachine>> started = ForeignMachine::Start(Command());
    if (!started.ok()) return started.status();
    machine = *std::move(started);
  }
  absl::StatusOr<MachineReply> reply = machine->Run(request);
  if (!reply.ok()) {
    machine.reset();
    return reply.status();
  }
  if (!reply->error.empty()) return absl::InvalidArgumentError(reply->error);
  if (absl::Status status = WriteAll(io, VX_FD_OUTPUT, reply->output); !status.ok()) return status;
  if (absl::Status status = WriteAll(io, VX_FD_DIAGNOSTICS, reply->diagnostics); !status.ok()) {
    return status;
  }
  return std::move(reply->outcome);
}

}  // namespace

void UseMachine(std::string_view value) {
  Machine().reset();
  Command().clear();
  const size_t colon = value.find(':');
  if (colon != std::string_view::npos) Command().emplace_back(value.substr(0, colon));
  Command().emplace_back(value.substr(colon == std::string_view::npos ? 0 : colon + 1));
}

bool UsesMachine() { return !Command().empty(); }

absl::StatusOr<Outcome> RunElf(std::string_view elf, const Options& options, Io& io) {
  if (UsesMachine()) return RunOnMachine(elf, options, io);
  const absl::StatusOr<std::shared_ptr<const Program>> program = Program::Load(elf);
  if (!program.ok()) return program.status();
  const absl::StatusOr<std::unique_ptr<Sandbox>> sandbox = Sandbox::Create(*program, options);
  if (!sandbox.ok()) return sandbox.status();
  return (*sandbox)->Run(io);
}

}  // namespace vx::testing
