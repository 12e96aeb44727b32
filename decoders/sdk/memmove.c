/* In place of newlib's, which goes backwards with STD, REP MOVS and CLD: on some CPUs STD and CLD
 * take longer than moving a few words. */
#include <stdint.h>
#include <string.h>

/* Compilers that see no further than one step don't make a call of memmove of the loops below. */
static inline void EndStep(void) { __asm__ volatile("" ::: "memory"); }

static void CopyWord(unsigned char* to, const unsigned char* from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  memcpy(to, &word, sizeof word);
  EndStep();
}

static void CopyByte(unsigned char* to, const unsigned char* from) {
  *to = *from;
  EndStep();
}

void* memmove(void* to, const void* from, size_t size) {
  unsigned char* out = to;
  const unsigned char* in = from;
  const uintptr_t ahead = (uintptr_t)out - (uintptr_t)in;
  if (ahead >= size && 0 - ahead >= size) return memcpy(to, from, size);
  if (ahead >= size) {
    for (; size >= 4; size -= 4, in += 4, out += 4) CopyWord(out, in);
    for (; size > 0; --size) CopyByte(out++, in++);
    return to;
  }
  for (; size >= 4; size -= 4) CopyWord(out + size - 4, in + size - 4);
  for (; size > 0; --size) CopyByte(out + size - 1, in + size - 1);
  return to;
}
