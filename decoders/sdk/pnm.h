/* The two ends of a decoder of images: the input, in pieces or as a whole, and images as
 * decoders/README.md says.
 *
 *   #define VX_DECODER "png"
 *   #include "decoders/sdk/pnm.h"
 *
 * For main.c alone: here are not declarations but the functions and buffers themselves.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decoders/sdk/args.h"
#include "decoders/sdk/vx.h"

enum { kInputSize = 1 << 16, kOutputSize = 1 << 16 };

static const char kName[] = VX_DECODER;

static unsigned char input[kInputSize];
static unsigned char* next_in = input;
static unsigned avail_in;
static unsigned long long input_read; /* bytes of the input that have been read so far */
static unsigned char output[kOutputSize];
static unsigned output_size;

static inline void Flush(void) {
  write(VX_FD_OUTPUT, output, output_size);
  output_size = 0;
}

static inline void Put(const void* bytes, size_t size) {
  if (size > sizeof output - output_size) Flush();
  if (size > sizeof output) {
    write(VX_FD_OUTPUT, bytes, size);
    return;
  }
  memcpy(output + output_size, bytes, size);
  output_size += size;
}

/* Ends the guest with status 1 and `why`, after what was decoded before. */
static inline _Noreturn void FailAt(const char* why, unsigned long long offset) {
  Flush();
  vx_fail_at(kName, why, offset);
}

/* The same at the input's byte that is next. */
static inline _Noreturn void Fail(const char* why) { FailAt(why, input_read - avail_in); }

/* Makes avail_in positive; false at the end of the input. */
static inline int Refill(void) {
  if (avail_in != 0) return 1;
  next_in = input;
  avail_in = (unsigned)read(VX_FD_INPUT, input, sizeof input);
  input_read += avail_in;
  return avail_in != 0;
}

/* Moves up to `size` bytes of the input to `bytes`: fewer at its end only. */
static inline size_t Get(void* bytes, size_t size) {
  size_t done = 0;
  while (done < size && Refill()) {
    size_t part = size - done < avail_in ? size - done : avail_in;
    memcpy((unsigned char*)bytes + done, next_in, part);
    next_in += part;
    avail_in -= (unsigned)part;
    done += part;
  }
  return done;
}

/* All of the input, and its `size`: for libraries that want it in memory. */
static inline unsigned char* GetAll(size_t* size) {
  unsigned char* all = NULL;
  *size = 0;
  for (size_t capacity = 1 << 20;; capacity += capacity / 2) {
    unsigned char* larger = realloc(all, capacity);
    if (larger == NULL) FailAt("out of memory", *size);
    all = larger;
    *size += (unsigned)read(VX_FD_INPUT, all + *size, capacity - *size);
    if (*size < capacity) return all;
  }
}

/* What a pixel is made of, in the order of its samples. */
typedef enum { PNM_GRAY, PNM_GRAY_ALPHA, PNM_RGB, PNM_RGB_ALPHA, PNM_CMYK } PnmKind;

static inline void PutText(const char* text) { Put(text, strlen(text)); }

static inline void PutNumber(const char* before, unsigned number) {
  char digits[11], *first = digits + sizeof digits - 1;
  *first = '\0';
  do *--first = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  PutText(before);
  PutText(first);
}

static int as_png; /* --png: the image is to be a PNG; there is but one then */

/* A PNG whose deflate stream is of stored blocks, so that nothing is kept but one of them. */
static struct {
  unsigned crc, crcs[256];
  unsigned adler[2];
  unsigned maxval;
  unsigned long long row_samples, at; /* of a row, and how many it has so far */
  unsigned rows;                      /* that are still to come */
  unsigned char block[1 << 15];
  unsigned filled;
  int is_begun;
} png;

static inline void PngPut(const void* bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    png.crc = png.crcs[(png.crc ^ ((const unsigned char*)bytes)[i]) & 255] ^ png.crc >> 8;
  Put(bytes, size);
}

static inline void PngNumber(unsigned n) {
  unsigned char bytes[] = {n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255};
  PngPut(bytes, 4);
}

static inline void PngBeginChunk(const char* type, unsigned size) {
  PngNumber(size);
  png.crc = ~0u;
  PngPut(type, 4);
}

static inline void PngEndChunk(void) { PngNumber(~png.crc); }

/* Writes what is in block[], as an IDAT chunk with one stored block. */
__attribute__((noinline, unused)) static void PngPutBlock(int is_last) {
  unsigned n = png.filled;
  unsigned char header[] = {0x78, 1, is_last, n & 255, n >> 8, ~n & 255, ~n >> 8 & 255};
  size_t skipped = png.is_begun ? 2 : 0;
  PngBeginChunk("IDAT", sizeof header - skipped + n + 4 * is_last);
  PngPut(header + skipped, sizeof header - skipped);
  PngPut(png.block, n);
  for (unsigned i = 0; i < n; i++) {
    png.adler[0] += png.block[i];
    png.adler[1] += png.adler[0];
    if (i % 4096 != 4095 && i + 1 < n) continue; /* before they could overflow */
    png.adler[0] %= 65521;
    png.adler[1] %= 65521;
  }
  if (is_last) PngNumber(png.adler[1] << 16 | png.adler[0]);
  PngEndChunk();
  png.filled = 0;
  png.is_begun = 1;
}

static inline void PngByte(unsigned byte) {
  if (png.filled == sizeof png.block) PngPutBlock(0);
  png.block[png.filled++] = (unsigned char)byte;
}

__attribute__((cold, noinline, unused)) static void PngBegin(PnmKind kind, unsigned width,
                                                             unsigned height, unsigned maxval) {
  static const unsigned kSamples[] = {1, 2, 3, 4}, kColors[] = {0, 4, 2, 6};
  if (kind == PNM_CMYK) FailAt("PNG has no CMYK", 0);
  if ((width | height) >> 31 != 0) FailAt("too large for PNG", 0);
  for (unsigned i = 0; i < 256; i++) {
    png.crcs[i] = i;
    for (int bit = 0; bit < 8; bit++)
      png.crcs[i] = png.crcs[i] >> 1 ^ (png.crcs[i] & 1) * 0xedb88320;
  }
  png.adler[0] = 1;
  png.maxval = maxval;
  png.row_samples = (unsigned long long)width * kSamples[kind];
  png.rows = height;
  Put("\x89PNG\r\n\x1a\n", 8);
  PngBeginChunk("IHDR", 13);
  PngNumber(width);
  PngNumber(height);
  unsigned char rest[] = {maxval > 255 ? 16 : 8, kColors[kind], 0, 0, 0};
  PngPut(rest, sizeof rest);
  PngEndChunk();
}

/* Begins an image. Then come its samples by PutSamples(), row by row. */
static inline void PutHeader(PnmKind kind, unsigned width, unsigned height, unsigned maxval) {
  static const char* const kTypes[] = {"", "GRAYSCALE_ALPHA", "", "RGB_ALPHA", "CMYK"};
  static const unsigned kDepths[] = {1, 2, 3, 4, 4};
  if (as_png) {
    PngBegin(kind, width, height, maxval);
    return;
  }
  if (kind == PNM_GRAY || kind == PNM_RGB) {
    PutNumber(kind == PNM_GRAY ? "P5\n" : "P6\n", width);
    PutNumber(" ", height);
    PutNumber("\n", maxval);
    PutText("\n");
  } else {
    PutNumber("P7\nWIDTH ", width);
    PutNumber("\nHEIGHT ", height);
    PutNumber("\nDEPTH ", kDepths[kind]);
    PutNumber("\nMAXVAL ", maxval);
    PutText("\nTUPLTYPE ");
    PutText(kTypes[kind]);
    PutText("\nENDHDR\n");
  }
}

/* The samples, stretched to 8 or 16 bits. */
__attribute__((noinline, unused)) static void PngPutSamples(const unsigned char* at, size_t size) {
  const unsigned most = png.maxval > 255 ? 65535 : 255;
  for (const unsigned char* end = at + size; at < end;) {
    unsigned value = *at++;
    if (most > 255) value = value << 8 | *at++;
    if (png.maxval != most) value = (value * most + png.maxval / 2) / png.maxval;
    if (png.at == 0) PngByte(0); /* no filter */
    if (most > 255) PngByte(value >> 8);
    PngByte(value);
    if (++png.at < png.row_samples) continue;
    png.at = 0;
    if (--png.rows != 0) continue;
    PngPutBlock(1);
    PngBeginChunk("IEND", 0);
    PngEndChunk();
  }
}

/* Samples of the image that was begun: bytes, or where maxval is over 255 two bytes each, the
 * higher one first. */
static inline void PutSamples(const void* samples, size_t size) {
  if (as_png)
    PngPutSamples(samples, size);
  else
    Put(samples, size);
}
