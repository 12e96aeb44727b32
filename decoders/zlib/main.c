/* The zlib decoder: gzip (RFC 1952), zlib (RFC 1950) and raw deflate (RFC 1951) streams.
 *
 *   zlib.vx [--format=raw|zlib|gzip] [--dictionary=N]
 *
 * Without --format the header tells gzip from zlib; raw deflate has none and must be asked for.
 * gzip members may follow each other, each with zero bytes after it; nothing may follow the others.
 */
#include "zlib.h"

#define VX_STREAM z_stream
#define VX_DECODER "zlib"
#include "decoders/sdk/args.h"
#include "decoders/sdk/stream.h"

static unsigned char* dictionary;
static uInt dictionary_size; /* 0: there is none */

/* inflateInit2()'s windowBits. */
enum Wrapper { kRaw = -MAX_WBITS, kZlib = MAX_WBITS, kGzip = MAX_WBITS + 16, kDetect = 0 };

VX_NOTE(
    "parameter: --format=raw|zlib|gzip; what is taken; without it gzip and zlib\n"
    "parameter: --dictionary=N; the first N bytes of the input are a dictionary\n");

static enum Wrapper ParseFormat(const char* format) {
  if (format == NULL) return kDetect;
  return *format == 'r' ? kRaw : *format == 'z' ? kZlib : kGzip;
}

/* REQUIRES: the input's first bytes have been read. */
static enum Wrapper Detect(void) {
  if (stream.avail_in < 2) Fail("too short for a gzip or zlib header");
  unsigned first = stream.next_in[0], second = stream.next_in[1];
  if (first == 0x1f && second == 0x8b) return kGzip;
  /* RFC 1950, 2.2: method 8, a window of at most 32 KiB, check bits. */
  if ((first & 0xf) == Z_DEFLATED && first >> 4 <= 7 && (first << 8 | second) % 31 == 0)
    return kZlib;
  Fail("neither a gzip nor a zlib header");
}

/* Decodes one stream, up to the end of its trailer. */
static void Decode(void) {
  for (;;) {
    Refill(); /* At the input's end inflate() may still have bytes to give. */
    int result = inflate(&stream, Z_NO_FLUSH);
    if (stream.avail_out == 0) Flush();
    switch (result) {
      case Z_OK:
        break;
      case Z_STREAM_END:
        return;
      case Z_BUF_ERROR:
        Fail("the input ends within a stream");
      case Z_NEED_DICT:
        if (dictionary_size == 0) Fail("the stream needs a preset dictionary");
        if (inflateSetDictionary(&stream, dictionary, dictionary_size) != Z_OK)
          Fail("the stream needs another dictionary");
        break;
      default:
        Fail(stream.msg != NULL ? stream.msg : "out of memory");
    }
  }
}

static void SkipZeros(void) {
  while (Refill() && *stream.next_in == 0) {
    ++stream.next_in;
    --stream.avail_in;
  }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  enum Wrapper wrapper = ParseFormat(vx_argument(argv, "--format"));
  unsigned long long size = vx_argument_number(argv, "--dictionary");
  if (size != 0) dictionary = vx_read_dictionary(kName, size);
  dictionary_size = (uInt)size;
  input_read = size;
  StartOutput();
  if (!Refill()) Fail("the input is empty");
  if (wrapper == kDetect) wrapper = Detect();
  if (inflateInit2(&stream, wrapper) != Z_OK) Fail("out of memory");
  if (wrapper == kGzip && size != 0) Fail("gzip has no dictionaries");
  if (wrapper == kRaw && size != 0) inflateSetDictionary(&stream, dictionary, dictionary_size);

  Decode();
  if (wrapper == kGzip) {
    for (SkipZeros(); Refill(); SkipZeros()) {
      if (*stream.next_in != 0x1f) Fail("junk after a gzip member");
      inflateReset(&stream);
      Decode();
    }
  }
  if (Refill()) Fail("junk after the stream");
  Flush();
  return 0;
}
