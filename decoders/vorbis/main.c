/* The Vorbis decoder: Ogg Vorbis I to WAV. Streams may follow each other, each with the number of
 * channels and the rate of the first; nothing else may be there.
 *
 *   vorbis.vx [--float] [--seconds=N]
 *
 * Samples are 16-bit integers, or as libvorbis has them, neither rounded nor clipped.
 */
#include <vorbis/codec.h>

static const char kName[] = "vorbis";

#include "decoders/audio/ogg.h"
#include "decoders/sdk/args.h"

VX_NOTE(
    "output: audio/wav .wav\n"
    "parameter: --float; 32-bit floating-point samples, neither rounded nor clipped\n"
    "preview: --seconds=N; the first N seconds\n");

static vorbis_info info;
static vorbis_comment comment;
static vorbis_dsp_state dsp;
static vorbis_block block;

static void ReadHeaders(void) {
  vorbis_info_init(&info);
  vorbis_comment_init(&comment);
  for (int i = 0; i < 3; ++i) {
    ogg_packet packet;
    if (!OggNextPacket(&packet)) Fail("the stream ends within its headers");
    switch (vorbis_synthesis_headerin(&info, &comment, &packet)) {
      case 0:
        break;
      case OV_ENOTVORBIS:
        Fail(i == 0 ? "not a Vorbis stream" : "a Vorbis header is missing");
      case OV_EVERSION:
        Fail("another version of Vorbis");
      default:
        Fail("a damaged Vorbis header");
    }
  }
  if (vorbis_synthesis_init(&dsp, &info) != 0) Fail("a damaged Vorbis header");
  vorbis_block_init(&dsp, &block);
}

static void DecodePackets(void) {
  ogg_packet packet;
  while (OggNextPacket(&packet)) {
    int result = vorbis_synthesis(&block, &packet);
    if (result == OV_ENOTAUDIO) continue; /* Vorbis I, 4.3.1: to be ignored */
    if (result != 0) Fail("a damaged packet");
    vorbis_synthesis_blockin(&dsp, &block);
    float** samples;
    int frames = vorbis_synthesis_pcmout(&dsp, &samples);
    for (int i = 0; i < frames; ++i)
      for (int channel = 0; channel < info.channels; ++channel)
        WavPutReal(samples[OggChannel(info.channels, channel)][i]);
    vorbis_synthesis_read(&dsp, frames);
  }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  const int is_float = vx_argument(argv, "--float") != NULL;
  wav_seconds = vx_argument_number(argv, "--seconds");
  if (!OggNextStream()) Fail("the input is empty");
  do {
    ReadHeaders();
    OggBegin(is_float, (unsigned)info.rate, info.channels, WavMask(info.channels));
    DecodePackets();
    vorbis_block_clear(&block);
    vorbis_dsp_clear(&dsp);
    vorbis_comment_clear(&comment);
    vorbis_info_clear(&info);
  } while (OggNextStream());
  WavEnd();
  return 0;
}
