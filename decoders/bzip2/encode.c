/* The bzip2 encoder: a chunk to one bzip2 stream of blocks of at most 900,000 bytes, the largest
 * that there are. No arguments.
 *
 * A short chunk gets a smaller block, which compresses as well and lets its decoder do with less
 * memory.
 */
#include "bzlib.h"

#define VX_ENCODER "bzip2_encode"
#include "decoders/sdk/chunk.h"

void bz_internal_error(int code) { Fail("libbz2 failed a check of its own"); }

int main(int argc, char** argv) {
  struct Chunk chunk = ReadOnlyChunk(argc, argv);
  int hundreds_of_kilobytes = chunk.size <= 100000  ? 1
                              : chunk.size > 800000 ? 9
                                                    : (int)((chunk.size + 99999) / 100000);
  /* As much as its manual says that it can take. */
  unsigned size = chunk.size + chunk.size / 100 + 600;
  char* encoded = Allocate(size);
  if (BZ2_bzBuffToBuffCompress(encoded, &size, (char*)chunk.bytes, chunk.size,
                               hundreds_of_kilobytes, 0, 0) != BZ_OK)
    Fail("out of memory");
  write(VX_FD_OUTPUT, encoded, size);
  return 0;
}
