/* XORs its input with the bytes of its argument, again and again from their beginning. The smallest
 * decoder whose output depends on its argument. */
#include <string.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

int main(int argc, char** argv) {
  static char buffer[1 << 16];
  if (argc != 2 || argv[1][0] == 0) vx_fail("xor", "the argument is the key", 2);
  unsigned key_length = strlen(argv[1]), at = 0;
  int length;
  while ((length = read(0, buffer, sizeof buffer)) > 0) {
    for (int i = 0; i < length; ++i) {
      buffer[i] ^= argv[1][at];
      at = (at + 1) % key_length;
    }
    write(1, buffer, (unsigned)length);
  }
  return 0;
}
