// Packed integer arithmetic, comparison, logic and shifts of SSE2.

#include <algorithm>
#include <limits>

#include "vxengine/machine/families.h"
#include "vxengine/machine/simd.h"

namespace vx {
namespace {

// Lane by lane: kOp(destination, source), both T.
template <typename T, T (*kOp)(T, T)>
Xmm Lanewise(const Xmm& a, const Xmm& b) {
  const Lanes<T> x = Split<T>(a), y = Split<T>(b);
  Lanes<T> r;
  for (unsigned n = 0; n < r.size(); ++n) r[n] = kOp(x[n], y[n]);
  return Join<T>(r);
}

// The nearest value that T has.
template <typename T>
T Saturate(int32_t value) {
  return static_cast<T>(
      std::clamp<int32_t>(value, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

template <typename T>
T WrappingAdd(T a, T b) {
  return static_cast<T>(a + b);
}
template <typename T>
T WrappingSub(T a, T b) {
  return static_cast<T>(a - b);
}
template <typename T>
T SaturatingAdd(T a, T b) {
  return Saturate<T>(int32_t{a} + b);
}
template <typename T>
T SaturatingSub(T a, T b) {
  return Saturate<T>(int32_t{a} - b);
}
template <typename T>
T Least(T a, T b) {
  return std::min(a, b);
}
template <typename T>
T Greatest(T a, T b) {
  return std::max(a, b);
}
template <typename T>
T Equal(T a, T b) {
  return static_cast<T>(a == b ? -1 : 0);
}
template <typename T>
T Greater(T a, T b) {
  return static_cast<T>(a > b ? -1 : 0);
}
template <typename T>
T Average(T a, T b) {
  return static_cast<T>((uint32_t{a} + b + 1) >> 1);
}
int16_t LowProduct(int16_t a, int16_t b) { return static_cast<int16_t>(int32_t{a} * b); }
int16_t HighProduct(int16_t a, int16_t b) { return static_cast<int16_t>(int32_t{a} * b >> 16); }
uint16_t HighUnsignedProduct(uint16_t a, uint16_t b) {
  return static_cast<uint16_t>(uint32_t{a} * b >> 16);
}
uint64_t EvenProduct(uint64_t a, uint64_t b) { return (a & 0xffffffff) * (b & 0xffffffff); }
uint64_t BitAnd(uint64_t a, uint64_t b) { return a & b; }
uint64_t BitAndNot(uint64_t a, uint64_t b) { return ~a & b; }
uint64_t BitOr(uint64_t a, uint64_t b) { return a | b; }
uint64_t BitXor(uint64_t a, uint64_t b) { return a ^ b; }

// Sums of the products of neighbours. Only four times -32768 * -32768 wraps, to 0x80000000.
Xmm Pmaddwd(const Xmm& a, const Xmm& b) {
  const Lanes<int16_t> x = Split<int16_t>(a), y = Split<int16_t>(b);
  Lanes<uint32_t> r;
  for (unsigned n = 0; n < r.size(); ++n) {
    r[n] = static_cast<uint32_t>(int32_t{x[2 * n]} * y[2 * n]) +
           static_cast<uint32_t>(int32_t{x[2 * n + 1]} * y[2 * n + 1]);
  }
  return Join<uint32_t>(r);
}

// Sums of absolute differences of the bytes in each half.
Xmm Psadbw(const Xmm& a, const Xmm& b) {
  const Lanes<uint8_t> x = Split<uint8_t>(a), y = Split<uint8_t>(b);
  Xmm r;
  for (unsigned n = 0; n < x.size(); ++n) {
    r.lane[n / 8] += static_cast<uint64_t>(x[n] > y[n] ? x[n] - y[n] : y[n] - x[n]);
  }
  return r;
}

// Shifts of lanes: by more than a lane has bits, all go (SRA: all become the sign).
template <typename T>
T ShiftLeft(T a, uint64_t count) {
  return count < 8 * sizeof(T) ? static_cast<T>(uint64_t{a} << count) : T{0};
}
template <typename T>
T ShiftRight(T a, uint64_t count) {
  return count < 8 * sizeof(T) ? static_cast<T>(a >> count) : T{0};
}
template <typename T>
T ShiftRightSigned(T a, uint64_t count) {
  const std::make_signed_t<T> value = static_cast<std::make_signed_t<T>>(a);
  return static_cast<T>(value >> std::min<uint64_t>(count, 8 * sizeof(T) - 1));
}

template <typename T, T (*kOp)(T, uint64_t)>
Xmm ShiftLanes(const Xmm& a, uint64_t count) {
  Lanes<T> lanes = Split<T>(a);
  for (T& lane : lanes) lane = kOp(lane, count);
  return Join<T>(lanes);
}

// By the low 64 bits of the source.
template <typename T, T (*kOp)(T, uint64_t)>
Xmm ShiftByXmm(const Xmm& a, const Xmm& count) {
  return ShiftLanes<T, kOp>(a, count.lane[0]);
}

// By an immediate: the register is ModRM.rm.
template <typename T, T (*kOp)(T, uint64_t)>
bool ShiftByImmediate(Cpu& cpu, const Instruction& i) {
  Xmm& xmm = cpu.xmm()[i.rm];
  xmm = ShiftLanes<T, kOp>(xmm, i.immediate & 0xff);
  return true;
}

// The whole register by bytes: PSLLDQ and PSRLDQ.
template <bool kLeft>
bool ShiftBytes(Cpu& cpu, const Instruction& i) {
  const unsigned count = std::min<unsigned>(i.immediate & 0xff, 16);
  const Lanes<uint8_t> from = Split<uint8_t>(cpu.xmm()[i.rm]);
  Lanes<uint8_t> to{};
  for (unsigned n = 0; n + count < to.size(); ++n) {
    if (kLeft) {
      to[n + count] = from[n];
    } else {
      to[n] = from[n + count];
    }
  }
  cpu.xmm()[i.rm] = Join<uint8_t>(to);
  return true;
}

template <typename T, T (*kOp)(T, T)>
constexpr Family Packed() {
  return SseBinary<Lanewise<T, kOp>>::kFamily;
}

template <typename T, T (*kOp)(T, uint64_t)>
constexpr Family Shift() {
  return SseBinary<ShiftByXmm<T, kOp>>::kFamily;
}

template <typename T, T (*kOp)(T, uint64_t)>
constexpr Family ShiftImmediate() {
  return Sse<ShiftByImmediate<T, kOp>, nullptr>();
}

}  // namespace

constinit const Family kPaddb = Packed<uint8_t, WrappingAdd>();
constinit const Family kPaddw = Packed<uint16_t, WrappingAdd>();
constinit const Family kPaddd = Packed<uint32_t, WrappingAdd>();
constinit const Family kPaddq = Packed<uint64_t, WrappingAdd>();
constinit const Family kPsubb = Packed<uint8_t, WrappingSub>();
constinit const Family kPsubw = Packed<uint16_t, WrappingSub>();
constinit const Family kPsubd = Packed<uint32_t, WrappingSub>();
constinit const Family kPsubq = Packed<uint64_t, WrappingSub>();
constinit const Family kPaddsb = Packed<int8_t, SaturatingAdd>();
constinit const Family kPaddsw = Packed<int16_t, SaturatingAdd>();
constinit const Family kPaddusb = Packed<uint8_t, SaturatingAdd>();
constinit const Family kPaddusw = Packed<uint16_t, SaturatingAdd>();
constinit const Family kPsubsb = Packed<int8_t, SaturatingSub>();
constinit const Family kPsubsw = Packed<int16_t, SaturatingSub>();
constinit const Family kPsubusb = Packed<uint8_t, SaturatingSub>();
constinit const Family kPsubusw = Packed<uint16_t, SaturatingSub>();
constinit const Family kPminub = Packed<uint8_t, Least>();
constinit const Family kPmaxub = Packed<uint8_t, Greatest>();
constinit const Family kPminsw = Packed<int16_t, Least>();
constinit const Family kPmaxsw = Packed<int16_t, Greatest>();
constinit const Family kPavgb = Packed<uint8_t, Average>();
constinit const Family kPavgw = Packed<uint16_t, Average>();
constinit const Family kPcmpeqb = Packed<uint8_t, Equal>();
constinit const Family kPcmpeqw = Packed<uint16_t, Equal>();
constinit const Family kPcmpeqd = Packed<uint32_t, Equal>();
constinit const Family kPcmpgtb = Packed<int8_t, Greater>();
constinit const Family kPcmpgtw = Packed<int16_t, Greater>();
constinit const Family kPcmpgtd = Packed<int32_t, Greater>();
constinit const Family kPmullw = Packed<int16_t, LowProduct>();
constinit const Family kPmulhw = Packed<int16_t, HighProduct>();
constinit const Family kPmulhuw = Packed<uint16_t, HighUnsignedProduct>();
constinit const Family kPmuludq = Packed<uint64_t, EvenProduct>();
constinit const Family kPmaddwd = SseBinary<Pmaddwd>::kFamily;
constinit const Family kPsadbw = SseBinary<Psadbw>::kFamily;
constinit const Family kSseAnd = Packed<uint64_t, BitAnd>();
constinit const Family kSseAndNot = Packed<uint64_t, BitAndNot>();
constinit const Family kSseOr = Packed<uint64_t, BitOr>();
constinit const Family kSseXor = Packed<uint64_t, BitXor>();
constinit const Family kPsllw = Shift<uint16_t, ShiftLeft>();
constinit const Family kPslld = Shift<uint32_t, ShiftLeft>();
constinit const Family kPsllq = Shift<uint64_t, ShiftLeft>();
constinit const Family kPsrlw = Shift<uint16_t, ShiftRight>();
constinit const Family kPsrld = Shift<uint32_t, ShiftRight>();
constinit const Family kPsrlq = Shift<uint64_t, ShiftRight>();
constinit const Family kPsraw = Shift<uint16_t, ShiftRightSigned>();
constinit const Family kPsrad = Shift<uint32_t, ShiftRightSigned>();
constinit const Family kPsllwImmediate = ShiftImmediate<uint16_t, ShiftLeft>();
constinit const Family kPslldImmediate = ShiftImmediate<uint32_t, ShiftLeft>();
constinit const Family kPsllqImmediate = ShiftImmediate<uint64_t, ShiftLeft>();
constinit const Family kPsrlwImmediate = ShiftImmediate<uint16_t, ShiftRight>();
constinit const Family kPsrldImmediate = ShiftImmediate<uint32_t, ShiftRight>();
constinit const Family kPsrlqImmediate = ShiftImmediate<uint64_t, ShiftRight>();
constinit const Family kPsrawImmediate = ShiftImmediate<uint16_t, ShiftRightSigned>();
constinit const Family kPsradImmediate = ShiftImmediate<uint32_t, ShiftRightSigned>();
constinit const Family kPslldq = Sse<ShiftBytes<true>, nullptr>();
constinit const Family kPsrldq = Sse<ShiftBytes<false>, nullptr>();

}  // namespace vx
