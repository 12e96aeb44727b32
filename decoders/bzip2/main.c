/* The bzip2 decoder: streams of bzip2 0.9.0 and later, which may follow each other; nothing else
 * may. No arguments.
 */
#include "bzlib.h"

#define VX_STREAM bz_stream
#define VX_DECODER "bzip2"
#include "decoders/sdk/stream.h"

/* libbz2's report that one of its own checks failed. */
void bz_internal_error(int code) { Fail("libbz2 failed a check of its own"); }

/* Decodes one stream, up to the end of its trailer. If it doesn't begin as one, fails with
 * `not_bzip2` at its place. */
static void Decode(const char* not_bzip2) {
  unsigned long long start = Offset();
  if (BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) Fail("out of memory");
  for (;;) {
    int ended = !Refill(); /* At the input's end libbz2 may still have bytes to give. */
    switch (BZ2_bzDecompress(&stream)) {
      case BZ_OK: /* The output is full or the input used up. */
        if (stream.avail_out == 0)
          Flush();
        else if (ended)
          Fail("the input ends within a stream");
        break;
      case BZ_STREAM_END:
        BZ2_bzDecompressEnd(&stream);
        return;
      case BZ_DATA_ERROR_MAGIC:
        Flush();
        vx_fail_at(kName, not_bzip2, start);
      case BZ_DATA_ERROR:
        Fail("damaged data");
      default:
        Fail("out of memory");
    }
  }
}

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  StartOutput();
  if (!Refill()) Fail("the input is empty");
  Decode("not a bzip2 header");
  while (Refill()) Decode("junk after a stream");
  Flush();
  return 0;
}
