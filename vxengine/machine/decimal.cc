// AAA AAS AAM AAD DAA DAS (Intel SDM vol. 2A, their pages). MACHINE.md says what becomes of the
// flags that manuals leave undefined.

#include "vxengine/machine/alu.h"
#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

uint8_t Al(const Cpu& cpu) { return GetRegister<uint8_t>(cpu, kEax); }
void SetAl(Cpu& cpu, uint8_t al) { SetRegister<uint8_t>(cpu, kEax, al); }

// The flags are those of adding to or subtracting from all of AX, before AL loses its upper half.
template <bool kSubtract>
bool AsciiAdjust(Cpu& cpu, const Instruction&) {
  const bool adjust = (Al(cpu) & 15) > 9 || cpu.flags.af();
  const uint16_t ax = GetRegister<uint16_t>(cpu, kEax);
  const uint16_t change = adjust ? 0x106 : 0;
  const uint16_t r = kSubtract ? Sub::Do(cpu.flags, ax, change) : Add::Do(cpu.flags, ax, change);
  cpu.flags.Replace(kCf | kAf, When(adjust, kCf | kAf));
  SetRegister<uint16_t>(cpu, kEax, r & 0xff0f);
  return true;
}

template <bool kSubtract>
bool DecimalAdjust(Cpu& cpu, const Instruction&) {
  const uint8_t al = Al(cpu);
  const bool low = (al & 15) > 9 || cpu.flags.af();
  const bool high = al > 0x99 || cpu.flags.cf();
  const bool borrow = kSubtract && low && al < 6;
  const uint8_t change = (low ? 6 : 0) + (high ? 0x60 : 0);
  SetAl(cpu, kSubtract ? Sub::Do(cpu.flags, al, change) : Add::Do(cpu.flags, al, change));
  cpu.flags.Replace(kCf | kAf, When(high || borrow, kCf) | When(low, kAf));
  return true;
}

bool Aam(Cpu& cpu, const Instruction& i) {
  const uint32_t base = i.immediate & 0xff, al = Al(cpu);
  if (base == 0) return cpu.Raise(TrapCause::kDivideError);
  SetRegister<uint16_t>(cpu, kEax, static_cast<uint16_t>(al / base << 8 | al % base));
  cpu.flags.SetResultAnd(Al(cpu), false, false, false);
  return true;
}

bool Aad(Cpu& cpu, const Instruction& i) {
  const uint32_t ah = GetRegister<uint16_t>(cpu, kEax) >> 8;
  const uint8_t tens = static_cast<uint8_t>(ah * (i.immediate & 0xff));
  SetRegister<uint16_t>(cpu, kEax, Add::Do(cpu.flags, Al(cpu), tens));
  return true;
}

}  // namespace

constinit const Family kAaa = Single<AsciiAdjust<false>>();
constinit const Family kAas = Single<AsciiAdjust<true>>();
constinit const Family kDaa = Single<DecimalAdjust<false>>();
constinit const Family kDas = Single<DecimalAdjust<true>>();
constinit const Family kAam = Single<Aam>();
constinit const Family kAad = Single<Aad>();

}  // namespace vx
