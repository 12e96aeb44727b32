/* The TIFF decoder: the images of a file as decoders/README.md says. Keeps the input, and
 * a row of tiles or a strip.
 */
#include <stdarg.h>
#include <stdio.h>

#include "tiffio.h"

#define VX_DECODER "tiff"
#include "decoders/sdk/pnm.h"

VX_NOTE(
    "output: image/x-portable-anymap .pnm\n"
    "preview: --png -> image/png .png; the first image, or the only one, for the web\n");

static unsigned char* data;
static size_t data_size;
static size_t position;
static int is_cut; /* more was asked for than there is */
static int in_samples;

static tmsize_t OnRead(thandle_t handle, void* to, tmsize_t size) {
  size_t left = position < data_size ? data_size - position : 0;
  if ((size_t)size > left) is_cut = 1;
  if ((size_t)size < left) left = (size_t)size;
  memcpy(to, data + position, left);
  position += left;
  return (tmsize_t)left;
}

static tmsize_t OnWrite(thandle_t handle, void* from, tmsize_t size) { return -1; }

static toff_t OnSeek(thandle_t handle, toff_t to, int whence) {
  toff_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position : data_size;
  position = from + to > (size_t)-1 ? (size_t)-1 : (size_t)(from + to);
  return position;
}

static int OnClose(thandle_t handle) { return 0; }

static toff_t OnSize(thandle_t handle) { return data_size; }

static _Noreturn void FailHere(const char* why) {
  FailAt(is_cut ? "the input ends within the image" : why,
         is_cut || position > data_size ? data_size : position);
}

static _Noreturn void OnError(const char* module, const char* format, va_list values) {
  static char why[512];
  if (strstr(format, "%f") != NULL)
    FailHere("a bad value in a directory"); /* which vsniprintf can't print */
  vsniprintf(why, sizeof why, format, values);
  for (char* c = why; *c; c++)
    if (*c < ' ' || *c > '~') *c = '?'; /* Some messages quote the file. */
  FailHere(why);
}

/* Of samples libtiff has nothing harmless to say. */
static void OnWarning(const char* module, const char* format, va_list values) {
  if (in_samples) OnError(module, format, values);
}

typedef struct {
  uint32_t width, height;
  uint16_t bits, samples, planar, photometric;
  uint16_t *red, *green, *blue; /* the palette, or NULL */
  /* Pixels come in cells: tiles, or strips as wide as the image. */
  int tiled;
  uint32_t cell_width, cell_height, across;
  size_t cell_size, cell_row_size;
  unsigned char* cells; /* of one row of them, of all planes */
  unsigned char* row;   /* of the output */
} Page;

static unsigned Sample(const Page* page, uint32_t x, uint32_t row, unsigned sample) {
  unsigned plane = page->planar == PLANARCONFIG_SEPARATE ? sample : 0;
  unsigned together = page->planar == PLANARCONFIG_SEPARATE ? 1 : page->samples;
  size_t index = (size_t)(x % page->cell_width) * together +
                 (page->planar == PLANARCONFIG_SEPARATE ? 0 : sample);
  const unsigned char* from =
      page->cells + ((size_t)plane * page->across + x / page->cell_width) * page->cell_size +
      row * page->cell_row_size;
  if (page->bits == 16) return from[2 * index] | (unsigned)from[2 * index + 1] << 8;
  unsigned shift = 8 - page->bits - (unsigned)(index * page->bits % 8);
  return from[index * page->bits / 8] >> shift & ((1u << page->bits) - 1);
}

static unsigned char* AddSample(unsigned char* to, unsigned value, unsigned bits) {
  if (bits == 16) *to++ = (unsigned char)(value >> 8);
  *to++ = (unsigned char)value;
  return to;
}

static unsigned char* AddPixel(unsigned char* to, const Page* page, uint32_t x, uint32_t row) {
  if (page->red != NULL) {
    unsigned index = Sample(page, x, row, 0);
    to = AddSample(to, page->red[index], 16);
    to = AddSample(to, page->green[index], 16);
    return AddSample(to, page->blue[index], 16);
  }
  unsigned max = (1u << page->bits) - 1, scale = page->bits < 8 ? 255 / max : 1;
  for (unsigned s = 0; s < page->samples; s++) {
    unsigned value = Sample(page, x, row, s);
    if (page->photometric == PHOTOMETRIC_MINISWHITE && s == 0) value = max - value;
    to = AddSample(to, value * scale, page->bits);
  }
  return to;
}

/* Whether bytes of a cell's row are those of the output. */
static int IsAsStored(const Page* page) {
  return page->bits == 8 && page->red == NULL && page->photometric != PHOTOMETRIC_MINISWHITE &&
         (page->planar != PLANARCONFIG_SEPARATE || page->samples == 1);
}

static void PutRow(const Page* page, uint32_t row) {
  if (IsAsStored(page)) {
    const unsigned char* from = page->cells + row * page->cell_row_size;
    for (uint32_t left = page->width; left > 0; from += page->cell_size) {
      uint32_t part = left < page->cell_width ? left : page->cell_width;
      PutSamples(from, (size_t)part * page->samples);
      left -= part;
    }
    return;
  }
  unsigned char* to = page->row;
  for (uint32_t x = 0; x < page->width; x++) to = AddPixel(to, page, x, row);
  PutSamples(page->row, (size_t)(to - page->row));
}

static PnmKind Kind(TIFF* tiff, Page* page) {
  uint16_t format, ink, extra, *kinds;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_INKSET, &ink);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extra, &kinds);
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
    FailHere("of samples that are not unsigned integers");
  unsigned bits = page->bits;
  if (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16)
    FailHere("of neither 1, 2, 4, 8 nor 16 bits a sample");
  switch (page->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
      if (page->samples == 1) return PNM_GRAY;
      if (page->samples == 2) return PNM_GRAY_ALPHA;
      break;
    case PHOTOMETRIC_RGB:
      if (page->samples == 3) return PNM_RGB;
      if (page->samples == 4) return PNM_RGB_ALPHA;
      break;
    case PHOTOMETRIC_PALETTE:
      if (page->samples != 1 || bits > 8) break;
      if (!TIFFGetField(tiff, TIFFTAG_COLORMAP, &page->red, &page->green, &page->blue))
        FailHere("no palette");
      return PNM_RGB;
    case PHOTOMETRIC_SEPARATED:
      if (page->samples == 4 && extra == 0 && ink == INKSET_CMYK) return PNM_CMYK;
      break;
  }
  FailHere("of colours that are neither gray, RGB, CMYK nor a palette, with alpha at most");
}

static void ReadCells(TIFF* tiff, const Page* page, uint32_t y) {
  unsigned planes = page->planar == PLANARCONFIG_SEPARATE ? page->samples : 1;
  unsigned char* to = page->cells;
  in_samples = 1;
  for (unsigned plane = 0; plane < planes; plane++)
    for (uint32_t i = 0; i < page->across; i++, to += page->cell_size) {
      memset(to, 0, page->cell_size);
      uint32_t number = page->tiled
                            ? TIFFComputeTile(tiff, i * page->cell_width, y, 0, (uint16_t)plane)
                            : TIFFComputeStrip(tiff, y, (uint16_t)plane);
      /* Of one that isn't there libtiff makes up the length. */
      if (TIFFGetStrileOffset(tiff, number) == 0) FailHere("a strip or tile is missing");
      tmsize_t read = page->tiled
                          ? TIFFReadEncodedTile(tiff, number, to, (tmsize_t)page->cell_size)
                          : TIFFReadEncodedStrip(tiff, number, to, (tmsize_t)page->cell_size);
      if (read < 0) FailHere("damaged data");
    }
  in_samples = 0;
}

static void DecodePage(TIFF* tiff) {
  Page page = {0};
  if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &page.width) ||
      !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &page.height) ||
      !TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &page.photometric) || page.width == 0 ||
      page.height == 0)
    FailHere("a page that doesn't say what it is");
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &page.samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &page.planar);
  PnmKind kind = Kind(tiff, &page);
  page.tiled = TIFFIsTiled(tiff);
  page.cell_width = page.width;
  if (page.tiled) {
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &page.cell_width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &page.cell_height);
  } else {
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &page.cell_height);
    if (page.cell_height > page.height) page.cell_height = page.height;
  }
  if (page.cell_width == 0 || page.cell_height == 0) FailHere("tiles without pixels");
  page.across = (page.width - 1) / page.cell_width + 1;
  page.cell_size = (size_t)(page.tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff));
  page.cell_row_size = (size_t)(page.tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff));
  unsigned long long together = page.planar == PLANARCONFIG_SEPARATE ? 1 : page.samples;
  if (page.cell_row_size < (page.cell_width * together * page.bits + 7) / 8 ||
      page.cell_size / page.cell_row_size < page.cell_height)
    FailHere("tiles of another size than they should have");
  unsigned long long size = (unsigned long long)page.across * page.cell_size;
  if (page.planar == PLANARCONFIG_SEPARATE) size *= page.samples;
  int is_wide = page.bits == 16 || page.red != NULL;
  unsigned long long row_size = page.width * (page.red != NULL ? 3ULL : page.samples) << is_wide;
  if (size > (size_t)-1 / 2 || (page.cells = malloc((size_t)size)) == NULL ||
      row_size > (size_t)-1 / 2 || (page.row = malloc((size_t)row_size)) == NULL)
    FailHere("out of memory");
  PutHeader(kind, page.width, page.height, is_wide ? 65535 : 255);
  for (uint32_t y = 0; y < page.height; y++) {
    if (y % page.cell_height == 0) ReadCells(tiff, &page, y);
    PutRow(&page, y % page.cell_height);
  }
  free(page.row);
  free(page.cells);
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  as_png = vx_argument(argv, "--png") != NULL;
  data = GetAll(&data_size);
  TIFFSetErrorHandler(OnError);
  TIFFSetWarningHandler(OnWarning);
  TIFF* tiff = TIFFClientOpen("", "r", NULL, OnRead, OnWrite, OnSeek, OnClose, OnSize, NULL, NULL);
  if (tiff == NULL) FailHere("not a TIFF header");
  do DecodePage(tiff);
  while (!as_png && !TIFFLastDirectory(tiff) && TIFFReadDirectory(tiff));
  if (is_cut || (!as_png && !TIFFLastDirectory(tiff))) FailHere("a damaged directory");
  Flush();
  return 0;
}
