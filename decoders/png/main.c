/* The PNG decoder: an image as decoders/README.md says. Palettes, transparent colours and less than
 * 8 bits a sample become what they stand for. Whole images are kept only if they are interlaced.
 *
 *   png.vx [--restore]
 *
 * --restore gives back the very bytes that were encoded, if their encoder kept what is not samples
 * in a chunk vxAW before the image's data:
 *
 *   byte 0     bit 0: blue comes before green and red; bit 1: a zero follows each pixel
 *   byte 1     how many zeros follow each row, at most 3
 *   bytes 2-5  how many of the bytes to come stand before the first row, the highest byte first
 *   the rest   these, and those after the last row
 *
 * The rows between are the PNG's as they are: indices of its palette, and samples of fewer than 8
 * bits with zeros in the bits that a row's last byte has left.
 */
#include "png.h"

#define VX_DECODER "png"
#include "decoders/sdk/pnm.h"

VX_NOTE(
    "output: image/x-portable-anymap .pnm\n"
    "parameter: --restore -> application/octet-stream .bin; the PNM, PAM or BMP file, or the part "
    "of it, that was encoded, byte for byte, if its encoder kept the rest\n");

/* What a chunk vxAW has. */
static struct {
  unsigned char* bytes; /* NULL: there was none */
  size_t size;
  size_t before; /* of them, after the first 6 */
} kept;
enum { kBgr = 1, kFiller = 2, kMostPadding = 3, kKeptHeader = 6 };

static void OnError(png_structp png, png_const_charp why) { Fail(why); }

static int in_samples;

/* What libpng can go on after: of chunks out of place and the like, but not of too much data. */
static void OnWarning(png_structp png, png_const_charp why) {
  if (in_samples) Fail(why);
}

static void OnRead(png_structp png, png_bytep bytes, size_t size) {
  if (Get(bytes, size) != size) Fail("the input ends within the image");
}

/* Zeros: libpng leaves the bits behind a row's last pixel alone. */
static void* Allocate(unsigned long long size) {
  void* memory = size <= (size_t)-1 / 2 ? calloc(1, (size_t)size) : NULL;
  if (memory == NULL) Fail("out of memory");
  return memory;
}

static int OnChunk(png_structp png, png_unknown_chunkp chunk) {
  if (memcmp(chunk->name, "vxAW", 4) != 0) return 0;
  if (kept.bytes != NULL) Fail("two vxAW chunks");
  kept.size = chunk->size;
  kept.bytes = Allocate(kept.size);
  memcpy(kept.bytes, chunk->data, kept.size);
  if (kept.size >= kKeptHeader) kept.before = png_get_uint_32(kept.bytes + 2);
  if (kept.size < kKeptHeader || kept.before > kept.size - kKeptHeader ||
      kept.bytes[0] > (kBgr | kFiller) || kept.bytes[1] > kMostPadding)
    Fail("a damaged vxAW chunk");
  return 1;
}

static void PutRow(const unsigned char* row, size_t size) {
  Put(row, size);
  if (kept.bytes != NULL) Put("\0\0\0", kept.bytes[1]);
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  const int restore = vx_argument(argv, "--restore") != NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, OnError, OnWarning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (info == NULL) Fail("out of memory");
  png_set_read_fn(png, NULL, OnRead);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  if (restore) {
    png_set_read_user_chunk_fn(png, NULL, OnChunk);
    png_set_chunk_malloc_max(png, 0); /* as much as there is */
  }
  png_read_info(png, info);
  if (restore && kept.bytes == NULL) Fail("no vxAW chunk with what is not samples");
  if (!restore) png_set_expand(png);
  if (restore && kept.bytes[0] & kBgr) png_set_bgr(png);
  if (restore && kept.bytes[0] & kFiller) png_set_filler(png, 0, PNG_FILLER_AFTER);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);

  unsigned width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  size_t row_size = png_get_rowbytes(png, info);
  static const PnmKind kKinds[] = {PNM_GRAY, PNM_GRAY_ALPHA, PNM_RGB, PNM_RGB_ALPHA};
  PnmKind kind = kKinds[png_get_channels(png, info) - 1];
  unsigned maxval = png_get_bit_depth(png, info) == 16 ? 65535 : 255;
  if (restore)
    Put(kept.bytes + kKeptHeader, kept.before);
  else
    PutHeader(kind, width, height, maxval);
  in_samples = 1;
  if (passes == 1) {
    unsigned char* row = Allocate(row_size);
    for (unsigned y = 0; y < height; y++) {
      png_read_row(png, row, NULL);
      PutRow(row, row_size);
    }
  } else {
    unsigned char* image = Allocate((unsigned long long)row_size * height);
    while (passes--)
      for (unsigned y = 0; y < height; y++) png_read_row(png, image + row_size * y, NULL);
    for (unsigned y = 0; y < height; y++) PutRow(image + row_size * y, row_size);
  }
  in_samples = 0;
  if (restore) {
    const size_t end = kKeptHeader + kept.before;
    Put(kept.bytes + end, kept.size - end);
  }
  png_read_end(png, NULL);
  if (Refill()) Fail("junk after the image");
  Flush();
  return 0;
}
