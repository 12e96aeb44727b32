/* Writes without end: zeros, 64 KiB at a time; to the diagnostics if there is an argument. */
#include <unistd.h>

int main(int argc, char** argv) {
  static char buffer[1 << 16];
  for (;;) write(argc > 1 ? 2 : 1, buffer, sizeof buffer);
}
