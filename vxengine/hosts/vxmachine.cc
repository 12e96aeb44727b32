// vxmachine: the portable machine as a program of its own, in standard C++ alone. It runs the
// guests that come on its standard input, one after another, and answers how each ended
// (machine_protocol.h): what is needed to try the machine on a host, and all that a host needs.
#include <cstdio>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "vxengine/hosts/machine_protocol.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/machine/interpreter.h"
#include "vxengine/machine/memory.h"
#include "vxengine/machine/system_calls.h"

namespace vx {
namespace {

// A guest's descriptors, in memory.
class Pipes final : public SystemCallHost {
 public:
  Pipes(std::string_view input, MachineReply* reply) : input_(input), reply_(*reply) {}

  bool Read(std::span<uint8_t> buffer, size_t* count) override {
    *count = input_.copy(reinterpret_cast<char*>(buffer.data()), buffer.size());
    input_.remove_prefix(*count);
    return true;
  }

  bool Write(int fd, std::span<const uint8_t> bytes) override {
    (fd == VX_FD_OUTPUT ? reply_.output : reply_.diagnostics).append(bytes.begin(), bytes.end());
    return true;
  }

 private:
  std::string_view input_;
  MachineReply& reply_;
};

// Until the guest has ended.
void RunToEnd(Interpreter& interpreter, SystemCalls& calls, const Registers& registers,
              uint64_t limit, Outcome* outcome) {
  for (;;) {
    if (interpreter.instructions() >= limit) {
      outcome->end = Outcome::End::kLimited;
      outcome->limit = Limit::kInstructions;
      return;
    }
    switch (interpreter.Run(limit - interpreter.instructions())) {
      case Interpreter::Stop::kBudget:
        break;
      case Interpreter::Stop::kTrap:
        outcome->end = Outcome::End::kTrapped;
        outcome->trap = interpreter.trap();
        return;
      case Interpreter::Stop::kSystemCall:
        switch (calls.Call()) {
          case SystemCalls::Result::kContinue:
            break;
          case SystemCalls::Result::kExit:
            outcome->exit_status = registers.gpr[kEdx];
            return;
          case SystemCalls::Result::kOutputLimit:
            outcome->end = Outcome::End::kLimited;
            outcome->limit = Limit::kOutput;
            return;
          case SystemCalls::Result::kHostFailed:
            outcome->end = Outcome::End::kHostFailed;
            return;
        }
    }
  }
}

void Run(const MachineRequest& request, MachineReply* reply) {
  const std::span elf(reinterpret_cast<const uint8_t*>(request.elf.data()), request.elf.size());
  const std::optional<Image> image = ParseImage(elf, &reply->error);
  if (!image) return;
  const std::optional<Layout> layout = LayOut(*image, request.memory, request.stack, &reply->error);
  if (!layout) return;
  Memory memory;
  Registers registers;
  if (!MapImage(*image, *layout, request.arguments, &memory, &registers, &reply->error)) return;
  Pipes pipes(request.input, reply);
  SystemCalls calls(&memory, &registers, &pipes, *layout, request.output);
  Interpreter interpreter(&memory, &registers, request.profile);
  Outcome& outcome = reply->outcome;
  RunToEnd(interpreter, calls, registers, request.instructions, &outcome);
  outcome.registers = registers;
  outcome.counters = {.instructions = interpreter.instructions(),
                      .bytes_in = calls.bytes_in(),
                      .bytes_out = calls.bytes_out(),
                      .peak_memory = memory.peak_mapped_bytes()};
}

bool ReadExactly(std::string* bytes) {
  return std::fread(bytes->data(), 1, bytes->size(), stdin) == bytes->size();
}

bool Write(const std::string& bytes) {
  return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
}

constexpr uint64_t kLongestFrame = uint64_t{1} << 30;  // bytes: more is no request

int Main() {
  std::string length(kFrameLengthSize, '\0');
  while (ReadExactly(&length)) {
    std::string bytes;
    MachineRequest request;
    const uint64_t size = DecodeFrameLength(length);
    if (size <= kLongestFrame) bytes.resize(size);
    if (size > kLongestFrame || !ReadExactly(&bytes) || !DecodeMachineRequest(bytes, &request)) {
      std::fputs("vxmachine: not a request\n", stderr);
      return 1;
    }
    MachineReply reply;
    try {
      Run(request, &reply);
    } catch (const std::bad_alloc&) {
      reply.error = "out of memory";
    }
    const std::string answer = EncodeMachineReply(reply);
    if (!Write(EncodeFrameLength(answer.size())) || !Write(answer) || std::fflush(stdout) != 0) {
      std::fputs("vxmachine: can't write a reply\n", stderr);
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace vx

int main() { return vx::Main(); }
