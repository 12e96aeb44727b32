/* The GIF decoder: after each frame the canvas, as decoders/README.md says. Keeps the
 * canvas, and a copy where a frame wants it restored. What follows the trailer is passed over:
 * editors have left pieces of longer files there.
 */
#include "gif_lib.h"

#define VX_DECODER "gif"
#include "decoders/sdk/pnm.h"

VX_NOTE(
    "output: image/x-portable-anymap .pnm\n"
    "preview: --png -> image/png .png; the first image, or the only one, for the web\n");

typedef struct {
  unsigned char red, green, blue, alpha;
} Pixel;

static GifFileType* gif;
static Pixel* canvas; /* all transparent at first */
static Pixel* saved;  /* what it was before the frame, or NULL */
static GraphicsControlBlock control;
static unsigned char row[65535];

static int OnRead(GifFileType* file, GifByteType* bytes, int size) {
  if (Get(bytes, (size_t)size) != (size_t)size) Fail("the input ends within the image");
  return size;
}

static _Noreturn void FailGif(int error) {
  const char* why = GifErrorString(error);
  Fail(why ? why : "damaged data");
}

static void Check(int status) {
  if (status != GIF_OK) FailGif(gif->Error);
}

static size_t CanvasSize(void) {
  return (size_t)gif->SWidth * (size_t)gif->SHeight * sizeof(Pixel);
}

static void ResetControl(void) {
  control.DisposalMode = DISPOSAL_UNSPECIFIED;
  control.TransparentColor = NO_TRANSPARENT_COLOR;
}

static void DrawRow(const ColorMapObject* colors, int y) {
  y += gif->Image.Top;
  if (y >= gif->SHeight) return;
  Pixel* to = canvas + (size_t)y * (size_t)gif->SWidth + gif->Image.Left;
  for (int x = 0; x < gif->Image.Width && x < gif->SWidth - gif->Image.Left; x++) {
    if (row[x] == control.TransparentColor || row[x] >= colors->ColorCount) continue;
    const GifColorType* color = colors->Colors + row[x];
    to[x] = (Pixel){color->Red, color->Green, color->Blue, 255};
  }
}

static void DrawFrame(void) {
  static const int kFirst[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
  const ColorMapObject* colors = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
  if (colors == NULL) Fail("a frame without colours");
  int passes = gif->Image.Interlace ? 4 : 1;
  for (int pass = 0; pass < passes; pass++)
    for (int y = kFirst[pass]; y < gif->Image.Height; y += passes == 1 ? 1 : kStep[pass]) {
      Check(DGifGetLine(gif, row, gif->Image.Width));
      DrawRow(colors, y);
    }
}

/* What becomes of the frame before the next one. */
static void DisposeOfFrame(void) {
  if (saved != NULL) {
    memcpy(canvas, saved, CanvasSize());
    free(saved);
    saved = NULL;
  } else if (control.DisposalMode == DISPOSE_BACKGROUND) {
    for (int y = gif->Image.Top; y < gif->SHeight && y < gif->Image.Top + gif->Image.Height; y++)
      for (int x = gif->Image.Left; x < gif->SWidth && x < gif->Image.Left + gif->Image.Width; x++)
        canvas[(size_t)y * (size_t)gif->SWidth + (size_t)x] = (Pixel){0, 0, 0, 0};
  }
  ResetControl();
}

static void DecodeFrame(void) {
  Check(DGifGetImageDesc(gif));
  if (gif->Image.Width == 0 || gif->Image.Height == 0) Fail("a frame without pixels");
  if (control.DisposalMode == DISPOSE_PREVIOUS) {
    if ((saved = malloc(CanvasSize())) == NULL) Fail("out of memory");
    memcpy(saved, canvas, CanvasSize());
  }
  DrawFrame();
  PutHeader(PNM_RGB_ALPHA, (unsigned)gif->SWidth, (unsigned)gif->SHeight, 255);
  PutSamples(canvas, CanvasSize());
  DisposeOfFrame();
}

static void ReadExtension(void) {
  int code;
  GifByteType* bytes;
  Check(DGifGetExtension(gif, &code, &bytes));
  if (code == GRAPHICS_EXT_FUNC_CODE && bytes != NULL)
    Check(DGifExtensionToGCB(bytes[0], bytes + 1, &control));
  while (bytes != NULL) Check(DGifGetExtensionNext(gif, &bytes));
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  as_png = vx_argument(argv, "--png") != NULL;
  int error;
  gif = DGifOpen(NULL, OnRead, &error);
  if (gif == NULL) FailGif(error);
  if (gif->SWidth == 0 || gif->SHeight == 0) Fail("a canvas without pixels");
  unsigned long long size =
      (unsigned long long)gif->SWidth * (unsigned long long)gif->SHeight * sizeof(Pixel);
  if (size > (size_t)-1 / 2 || (canvas = calloc(1, (size_t)size)) == NULL) Fail("out of memory");
  ResetControl();
  for (int frames = 0;;) {
    GifRecordType type;
    Check(DGifGetRecordType(gif, &type));
    if (type == IMAGE_DESC_RECORD_TYPE) {
      DecodeFrame();
      frames++;
      if (as_png) break;
    } else if (type == EXTENSION_RECORD_TYPE) {
      ReadExtension();
    } else if (frames == 0) {
      Fail("no image");
    } else {
      break;
    }
  }
  Flush();
  return 0;
}
