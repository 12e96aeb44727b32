// Interleaving, narrowing and shuffling of XMM lanes.

#include <algorithm>
#include <limits>

#include "vxengine/machine/families.h"
#include "vxengine/machine/simd.h"

namespace vx {
namespace {

// Lanes of the low or high half of both in turn, the destination's first: PUNPCK*, UNPCK*.
template <typename T, bool kHigh>
Xmm Interleave(const Xmm& a, const Xmm& b) {
  const Lanes<T> x = Split<T>(a), y = Split<T>(b);
  constexpr unsigned kHalf = 8 / sizeof(T), kFrom = kHigh ? kHalf : 0;
  Lanes<T> r;
  for (unsigned n = 0; n < kHalf; ++n) {
    r[2 * n] = x[kFrom + n];
    r[2 * n + 1] = y[kFrom + n];
  }
  return Join<T>(r);
}

// Signed lanes narrowed to the nearest value that `To` has, the destination's below the source's.
template <typename From, typename To>
Xmm Pack(const Xmm& a, const Xmm& b) {
  const Lanes<From> x = Split<From>(a), y = Split<From>(b);
  const auto narrow = [](From value) {
    return static_cast<To>(
        std::clamp<From>(value, std::numeric_limits<To>::min(), std::numeric_limits<To>::max()));
  };
  Lanes<To> r;
  for (unsigned n = 0; n < x.size(); ++n) {
    r[n] = narrow(x[n]);
    r[n + x.size()] = narrow(y[n]);
  }
  return Join<To>(r);
}

// Two bits of `order` for each lane of the result.
Xmm Pshufd(const Xmm&, const Xmm& b, unsigned order) {
  const Lanes<uint32_t> y = Split<uint32_t>(b);
  return Join<uint32_t>({y[order & 3], y[order >> 2 & 3], y[order >> 4 & 3], y[order >> 6 & 3]});
}

// The four words of one half; the other is copied.
template <unsigned kHalf>
Xmm ShuffleWords(const Xmm&, const Xmm& b, unsigned order) {
  const Lanes<uint16_t> y = Split<uint16_t>(b);
  Lanes<uint16_t> r = y;
  for (unsigned n = 0; n < 4; ++n) r[4 * kHalf + n] = y[4 * kHalf + (order >> (2 * n) & 3)];
  return Join<uint16_t>(r);
}

// The low half is from the destination, the high one from the source.
Xmm Shufps(const Xmm& a, const Xmm& b, unsigned order) {
  const Lanes<uint32_t> x = Split<uint32_t>(a), y = Split<uint32_t>(b);
  return Join<uint32_t>({x[order & 3], x[order >> 2 & 3], y[order >> 4 & 3], y[order >> 6 & 3]});
}

Xmm Shufpd(const Xmm& a, const Xmm& b, unsigned order) {
  return {{a.lane[order & 1], b.lane[order >> 1 & 1]}};
}

}  // namespace

constinit const Family kPunpcklbw = SseBinary<Interleave<uint8_t, false>>::kFamily;
constinit const Family kPunpcklwd = SseBinary<Interleave<uint16_t, false>>::kFamily;
constinit const Family kUnpackLow32 = SseBinary<Interleave<uint32_t, false>>::kFamily;
constinit const Family kUnpackLow64 = SseBinary<Interleave<uint64_t, false>>::kFamily;
constinit const Family kPunpckhbw = SseBinary<Interleave<uint8_t, true>>::kFamily;
constinit const Family kPunpckhwd = SseBinary<Interleave<uint16_t, true>>::kFamily;
constinit const Family kUnpackHigh32 = SseBinary<Interleave<uint32_t, true>>::kFamily;
constinit const Family kUnpackHigh64 = SseBinary<Interleave<uint64_t, true>>::kFamily;
constinit const Family kPacksswb = SseBinary<Pack<int16_t, int8_t>>::kFamily;
constinit const Family kPackuswb = SseBinary<Pack<int16_t, uint8_t>>::kFamily;
constinit const Family kPackssdw = SseBinary<Pack<int32_t, int16_t>>::kFamily;
constinit const Family kPshufd = SseImmediate<Pshufd>::kFamily;
constinit const Family kPshuflw = SseImmediate<ShuffleWords<0>>::kFamily;
constinit const Family kPshufhw = SseImmediate<ShuffleWords<1>>::kFamily;
constinit const Family kShufps = SseImmediate<Shufps>::kFamily;
constinit const Family kShufpd = SseImmediate<Shufpd>::kFamily;

}  // namespace vx
