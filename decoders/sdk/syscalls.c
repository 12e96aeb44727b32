/* What newlib needs of an operating system, on the VX calls. There are no files beside the three
 * descriptors, no clock and no processes. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

static int Result(int result) {
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

_Noreturn void _exit(int status) {
  for (;;) vx_call(VX_CALL_EXIT, (unsigned)status, 0, 0);
}

_ssize_t read(int fd, void* buffer, size_t length) {
  return Result(vx_call(VX_CALL_READ, (unsigned)fd, (uintptr_t)buffer, length));
}

_ssize_t write(int fd, const void* buffer, size_t length) {
  return Result(vx_call(VX_CALL_WRITE, (unsigned)fd, (uintptr_t)buffer, length));
}

void* sbrk(ptrdiff_t increment) {
  extern char __heap_start[]; /* the initial break, from the linker script */
  static uintptr_t current = (uintptr_t)__heap_start;
  uintptr_t old = current;
  uintptr_t wanted = old + (uintptr_t)increment;
  int wrapped = increment < 0 ? wanted > old : wanted < old;
  if (wrapped || wanted < (uintptr_t)__heap_start) {
    errno = ENOMEM;
    return (void*)-1;
  }
  if (Result(vx_call(VX_CALL_BRK, wanted, 0, 0)) < 0) return (void*)-1;
  current = wanted;
  return (void*)old;
}

/* For stdio: all three descriptors look like pipes, so that it buffers. */
int fstat(int fd, struct stat* status) {
  *status = (struct stat){.st_mode = S_IFIFO};
  return Result(fd >= VX_FD_INPUT && fd <= VX_FD_DIAGNOSTICS ? 0 : -EBADF);
}

int isatty(int fd) {
  errno = ENOTTY;
  return 0;
}

off_t lseek(int fd, off_t offset, int whence) { return Result(-ESPIPE); }

int close(int fd) { return 0; }

int open(const char* path, int flags, ...) { return Result(-ENOENT); }

/* For abort() and failed assertions. */
int getpid(void) { return 1; }

int kill(int pid, int signal) { _exit(128 + signal); }
