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

/* Begins an image. Then come its samples, row by row: bytes, or where maxval is over 255 two bytes
 * each, the higher one first. */
static inline void PutHeader(PnmKind kind, unsigned width, unsigned height, unsigned maxval) {
  static const char* const kTypes[] = {"", "GRAYSCALE_ALPHA", "", "RGB_ALPHA", "CMYK"};
  static const unsigned kDepths[] = {1, 2, 3, 4, 4};
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
