/* The xz encoder: a chunk to one .xz stream of the library's default level. No arguments.
 *
 * Its dictionary is as large as the chunk, which its decoder has to have memory for, and it has no
 * check: whoever keeps chunks knows their digests.
 */
#include <lzma.h>

#define VX_ENCODER "xz_encode"
#include "decoders/sdk/chunk.h"

int main(int argc, char** argv) {
  struct Chunk chunk = ReadOnlyChunk(argc, argv);
  lzma_options_lzma options;
  lzma_lzma_preset(&options, LZMA_PRESET_DEFAULT);
  options.dict_size = chunk.size < LZMA_DICT_SIZE_MIN ? LZMA_DICT_SIZE_MIN : chunk.size;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
  size_t room = lzma_stream_buffer_bound(chunk.size), size = 0;
  unsigned char* encoded = Allocate(room);
  if (lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, NULL, chunk.bytes, chunk.size, encoded,
                                &size, room) != LZMA_OK)
    Fail("out of memory");
  write(VX_FD_OUTPUT, encoded, size);
  return 0;
}
