/* Takes memory, a mebibyte at a time, until it is refused; writes to every page of it, and prints
 * how many mebibytes it got. With a number as argument it stops at that many. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { kMebibyte = 1 << 20, kPage = 1 << 12 };

int main(int argc, char** argv) {
  int wanted = argc > 1 ? atoi(argv[1]) : INT32_MAX;
  int got = 0;
  for (; got < wanted; ++got) {
    volatile char* block = sbrk(kMebibyte);
    if (block == (char*)-1) break;
    for (int i = 0; i < kMebibyte; i += kPage) block[i] = 1;
  }
  iprintf("%d\n", got);
  return 0;
}
