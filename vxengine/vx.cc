#include "vxengine/vx.h"

#include <openssl/evp.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/machine/interpreter.h"
#include "vxengine/machine/memory.h"
#include "vxengine/machine/symbols.h"
#include "vxengine/machine/system_calls.h"

namespace vx {
namespace {

// Instructions, or as much work in system calls, between two looks at the clock: about a
// millisecond.
constexpr uint64_t kSlice = 100'000;

std::span<const uint8_t> AsBytes(std::string_view s) {
  return std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size());
}

std::chrono::nanoseconds ThreadCpuTime() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

struct Program::Rep {
  std::string elf;
  Image image;  // points into `elf`
  // Computed when first asked for: a jailed worker never asks, and could not let OpenSSL start up.
  mutable std::once_flag hash_once;
  mutable std::array<uint8_t, 32> sha256{};
};

absl::StatusOr<std::shared_ptr<const Program>> Program::Load(std::string_view elf) {
  auto rep = std::make_unique<Rep>();
  rep->elf = elf;
  std::string error;
  std::optional<Image> image = ParseImage(AsBytes(rep->elf), &error);
  if (!image) return absl::InvalidArgumentError(absl::StrCat("not a VX guest: ", error));
  rep->image = *std::move(image);
  return std::shared_ptr<const Program>(new Program(std::move(rep)));
}

Program::Program(std::unique_ptr<const Rep> rep) : rep_(std::move(rep)) {}
Program::~Program() = default;

const std::array<uint8_t, 32>& Program::sha256() const {
  std::call_once(rep_->hash_once, [this] {
    EVP_Digest(rep_->elf.data(), rep_->elf.size(), rep_->sha256.data(), nullptr, EVP_sha256(),
               nullptr);
  });
  return rep_->sha256;
}

std::string Program::Symbolize(uint32_t address) const {
  return SymbolizeAddress(AsBytes(rep_->elf), address);
}

struct Sandbox::Rep {
  std::shared_ptr<const Program> program;
  Options options;
  Layout layout;
  Memory memory;
  Registers registers;
  std::atomic<bool> interrupted{false};

  void RunToEnd(Io& io, Interpreter& interpreter, Outcome* outcome);
};

namespace {

// The caller's Io as the system calls want it. Remembers what went wrong.
class HostIo final : public SystemCallHost {
 public:
  HostIo(Io& io, const std::atomic<bool>& interrupted) : io_(io), interrupted_(interrupted) {}

  bool Read(std::span<uint8_t> buffer, size_t* count) override {
    if (interrupted_) return false;
    absl::StatusOr<size_t> got = io_.Read(buffer);
    if (got.ok() && *got > buffer.size()) {
      got = absl::InternalError("Io::Read says it read more than it was asked for");
    }
    if (got.ok()) {
      *count = *got;
    } else {
      error_ = absl::StrCat(got.status().message());
    }
    return got.ok();
  }

  bool Write(int fd, std::span<const uint8_t> bytes) override {
    if (interrupted_) return false;
    const absl::Status status = io_.Write(fd, bytes);
    if (!status.ok()) error_ = absl::StrCat(status.message());
    return status.ok();
  }

  const std::string& error() const { return error_; }

 private:
  Io& io_;
  const std::atomic<bool>& interrupted_;
  std::string error_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Create(std::shared_ptr<const Program> program,
                                                         Options options) {
  if (options.limits.stack < VX_STACK_MIN) {
    return absl::InvalidArgumentError(absl::StrCat("Limits::stack is ", options.limits.stack,
                                                   " bytes, the least is ", VX_STACK_MIN));
  }
  auto rep = std::make_unique<Rep>();
  const Image& image = program->rep().image;
  std::string error;
  const std::optional<Layout> layout =
      LayOut(image, options.limits.memory, options.limits.stack, &error);
  if (!layout) return absl::ResourceExhaustedError(error);
  if (!MapImage(image, *layout, options.arguments, &rep->memory, &rep->registers, &error)) {
    return absl::InvalidArgumentError(error);
  }
  rep->program = std::move(program);
  rep->options = std::move(options);
  rep->layout = *layout;
  return std::unique_ptr<Sandbox>(new Sandbox(std::move(rep)));
}

Sandbox::Sandbox(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Sandbox::~Sandbox() = default;

void Sandbox::Interrupt() { rep_->interrupted = true; }

Outcome Sandbox::Run(Io& io) {
  Outcome outcome;
  try {
    Interpreter interpreter(&rep_->memory, &rep_->registers, rep_->options.profile);
    rep_->RunToEnd(io, interpreter, &outcome);
  } catch (const std::bad_alloc&) {
    outcome.end = Outcome::End::kHostFailed;
    outcome.host_error = "out of memory";
  }
  outcome.registers = rep_->registers;
  outcome.counters.peak_memory = rep_->memory.peak_mapped_bytes();
  return outcome;
}

void Sandbox::Rep::RunToEnd(Io& io, Interpreter& interpreter, Outcome* outcome) {
  const Limits& limits = options.limits;
  HostIo host(io, interrupted);
  SystemCalls calls(&memory, &registers, &host, layout, limits.output);
  const std::chrono::nanoseconds cpu_start = ThreadCpuTime();
  uint64_t next_look = 0;

  // How the run ends if it does before another instruction.
  const auto must_end = [&]() -> std::optional<Outcome::End> {
    if (outcome->counters.instructions >= limits.instructions) {
      outcome->limit = Limit::kInstructions;
      return Outcome::End::kLimited;
    }
    if (interrupted) return Outcome::End::kInterrupted;
    const uint64_t work = outcome->counters.instructions + calls.effort();
    if (work < next_look) return std::nullopt;
    next_look = work + kSlice;
    if (ThreadCpuTime() - cpu_start <= limits.cpu_time) return std::nullopt;
    outcome->limit = Limit::kCpuTime;
    return Outcome::End::kLimited;
  };

  // How the run ends with the system call that stands in the registers, if it does.
  const auto call = [&]() -> std::optional<Outcome::End> {
    const SystemCalls::Result result = calls.Call();
    outcome->counters.bytes_in = calls.bytes_in();
    outcome->counters.bytes_out = calls.bytes_out();
    switch (result) {
      case SystemCalls::Result::kContinue:
        return std::nullopt;
      case SystemCalls::Result::kExit:
        outcome->exit_status = registers.gpr[kEdx];
        return Outcome::End::kExited;
      case SystemCalls::Result::kOutputLimit:
        outcome->limit = Limit::kOutput;
        return Outcome::End::kLimited;
      case SystemCalls::Result::kHostFailed:
        break;
    }
    if (interrupted) return Outcome::End::kInterrupted;
    outcome->host_error = host.error();
    return Outcome::End::kHostFailed;
  };

  std::optional<Outcome::End> end;
  while (!(end = must_end())) {
    const Interpreter::Stop stop =
        interpreter.Run(std::min(kSlice, limits.instructions - outcome->counters.instructions));
    outcome->counters.instructions = interpreter.instructions();
    if (stop == Interpreter::Stop::kTrap) {
      outcome->trap = interpreter.trap();
      end = Outcome::End::kTrapped;
    } else if (stop == Interpreter::Stop::kSystemCall) {
      end = call();
    }
    if (end) break;
  }
  outcome->end = *end;
}

}  // namespace vx
