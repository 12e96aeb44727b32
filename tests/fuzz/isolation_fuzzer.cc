// Whole guests, any code or a real decoder that was damaged, in the configuration that decodes
// have: the translator, in exclusive placement, with the verifier; in this process among canaries,
// and one in so many in the jail too, by a real worker. None gets out, ends a worker, or is told by
// what it finds that anything was there before it: it ends in the same way every time.
//
//   0     bit 0: a decoder that is built in, else code; bits 1-3: which; bits 4-7: its argument
//   1 4   seed of the registers that code begins with
//   5     number of edits
//   6..   edits of the image, 6 bytes each: place (4), what, value
//   +0 2  code: its length
//   +2..  the code
//   ..    the encoded bytes, which code has as its data, too
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "decoders/builtin.h"
#include "tests/fuzz/canaries.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/coverage.h"
#include "tests/fuzz/input.h"
#include "vxengine/decode_service.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/testing/string_io.h"
#include "vxengine/vx.h"

namespace vxa::fuzz {
namespace {

// One in so many inputs goes to a worker, which takes longer.
constexpr uint64_t kJailed = 32;
constexpr uint64_t kMostInstructions = 1'000'000;

vx::Limits LimitsOf(uint64_t instructions) {
  return {.memory = uint64_t{16} << 20,
          .stack = 0x20000,
          .instructions = instructions,
          .output = uint64_t{1} << 18};
}

struct Guest {
  std::string elf;
  std::vector<std::string> arguments;
  std::string encoded;
};

void Edit(uint32_t place, uint8_t what, uint8_t value, std::string* elf) {
  const size_t at = place % elf->size();
  const auto put = [&](std::string_view bytes) {
    elf->replace(at, std::min(bytes.size(), elf->size() - at), bytes.substr(0, elf->size() - at));
  };
  switch (what % 6) {
    case 0:
      (*elf)[at] = static_cast<char>(value);
      break;
    case 1:
      (*elf)[at] ^= static_cast<char>(1 << value % 8);
      break;
    case 2: {
      constexpr uint32_t kWords[] = {0,
                                     1,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffff0000,
                                     0xffffffff,
                                     0xfffffffc,
                                     VX_LOWEST_ADDRESS,
                                     0x10000000,
                                     0x40000000,
                                     vx::testing::kCodeAddress};
      put(vx::testing::Imm32(kWords[value % std::size(kWords)]));
      break;
    }
    case 3:  // something that stands elsewhere
      put(std::string(*elf, (place >> 16) * size_t{17} % elf->size(), 1 + value % 16));
      break;
    case 4:
      put(vx::testing::Syscall());
      break;
    case 5:  // other registers, opcodes, sizes of what is there
      (*elf)[at] += static_cast<char>(value % 8 * 8 + 1);
      break;
  }
}

// Registers that point somewhere, or are small, or anything.
std::string Prologue(uint32_t seed) {
  std::string code;
  for (int n = 0; n < 8; ++n) {
    seed = seed * 1664525 + 1013904223;
    const uint32_t some = seed >> 8;
    const uint32_t values[] = {vx::testing::kDataAddress + some % vx::testing::kDataSize, some % 8,
                               seed, vx::testing::kDataAddress + some % 64};
    if (n != vx::kEsp) code += vx::testing::Mov(static_cast<vx::Gpr>(n), values[seed >> 30]);
  }
  return code;
}

Guest MakeGuest(Input input) {
  Guest guest;
  const uint8_t kind = input.Byte();
  const auto seed = input.Integer<uint32_t>();
  const auto edit_bytes = input.Bytes(size_t{input.Byte()} * 6);
  Input edits(edit_bytes.data(), edit_bytes.size());
  const bool is_decoder = (kind & 1) != 0;
  const auto code = input.Bytes(is_decoder ? 0 : input.Integer<uint16_t>());
  guest.encoded = AsText(input.Rest());
  if (is_decoder) {
    const std::string_view name = (kind >> 1 & 1) == 0 ? "bzip2" : "zlib";
    for (const decoders::Builtin& builtin : decoders::Builtins()) {
      if (builtin.name == name) guest.elf = builtin.elf;
    }
    constexpr const char* kArguments[] = {"", "--format=gzip", "--format=zlib", "--format=raw"};
    const std::string argument = kArguments[kind >> 4 & 3];
    if (!argument.empty()) guest.arguments.push_back(argument);
  } else {
    guest.elf = vx::testing::CodeElf(Prologue(seed) + std::string(AsText(code)) + "\x0f\x0b",
                                     guest.encoded.substr(0, vx::testing::kDataSize));
  }
  if ((kind & 0x80) != 0) guest.arguments.push_back(guest.encoded.substr(0, 100));
  while (!edits.empty()) {
    const auto place = edits.Integer<uint32_t>();
    const uint8_t what = edits.Byte();
    Edit(place, what, edits.Byte(), &guest.elf);
  }
  return guest;
}

// All that can be seen of a run.
struct Seen {
  absl::Status status;  // of one that there wasn't
  vx::Outcome outcome;
  std::string output, diagnostics;

  std::string ToText() const {
    return status.ok() ? absl::StrCat(vx::ToJson(outcome), " output ", output.size(), " bytes")
                       : status.ToString();
  }
};

void CheckSame(const Seen& one, const Seen& other, const char* what) {
  // Of two reasons to refuse a guest, which is told isn't the same everywhere.
  const auto refused = [](const absl::Status& status) {
    return absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status);
  };
  if (refused(one.status) && refused(other.status)) return;
  if (one.status.code() == other.status.code() && one.output == other.output &&
      one.diagnostics == other.diagnostics &&
      (!one.status.ok() || ToJson(one.outcome) == ToJson(other.outcome))) {
    return;
  }
  Fail(absl::StrCat(what, " comes to another end:\n", one.ToText(), "\n", other.ToText()));
}

// Without what depends on whether instructions are counted.
Seen Uncounted(Seen seen, uint32_t flags) {
  seen.outcome.counters.instructions = 0;
  seen.outcome.registers.eflags &= ~vx::kStatusFlags | flags;
  seen.outcome.valid_flags = flags;
  return seen;
}

// Other garbage in memory: the heap's, and the stack's.
__attribute__((noinline)) void Litter(int byte) {
  mallopt(M_PERTURB, byte);
  char stack[0x8000];
  memset(stack, byte, sizeof stack);
  asm volatile("" ::"r"(stack) : "memory");
}

class Host {
 public:
  Host();
  void Try(const Guest& guest);

  uint64_t executions = 0, jailed = 0;
  size_t Coverage() const { return std::count(covered_.begin(), covered_.end(), true); }
  size_t Edges() const { return covered_.size(); }
  void Cover();

 private:
  // In the sandbox as it is new, then in the same one made as new.
  Seen Run(const std::shared_ptr<const vx::Program>& program, const Guest& guest,
           uint64_t instructions);
  Seen RunOnce(vx::Sandbox* sandbox, const Guest& guest);
  void CheckCanaries() const;
  Seen Decode(vx::DecodeSession* session, const Guest& guest, uint64_t instructions);
  void TryJailed(const Guest& guest, const Seen& expected, uint64_t instructions);

  std::unique_ptr<vx::WorkerDecodeService> service_;
  std::optional<Canaries> canaries_;
  std::vector<bool> covered_;
};

std::unique_ptr<Host> host;
volatile sig_atomic_t interrupted = 0;

void Report() {
  fprintf(stderr,
          "isolation: %llu executions, %llu of them in the jail too; coverage: %zu of %zu edges; "
          "escapes: none\n",
          static_cast<unsigned long long>(host->executions),
          static_cast<unsigned long long>(host->jailed), host->Coverage(), host->Edges());
}

Host::Host() {
  // Its thread is there before the canaries restrict this one's system calls.
  const auto own = std::filesystem::read_symlink("/proc/self/exe");
  auto service = vx::NewWorkerDecodeService(own.parent_path() / "../../vxengine/vxworker");
  Check(service.ok(), "there is no vxworker");
  service_ = *std::move(service);
  const absl::StatusOr<std::string> missing = service_->MissingLayers();
  if (!missing.ok()) Fail(missing.status().ToString());
  if (!missing->empty()) fprintf(stderr, "isolation: this system lacks %s\n", missing->c_str());
  covered_.resize(CoverageCounters().size());
  canaries_.emplace();
  atexit(Report);
  signal(SIGINT, [](int) { interrupted = 1; });
}

void Host::Cover() {
  const std::span<const uint8_t> counters = CoverageCounters();
  for (size_t n = 0; n < counters.size(); ++n) {
    if (counters[n] != 0) covered_[n] = true;
  }
}

void Host::CheckCanaries() const {
  if (const std::string changes = canaries_->Changes(); !changes.empty()) Fail(changes);
}

Seen Host::RunOnce(vx::Sandbox* sandbox, const Guest& guest) {
  vx::testing::StringIo io(guest.encoded);
  Seen seen;
  canaries_->Set();
  seen.outcome = sandbox->Run(io);
  CheckCanaries();
  if (seen.outcome.end == vx::Outcome::End::kEngineFailed ||
      seen.outcome.end == vx::Outcome::End::kHostFailed) {
    Fail(absl::StrCat("the engine has failed: ", seen.outcome.host_error));
  }
  seen.output = std::move(io.output);
  seen.diagnostics = std::move(io.diagnostics);
  return seen;
}

Seen Host::Run(const std::shared_ptr<const vx::Program>& program, const Guest& guest,
               uint64_t instructions) {
  const vx::Limits limits = LimitsOf(instructions);
  Litter(0x55);
  const auto sandbox = vx::Sandbox::Create(
      program,
      {.limits = limits, .placement = vx::Placement::kExclusive, .arguments = guest.arguments});
  if (!sandbox.ok()) return {.status = sandbox.status()};
  Check((*sandbox)->placement() == vx::Placement::kExclusive, "low memory is taken");
  const Seen first = RunOnce(sandbox->get(), guest);
  Litter(0xaa);
  const absl::Status status = (*sandbox)->Reset(limits, guest.arguments);
  if (!status.ok()) Fail(absl::StrCat("it can't be made as new: ", status.ToString()));
  CheckSame(first, RunOnce(sandbox->get(), guest), "a second run");
  return first;
}

class Source final : public vx::ByteSource {
 public:
  explicit Source(std::string_view bytes) : bytes_(bytes) {}
  absl::StatusOr<std::string_view> Next() override { return std::exchange(bytes_, {}); }

 private:
  std::string_view bytes_;
};

class Sink final : public vx::ByteSink {
 public:
  absl::Status Append(std::string_view more) override {
    bytes += more;
    return absl::OkStatus();
  }
  std::string bytes;
};

Seen Host::Decode(vx::DecodeSession* session, const Guest& guest, uint64_t instructions) {
  Source source(guest.encoded);
  Sink sink;
  const absl::StatusOr<vx::DecodeResult> result =
      service_->Decode({.decoder = guest.elf,
                        .arguments = guest.arguments,
                        .limits = LimitsOf(instructions),
                        .session = session},
                       source, sink);
  if (!result.ok()) return {.status = result.status(), .output = sink.bytes};
  return {.outcome = result->outcome, .output = sink.bytes, .diagnostics = result->diagnostics};
}

void Host::TryJailed(const Guest& guest, const Seen& expected, uint64_t instructions) {
  const std::unique_ptr<vx::DecodeSession> session = service_->NewSession();
  canaries_->Set();
  for (int n = 0; n < 2; ++n) {
    CheckSame(expected, Decode(session.get(), guest, instructions), "a jailed decode");
  }
  CheckCanaries();
}

void Host::Try(const Guest& guest) {
  ++executions;
  uint64_t instructions = kMostInstructions;
  Seen seen;
  // Else calloc would write to all of what an image claims, of which it takes address space only.
  mallopt(M_PERTURB, 0);
  const absl::StatusOr<std::shared_ptr<const vx::Program>> program = vx::Program::Load(guest.elf);
  if (program.ok()) {
    // Whoever ends is run as decodes are, uncounted.
    seen = Run(*program, guest, instructions);
    const bool ends = seen.outcome.end != vx::Outcome::End::kLimited ||
                      seen.outcome.limit != vx::Limit::kInstructions;
    if (seen.status.ok() && ends) {
      instructions = vx::kUnlimited;
      const Seen counted = std::exchange(seen, Run(*program, guest, instructions));
      const uint32_t flags = counted.outcome.valid_flags & seen.outcome.valid_flags;
      CheckSame(Uncounted(counted, flags), Uncounted(seen, flags), "what isn't counted");
    }
  } else {
    seen.status = program.status();
  }
  const uint64_t hash =
      std::hash<std::string_view>()(guest.elf) ^ std::hash<std::string_view>()(guest.encoded);
  if (hash % kJailed == 0) {
    ++jailed;
    TryJailed(guest, seen, instructions);
  }
  Cover();
}

}  // namespace
}  // namespace vxa::fuzz

// The symbolizer is another program, whose system calls wouldn't be allowed either.
extern "C" const char* __ubsan_default_options() { return "symbolize=0"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vxa::fuzz;
  if (interrupted) exit(130);
  if (!host) host = std::make_unique<Host>();
  host->Try(MakeGuest(Input(data, size)));
  return 0;
}
