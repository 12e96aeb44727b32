/* Prints argc, then each argument on a line of its own. */
#include <stdio.h>

int main(int argc, char** argv) {
  iprintf("%d\n", argc);
  for (int i = 0; i < argc; ++i) puts(argv[i]);
  return argv[argc] == NULL ? 0 : 1;
}
