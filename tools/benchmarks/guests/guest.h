/* What the programs of this folder share: input, arguments, and results that are easily compared.
 * All of it works under any C library, so that the same sources are guests and native programs. */
#ifndef TOOLS_BENCHMARKS_GUESTS_GUEST_H_
#define TOOLS_BENCHMARKS_GUESTS_GUEST_H_

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static inline _Noreturn void Fail(const char* why) {
  if (write(2, why, strlen(why)) >= 0 && write(2, "\n", 1) >= 0) _exit(1);
  _exit(2);
}

static inline void* Allocate(size_t size) {
  void* block = malloc(size);
  if (block == NULL) Fail("out of memory");
  return block;
}

/* All of standard input, with a 0 behind it. */
static inline unsigned char* ReadInput(size_t* size) {
  size_t room = 1 << 16;
  unsigned char* bytes = Allocate(room + 1);
  *size = 0;
  for (ptrdiff_t n; (n = read(0, bytes + *size, room - *size)) > 0;) {
    *size += (size_t)n;
    if (*size < room) continue;
    room *= 2;
    bytes = realloc(bytes, room + 1);
    if (bytes == NULL) Fail("out of memory");
  }
  bytes[*size] = 0;
  return bytes;
}

static inline void WriteAll(const void* bytes, size_t size) {
  for (const unsigned char* at = bytes; size > 0;) {
    ptrdiff_t n = write(1, at, size);
    if (n <= 0) Fail("cannot write");
    at += n;
    size -= (size_t)n;
  }
}

/* Argument `index` as a number, or `otherwise` where there is none. */
static inline uint32_t Argument(int argc, char** argv, int index, uint32_t otherwise) {
  return index < argc ? (uint32_t)strtoul(argv[index], NULL, 10) : otherwise;
}

/* FNV-1a, by 32 bits at a time. */
static inline uint64_t Mix(uint64_t hash, uint32_t value) {
  return (hash ^ value) * 0x100000001b3u;
}

static inline uint64_t MixDouble(uint64_t hash, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return Mix(Mix(hash, (uint32_t)bits), (uint32_t)(bits >> 32));
}

/* Prints `name` and a number in hexadecimal. */
static inline void PrintResult(const char* name, uint64_t value) {
  char digits[18] = " ";
  for (int i = 0; i < 16; i++) digits[i + 1] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  digits[17] = '\n';
  WriteAll(name, strlen(name));
  WriteAll(digits, sizeof digits);
}

/* Marsaglia's xorshift; *state must not be 0. */
static inline uint32_t Random(uint32_t* state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

#endif /* TOOLS_BENCHMARKS_GUESTS_GUEST_H_ */
