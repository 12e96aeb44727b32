#include "vxengine/vx.h"

#include <string.h>
#include <time.h>

#include <algorithm>
#include <atomic>
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
#include "vxengine/translator/address_space.h"
#include "vxengine/translator/faults.h"
#include "vxengine/translator/translated_cpu.h"
#include "vxengine/translator/translation.h"

namespace vx {
namespace {

// Instructions, or as much work in system calls, between two looks at the clock: about a
// millisecond.
constexpr uint64_t kSlice = 100'000;

// Guest instructions that are translated before a run, at most.
constexpr uint64_t kAhead = 500'000;

std::span<const uint8_t> AsBytes(std::string_view s) {
  return std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size());
}

std::chrono::nanoseconds ThreadCpuTime() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// The entry point, and whatever may be a pointer to code: words of initialized data, and what
// instructions have as an operand, which may lie anywhere.
std::vector<uint32_t> PossibleEntries(const Image& image) {
  std::vector<uint32_t> entries = {image.entry};
  const auto is_code = [&image](uint32_t address) {
    return std::any_of(image.segments.begin(), image.segments.end(), [address](const Segment& s) {
      return (s.permissions & Memory::kExecute) != 0 && address - s.address < s.bytes.size();
    });
  };
  for (const Segment& segment : image.segments) {
    const bool executable = (segment.permissions & Memory::kExecute) != 0;
    const size_t first = executable ? 0 : (0 - segment.address) % 4, step = executable ? 1 : 4;
    for (size_t at = first; at + 4 <= segment.bytes.size(); at += step) {
      uint32_t word;  // the host is of the guest's byte order
      memcpy(&word, &segment.bytes[at], sizeof word);
      if (is_code(word)) entries.push_back(word);
    }
  }
  return entries;
}

}  // namespace

struct Program::Rep {
  std::string elf;
  Image image;  // points into `elf`
  std::unique_ptr<const GuestText> text;
  mutable std::unique_ptr<Translations> translations;
};

absl::StatusOr<std::shared_ptr<const Program>> Program::Load(std::string_view elf) try {
  auto rep = std::make_unique<Rep>();
  rep->elf = elf;
  std::string error;
  std::optional<Image> image = ParseImage(AsBytes(rep->elf), &error);
  if (!image) return absl::InvalidArgumentError(absl::StrCat("not a VX guest: ", error));
  rep->image = *std::move(image);
  rep->text = std::make_unique<GuestText>(rep->image);
  rep->translations = std::make_unique<Translations>(rep->text.get());
  return std::shared_ptr<const Program>(new Program(std::move(rep)));
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("out of memory");
}

Program::Program(std::unique_ptr<const Rep> rep) : rep_(std::move(rep)) {}
Program::~Program() = default;

std::string Program::Symbolize(uint32_t address) const {
  return SymbolizeAddress(AsBytes(rep_->elf), address);
}

absl::Status Program::TranslateAhead(const Mode& mode) const {
  absl::StatusOr<Translation*> translation = rep_->translations->Get(TranslationMode::Of(
      mode.placement == Placement::kExclusive, mode.profile, mode.count_instructions));
  if (!translation.ok()) return translation.status();
  return (*translation)->TranslateAhead(PossibleEntries(rep_->image), kAhead);
}

struct Sandbox::Rep {
  absl::Status Start(const Limits& limits, const std::vector<std::string>& arguments);
  template <typename Cpu>
  void RunToEnd(Io& io, Cpu& cpu, Outcome* outcome);

  Registers& registers() { return translated ? translated->registers() : interpreted; }

  std::shared_ptr<const Program> program;
  Options options;
  Layout layout;
  std::unique_ptr<AddressSpace> space;  // of a translated guest, which outlives
  std::unique_ptr<Memory> memory;       // this
  std::unique_ptr<TranslatedCpu> translated;
  Registers interpreted;  // of an interpreted guest
  bool mapped = false;    // MapImage or RestoreImage have been done with `memory`, for `layout`
  std::atomic<bool> interrupted{false};
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

namespace {

// What PrepareExclusive reserved.
std::unique_ptr<AddressSpace> prepared_space;

absl::StatusOr<std::unique_ptr<AddressSpace>> TakeSpace(Placement placement) {
  if (placement == Placement::kShared) return AddressSpace::Shared();
  if (prepared_space) return std::move(prepared_space);
  absl::StatusOr<std::unique_ptr<AddressSpace>> space = AddressSpace::Exclusive();
  return space.ok() ? std::move(space) : AddressSpace::Shared();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Create(std::shared_ptr<const Program> program,
                                                         Options options) {
  auto rep = std::make_unique<Rep>();
  rep->program = std::move(program);
  rep->options = std::move(options);
  std::unique_ptr<Sandbox> sandbox(new Sandbox(std::move(rep)));
  const absl::Status status =
      sandbox->Reset(sandbox->rep_->options.limits, sandbox->rep_->options.arguments);
  if (!status.ok()) return status;
  return sandbox;
}

absl::Status Sandbox::Reset(Limits limits, const std::vector<std::string>& arguments) try {
  return rep_->Start(limits, arguments);
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("out of memory");
}

absl::Status Sandbox::Rep::Start(const Limits& limits, const std::vector<std::string>& arguments) {
  if (limits.stack < VX_STACK_MIN) {
    return absl::InvalidArgumentError(
        absl::StrCat("Limits::stack is ", limits.stack, " bytes, the least is ", VX_STACK_MIN));
  }
  const Image& image = program->rep().image;
  std::string error;
  const std::optional<Layout> wanted = LayOut(image, limits.memory, limits.stack, &error);
  if (!wanted) return absl::ResourceExhaustedError(error);
  options.limits = limits;
  interrupted = false;
  std::unique_ptr<RunMemory> run_memory = translated ? translated->TakeRunMemory() : nullptr;
  translated = nullptr;
  // Another stack, or memory that was never made ready: all of it anew.
  const bool kept = mapped && wanted->stack_begin == layout.stack_begin;
  mapped = false;
  layout = *wanted;
  if (!kept) {
    memory = nullptr;
    space = nullptr;
    if (options.engine == Engine::kTranslator) {
      absl::StatusOr<std::unique_ptr<AddressSpace>> taken = TakeSpace(options.placement);
      if (!taken.ok()) return taken.status();
      space = *std::move(taken);
    }
    memory = std::make_unique<Memory>(space.get());
  }
  Registers start;
  if (!(kept ? RestoreImage : MapImage)(image, layout, arguments, memory.get(), &start, &error)) {
    return absl::InvalidArgumentError(error);
  }
  mapped = true;
  if (options.engine == Engine::kInterpreter) {
    interpreted = start;
    return absl::OkStatus();
  }
  const bool counted = options.count_instructions || limits.instructions != kUnlimited;
  absl::StatusOr<std::unique_ptr<TranslatedCpu>> cpu =
      TranslatedCpu::Create(program->rep().translations.get(), space.get(), memory.get(),
                            options.profile, counted, std::move(run_memory));
  if (!cpu.ok()) return cpu.status();
  translated = *std::move(cpu);
  translated->registers() = start;
  return absl::OkStatus();
}

Sandbox::Sandbox(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Sandbox::~Sandbox() = default;

Engine Sandbox::engine() const { return rep_->options.engine; }
Placement Sandbox::placement() const {
  if (!rep_->space) return rep_->options.placement;
  return rep_->space->exclusive() ? Placement::kExclusive : Placement::kShared;
}

Sandbox::TranslationCost Sandbox::translation_cost() const {
  const Translation::Statistics sum = rep_->program->rep().translations->statistics();
  return {sum.instructions, std::chrono::nanoseconds(sum.nanoseconds)};
}

void Sandbox::Interrupt() {
  rep_->interrupted = true;
  if (rep_->translated) rep_->translated->RequestStop();
}

namespace {

// Both engines, as RunToEnd wants them.
class InterpretedCpu {
 public:
  using Stop = TranslatedCpu::Stop;
  InterpretedCpu(Memory* memory, Registers* registers, Profile profile)
      : interpreter_(memory, registers, profile) {}

  // A slice of it, after which it is time to look at the clock.
  Stop Run(uint64_t budget) {
    switch (interpreter_.Run(std::min(kSlice, budget))) {
      case Interpreter::Stop::kBudget:
        return Stop::kBudget;
      case Interpreter::Stop::kSystemCall:
        return Stop::kSystemCall;
      case Interpreter::Stop::kTrap:
        return Stop::kTrap;
    }
    return Stop::kFailed;
  }
  uint64_t instructions() const { return interpreter_.instructions(); }
  const Trap& trap() const { return interpreter_.trap(); }
  absl::Status error() const { return absl::OkStatus(); }

 private:
  Interpreter interpreter_;
};

}  // namespace

Outcome Sandbox::Run(Io& io) {
  Outcome outcome;
  try {
    if (rep_->translated) {
      TranslatedCpu& cpu = *rep_->translated;
      if (absl::Status status = cpu.Begin(rep_->options.limits.cpu_time); status.ok()) {
        rep_->RunToEnd(io, cpu, &outcome);
        outcome.valid_flags = cpu.valid_flags();
      } else {
        outcome.end = Outcome::End::kHostFailed;
        outcome.host_error = absl::StrCat(status.message());
      }
      cpu.End();
    } else {
      InterpretedCpu cpu(rep_->memory.get(), &rep_->interpreted, rep_->options.profile);
      rep_->RunToEnd(io, cpu, &outcome);
    }
  } catch (const std::bad_alloc&) {
    outcome.end = Outcome::End::kHostFailed;
    outcome.host_error = "out of memory";
  }
  outcome.registers = rep_->registers();
  outcome.counters.peak_memory = rep_->memory->peak_mapped_bytes();
  return outcome;
}

template <typename Cpu>
void Sandbox::Rep::RunToEnd(Io& io, Cpu& cpu, Outcome* outcome) {
  const Limits& limits = options.limits;
  HostIo host(io, interrupted);
  SystemCalls calls(memory.get(), &registers(), &host, layout, limits.output);
  const bool timed = limits.cpu_time != std::chrono::nanoseconds::max();
  const std::chrono::nanoseconds cpu_start = timed ? ThreadCpuTime() : std::chrono::nanoseconds();
  uint64_t next_look = 0;

  // How the run ends if it does before another instruction.
  const auto must_end = [&]() -> std::optional<Outcome::End> {
    if (outcome->counters.instructions >= limits.instructions) {
      outcome->limit = Limit::kInstructions;
      return Outcome::End::kLimited;
    }
    if (interrupted) return Outcome::End::kInterrupted;
    const uint64_t work = outcome->counters.instructions + calls.effort();
    if (!timed || work < next_look) return std::nullopt;
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
        outcome->exit_status = registers().gpr[kEdx];
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
    const TranslatedCpu::Stop stop = cpu.Run(limits.instructions - outcome->counters.instructions);
    outcome->counters.instructions = cpu.instructions();
    switch (stop) {
      case TranslatedCpu::Stop::kBudget:
        break;
      case TranslatedCpu::Stop::kSystemCall:
        end = call();
        break;
      case TranslatedCpu::Stop::kTrap:
        outcome->trap = cpu.trap();
        end = Outcome::End::kTrapped;
        break;
      case TranslatedCpu::Stop::kStopped:
        outcome->limit = Limit::kCpuTime;
        end = interrupted ? Outcome::End::kInterrupted : Outcome::End::kLimited;
        break;
      case TranslatedCpu::Stop::kFailed:
        outcome->host_error = absl::StrCat(cpu.error().message());
        end =
            absl::IsInternal(cpu.error()) ? Outcome::End::kEngineFailed : Outcome::End::kHostFailed;
        break;
    }
    if (end) break;
  }
  outcome->end = *end;
}

absl::StatusOr<Prepared> PrepareExclusive() {
  if (absl::Status status = InstallFaultHandlers(); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<AddressSpace>> space = TakeSpace(Placement::kExclusive);
  if (!space.ok()) return space.status();
  const absl::StatusOr<CodeRange> code = ReserveCode();
  if (!code.ok()) return code.status();
  prepared_space = *std::move(space);
  return Prepared{
      .code = *code,
      .placement = prepared_space->exclusive() ? Placement::kExclusive : Placement::kShared};
}

}  // namespace vx
