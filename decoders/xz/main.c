/* The xz decoder: .xz streams, which may follow each other with zeros between and after them in
 * fours, .lz members (lzip), which may follow each other, or one .lzma stream. Dictionaries may
 * have up to 256 MiB. No arguments.
 */
#include "lzma.h"

#define VX_STREAM lzma_stream
#define VX_DECODER "xz"
#include "decoders/sdk/stream.h"

/* What the formats begin with. Neither can be the first byte of .lzma, whose properties it is. */
enum { kXz = 0xfd, kLzip = 'L' };

/* A dictionary, and the rest of what one decoder has. */
enum { kMemoryLimit = (256 << 20) + (1 << 20) };

static _Noreturn void FailAt(unsigned long long offset, const char* why) {
  Flush();
  vx_fail_at(kName, why, offset);
}

/* Decodes one stream, up to its end. If it doesn't begin as one, fails with `unknown` at its place.
 */
static void Decode(const char* unknown) {
  unsigned long long start = Offset();
  if (lzma_auto_decoder(&stream, kMemoryLimit, LZMA_TELL_UNSUPPORTED_CHECK) != LZMA_OK)
    Fail("out of memory");
  for (;;) {
    /* At the input's end liblzma may still have bytes to give. */
    lzma_ret result = lzma_code(&stream, Refill() ? LZMA_RUN : LZMA_FINISH);
    if (stream.avail_out == 0) Flush();
    switch (result) {
      case LZMA_OK:
        break;
      case LZMA_STREAM_END:
        return;
      case LZMA_BUF_ERROR:
        Fail("the input ends within a stream");
      case LZMA_FORMAT_ERROR:
        FailAt(start, unknown);
      case LZMA_OPTIONS_ERROR:
        Fail("unknown options or filters");
      case LZMA_UNSUPPORTED_CHECK:
        Fail("an unknown kind of check value");
      case LZMA_MEMLIMIT_ERROR:
        Fail("the stream needs a dictionary of more than 256 MiB");
      case LZMA_MEM_ERROR:
        Fail("out of memory");
      default:
        Fail("damaged data");
    }
  }
}

static void SkipPadding(void) {
  unsigned long long zeros = 0, start = Offset();
  for (; Refill() && *stream.next_in == 0; ++zeros) {
    ++stream.next_in;
    --stream.avail_in;
  }
  if (zeros % 4 != 0) FailAt(start, "padding that isn't a multiple of four bytes");
}

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  StartOutput();
  if (!Refill()) Fail("the input is empty");
  const unsigned char format = *stream.next_in;
  Decode("not an xz, lzip or lzma header");
  if (format == kXz) SkipPadding();
  while (Refill()) {
    if (*stream.next_in != format || (format != kXz && format != kLzip))
      Fail("junk after a stream");
    Decode("junk after a stream");
    if (format == kXz) SkipPadding();
  }
  Flush();
  return 0;
}
