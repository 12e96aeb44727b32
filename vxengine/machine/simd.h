// XMM registers as lanes of integers, and the operands of SSE instructions.
#ifndef VXENGINE_MACHINE_SIMD_H_
#define VXENGINE_MACHINE_SIMD_H_

#include <array>
#include <cstdint>

#include "vxengine/machine/operands.h"

namespace vx {

template <typename T>
using Lanes = std::array<T, 16 / sizeof(T)>;

// Lane 0 is the lowest.
template <typename T>
Lanes<T> Split(const Xmm& xmm) {
  constexpr unsigned kPerHalf = 8 / sizeof(T), kBits = 8 * sizeof(T);
  Lanes<T> lanes;
  for (unsigned n = 0; n < lanes.size(); ++n) {
    lanes[n] = static_cast<T>(xmm.lane[n / kPerHalf] >> (n % kPerHalf * kBits));
  }
  return lanes;
}

template <typename T>
Xmm Join(const Lanes<T>& lanes) {
  constexpr unsigned kPerHalf = 8 / sizeof(T), kBits = 8 * sizeof(T);
  Xmm xmm;
  for (unsigned n = 0; n < lanes.size(); ++n) {
    using Unsigned = std::make_unsigned_t<T>;
    const uint64_t lane = static_cast<Unsigned>(lanes[n]);
    xmm.lane[n / kPerHalf] |= lane << (n % kPerHalf * kBits);
  }
  return xmm;
}

// 16 bytes of memory that must be aligned: else #GP, before any page fault.
inline bool LoadAligned(Cpu& cpu, uint32_t address, Xmm* value) {
  if (address % 16 != 0) return cpu.Raise(TrapCause::kGeneralProtection);
  return cpu.Load(address, value);
}

inline bool StoreAligned(Cpu& cpu, uint32_t address, Xmm value) {
  if (address % 16 != 0) return cpu.Raise(TrapCause::kGeneralProtection);
  return cpu.Store(address, value);
}

// One handler for each operand kind: SSE instructions know no operand size.
template <Action kReg, Action kMem>
constexpr Family Sse() {
  return {.reg = kHandlers<kReg, kReg, kReg>, .mem = kHandlers<kMem, kMem, kMem>};
}

// The same, of handlers.
template <Handler kReg, Handler kMem>
constexpr Family SseHandlers() {
  return {.reg = {kReg, kReg, kReg}, .mem = {kMem, kMem, kMem}};
}

// Where the action on memory is tried quickly first.
template <Action kReg, Action kQuick, Action kMem>
constexpr Family SseQuick() {
  return SseHandlers<kThread<kReg>, ThreadQuick<kQuick, Thread<kMem>>>();
}

// Xmm = Op(Xmm, Xmm or aligned memory), of which there are most.
template <Xmm (*kOp)(const Xmm&, const Xmm&)>
struct SseBinary {
  static bool FromReg(Cpu& cpu, const Instruction& i) {
    cpu.xmm()[i.reg] = kOp(cpu.xmm()[i.reg], cpu.xmm()[i.rm]);
    return true;
  }
  static bool FromMem(Cpu& cpu, const Instruction& i) {
    Xmm source;
    if (!LoadAligned(cpu, EffectiveAddress(cpu, i), &source)) return false;
    cpu.xmm()[i.reg] = kOp(cpu.xmm()[i.reg], source);
    return true;
  }
  static constexpr Family kFamily = Sse<FromReg, FromMem>();
};

// Xmm = Op(Xmm, Xmm or aligned memory, 8-bit immediate)
template <Xmm (*kOp)(const Xmm&, const Xmm&, unsigned)>
struct SseImmediate {
  static bool FromReg(Cpu& cpu, const Instruction& i) {
    cpu.xmm()[i.reg] = kOp(cpu.xmm()[i.reg], cpu.xmm()[i.rm], i.immediate & 0xff);
    return true;
  }
  static bool FromMem(Cpu& cpu, const Instruction& i) {
    Xmm source;
    if (!LoadAligned(cpu, EffectiveAddress(cpu, i), &source)) return false;
    cpu.xmm()[i.reg] = kOp(cpu.xmm()[i.reg], source, i.immediate & 0xff);
    return true;
  }
  static constexpr Family kFamily = Sse<FromReg, FromMem>();
};

}  // namespace vx

#endif  // VXENGINE_MACHINE_SIMD_H_
