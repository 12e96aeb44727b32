/* The zstd decoder: Zstandard frames (RFC 8878) with windows of up to 128 MiB, which may follow
 * each other, skippable ones among them. No dictionaries, no arguments.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <stdlib.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"
#include "zstd.h"
#include "zstd_errors.h"

static const char kName[] = "zstd";

enum { kLargestWindow = 1 << 27 };

static unsigned char input[ZSTD_BLOCKSIZE_MAX]; /* a header or a block */
static unsigned long long input_read;           /* bytes of the input up to the end of input[] */

/* The latest of what was decoded, which is written from here: a ring with room for a window and a
 * block, or a frame that fits into less. */
static unsigned char* window;
static size_t window_size;

static ZSTD_DCtx* decoder;

static size_t Read(unsigned char* bytes, size_t size) {
  size_t length = (size_t)read(VX_FD_INPUT, bytes, size);
  input_read += length;
  return length;
}

static void ReadAll(unsigned char* bytes, size_t size) {
  if (Read(bytes, size) < size) vx_fail_at(kName, "the input ends within a frame", input_read);
}

/* Decodes a header or block of `size` bytes, as the library asked for, and returns the length of
 * what it gave at `output`. */
static size_t Decode(const unsigned char* piece, size_t size, unsigned char* output, size_t room) {
  size_t length = ZSTD_decompressContinue(decoder, output, room, piece, size);
  if (ZSTD_isError(length)) vx_fail_at(kName, ZSTD_getErrorName(length), input_read - size);
  return length;
}

/* Reads the header of a frame that begins with the `length` bytes in input[]. */
static ZSTD_frameHeader ReadHeader(size_t length, const char* not_zstd) {
  ZSTD_frameHeader header;
  size_t wanted;
  while ((wanted = ZSTD_getFrameHeader(&header, input, length)) != 0) {
    if (ZSTD_isError(wanted)) {
      vx_fail_at(kName,
                 ZSTD_getErrorCode(wanted) == ZSTD_error_prefix_unknown ? not_zstd
                                                                        : ZSTD_getErrorName(wanted),
                 input_read - length);
    }
    ReadAll(input + length, wanted - length);
    length = wanted;
  }
  return header;
}

static void Skip(unsigned long long size) {
  while (size > 0) {
    size_t part = size < sizeof input ? (size_t)size : sizeof input;
    ReadAll(input, part);
    size -= part;
  }
}

static void MakeRoom(const ZSTD_frameHeader* header) {
  if (header->windowSize > kLargestWindow && header->frameContentSize > kLargestWindow)
    vx_fail_at(kName, "the frame needs a window of more than 128 MiB", input_read);
  size_t size = ZSTD_decodingBufferSize_min(header->windowSize, header->frameContentSize);
  if (size <= window_size) return;
  free(window);
  window_size = size;
  window = malloc(size);
  if (window == NULL) vx_fail_at(kName, "out of memory", input_read);
}

/* Decodes the frame that begins with the `length` bytes in input[]. */
static void DecodeFrame(size_t length, const char* not_zstd) {
  const ZSTD_frameHeader header = ReadHeader(length, not_zstd);
  if (header.frameType == ZSTD_skippableFrame) {
    Skip(header.frameContentSize);
    return;
  }
  if (header.dictID != 0) vx_fail_at(kName, "the frame needs a dictionary", input_read);
  MakeRoom(&header);
  ZSTD_decompressBegin(decoder);
  size_t first = ZSTD_nextSrcSizeToDecompress(decoder), at = 0, size;
  Decode(input, first, NULL, 0);
  Decode(input + first, header.headerSize - first, NULL, 0);
  while ((size = ZSTD_nextSrcSizeToDecompress(decoder)) != 0) {
    ReadAll(input, size);
    if (window_size < header.frameContentSize && window_size - at < header.blockSizeMax) at = 0;
    size_t decoded = Decode(input, size, window + at, window_size - at);
    write(VX_FD_OUTPUT, window + at, decoded);
    at += decoded;
  }
}

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  decoder = ZSTD_createDCtx();
  if (decoder == NULL) vx_fail(kName, "out of memory", 1);
  /* The shortest that the library can tell from something else. */
  size_t length = Read(input, ZSTD_FRAMEHEADERSIZE_MIN(ZSTD_f_zstd1));
  if (length == 0) vx_fail_at(kName, "the input is empty", 0);
  for (const char* not_zstd = "not a zstd frame"; length != 0; not_zstd = "junk after a frame") {
    DecodeFrame(length, not_zstd);
    length = Read(input, ZSTD_FRAMEHEADERSIZE_MIN(ZSTD_f_zstd1));
  }
  return 0;
}
