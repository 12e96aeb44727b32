/* What of libjpeg-turbo a guest decodes with: SSE2 code, where there is some. Upstream's own choice
 * asks the CPU, and needs the encoders' code, and code for MMX and AVX2. */
#ifdef __linux__ /* a hosted program, of C alone */

#include "jsimd_none.c"
/* After it: types. */
#include "jidctint.c"
#include "third_party/never.h"

#else

#define JPEG_INTERNALS
#include "jinclude.h"
/* After it: types. */
#include "jpeglib.h"
/* After it: structures. */
#include "jdct.h"
#include "jsimd.h"
#include "jsimddct.h"
#include "simd/jsimd.h"
#include "third_party/never.h"

/* What the code was made for, as upstream's choice has it. */
_Static_assert(BITS_IN_JSAMPLE == 8 && DCTSIZE == 8 && RGB_PIXELSIZE == 3, "");
_Static_assert(sizeof(JCOEF) == 2 && sizeof(JDIMENSION) == 4 && sizeof(ISLOW_MULT_TYPE) == 2, "");

#define IDCT(name)                                                                      \
  int jsimd_can_idct_##name(void) { return 1; }                                         \
  void jsimd_idct_##name(j_decompress_ptr jpeg, jpeg_component_info* component,         \
                         JCOEFPTR coefficients, JSAMPARRAY output, JDIMENSION column) { \
    jsimd_idct_##name##_sse2(component->dct_table, coefficients, output, column);       \
  }

IDCT(2x2)
IDCT(4x4)
IDCT(islow)

#define UPSAMPLE(name, width)                                                         \
  int jsimd_can_##name##_upsample(void) { return 1; }                                 \
  void jsimd_##name##_upsample(j_decompress_ptr jpeg, jpeg_component_info* component, \
                               JSAMPARRAY input, JSAMPARRAY* output) {                \
    jsimd_##name##_upsample_sse2(jpeg->max_v_samp_factor, width, input, output);      \
  }

UPSAMPLE(h2v1, jpeg->output_width)
UPSAMPLE(h2v2, jpeg->output_width)
UPSAMPLE(h2v1_fancy, component->downsampled_width)
UPSAMPLE(h2v2_fancy, component->downsampled_width)

int jsimd_can_ycc_rgb(void) { return 1; }
void jsimd_ycc_rgb_convert(j_decompress_ptr jpeg, JSAMPIMAGE input, JDIMENSION row,
                           JSAMPARRAY output, int rows) {
  if (jpeg->out_color_space != JCS_RGB) Never(); /* blue first, or a fourth byte */
  jsimd_ycc_rgb_convert_sse2(jpeg->output_width, input, row, output, rows);
}

int jsimd_can_idct_float(void) { return 0; }
int jsimd_can_idct_ifast(void) { return 0; }
int jsimd_can_ycc_rgb565(void) { return 0; }
NEVER(jsimd_idct_float);
NEVER(jsimd_idct_ifast);
NEVER(jsimd_ycc_rgb565_convert);

/* The same in C, and sizes that `--scale` doesn't have. */
NEVER(jpeg_idct_10x10);
NEVER(jpeg_idct_11x11);
NEVER(jpeg_idct_12x12);
NEVER(jpeg_idct_13x13);
NEVER(jpeg_idct_14x14);
NEVER(jpeg_idct_15x15);
NEVER(jpeg_idct_16x16);
NEVER(jpeg_idct_3x3);
NEVER(jpeg_idct_5x5);
NEVER(jpeg_idct_6x6);
NEVER(jpeg_idct_7x7);
NEVER(jpeg_idct_9x9);
NEVER(jpeg_idct_islow);

#endif

/* Less accurate transforms, upsampling without interpolation, palettes. */
NEVER(jinit_1pass_quantizer);
NEVER(jinit_2pass_quantizer);
NEVER(jinit_merged_upsampler);
NEVER(jpeg_idct_float);
NEVER(jpeg_idct_ifast);
