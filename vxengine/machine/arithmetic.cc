// ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NOT NEG, XADD, CMPXCHG and CMPXCHG8B.

#include "vxengine/machine/alu.h"
#include "vxengine/machine/families.h"
#include "vxengine/machine/operands.h"

namespace vx {
namespace {

// destination = Op(destination, source)
template <typename Op, typename T, typename Destination, typename Source>
bool Binary(Cpu& cpu, const Instruction& i) {
  T source;
  if (!Source::Load(cpu, i, &source)) return false;
  if constexpr (Op::kWrites) {
    return Destination::template Modify<T>(
        cpu, i, [&](T destination) { return Op::Do(cpu.flags, destination, source); });
  } else {
    T destination;
    if (!Destination::Load(cpu, i, &destination)) return false;
    Op::Do(cpu.flags, destination, source);
    return true;
  }
}

// ModRM.rm = Op(ModRM.rm, Source)
template <typename Op, typename Source>
struct ToRm {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) { return Binary<Op, T, Rm, Source>(cpu, i); }
  };
  static constexpr Family kFamily = AllSizes<Handler>(Op::kWrites);
};

// ModRM.reg = Op(ModRM.reg, ModRM.rm)
template <typename Op>
struct ToReg {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) { return Binary<Op, T, Reg, Rm>(cpu, i); }
  };
  static constexpr Family kFamily = AllSizes<Handler>();
};

struct Inc {
  template <typename T>
  static T Do(Flags& flags, T a) {
    const T r = static_cast<T>(uint32_t{a} + 1);
    flags.SetArithmeticButCf(r, Carries(a, T{1}, r));
    return r;
  }
};

struct Dec {
  template <typename T>
  static T Do(Flags& flags, T a) {
    const T r = static_cast<T>(uint32_t{a} - 1);
    flags.SetArithmeticButCf(r, Borrows(a, T{1}, r));
    return r;
  }
};

struct Neg {
  template <typename T>
  static T Do(Flags& flags, T a) {
    return Sub::Do(flags, T{0}, a);
  }
};

struct Not {
  template <typename T>
  static T Do(Flags&, T a) {
    return static_cast<T>(~a);
  }
};

// ModRM.rm = Op(ModRM.rm)
template <typename Op>
struct Unary {
  template <typename T, typename Rm>
  struct Handler {
    static bool Do(Cpu& cpu, const Instruction& i) {
      return Rm::template Modify<T>(cpu, i, [&](T a) { return Op::Do(cpu.flags, a); });
    }
  };
  static constexpr Family kFamily = AllSizes<Handler>(true);
};

template <typename T, typename Rm>
struct Xadd {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T old = 0;
    const T addend = GetRegister<T>(cpu, i.reg);
    if constexpr (std::is_same_v<Rm, RmReg>) {
      // Where both are one register, the sum is what stays.
      old = GetRegister<T>(cpu, i.rm);
      SetRegister<T>(cpu, i.reg, old);
      SetRegister<T>(cpu, i.rm, Add::Do(cpu.flags, old, addend));
      return true;
    } else {
      if (!Rm::template Modify<T>(cpu, i, [&](T a) {
            old = a;
            return Add::Do(cpu.flags, a, addend);
          })) {
        return false;
      }
      SetRegister<T>(cpu, i.reg, old);
      return true;
    }
  }
};

template <typename T, typename Rm>
struct Cmpxchg {
  static bool Do(Cpu& cpu, const Instruction& i) {
    T old = 0;
    const T expected = GetRegister<T>(cpu, kEax);
    const T desired = GetRegister<T>(cpu, i.reg);
    if (!Rm::template Modify<T>(cpu, i, [&](T a) {
          old = a;
          return a == expected ? desired : a;
        })) {
      return false;
    }
    Cmp::Do(cpu.flags, expected, old);
    if (old != expected) SetRegister<T>(cpu, kEax, old);
    return true;
  }
};

bool Cmpxchg8b(Cpu& cpu, const Instruction& i) {
  uint64_t old = 0;
  const uint64_t expected = uint64_t{cpu.gpr[kEdx]} << 32 | cpu.gpr[kEax];
  const uint64_t desired = uint64_t{cpu.gpr[kEcx]} << 32 | cpu.gpr[kEbx];
  if (!RmMem::Modify<uint64_t>(cpu, i, [&](uint64_t a) {
        old = a;
        return a == expected ? desired : a;
      })) {
    return false;
  }
  cpu.flags.Replace(kZf, When(old == expected, kZf));
  if (old != expected) {
    cpu.gpr[kEax] = static_cast<uint32_t>(old);
    cpu.gpr[kEdx] = static_cast<uint32_t>(old >> 32);
  }
  return true;
}

template <template <typename> typename F>
constexpr std::array<Family, 8> ByOperation() {
  return {F<Add>::kFamily, F<Or>::kFamily,  F<Adc>::kFamily, F<Sbb>::kFamily,
          F<And>::kFamily, F<Sub>::kFamily, F<Xor>::kFamily, F<Cmp>::kFamily};
}

template <typename Op>
using RegToRm = ToRm<Op, Reg>;
template <typename Op>
using ImmediateToRm = ToRm<Op, Immediate>;

}  // namespace

constinit const std::array<Family, 8> kArithmeticRmReg = ByOperation<RegToRm>();
constinit const std::array<Family, 8> kArithmeticRegRm = ByOperation<ToReg>();
constinit const std::array<Family, 8> kArithmeticImmediate = ByOperation<ImmediateToRm>();
constinit const Family kTestReg = RegToRm<Test>::kFamily;
constinit const Family kTestImmediate = ImmediateToRm<Test>::kFamily;
constinit const Family kInc = Unary<Inc>::kFamily;
constinit const Family kDec = Unary<Dec>::kFamily;
constinit const Family kNot = Unary<Not>::kFamily;
constinit const Family kNeg = Unary<Neg>::kFamily;
constinit const Family kXadd = AllSizes<Xadd>(true);
constinit const Family kCmpxchg = AllSizes<Cmpxchg>(true);
constinit const Family kCmpxchg8b = {.mem = kHandlers<nullptr, Cmpxchg8b, Cmpxchg8b>,
                                     .lockable = true};

}  // namespace vx
