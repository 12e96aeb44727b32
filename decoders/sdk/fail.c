#include <string.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

static void Say(const char* text) { write(VX_FD_DIAGNOSTICS, text, strlen(text)); }

void vx_fail(const char* decoder, const char* why, int status) {
  Say(decoder);
  Say(": ");
  Say(why);
  Say("\n");
  _exit(status);
}

void vx_fail_at(const char* decoder, const char* why, unsigned long long offset) {
  char digits[21]; /* 2^64 has 20 */
  char* first = digits + sizeof digits - 1;
  *first = '\0';
  do {
    *--first = (char)('0' + offset % 10);
    offset /= 10;
  } while (offset != 0);
  Say(decoder);
  Say(": ");
  Say(why);
  Say(", at byte ");
  Say(first);
  Say(" of the input\n");
  _exit(1);
}
