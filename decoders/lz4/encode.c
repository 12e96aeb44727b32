/* The LZ4 encoder: a chunk to one frame of blocks of 4 MiB, which knows its content's size. No
 * arguments.
 *
 * It takes its time (LZ4_HC): what LZ4 is chosen for is fast decoding.
 */
#include <lz4frame.h>
#include <lz4hc.h>

#define VX_ENCODER "lz4_encode"
#include "decoders/sdk/chunk.h"

int main(int argc, char** argv) {
  struct Chunk chunk = ReadOnlyChunk(argc, argv);
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockSizeID = LZ4F_max4MB;
  preferences.frameInfo.contentSize = chunk.size;
  preferences.compressionLevel = LZ4HC_CLEVEL_DEFAULT;
  size_t room = LZ4F_compressFrameBound(chunk.size, &preferences);
  unsigned char* encoded = Allocate(room);
  size_t size = LZ4F_compressFrame(encoded, room, chunk.bytes, chunk.size, &preferences);
  if (LZ4F_isError(size)) Fail(LZ4F_getErrorName(size));
  write(VX_FD_OUTPUT, encoded, size);
  return 0;
}
