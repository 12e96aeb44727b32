#include "vxengine/conformance/lockstep.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "vxengine/conformance/case.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/machine/interpreter.h"
#include "vxengine/machine/symbols.h"
#include "vxengine/machine/system_calls.h"
#include "vxengine/testing/run_elf.h"
#include "vxengine/testing/string_io.h"
#include "vxengine/translator/address_space.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/translated_cpu.h"
#include "vxengine/translator/translation.h"

namespace vx::conformance {
namespace {

constexpr uint64_t kMostMemory = uint64_t{1} << 28;
constexpr uint32_t kMostInstruction = 15;  // bytes
constexpr uint32_t kStack = 1 << 18;       // small, because all of it is compared
constexpr uint32_t kStopsPerLook = 32;     // at memory

[[noreturn]] void Die(std::string_view what, const std::string& why) {
  std::fprintf(stderr, "lockstep: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               why.c_str());
  std::abort();
}

// A program as both engines have it.
struct Loaded {
  explicit Loaded(const LockstepProgram& from) : program(from) {
    std::string error;
    const std::span bytes(reinterpret_cast<const uint8_t*>(program.elf.data()), program.elf.size());
    std::optional<Image> parsed = ParseImage(bytes, &error);
    if (!parsed) Die("not a guest", error);
    image = *std::move(parsed);
    const std::optional<Layout> laid_out = LayOut(image, kMostMemory, kStack, &error);
    if (!laid_out) Die("layout", error);
    layout = *laid_out;
    text = std::make_unique<GuestText>(image);
    translations = std::make_unique<Translations>(text.get());
  }

  const LockstepProgram& program;
  Image image;
  Layout layout;
  std::unique_ptr<GuestText> text;
  std::unique_ptr<Translations> translations;
};

// A guest on one engine, with its input and output.
class Guest : private SystemCallHost {
 public:
  using Stop = Interpreter::Stop;

  Guest(const Loaded& loaded, Memory::Backing* backing)
      : memory_(backing),
        input_(loaded.program.input),
        calls_(&memory_, &registers_, this, loaded.layout, kUnlimited) {
    std::string error;
    if (!MapImage(loaded.image, loaded.layout, loaded.program.arguments, &memory_, &registers_,
                  &error)) {
      Die("arguments", error);
    }
  }

  // Until so many units are counted, or the guest has ended.
  void RunTo(uint64_t count) {
    while (!ended() && instructions_ < count) {
      switch (Advance(count - instructions_)) {
        case Stop::kBudget:
          break;
        case Stop::kTrap:
          trapped_ = true;
          break;
        case Stop::kSystemCall:
          if (calls_.Call() == SystemCalls::Result::kExit) exit_status_ = registers_.gpr[kEdx];
      }
    }
  }

  bool ended() const { return trapped_ || exit_status_.has_value(); }
  bool trapped() const { return trapped_; }
  std::optional<uint32_t> exit_status() const { return exit_status_; }
  const Trap& trap() const { return trap_; }
  const Registers& registers() const { return registers_; }
  uint32_t valid_flags() const { return valid_flags_; }
  uint64_t instructions() const { return instructions_; }
  const Memory& memory() const { return memory_; }
  const std::string& output() const { return output_; }

 protected:
  // Runs on, for at most so many units, and counts them.
  virtual Stop Advance(uint64_t budget) = 0;

  Memory memory_;
  Registers registers_;
  uint64_t instructions_ = 0;
  uint32_t valid_flags_ = kStatusFlags;
  Trap trap_;

 private:
  bool Read(std::span<uint8_t> buffer, size_t* count) override {
    *count = input_.copy(reinterpret_cast<char*>(buffer.data()), buffer.size());
    input_.remove_prefix(*count);
    return true;
  }
  bool Write(int, std::span<const uint8_t> bytes) override {
    output_.append(bytes.begin(), bytes.end());
    return true;
  }

  std::string_view input_;
  std::string output_;
  SystemCalls calls_;
  bool trapped_ = false;
  std::optional<uint32_t> exit_status_;
};

class InterpretedGuest final : public Guest {
 public:
  explicit InterpretedGuest(const Loaded& loaded)
      : Guest(loaded, nullptr), interpreter_(&memory_, &registers_, Profile::kVx2026) {}

  bool owes_unit() const { return interpreter_.owes_unit(); }

 private:
  Stop Advance(uint64_t budget) override {
    const Stop stop = interpreter_.Run(budget);
    instructions_ = interpreter_.instructions();
    if (stop == Stop::kTrap) trap_ = interpreter_.trap();
    return stop;
  }

  Interpreter interpreter_;
};

std::unique_ptr<AddressSpace> MakeSpace(Placement placement) {
  auto space =
      placement == Placement::kExclusive ? AddressSpace::Exclusive() : AddressSpace::Shared();
  if (!space.ok()) Die("address space", space.status().ToString());
  return *std::move(space);
}

class TranslatedGuest final : public Guest {
 public:
  TranslatedGuest(const Loaded& loaded, AddressSpace* space)
      : Guest(loaded, space), loaded_(loaded), space_(space) {}

  // Takes over what it need not know itself: flags that are dead, and that an instruction which it
  // would begin anew has been paid for but for its own unit.
  void Adopt(const InterpretedGuest& other) {
    registers_.eflags = (registers_.eflags & ~kStatusFlags) | (registers_.eflags & valid_flags_) |
                        (other.registers().eflags & kStatusFlags & ~valid_flags_);
    valid_flags_ = kStatusFlags;
    instructions_ += other.owes_unit();
  }

 private:
  Stop Advance(uint64_t budget) override {
    auto cpu = TranslatedCpu::Create(loaded_.translations.get(), space_, &memory_, Profile::kVx2026,
                                     /*counted=*/true);
    if (!cpu.ok()) Die("translator", cpu.status().ToString());
    (*cpu)->registers() = registers_;
    const absl::Status begun = (*cpu)->Begin(std::chrono::nanoseconds::max());
    if (!begun.ok()) Die("translator", begun.ToString());
    const TranslatedCpu::Stop stop = (*cpu)->Run(budget);
    (*cpu)->End();
    registers_ = (*cpu)->registers();
    instructions_ += (*cpu)->instructions();
    valid_flags_ = (*cpu)->valid_flags();
    switch (stop) {
      case TranslatedCpu::Stop::kBudget:
        return Stop::kBudget;
      case TranslatedCpu::Stop::kSystemCall:
        return Stop::kSystemCall;
      case TranslatedCpu::Stop::kTrap:
        trap_ = (*cpu)->trap();
        return Stop::kTrap;
      default:
        Die("translator", (*cpu)->error().ToString());
    }
  }

  const Loaded& loaded_;
  AddressSpace* const space_;
};

// --- Comparing ---

std::string End(const Guest& guest) {
  if (guest.exit_status()) return absl::StrCat("exited with ", *guest.exit_status());
  if (!guest.trapped()) return "runs on";
  return absl::StrFormat("trapped, cause %d, access %d, at %#x",
                         static_cast<int>(guest.trap().cause),
                         static_cast<int>(guest.trap().access), guest.trap().address);
}

std::string Text(const X87State& x87) {
  std::string text =
      absl::StrFormat("control %#x status %#x tags %#x", x87.control, x87.status, x87.tag);
  for (const X87Register& reg : x87.reg) {
    absl::StrAppendFormat(&text, " %04x:%016x", reg.sign_exponent, reg.significand);
  }
  return text;
}

// In all but the flags that aren't known.
std::string Difference(const Registers& want, const Registers& got,
                       uint32_t valid_flags = kStatusFlags) {
  const uint32_t unknown = kStatusFlags & ~valid_flags;
  Registers known = got;
  known.eflags = (got.eflags & ~unknown) | (want.eflags & unknown);
  if (known == want) return "";
  const auto result = [](const Registers& registers) {
    Result result;
    result.state = {.gpr = registers.gpr,
                    .eflags = registers.eflags,
                    .eip = registers.eip,
                    .xmm = registers.xmm};
    return result;
  };
  std::string text = Difference(result(want), result(known));
  if (want.mxcsr != got.mxcsr) {
    absl::StrAppendFormat(&text, "  mxcsr: expected %#x, got %#x\n", want.mxcsr, got.mxcsr);
  }
  if (want.x87 != got.x87) {
    absl::StrAppend(&text, "  x87: expected ", Text(want.x87), ", got ", Text(got.x87), "\n");
  }
  return text;
}

std::string RegisterDifference(const Guest& interpreted, const Guest& translated) {
  std::string text =
      Difference(interpreted.registers(), translated.registers(), translated.valid_flags());
  const auto differ = [&text](std::string_view what, const std::string& want,
                              const std::string& got) {
    if (want == got) return;
    absl::StrAppend(&text, "  ", absl::string_view(what.data(), what.size()), ": expected ", want,
                    ", got ", got, "\n");
  };
  differ("end", End(interpreted), End(translated));
  differ("instructions", absl::StrCat(interpreted.instructions()),
         absl::StrCat(translated.instructions()));
  return text;
}

std::string PageDifference(uint32_t page, const uint8_t* want, const uint8_t* got) {
  if (want == nullptr && got == nullptr) return "";
  const uint32_t start = page * Memory::kPageSize;
  if (want == nullptr || got == nullptr) {
    return absl::StrFormat("  the page at %#x is the %s's alone\n", start,
                           want == nullptr ? "translator" : "interpreter");
  }
  if (std::memcmp(want, got, Memory::kPageSize) == 0) return "";
  const auto at = std::mismatch(want, want + Memory::kPageSize, got);
  return absl::StrFormat("  memory at %#x: expected %#x, got %#x\n",
                         start + static_cast<uint32_t>(at.first - want), *at.first, *at.second);
}

// All that is mapped in either.
std::string MemoryDifference(const Loaded& loaded, const Guest& interpreted,
                             const Guest& translated) {
  const auto difference = [&](uint32_t first, uint32_t end, bool to_a_gap) -> std::string {
    for (uint32_t page = first; page < end; ++page) {
      const uint8_t* const want = interpreted.memory().ReadablePage(page, Memory::kRead);
      const uint8_t* const got = translated.memory().ReadablePage(page, Memory::kRead);
      if (to_a_gap && want == nullptr && got == nullptr) break;
      std::string text = PageDifference(page, want, got);
      if (!text.empty()) return text;
    }
    return "";
  };
  const Layout& layout = loaded.layout;
  std::string text = difference(layout.stack_begin / Memory::kPageSize,
                                layout.stack_end / Memory::kPageSize, false);
  for (const Segment& segment : loaded.image.segments) {
    text += difference(segment.first_page(), segment.end_page(), false);
  }
  text += difference(layout.initial_break / Memory::kPageSize,
                     layout.break_ceiling / Memory::kPageSize, true);
  if (interpreted.output() != translated.output()) text += "  output\n";
  return text;
}

// --- Running ---

// MOVS CMPS STOS LODS SCAS with F3 or F2.
bool IsRepeated(std::span<const uint8_t> code) {
  bool repeated = false;
  for (uint8_t byte : code) {
    if (byte == 0xf2 || byte == 0xf3) {
      repeated = true;
    } else if (byte != 0x66 && byte != 0x2e && byte != 0x3e) {
      return repeated && byte >= 0xa4 && byte <= 0xaf && (byte & 0xfe) != 0xa8;
    }
  }
  return false;
}

class Lockstep {
 public:
  Lockstep(const LockstepProgram& program, Placement placement, uint64_t seed)
      : loaded_(program), placement_(placement), seed_(seed) {}

  LockstepReport Run() {
    LockstepReport report;
    if (const std::optional<Stretch> differs = RunToEnd(&report)) {
      report.difference = Locate(*differs);
    }
    return report;
  }

 private:
  class Strides {
   public:
    Strides(uint64_t seed, uint32_t longest) : random_(seed), longest_(longest) {}

    // Of any order of magnitude.
    uint64_t Next() {
      const int bits = static_cast<int>(random_() % std::bit_width(longest_));
      return 1 + random_() % std::min(longest_, 2u << bits);
    }

   private:
    std::mt19937_64 random_;
    const uint32_t longest_;
  };

  // All is the same after `same` instructions, and not after `different`.
  struct Stretch {
    uint64_t same, different;
  };

  struct Pair {
    Pair(const Loaded& from, Placement placement)
        : loaded(from),
          space(MakeSpace(placement)),
          interpreted(from),
          translated(from, space.get()) {}

    void RunTo(uint64_t stop) {
      interpreted.RunTo(stop);
      translated.RunTo(stop);
    }

    std::string Difference(bool all) const {
      std::string text = RegisterDifference(interpreted, translated);
      if (all) text += MemoryDifference(loaded, interpreted, translated);
      return text;
    }

    const Loaded& loaded;
    std::unique_ptr<AddressSpace> space;
    InterpretedGuest interpreted;
    TranslatedGuest translated;
  };

  // To the end of the guests, or to where they differ.
  std::optional<Stretch> RunToEnd(LockstepReport* report) {
    Pair pair(loaded_, placement_);
    Strides strides(seed_, loaded_.program.longest_stride);
    uint64_t same = 0, stop = 0;
    while (!pair.interpreted.ended()) {
      stop += strides.Next();
      const uint32_t eip = pair.interpreted.registers().eip;
      pair.RunTo(stop);
      ++report->stops;
      report->stops_in_repeats += pair.interpreted.registers().eip == eip &&
                                  IsRepeated(loaded_.text->Fetch(eip, kMostInstruction));
      const bool all = report->stops % kStopsPerLook == 0 || pair.interpreted.ended();
      if (!pair.Difference(all).empty()) return Stretch{same, stop};
      if (all) same = stop;
      pair.translated.Adopt(pair.interpreted);
    }
    report->instructions = pair.interpreted.instructions();
    report->exit_status = pair.interpreted.exit_status();
    report->output = pair.interpreted.output();
    return std::nullopt;
  }

  // Both guests at `last`, by all the stops before it.
  std::unique_ptr<Pair> RunAgain(uint64_t last) {
    auto pair = std::make_unique<Pair>(loaded_, placement_);
    Strides strides(seed_, loaded_.program.longest_stride);
    for (uint64_t stop = strides.Next(); stop < last; stop += strides.Next()) {
      pair->RunTo(stop);
      pair->translated.Adopt(pair->interpreted);
    }
    pair->RunTo(last);
    return pair;
  }

  // Halves the stretch until it is one instruction. Guests are run again each time: what went wrong
  // may depend on where code was entered.
  std::string Locate(Stretch stretch) {
    while (stretch.different - stretch.same > 1) {
      const uint64_t middle = stretch.same + (stretch.different - stretch.same) / 2;
      const bool same = RunAgain(middle)->Difference(true).empty();
      (same ? stretch.same : stretch.different) = middle;
    }
    const uint32_t eip = RunAgain(stretch.same)->interpreted.registers().eip;
    const std::span<const uint8_t> code = loaded_.text->Fetch(eip, kMostInstruction);
    const std::span elf(reinterpret_cast<const uint8_t*>(loaded_.program.elf.data()),
                        loaded_.program.elf.size());
    return absl::StrFormat(
        "the same after %u instructions, not after the next one, at %#x (%s), %s\n%s", stretch.same,
        eip, SymbolizeAddress(elf, eip),
        absl::BytesToHexString(
            absl::string_view(reinterpret_cast<const char*>(code.data()), code.size())),
        RunAgain(stretch.different)->Difference(true));
  }

  const Loaded loaded_;
  const Placement placement_;
  const uint64_t seed_;
};

// --- Another host ---

struct Run {
  Outcome outcome;
  std::string output;
};

Run RunHere(const LockstepProgram& program, const Options& options) {
  const auto loaded = Program::Load(program.elf);
  if (!loaded.ok()) Die("guest", loaded.status().ToString());
  const auto sandbox = Sandbox::Create(*loaded, options);
  if (!sandbox.ok()) Die("guest", sandbox.status().ToString());
  testing::StringIo io(program.input);
  return {(*sandbox)->Run(io), io.output};
}

Run RunThere(const LockstepProgram& program, const Options& options) {
  testing::StringIo io(program.input);
  const auto outcome = testing::RunElf(program.elf, options, io);
  if (!outcome.ok()) Die("another host's machine", outcome.status().ToString());
  return {*outcome, io.output};
}

std::string Difference(const Run& here, const Run& there) {
  std::string text;
  const Outcome &want = here.outcome, &got = there.outcome;
  if (want.end != got.end || want.trap != got.trap || want.exit_status != got.exit_status) {
    text += "  end\n";
  }
  if (want.counters != got.counters) text += "  counters\n";
  if (here.output != there.output) text += "  output\n";
  return text + Difference(want.registers, got.registers);
}

}  // namespace

LockstepReport CompareWithMachine(const LockstepProgram& program, uint64_t seed) {
  constexpr uint32_t kStops = 6;
  Options options;
  options.engine = Engine::kInterpreter;
  options.arguments = program.arguments;
  options.count_instructions = true;
  const auto difference_at = [&](uint64_t limit) {
    options.limits.instructions = limit;
    return Difference(RunHere(program, options), RunThere(program, options));
  };
  const Run whole = RunHere(program, options);
  LockstepReport report = {.instructions = whole.outcome.counters.instructions,
                           .exit_status = whole.outcome.exit_status,
                           .output = whole.output};
  std::mt19937_64 random(seed);
  for (; report.stops < kStops && report.difference.empty(); ++report.stops) {
    const bool last = report.stops == kStops - 1;
    uint64_t different = last ? kUnlimited : 1 + random() % report.instructions;
    if (difference_at(different).empty()) continue;
    different = std::min(different, report.instructions);
    uint64_t same = 0;
    while (different - same > 1) {
      const uint64_t middle = same + (different - same) / 2;
      (difference_at(middle).empty() ? same : different) = middle;
    }
    options.limits.instructions = same;
    report.difference =
        absl::StrFormat("the same after %u instructions, at %#x, not after the next one\n%s", same,
                        RunHere(program, options).outcome.registers.eip, difference_at(different));
  }
  return report;
}

LockstepReport RunInLockstep(const LockstepProgram& program, Placement placement, uint64_t seed) {
  return Lockstep(program, placement, seed).Run();
}

}  // namespace vx::conformance
