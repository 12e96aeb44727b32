/* The VX calls on a POSIX system: with this, and nothing else of the SDK's runtime, a guest's
 * sources are a program of the host's own C library. The "user's own build" that sandboxes are
 * compared to. And what newlib has more than that. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

int vx_call(int number, unsigned edx, unsigned ecx, unsigned ebx) {
  /* Programs come here for no other call than one that doesn't exist: a real one then, as costly.
   */
  (void)number, (void)edx, (void)ecx, (void)ebx;
  return syscall(-1L) < 0 ? -VX_ENOSYS : 0;
}

/* newlib's printf without floating point. */
int vfiprintf(FILE* file, const char* format, va_list list) {
  return vfprintf(file, format, list);
}

int vsniprintf(char* text, size_t size, const char* format, va_list list) {
  return vsnprintf(text, size, format, list);
}

int fiprintf(FILE* file, const char* format, ...) {
  va_list list;
  va_start(list, format);
  int length = vfprintf(file, format, list);
  va_end(list);
  return length;
}

int sniprintf(char* text, size_t size, const char* format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(text, size, format, list);
  va_end(list);
  return length;
}
