/* Gives back its input, after a byte-wise exclusive or with 0x55: put your format here. */
#include <unistd.h>
#include <vx/vx.h>

VX_NOTE("output: application/octet-stream .bin\n");

int main(int argc, char** argv) {
  static unsigned char buffer[65536];
  if (argc > 1) vx_fail("xor", "takes no arguments", 2);
  for (int n; (n = read(0, buffer, sizeof buffer)) > 0;) {
    for (int i = 0; i < n; i++) buffer[i] ^= 0x55;
    write(1, buffer, n);
  }
  return 0;
}
