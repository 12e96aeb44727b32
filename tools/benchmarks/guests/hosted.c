/* The VX calls on a POSIX system: with this, and nothing else of the SDK's runtime, a guest's
 * sources are a program of the host's own C library. The "user's own build" that sandboxes are
 * compared to. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

int vx_call(int number, unsigned edx, unsigned ecx, unsigned ebx) {
  /* Programs come here for no other call than one that doesn't exist: a real one then, as costly.
   */
  (void)number, (void)edx, (void)ecx, (void)ebx;
  return syscall(-1L) < 0 ? -VX_ENOSYS : 0;
}
