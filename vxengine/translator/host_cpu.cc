#include "vxengine/translator/host_cpu.h"

#include <algorithm>
#include <atomic>

#include "vxengine/machine/cpu.h"
#include "vxengine/machine/families.h"
#include "vxengine/machine/instruction.h"
#include "vxengine/translator/flag_repair.h"

extern "C" {
extern const uint8_t vx_probe_begin[], vx_probe_end[];
void vx_probe_run(uint32_t* state, const void* code);
}

namespace vx {
namespace {

constexpr size_t kLongest = 15;

// Operands with top bits of both kinds, in every size, and small ones, which DIV needs. Flags are
// such that no register's state says what they are.
constexpr ProbeState kStates[] = {
    {{0x00000000, 0, 0x00000000, 0x00000000}, 0},
    {{0x0000007f, 1, 0x00000000, 0x00000003}, kStatusFlags},
    {{0x12345678, 2, 0x00000001, 0x87654321}, kCf | kAf | kSf},
    {{0x00010000, 33, 0xc0c0c0c0, 0x00010101}, kPf | kZf | kOf},
    {{0xfedcba98, 3, 0x80808080, 0xffffffff}, kCf},
    {{0x00000701, 7, 0x7f407f40, 0x40004080}, kStatusFlags & ~kCf},
    {{0x01800180, 8, 0xffffffff, 0x00800010}, kOf | kAf},
    {{0x00000102, 9, 0x00000002, 0x7e7f6f5b}, kStatusFlags & ~kAf},
    {{0x40302010, 13, 0xa5a5a5a5, 0x00000000}, kSf | kPf | kCf},
    {{0x5aa53cc3, 15, 0x3c3c3c3c, 0x80008080}, kZf},
    {{0x80008080, 16, 0x01010101, 0x12121212}, kAf | kZf | kPf},
    {{0x000000fe, 17, 0x00000000, 0x00007f1d}, kCf | kOf},
    {{0xffffffff, 18, 0xffffffff, 0xfffffffb}, kSf | kPf},
    {{0x000003e8, 19, 0x6db66db6, 0x01000100}, kCf | kZf | kAf | kOf},
    {{0xaaaaaaaa, 27, 0x55555555, 0x55aa5511}, kPf},
    {{0x33cc33cc, 31, 0xd92fd92f, 0xcccccccc}, kStatusFlags & ~kOf},
};

std::atomic<const HostCpu*> the_pretended{nullptr};

// What the portable machine does for the instruction. Not by its decoder, whose table takes longer
// to make than all the rest takes: each worker process comes here.
const Family& FamilyOf(const GuestInstruction& i) {
  const unsigned row = i.opcode >> 3 & 7;  // of the opcode map
  switch (i.rule()) {
    case UndefinedRule::kShld:
      return i.immediate_size != 0 ? kShldImmediate : kShldCl;
    case UndefinedRule::kShrd:
      return i.immediate_size != 0 ? kShrdImmediate : kShrdCl;
    case UndefinedRule::kLogic:
      if (i.opcode == 0x84 || i.opcode == 0x85) return kTestReg;
      if (i.opcode > 0x85) return kTestImmediate;
      if (i.opcode >= 0x80) return kArithmeticImmediate[i.reg];
      if ((i.opcode & 4) != 0) return kArithmeticImmediate[row];
      return i.opcode & 2 ? kArithmeticRegRm[row] : kArithmeticRmReg[row];
    case UndefinedRule::kMul:
      if (i.two_byte) return kImulReg;
      if (i.immediate_size != 0) return kImulImmediate;
      return i.reg == 4 ? kMul : kImulAccumulator;
    case UndefinedRule::kDiv:
      return i.reg == 6 ? kDiv : kIdiv;
    case UndefinedRule::kBitScan:
      return i.opcode == 0xbc ? kBsf : kBsr;
    case UndefinedRule::kBitTest:
      return i.opcode == 0xba ? kBitTestImmediate[i.reg - 4] : kBitTestReg[row - 4];
    default:
      return i.immediate_size != 0 ? kShiftImmediate[i.reg]
             : i.opcode < 0xd2     ? kShiftOne[i.reg]
                                   : kShiftCl[i.reg];
  }
}

// Flags that differ, and kResult if a register does. 0 where the instruction traps.
uint16_t Difference(const Instruction& instruction, std::span<const uint8_t> bytes,
                    const Execute& execute, const ProbeState& before, Cpu* cpu) {
  std::copy(before.gpr.begin(), before.gpr.end(), cpu->gpr.begin());
  cpu->set_eflags(before.flags);
  if (!ExecuteOne(*cpu, instruction)) return 0;
  ProbeState after = before;
  execute(bytes, &after);
  const uint32_t flags = (after.flags ^ cpu->eflags()) & kStatusFlags;
  const bool same = std::equal(after.gpr.begin(), after.gpr.end(), cpu->gpr.begin());
  return static_cast<uint16_t>(flags | (same ? 0 : kResult));
}

}  // namespace

bool HostCpu::BeyondRepair(const GuestInstruction& i) const {
  return (WrongAt(i) & ~RepairableFlags(i.rule())) != 0;
}

uint16_t HostCpu::WrongAnywhere() const {
  uint16_t all = 0;
  for (const auto& sizes : wrong) {
    for (uint16_t flags : sizes) all |= flags;
  }
  return all;
}

void ExecuteOnThisCpu(std::span<const uint8_t> instruction, ProbeState* state) {
  static_assert(sizeof(ProbeState) == 5 * sizeof(uint32_t));
  vx_probe_run(state->gpr.data(), instruction.data());
}

HostCpu Probe(const Execute& execute) {
  HostCpu host;
  Memory memory;
  Registers registers;
  Cpu cpu(&memory, &registers, Profile::kVx2026Int);
  for (const uint8_t* at = vx_probe_begin; at < vx_probe_end;) {
    const std::span<const uint8_t> rest(at, vx_probe_end);
    const std::span<const uint8_t> bytes = rest.first(std::min(rest.size(), kLongest));
    GuestInstruction guest;
    DecodeGuestInstruction(bytes, 0, Profile::kVx2026Int, &guest);
    const Instruction instruction = {.handler = FamilyOf(guest).reg[guest.size_index()],
                                     .immediate = guest.immediate,
                                     .reg = guest.reg,
                                     .rm = guest.rm};
    uint16_t& wrong = host.wrong[static_cast<unsigned>(guest.rule())][guest.size_index()];
    for (const ProbeState& state : kStates) {
      wrong |= Difference(instruction, bytes.first(guest.length), execute, state, &cpu);
    }
    at += guest.length + 1;  // RET
  }
  return host;
}

const HostCpu& TheHostCpu() {
  if (const HostCpu* const pretended = the_pretended.load()) return *pretended;
  static const HostCpu cpu = Probe(ExecuteOnThisCpu);
  return cpu;
}

HostCpu ContraryCpu() {
  HostCpu cpu;
  cpu.pretended = true;
  const auto set = [&](UndefinedRule rule, uint16_t flags) {
    cpu.wrong[static_cast<unsigned>(rule)].fill(flags);
  };
  for (unsigned rule = 0; rule < kUndefinedRules; ++rule) {
    set(static_cast<UndefinedRule>(rule), RepairableFlags(static_cast<UndefinedRule>(rule)));
  }
  for (UndefinedRule rule : {UndefinedRule::kRcl, UndefinedRule::kRcr}) {
    cpu.wrong[static_cast<unsigned>(rule)][1] |= kResult;
  }
  return cpu;
}

void Pretend(const HostCpu* cpu) { the_pretended.store(cpu); }

}  // namespace vx
