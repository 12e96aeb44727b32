// vxrun: runs one guest on standard input and output. See kUsage.

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/check_guest.h"
#include "vxengine/prefault.h"
#include "vxengine/vx.h"

namespace {

constexpr char kUsage[] =
    "usage: vxrun [OPTION...] GUEST [ARG...]\n"
    "       vxrun [OPTION...] --check GUEST INPUT [EXPECTED] [-- ARG...]\n"
    "\n"
    "Runs the VX guest program in the file GUEST with the arguments ARG: it reads this command's\n"
    "standard input, and writes its standard output and error.\n"
    "\n"
    "  --check               run GUEST on the file INPUT on every engine, with parts of it and "
    "with an\n"
    "                        argument that it can't know; report on standard output whether all "
    "was\n"
    "                        the same, as in the file EXPECTED, and what it cost. The exit status\n"
    "                        is 0 or, where something is wrong, 1; limits and profile count\n"
    "  --engine=NAME         translator (the default, on x86-64) or interpreter\n"
    "  --placement=NAME      of a translated guest in this process: exclusive (the default: host\n"
    "                        addresses 0 to 4G, faster) or shared (anywhere)\n"
    "  --profile=NAME        instructions allowed: vx-2026 (the default) or vx-2026-int\n"
    "  --memory=BYTES        of segments, stack and heap together; K, M or G may follow (default "
    "1G)\n"
    "  --stack=BYTES         of its stack, at most (default 8M, the least is 64K)\n"
    "  --max-instructions=N  end the guest after so many\n"
    "  --count               count instructions, without a limit too; the translator is slower "
    "with it\n"
    "  --stats               print what the run cost to standard error\n"
    "  --json                print the whole outcome, with all registers, to standard error\n"
    "  --help                print this\n"
    "\n"
    "The exit status is the low 8 bits of the guest's, but 1 where those are 0 and the whole is "
    "not,\n"
    "and 124 for 125. It is 125, with a line on standard error that says why, if the guest was\n"
    "refused, trapped, hit a limit or could not be given its input or rid of its output.\n";

constexpr int kFailed = 125;
// Bytes of file; what is there to catch is /dev/zero.
constexpr size_t kLargestGuest = size_t{1} << 28;

int Fail(std::string_view reason) {
  absl::FPrintF(stderr, "vxrun: %s\n", reason);
  return kFailed;
}

absl::Status ErrnoStatus(std::string_view what) {
  return absl::UnknownError(absl::StrFormat("%s: %s", what, strerror(errno)));
}

// True if the call that just failed on `fd` is worth another try; waits until it is.
bool Retry(int fd, decltype(pollfd::events) events) {
  if (errno == EINTR) return true;
  if (errno != EAGAIN) return false;
  pollfd wait = {.fd = fd, .events = events, .revents = 0};
  return poll(&wait, 1, -1) >= 0 || errno == EINTR;
}

// The guest's descriptors are the process's own. Unbuffered: guests have C libraries that do that.
class StandardIo final : public vx::Io {
 public:
  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    ssize_t count;
    do {
      count = read(STDIN_FILENO, buffer.data(), buffer.size());
    } while (count < 0 && Retry(STDIN_FILENO, POLLIN));
    if (count < 0) return ErrnoStatus("reading standard input");
    return static_cast<size_t>(count);
  }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = write(fd, bytes.data(), bytes.size());
      if (count >= 0) {
        bytes = bytes.subspan(count);
      } else if (!Retry(fd, POLLOUT)) {
        return ErrnoStatus(fd == STDOUT_FILENO ? "writing standard output"
                                               : "writing standard error");
      }
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<std::string> ReadFile(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat file = {};
  if (fd < 0 || fstat(fd, &file) != 0) return ErrnoStatus(path);
  // What tells no size, a pipe for one, is read piece by piece. Room for one more byte finds the
  // end.
  const size_t piece = std::clamp<size_t>(file.st_size + 1, 4096, kLargestGuest);
  std::string bytes;
  size_t size = 0;
  absl::Status status;
  for (;;) {
    if (size == bytes.size()) bytes.resize(size + piece);
    const ssize_t count = read(fd, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) status = ErrnoStatus(path);
    if (count <= 0) break;
    size += static_cast<size_t>(count);
    if (size > kLargestGuest) {
      status = absl::InvalidArgumentError(absl::StrCat(path, ": too large for a guest"));
      break;
    }
  }
  close(fd);
  if (!status.ok()) return status;
  bytes.resize(size);
  return bytes;
}

// A whole number, with K, M or G for powers of 1024 behind it if `size`.
std::optional<uint64_t> ParseNumber(std::string_view text, bool size) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || text.empty()) return std::nullopt;
  const std::string_view suffix = text.substr(end - text.data());
  if (suffix.empty()) return value;
  const size_t unit = std::string_view("KMG").find(suffix);
  if (!size || suffix.size() != 1 || unit == std::string_view::npos) return std::nullopt;
  const int shift = 10 * (static_cast<int>(unit) + 1);
  if (value > UINT64_MAX >> shift) return std::nullopt;
  return value << shift;
}

// Sets a limit to the number that is given for the option `name`.
template <typename Number>
absl::Status SetLimit(std::string_view name, bool size, Number* limit) {
  const std::optional<uint64_t> number = ParseNumber(optarg, size);
  if (!number || *number > std::numeric_limits<Number>::max()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--%s=%s is not a number that makes sense", name, optarg));
  }
  *limit = static_cast<Number>(*number);
  return absl::OkStatus();
}

struct CommandLine {
  vx::Options options;
  bool stats = false;
  bool json = false;
  bool help = false;
  bool check = false;
  bool profile_given = false;
  const char* guest = nullptr;
  const char* input = nullptr;     // of a check
  const char* expected = nullptr;  // of a check, or null
};

// What follows GUEST in the command line of a check.
absl::Status ParseCheck(int argc, char** argv, CommandLine* line) {
  int at = optind + 1;
  const auto next = [&] {
    return at < argc && std::string_view(argv[at]) != "--" ? argv[at++] : nullptr;
  };
  line->input = next();
  if (line->input == nullptr) {
    return absl::InvalidArgumentError("--check: no INPUT given; see vxrun --help");
  }
  line->expected = next();
  if (at < argc && std::string_view(argv[at]) != "--") {
    return absl::InvalidArgumentError(
        absl::StrCat("--check: ", argv[at], ": the guest's own arguments come behind --"));
  }
  if (at < argc) line->options.arguments.assign(argv + at + 1, argv + argc);
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> ParseCommandLine(int argc, char** argv) {
  enum {
    kCheck = 1,
    kEngine,
    kPlacement,
    kCount,
    kProfile,
    kMemory,
    kStack,
    kMaxInstructions,
    kStats,
    kJson,
    kHelp
  };
  constexpr option kOptions[] = {{"check", no_argument, nullptr, kCheck},
                                 {"engine", required_argument, nullptr, kEngine},
                                 {"placement", required_argument, nullptr, kPlacement},
                                 {"count", no_argument, nullptr, kCount},
                                 {"profile", required_argument, nullptr, kProfile},
                                 {"memory", required_argument, nullptr, kMemory},
                                 {"stack", required_argument, nullptr, kStack},
                                 {"max-instructions", required_argument, nullptr, kMaxInstructions},
                                 {"stats", no_argument, nullptr, kStats},
                                 {"json", no_argument, nullptr, kJson},
                                 {"help", no_argument, nullptr, kHelp},
                                 {}};
  CommandLine line;
  line.options.placement = vx::Placement::kExclusive;
  vx::Limits& limits = line.options.limits;
  opterr = 0;
  int chosen;
  // "+" stops at GUEST: what follows is the guest's own. ":" tells missing arguments apart.
  while ((chosen = getopt_long(argc, argv, "+:", kOptions, nullptr)) != -1) {
    switch (chosen) {
      case kCheck:
        line.check = true;
        break;
      case kEngine: {
        const absl::StatusOr<vx::Engine> engine = vx::ParseEngine(optarg);
        if (!engine.ok()) return engine.status();
        line.options.engine = *engine;
        break;
      }
      case kPlacement: {
        const absl::StatusOr<vx::Placement> placement = vx::ParsePlacement(optarg);
        if (!placement.ok()) return placement.status();
        line.options.placement = *placement;
        break;
      }
      case kCount:
        line.options.count_instructions = true;
        break;
      case kProfile: {
        const absl::StatusOr<vx::Profile> profile = vx::ParseProfile(optarg);
        if (!profile.ok()) return profile.status();
        line.options.profile = *profile;
        line.profile_given = true;
        break;
      }
      case kMemory:
        if (absl::Status s = SetLimit("memory", true, &limits.memory); !s.ok()) return s;
        break;
      case kStack:
        if (absl::Status s = SetLimit("stack", true, &limits.stack); !s.ok()) return s;
        break;
      case kMaxInstructions:
        if (absl::Status s = SetLimit("max-instructions", false, &limits.instructions); !s.ok()) {
          return s;
        }
        break;
      case kStats:
        line.stats = true;
        break;
      case kJson:
        line.json = true;
        break;
      case kHelp:
        line.help = true;
        return line;
      default:
        return absl::InvalidArgumentError(
            absl::StrFormat("%s: %s; vxrun --help lists the options", argv[optind - 1],
                            chosen == ':' ? "needs a value" : "unknown or misused option"));
    }
  }
  if (optind == argc) return absl::InvalidArgumentError("no GUEST given; see vxrun --help");
  line.guest = argv[optind];
  if (line.check) {
    if (absl::Status s = ParseCheck(argc, argv, &line); !s.ok()) return s;
    return line;
  }
  line.options.arguments.assign(argv + optind + 1, argv + argc);
  return line;
}

// Where one of descriptors 0 to 2 is closed, the guest's file must not take its place: this puts
// there what can't be read (0) or written (1, 2).
void FillStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

int ExitStatus(const vx::Outcome& outcome) {
  if (outcome.end != vx::Outcome::End::kExited) return kFailed;
  const int low = static_cast<int>(outcome.exit_status & 0xff);
  if (outcome.exit_status != 0 && low == 0) return 1;
  return low == kFailed ? kFailed - 1 : low;
}

int Check(const CommandLine& line, std::string_view elf,
          const std::shared_ptr<const vx::Program>& program) {
  const absl::StatusOr<std::string> input = ReadFile(line.input);
  if (!input.ok()) return Fail(absl::StrCat(input.status().message()));
  absl::StatusOr<std::string> expected;
  if (line.expected != nullptr) {
    expected = ReadFile(line.expected);
    if (!expected.ok()) return Fail(absl::StrCat(expected.status().message()));
  }
  vx::CheckRequest request = {
      .elf = elf, .program = program, .input = *input, .options = line.options};
  if (line.expected != nullptr) request.expected = *expected;
  if (line.profile_given) request.profile = line.options.profile;
  const vx::CheckReport report = vx::CheckGuest(request, vx::WaysOfThisHost());
  const bool written = std::fputs(report.text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  if (!written) return Fail("standard output can't be written");
  return report.good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  vx::PrefaultHeap();
  FillStandardDescriptors();
  signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<CommandLine> line = ParseCommandLine(argc, argv);
  if (!line.ok()) return Fail(absl::StrCat(line.status().message()));
  if (line->help) return std::fputs(kUsage, stdout) < 0 || std::fflush(stdout) != 0 ? kFailed : 0;

  const absl::StatusOr<std::string> elf = ReadFile(line->guest);
  if (!elf.ok()) return Fail(absl::StrCat(elf.status().message()));
  const absl::StatusOr<std::shared_ptr<const vx::Program>> program = vx::Program::Load(*elf);
  if (!program.ok()) {
    return Fail(absl::StrCat(line->guest, ": ", program.status().message()));
  }
  if (line->check) return Check(*line, *elf, *program);
  absl::StatusOr<std::unique_ptr<vx::Sandbox>> sandbox =
      vx::Sandbox::Create(*program, std::move(line->options));
  if (!sandbox.ok()) {
    return Fail(absl::StrCat(line->guest, ": ", sandbox.status().message()));
  }

  StandardIo io;
  const auto start = std::chrono::steady_clock::now();
  const vx::Outcome outcome = (*sandbox)->Run(io);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (outcome.end != vx::Outcome::End::kExited) {
    absl::FPrintF(stderr, "%s\n", vx::Describe(outcome, **program));
  }
  if (line->stats) {
    const vx::Counters& counters = outcome.counters;
    absl::FPrintF(stderr,
                  "vxrun: %d instructions, %d bytes in, %d bytes out, %d KiB of memory, %.3f s\n",
                  counters.instructions, counters.bytes_in, counters.bytes_out,
                  counters.peak_memory / 1024, seconds.count());
    if ((*sandbox)->engine() == vx::Engine::kTranslator) {
      const vx::Sandbox::TranslationCost cost = (*sandbox)->translation_cost();
      absl::FPrintF(stderr, "vxrun: %s placement, translated %d instructions in %.6f s\n",
                    vx::Name((*sandbox)->placement()), cost.instructions,
                    std::chrono::duration<double>(cost.time).count());
    }
  }
  if (line->json) absl::FPrintF(stderr, "%s\n", vx::ToJson(outcome));
  return ExitStatus(outcome);
}
