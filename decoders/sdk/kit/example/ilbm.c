/* Decodes pictures of Amiga programs such as Deluxe Paint (IFF ILBM, "EA IFF 85") to PPM: up to 8 bit planes with a
 * palette, plain or in ByteRun1. HAM and half-brite pictures are refused: their colours aren't the palette's alone. */
#define VX_DECODER "ilbm"
#include <vx/pnm.h>

VX_NOTE("output: image/x-portable-pixmap .ppm\n");

enum { kMostPlanes = 8, kMostRowBytes = 65536 / 8 };

static unsigned char palette[256][3];
static unsigned colours; /* in the palette */
static unsigned width, height, planes, masking, compression;
static unsigned char row[kMostPlanes + 1][kMostRowBytes]; /* a plane each, with the mask's */
static unsigned char pixels[65536 * 3];

static unsigned form_left; /* bytes of the FORM that are still to come */
static unsigned left;      /* and of the chunk */

/* Of the chunk, all of `size` bytes. */
static void GetPart(void* bytes, unsigned size) {
  if (size > left) Fail("a chunk ends too early");
  if (Get(bytes, size) != size) Fail("the input ends within a chunk");
  left -= size;
}

static unsigned GetNumber(unsigned bytes) {
  unsigned char big_endian[4];
  unsigned number = 0;
  GetPart(big_endian, bytes);
  for (unsigned i = 0; i < bytes; ++i) number = number << 8 | big_endian[i];
  return number;
}

/* Passes over what is left of the chunk. */
static void Skip(void) {
  unsigned char bytes[256];
  while (left > 0) GetPart(bytes, left < sizeof bytes ? left : sizeof bytes);
}

static void GetRow(unsigned char* bytes, unsigned size) {
  if (compression == 0) {
    GetPart(bytes, size);
    return;
  }
  while (size > 0) {
    unsigned code = GetNumber(1);
    if (code == 128) continue; /* means nothing */
    unsigned count = code < 128 ? code + 1 : 257 - code;
    if (count > size) Fail("a run goes past its row");
    if (code < 128) {
      GetPart(bytes, count);
    } else {
      memset(bytes, (int)GetNumber(1), count);
    }
    bytes += count;
    size -= count;
  }
}

static void Header(void) {
  width = GetNumber(2);
  height = GetNumber(2);
  GetNumber(4); /* where it stands on the screen */
  planes = GetNumber(1);
  masking = GetNumber(1);
  compression = GetNumber(1);
  if (width == 0 || height == 0) Fail("an empty picture");
  if (planes == 0 || planes > kMostPlanes) Fail("not 1 to 8 planes");
  if (masking > 3) Fail("an unknown masking");
  if (compression > 1) Fail("an unknown compression");
}

static void Body(void) {
  const unsigned row_bytes = (width + 15) / 16 * 2;
  PutHeader(PNM_RGB, width, height, 255);
  for (unsigned y = 0; y < height; ++y) {
    for (unsigned plane = 0; plane < planes + (masking == 1); ++plane) GetRow(row[plane], row_bytes);
    for (unsigned x = 0; x < width; ++x) {
      unsigned index = 0;
      for (unsigned plane = 0; plane < planes; ++plane) {
        index |= (row[plane][x / 8] >> (7 - x % 8) & 1u) << plane;
      }
      if (index >= colours) Fail("a pixel's colour is not in the palette");
      memcpy(pixels + 3 * x, palette[index], 3);
    }
    Put(pixels, 3 * width);
  }
}

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  char name[4];
  int body_seen = 0;
  left = 12;
  GetPart(name, 4);
  if (memcmp(name, "FORM", 4) != 0) FailAt("not an IFF file", 0);
  form_left = GetNumber(4);
  GetPart(name, 4);
  if (memcmp(name, "ILBM", 4) != 0) FailAt("not an ILBM picture", 8);
  if (form_left < 4) FailAt("too short for a picture", 4);
  for (form_left -= 4; form_left > 0;) {
    if (form_left < 8) Fail("bytes that are no chunk");
    left = 8;
    GetPart(name, 4);
    const unsigned size = GetNumber(4), padded = size + size % 2;
    form_left -= 8;
    if (size > form_left || padded > form_left) Fail("a chunk is longer than its file");
    left = size;
    if (memcmp(name, "BMHD", 4) == 0) {
      Header();
    } else if (memcmp(name, "CMAP", 4) == 0) {
      if (size > sizeof palette) Fail("a palette of more than 256 colours");
      colours = size / 3;
      GetPart(palette, size);
    } else if (memcmp(name, "CAMG", 4) == 0) {
      if (GetNumber(4) & 0x880) Fail("a HAM or half-brite picture");
    } else if (memcmp(name, "BODY", 4) == 0) {
      if (planes == 0 || body_seen) Fail("a body without its header");
      Body();
      body_seen = 1;
    }
    left += padded - size;
    Skip();
    form_left -= padded;
  }
  if (!body_seen) Fail("no picture");
  if (Refill()) Fail("bytes after the end");
  Flush();
  return 0;
}
