/* The zstd decoder: Zstandard frames (RFC 8878) with windows of up to 128 MiB, which may follow
 * each other, skippable ones among them.
 *
 *   zstd.vx [--dictionary=N]
 *
 * A dictionary is one that zstd has trained, or bytes that are taken as they are.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <stdlib.h>
#include <unistd.h>

#include "decoders/sdk/args.h"
#include "zstd.h"
#include "zstd_errors.h"

static const char kName[] = "zstd";

VX_NOTE("parameter: --dictionary=N; the first N bytes of the input are a dictionary\n");

enum { kLargestWindow = 1 << 27 };

static unsigned char input[ZSTD_BLOCKSIZE_MAX]; /* a header or a block */
static unsigned long long input_read;           /* bytes of the input up to the end of input[] */

/* The latest of what was decoded, which is written from here: a ring with room for a window and a
 * block, or a frame that fits into less. */
static unsigned char* window;
static size_t window_size;

static ZSTD_DCtx* decoder;
static ZSTD_DDict* dictionary; /* or NULL */

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
  if (header.dictID != 0 && dictionary == NULL)
    vx_fail_at(kName, "the frame needs a dictionary", input_read);
  MakeRoom(&header);
  ZSTD_decompressBegin_usingDDict(decoder, dictionary);
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
  VX_CHECK_ARGUMENTS(kName, argv);
  decoder = ZSTD_createDCtx();
  if (decoder == NULL) vx_fail(kName, "out of memory", 1);
  input_read = vx_argument_number(argv, "--dictionary");
  if (input_read != 0) {
    dictionary =
        ZSTD_createDDict_byReference(vx_read_dictionary(kName, input_read), (size_t)input_read);
    if (dictionary == NULL) vx_fail_at(kName, "a damaged dictionary, or out of memory", 0);
  }
  /* The shortest that the library can tell from something else. */
  size_t length = Read(input, ZSTD_FRAMEHEADERSIZE_MIN(ZSTD_f_zstd1));
  if (length == 0) vx_fail_at(kName, "the input is empty", input_read);
  for (const char* not_zstd = "not a zstd frame"; length != 0; not_zstd = "junk after a frame") {
    DecodeFrame(length, not_zstd);
    length = Read(input, ZSTD_FRAMEHEADERSIZE_MIN(ZSTD_f_zstd1));
  }
  return 0;
}
