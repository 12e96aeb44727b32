/* What encoding alone needs, which libvorbis's tables of functions name. */
#include "vorbis/codec.h"
/* After it: types. */
#include "codec_internal.h"
#include "envelope.h"
#include "psy.h"
#include "smallft.h"
#include "third_party/never.h"

NEVER(_ve_envelope_clear);
NEVER(_vi_psy_free);
NEVER(_vp_couple_quantize_normalize);
NEVER(_vp_global_free);
NEVER(_vp_noisemask);
NEVER(_vp_offset_and_mix);
NEVER(_vp_psy_clear);
NEVER(_vp_psy_init);
NEVER(_vp_tonemask);
NEVER(drft_forward);
NEVER(drft_init);

/* There was no drft_init(). */
void drft_clear(drft_lookup* lookup) {}
