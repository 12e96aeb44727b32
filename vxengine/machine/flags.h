// The six status flags (CF PF AF ZF SF OF), kept as the last result and the carries that made it:
// most are never looked at, so each is worked out only when asked for.
#ifndef VXENGINE_MACHINE_FLAGS_H_
#define VXENGINE_MACHINE_FLAGS_H_

#include <bit>
#include <cstdint>
#include <type_traits>

#include "vxengine/machine/outcome.h"

namespace vx {

constexpr uint32_t When(bool condition, uint32_t bits) { return condition ? bits : 0; }

class Flags {
 public:
  bool cf() const { return carries_ >> 31 != 0; }
  bool of() const { return (carries_ ^ carries_ << 1) >> 31 != 0; }
  bool af() const { return (carries_ & kAfCarry) != 0; }
  bool zf() const { return static_cast<uint32_t>(result_) == 0; }
  bool sf() const { return result_ >> 63 != 0; }
  bool pf() const { return std::popcount((result_ ^ result_ >> 32) & 0xff) % 2 == 0; }

  // All six, at their places in EFLAGS.
  uint32_t Get() const {
    return When(cf(), kCf) | When(pf(), kPf) | When(af(), kAf) | When(zf(), kZf) | When(sf(), kSf) |
           When(of(), kOf);
  }

  // Sets all six from their places in EFLAGS.
  void Set(uint32_t eflags) {
    SetCarries((eflags & kCf) != 0, (eflags & kAf) != 0, (eflags & kOf) != 0);
    const bool zf = (eflags & kZf) != 0, pf = (eflags & kPf) != 0;
    result_ = (zf ? 0 : uint64_t{1}) | (zf == pf ? 0 : uint64_t{1} << 32) |
              (eflags & kSf ? uint64_t{1} << 63 : 0);
  }

  // Replaces the flags in `which` by those in `eflags`.
  void Replace(uint32_t which, uint32_t eflags) { Set((Get() & ~which) | (eflags & which)); }

  void SetCf(bool cf) {
    // OF is the difference of the two top carries, so both change or none.
    if (cf != this->cf()) carries_ ^= kCfCarry | kTopCarry;
  }

  // PF, ZF and SF from the result; CF, AF and OF from the carries: bit n tells whether bit n
  // carried (or borrowed) into bit n + 1.
  template <typename T>
  void SetArithmetic(T result, uint32_t carries) {
    SetResult(result);
    carries_ = Align<T>(carries);
  }

  // The same, but CF stays (INC and DEC).
  template <typename T>
  void SetArithmeticButCf(T result, uint32_t carries) {
    SetResult(result);
    const uint32_t aligned = Align<T>(carries);
    const uint32_t change = (aligned ^ carries_) & kCfCarry;
    carries_ = aligned ^ change ^ change >> 1;
  }

  // PF, ZF and SF from the result; CF, AF and OF as told.
  template <typename T>
  void SetResultAnd(T result, bool cf, bool af, bool of) {
    SetResult(result);
    SetCarries(cf, af, of);
  }

  // CF and OF as told; the others stay.
  void SetCfAndOf(bool cf, bool of) { SetCarries(cf, af(), of); }

 private:
  static constexpr uint32_t kCfCarry = 1u << 31;  // the carry out of the top bit
  static constexpr uint32_t kTopCarry = 1u
                                        << 30;  // the carry into the top bit: OF where it differs
  static constexpr uint32_t kAfCarry = 1u << 3;

  // Moves the two top carries of a narrow operand to bits 31 and 30; AF's stays.
  template <typename T>
  static uint32_t Align(uint32_t carries) {
    if constexpr (sizeof(T) == 4) return carries;
    return carries << (32 - 8 * sizeof(T)) | (carries & kAfCarry);
  }

  // Sign extension puts SF into bit 63 and eight equal bits at 32-39, which leave PF as it is.
  template <typename T>
  void SetResult(T result) {
    result_ = static_cast<uint64_t>(int64_t{static_cast<std::make_signed_t<T>>(result)});
  }

  void SetCarries(bool cf, bool af, bool of) {
    carries_ = When(cf, kCfCarry) | When(cf != of, kTopCarry) | When(af, kAfCarry);
  }

  uint64_t result_ = 1;   // ZF: bits 0-31 are 0; SF: bit 63; PF: bits 0-7 xor bits 32-39 are even
  uint32_t carries_ = 0;  // CF: bit 31; OF: bit 31 xor bit 30; AF: bit 3
};

// The conditions of Jcc, SETcc and CMOVcc by the low four bits of the opcode (Intel SDM vol. 1,
// appendix B).
template <unsigned kCode>
bool Condition(const Flags& flags) {
  static_assert(kCode < 16);
  if constexpr (kCode % 2 == 1) return !Condition<kCode - 1>(flags);
  switch (kCode / 2) {
    case 0:
      return flags.of();
    case 1:
      return flags.cf();
    case 2:
      return flags.zf();
    case 3:
      return flags.cf() || flags.zf();
    case 4:
      return flags.sf();
    case 5:
      return flags.pf();
    case 6:
      return flags.sf() != flags.of();
    default:
      return flags.zf() || flags.sf() != flags.of();
  }
}

}  // namespace vx

#endif  // VXENGINE_MACHINE_FLAGS_H_
