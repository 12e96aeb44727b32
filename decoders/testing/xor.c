/* Undoes a XOR with its argument, a number from 1 to 255 (none: 85), and says so on descriptor 2
 * if there's a second argument. An empty input is an error, like other decoders' truncated ones. */
#include <stdlib.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

int main(int argc, char** argv) {
  static unsigned char buffer[1 << 16];
  int key = argc > 1 ? atoi(argv[1]) : 0x55;
  if (key < 1 || key > 255) vx_fail("xor", "the key is a number from 1 to 255", 2);
  int total = 0;
  for (int n; (n = (int)read(0, buffer, sizeof buffer)) > 0; total += n) {
    for (int i = 0; i < n; ++i) buffer[i] ^= (unsigned char)key;
    write(1, buffer, (size_t)n);
  }
  if (argc > 2) write(2, "xor was here\n", 13);
  if (total == 0) vx_fail("xor", "the input is empty", 1);
  return 0;
}
