/* The JPEG 2000 decoder: an image, in a JP2 file or as a bare codestream, as decoders/README.md
 * says. Keeps the input and the image.
 */
#include "openjpeg.h"

#define VX_DECODER "jp2"
#include "decoders/sdk/pnm.h"

VX_NOTE(
    "output: image/x-portable-anymap .pnm\n"
    "preview: --png -> image/png .png; the first image, or the only one, for the web\n"
    "preview: --scale=2|4|8|16|32; sides that many times smaller, if it has such a resolution\n");

static unsigned char* data;
static size_t data_size;
static size_t position;

static OPJ_SIZE_T OnRead(void* to, OPJ_SIZE_T size, void* context) {
  if (position == data_size) return (OPJ_SIZE_T)-1;
  if (size > data_size - position) size = data_size - position;
  memcpy(to, data + position, size);
  position += size;
  return size;
}

static OPJ_BOOL OnSeek(OPJ_OFF_T to, void* context) {
  if (to < 0 || (unsigned long long)to > data_size) return OPJ_FALSE;
  position = (size_t)to;
  return OPJ_TRUE;
}

static OPJ_OFF_T OnSkip(OPJ_OFF_T count, void* context) {
  return OnSeek((OPJ_OFF_T)position + count, context) ? count : -1;
}

/* The first is the most precise. */
static void OnError(const char* message, void* context) {
  static char why[256];
  size_t length = strlen(message);
  if (length >= sizeof why) length = sizeof why - 1;
  memcpy(why, message, length);
  while (length > 0 && why[length - 1] == '\n') why[--length] = '\0';
  for (char* c = why; *c; c++)
    if (*c == '\n') *c = ' ';
  FailAt(why, position);
}

static int in_samples;

/* Of samples OpenJPEG has nothing harmless to say. */
static void OnWarning(const char* message, void* context) {
  if (in_samples) OnError(message, context);
}

static unsigned Number(size_t at, unsigned bytes) {
  unsigned number = 0;
  while (bytes--) number = number << 8 | data[at++];
  return number;
}

static const char kCut[] = "the input ends within the image", kJunk[] = "junk after the image";

/* Checks that the codestream from `at` ends at `end`, which OpenJPEG doesn't. */
static void CheckCodestream(size_t at, size_t end) {
  enum { kSoc = 0xff4f, kSot = 0xff90, kEoc = 0xffd9 };
  if (end - at < 2 || Number(at, 2) != kSoc)
    FailAt(end - at < 2 ? kCut : "not a JPEG 2000 codestream", at);
  at += 2;
  for (;;) {
    if (end - at < 2) FailAt(kCut, end);
    unsigned marker = Number(at, 2);
    if (marker == kEoc) break;
    if (end - at < 12) FailAt(kCut, end);
    unsigned size = marker == kSot ? Number(at + 6, 4) : 2 + Number(at + 2, 2);
    if (marker == kSot && size == 0) {
      if (end - at < 14 || Number(end - 2, 2) != kEoc) FailAt(kCut, end);
      size = (unsigned)(end - 2 - at);
    }
    if (size < 4) FailAt("a marker without its length", at);
    if (size > end - at) FailAt(kCut, end);
    at += size;
  }
  if (at + 2 != end) FailAt(kJunk, at + 2);
}

/* The same of the file that is made of boxes. */
static void CheckBoxes(void) {
  int codestreams = 0;
  for (size_t at = 0; at < data_size;) {
    if (data_size - at < 8) FailAt(kCut, data_size);
    unsigned size = Number(at, 4), header = 8;
    if (size == 1) {
      if (data_size - at < 16) FailAt(kCut, data_size);
      size = Number(at + 8, 4) != 0 ? 0xffffffff : Number(at + 12, 4);
      header = 16;
    } else if (size == 0) {
      size = (unsigned)(data_size - at);
    }
    if (size < header) FailAt("a box shorter than its header", at);
    if (size > data_size - at) FailAt(kCut, data_size);
    if (memcmp(data + at + 4, "jp2c", 4) == 0 && codestreams++ == 0)
      CheckCodestream(at + header, at + size);
    at += size;
  }
  if (codestreams == 0) FailAt(kCut, data_size);
}

/* What kind of image it is, of components that must be alike. */
static PnmKind Kind(const opj_image_t* image) {
  if (image->numcomps < 1 || image->numcomps > 4) FailAt("of more than 4 components", 0);
  for (unsigned i = 0; i < image->numcomps; i++) {
    const opj_image_comp_t *first = &image->comps[0], *comp = &image->comps[i];
    if (comp->data == NULL) FailAt("a component without data", 0);
    if (comp->w != first->w || comp->h != first->h || comp->prec != first->prec ||
        comp->dx != first->dx || comp->dy != first->dy)
      FailAt("of components that differ in size or precision", 0);
    if (comp->prec < 1 || comp->prec > 16) FailAt("of more than 16 bits a sample", 0);
  }
  if (image->color_space == OPJ_CLRSPC_SYCC || image->color_space == OPJ_CLRSPC_EYCC)
    FailAt("of colours that are neither gray nor RGB nor CMYK", 0);
  static const PnmKind kKinds[] = {PNM_GRAY, PNM_GRAY_ALPHA, PNM_RGB, PNM_RGB_ALPHA};
  return image->color_space == OPJ_CLRSPC_CMYK && image->numcomps == 4
             ? PNM_CMYK
             : kKinds[image->numcomps - 1];
}

static void PutImage(const opj_image_t* image) {
  PnmKind kind = Kind(image);
  unsigned width = image->comps[0].w, height = image->comps[0].h;
  int maxval = (1 << image->comps[0].prec) - 1;
  PutHeader(kind, width, height, (unsigned)maxval);
  for (size_t i = 0; i < (size_t)width * height; i++)
    for (unsigned c = 0; c < image->numcomps; c++) {
      const opj_image_comp_t* comp = &image->comps[c];
      int value = comp->data[i] + (comp->sgnd ? (maxval + 1) / 2 : 0);
      if (value < 0) value = 0;
      if (value > maxval) value = maxval;
      unsigned char bytes[] = {(unsigned char)(value >> 8), (unsigned char)value};
      if (maxval > 255)
        PutSamples(bytes, 2);
      else
        PutSamples(bytes + 1, 1);
    }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  as_png = vx_argument(argv, "--png") != NULL;
  data = GetAll(&data_size);
  static const unsigned char kSignature[] = "\0\0\0\14jP  \r\n\x87\n";
  int is_file = data_size != 0 && memcmp(data, kSignature, data_size < 12 ? data_size : 12) == 0;
  if (is_file)
    CheckBoxes();
  else
    CheckCodestream(0, data_size);
  opj_codec_t* codec = opj_create_decompress(is_file ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  opj_stream_t* stream = opj_stream_create(1 << 16, OPJ_TRUE);
  if (codec == NULL || stream == NULL) FailAt("out of memory", 0);
  opj_set_error_handler(codec, OnError, NULL);
  opj_set_warning_handler(codec, OnWarning, NULL);
  opj_stream_set_read_function(stream, OnRead);
  opj_stream_set_skip_function(stream, OnSkip);
  opj_stream_set_seek_function(stream, OnSeek);
  opj_stream_set_user_data(stream, data, NULL);
  opj_stream_set_user_data_length(stream, data_size);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  for (unsigned scale = (unsigned)vx_argument_number(argv, "--scale"); scale > 1; scale /= 2)
    parameters.cp_reduce++;
  opj_image_t* image = NULL;
  if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &image))
    FailAt("damaged data", position);
  in_samples = 1;
  if (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream))
    FailAt("damaged data", position);
  PutImage(image);
  Flush();
  return 0;
}
