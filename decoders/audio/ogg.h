/* Ogg (RFC 3533) from the input, for decoders of one stream of sound, after which others may
 * follow ("chained"), but none beside it. What libogg would skip is an error.
 *
 * For main.c alone, as wav.h is; REQUIRES: kName, the decoder's name, defined before.
 */
#ifndef DECODERS_AUDIO_OGG_H_
#define DECODERS_AUDIO_OGG_H_

#include <ogg/ogg.h>
#include <stdlib.h>
#include <unistd.h>

#include "decoders/audio/wav.h"

/* A packet may be as long as it likes in Ogg; the longest are comments with pictures in them. */
enum { kOggMaxPacket = 32 << 20, kOggInputSize = 1 << 16 };

static ogg_sync_state ogg_sync;
static ogg_stream_state ogg_stream;
static unsigned long long ogg_read; /* bytes of the input that libogg has got */
static int ogg_ended;               /* the stream's last page has been read */

/* The offset in the input of the first page not yet read. */
static unsigned long long OggOffset(void) {
  return ogg_read - (unsigned)(ogg_sync.fill - ogg_sync.returned);
}

/* Ends the guest with status 1 and `why`, after what was decoded before. */
static _Noreturn void Fail(const char* why) {
  WavFlush();
  vx_fail_at(kName, why, OggOffset());
}

static void* OggChecked(void* memory, size_t size) {
  if (memory == NULL && size != 0) Fail("out of memory");
  return memory;
}
void* OggMalloc(size_t size) { return OggChecked(malloc(size), size); }
void* OggCalloc(size_t count, size_t size) { return OggChecked(calloc(count, size), count * size); }
void* OggRealloc(void* old, size_t size) { return OggChecked(realloc(old, size), size); }

/* Reads a page; false at the end of the input. */
static int OggReadPage(ogg_page* page) {
  for (;;) {
    long size = ogg_sync_pageseek(&ogg_sync, page);
    if (size > 0) return 1;
    if (size < 0) {
      ogg_sync.returned += (int)size; /* back to where it began to skip */
      Fail("neither an Ogg page nor the end, or a damaged one");
    }
    char* buffer = ogg_sync_buffer(&ogg_sync, kOggInputSize);
    int length = (int)read(VX_FD_INPUT, buffer, kOggInputSize);
    ogg_sync_wrote(&ogg_sync, length);
    ogg_read += (unsigned)length;
    if (length == 0) {
      if (ogg_sync.fill == ogg_sync.returned) return 0;
      ogg_sync.returned = ogg_sync.fill;
      Fail("the input ends within a page");
    }
  }
}

/* Goes on to the next stream; false at the end of the input. */
static int OggNextStream(void) {
  ogg_page page;
  if (!OggReadPage(&page)) return 0;
  if (!ogg_page_bos(&page)) Fail("a page of no stream");
  ogg_stream_clear(&ogg_stream);
  ogg_stream_init(&ogg_stream, ogg_page_serialno(&page));
  ogg_stream_pagein(&ogg_stream, &page);
  ogg_ended = ogg_page_eos(&page);
  return 1;
}

/* Gives the stream's next packet, which is good until the next call; false at the stream's end. */
static int OggNextPacket(ogg_packet* packet) {
  for (;;) {
    int found = ogg_stream_packetout(&ogg_stream, packet);
    if (found > 0) return 1;
    if (found < 0) Fail("a page is missing");
    long unfinished = ogg_stream.body_fill - ogg_stream.body_returned;
    if (ogg_ended && unfinished > 0) Fail("the stream ends within a packet");
    if (ogg_ended) return 0;
    if (unfinished > kOggMaxPacket) Fail("a packet of more than 32 MiB");
    ogg_page page;
    if (!OggReadPage(&page)) Fail("the input ends within a stream");
    if (ogg_page_bos(&page)) Fail("a stream begins within another");
    if (ogg_stream_pagein(&ogg_stream, &page) != 0) Fail("a page of another stream");
    ogg_ended = ogg_page_eos(&page);
  }
}

/* Which of a frame's `channels` samples, in the order that Vorbis and Opus share (RFC
 * 7845, 5.1.1.2), is the WAV's sample `channel`. */
static inline int OggChannel(int channels, int channel) {
  static const unsigned char kOrder[][8] = {
      {0, 2, 1},          {0, 1, 2, 3},          {0, 2, 1, 3, 4},
      {0, 2, 1, 5, 3, 4}, {0, 2, 1, 6, 5, 3, 4}, {0, 2, 1, 7, 5, 6, 3, 4}};
  return channels >= 3 && channels <= 8 ? kOrder[channels - 3][channel] : channel;
}

/* Begins the WAV with its first stream; others must agree with that. */
static void OggBegin(int is_float, unsigned rate, unsigned channels, unsigned mask) {
  if (wav_format.channels == 0)
    WavBeginReal(is_float, rate, channels, mask);
  else if (rate != wav_format.rate || channels != wav_format.channels || mask != wav_format.mask)
    Fail("a stream of another rate or other channels than the first");
}

#endif /* DECODERS_AUDIO_OGG_H_ */
