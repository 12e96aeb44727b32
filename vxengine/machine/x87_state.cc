// x87 control and state: control and status word, environment, whole images (FNSAVE, FXSAVE), tags
// and the top of the stack. Arithmetic is not here.
//
// The pointers to the last instruction and its operand (FIP FCS FDP FDS FOP) are no part of the
// state: images show zeroes and what they hold is ignored.

#include <span>

#include "vxengine/machine/families.h"
#include "vxengine/machine/x87.h"

namespace vx {
namespace {

// Of the control word as it is loaded: bits that stay, and the one that always reads as 1.
constexpr uint16_t kControlBits = 0x1f3f, kControlOnes = 0x40;

constexpr uint32_t kEnvironmentSize = 28, kImageSize = 108, kFxImageSize = 512;
constexpr uint32_t kFxStored = 288;  // up to XMM7; the rest is the guest's
constexpr uint32_t kFxRegisters = 32, kFxXmm = 160;
constexpr uint32_t kMxcsrMask = 0xffff;

// Tags are a function of the registers and of one bit for each, set where it is in use.
uint16_t FullTags(const X87State& x87, unsigned used) {
  unsigned tags = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const Tag tag = used >> i & 1 ? Classify(x87.reg[i]) : Tag::kEmpty;
    tags |= static_cast<unsigned>(tag) << (2 * i);
  }
  return static_cast<uint16_t>(tags);
}

uint8_t UsedRegisters(const X87State& x87) {
  unsigned used = 0;
  for (unsigned i = 0; i < 8; ++i) used |= unsigned{GetTag(x87, i) != Tag::kEmpty} << i;
  return static_cast<uint8_t>(used);
}

// The summary bits follow from flags and masks, whatever was loaded there.
void SetControlAndStatus(X87State& x87, uint16_t control, uint16_t status) {
  x87.control = static_cast<uint16_t>((control & kControlBits) | kControlOnes);
  const bool pending = (status & ~x87.control & kFloatExceptions) != 0;
  x87.status = static_cast<uint16_t>((status & ~kSummaryBits) | (pending ? kSummaryBits : 0));
}

void Initialize(X87State& x87) {
  x87.control = VX_INITIAL_FCW;
  x87.status = 0;
  x87.tag = 0xffff;
}

// The environment in its 32-bit protected-mode form (Intel SDM vol. 1, figure 8-9).
void PutEnvironment(uint8_t* p, const X87State& x87) {
  PutLittleEndian(p, 0xffff0000 | x87.control);
  PutLittleEndian(p + 4, 0xffff0000 | x87.status);
  PutLittleEndian(p + 8, 0xffff0000 | x87.tag);
  PutLittleEndian<uint32_t>(p + 12, 0);
  PutLittleEndian<uint32_t>(p + 16, 0);
  PutLittleEndian<uint32_t>(p + 20, 0);
  PutLittleEndian<uint32_t>(p + 24, 0xffff0000);
}

// All but the tags: what they become depends on registers that may still have to be loaded.
void GetEnvironment(const uint8_t* p, X87State& x87) {
  SetControlAndStatus(x87, GetLittleEndian<uint16_t>(p), GetLittleEndian<uint16_t>(p + 4));
  x87.tag = GetLittleEndian<uint16_t>(p + 8);
}

void Retag(X87State& x87) { x87.tag = FullTags(x87, UsedRegisters(x87)); }

bool Fninit(Cpu& cpu, const Instruction&) {
  Initialize(cpu.x87());
  return true;
}

bool Fnclex(Cpu& cpu, const Instruction&) {
  cpu.x87().status &= 0x7f00;
  return true;
}

bool Fldcw(Cpu& cpu, const Instruction& i) {
  uint16_t control;
  if (!RmMem::Load(cpu, i, &control)) return false;
  SetControlAndStatus(cpu.x87(), control, cpu.x87().status);
  return true;
}

bool Fnstcw(Cpu& cpu, const Instruction& i) { return RmMem::Store(cpu, i, cpu.x87().control); }

bool FnstswMemory(Cpu& cpu, const Instruction& i) { return RmMem::Store(cpu, i, cpu.x87().status); }

bool FnstswAx(Cpu& cpu, const Instruction&) {
  SetRegister<uint16_t>(cpu, kEax, cpu.x87().status);
  return true;
}

bool Fldenv(Cpu& cpu, const Instruction& i) {
  std::array<uint8_t, kEnvironmentSize> image;
  if (!LoadBytes(cpu, EffectiveAddress(cpu, i), image)) return false;
  GetEnvironment(image.data(), cpu.x87());
  Retag(cpu.x87());
  return true;
}

bool Fnstenv(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  std::array<uint8_t, kEnvironmentSize> image;
  PutEnvironment(image.data(), x87);
  if (!StoreBytes(cpu, EffectiveAddress(cpu, i), image)) return false;
  SetControlAndStatus(x87, x87.control | kFloatExceptions, x87.status);
  return true;
}

bool Frstor(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  std::array<uint8_t, kImageSize> image;
  if (!LoadBytes(cpu, EffectiveAddress(cpu, i), image)) return false;
  GetEnvironment(image.data(), x87);
  for (unsigned n = 0; n < 8; ++n) {
    St(x87, n) = GetX87Register(image.data() + kEnvironmentSize + 10 * n);
  }
  Retag(x87);
  return true;
}

bool Fnsave(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  std::array<uint8_t, kImageSize> image;
  PutEnvironment(image.data(), x87);
  for (unsigned n = 0; n < 8; ++n) {
    PutX87Register(image.data() + kEnvironmentSize + 10 * n, St(x87, n));
  }
  if (!StoreBytes(cpu, EffectiveAddress(cpu, i), image)) return false;
  Initialize(x87);
  return true;
}

bool Fxsave(Cpu& cpu, const Instruction& i) {
  const uint32_t address = EffectiveAddress(cpu, i);
  if (address % 16 != 0) return cpu.Raise(TrapCause::kGeneralProtection);
  if (!cpu.CheckWrite(address, kFxImageSize)) return false;
  X87State& x87 = cpu.x87();
  std::array<uint8_t, kFxStored> image{};
  PutLittleEndian(image.data(), x87.control);
  PutLittleEndian(image.data() + 2, x87.status);
  image[4] = UsedRegisters(x87);
  PutLittleEndian(image.data() + 24, cpu.mxcsr());
  PutLittleEndian(image.data() + 28, kMxcsrMask);
  for (unsigned n = 0; n < 8; ++n) {
    PutX87Register(image.data() + kFxRegisters + 16 * n, St(x87, n));
    PutLittleEndian(image.data() + kFxXmm + 16 * n, cpu.xmm()[n]);
  }
  return StoreBytes(cpu, address, image);
}

bool Fxrstor(Cpu& cpu, const Instruction& i) {
  const uint32_t address = EffectiveAddress(cpu, i);
  if (address % 16 != 0) return cpu.Raise(TrapCause::kGeneralProtection);
  std::array<uint8_t, kFxImageSize> image;
  if (!LoadBytes(cpu, address, image)) return false;
  const uint32_t mxcsr = GetLittleEndian<uint32_t>(image.data() + 24);
  if (mxcsr & ~kMxcsrMask) return cpu.Raise(TrapCause::kGeneralProtection);
  cpu.mxcsr() = mxcsr;
  X87State& x87 = cpu.x87();
  SetControlAndStatus(x87, GetLittleEndian<uint16_t>(image.data()),
                      GetLittleEndian<uint16_t>(image.data() + 2));
  for (unsigned n = 0; n < 8; ++n) {
    St(x87, n) = GetX87Register(image.data() + kFxRegisters + 16 * n);
    cpu.xmm()[n] = GetLittleEndian<Xmm>(image.data() + kFxXmm + 16 * n);
  }
  x87.tag = FullTags(x87, image[4]);
  return true;
}

bool Nothing(Cpu&, const Instruction&) { return true; }

template <int kStep>
bool MoveTop(Cpu& cpu, const Instruction&) {
  X87State& x87 = cpu.x87();
  SetTop(x87, Top(x87) + kStep);
  x87.status &= static_cast<uint16_t>(~kC1);
  return true;
}

bool Ffree(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  SetTag(x87, Physical(x87, i.rm), Tag::kEmpty);
  x87.status &= static_cast<uint16_t>(~kC1);
  return true;
}

// Prefix 66 would choose the 16-bit forms of images, which the profile leaves out.
template <Action kAction>
constexpr Family OnImage() {
  return {.mem = kHandlers<nullptr, nullptr, kAction>};
}

}  // namespace

constinit const Family kFwait = X87<Waiting<Nothing>>();
constinit const Family kFldenv = OnImage<Waiting<Fldenv>>();
constinit const Family kFldcw = X87<nullptr, Waiting<Fldcw>>();
constinit const Family kFnstcw = X87<nullptr, Fnstcw>();
constinit const Family kFfree = X87<Waiting<Ffree>>();
constinit const Family kFrstor = OnImage<Waiting<Frstor>>();
constinit const Family kFnsave = OnImage<Fnsave>();
constinit const Family kFnstsw = X87<nullptr, FnstswMemory>();
constinit const Family kFxsave = X87<nullptr, Fxsave>();
constinit const Family kFxrstor = X87<nullptr, Fxrstor>();
constinit const Family kFnop = X87<Waiting<Nothing>>();
constinit const Family kFnstenv = OnImage<Fnstenv>();
constinit const Family kFdecstp = X87<Waiting<MoveTop<-1>>>();
constinit const Family kFincstp = X87<Waiting<MoveTop<1>>>();
constinit const Family kFnclex = X87<Fnclex>();
constinit const Family kFninit = X87<Fninit>();
constinit const Family kFnstswAx = X87<FnstswAx>();

}  // namespace vx
