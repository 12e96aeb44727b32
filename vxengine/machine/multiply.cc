// MUL IMUL DIV IDIV. MACHINE.md says what happens to the flags that manuals leave undefined.

#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

template <typename T>
constexpr unsigned kBits = 8 * sizeof(T);

// The double-width accumulator: AX, DX:AX or EDX:EAX.
template <typename T>
uint64_t GetAccumulator(const Cpu& cpu) {
  if constexpr (sizeof(T) == 1) return GetRegister<uint16_t>(cpu, kEax);
  return uint64_t{GetRegister<T>(cpu, kEdx)} << kBits<T> | GetRegister<T>(cpu, kEax);
}

template <typename T>
void SetAccumulator(Cpu& cpu, T high, T low) {
  constexpr unsigned kAh = 4;
  SetRegister<T>(cpu, kEax, low);
  SetRegister<T>(cpu, sizeof(T) == 1 ? kAh : unsigned{kEdx}, high);
}

// Sign-extends the low `bits` bits.
int64_t SignExtend(uint64_t value, unsigned bits) {
  const uint64_t sign = uint64_t{1} << (bits - 1);
  const uint64_t low = value & (sign | (sign - 1));
  return static_cast<int64_t>((low ^ sign) - sign);
}

template <typename T, typename Rm>
struct Mul {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T factor;
    if (!Rm::Load(cpu, i, &factor)) return false;
    const uint64_t product = uint64_t{GetRegister<T>(cpu, kEax)} * factor;
    const T high = static_cast<T>(product >> kBits<T>);
    SetAccumulator<T>(cpu, high, static_cast<T>(product));
    cpu.flags.SetCfAndOf(high != 0, high != 0);
    return true;
  }
};

// The product's low bits, and in `overflow` whether more were needed.
template <typename T>
uint64_t SignedProduct(T a, T b, bool* overflow) {
  const int64_t product = SignExtend(a, kBits<T>) * SignExtend(b, kBits<T>);
  *overflow = SignExtend(static_cast<uint64_t>(product), kBits<T>) != product;
  return static_cast<uint64_t>(product);
}

template <typename T, typename Rm>
struct ImulAccumulator {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T factor;
    if (!Rm::Load(cpu, i, &factor)) return false;
    bool overflow;
    const uint64_t product = SignedProduct<T>(GetRegister<T>(cpu, kEax), factor, &overflow);
    SetAccumulator<T>(cpu, static_cast<T>(product >> kBits<T>), static_cast<T>(product));
    cpu.flags.SetCfAndOf(overflow, overflow);
    return true;
  }
};

// ModRM.reg = ModRM.rm * Factor
template <typename Factor>
struct Imul {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      T a, b;
      if (!Rm::Load(cpu, i, &a) || !Factor::Load(cpu, i, &b)) return false;
      bool overflow;
      SetRegister<T>(cpu, i.reg, static_cast<T>(SignedProduct<T>(a, b, &overflow)));
      cpu.flags.SetCfAndOf(overflow, overflow);
      return true;
    }
  };
  static constexpr Family kFamily = WordSizes<Handler>();
};

// CF and OF stay.
void SetFlagsAfterDivision(Flags& flags) { flags.Replace(kPf | kAf | kZf | kSf, kAf); }

template <typename T, typename Rm>
struct Div {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T divisor;
    if (!Rm::Load(cpu, i, &divisor)) return false;
    const uint64_t dividend = GetAccumulator<T>(cpu);
    if (divisor == 0 || dividend / divisor >> kBits<T> != 0) {
      return cpu.Raise(TrapCause::kDivideError);
    }
    SetAccumulator<T>(cpu, static_cast<T>(dividend % divisor), static_cast<T>(dividend / divisor));
    SetFlagsAfterDivision(cpu.flags);
    return true;
  }
};

template <typename T, typename Rm>
struct Idiv {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T operand;
    if (!Rm::Load(cpu, i, &operand)) return false;
    const int64_t dividend = SignExtend(GetAccumulator<T>(cpu), 2 * kBits<T>);
    const int64_t divisor = SignExtend(operand, kBits<T>);
    // The smallest dividend's quotient by -1 has no representation, not even on the host.
    if (divisor == 0 || (divisor == -1 && dividend == INT64_MIN)) {
      return cpu.Raise(TrapCause::kDivideError);
    }
    const int64_t quotient = dividend / divisor;
    if (SignExtend(static_cast<uint64_t>(quotient), kBits<T>) != quotient) {
      return cpu.Raise(TrapCause::kDivideError);
    }
    SetAccumulator<T>(cpu, static_cast<T>(dividend % divisor), static_cast<T>(quotient));
    SetFlagsAfterDivision(cpu.flags);
    return true;
  }
};

}  // namespace

constinit const Family kMul = AllSizes<Mul>();
constinit const Family kImulAccumulator = AllSizes<ImulAccumulator>();
constinit const Family kImulReg = Imul<Reg>::kFamily;
constinit const Family kImulImmediate = Imul<Immediate>::kFamily;
constinit const Family kDiv = AllSizes<Div>();
constinit const Family kIdiv = AllSizes<Idiv>();

}  // namespace vx
