/* The JPEG decoder: images as decoders/README.md says, baseline, progressive and arithmetic, of 8
 * bits a sample, as djpeg gives them. They may follow each other, as in files with several
 * pictures. What else follows them is passed over: cameras append padding, tables and video.
 */
#include <stdio.h>

#include "jpeglib.h"

#define VX_DECODER "jpeg"
#include "decoders/sdk/pnm.h"

VX_NOTE(
    "output: image/x-portable-anymap .pnm\n"
    "preview: --png -> image/png .png; the first image, or the only one, for the web\n"
    "preview: --scale=2|4|8; sides 2, 4 or 8 times smaller\n");

static struct jpeg_source_mgr source;

/* The first of libjpeg's warnings, after which it goes on with what it makes of damaged data. */
static char warning[JMSG_LENGTH_MAX];
static unsigned long long warning_offset;

static unsigned long long Offset(void) { return input_read - source.bytes_in_buffer; }

static void OnError(j_common_ptr jpeg) {
  char why[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, why);
  FailAt(why, Offset());
}

static void OnMessage(j_common_ptr jpeg, int level) {
  if (level >= 0 || warning[0] != '\0') return;
  jpeg->err->format_message(jpeg, warning);
  warning_offset = Offset();
}

static void DoNothing(j_decompress_ptr jpeg) {}

static boolean OnFill(j_decompress_ptr jpeg) {
  avail_in = 0;
  if (!Refill()) FailAt("the input ends within an image", input_read);
  source.next_input_byte = next_in;
  source.bytes_in_buffer = avail_in;
  return TRUE;
}

static void OnSkip(j_decompress_ptr jpeg, long count) {
  if (count <= 0) return;
  while ((size_t)count > source.bytes_in_buffer) {
    count -= (long)source.bytes_in_buffer;
    OnFill(jpeg);
  }
  source.next_input_byte += count;
  source.bytes_in_buffer -= (size_t)count;
}

/* `scale`: by how much smaller the sides are to be; 0: not. */
static void Decode(j_decompress_ptr jpeg, unsigned scale) {
  jpeg_read_header(jpeg, TRUE);
  if (scale != 0) jpeg->scale_num = 1, jpeg->scale_denom = scale;
  PnmKind kind = PNM_GRAY;
  switch (jpeg->out_color_space) {
    case JCS_GRAYSCALE:
      break;
    case JCS_RGB:
      kind = PNM_RGB;
      break;
    case JCS_CMYK:
      kind = PNM_CMYK;
      break;
    default:
      FailAt("of colours that are neither gray nor RGB nor CMYK", Offset());
  }
  jpeg_start_decompress(jpeg);
  size_t size = (size_t)jpeg->output_width * (unsigned)jpeg->output_components;
  JSAMPARRAY rows = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, (JDIMENSION)size, 1);
  PutHeader(kind, jpeg->output_width, jpeg->output_height, 255);
  while (jpeg->output_scanline < jpeg->output_height) {
    jpeg_read_scanlines(jpeg, rows, 1);
    /* Adobe's marker goes with samples that are 255 where there is no ink. */
    if (kind == PNM_CMYK && jpeg->saw_Adobe_marker)
      for (size_t i = 0; i < size; i++) rows[0][i] ^= 255;
    PutSamples(rows[0], size);
  }
  jpeg_finish_decompress(jpeg);
}

/* Whether an image comes next, by its first marker. */
static int IsImageNext(void) {
  size_t left = source.bytes_in_buffer;
  if (left < 2) {
    memmove(input, source.next_input_byte, left);
    const size_t more = (size_t)read(VX_FD_INPUT, input + left, sizeof input - left);
    input_read += more;
    source.next_input_byte = input;
    source.bytes_in_buffer = left += more;
  }
  return left >= 2 && source.next_input_byte[0] == 0xff && source.next_input_byte[1] == 0xd8;
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  as_png = vx_argument(argv, "--png") != NULL;
  const unsigned scale = (unsigned)vx_argument_number(argv, "--scale");
  static struct jpeg_decompress_struct jpeg;
  static struct jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  errors.error_exit = OnError;
  errors.emit_message = OnMessage;
  jpeg_create_decompress(&jpeg);
  source.init_source = DoNothing;
  source.fill_input_buffer = OnFill;
  source.skip_input_data = OnSkip;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = DoNothing;
  jpeg.src = &source;
  do Decode(&jpeg, scale);
  while (warning[0] == '\0' && !as_png && IsImageNext());
  if (warning[0] != '\0') FailAt(warning, warning_offset);
  Flush();
  return 0;
}
