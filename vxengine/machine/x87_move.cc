// x87 loads, stores and moves, with their conversions.

#include "vxengine/machine/families.h"
#include "vxengine/machine/x87.h"

namespace vx {
namespace {

// --- Loads ---

template <typename F>
bool LoadFloat(Cpu& cpu, const Instruction& i) {
  F bits;
  if (!RmMem::Load(cpu, i, &bits)) return false;
  X87Status status(cpu.x87());
  const Number number = Unpack(bits);
  X87Register result;
  if (!DeliverNan(number, &status, &result)) {
    result = Widen(number);
    status.raised |= number.denormal ? kDe : 0;
  }
  DeliverPush(cpu.x87(), &status, result);
  return true;
}

template <typename T>
bool LoadInteger(Cpu& cpu, const Instruction& i) {
  T bits;
  if (!RmMem::Load(cpu, i, &bits)) return false;
  X87Status status(cpu.x87());
  DeliverPush(cpu.x87(), &status, Widen(FromInteger(static_cast<std::make_signed_t<T>>(bits))));
  return true;
}

constexpr uint32_t kExtendedSize = 10, kDecimalSize = 10;

bool LoadExtended(Cpu& cpu, const Instruction& i) {
  std::array<uint8_t, kExtendedSize> bytes;
  if (!LoadBytes(cpu, EffectiveAddress(cpu, i), bytes)) return false;
  X87Status status(cpu.x87());
  DeliverPush(cpu.x87(), &status, GetX87Register(bytes.data()));
  return true;
}

// 18 decimal digits, two in a byte, and a byte whose top bit is the sign.
bool LoadDecimal(Cpu& cpu, const Instruction& i) {
  std::array<uint8_t, kDecimalSize> bytes;
  if (!LoadBytes(cpu, EffectiveAddress(cpu, i), bytes)) return false;
  uint64_t value = 0;
  for (unsigned n = kDecimalSize - 1; n-- > 0;) {
    value = value * 100 + (bytes[n] >> 4) * 10u + (bytes[n] & 15);
  }
  const Number number = Normalize(bytes.back() >> 7 != 0, 63, value);
  X87Status status(cpu.x87());
  DeliverPush(cpu.x87(), &status, Widen(number));
  return true;
}

bool LoadSt(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const X87Register value = IsEmpty(x87, i.rm) ? status.StackUnderflow() : St(x87, i.rm);
  DeliverPush(x87, &status, value);
  return true;
}

// Intel SDM vol. 2A, FLD1: with more bits than fit, so that they are rounded like other results.
// log2 10, log2 e, pi, log10 2, ln 2.
constexpr Exact Constant(int32_t exponent, uint64_t significand, uint64_t rest) {
  return {Kind::kFinite, false, exponent, significand, rest};
}
constexpr std::array<Exact, 7> kConstants = {
    Constant(0, kTopBit, 0),
    Constant(1, 0xd49a784bcd1b8afe, 0x492bf6ff4dafdb4c),
    Constant(0, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e88),
    Constant(1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1),
    Constant(-2, 0x9a209a84fbcff798, 0x8f8959ac0b7c9178),
    Constant(-1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af),
    Exact(),
};

template <unsigned kNumber>
bool LoadConstant(Cpu& cpu, const Instruction&) {
  X87Status status(cpu.x87());
  const X87Register value = Finish(kExtended, kConstants[kNumber], false, &status);
  status.raised = 0;
  status.rounded_up = false;
  DeliverPush(cpu.x87(), &status, value);
  return true;
}

// --- Stores ---

// Where there is nothing to be stored, because of an exception that isn't masked, memory isn't
// looked at.

// Converts ST(0) or raises what keeps it from being converted: out of range, too, if that traps.
template <typename F>
F ToFloat(const X87State& x87, X87Status* status) {
  using L = FloatLayout<F>;
  if (IsEmpty(x87, 0)) {
    status->StackUnderflow();
    return L::kDefaultNan;
  }
  const Number number = Unpack(St(x87, 0));
  if (number.kind == Kind::kUnsupported) {
    status->Invalid();
    return L::kDefaultNan;
  }
  if (number.nan()) {
    if (number.kind == Kind::kSignallingNan) status->raised |= kIe;
    return Pack<F>(Quiet(number));
  }
  return RoundTo<F>(ToExact(number), status);
}

template <typename T>
T ToInteger(const X87State& x87, X87Status* status) {
  using Signed = std::make_signed_t<T>;
  constexpr T kIndefinite = T{1} << (8 * sizeof(T) - 1);
  if (IsEmpty(x87, 0)) {
    status->StackUnderflow();
    return kIndefinite;
  }
  Signed value;
  if (!ToSigned(Unpack(St(x87, 0)), status->rounding, status, &value)) {
    status->Invalid();
    return kIndefinite;
  }
  return static_cast<T>(value);
}

template <typename T, T (*kConvert)(const X87State&, X87Status*), unsigned kPops>
bool StoreConverted(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const T value = kConvert(x87, &status);
  if (status.traps(kBeforeResult | kOe | kUe)) {
    status.raised &= ~kPe;
    status.rounded_up = false;
    status.Report(x87);
    return true;
  }
  if (!RmMem::Store(cpu, i, value)) return false;
  status.Report(x87);
  for (unsigned n = 0; n < kPops; ++n) Pop(x87);
  return true;
}

// Stores ten bytes and pops.
bool StoreTenBytes(Cpu& cpu, const Instruction& i, const X87Status& status,
                   std::span<const uint8_t> bytes) {
  if (status.traps(kBeforeResult)) {
    status.Report(cpu.x87());
    return true;
  }
  if (!StoreBytes(cpu, EffectiveAddress(cpu, i), bytes)) return false;
  status.Report(cpu.x87());
  Pop(cpu.x87());
  return true;
}

bool StoreExtended(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  std::array<uint8_t, kExtendedSize> bytes;
  PutX87Register(bytes.data(), IsEmpty(x87, 0) ? status.StackUnderflow() : St(x87, 0));
  return StoreTenBytes(cpu, i, status, bytes);
}

bool StoreDecimal(Cpu& cpu, const Instruction& i) {
  constexpr uint64_t kEnd = 1'000'000'000'000'000'000;
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  std::array<uint8_t, kDecimalSize> bytes = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};  // indefinite
  const Number number = Unpack(St(x87, 0));
  if (IsEmpty(x87, 0)) {
    status.StackUnderflow();
  } else if (number.kind > Kind::kZero) {
    status.Invalid();
  } else {
    const Integer integer = RoundToInteger(number, status.rounding);
    if (integer.too_large || integer.magnitude >= kEnd) {
      status.Invalid();
    } else {
      uint64_t rest = integer.magnitude;
      for (unsigned n = 0; n < kDecimalSize - 1; ++n, rest /= 100) {
        bytes[n] = static_cast<uint8_t>(rest % 100 / 10 << 4 | rest % 10);
      }
      bytes.back() = number.sign ? 0x80 : 0;
      if (integer.inexact) status.raised |= kPe;
      status.rounded_up = integer.up;
    }
  }
  return StoreTenBytes(cpu, i, status, bytes);
}

template <unsigned kPops>
bool StoreSt(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const X87Register value = IsEmpty(x87, 0) ? status.StackUnderflow() : St(x87, 0);
  Deliver(x87, status, value, i.rm, kPops);
  return true;
}

// --- Between registers ---

bool Fxch(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const X87Register top = IsEmpty(x87, 0) ? status.StackUnderflow() : St(x87, 0);
  const X87Register other = IsEmpty(x87, i.rm) ? status.StackUnderflow() : St(x87, i.rm);
  if (!status.Report(x87)) return true;
  SetSt(x87, 0, other);
  SetSt(x87, i.rm, top);
  return true;
}

// FCMOVcc: B E BE U.
template <unsigned kCondition, bool kOpposite>
bool Fcmov(Cpu& cpu, const Instruction& i) {
  X87State& x87 = cpu.x87();
  X87Status status(x87);
  const bool flags[4] = {cpu.flags.cf(), cpu.flags.zf(), cpu.flags.cf() || cpu.flags.zf(),
                         cpu.flags.pf()};
  X87Register result;
  if (IsEmpty(x87, 0) || IsEmpty(x87, i.rm)) {
    result = status.StackUnderflow();
  } else {
    result = St(x87, flags[kCondition] != kOpposite ? i.rm : 0);
  }
  if (status.ReportButC1(x87)) SetSt(x87, 0, result);
  return true;
}

template <typename F, unsigned kPops>
constexpr Family StoreFloatFamily() {
  return X87<nullptr, Waiting<StoreConverted<F, ToFloat<F>, kPops>>>();
}

template <typename T, unsigned kPops>
constexpr Family StoreIntegerFamily() {
  return X87<nullptr, Waiting<StoreConverted<T, ToInteger<T>, kPops>>>();
}

template <bool kOpposite>
constexpr std::array<Family, 4> FcmovFamilies() {
  return {X87<Waiting<Fcmov<0, kOpposite>>>(), X87<Waiting<Fcmov<1, kOpposite>>>(),
          X87<Waiting<Fcmov<2, kOpposite>>>(), X87<Waiting<Fcmov<3, kOpposite>>>()};
}

}  // namespace

constinit const Family kFldFloat32 = X87<nullptr, Waiting<LoadFloat<uint32_t>>>();
constinit const Family kFldFloat64 = X87<nullptr, Waiting<LoadFloat<uint64_t>>>();
constinit const Family kFldFloat80 = X87<nullptr, Waiting<LoadExtended>>();
constinit const Family kFstFloat32 = StoreFloatFamily<uint32_t, 0>();
constinit const Family kFstFloat64 = StoreFloatFamily<uint64_t, 0>();
constinit const Family kFstpFloat32 = StoreFloatFamily<uint32_t, 1>();
constinit const Family kFstpFloat64 = StoreFloatFamily<uint64_t, 1>();
constinit const Family kFstpFloat80 = X87<nullptr, Waiting<StoreExtended>>();
constinit const Family kFildInt16 = X87<nullptr, Waiting<LoadInteger<uint16_t>>>();
constinit const Family kFildInt32 = X87<nullptr, Waiting<LoadInteger<uint32_t>>>();
constinit const Family kFildInt64 = X87<nullptr, Waiting<LoadInteger<uint64_t>>>();
constinit const Family kFistInt16 = StoreIntegerFamily<uint16_t, 0>();
constinit const Family kFistInt32 = StoreIntegerFamily<uint32_t, 0>();
constinit const Family kFistpInt16 = StoreIntegerFamily<uint16_t, 1>();
constinit const Family kFistpInt32 = StoreIntegerFamily<uint32_t, 1>();
constinit const Family kFistpInt64 = StoreIntegerFamily<uint64_t, 1>();
constinit const Family kFbld = X87<nullptr, Waiting<LoadDecimal>>();
constinit const Family kFbstp = X87<nullptr, Waiting<StoreDecimal>>();
constinit const Family kFldSt = X87<Waiting<LoadSt>>();
constinit const Family kFstSt = X87<Waiting<StoreSt<0>>>();
constinit const Family kFstpSt = X87<Waiting<StoreSt<1>>>();
constinit const Family kFxch = X87<Waiting<Fxch>>();
constinit const std::array<Family, 7> kX87Constants = {
    X87<Waiting<LoadConstant<0>>>(), X87<Waiting<LoadConstant<1>>>(),
    X87<Waiting<LoadConstant<2>>>(), X87<Waiting<LoadConstant<3>>>(),
    X87<Waiting<LoadConstant<4>>>(), X87<Waiting<LoadConstant<5>>>(),
    X87<Waiting<LoadConstant<6>>>()};
constinit const std::array<Family, 4> kFcmov = FcmovFamilies<false>();
constinit const std::array<Family, 4> kFcmovn = FcmovFamilies<true>();

}  // namespace vx
