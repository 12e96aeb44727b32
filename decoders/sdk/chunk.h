/* What encoders share: the input, which is one chunk of an object, as a whole in memory.
 *
 *   #define VX_ENCODER "zlib_encode"
 *   #include "decoders/sdk/chunk.h"
 *
 * For encode.c alone: here are not declarations but the functions themselves.
 */
#include <stdlib.h>
#include <unistd.h>

#include "decoders/sdk/args.h"

static const char kName[] = VX_ENCODER;

/* Ends the guest with status 1: the chunk can't be encoded. */
static inline _Noreturn void Fail(const char* why) { vx_fail(kName, why, 1); }

/* Memory for `size` bytes, more of it than `old` if that isn't NULL. */
static inline void* Reallocate(void* old, size_t size) {
  void* memory = realloc(old, size);
  if (memory == NULL && size != 0) Fail("out of memory");
  return memory;
}

static inline void* Allocate(size_t size) { return Reallocate(NULL, size); }

struct Chunk {
  unsigned char* bytes;
  size_t size;
};

/* All of the input. */
static inline struct Chunk ReadChunk(void) {
  struct Chunk chunk = {NULL, 0};
  /* Room for a byte more than most chunks have, which tells that they have ended. */
  for (size_t capacity = (4 << 20) + 1;; capacity *= 2) {
    chunk.bytes = Reallocate(chunk.bytes, capacity);
    chunk.size += (size_t)read(VX_FD_INPUT, chunk.bytes + chunk.size, capacity - chunk.size);
    if (chunk.size < capacity) return chunk;
  }
}

/* The same for an encoder without arguments. */
static inline struct Chunk ReadOnlyChunk(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  return ReadChunk();
}

/* For encoders that have to know the beginning of the file that the chunk is of: */
#define VX_FILE_CHUNK_NOTE                                                          \
  "parameter: --head=N; the input is the first N bytes of the file, then a chunk\n" \
  "parameter: --offset=N; where in the file the chunk begins; without it, at 0\n"

struct FileChunk {
  const unsigned char* head;
  size_t head_size;
  struct Chunk chunk;
  unsigned long long offset, end; /* of the chunk in the file */
};

/* Reads what these arguments, which have been checked, say. Without --head a chunk at 0 is its own
 * head. */
static inline struct FileChunk ReadFileChunk(char** argv) {
  const unsigned long long head_size = vx_argument_number(argv, "--head");
  struct FileChunk file = {.offset = vx_argument_number(argv, "--offset"), .chunk = ReadChunk()};
  if (head_size > file.chunk.size) Fail("the input ends within the head");
  if (file.offset >> 63 != 0) Fail("the chunk begins behind 2^63"); /* places can be added to */
  file.head = file.chunk.bytes;
  file.head_size = (size_t)head_size;
  file.chunk.bytes += file.head_size;
  file.chunk.size -= file.head_size;
  if (head_size == 0 && file.offset == 0) file.head_size = file.chunk.size;
  file.end = file.offset + file.chunk.size;
  return file;
}
