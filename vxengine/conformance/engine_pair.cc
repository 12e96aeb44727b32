#include "vxengine/conformance/engine_pair.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/machine/interpreter.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/translator/translated_cpu.h"

namespace vx::conformance {
namespace {

constexpr uint64_t kMostRun = 20'000;  // instructions, of a sequence without a limit of its own
// For one that ends within kMostRun, however slow the machine, and for one that doesn't.
constexpr std::chrono::seconds kEnough(10);
constexpr std::chrono::milliseconds kShort(5);

enum class Ending : uint8_t { kLimit, kTrap, kSystemCall, kStopped, kFailed };

Registers Start(const Sequence& sequence) {
  Registers registers;
  registers.gpr = sequence.state.gpr;
  registers.eflags = sequence.state.eflags;
  registers.xmm = sequence.state.xmm;
  registers.x87 = sequence.x87;
  registers.mxcsr = sequence.mxcsr;
  registers.eip = sequence.address;
  return registers;
}

std::vector<uint8_t> Data(const Memory& memory) {
  std::vector<uint8_t> data(kDataSize);
  uint32_t fault;
  memory.Read(kData, data, &fault);
  return data;
}

}  // namespace

struct EnginePair::End {
  Ending ending = Ending::kFailed;
  Trap trap;
  Registers registers;
  uint32_t valid_flags = kStatusFlags;
  uint64_t instructions = 0;
  std::vector<uint8_t> data;
  std::string error;
};

std::string Code(const Sequence& sequence) {
  std::string code;
  for (const Piece& piece : sequence.pieces) code.append(piece.begin(), piece.end());
  const uint32_t distance = kExit - (sequence.address + code.size() + 5);
  code += '\xe9';
  return code + testing::Imm32(distance);
}

EnginePair::EnginePair(std::span<const Sequence> sequences, Placement placement) {
  std::string code(kCodeSize, '\xcc');
  for (const Sequence& sequence : sequences) {
    const std::string bytes = Code(sequence);
    code.replace(sequence.address - kCode, bytes.size(), bytes);
  }
  using testing::kElfR, testing::kElfX;
  elf_ = testing::BuildElf(
      {.entry = kCode,
       .segments = {{kCode, code, 0, kElfR | kElfX}, {kExit, "\x0f\x0b", 0, kElfR | kElfX}},
       .symbols = {}});
  std::string error;
  const auto* const bytes = reinterpret_cast<const uint8_t*>(elf_.data());
  image_ = *ParseImage({bytes, elf_.size()}, &error);
  text_ = std::make_unique<GuestText>(image_);
  translations_ = std::make_unique<Translations>(text_.get());
  auto space =
      placement == Placement::kExclusive ? AddressSpace::Exclusive() : AddressSpace::Shared();
  if (!space.ok()) {
    std::fprintf(stderr, "%s\n", space.status().ToString().c_str());
    std::abort();
  }
  space_ = *std::move(space);
  translated_ = MakeMemory(space_.get());
  interpreted_ = MakeMemory(nullptr);
  background_ = InitialData(Case{});
}

EnginePair::End EnginePair::Interpret(const Sequence& sequence) {
  interpreted_->Initialize(kData, background_);
  End end{.registers = Start(sequence)};
  Interpreter interpreter(interpreted_.get(), &end.registers, Profile::kVx2026);
  const auto stop = interpreter.Run(sequence.limit != 0 ? sequence.limit : kMostRun);
  end.ending = stop == Interpreter::Stop::kBudget ? Ending::kLimit
               : stop == Interpreter::Stop::kTrap ? Ending::kTrap
                                                  : Ending::kSystemCall;
  if (end.ending == Ending::kTrap) end.trap = interpreter.trap();
  end.instructions = interpreter.instructions();
  end.data = Data(*interpreted_);
  return end;
}

EnginePair::End EnginePair::Translate(const Sequence& sequence, std::chrono::nanoseconds cpu_time) {
  translated_->Initialize(kData, background_);
  End end;
  auto cpu = TranslatedCpu::Create(translations_.get(), space_.get(), translated_.get(),
                                   Profile::kVx2026, sequence.limit != 0);
  if (!cpu.ok()) {
    end.error = cpu.status().ToString();
    return end;
  }
  (*cpu)->registers() = Start(sequence);
  TranslatedCpu::Stop stop = TranslatedCpu::Stop::kFailed;
  if ((*cpu)->Begin(cpu_time).ok()) stop = (*cpu)->Run(sequence.limit);
  (*cpu)->End();
  switch (stop) {
    case TranslatedCpu::Stop::kBudget:
      end.ending = Ending::kLimit;
      break;
    case TranslatedCpu::Stop::kSystemCall:
      end.ending = Ending::kSystemCall;
      break;
    case TranslatedCpu::Stop::kTrap:
      end.ending = Ending::kTrap;
      end.trap = (*cpu)->trap();
      break;
    case TranslatedCpu::Stop::kStopped:
      end.ending = Ending::kStopped;
      break;
    case TranslatedCpu::Stop::kFailed:
      end.error = (*cpu)->error().ToString();
      break;
  }
  end.registers = (*cpu)->registers();
  end.valid_flags = (*cpu)->valid_flags();
  end.instructions = (*cpu)->instructions();
  end.data = Data(*translated_);
  return end;
}

std::unique_ptr<Memory> EnginePair::MakeMemory(Memory::Backing* backing) const {
  auto memory = std::make_unique<Memory>(backing);
  for (const Segment& segment : image_.segments) {
    memory->Map(segment.first_page(), segment.end_page() - segment.first_page(),
                segment.permissions);
    memory->Initialize(segment.address, segment.bytes);
  }
  memory->Map(kData / Memory::kPageSize, kDataSize / Memory::kPageSize,
              Memory::kRead | Memory::kWrite);
  return memory;
}

std::string EnginePair::Name(const End& end) {
  constexpr const char* kEndings[] = {"limit", "trap", "system call", "CPU time", "failure"};
  std::string text = kEndings[static_cast<int>(end.ending)];
  if (end.ending == Ending::kTrap) {
    absl::StrAppendFormat(&text, " %s, access %d, at %#x", vx::Name(end.trap.cause),
                          static_cast<int>(end.trap.access), end.trap.address);
  }
  return absl::StrCat(text, end.error.empty() ? "" : ": ", end.error);
}

std::string EnginePair::Compare(const End& expected, const End& actual, bool counted) {
  std::string text;
  if (expected.ending != actual.ending ||
      (expected.ending == Ending::kTrap && expected.trap != actual.trap)) {
    absl::StrAppend(&text, "  end: expected ", Name(expected), ", got ", Name(actual), "\n");
  }
  if (counted && expected.instructions != actual.instructions) {
    absl::StrAppend(&text, "  instructions: expected ", expected.instructions, ", got ",
                    actual.instructions, "\n");
  }
  const auto result = [](const End& end) {
    return Result{.state = {.gpr = end.registers.gpr,
                            .eflags = end.registers.eflags,
                            .eip = end.registers.eip,
                            .xmm = end.registers.xmm},
                  .trap = {},
                  .valid_flags = end.valid_flags,
                  .failure = {},
                  .data = end.data};
  };
  absl::StrAppend(&text, Difference(result(expected), result(actual)));
  if (expected.registers.mxcsr != actual.registers.mxcsr) absl::StrAppend(&text, "  MXCSR\n");
  if (expected.registers.x87 != actual.registers.x87) absl::StrAppend(&text, "  x87\n");
  return text;
}

std::string EnginePair::Disagreement(const Sequence& sequence, bool judge_endless, bool* unjudged) {
  *unjudged = false;
  const End expected = Interpret(sequence);
  if (sequence.limit != 0 || expected.ending != Ending::kLimit) {
    return Compare(expected, Translate(sequence, kEnough), sequence.limit != 0);
  }
  if (!judge_endless) return "";
  const End actual = Translate(sequence, kShort);
  if (actual.ending == Ending::kStopped && !text_->Fetch(actual.registers.eip, 1).empty())
    return "";
  // Slow to get there, but it came to the same.
  *unjudged = actual.ending == Ending::kTrap || actual.ending == Ending::kSystemCall;
  if (*unjudged) return "";
  return absl::StrFormat("  end: expected CPU time, got %s at eip %#x\n", Name(actual),
                         actual.registers.eip);
}

}  // namespace vx::conformance
