#include "vxengine/check_guest.h"

#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/note_text.h"

namespace vx {
namespace {

// Of a run, where no smaller limit is given: so that what never ends does, and fits the host's
// memory.
constexpr uint64_t kMostInstructions = 100'000'000'000, kMostOutput = uint64_t{1} << 30;
// Bad input may take so many times the good one's instructions and bytes of output, and these.
constexpr uint64_t kBadFactor = 10, kBadInstructions = 100'000'000, kBadOutput = 16 << 20;

class StringIo final : public Io {
 public:
  StringIo(std::string_view input, CheckedRun* run) : input_(input), run_(run) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    const size_t count = input_.copy(reinterpret_cast<char*>(buffer.data()), buffer.size());
    input_.remove_prefix(count);
    return count;
  }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    (fd == VX_FD_OUTPUT ? run_->output : run_->diagnostics).append(bytes.begin(), bytes.end());
    return absl::OkStatus();
  }

 private:
  std::string_view input_;
  CheckedRun* run_;
};

Way MakeWay(Engine engine, Placement placement) {
  std::string name(Name(engine));
  if (engine == Engine::kTranslator) name.append(", ").append(Name(placement));
  auto run = [engine, placement](const std::shared_ptr<const Program>& program, Options options,
                                 std::string_view input) -> absl::StatusOr<CheckedRun> {
    options.engine = engine;
    options.placement = placement;
    absl::StatusOr<std::unique_ptr<Sandbox>> sandbox = Sandbox::Create(program, std::move(options));
    if (!sandbox.ok()) return sandbox.status();
    if (engine == Engine::kTranslator && (*sandbox)->placement() != placement) {
      return absl::UnavailableError("the host's low memory is taken");
    }
    CheckedRun run;
    StringIo io(input, &run);
    const auto start = std::chrono::steady_clock::now();
    run.outcome = (*sandbox)->Run(io);
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return run;
  };
  return {std::move(name), std::move(run)};
}

// Printable ASCII as it is, the rest as \xNN: nothing of a guest's steers a terminal.
std::string Printable(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      printable += c;
    } else {
      absl::StrAppendFormat(&printable, "\\x%02x", static_cast<uint8_t>(c));
    }
  }
  return printable;
}

// Its lines, made printable, that aren't empty.
std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!line.empty()) lines.push_back(Printable(line));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return lines;
}

// What differs between two runs that should be the same, or "".
std::string Difference(const CheckedRun& a, const CheckedRun& b, bool counted) {
  const Outcome &x = a.outcome, &y = b.outcome;
  if (x.end != y.end || x.exit_status != y.exit_status || !(x.trap == y.trap)) return "the end";
  if (a.output != b.output) {
    const size_t at =
        std::mismatch(a.output.begin(), a.output.end(), b.output.begin(), b.output.end()).first -
        a.output.begin();
    return absl::StrCat("the output, from byte ", at, " on");
  }
  if (a.diagnostics != b.diagnostics) return "the diagnostics";
  const Registers &r = x.registers, &s = y.registers;
  const uint32_t flags = ~kStatusFlags | (x.valid_flags & y.valid_flags);
  if (r.gpr != s.gpr || r.eip != s.eip || ((r.eflags ^ s.eflags) & flags) != 0 ||
      !(r.x87 == s.x87) || r.xmm != s.xmm || r.mxcsr != s.mxcsr) {
    return "the registers at the end";
  }
  if (x.counters.bytes_in != y.counters.bytes_in) return "how much input it read";
  if (x.counters.peak_memory != y.counters.peak_memory) return "the memory it took";
  if (counted && x.counters.instructions != y.counters.instructions) {
    return absl::StrCat("the number of instructions, ", x.counters.instructions, " and ",
                        y.counters.instructions);
  }
  return "";
}

class Check {
 public:
  Check(const CheckRequest& request, const std::vector<Way>& ways)
      : request_(request), ways_(ways), options_(request.options) {}

  CheckReport Run() {
    DescribeImage();
    if (FirstRun()) {
      InEveryWay();
      Judge();
      OnBadInput();
    }
    for (const std::string& line : advice_) absl::StrAppend(&text_, "advice: ", line, "\n");
    for (const std::string& line : faults_) absl::StrAppend(&text_, "WRONG: ", line, "\n");
    absl::StrAppend(&text_, faults_.empty() ? "good\n" : "not good\n");
    return {std::move(text_), faults_.empty()};
  }

 private:
  void DescribeImage() {
    uLongf size = compressBound(request_.elf.size());
    std::string deflated(size, '\0');
    const int result = compress2(reinterpret_cast<Bytef*>(deflated.data()), &size,
                                 reinterpret_cast<const Bytef*>(request_.elf.data()),
                                 request_.elf.size(), Z_BEST_COMPRESSION);
    absl::StrAppend(&text_, "image: ", request_.elf.size(), " bytes");
    if (result == Z_OK) absl::StrAppend(&text_, ", ", size, " deflated");
    absl::StrAppend(&text_, "\n");
    const std::vector<std::string> lines = Lines(NoteText(request_.elf));
    for (const std::string& line : lines) absl::StrAppend(&text_, "note: ", line, "\n");
    if (lines.empty()) advice_.push_back("it has no note that says what it is (VX_NOTE)");
  }

  // Counted, in the first way; settles the profile.
  bool FirstRun() {
    options_.count_instructions = true;
    Limits& limits = options_.limits;
    if (limits.instructions == kUnlimited) limits.instructions = kMostInstructions;
    limits.output = std::min(limits.output, kMostOutput);
    options_.profile = request_.profile.value_or(Profile::kVx2026Int);
    if (!RunFirst()) return false;
    const Outcome& outcome = first_.outcome;
    if (!request_.profile && outcome.end == Outcome::End::kTrapped &&
        outcome.trap.cause == TrapCause::kInvalidOpcode) {
      options_.profile = Profile::kVx2026;
      if (!RunFirst()) return false;
    }
    absl::StrAppend(&text_, "profile: ", std::string(Name(options_.profile)),
                    request_.profile ? "\n" : ", the smallest that this input needs\n");
    return true;
  }

  bool RunFirst() {
    absl::StatusOr<CheckedRun> run = ways_[0].run(request_.program, options_, request_.input);
    if (!run.ok()) {
      faults_.push_back(absl::StrCat(ways_[0].name, ": ", run.status().message()));
      return false;
    }
    first_ = *std::move(run);
    return true;
  }

  // Twice each: uncounted, which is how decodes run, and counted, to be compared.
  void InEveryWay() {
    Options uncounted = options_;
    if (first_.outcome.end == Outcome::End::kExited) {
      uncounted.count_instructions = false;
      uncounted.limits.instructions = request_.options.limits.instructions;
    }
    for (const Way& way : ways_) {
      double seconds = 0;
      for (const bool counted : {false, true}) {
        absl::StatusOr<CheckedRun> run =
            way.run(request_.program, counted ? options_ : uncounted, request_.input);
        if (absl::IsUnavailable(run.status())) {
          absl::StrAppend(&text_, way.name, ": not tried: ", run.status().message(), "\n");
          break;
        }
        if (!run.ok()) {
          faults_.push_back(absl::StrCat(way.name, ": ", run.status().message()));
          break;
        }
        const std::string difference = Difference(first_, *run, counted);
        if (!difference.empty()) {
          faults_.push_back(absl::StrCat(way.name, counted ? ", counting" : "", ": ", difference,
                                         ": not the same as at first (", ways_[0].name, ")"));
        }
        if (!counted) seconds = run->seconds;
        if (counted) {
          absl::StrAppendFormat(&text_, "%s: 2 runs, %.3f s\n", way.name, seconds);
        }
      }
    }
  }

  void Judge() {
    const Outcome& outcome = first_.outcome;
    const Counters& counters = outcome.counters;
    absl::StrAppend(&text_, "cost: ", counters.instructions, " instructions, ",
                    counters.peak_memory / 1024, " KiB of memory, ", counters.bytes_in,
                    " bytes in, ", counters.bytes_out, " bytes out\n");
    for (const std::string& line : Lines(first_.diagnostics)) {
      absl::StrAppend(&text_, "diagnostics: ", line, "\n");
    }
    if (outcome.end != Outcome::End::kExited) {
      faults_.push_back(Printable(Describe(outcome, *request_.program)));
    } else if (outcome.exit_status != 0) {
      faults_.push_back(absl::StrCat("exit status ", outcome.exit_status, ", which is no success"));
    }
    if (counters.bytes_in < request_.input.size()) {
      advice_.push_back(absl::StrCat("it never read the input's last ",
                                     request_.input.size() - counters.bytes_in, " bytes"));
    }
    if (!request_.expected) return;
    const std::string_view expected = *request_.expected;
    if (first_.output == expected) {
      absl::StrAppend(&text_, "output: as expected\n");
      return;
    }
    const size_t at =
        std::mismatch(first_.output.begin(), first_.output.end(), expected.begin(), expected.end())
            .first -
        first_.output.begin();
    faults_.push_back(absl::StrCat("the output (", first_.output.size(),
                                   " bytes) is not the expected (", expected.size(),
                                   "), from byte ", at, " on"));
  }

  void OnBadInput() {
    if (first_.outcome.end != Outcome::End::kExited || first_.outcome.exit_status != 0) return;
    const size_t size = request_.input.size();
    std::set<size_t> cuts = {0, 1, size / 3, size / 2, size - std::min<size_t>(size, 1)};
    cuts.erase(size);
    if (size == 0) cuts.clear();
    for (const size_t cut : cuts) {
      const std::string what = absl::StrCat("of the input's first ", cut, " bytes alone");
      const std::optional<uint32_t> status =
          EndOf(options_.arguments, request_.input.substr(0, cut), what);
      if (cut > 0 && status == 0u) {
        advice_.push_back(
            absl::StrCat("exit status 0 ", what, "; 1 would tell that the rest is missing"));
      }
    }
    std::vector<std::string> arguments = options_.arguments;
    arguments.push_back("--no-such-argument");
    const std::optional<uint32_t> status =
        EndOf(arguments, request_.input, "with the argument --no-such-argument");
    if (status && *status != 2) {
      advice_.push_back(absl::StrCat("exit status ", *status,
                                     " with the argument --no-such-argument; 2 would tell that "
                                     "it isn't known"));
    }
  }

  // The exit status; without one it is a fault.
  std::optional<uint32_t> EndOf(std::vector<std::string> arguments, std::string_view input,
                                const std::string& what) {
    Options options = options_;
    options.profile = request_.profile.value_or(Profile::kVx2026);  // the input's need not do
    options.arguments = std::move(arguments);
    const Counters& good = first_.outcome.counters;
    options.limits.instructions =
        std::min(options.limits.instructions, good.instructions * kBadFactor + kBadInstructions);
    options.limits.output =
        std::min(options.limits.output, good.bytes_out * kBadFactor + kBadOutput);
    const absl::StatusOr<CheckedRun> run = ways_[0].run(request_.program, options, input);
    if (!run.ok()) {
      faults_.push_back(absl::StrCat(what, ": ", run.status().message()));
      return std::nullopt;
    }
    if (run->outcome.end != Outcome::End::kExited) {
      faults_.push_back(
          absl::StrCat(what, ": ", Printable(Describe(run->outcome, *request_.program))));
      return std::nullopt;
    }
    return run->outcome.exit_status;
  }

  const CheckRequest& request_;
  const std::vector<Way>& ways_;
  Options options_;  // of counted runs
  CheckedRun first_;
  std::string text_;
  std::vector<std::string> advice_, faults_;
};

}  // namespace

std::vector<Way> WaysOfThisHost() {
  std::vector<Way> ways;
  if (kDefaultEngine == Engine::kTranslator) {
    ways.push_back(MakeWay(Engine::kTranslator, Placement::kShared));
    ways.push_back(MakeWay(Engine::kTranslator, Placement::kExclusive));
  }
  ways.push_back(MakeWay(Engine::kInterpreter, Placement::kShared));
  return ways;
}

CheckReport CheckGuest(const CheckRequest& request, const std::vector<Way>& ways) {
  return Check(request, ways).Run();
}

}  // namespace vx
