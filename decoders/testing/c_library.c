/* Tries the parts of the C library that decoders lean on, integers only, and exits with the number
 * of what did not work; 0 if all did. Reads a line of words from its input. */
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void Check(int holds, const char* what) {
  if (holds) return;
  ++failures;
  fputs(what, stderr);
  fputc('\n', stderr);
}

static int initialised_early;
static void __attribute__((constructor)) InitialiseEarly(void) { initialised_early = 1; }

static jmp_buf environment;
static void __attribute__((noinline)) JumpBack(int value) { longjmp(environment, value); }

static int CompareInts(const void* a, const void* b) {
  int left = *(const int*)a, right = *(const int*)b;
  return (left > right) - (left < right);
}

static uint32_t Next(uint32_t* state) { return (*state = *state * 1664525u + 1013904223u) >> 8; }

static void TryHeap(void) {
  enum { kBlocks = 200 };
  unsigned char* blocks[kBlocks] = {0};
  size_t sizes[kBlocks] = {0};
  uint32_t state = 1;
  for (int round = 0; round < 5000; ++round) {
    unsigned i = Next(&state) % kBlocks;
    for (size_t at = 0; at < sizes[i]; at += 997) {
      Check(blocks[i][at] == (unsigned char)i, "heap: a block changed");
    }
    sizes[i] = Next(&state) % 9000;
    unsigned char* grown = realloc(blocks[i], sizes[i] + 1);
    Check(grown != NULL, "heap: realloc");
    if (grown == NULL) return;
    blocks[i] = grown;
    memset(grown, (int)i, sizes[i] + 1);
  }
  for (int i = 0; i < kBlocks; ++i) free(blocks[i]);
  unsigned char* zeros = calloc(300, 1000);
  Check(zeros != NULL && zeros[0] == 0 && zeros[299999] == 0, "heap: calloc");
  free(zeros);
  errno = 0;
  void* volatile huge = malloc(0x7fffffff); /* a block that nobody uses clang would not ask for */
  Check(huge == NULL && errno == ENOMEM, "heap: a request too large");
}

static void TryMoves(void) {
  enum { kMost = 24 };
  int wrong = 0;
  for (int size = 0; size <= kMost; ++size) {
    for (int from = 0; from <= kMost; ++from) {
      for (int to = 0; to <= kMost; ++to) {
        unsigned char bytes[2 * kMost + 1];
        for (unsigned i = 0; i < sizeof bytes; ++i) bytes[i] = (unsigned char)i;
        memmove(bytes + to, bytes + from, (size_t)size);
        for (int i = 0; i < (int)sizeof bytes; ++i) {
          const int moved = i >= to && i < to + size;
          wrong += bytes[i] != (moved ? i - to + from : i);
        }
      }
    }
  }
  Check(wrong == 0, "memmove");
}

static void TryStrings(void) {
  char buffer[64] = "0123456789";
  memmove(buffer + 3, buffer, 10);
  Check(memcmp(buffer, "0120123456789", 13) == 0, "memmove upwards");
  memmove(buffer, buffer + 3, 10);
  Check(memcmp(buffer, "0123456789789", 13) == 0, "memmove downwards");
  Check(
      strlen(buffer) == 13 && strchr(buffer, '7') == buffer + 7 && memchr(buffer, '!', 13) == NULL,
      "string search");
  char text[96];
  sniprintf(text, sizeof text, "%d|%5u|%-4x|%08lX|%lld|%llu|%s|%c", -7, 42u, 0xbeefu, 0xcafeul,
            -9000000000000000000ll, 18000000000000000000ull, "s", 'c');
  Check(strcmp(text, "-7|   42|beef|0000CAFE|-9000000000000000000|18000000000000000000|s|c") == 0,
        text);
  Check(strtoull("18446744073709551615", NULL, 10) == UINT64_MAX, "strtoull");
  Check(strtol("-0x80000000", NULL, 16) == INT32_MIN, "strtol");
}

static void TryLongArithmetic(void) {
  volatile uint64_t a = 0xfedcba9876543210u, b = 0x123456789u;
  Check(a / b == 0xe0000000u && a % b == a - 0xe0000000u * b, "64-bit division");
  volatile int64_t c = -1000000000001, d = 1000003;
  Check(c / d == -999997 && c % d == -10, "signed 64-bit division");
  volatile unsigned shift = 36;
  Check(a >> shift == 0xfedcba9u && b << shift == 0x3456789000000000u, "64-bit shifts");
}

static void TrySorting(void) {
  enum { kCount = 1000 };
  static int numbers[kCount];
  uint32_t state = 2;
  for (int i = 0; i < kCount; ++i) numbers[i] = (int)Next(&state) - (1 << 23);
  qsort(numbers, kCount, sizeof *numbers, CompareInts);
  for (int i = 1; i < kCount; ++i) Check(numbers[i - 1] <= numbers[i], "qsort");
}

static void TryInput(void) {
  char line[32];
  Check(fgets(line, sizeof line, stdin) != NULL && strcmp(line, "three words here\n") == 0,
        "fgets");
  Check(getc(stdin) == EOF && feof(stdin), "the input's end");
  Check(fopen("/etc/passwd", "r") == NULL && errno == ENOENT, "fopen");
}

int main(void) {
  Check(initialised_early, "constructors");
  Check(getenv("PATH") == NULL, "the environment is empty");
  int came_back = setjmp(environment);
  if (came_back == 0) JumpBack(5);
  Check(came_back == 5, "longjmp");
  TryHeap();
  TryMoves();
  TryStrings();
  TryLongArithmetic();
  TrySorting();
  TryInput();
  iprintf("%d failures\n", failures);
  return failures;
}
