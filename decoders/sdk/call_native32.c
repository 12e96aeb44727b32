/* The VX calls on 32-bit Linux, so that a guest's own objects can run without a sandbox: with gdb,
 * and as the baseline that a sandbox is measured against. Without the sandbox's safety. */
#include <stdint.h>

#include "decoders/sdk/vx.h"

enum {
  kLinuxExit = 1,
  kLinuxRead = 3,
  kLinuxWrite = 4,
  kLinuxMmap = 90,
  kLinuxMunmap = 91,
  kProtReadWrite = 3,
  kMapPrivateFixedAnonymous = 0x32,
  kPage = VX_PAGE_SIZE,
};

/* The default memory limit of the sandbox. */
static const uintptr_t kBreakCeiling = 0x40000000;

extern char __heap_start[];

static int LinuxCall(int number, unsigned a, unsigned b, unsigned c) {
  __asm__ volatile("int $0x80" : "+a"(number) : "b"(a), "c"(b), "d"(c) : "memory");
  return number;
}

static int LinuxMap(uintptr_t address, uintptr_t length) {
  /* The old form of the call takes a block: address, length, protection, flags, file, offset. */
  const uintptr_t block[] = {address, length, kProtReadWrite, kMapPrivateFixedAnonymous, -1u, 0};
  return (unsigned)LinuxCall(kLinuxMmap, (uintptr_t)block, 0, 0) == address ? 0 : -VX_ENOMEM;
}

static int Break(uintptr_t wanted) {
  static uintptr_t mapped_end;
  uintptr_t start = (uintptr_t)__heap_start;
  if (mapped_end == 0) mapped_end = start;
  if (wanted < start) return 0;
  if (wanted > kBreakCeiling) return -VX_ENOMEM;
  uintptr_t end = (wanted + kPage - 1) & -(uintptr_t)kPage;
  int result = 0;
  if (end > mapped_end) result = LinuxMap(mapped_end, end - mapped_end);
  if (end < mapped_end) result = LinuxCall(kLinuxMunmap, end, mapped_end - end, 0);
  if (result == 0) mapped_end = end;
  return result;
}

/* The sandbox's read and write move everything unless the input ends; Linux's may stop short. */
static int Transfer(int linux_number, unsigned fd, unsigned buffer, unsigned length) {
  if (length > VX_MAX_TRANSFER) return -VX_EINVAL;
  unsigned done = 0;
  while (done < length) {
    int moved = LinuxCall(linux_number, fd, buffer + done, length - done);
    if (moved < 0) return moved;
    if (moved == 0) break;
    done += (unsigned)moved;
  }
  return (int)done;
}

int vx_call(int number, unsigned edx, unsigned ecx, unsigned ebx) {
  switch (number) {
    case VX_CALL_EXIT:
      return LinuxCall(kLinuxExit, edx, 0, 0);
    case VX_CALL_BRK:
      return Break(edx);
    case VX_CALL_READ:
      return edx == VX_FD_INPUT ? Transfer(kLinuxRead, edx, ecx, ebx) : -VX_EBADF;
    case VX_CALL_WRITE:
      return edx == VX_FD_OUTPUT || edx == VX_FD_DIAGNOSTICS ? Transfer(kLinuxWrite, edx, ecx, ebx)
                                                             : -VX_EBADF;
    default: /* To the kernel and back, as a sandboxed guest goes to its host: gives -VX_ENOSYS. */
      return LinuxCall(-1, 0, 0, 0);
  }
}
