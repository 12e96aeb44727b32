#include "vxengine/conformance/fp_guest.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/conformance/checker.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/testing/guest_code.h"
#include "vxengine/testing/run_elf.h"

namespace vx::conformance {
namespace {

using ::vx::testing::Bytes;
using ::vx::testing::Imm32;

constexpr uint32_t kDriver = 0x5d000000, kDriverCode = 0x5d200000;  // the case's code
constexpr uint32_t kBuffers = 0x5d600000;

// What the guest reads: an FXSAVE image, EAX, ECX, EFLAGS, padding, the operands' area.
constexpr uint32_t kIn = kBuffers, kInEax = 512, kInEcx = 516, kInEflags = 520, kInArea = 528;
constexpr uint32_t kInSize = kInArea + kFpAreaSize;

// What it writes: an FXSAVE image, an environment, EAX, ECX, EFLAGS; then the area.
constexpr uint32_t kOut = kBuffers + 0x1000, kOutEnvironment = 512, kOutEax = 544, kOutEcx = 548,
                   kOutEflags = 552, kOutState = 556;
constexpr size_t kOutSize = kOutState + kFpAreaSize;

constexpr uint64_t kInstructionsPerCase = 10'000;  // most of them copy the area

std::string Jump(uint32_t from, uint32_t to) { return Bytes({0xe9}) + Imm32(to - (from + 5)); }

// Until the input ends: reads a case, runs it, writes what it left.
std::string DriverCode(uint32_t* back) {
  std::string code = testing::Call(VX_CALL_READ, VX_FD_INPUT, kIn, kInSize);
  code += Bytes({0x85, 0xc0, 0x75, 12}) + testing::Exit(0);  // test eax, eax; jnz over the exit
  code += testing::Mov(kEsi, kIn + kInArea) + testing::Mov(kEdi, kFpArea) +
          testing::Mov(kEcx, kFpAreaSize / 4) + Bytes({0xf3, 0xa5});     // rep movsd
  code += Bytes({0x0f, 0xae, 0x0d}) + Imm32(kIn);                        // fxrstor [in]
  code += Bytes({0xff, 0x35}) + Imm32(kIn + kInEflags) + Bytes({0x9d});  // push; popfd
  code += Bytes({0x8b, 0x0d}) + Imm32(kIn + kInEcx);                     // mov ecx
  code += Bytes({0x8b, 0x05}) + Imm32(kIn + kInEax);                     // mov eax
  code += Jump(kDriver + code.size(), kDriverCode);
  *back = kDriver + code.size();
  code += Bytes({0x89, 0x05}) + Imm32(kOut + kOutEax);
  code += Bytes({0x89, 0x0d}) + Imm32(kOut + kOutEcx);
  code += Bytes({0x9c, 0x8f, 0x05}) + Imm32(kOut + kOutEflags);  // pushfd; pop
  code += Bytes({0x0f, 0xae, 0x05}) + Imm32(kOut);               // fxsave
  code += Bytes({0xd9, 0x35}) + Imm32(kOut + kOutEnvironment);   // fnstenv
  code += testing::Write(VX_FD_OUTPUT, kOut, kOutState);
  code += testing::Write(VX_FD_OUTPUT, kFpArea, kFpAreaSize);
  return code + Jump(kDriver + code.size(), kDriver);
}

std::string Record(const FpCase& test) {
  const FxImage image = ToFxImage(test.state);
  std::string record(image.begin(), image.end());
  for (uint32_t word : {test.state.eax, test.state.ecx, test.state.eflags, 0u}) {
    record += Imm32(word);
  }
  return record.append(test.area.begin(), test.area.end());
}

class CaseIo : public Io {
 public:
  explicit CaseIo(std::span<const FpCase> cases) : cases_(cases) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    if (at_ == record_.size()) {
      if (cases_.empty()) return 0;
      record_ = Record(cases_.front());
      cases_ = cases_.subspan(1);
      at_ = 0;
    }
    const size_t count = std::min(buffer.size(), record_.size() - at_);
    std::memcpy(buffer.data(), record_.data() + at_, count);
    at_ += count;
    return count;
  }

  absl::Status Write(int, std::span<const uint8_t> bytes) override {
    output.append(bytes.begin(), bytes.end());
    return absl::OkStatus();
  }

  std::string output;

 private:
  std::span<const FpCase> cases_;
  std::string record_;
  size_t at_ = 0;
};

FpResult Decode(const char* record, size_t code_size) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(record);
  FpResult result;
  FromFxImage(bytes, &result.state);
  std::memcpy(&result.state.x87.tag, bytes + kOutEnvironment + 8, 2);
  std::memcpy(&result.state.eax, bytes + kOutEax, 4);
  std::memcpy(&result.state.ecx, bytes + kOutEcx, 4);
  std::memcpy(&result.state.eflags, bytes + kOutEflags, 4);
  result.offset = static_cast<uint32_t>(code_size);
  result.area.assign(bytes + kOutState, bytes + kOutSize);
  return result;
}

FpResult Decode(const Outcome& outcome, size_t code_size) {
  FpResult result;
  const Registers& registers = outcome.registers;
  result.state = {.x87 = registers.x87,
                  .xmm = registers.xmm,
                  .mxcsr = registers.mxcsr,
                  .eax = registers.gpr[kEax],
                  .ecx = registers.gpr[kEcx],
                  .eflags = registers.eflags};
  result.offset = registers.eip - kDriverCode;
  result.valid_flags = outcome.valid_flags;
  result.trap = outcome.trap;
  if (outcome.end != Outcome::End::kTrapped) {
    result.failure = absl::StrFormat("ended (%d) at eip %#x: %s", static_cast<int>(outcome.end),
                                     registers.eip, outcome.host_error);
  } else if (result.offset >= code_size) {
    result.failure = absl::StrFormat("trapped (%s) at eip %#x, outside of the code",
                                     Name(outcome.trap.cause), registers.eip);
  }
  return result;
}

FpResult Failed(std::string why) {
  FpResult result;
  result.failure = std::move(why);
  return result;
}

}  // namespace

std::vector<FpResult> RunInGuest(Engine engine, std::span<const FpCase> cases) {
  std::vector<FpResult> results;
  if (cases.empty()) return results;
  std::string code(cases[0].code.begin(), cases[0].code.end());
  const size_t code_size = code.size();
  uint32_t back;
  const std::string driver = DriverCode(&back);
  code += Jump(kDriverCode + code_size, back);
  const std::string elf =
      testing::BuildElf({.entry = kDriver,
                         .segments = {{kDriver, driver, 0, testing::kElfR | testing::kElfX},
                                      {kDriverCode, code, 0, testing::kElfR | testing::kElfX},
                                      {kFpPage, "", kFpPageSize, testing::kElfR | testing::kElfW},
                                      {kBuffers, "", 0x2000, testing::kElfR | testing::kElfW}},
                         .symbols = {}});
  while (results.size() < cases.size()) {
    const std::span<const FpCase> rest = cases.subspan(results.size());
    Options options;
    options.engine = engine;
    options.placement = TheSettings().placement;
    options.limits.instructions = rest.size() * kInstructionsPerCase;
    options.limits.stack = VX_STACK_MIN;
    CaseIo io(rest);
    const absl::StatusOr<Outcome> outcome = testing::RunElf(elf, options, io);
    if (!outcome.ok()) {
      results.resize(cases.size(), Failed(outcome.status().ToString()));
      break;
    }
    for (size_t at = 0; at + kOutSize <= io.output.size(); at += kOutSize) {
      results.push_back(Decode(io.output.data() + at, code_size));
    }
    if (results.size() < cases.size()) results.push_back(Decode(*outcome, code_size));
  }
  return results;
}

}  // namespace vx::conformance
