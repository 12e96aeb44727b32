/* The Opus decoder: Ogg Opus (RFC 7845) to WAV at 48 kHz, whatever the rate before it was encoded;
 * mapping families 0, 1 and 255, without the samples to be skipped at the beginning and cut off at
 * the end, with the header's gain. Streams may follow each other, each with the number of channels
 * of the first; nothing else may be there.
 *
 *   opus.vx [--float] [--seconds=N]
 *
 * Samples are 16-bit integers, or as libopus has them, neither rounded nor clipped.
 */
#include <opus_multistream.h>
#include <string.h>

static const char kName[] = "opus";

#include "decoders/audio/ogg.h"
#include "decoders/sdk/args.h"

VX_NOTE(
    "output: audio/wav .wav\n"
    "parameter: --float; 32-bit floating-point samples, neither rounded nor clipped\n"
    "preview: --seconds=N; the first N seconds\n");

enum {
  kRate = 48000,
  kMaxFrames = kRate / 1000 * 120, /* of a packet */
  kMaxPackets = 255,               /* that end on a page */
};

struct Head {
  int channels;
  int pre_skip;
  int gain; /* in 1/256 dB */
  int family;
  int streams;
  int coupled;
  const unsigned char* mapping;
};

static ogg_packet packets[kMaxPackets]; /* those that end on the last page read */
static float* samples;                  /* of one packet */

static void ParseHead(const unsigned char* data, long length, struct Head* head) {
  static const unsigned char kStereo[] = {0, 1};
  if (length < 8 || memcmp(data, "OpusHead", 8) != 0) Fail("not an Opus stream");
  if (length < 19) Fail("a damaged Opus header");
  if (data[8] > 15) Fail("another version of Opus");
  head->channels = data[9];
  head->pre_skip = data[10] | data[11] << 8;
  head->gain = (short)(data[16] | data[17] << 8);
  head->family = data[18];
  if (head->family == 0) {
    head->streams = 1;
    head->coupled = head->channels - 1;
    head->mapping = kStereo;
    if (head->channels < 1 || head->channels > 2) Fail("a damaged Opus header");
  } else if (head->family == 1 || head->family == 255) {
    if (length < 21 + head->channels || (head->family == 1 && head->channels > 8))
      Fail("a damaged Opus header");
    head->streams = data[19];
    head->coupled = data[20];
    head->mapping = data + 21;
  } else {
    Fail("a mapping of channels other than family 0, 1 or 255");
  }
}

/* Reads the headers and makes the decoder that they want. */
static OpusMSDecoder* ReadHeaders(struct Head* head) {
  ogg_packet packet;
  if (!OggNextPacket(&packet)) Fail("the stream ends within its headers");
  ParseHead(packet.packet, packet.bytes, head);
  int error;
  OpusMSDecoder* decoder = opus_multistream_decoder_create(kRate, head->channels, head->streams,
                                                           head->coupled, head->mapping, &error);
  if (decoder == NULL) Fail(error == OPUS_BAD_ARG ? "a damaged Opus header" : "out of memory");
  opus_multistream_decoder_ctl(decoder, OPUS_SET_GAIN(head->gain));
  if (!OggNextPacket(&packet)) Fail("the stream ends within its headers");
  if (packet.bytes < 8 || memcmp(packet.packet, "OpusTags", 8) != 0)
    Fail("an Opus header is missing");
  return decoder;
}

/* Gets the packets that end on the next page where some do; 0 at the stream's end. */
static int ReadPackets(void) {
  int count = 0;
  while (count < kMaxPackets && (count == 0 || ogg_stream_packetpeek(&ogg_stream, NULL) == 1) &&
         OggNextPacket(&packets[count]))
    ++count;
  return count;
}

static int Frames(const ogg_packet* packet) {
  int frames = opus_packet_get_nb_samples(packet->packet, (int)packet->bytes, kRate);
  if (frames <= 0) Fail("a damaged packet");
  return frames;
}

static void DecodePackets(OpusMSDecoder* decoder, const struct Head* head) {
  ogg_int64_t at = 0;    /* frames decoded, those to be skipped too */
  ogg_int64_t start = 0; /* the granule position of the first of them */
  for (int count, is_first = 1; (count = ReadPackets()) > 0; is_first = 0) {
    const ogg_int64_t position = packets[count - 1].granulepos;
    if (position < 0) Fail("a page without a granule position");
    ogg_int64_t end = at;
    for (int i = 0; i < count; ++i) end += Frames(&packets[i]);
    if (is_first) start = position - end;
    if (start < 0) {
      if (!ogg_ended) Fail("a granule position before the beginning");
      start = 0;
    }
    if (ogg_ended && position - start < end) end = position - start; /* the rest is padding */
    for (int i = 0; i < count; ++i) {
      const int frames = opus_multistream_decode_float(
          decoder, packets[i].packet, (int)packets[i].bytes, samples, kMaxFrames, 0);
      if (frames != Frames(&packets[i])) Fail("a damaged packet");
      for (int j = 0; j < frames; ++j, ++at) {
        if (at < head->pre_skip || at >= end) continue;
        const float* frame = samples + j * head->channels;
        for (int channel = 0; channel < head->channels; ++channel)
          WavPutReal(frame[head->family == 1 ? OggChannel(head->channels, channel) : channel]);
      }
    }
  }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  const int is_float = vx_argument(argv, "--float") != NULL;
  wav_seconds = vx_argument_number(argv, "--seconds");
  if (!OggNextStream()) Fail("the input is empty");
  do {
    struct Head head;
    OpusMSDecoder* decoder = ReadHeaders(&head);
    OggBegin(is_float, kRate, head.channels, head.family == 255 ? 0 : WavMask(head.channels));
    if (samples == NULL) samples = OggMalloc(sizeof(float) * kMaxFrames * head.channels);
    DecodePackets(decoder, &head);
    opus_multistream_decoder_destroy(decoder);
  } while (OggNextStream());
  WavEnd();
  return 0;
}
