#include "decoders/sdk/vx.h"

int vx_call(int number, unsigned edx, unsigned ecx, unsigned ebx) {
  __asm__ volatile("syscall" : "+a"(number) : "d"(edx), "c"(ecx), "b"(ebx) : "memory");
  return number;
}
