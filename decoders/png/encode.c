/* The PNG encoder: a chunk of an image file, cut out anywhere, to a PNG of the whole rows that are
 * in it. What else is in it stands in a chunk vxAW, so that `png.vx --restore` gives back the
 * chunk; main.c says how.
 *
 *   png_encode.vx [--head=N] [--offset=N]
 *
 * It takes PGM and PPM (P5, P6), PAM of the kinds that decoders/README.md names but CMYK, each with
 * a maxval of 255 or 65535, and uncompressed BMP of 8, 24 and 32 bits a pixel. The file's head must
 * have all that comes before the first row, of a BMP its two headers. Rows go into the PNG as they
 * follow each other, so a BMP that has the lowest first is upside down there; indices of a palette
 * become gray.
 *
 * Status 1, and no output: other files, padding of a BMP that isn't zero, and a chunk without a
 * whole row.
 */
#include <limits.h>
#include <string.h>

#include "png.h"

#define VX_ENCODER "png_encode"
#include "decoders/sdk/chunk.h"

VX_NOTE("output: image/png .png\n" VX_FILE_CHUNK_NOTE);

static struct {
  unsigned width, height;
  unsigned channels, bits; /* of the PNG: 1 to 4, 8 or 16 */
  unsigned pixel;          /* bytes of a pixel in the file */
  unsigned padding;        /* bytes after a row, zeros */
  unsigned flags;          /* as in main.c: 1: blue, green, red; 2: a zero after each pixel */
  unsigned long long rows; /* where in the file they begin */
} image;

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

static void SetSamples(unsigned channels, unsigned maxval) {
  if (maxval != 255 && maxval != 65535) Fail("neither of 8 nor of 16 bits a sample");
  image.channels = channels;
  image.bits = maxval == 255 ? 8 : 16;
  image.pixel = channels * image.bits / 8;
}

static void ParsePnm(unsigned channels) {
  image.width = Number();
  image.height = Number();
  SetSamples(channels, Number());
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
  static const char* const kTypes[] = {"GRAYSCALE", "GRAYSCALE_ALPHA", "RGB", "RGB_ALPHA"};
  unsigned depth = 0, maxval = 0, channels = 0;
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
      for (channels = 1; channels <= 4 && !Skip(kTypes[channels - 1]);) ++channels;
      if (channels > 4) Fail("a TUPLTYPE that PNG doesn't have");
    } else {
      Fail("a damaged or incomplete header");
    }
  }
  if (channels == 0 || depth != channels) Fail("a DEPTH that isn't the TUPLTYPE's");
  SetSamples(channels, maxval);
}

static void ParseBmp(const unsigned char* head, size_t size) {
  if (size < 54) Fail("a damaged or incomplete header");
  const unsigned height = Little(head + 22, 4), bits = Little(head + 28, 2);
  if (Little(head + 14, 4) < 40 || Little(head + 30, 4) != 0) Fail("a BMP of an unknown kind");
  if (bits != 8 && bits != 24 && bits != 32) Fail("a BMP of other than 8, 24 or 32 bits a pixel");
  image.rows = Little(head + 10, 4);
  image.width = Little(head + 18, 4);
  image.height = height > INT_MAX ? -height : height; /* negative: the highest row comes first */
  SetSamples(bits / 8, 255);
  image.flags = bits > 8;
  image.padding = -(image.width * image.pixel) & 3;
}

static void ParseHead(const unsigned char* head, size_t size) {
  text = head;
  text_end = head + size;
  if (size >= 2 && memcmp(head, "BM", 2) == 0) {
    ParseBmp(head, size);
  } else {
    if (Skip("P5"))
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
  const unsigned long long samples = (unsigned long long)image.width * image.pixel,
                           stride = samples + image.padding;
  unsigned long long y = 0;
  if (file.offset > image.rows) y = (file.offset - image.rows + stride - 1) / stride;
  if (y >= image.height || image.rows + y * stride > file.end) Fail("no whole row in the chunk");
  const unsigned long long before = image.rows + y * stride - file.offset;
  unsigned long long height = (file.chunk.size - before) / stride;
  if (height > image.height - y) height = image.height - y;
  if (height == 0) Fail("no whole row in the chunk");
  const unsigned char* rows = file.chunk.bytes + before;

  int has_zeros = image.pixel == 4 && image.flags != 0;
  for (unsigned long long i = 0; i < height; ++i) {
    const unsigned char* row = rows + i * stride;
    if (!AreZero(row + samples, image.padding)) Fail("bytes between rows that are not zeros");
    for (size_t x = 3; has_zeros && x < samples; x += 4) has_zeros = row[x] == 0;
  }
  if (has_zeros) {
    image.flags |= 2;
    image.channels = 3;
  }

  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, OnError, OnWarning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (info == NULL) Fail("out of memory");
  png_set_write_fn(png, NULL, OnWrite, Flush);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_buffer_size(png, 1 << 18);
  static const unsigned char kTypes[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                         PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  png_set_IHDR(png, info, image.width, (unsigned)height, image.bits, kTypes[image.channels - 1],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const unsigned char* after = rows + height * stride;
  WriteKept(png, file.chunk.bytes, before, after, file.chunk.bytes + file.chunk.size - after);
  if (image.flags & 1) png_set_bgr(png);
  if (image.flags & 2) png_set_filler(png, 0, PNG_FILLER_AFTER);
  for (unsigned long long i = 0; i < height; ++i) png_write_row(png, rows + i * stride);
  png_write_end(png, info);
  Flush(png);
  return 0;
}
