/* What decoders get beside the C library. */
#ifndef DECODERS_SDK_VX_H_
#define DECODERS_SDK_VX_H_

#include "vxengine/abi.h"

/* Makes the system call `number` (VX_CALL_*; others too, which give -VX_ENOSYS) and returns what it
 * returns: a negative VX_E* number on failure. The C library's read(), write(), sbrk() and _exit()
 * are built on it. */
int vx_call(int number, unsigned edx, unsigned ecx, unsigned ebx);

/* Says `decoder: why, at byte N of the input` on the diagnostics descriptor and ends the guest with
 * status 1. Small: it needs neither stdio nor the heap. Flush the output before, so that what was
 * decoded correctly is kept. */
_Noreturn void vx_fail_at(const char* decoder, const char* why, unsigned long long offset);

/* Says `decoder: why` and ends the guest with `status`. */
_Noreturn void vx_fail(const char* decoder, const char* why, int status);

#endif /* DECODERS_SDK_VX_H_ */
