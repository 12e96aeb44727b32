/* The Zstandard encoder: a chunk to one frame (RFC 8878) of the library's default level, which
 * knows its content's size. No arguments.
 */
#include "zstd.h"

#define VX_ENCODER "zstd_encode"
#include "decoders/sdk/chunk.h"

int main(int argc, char** argv) {
  struct Chunk chunk = ReadOnlyChunk(argc, argv);
  size_t room = ZSTD_compressBound(chunk.size);
  unsigned char* encoded = Allocate(room);
  size_t size = ZSTD_compress(encoded, room, chunk.bytes, chunk.size, ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size)) Fail(ZSTD_getErrorName(size));
  write(VX_FD_OUTPUT, encoded, size);
  return 0;
}
