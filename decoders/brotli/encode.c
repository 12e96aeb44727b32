/* The Brotli encoder: a chunk to one stream (RFC 7932) of quality 9. No arguments.
 *
 * The two qualities above it save a few percent and take tens of times as long.
 */
#include <brotli/encode.h>

#define VX_ENCODER "brotli_encode"
#include "decoders/sdk/chunk.h"

int main(int argc, char** argv) {
  struct Chunk chunk = ReadOnlyChunk(argc, argv);
  size_t size = BrotliEncoderMaxCompressedSize(chunk.size);
  unsigned char* encoded = Allocate(size);
  if (!BrotliEncoderCompress(9, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, chunk.size, chunk.bytes,
                             &size, encoded))
    Fail("out of memory");
  write(VX_FD_OUTPUT, encoded, size);
  return 0;
}
