// Branches, and the instructions that stop a run: SYSCALL and the traps. A branch only sets where
// the block goes on; whether anything can be fetched there shows at the target.

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"
#include "vxengine/machine/stack.h"

namespace vx {
namespace {

bool Jump(Cpu& cpu, const Instruction& i) {
  cpu.eip = i.immediate;
  return true;
}

template <unsigned kCode>
bool Jcc(Cpu& cpu, const Instruction& i) {
  if (Condition<kCode>(cpu.flags)) cpu.eip = i.immediate;
  return true;
}

// Of instructions that end a block: that go on elsewhere, or nowhere.
template <Action kAction>
constexpr Family Ending() {
  constexpr Handler kEnd = ThreadEnd<kAction>;
  return {.reg = {kEnd, kEnd, kEnd}};
}

template <Action kQuick, Action kWhole>
constexpr Family QuickEnding() {
  constexpr Handler kEnd = ThreadQuickEnd<kQuick, ThreadEnd<kWhole>>;
  return {.reg = {kEnd, kEnd, kEnd}};
}

template <unsigned... kCodes>
constexpr std::array<Family, 16> ByCondition(std::integer_sequence<unsigned, kCodes...>) {
  return {Ending<Jcc<kCodes>>()...};
}

template <typename Rm>
bool JumpRm(Cpu& cpu, const Instruction& i) {
  return Rm::Load(cpu, i, &cpu.eip);
}

template <Cpu::Effort kEffort>
bool Call(Cpu& cpu, const Instruction& i) {
  if (!Push<uint32_t, kEffort>(cpu, i.next())) return false;
  cpu.eip = i.immediate;
  return true;
}

template <typename Rm>
bool CallRm(Cpu& cpu, const Instruction& i) {
  uint32_t target;
  if (!Rm::Load(cpu, i, &target) || !Push<uint32_t, Rm::kEffort>(cpu, i.next())) return false;
  cpu.eip = target;
  return true;
}

// The immediate is what is popped beside the return address.
template <Cpu::Effort kEffort>
bool Return(Cpu& cpu, const Instruction& i) {
  if (!Pop<uint32_t, kEffort>(cpu, &cpu.eip)) return false;
  cpu.gpr[kEsp] += i.immediate & 0xffff;
  return true;
}

struct Always {
  static bool Holds(const Flags&) { return true; }
};
struct WhileEqual {
  static bool Holds(const Flags& flags) { return flags.zf(); }
};
struct WhileNotEqual {
  static bool Holds(const Flags& flags) { return !flags.zf(); }
};

template <typename Test>
bool Loop(Cpu& cpu, const Instruction& i) {
  --cpu.gpr[kEcx];
  if (cpu.gpr[kEcx] != 0 && Test::Holds(cpu.flags)) cpu.eip = i.immediate;
  return true;
}

bool Jecxz(Cpu& cpu, const Instruction& i) {
  if (cpu.gpr[kEcx] == 0) cpu.eip = i.immediate;
  return true;
}

bool SystemCall(Cpu& cpu, const Instruction& i) {
  return cpu.StopFor(Interpreter::Stop::kSystemCall);
}

template <TrapCause kCause>
bool Raise(Cpu& cpu, const Instruction& i) {
  return cpu.Raise(kCause);
}

bool RaiseFetchFault(Cpu& cpu, const Instruction& i) {
  return cpu.RaisePageFault(Access::kFetch, i.immediate);
}

bool Into(Cpu& cpu, const Instruction& i) {
  return !cpu.flags.of() || cpu.Raise(TrapCause::kOverflow);
}

// ModRM.reg must lie within the two signed integers at ModRM.rm. The upper one isn't looked at where
// the lower one settles it.
template <typename T>
bool Bound(Cpu& cpu, const Instruction& i) {
  using Signed = std::make_signed_t<T>;
  const uint32_t address = EffectiveAddress(cpu, i);
  const Signed index = static_cast<Signed>(GetRegister<T>(cpu, i.reg));
  T lower, upper;
  if (!cpu.Load(address, &lower)) return false;
  if (index < static_cast<Signed>(lower)) return cpu.Raise(TrapCause::kBoundRange);
  if (!cpu.Load(address + uint32_t{sizeof(T)}, &upper)) return false;
  return index <= static_cast<Signed>(upper) || cpu.Raise(TrapCause::kBoundRange);
}

}  // namespace

constinit const std::array<Family, 16> kJcc =
    ByCondition(std::make_integer_sequence<unsigned, 16>());
constinit const Family kJump = Ending<Jump>();
constinit const Family kJumpRm = {
    .reg = {nullptr, nullptr, ThreadEnd<JumpRm<RmReg>>},
    .mem = {nullptr, nullptr, ThreadQuickEnd<JumpRm<Quick<RmMem>>, ThreadEnd<JumpRm<RmMem>>>}};
constinit const Family kCall = QuickEnding<Call<Cpu::kQuick>, Call<Cpu::kWhole>>();
constinit const Family kCallRm = {
    .reg = {nullptr, nullptr, ThreadQuickEnd<CallRm<Quick<RmReg>>, ThreadEnd<CallRm<RmReg>>>},
    .mem = {nullptr, nullptr, ThreadQuickEnd<CallRm<Quick<RmMem>>, ThreadEnd<CallRm<RmMem>>>}};
constinit const Family kReturn = QuickEnding<Return<Cpu::kQuick>, Return<Cpu::kWhole>>();
constinit const std::array<Family, 4> kLoop = {Ending<Loop<WhileNotEqual>>(),
                                               Ending<Loop<WhileEqual>>(), Ending<Loop<Always>>(),
                                               Ending<Jecxz>()};
constinit const Family kSystemCall = Ending<SystemCall>();
constinit const Family kInt3 = Ending<Raise<TrapCause::kBreakpoint>>();
constinit const Family kInto = Single<Into>();
constinit const Family kBound = {.mem = kHandlers<nullptr, Bound<uint16_t>, Bound<uint32_t>>};
constinit const Family kInvalidOpcode = Ending<Raise<TrapCause::kInvalidOpcode>>();
constinit const Family kGeneralProtection = Ending<Raise<TrapCause::kGeneralProtection>>();
constinit const Family kFetchFault = Ending<RaiseFetchFault>();

}  // namespace vx
