// Moves to, from and between XMM registers, none of which looks at the bits.

#include "vxengine/machine/families.h"
#include "vxengine/machine/simd.h"

namespace vx {
namespace {

bool CopyToReg(Cpu& cpu, const Instruction& i) {
  cpu.xmm()[i.reg] = cpu.xmm()[i.rm];
  return true;
}

bool CopyToRm(Cpu& cpu, const Instruction& i) {
  cpu.xmm()[i.rm] = cpu.xmm()[i.reg];
  return true;
}

bool LoadAlignedReg(Cpu& cpu, const Instruction& i) {
  return LoadAligned(cpu, EffectiveAddress(cpu, i), &cpu.xmm()[i.reg]);
}

bool StoreAlignedReg(Cpu& cpu, const Instruction& i) {
  return StoreAligned(cpu, EffectiveAddress(cpu, i), cpu.xmm()[i.reg]);
}

bool LoadUnaligned(Cpu& cpu, const Instruction& i) {
  return cpu.Load(EffectiveAddress(cpu, i), &cpu.xmm()[i.reg]);
}

bool StoreUnaligned(Cpu& cpu, const Instruction& i) {
  return cpu.Store(EffectiveAddress(cpu, i), cpu.xmm()[i.reg]);
}

// MOVD: 32 bits between a general register or memory and lane 0; the rest becomes 0 on the way in.
template <typename Rm>
bool MovdToXmm(Cpu& cpu, const Instruction& i) {
  uint32_t value;
  if (!Rm::Load(cpu, i, &value)) return false;
  cpu.xmm()[i.reg] = {{value, 0}};
  return true;
}

template <typename Rm>
bool MovdFromXmm(Cpu& cpu, const Instruction& i) {
  return Rm::template Store<uint32_t>(cpu, i, static_cast<uint32_t>(cpu.xmm()[i.reg].lane[0]));
}

// MOVQ: 64 bits; the rest of a register becomes 0.
bool MovqToReg(Cpu& cpu, const Instruction& i) {
  cpu.xmm()[i.reg] = {{cpu.xmm()[i.rm].lane[0], 0}};
  return true;
}

bool MovqToRm(Cpu& cpu, const Instruction& i) {
  cpu.xmm()[i.rm] = {{cpu.xmm()[i.reg].lane[0], 0}};
  return true;
}

template <typename Rm>
bool LoadQuadword(Cpu& cpu, const Instruction& i) {
  uint64_t value;
  if (!Rm::Load(cpu, i, &value)) return false;
  cpu.xmm()[i.reg] = {{value, 0}};
  return true;
}

// Half a register, the other half of which stays: MOVLPS MOVHPS MOVSD.
template <unsigned kHalf, typename Rm>
bool LoadHalf(Cpu& cpu, const Instruction& i) {
  return Rm::Load(cpu, i, &cpu.xmm()[i.reg].lane[kHalf]);
}

template <unsigned kHalf, typename Rm>
bool StoreHalf(Cpu& cpu, const Instruction& i) {
  return Rm::Store(cpu, i, cpu.xmm()[i.reg].lane[kHalf]);
}

template <unsigned kTo, unsigned kFrom>
bool CopyHalf(Cpu& cpu, const Instruction& i) {
  cpu.xmm()[i.reg].lane[kTo] = cpu.xmm()[i.rm].lane[kFrom];
  return true;
}

bool CopyLowHalfToRm(Cpu& cpu, const Instruction& i) {
  cpu.xmm()[i.rm].lane[0] = cpu.xmm()[i.reg].lane[0];
  return true;
}

// MOVSS: the lowest 32 bits, the others stay.
void SetLowest(Xmm& xmm, const Xmm& from) {
  xmm.lane[0] = (xmm.lane[0] & 0xffffffff00000000) | (from.lane[0] & 0xffffffff);
}

bool MovssToReg(Cpu& cpu, const Instruction& i) {
  SetLowest(cpu.xmm()[i.reg], cpu.xmm()[i.rm]);
  return true;
}

bool MovssToRm(Cpu& cpu, const Instruction& i) {
  SetLowest(cpu.xmm()[i.rm], cpu.xmm()[i.reg]);
  return true;
}

// The top bit of each lane, lane 0's lowest: PMOVMSKB MOVMSKPS MOVMSKPD.
template <typename T>
bool MoveMask(Cpu& cpu, const Instruction& i) {
  uint32_t mask = 0;
  const Lanes<T> lanes = Split<T>(cpu.xmm()[i.rm]);
  for (unsigned n = 0; n < lanes.size(); ++n) {
    mask |= static_cast<uint32_t>(lanes[n] >> (8 * sizeof(T) - 1)) << n;
  }
  cpu.gpr[i.reg] = mask;
  return true;
}

// Bytes of ModRM.reg to [EDI], those whose byte in ModRM.rm has its top bit set.
bool Maskmovdqu(Cpu& cpu, const Instruction& i) {
  const uint32_t address = cpu.gpr[kEdi];
  if (!cpu.CheckWrite(address, 16)) return false;
  const Lanes<uint8_t> bytes = Split<uint8_t>(cpu.xmm()[i.reg]);
  const Lanes<uint8_t> mask = Split<uint8_t>(cpu.xmm()[i.rm]);
  for (uint32_t n = 0; n < bytes.size(); ++n) {
    if (mask[n] & 0x80) cpu.Store(address + n, bytes[n]);
  }
  return true;
}

bool Pextrw(Cpu& cpu, const Instruction& i) {
  cpu.gpr[i.reg] = Split<uint16_t>(cpu.xmm()[i.rm])[i.immediate & 7];
  return true;
}

template <typename Rm>
bool Pinsrw(Cpu& cpu, const Instruction& i) {
  uint16_t value;
  if (!Rm::Load(cpu, i, &value)) return false;
  Lanes<uint16_t> lanes = Split<uint16_t>(cpu.xmm()[i.reg]);
  lanes[i.immediate & 7] = value;
  cpu.xmm()[i.reg] = Join<uint16_t>(lanes);
  return true;
}

}  // namespace

constinit const Family kMovAlignedLoad = Sse<CopyToReg, LoadAlignedReg>();
constinit const Family kMovAlignedStore = Sse<CopyToRm, StoreAlignedReg>();
constinit const Family kMovUnalignedLoad = Sse<CopyToReg, LoadUnaligned>();
constinit const Family kMovUnalignedStore = Sse<CopyToRm, StoreUnaligned>();
constinit const Family kMovNonTemporal = Sse<nullptr, StoreAlignedReg>();
constinit const Family kMovdLoad =
    SseQuick<MovdToXmm<RmReg>, MovdToXmm<Quick<RmMem>>, MovdToXmm<RmMem>>();
constinit const Family kMovdStore =
    SseQuick<MovdFromXmm<RmReg>, MovdFromXmm<Quick<RmMem>>, MovdFromXmm<RmMem>>();
constinit const Family kMovqLoad =
    SseQuick<MovqToReg, LoadQuadword<Quick<RmMem>>, LoadQuadword<RmMem>>();
constinit const Family kMovqStore =
    SseQuick<MovqToRm, StoreHalf<0, Quick<RmMem>>, StoreHalf<0, RmMem>>();
constinit const Family kMovssLoad =
    SseQuick<MovssToReg, MovdToXmm<Quick<RmMem>>, MovdToXmm<RmMem>>();
constinit const Family kMovssStore =
    SseQuick<MovssToRm, MovdFromXmm<Quick<RmMem>>, MovdFromXmm<RmMem>>();
constinit const Family kMovsdLoad =
    SseQuick<CopyHalf<0, 0>, LoadQuadword<Quick<RmMem>>, LoadQuadword<RmMem>>();
constinit const Family kMovsdStore =
    SseQuick<CopyLowHalfToRm, StoreHalf<0, Quick<RmMem>>, StoreHalf<0, RmMem>>();
constinit const Family kMovlpsLoad = SseQuick<CopyHalf<0, 1>, LoadHalf<0, Quick<RmMem>>,
                                              LoadHalf<0, RmMem>>();  // register form: MOVHLPS
constinit const Family kMovhpsLoad = SseQuick<CopyHalf<1, 0>, LoadHalf<1, Quick<RmMem>>,
                                              LoadHalf<1, RmMem>>();  // register form: MOVLHPS
constinit const Family kMovlpdLoad =
    SseQuick<nullptr, LoadHalf<0, Quick<RmMem>>, LoadHalf<0, RmMem>>();
constinit const Family kMovhpdLoad =
    SseQuick<nullptr, LoadHalf<1, Quick<RmMem>>, LoadHalf<1, RmMem>>();
constinit const Family kMovLowStore =
    SseQuick<nullptr, StoreHalf<0, Quick<RmMem>>, StoreHalf<0, RmMem>>();
constinit const Family kMovHighStore =
    SseQuick<nullptr, StoreHalf<1, Quick<RmMem>>, StoreHalf<1, RmMem>>();
constinit const Family kMovmskps = Sse<MoveMask<uint32_t>, nullptr>();
constinit const Family kMovmskpd = Sse<MoveMask<uint64_t>, nullptr>();
constinit const Family kPmovmskb = Sse<MoveMask<uint8_t>, nullptr>();
constinit const Family kMaskmovdqu = Sse<Maskmovdqu, nullptr>();
constinit const Family kPextrw = Sse<Pextrw, nullptr>();
constinit const Family kPinsrw = Sse<Pinsrw<RmReg>, Pinsrw<RmMem>>();

}  // namespace vx
