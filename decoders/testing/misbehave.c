/* Ends well at an empty input. Else its argument says what it does with it:
 *
 *   spin   gives a byte, and loops for ever
 *   chat   writes to descriptor 2 for ever
 *   fill N touches N MiB of memory and copies the input; exit status 3 if there is less
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fill(const char* megabytes) {
  const size_t size = (size_t)atoi(megabytes) << 20;
  char* memory = malloc(size);
  if (memory == NULL) _exit(3);
  memset(memory, 1, size);
}

int main(int argc, char** argv) {
  static char buffer[65536];
  ssize_t count = read(0, buffer, sizeof buffer);
  if (count == 0) return 0;
  if (argc == 3 && strcmp(argv[1], "fill") == 0) {
    fill(argv[2]);
    do write(1, buffer, (size_t)count);
    while ((count = read(0, buffer, sizeof buffer)) > 0);
    return 0;
  }
  if (argc != 2) return 2;
  write(1, buffer, 1);
  for (;;) {
    if (strcmp(argv[1], "chat") == 0) write(2, "chatter\n", 8);
  }
}
