#include "vxengine/conformance/qemu_differences.h"

#include <algorithm>
#include <optional>

namespace vx::conformance {
namespace {

// What qemu does, and what CPUs do instead.
struct QemuDifference {
  std::string_view qemu;
  Citation cpu;
};

constexpr QemuDifference kDifferences[] = {
    // 1
    {"LOCK is ignored where it isn't allowed",
     {"Instructions", "LOCK: where SDM allows it, with a memory operand; else #UD"}},
    // 2
    {"F6 /1 and F7 /1, TEST's other encoding, are #UD",
     {"Instructions", "`machine/opcodes.cc` is the list, opcode by opcode"}},
    // 3
    {"0F 18 /0 to /3 (PREFETCHh) with a register are #UD",
     {"Instructions", "0F 18 to 0F 1F with a ModRM are NOPs"}},
    // 4
    {"16-byte operands of some instructions needn't be aligned",
     {"Traps", "a 16-byte SSE operand, or FXSAVE's image, that isn't aligned"}},
    // 5
    {"CLFLUSH never faults", {"Instructions", "CLFLUSH reads a byte"}},
    // 6
    {"SETcc, RCL and RCR whose operand faults have spoilt the flags",
     {"Traps", "registers and memory are as before it"}},
    // 7
    {"an operand that is read and written is said to be read when it faults",
     {"Traps", "A read-modify-write is a write"}},
    // 8
    {"PUSHA and POPA don't begin with the first operand: the fault is another one's",
     {"Traps", "the faults come in the order of SDM's pseudo code"}},
    // 9
    {"ENTER doesn't try whether what the new ESP points at can be written",
     {"What manuals leave undefined", "what the new ESP points at must be writable"}},
    // 10
    {"RET's operand is taken for a signed number",
     {"Instructions", "the user-mode integer instructions of an i686"}},
};

using Code = std::vector<uint8_t>;

// An instruction as far as the tables below need it. Opcodes behind 0F are 0x0fXX.
struct Instruction {
  size_t start = 0, length = 0;
  size_t opcode_at = 0;  // of its last byte
  uint32_t opcode = 0;
  bool locked = false, word = false;
  std::optional<uint8_t> modrm;
  size_t immediate = 0;  // bytes

  bool has_memory() const { return modrm && *modrm < 0xc0; }
  int digit() const { return *modrm >> 3 & 7; }
};

bool IsPrefix(uint8_t byte) {
  constexpr uint8_t kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x66, 0xf0, 0xf2, 0xf3};
  return std::ranges::find(kPrefixes, byte) != std::end(kPrefixes);
}

// Intel SDM vol. 2, appendix A.2, for the opcodes of the tests.
bool HasModRm(uint32_t opcode) {
  const uint32_t low = opcode & 0xff;
  if (opcode > 0xff) {
    return low >= 0x10 && low != 0x31 && low != 0x77 && (low & 0xf0) != 0x80 && low != 0xa2 &&
           (low & 0xf8) != 0xc8;
  }
  if (low < 0x40) return (low & 7) < 4;
  if ((low & 0xf0) == 0x80 || (low & 0xfc) == 0xd0 || (low & 0xf6) == 0xf6) return true;
  constexpr uint8_t kOthers[] = {0x62, 0x69, 0x6b, 0xc0, 0xc1, 0xc6, 0xc7};
  return std::ranges::find(kOthers, low) != std::end(kOthers);
}

size_t ImmediateSize(const Instruction& at) {
  const uint32_t low = at.opcode & 0xff;
  const size_t v = at.word ? 2 : 4;
  if (at.opcode > 0xff) {
    constexpr uint8_t kBytes[] = {0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6};
    if ((low & 0xf0) == 0x80) return v;
    return std::ranges::find(kBytes, low) != std::end(kBytes) ? 1 : 0;
  }
  if (low < 0x40) return (low & 7) == 4 ? 1 : (low & 7) == 5 ? v : 0;
  if (low == 0xf6 || low == 0xf7) return at.digit() > 1 ? 0 : low == 0xf6 ? 1 : v;
  if ((low & 0xf0) == 0x70 || (low & 0xf8) == 0xb0 || (low & 0xfc) == 0xe0) return 1;
  if ((low & 0xf8) == 0xb8) return v;
  if ((low & 0xfc) == 0xa0) return 4;  // an address
  switch (low) {
    case 0x6a:
    case 0x6b:
    case 0x80:
    case 0x82:
    case 0x83:
    case 0xa8:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xcd:
    case 0xd4:
    case 0xd5:
    case 0xeb:
      return 1;
    case 0x68:
    case 0x69:
    case 0x81:
    case 0xa9:
    case 0xc7:
    case 0xe8:
    case 0xe9:
      return v;
    case 0xc2:
      return 2;
    case 0xc8:
      return 3;
    default:
      return 0;
  }
}

size_t AddressSize(uint8_t modrm, uint8_t sib) {
  const int mod = modrm >> 6, rm = modrm & 7;
  if (mod == 3) return 0;
  const bool has_sib = rm == 4;
  const bool word = mod == 2 || (mod == 0 && (rm == 5 || (has_sib && (sib & 7) == 5)));
  return has_sib + (word ? 4 : mod);
}

// The instruction at an offset in code; none where the code ends before it.
std::optional<Instruction> Decode(const Code& code, size_t start) {
  Instruction result;
  size_t at = result.start = start;
  for (; at < code.size() && IsPrefix(code[at]); ++at) {
    result.locked |= code[at] == 0xf0;
    result.word |= code[at] == 0x66;
  }
  if (at >= code.size()) return std::nullopt;
  result.opcode = code[at];
  if (result.opcode == 0x0f) {
    if (++at >= code.size()) return std::nullopt;
    result.opcode = 0x0f00 | code[at];
  }
  result.opcode_at = at++;
  if (HasModRm(result.opcode)) {
    if (at >= code.size()) return std::nullopt;
    result.modrm = code[at];
    at += 1 + AddressSize(*result.modrm, at + 1 < code.size() ? code[at + 1] : 0);
  }
  result.immediate = ImmediateSize(result);
  result.length = at + result.immediate - start;
  if (start + result.length > code.size()) return std::nullopt;
  return result;
}

// Opcodes from `first` to `last` in steps of `step`, with a set of digits in ModRM.reg.
struct Opcodes {
  uint32_t first, last, step = 1;
  uint8_t digits = 0xff;  // a bit each

  bool Has(const Instruction& at) const {
    return at.opcode >= first && at.opcode <= last && (at.opcode - first) % step == 0 &&
           (digits == 0xff || (at.modrm && digits >> at.digit() & 1));
  }
};

bool AnyHas(std::span<const Opcodes> table, const Instruction& at) {
  return std::ranges::any_of(table, [&at](const Opcodes& row) { return row.Has(at); });
}

// What may be locked, if its operand is in memory (Intel SDM vol. 2A, LOCK).
constexpr Opcodes kLockable[] = {
    {0x00, 0x30, 8},        // ADD OR ADC SBB AND SUB XOR E,G
    {0x01, 0x31, 8},        //
    {0x80, 0x83, 1, 0x7f},  // the same with an immediate
    {0x86, 0x87},           // XCHG
    {0xf6, 0xf7, 1, 0x0c},  // NOT NEG
    {0xfe, 0xff, 1, 0x03},  // INC DEC
    {0x0fab, 0x0fbb, 8},    // BTS BTR BTC
    {0x0fba, 0x0fba, 1, 0xe0},
    {0x0fb0, 0x0fb1},           // CMPXCHG
    {0x0fc0, 0x0fc1},           // XADD
    {0x0fc7, 0x0fc7, 1, 0x02},  // CMPXCHG8B
};

// What else reads its operand and writes it.
constexpr Opcodes kReadAndWritten[] = {
    {0xc0, 0xc1},      // rotates and shifts
    {0xd0, 0xd3},      //
    {0x0fa4, 0x0fa5},  // SHLD
    {0x0fac, 0x0fad},  // SHRD
};

// Difference 1. UD2 in its place.
bool LockIsInvalid(const Instruction& at) {
  return at.locked && !(at.has_memory() && AnyHas(kLockable, at));
}

// Difference 2. /0 in their place.
constexpr Opcodes kTestAlias = {0xf6, 0xf7, 1, 0x02};

// Difference 3. 0F 1F in its place.
constexpr Opcodes kPrefetch = {0x0f18, 0x0f18, 1, 0x0f};

// Differences 4 to 6. Each instruction has another one tried in its place first, of the same length
// and with the same operand, that faults as the CPU would.
struct Probe {
  Opcodes opcodes;
  uint32_t opcode;  // one with 0F only for one with 0F
  int digit = -1;   // if it needs one
};
constexpr Probe kProbes[] = {
    // MOVAPS, MOVAPD, MOVDQA.
    {{0x0f14, 0x0f15}, 0x0f28},  // UNPCKLPS UNPCKHPS, and PD
    {{0x0f54, 0x0f57}, 0x0f28},  // ANDPS ANDNPS ORPS XORPS, and PD
    {{0x0fc6, 0x0fc6}, 0x0f28},  // SHUFPS, SHUFPD
    {{0x0fd1, 0x0fd3}, 0x0f6f},  // PSRLW PSRLD PSRLQ
    {{0x0fe1, 0x0fe2}, 0x0f6f},  // PSRAW PSRAD
    {{0x0ff1, 0x0ff3}, 0x0f6f},  // PSLLW PSLLD PSLLQ
    // CLFLUSH: MOVZX r32, m8.
    {{0x0fae, 0x0fae, 1, 0x80}, 0x0fb6},
    // SETcc: MOV m8, r8. RCL and RCR: ROL.
    {{0x0f90, 0x0f9f}, 0x88},
    {{0xc0, 0xc0, 1, 0x0c}, 0xc0, 0},
    {{0xc1, 0xc1, 1, 0x0c}, 0xc1, 0},
    {{0xd0, 0xd2, 2, 0x0c}, 0xd0, 0},
    {{0xd1, 0xd3, 2, 0x0c}, 0xd1, 0},
};

const Probe* FindProbe(const Instruction& at) {
  if (!at.has_memory()) return nullptr;
  const auto* probe =
      std::ranges::find_if(kProbes, [&at](const Probe& row) { return row.opcodes.Has(at); });
  return probe == std::end(kProbes) ? nullptr : probe;
}

// The code with a probe in an instruction's place. What isn't needed of the instruction (LOCK; the
// immediate of those that probes without a digit replace) becomes DS prefixes.
Code WithProbe(const Code& code, const Instruction& at, const Probe& probe) {
  constexpr uint8_t kDs = 0x3e;
  Code result = code;
  const auto start = result.begin() + at.start;
  std::replace(start, start + (at.opcode_at - at.start), uint8_t{0xf0}, kDs);
  if (at.opcode > 0xff && probe.opcode <= 0xff) result[at.opcode_at - 1] = kDs;
  result[at.opcode_at] = probe.opcode;
  if (probe.digit >= 0) result[at.opcode_at + 1] = (*at.modrm & 0xc7) | probe.digit << 3;
  if (probe.digit < 0) {
    std::rotate(start, start + at.length - at.immediate, start + at.length);
    std::fill(start, start + at.immediate, kDs);
  }
  return result;
}

// Difference 7.
void CorrectAccess(const Instruction& at, Result* result) {
  if (!at.has_memory() || !(AnyHas(kLockable, at) || AnyHas(kReadAndWritten, at))) return;
  result->trap->access = Access::kWrite;
}

bool Contains(uint32_t start, uint32_t size, uint32_t address) { return address - start < size; }

bool IsMapped(uint32_t address, Access access) {
  if (Contains(kData, kDataSize, address)) return true;
  return access != Access::kWrite &&
         (Contains(kCode, kCodeSize, address) || Contains(kExit, VX_PAGE_SIZE, address));
}

// The first byte of an operand that faults.
std::optional<uint32_t> FaultAddress(uint32_t address, uint32_t size, Access access) {
  for (uint32_t i = 0; i < size; ++i) {
    if (!IsMapped(address + i, access)) return address + i;
  }
  return std::nullopt;
}

// Difference 8.
void CorrectManyOperands(const Instruction& at, Result* result) {
  if (at.opcode != 0x60 && at.opcode != 0x61) return;
  const uint32_t size = at.word ? 2 : 4, step = at.opcode == 0x60 ? -size : size;
  const Access access = result->trap->access;
  uint32_t address = result->state.gpr[kEsp] - (at.opcode == 0x60 ? size : 0);
  for (int i = 0; i < 8; ++i, address += step) {
    if (const auto fault = FaultAddress(address, size, access)) {
      result->trap->address = *fault;
      return;
    }
  }
}

// Difference 9. Cases have ENTER at their start or not at all.
void CorrectEnter(const Case& test, const Instruction& first, Result* result) {
  if (first.opcode != 0xc8 || result->trap) return;
  const auto fault = FaultAddress(result->state.gpr[kEsp], first.word ? 2 : 4, Access::kWrite);
  if (!fault) return;
  *result = {.state = test.state};
  result->trap = Trap{TrapCause::kPageFault, Access::kWrite, *fault};
}

// Difference 10. Cases have RET at their start.
void CorrectReturn(const Case& test, const Instruction& first, Result* result) {
  if (first.opcode != 0xc2 || result->state.eip == test.state.eip) return;
  if (test.code[first.start + first.length - 1] & 0x80) result->state.gpr[kEsp] += 0x10000;
}

// Changes what qemu takes for something else into what it doesn't, and finds what is to be probed.
struct Prepared {
  Code code;
  std::vector<Instruction> probed;
};

Prepared Prepare(const Case& test) {
  Prepared result{test.code, {}};
  Code& code = result.code;
  size_t start = test.state.eip - test.code_address;
  while (const auto at = Decode(code, start)) {
    if (LockIsInvalid(*at)) {
      code[start] = 0x0f;
      code[start + 1] = 0x0b;
    } else if (at->modrm && kTestAlias.Has(*at)) {
      code[at->opcode_at + 1] &= ~(1 << 3);
    } else if (at->modrm && kPrefetch.Has(*at)) {
      code[at->opcode_at] = 0x1f;
    } else if (FindProbe(*at) != nullptr) {
      result.probed.push_back(*at);
    }
    start += at->length;
  }
  return result;
}

void Correct(const Case& test, Result* result) {
  if (!result->failure.empty()) return;
  if (result->trap && result->trap->cause == TrapCause::kPageFault) {
    if (const auto at = Decode(test.code, result->state.eip - test.code_address);
        at && result->trap->access != Access::kFetch) {
      CorrectAccess(*at, result);
      CorrectManyOperands(*at, result);
    }
  }
  if (const auto first = Decode(test.code, test.state.eip - test.code_address)) {
    CorrectEnter(test, *first, result);
    CorrectReturn(test, *first, result);
  }
}

}  // namespace

std::vector<Citation> QemuCitations() {
  std::vector<Citation> citations;
  for (const QemuDifference& difference : kDifferences) citations.push_back(difference.cpu);
  return citations;
}

std::vector<Result> RunOnQemu(Native& qemu, std::span<const Case> cases) {
  std::vector<Prepared> prepared;
  std::vector<size_t> open;  // cases without a result yet
  for (const Case& test : cases) {
    open.push_back(prepared.size());
    prepared.push_back(Prepare(test));
  }
  std::vector<Result> results(cases.size());
  // One instruction is probed at a time: if it faults, or something before it does, nothing was
  // different up to there, as code with such instructions runs forwards only.
  for (size_t round = 0; !open.empty(); ++round) {
    std::vector<Case> batch;
    for (size_t i : open) {
      batch.push_back(cases[i]);
      const std::vector<Instruction>& probed = prepared[i].probed;
      batch.back().code = round < probed.size() ? WithProbe(prepared[i].code, probed[round],
                                                            *FindProbe(probed[round]))
                                                : prepared[i].code;
    }
    std::vector<Result> got = qemu.Run(batch);
    std::vector<size_t> still_open;
    for (size_t j = 0; j < open.size(); ++j) {
      const size_t i = open[j];
      const std::vector<Instruction>& probed = prepared[i].probed;
      const bool settled =
          round >= probed.size() ||
          (got[j].trap && got[j].state.eip <= cases[i].code_address + probed[round].start);
      if (!settled) {
        still_open.push_back(i);
        continue;
      }
      results[i] = std::move(got[j]);
      Correct(cases[i], &results[i]);
    }
    open = std::move(still_open);
  }
  return results;
}

}  // namespace vx::conformance
