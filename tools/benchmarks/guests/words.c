/* words: counts the words of a text in a hash table and sorts them. Stands for string processing:
 * the C library's malloc, memcmp and qsort, and memory that doesn't fit the caches.
 *
 *   words [TIMES]    prints the most frequent words of standard input and a hash of all */
#include "tools/benchmarks/guests/guest.h"

enum { kTableBits = 16, kShown = 20 };

typedef struct Word {
  struct Word* next;
  uint32_t count, length;
  char text[];
} Word;

static Word* table[1 << kTableBits];
static size_t distinct;

static int IsLetter(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void Count(const unsigned char* text, uint32_t length) {
  uint32_t hash = 2166136261u;
  for (uint32_t i = 0; i < length; i++) hash = (hash ^ text[i]) * 16777619u;
  Word** link = &table[(hash ^ hash >> 16) % (1 << kTableBits)];
  for (Word* word = *link; word != NULL; word = word->next) {
    if (word->length == length && memcmp(word->text, text, length) == 0) {
      word->count++;
      return;
    }
  }
  Word* word = Allocate(sizeof *word + length + 1);
  word->next = *link;
  word->count = 1;
  word->length = length;
  memcpy(word->text, text, length);
  word->text[length] = 0;
  *link = word;
  distinct++;
}

static int Compare(const void* left, const void* right) {
  const Word *a = *(Word*const*)left, *b = *(Word*const*)right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  return strcmp(a->text, b->text);
}

int main(int argc, char** argv) {
  size_t size;
  const unsigned char* data = ReadInput(&size);
  uint64_t hash = 0;
  for (uint32_t times = Argument(argc, argv, 1, 1); times > 0; times--) {
    for (size_t at = 0; at < size;) {
      size_t end = at;
      while (IsLetter(data[end])) end++; /* the input has a 0 behind it */
      if (end > at) Count(data + at, (uint32_t)(end - at));
      at = end + 1;
    }
    Word** words = Allocate((distinct + 1) * sizeof *words);
    size_t n = 0;
    for (size_t i = 0; i < 1 << kTableBits; i++) {
      for (Word* word = table[i]; word != NULL; word = word->next) words[n++] = word;
    }
    qsort(words, n, sizeof *words, Compare);
    for (size_t i = 0; i < n; i++) hash = Mix(Mix(hash, words[i]->count), words[i]->text[0]);
    for (size_t i = 0; times == 1 && i < kShown && i < n; i++) {
      PrintResult(words[i]->text, words[i]->count);
    }
    free(words);
  }
  PrintResult("distinct", distinct);
  PrintResult("all", hash);
  return 0;
}
