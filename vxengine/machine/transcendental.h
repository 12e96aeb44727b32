// The x87 transcendental instructions as functions of their operands' values. Pure functions of
// plain values, the same on every host; thread-safe. Standard C++ and `unsigned __int128`.
//
// Results are those of the exact mathematical functions, given so that they can be rounded once,
// correctly, in any direction and at any place from the 64th bit up: to the 64 bits of a normal
// result (transcendental instructions ignore precision control) or to the fewer ones of a denormal.
// Rounding is left to the caller, and with it overflow, underflow, inexact results and C1.
//
// A call takes about a microsecond; one in 2^40 or so, and some with special arguments, a few. The
// first call of all, and the first that needs 256 bits, compute tables, in less than a millisecond
// and 20 KB of stack (for 512 bits: 50 KB).
#ifndef VXENGINE_MACHINE_TRANSCENDENTAL_H_
#define VXENGINE_MACHINE_TRANSCENDENTAL_H_

#include <cstdint>

#include "vxengine/machine/outcome.h"
#include "vxengine/machine/soft_float.h"

namespace vx {

struct Transcendental {
  // Exponents are the true ones while under 2^20, and else at least 2^20.
  Exact value;   // takes the place of the operands; kUnsupported where they are invalid
  Exact pushed;  // FPTAN: 1; FSINCOS: the cosine
  // kIe, kDe or kZe: of the operands; `value` is the response, if it is masked.
  uint8_t exceptions = 0;
  bool out_of_range = false;  // C2: the operand stays, nothing is pushed, no exception
};

// REQUIRES, all of them: no operand is a NaN or an unsupported encoding (pseudo-NaN,
// pseudo-infinity, unnormal). Pseudo-denormals are allowed, and denormal. `st0` and `st1` are the
// registers' values: a logarithm is that of st0, an angle has st0 as its abscissa.

Transcendental F2xm1(const X87Register& st0);                            // 2^st0 - 1
Transcendental Fyl2x(const X87Register& st0, const X87Register& st1);    // st1 · log2(st0)
Transcendental Fyl2xp1(const X87Register& st0, const X87Register& st1);  // st1 · log2(st0 + 1)
Transcendental Fpatan(const X87Register& st0, const X87Register& st1);   // the angle of (st0, st1)
Transcendental Fptan(const X87Register& st0);
Transcendental Fsin(const X87Register& st0);
Transcendental Fcos(const X87Register& st0);
Transcendental Fsincos(const X87Register& st0);

}  // namespace vx

#endif  // VXENGINE_MACHINE_TRANSCENDENTAL_H_
