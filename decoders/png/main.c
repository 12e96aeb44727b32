/* The PNG decoder: an image as decoders/README.md says. Palettes, transparent colours and less than
 * 8 bits a sample become what they stand for. No arguments. Whole images are kept only if they are
 * interlaced.
 */
#include "png.h"

#define VX_DECODER "png"
#include "decoders/sdk/pnm.h"

static void OnError(png_structp png, png_const_charp why) { Fail(why); }

/* What libpng can go on after: chunks out of place, too much of data and the like. */
static void OnWarning(png_structp png, png_const_charp why) {}

static void OnRead(png_structp png, png_bytep bytes, size_t size) {
  if (Get(bytes, size) != size) Fail("the input ends within the image");
}

static void* Allocate(unsigned long long size) {
  void* memory = size <= (size_t)-1 / 2 ? malloc((size_t)size) : NULL;
  if (memory == NULL) Fail("out of memory");
  return memory;
}

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, OnError, OnWarning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (info == NULL) Fail("out of memory");
  png_set_read_fn(png, NULL, OnRead);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_read_info(png, info);
  png_set_expand(png);
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);

  unsigned width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  size_t row_size = png_get_rowbytes(png, info);
  static const PnmKind kKinds[] = {PNM_GRAY, PNM_GRAY_ALPHA, PNM_RGB, PNM_RGB_ALPHA};
  PnmKind kind = kKinds[png_get_channels(png, info) - 1];
  unsigned maxval = png_get_bit_depth(png, info) == 16 ? 65535 : 255;
  if (passes == 1) {
    unsigned char* row = Allocate(row_size);
    PutHeader(kind, width, height, maxval);
    for (unsigned y = 0; y < height; y++) {
      png_read_row(png, row, NULL);
      Put(row, row_size);
    }
  } else {
    unsigned char* image = Allocate((unsigned long long)row_size * height);
    while (passes--)
      for (unsigned y = 0; y < height; y++) png_read_row(png, image + row_size * y, NULL);
    PutHeader(kind, width, height, maxval);
    for (unsigned y = 0; y < height; y++) Put(image + row_size * y, row_size);
  }
  png_read_end(png, NULL);
  if (Refill()) Fail("junk after the image");
  Flush();
  return 0;
}
