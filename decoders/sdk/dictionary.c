#include <stdlib.h>
#include <unistd.h>

#include "decoders/sdk/args.h"

unsigned char* vx_read_dictionary(const char* decoder, unsigned long long size) {
  if (size > VX_LARGEST_DICTIONARY) vx_fail_at(decoder, "a dictionary of more than 128 MiB", 0);
  unsigned char* dictionary = malloc((size_t)size);
  if (dictionary == NULL) vx_fail_at(decoder, "out of memory", 0);
  size_t length = (size_t)read(VX_FD_INPUT, dictionary, (size_t)size);
  if (length < size) vx_fail_at(decoder, "the input ends within the dictionary", length);
  return dictionary;
}
