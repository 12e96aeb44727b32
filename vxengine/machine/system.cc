// Flag instructions, CPUID, LDMXCSR and STMXCSR, and all that does nothing: NOP, PAUSE, prefetches,
// fences, CLFLUSH.

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

bool Nop(Cpu&, const Instruction&) { return true; }

bool Clc(Cpu& cpu, const Instruction&) {
  cpu.flags.SetCf(false);
  return true;
}

bool Stc(Cpu& cpu, const Instruction&) {
  cpu.flags.SetCf(true);
  return true;
}

bool Cmc(Cpu& cpu, const Instruction&) {
  cpu.flags.SetCf(!cpu.flags.cf());
  return true;
}

bool Cld(Cpu& cpu, const Instruction&) {
  cpu.set_df(false);
  return true;
}

bool Std(Cpu& cpu, const Instruction&) {
  cpu.set_df(true);
  return true;
}

constexpr unsigned kAh = 4;
constexpr uint32_t kAhFlags = kCf | kPf | kAf | kZf | kSf;

bool Lahf(Cpu& cpu, const Instruction&) {
  SetRegister<uint8_t>(cpu, kAh, static_cast<uint8_t>(cpu.eflags()));
  return true;
}

bool Sahf(Cpu& cpu, const Instruction&) {
  cpu.flags.Replace(kAhFlags, GetRegister<uint8_t>(cpu, kAh));
  return true;
}

// Flushing a line is no more than reading a byte of it.
bool Clflush(Cpu& cpu, const Instruction& i) {
  uint8_t byte;
  return RmMem::Load(cpu, i, &byte);
}

bool Ldmxcsr(Cpu& cpu, const Instruction& i) {
  uint32_t value;
  if (!RmMem::Load(cpu, i, &value)) return false;
  if (value >> 16 != 0) return cpu.Raise(TrapCause::kGeneralProtection);
  cpu.mxcsr() = value;
  return true;
}

bool Stmxcsr(Cpu& cpu, const Instruction& i) { return RmMem::Store(cpu, i, cpu.mxcsr()); }

// CPUID (Intel SDM vol. 2A, its page): the least that an i686 with SSE2 says, in the words of a
// Pentium M: its vendor and signature, 64-byte CLFLUSH lines, and the features that a profile has.
// No MMX, no TSC, no brand string, no caches.
struct CpuidLeaf {
  uint32_t leaf, eax, ebx, ecx, edx;
};

constexpr uint32_t kFeatureFpu = 1u << 0;
constexpr uint32_t kFeatureCmpxchg8b = 1u << 8;
constexpr uint32_t kFeatureCmov = 1u << 15;
constexpr uint32_t kFeatureClflush = 1u << 19;
constexpr uint32_t kFeatureFxsr = 1u << 24;
constexpr uint32_t kFeatureSse = 1u << 25;
constexpr uint32_t kFeatureSse2 = 1u << 26;
constexpr uint32_t kFloatingPoint = kFeatureFpu | kFeatureFxsr | kFeatureSse | kFeatureSse2;

constexpr std::array<CpuidLeaf, 3> kCpuid = {{
    {0, 1, 0x756e6547, 0x6c65746e, 0x49656e69},  // one more leaf; "Genu" "ntel" "ineI"
    {1, 0x6d8, 0x800, 0, kFloatingPoint | kFeatureCmpxchg8b | kFeatureCmov | kFeatureClflush},
    {0x80000000, 0x80000000, 0, 0, 0},
}};

bool Cpuid(Cpu& cpu, const Instruction&) {
  CpuidLeaf answer{};
  for (const CpuidLeaf& leaf : kCpuid) {
    if (leaf.leaf == cpu.gpr[kEax]) answer = leaf;
  }
  if (cpu.profile() == Profile::kVx2026Int) answer.edx &= answer.leaf == 1 ? ~kFloatingPoint : ~0u;
  cpu.gpr[kEax] = answer.eax;
  cpu.gpr[kEbx] = answer.ebx;
  cpu.gpr[kEcx] = answer.ecx;
  cpu.gpr[kEdx] = answer.edx;
  return true;
}

}  // namespace

constinit const Family kNop = {.reg = kHandlers<Nop, Nop, Nop>, .mem = kHandlers<Nop, Nop, Nop>};
constinit const Family kMemoryNop = {.mem = kHandlers<Nop, Nop, Nop>};
constinit const Family kFence = Single<Nop>();
constinit const Family kFenceOrClflush = {.reg = kHandlers<Nop, Nop, Nop>,
                                          .mem = kHandlers<Clflush, Clflush, Clflush>};
constinit const Family kClc = Single<Clc>();
constinit const Family kStc = Single<Stc>();
constinit const Family kCmc = Single<Cmc>();
constinit const Family kCld = Single<Cld>();
constinit const Family kStd = Single<Std>();
constinit const Family kLahf = Single<Lahf>();
constinit const Family kSahf = Single<Sahf>();
constinit const Family kCpuidInstruction = Single<Cpuid>();
constinit const Family kLdmxcsr = {.mem = kHandlers<Ldmxcsr, Ldmxcsr, Ldmxcsr>};
constinit const Family kStmxcsr = {.mem = kHandlers<Stmxcsr, Stmxcsr, Stmxcsr>};

}  // namespace vx
