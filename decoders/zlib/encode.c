/* The zlib encoder: a chunk to one zlib stream (RFC 1950). No arguments.
 *
 * Level 6 is zlib's own default: levels above save a percent or two and cost twice the time.
 */
#include "zlib.h"

#define VX_ENCODER "zlib_encode"
#include "decoders/sdk/chunk.h"

int main(int argc, char** argv) {
  struct Chunk chunk = ReadOnlyChunk(argc, argv);
  uLongf size = compressBound(chunk.size);
  unsigned char* encoded = Allocate(size);
  if (compress2(encoded, &size, chunk.bytes, chunk.size, 6) != Z_OK) Fail("out of memory");
  write(VX_FD_OUTPUT, encoded, size);
  return 0;
}
