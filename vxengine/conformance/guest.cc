#include "vxengine/conformance/guest.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vxengine/conformance/checker.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/run_elf.h"
#include "vxengine/testing/string_io.h"

namespace vx::conformance {
namespace {

using ::vx::testing::AppendLe;
using ::vx::testing::ElfSegment;
using ::vx::testing::kElfR;
using ::vx::testing::kElfW;
using ::vx::testing::kElfX;

// The driver's own segments, where wild pointers made from the tests' addresses are unlikely to
// lead. The stack, below the driver, is as small as can be for the same reason.
constexpr uint32_t kDriver = 0x2b5d1000;       // code, then what it reads
constexpr uint32_t kDriverSize = 0x40000;      // at most
constexpr uint32_t kSaved = 0x6d3a7000;        // one record
constexpr uint32_t kNextStart = 0x6d3a7100;    // where the next case starts
constexpr uint32_t kDriverStack = 0x6d3a7f00;  // its top
constexpr uint32_t kDriverDataSize = 0x1000;

// A record: general registers, EFLAGS, padding, XMM.
constexpr uint32_t kSavedFlags = 32, kSavedXmm = 48, kSavedSize = kSavedXmm + 8 * 16;
constexpr size_t kRecordSize = kSavedSize + kDataSize;

// Enough for every case and its driver code; a case that loops is stopped.
constexpr uint64_t kInstructionsPerCase = 1'000'000;
constexpr std::chrono::milliseconds kTimePerCase(200);

// Machine code, appended instruction by instruction.
class Emitter {
 public:
  explicit Emitter(uint32_t address) : address_(address) {}

  Emitter& Op(std::initializer_list<uint8_t> bytes) {
    code_.append(bytes.begin(), bytes.end());
    return *this;
  }
  Emitter& Word(uint32_t word) {
    AppendLe(&code_, word);
    return *this;
  }
  Emitter& Raw(const void* bytes, size_t size) {
    code_.append(static_cast<const char*>(bytes), size);
    return *this;
  }
  void MovGpr(int gpr, uint32_t value) { Op({static_cast<uint8_t>(0xb8 + gpr)}).Word(value); }
  void StoreWord(uint32_t address, uint32_t value) { Op({0xc7, 0x05}).Word(address).Word(value); }
  void Jmp(uint32_t target) { Op({0xe9}).Word(target - (here() + 4)); }
  void Syscall(uint32_t number, uint32_t a, uint32_t b, uint32_t c) {
    MovGpr(kEax, number);
    MovGpr(kEdx, a);
    MovGpr(kEcx, b);
    MovGpr(kEbx, c);
    Op({0x0f, 0x05});
  }
  uint32_t here() const { return address_ + code_.size(); }
  std::string& code() { return code_; }

 private:
  const uint32_t address_;
  std::string code_;
};

// Loads the state but for EIP, with a stack to push EFLAGS on. XMM values lie in the code: jumped
// over.
void EmitLoad(const State& state, bool xmm_is_zero, Emitter* emit) {
  const bool has_xmm =
      std::any_of(state.xmm.begin(), state.xmm.end(), [](const Xmm& xmm) { return xmm != Xmm{}; });
  if (has_xmm) {
    emit->Jmp(emit->here() + 5 + 8 * 16);
    const uint32_t values = emit->here();
    for (const Xmm& xmm : state.xmm) emit->Raw(xmm.lane.data(), 16);
    for (uint8_t i = 0; i < 8; ++i) {  // movdqu xmm, [values + 16 i]
      emit->Op({0xf3, 0x0f, 0x6f, static_cast<uint8_t>(0x05 | i << 3)}).Word(values + 16 * i);
    }
  } else if (!xmm_is_zero) {
    for (uint8_t i = 0; i < 8; ++i) {  // pxor xmm, xmm
      emit->Op({0x66, 0x0f, 0xef, static_cast<uint8_t>(0xc0 | i << 3 | i)});
    }
  }
  emit->Op({0x68}).Word(state.eflags).Op({0x9d});  // push; popfd
  for (int gpr = 0; gpr < 8; ++gpr) emit->MovGpr(gpr, state.gpr[gpr]);
}

// What is at ORACLE_EXIT: stores and writes the record, restores the data, goes on with the next
// case.
std::string SaveCode(uint32_t background) {
  Emitter emit(kExit);
  for (uint8_t gpr = 0; gpr < 8; ++gpr) {  // mov [saved], gpr
    emit.Op({0x89, static_cast<uint8_t>(0x05 | gpr << 3)}).Word(kSaved + 4 * gpr);
  }
  emit.MovGpr(kEsp, kDriverStack);
  emit.Op({0x9c, 0x8f, 0x05}).Word(kSaved + kSavedFlags);  // pushfd; pop dword [saved]
  for (uint8_t i = 0; i < 8; ++i) {                        // movdqu [saved], xmm
    emit.Op({0xf3, 0x0f, 0x7f, static_cast<uint8_t>(0x05 | i << 3)})
        .Word(kSaved + kSavedXmm + 16 * i);
  }
  emit.Op({0xfc});  // cld
  emit.Syscall(VX_CALL_WRITE, VX_FD_OUTPUT, kSaved, kSavedSize);
  emit.Syscall(VX_CALL_WRITE, VX_FD_OUTPUT, kData, kDataSize);
  emit.MovGpr(kEsi, background);
  emit.MovGpr(kEdi, kData);
  emit.MovGpr(kEcx, kDataSize / 4);
  emit.Op({0xf3, 0xa5});                   // rep movsd
  emit.Op({0xff, 0x25}).Word(kNextStart);  // jmp [next]
  return emit.code();
}

void EmitPatches(const Case& test, Emitter* emit) {
  for (const Patch& patch : test.patches) {
    for (size_t i = 0; i < patch.bytes.size(); ++i) {  // mov byte [address], value
      emit->Op({0xc6, 0x05}).Word(patch.address + i).Op({patch.bytes[i]});
    }
  }
}

std::string ToString(const std::vector<uint8_t>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

Outcome RunImage(Engine engine, Profile profile, std::vector<ElfSegment> segments, size_t cases,
                 Io* io) {
  const auto fail = [](const absl::Status& status) {
    Outcome outcome;
    outcome.end = Outcome::End::kHostFailed;
    outcome.host_error = status.ToString();
    return outcome;
  };
  Options options;
  options.engine = engine;
  options.placement = TheSettings().placement;
  options.profile = profile;
  if (TheSettings().count) {
    options.limits.instructions = cases * kInstructionsPerCase;
  } else {
    options.limits.cpu_time = cases * kTimePerCase;
  }
  options.limits.stack = VX_STACK_MIN;
  absl::StatusOr<Outcome> outcome = testing::RunElf(
      testing::BuildElf({.entry = kDriver, .segments = std::move(segments), .symbols = {}}),
      options, *io);
  return outcome.ok() ? *std::move(outcome) : fail(outcome.status());
}

Result DecodeOutcome(const Outcome& outcome) {
  Result result;
  result.state = {.gpr = outcome.registers.gpr,
                  .eflags = outcome.registers.eflags,
                  .eip = outcome.registers.eip,
                  .xmm = outcome.registers.xmm};
  result.valid_flags = outcome.valid_flags;
  switch (outcome.end) {
    case Outcome::End::kTrapped:
      if (outcome.trap.cause != TrapCause::kInvalidOpcode || result.state.eip != kExit) {
        result.trap = outcome.trap;
      }
      break;
    case Outcome::End::kLimited:
      result.failure = "did not end";
      break;
    case Outcome::End::kExited:
      result.failure = absl::StrCat("exited with status ", outcome.exit_status);
      break;
    default:
      result.failure = absl::StrCat("not run: ", outcome.host_error);
  }
  return result;
}

Result DecodeRecord(std::string_view record) {
  Result result;
  std::memcpy(result.state.gpr.data(), record.data(), 32);
  std::memcpy(&result.state.eflags, record.data() + kSavedFlags, 4);
  for (int i = 0; i < 8; ++i) {
    std::memcpy(result.state.xmm[i].lane.data(), record.data() + kSavedXmm + 16 * i, 16);
  }
  result.state.eip = kExit;
  result.data.assign(record.begin() + kSavedSize, record.end());
  return result;
}

// Runs the cases in one program; as many results as ran to their end before one did not.
std::vector<Result> RunUntilTrap(Engine engine, std::span<const Case> cases) {
  std::string code(kCodeSize, '\0');
  Emitter driver(kDriver);
  for (const Case& test : cases) {
    code.replace(test.code_address - kCode, test.code.size(), ToString(test.code));
    EmitPatches(test, &driver);
    const size_t next = driver.code().size() + 6;
    driver.StoreWord(kNextStart, 0);
    EmitLoad(test.state, false, &driver);
    driver.Jmp(test.state.eip);
    testing::PutLe(&driver.code(), next, driver.here(), 4);
  }
  driver.Syscall(VX_CALL_EXIT, 0, 0, 0);
  const std::string background = ToString(InitialData(Case{}));
  const uint32_t background_at = driver.here();
  driver.Raw(background.data(), background.size());

  testing::StringIo io;
  const std::string save = SaveCode(background_at);
  RunImage(engine, Profile::kVx2026,
           {{kDriver, driver.code(), 0, kElfR | kElfX},
            {kCode, code, 0, kElfR | kElfX},
            {kExit, save, 0, kElfR | kElfX},
            {kData, background, 0, kElfR | kElfW},
            {kSaved, "", kDriverDataSize, kElfR | kElfW}},
           cases.size(), &io);
  std::vector<Result> results;
  for (size_t at = 0; at + kRecordSize <= io.output.size(); at += kRecordSize) {
    results.push_back(DecodeRecord(std::string_view(io.output).substr(at, kRecordSize)));
  }
  return results;
}

}  // namespace

Result RunAlone(Engine engine, const Case& test, Profile profile) {
  Emitter driver(kDriver);
  EmitLoad(test.state, true, &driver);
  driver.Jmp(test.state.eip);
  std::string code(test.code_address - kCode, '\0');
  code += ToString(test.code);
  testing::StringIo io;
  return DecodeOutcome(RunImage(engine, profile,
                                {{kDriver, driver.code(), 0, kElfR | kElfX},
                                 {kCode, code, kCodeSize, kElfR | kElfX},
                                 {kExit, "\x0f\x0b", 0, kElfR | kElfX},
                                 {kData, ToString(InitialData(test)), 0, kElfR | kElfW}},
                                1, &io));
}

bool IsDriverMemory(uint32_t address) {
  return address - (kDriver - VX_STACK_MIN) < VX_STACK_MIN + kDriverSize ||
         address - kSaved < kDriverDataSize;
}

std::vector<Result> RunTogether(Engine engine, std::span<const Case> cases) {
  std::vector<Result> results;
  while (results.size() < cases.size()) {
    for (Result& result : RunUntilTrap(engine, cases.subspan(results.size()))) {
      results.push_back(std::move(result));
    }
    if (results.size() < cases.size()) results.push_back(RunAlone(engine, cases[results.size()]));
  }
  return results;
}

}  // namespace vx::conformance
