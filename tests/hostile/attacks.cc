#include "tests/hostile/attacks.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/testing/guest_code.h"

namespace vx::hostile {
namespace {

using testing::Bytes;
using testing::Imm32;

constexpr uint32_t kCommand = kReadOnly + 0x2000;  // a page
constexpr uint32_t kCommandSize = 9 * 4;

// Reads the command, loads the registers and jumps.
std::string Dispatcher() {
  std::string code = testing::Call(VX_CALL_READ, 0, kCommand, kCommandSize);
  for (uint8_t gpr = 0; gpr < 8; ++gpr) {
    code += Bytes({0x8b, static_cast<uint8_t>(gpr << 3 | 5)}) + Imm32(kCommand + 4u * gpr);
  }
  return code + Bytes({0xff, 0x25}) + Imm32(kCommand + 32);
}

std::string Command(uint32_t eip, const std::map<Gpr, uint32_t>& gprs) {
  std::string command;
  for (uint8_t n = 0; n < 8; ++n) {
    const auto gpr = gprs.find(static_cast<Gpr>(n));
    command += Imm32(gpr != gprs.end() ? gpr->second : n == kEsp ? kStack : 0);
  }
  return command + Imm32(eip);
}

}  // namespace

TableBuilder::TableBuilder(bool has_high_page) : has_high_page_(has_high_page) {
  Code(Dispatcher());
  copy_ = Code(testing::Copy());
}

uint32_t TableBuilder::Code(const std::string& bytes) {
  const auto [place, is_new] =
      places_.try_emplace(bytes, testing::kCodeAddress + static_cast<uint32_t>(code_.size()));
  if (is_new) {
    // So that no attack runs into the next one's code.
    code_ += bytes + std::string(16 - bytes.size() % 16, '\xf4');
  }
  return place->second;
}

Attack& TableBuilder::Add(std::string name, uint32_t eip, const std::map<Gpr, uint32_t>& gprs,
                          std::string expected) {
  table_.attacks.push_back({.name = std::move(name),
                            .input = Command(eip, gprs),
                            .expected = std::move(expected),
                            .output = "",
                            .limits = {}});
  return table_.attacks.back();
}

Table TableBuilder::Finish() {
  using testing::kElfR, testing::kElfW, testing::kElfX;
  testing::ElfSpec spec = {.entry = testing::kCodeAddress,
                           .segments = {{testing::kCodeAddress, code_, 0, kElfR | kElfX},
                                        {kData, "", testing::kDataSize, kElfR | kElfW},
                                        {kReadOnly, "", VX_PAGE_SIZE, kElfR},
                                        {kCommand, "", VX_PAGE_SIZE, kElfR | kElfW}},
                           .symbols = {}};
  if (has_high_page_) spec.segments.push_back({kHigh, "", VX_PAGE_SIZE, kElfR | kElfW});
  table_.elf = testing::BuildElf(spec);
  table_.copy = Command(copy_, {});
  return std::move(table_);
}

bool TableBuilder::FindFault(uint32_t address, uint32_t size, Access access,
                             uint32_t* fault) const {
  struct Range {
    uint32_t begin, end;
    bool writable, executable;
  };
  const uint32_t code_end =
      (testing::kCodeAddress + static_cast<uint32_t>(code_.size()) + 0xfff) & ~uint32_t{0xfff};
  const Range ranges[] = {{kStackLow, testing::kCodeAddress, true, false},
                          {testing::kCodeAddress, code_end, false, true},
                          {kData, kDataEnd, true, false},
                          {kReadOnly, kReadOnly + VX_PAGE_SIZE, false, false},
                          {kCommand, kCommand + VX_PAGE_SIZE, true, false},
                          {kHigh, has_high_page_ ? kHigh + VX_PAGE_SIZE : kHigh, true, false}};
  for (uint32_t n = 0; n < size; ++n) {
    const uint32_t at = address + n;
    bool may = false;
    for (const Range& range : ranges) {
      if (at < range.begin || at >= range.end) continue;
      may =
          access == Access::kRead || (access == Access::kWrite ? range.writable : range.executable);
    }
    if (may) continue;
    *fault = at;
    return true;
  }
  return false;
}

std::string Exits(uint32_t status) { return absl::StrCat("exit status ", status); }

std::string Traps(TrapCause cause, uint32_t eip) {
  return absl::StrFormat("trap: %s at eip 0x%08x", Name(cause), eip);
}

std::string Faults(Access access, uint32_t address, uint32_t eip) {
  const char* const verb = access == Access::kRead    ? "reading"
                           : access == Access::kWrite ? "writing"
                                                      : "fetching";
  return absl::StrFormat("trap: page fault %s 0x%08x at eip 0x%08x", verb, address, eip);
}

}  // namespace vx::hostile
