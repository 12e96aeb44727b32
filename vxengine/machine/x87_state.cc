// x87 control and state: control and status word, environment, whole images (FNSAVE, FXSAVE), tags
// and the top of the stack. Arithmetic is not here.
//
// The pointers to the last instruction and its operand (FIP FCS FDP FDS FOP) are no part of the
// state: images show zeroes and what they hold is ignored.

#include <span>

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

// Exception flags in the status word, their masks in the control word.
constexpr uint16_t kExceptions = 0x3f;
constexpr uint16_t kC1 = 0x200;
constexpr unsigned kTopShift = 11;
// ES, and B, which has been its copy since the 387.
constexpr uint16_t kErrorSummary = 0x80, kSummaryBits = 0x8080;

// Of the control word as it is loaded: bits that stay, and the one that always reads as 1.
constexpr uint16_t kControlBits = 0x1f3f, kControlOnes = 0x40;

enum Tag : uint16_t { kValid, kZero, kSpecial, kEmpty };

constexpr uint32_t kEnvironmentSize = 28, kImageSize = 108, kFxImageSize = 512;
constexpr uint32_t kFxStored = 288;  // up to XMM7; the rest is the guest's
constexpr uint32_t kFxRegisters = 32, kFxXmm = 160;
constexpr uint32_t kMxcsrMask = 0xffff;

unsigned Top(const X87State& x87) { return x87.status >> kTopShift & 7; }

void SetTop(X87State& x87, unsigned top) {
  x87.status = static_cast<uint16_t>((x87.status & ~(7u << kTopShift)) | (top & 7) << kTopShift);
}

X87Register& St(X87State& x87, unsigned i) { return x87.reg[(Top(x87) + i) & 7]; }

Tag Classify(const X87Register& reg) {
  const unsigned exponent = reg.sign_exponent & 0x7fff;
  if (exponent == 0 && reg.significand == 0) return kZero;
  return exponent == 0 || exponent == 0x7fff || reg.significand >> 63 == 0 ? kSpecial : kValid;
}

Tag GetTag(const X87State& x87, unsigned physical) {
  return static_cast<Tag>(x87.tag >> (2 * physical) & 3);
}

// Tags are a function of the registers and of one bit for each, set where it is in use.
uint16_t FullTags(const X87State& x87, unsigned used) {
  unsigned tags = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const Tag tag = used >> i & 1 ? Classify(x87.reg[i]) : kEmpty;
    tags |= unsigned{tag} << (2 * i);
  }
  return static_cast<uint16_t>(tags);
}

uint8_t UsedRegisters(const X87State& x87) {
  unsigned used = 0;
  for (unsigned i = 0; i < 8; ++i) used |= unsigned{GetTag(x87, i) != kEmpty} << i;
  return static_cast<uint8_t>(used);
}

// The summary bits follow from flags and masks, whatever was loaded there.
void SetControlAndStatus(X87State& x87, uint16_t control, uint16_t status) {
  x87.control = static_cast<uint16_t>((control & kControlBits) | kControlOnes);
  const bool pending = (status & ~x87.control & kExceptions) != 0;
  x87.status = static_cast<uint16_t>((status & ~kSummaryBits) | (pending ? kSummaryBits : 0));
}

void Initialize(X87State& x87) {
  x87.control = VX_INITIAL_FCW;
  x87.status = 0;
  x87.tag = 0xffff;
}

// Instructions that wait: a pending exception is theirs, before anything else that they could do.
template <Handler kHandler>
bool Waiting(Cpu& cpu, const Instruction& i) {
  if (cpu.x87().status & kErrorSummary) return cpu.Raise(TrapCause::kX87Error);
  return kHandler(cpu, i);
}

bool StoreBytes(Cpu& cpu, uint32_t address, std::span<const uint8_t> bytes) {
  if (!cpu.CheckWrite(address, static_cast<uint32_t>(bytes.size()))) return false;
  for (uint8_t byte : bytes) cpu.Store(address++, byte);
  return true;
}

bool LoadBytes(Cpu& cpu, uint32_t address, std::span<uint8_t> bytes) {
  if (!cpu.CheckRead(address, static_cast<uint32_t>(bytes.size()))) return false;
  for (uint8_t& byte : bytes) cpu.Load(address++, &byte);
  return true;
}

void PutRegister(uint8_t* p, const X87Register& reg) {
  PutLittleEndian(p, reg.significand);
  PutLittleEndian(p + 8, reg.sign_exponent);
}

X87Register GetRegister(const uint8_t* p) {
  return {.significand = GetLittleEndian<uint64_t>(p),
          .sign_exponent = GetLittleEndian<uint16_t>(p + 8)};
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
  SetControlAndStatus(x87, x87.control | kExceptions, x87.status);
  return true;
}

bool Frstor(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  std::array<uint8_t, kImageSize> image;
  if (!LoadBytes(cpu, EffectiveAddress(cpu, i), image)) return false;
  GetEnvironment(image.data(), x87);
  for (unsigned n = 0; n < 8; ++n) {
    St(x87, n) = GetRegister(image.data() + kEnvironmentSize + 10 * n);
  }
  Retag(x87);
  return true;
}

bool Fnsave(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  std::array<uint8_t, kImageSize> image;
  PutEnvironment(image.data(), x87);
  for (unsigned n = 0; n < 8; ++n) {
    PutRegister(image.data() + kEnvironmentSize + 10 * n, St(x87, n));
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
    PutRegister(image.data() + kFxRegisters + 16 * n, St(x87, n));
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
    St(x87, n) = GetRegister(image.data() + kFxRegisters + 16 * n);
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
  x87.tag |= static_cast<uint16_t>(kEmpty << (2 * ((Top(x87) + i.rm) & 7)));
  x87.status &= static_cast<uint16_t>(~kC1);
  return true;
}

// x87 instructions have no operand size, but for the images: prefix 66 would choose their 16-bit
// forms, which the profile leaves out.
constexpr Family OnMemory(Handler handler) { return {.mem = {handler, handler, handler}}; }
constexpr Family OnImage(Handler handler) { return {.mem = {nullptr, nullptr, handler}}; }

}  // namespace

constinit const Family kFwait = Single(Waiting<Nothing>);
constinit const Family kFldenv = OnImage(Waiting<Fldenv>);
constinit const Family kFldcw = OnMemory(Waiting<Fldcw>);
constinit const Family kFnstcw = OnMemory(Fnstcw);
constinit const Family kFfree = Single(Waiting<Ffree>);
constinit const Family kFrstor = OnImage(Waiting<Frstor>);
constinit const Family kFnsave = OnImage(Fnsave);
constinit const Family kFnstsw = OnMemory(FnstswMemory);
constinit const Family kFxsave = OnMemory(Fxsave);
constinit const Family kFxrstor = OnMemory(Fxrstor);
constinit const std::array<Family, 8> kX87D9Digit2 = {Single(Waiting<Nothing>)};  // FNOP
constinit const std::array<Family, 8> kX87D9Digit6 = {
    OnImage(Fnstenv), {}, {}, {}, {}, {}, Single(Waiting<MoveTop<-1>>), Single(Waiting<MoveTop<1>>),
};
constinit const std::array<Family, 8> kX87DbDigit4 = {Family{}, {}, Single(Fnclex), Single(Fninit)};
constinit const std::array<Family, 8> kX87DfDigit4 = {Single(FnstswAx)};

}  // namespace vx
