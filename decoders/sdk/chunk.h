/* What encoders share: the input, which is one chunk of an object, as a whole in memory.
 *
 *   #define VX_ENCODER "zlib_encode"
 *   #include "decoders/sdk/chunk.h"
 *
 * For encode.c alone: here are not declarations but the functions themselves.
 */
#include <stdlib.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

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
