/* The PNG encoder: a chunk of an image file, cut out anywhere, to a PNG of the whole rows that are
 * in it. What else is in it stands in a chunk vxAW, so that `png.vx --restore` gives back the
 * chunk; main.c says how.
 *
 *   png_encode.vx [--head=N] [--offset=N]
 *
 * It takes PBM, PGM and PPM (P4, P5, P6), PAM of gray and RGB with or without alpha, and BMP of 1,
 * 4, 8, 24 and 32 bits a pixel without compression. The file's head must have all that comes before
 * the first row, of a BMP its two headers and masks. Rows go into the PNG as they follow each
 * other, so a BMP that has the lowest first is upside down there; indices of a palette become gray,
 * and samples stay as they are, whatever the maxval.
 *
 * Status 1, and no output: other files, padding that isn't zero, in bits or bytes, and a chunk
 * without a whole row.
 */
#include <limits.h>
#include <string.h>

#include "png.h"

#define VX_ENCODER "png_encode"
#include "decoders/sdk/chunk.h"

VX_NOTE("output: image/png .png\n" VX_FILE_CHUNK_NOTE);

static struct {
  unsigned width, height;
  unsigned channels, bits; /* 1 to 4; 1, 4, 8 or 16 of a sample */
  int is_pbm;              /* 1 is black */
  unsigned padding;        /* bytes after a row, zeros */
  unsigned flags;          /* as in main.c */
  unsigned long long rows; /* where in the file they begin */
} image;
enum { kBgr = 1, kFiller = 2 };

static unsigned Little(const unsigned char* bytes, int count) {
  unsigned value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

/* The head as text. */
static const unsigned char *text, *text_end;

static int IsSpace(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void SkipSpace(void) {
  for (; text < text_end && (IsSpace(*text) || *text == '#'); ++text)
    if (*text == '#')
      while (text < text_end && *text != '\n' && *text != '\r') ++text;
}

/* A number that comes next, with one space behind it. */
static unsigned Number(void) {
  unsigned number = 0;
  SkipSpace();
  const unsigned char* first = text;
  for (; text < text_end && *text >= '0' && *text <= '9'; ++text) {
    if (number > (INT_MAX - 9) / 10) Fail("too large a number in the header");
    number = 10 * number + (*text - '0');
  }
  if (text == first || text == text_end || !IsSpace(*text)) Fail("not a number in the header");
  ++text;
  return number;
}

static void SetMaxval(unsigned maxval) {
  if (maxval == 0 || maxval > 65535) Fail("a maxval that isn't 1 to 65535");
  image.bits = maxval > 255 ? 16 : 8;
}

static void ParsePbm(void) {
  image.width = Number();
  image.height = Number();
  image.channels = image.bits = 1;
  image.is_pbm = 1;
}

static void ParsePnm(unsigned channels) {
  image.width = Number();
  image.height = Number();
  image.channels = channels;
  SetMaxval(Number());
}

/* Skips `word` and the space behind it if it comes next. */
static int Skip(const char* word) {
  const size_t size = strlen(word);
  if ((size_t)(text_end - text) <= size || memcmp(text, word, size) != 0 || !IsSpace(text[size]))
    return 0;
  text += size + 1;
  return 1;
}

static void ParsePam(void) {
  static const char* const kTypes[] = {"GRAYSCALE", "GRAYSCALE_ALPHA", "RGB",
                                       "RGB_ALPHA", "BLACKANDWHITE",   "BLACKANDWHITE_ALPHA"};
  const unsigned types = sizeof kTypes / sizeof kTypes[0];
  unsigned depth = 0, maxval = 0;
  for (;;) {
    SkipSpace();
    if (Skip("ENDHDR")) break;
    if (Skip("WIDTH")) {
      image.width = Number();
    } else if (Skip("HEIGHT")) {
      image.height = Number();
    } else if (Skip("DEPTH")) {
      depth = Number();
    } else if (Skip("MAXVAL")) {
      maxval = Number();
    } else if (Skip("TUPLTYPE")) {
      SkipSpace();
      unsigned type = 0;
      while (type < types && !Skip(kTypes[type])) ++type;
      if (type == types) Fail("a TUPLTYPE that PNG doesn't have");
      image.channels = type % 4 + 1;
    } else {
      Fail("a damaged or incomplete header");
    }
  }
  if (depth == 0 || depth != image.channels) Fail("a DEPTH that isn't the TUPLTYPE's");
  SetMaxval(maxval);
}

static void ParseBmp(const unsigned char* head, size_t size) {
  if (size < 54) Fail("a damaged or incomplete header");
  const unsigned height = Little(head + 22, 4), bits = Little(head + 28, 2);
  const unsigned compression = Little(head + 30, 4);
  if (Little(head + 14, 4) < 40) Fail("a BMP of an unknown kind");
  if (bits != 1 && bits != 4 && bits != 8 && bits != 24 && bits != 32)
    Fail("a BMP of other than 1, 4, 8, 24 or 32 bits a pixel");
  if (compression == 3 && bits == 32) { /* masks tell where red, green and blue are */
    if (size < 66) Fail("a damaged or incomplete header");
    if (Little(head + 54, 4) != 0xff0000 || Little(head + 58, 4) != 0xff00 ||
        Little(head + 62, 4) != 0xff)
      Fail("a BMP of unknown masks");
  } else if (compression != 0) {
    Fail("a BMP of an unknown kind");
  }
  image.rows = Little(head + 10, 4);
  image.width = Little(head + 18, 4);
  image.height = height > INT_MAX ? -height : height; /* negative: the highest row comes first */
  image.channels = bits > 8 ? bits / 8 : 1;
  image.bits = bits > 8 ? 8 : bits;
  image.flags = bits > 8 ? kBgr : 0;
  image.padding = -((image.width * bits + 7) / 8) & 3;
}

static void ParseHead(const unsigned char* head, size_t size) {
  text = head;
  text_end = head + size;
  if (size >= 2 && memcmp(head, "BM", 2) == 0) {
    ParseBmp(head, size);
  } else {
    if (Skip("P4"))
      ParsePbm();
    else if (Skip("P5"))
      ParsePnm(1);
    else if (Skip("P6"))
      ParsePnm(3);
    else if (Skip("P7"))
      ParsePam();
    else
      Fail("not a PNM, PAM or BMP file");
    image.rows = text - head;
  }
  if (image.width - 1 >= INT_MAX || image.height - 1 >= INT_MAX) Fail("a size that PNG can't have");
}

static int AreZero(const unsigned char* bytes, size_t size) {
  while (size > 0 && *bytes == 0) ++bytes, --size;
  return size == 0;
}

static unsigned char output[1 << 16];
static size_t output_size;

static void Flush(png_structp png) {
  write(VX_FD_OUTPUT, output, output_size);
  output_size = 0;
}

static void OnWrite(png_structp png, png_bytep bytes, size_t size) {
  while (size > 0) {
    const size_t room = sizeof output - output_size, part = size < room ? size : room;
    memcpy(output + output_size, bytes, part);
    output_size += part;
    bytes += part;
    size -= part;
    if (part == room) Flush(png);
  }
}

static void OnError(png_structp png, png_const_charp why) { Fail(why); }

static void OnWarning(png_structp png, png_const_charp why) {}

static void WriteKept(png_structp png, const unsigned char* before, size_t before_size,
                      const unsigned char* after, size_t after_size) {
  const unsigned char header[] = {image.flags,
                                  image.padding,
                                  before_size >> 24,
                                  before_size >> 16 & 255,
                                  before_size >> 8 & 255,
                                  before_size & 255};
  png_write_chunk_start(png, (png_const_bytep) "vxAW", sizeof header + before_size + after_size);
  png_write_chunk_data(png, header, sizeof header);
  png_write_chunk_data(png, before, before_size);
  png_write_chunk_data(png, after, after_size);
  png_write_chunk_end(png);
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  const struct FileChunk file = ReadFileChunk(argv);
  ParseHead(file.head, file.head_size);

  /* The first whole row in the chunk, and how many there are. */
  const unsigned long long row_bits = (unsigned long long)image.width * image.channels * image.bits,
                           samples = (row_bits + 7) / 8, stride = samples + image.padding;
  unsigned long long y = 0;
  if (file.offset > image.rows) y = (file.offset - image.rows + stride - 1) / stride;
  if (y >= image.height || image.rows + y * stride > file.end) Fail("no whole row in the chunk");
  const unsigned long long before = image.rows + y * stride - file.offset;
  unsigned long long height = (file.chunk.size - before) / stride;
  if (height > image.height - y) height = image.height - y;
  if (height == 0) Fail("no whole row in the chunk");
  const unsigned char* rows = file.chunk.bytes + before;

  const unsigned padding_bits = (1u << (-row_bits & 7)) - 1;
  int has_zeros = image.flags == kBgr && image.channels == 4;
  for (unsigned long long i = 0; i < height; ++i) {
    const unsigned char* row = rows + i * stride;
    if (row[samples - 1] & padding_bits || !AreZero(row + samples, image.padding))
      Fail("padding of rows that isn't zero");
    for (size_t x = 3; has_zeros && x < samples; x += 4) has_zeros = row[x] == 0;
  }
  if (has_zeros) {
    image.flags |= kFiller;
    image.channels = 3;
  }

  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, OnError, OnWarning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (info == NULL) Fail("out of memory");
  png_set_write_fn(png, NULL, OnWrite, Flush);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_buffer_size(png, 1 << 18);
  /* That of filtered rows: it makes scanned pages smaller, which libpng doesn't filter. */
  if (image.bits == 1) png_set_compression_strategy(png, PNG_Z_DEFAULT_STRATEGY);
  static const unsigned char kTypes[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                         PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  static const png_color kWhiteAndBlack[] = {{255, 255, 255}, {0, 0, 0}};
  png_set_IHDR(png, info, image.width, (unsigned)height, image.bits,
               image.is_pbm ? PNG_COLOR_TYPE_PALETTE : kTypes[image.channels - 1],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (image.is_pbm) png_set_PLTE(png, info, kWhiteAndBlack, 2);
  png_write_info(png, info);
  const unsigned char* after = rows + height * stride;
  WriteKept(png, file.chunk.bytes, before, after, file.chunk.bytes + file.chunk.size - after);
  if (image.flags & kBgr) png_set_bgr(png);
  if (image.flags & kFiller) png_set_filler(png, 0, PNG_FILLER_AFTER);
  for (unsigned long long i = 0; i < height; ++i) png_write_row(png, rows + i * stride);
  png_write_end(png, info);
  Flush(png);
  return 0;
}
