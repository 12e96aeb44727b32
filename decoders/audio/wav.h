/* The WAV files that decoders of sound write, as decoders/README.md describes them.
 *
 * For main.c alone: here are not declarations but the functions and the buffer themselves. The
 * order of calls is WavBegin(), samples frame by frame, WavEnd(); WavFlush() may come at any time.
 * With wav_seconds the last sample that is wanted ends the guest.
 */
#ifndef DECODERS_AUDIO_WAV_H_
#define DECODERS_AUDIO_WAV_H_

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

struct WavFormat {
  unsigned rate; /* frames per second; a frame is one sample of each channel */
  unsigned channels;
  unsigned bits; /* of a sample, 1 to 32; 32 for floating point */
  int is_float;  /* IEEE binary32, 1.0 being full scale */
  unsigned mask; /* speakers, as WAVEFORMATEXTENSIBLE has them; 0: none in particular */
};

#define WAV_UNKNOWN_LENGTH (~0ull)

static unsigned char wav_output[1 << 16];
static size_t wav_filled; /* bytes of wav_output that are not yet written */
static struct WavFormat wav_format;
static int wav_pad;                         /* bytes that make the data chunk's length even */
static unsigned long long wav_seconds;      /* of the sound that are wanted; 0: all */
static unsigned long long wav_left = ~0ull; /* samples that are still wanted */

static void WavFlush(void) {
  write(VX_FD_OUTPUT, wav_output, wav_filled);
  wav_filled = 0;
}

/* Writes the low `count` <= 4 bytes of `value`, the lowest first. */
static void WavPut(unsigned value, unsigned count) {
  if (wav_filled + count > sizeof wav_output) WavFlush();
  for (; count > 0; --count, value >>= 8) wav_output[wav_filled++] = (unsigned char)value;
}

static void WavPutText(const char* text) {
  while (*text != '\0') WavPut((unsigned char)*text++, 1);
}

/* The speakers of `channels` channels in the usual arrangement, mono to 7.1; 0 if there is none. */
static unsigned WavMask(unsigned channels) {
  static const unsigned short kMasks[] = {0, 0x4, 0x3, 0x7, 0x33, 0x37, 0x3f, 0x70f, 0x63f};
  return channels < sizeof kMasks / sizeof *kMasks ? kMasks[channels] : 0;
}

/* Writes the header. `frames` follow, of those that are wanted, or WAV_UNKNOWN_LENGTH. */
static void WavBegin(const struct WavFormat* format, unsigned long long frames) {
  wav_format = *format;
  if (wav_seconds != 0 && format->rate != 0 &&
      wav_seconds < ~0ull / format->rate / format->channels) {
    const unsigned long long wanted = wav_seconds * format->rate;
    if (frames != WAV_UNKNOWN_LENGTH && frames > wanted) frames = wanted;
    wav_left = wanted * format->channels;
  }
  const unsigned bytes = (format->bits + 7) / 8, frame = format->channels * bytes;
  const int is_extensible = format->channels > 2 || (format->bits != 8 && format->bits != 16) ||
                            format->mask != WavMask(format->channels);
  const unsigned header = is_extensible ? 60 : 36; /* between the size of RIFF and that of data */
  unsigned data = ~0u, riff = ~0u;
  if (frames <= (0xffffffffu - header - 1) / frame) {
    data = (unsigned)frames * frame;
    wav_pad = data % 2;
    riff = header + data + wav_pad;
  }
  WavPutText("RIFF");
  WavPut(riff, 4);
  WavPutText("WAVEfmt ");
  WavPut(is_extensible ? 40 : 16, 4);
  WavPut(is_extensible ? 0xfffe : 1, 2); /* WAVE_FORMAT_EXTENSIBLE or WAVE_FORMAT_PCM */
  WavPut(format->channels, 2);
  WavPut(format->rate, 4);
  WavPut(format->rate * frame, 4);
  WavPut(frame, 2);
  WavPut(8 * bytes, 2);
  if (is_extensible) {
    WavPut(22, 2);
    WavPut(format->bits, 2);
    WavPut(format->mask, 4);
    WavPut(format->is_float ? 3 : 1, 4); /* KSDATAFORMAT_SUBTYPE_IEEE_FLOAT or _PCM */
    WavPut(0x00100000, 4);
    WavPut(0xaa000080, 4);
    WavPut(0x719b3800, 4);
  }
  WavPutText("data");
  WavPut(data, 4);
}

/* Writes the padding. */
static void WavEnd(void) {
  WavPut(0, wav_pad);
  WavFlush();
}

static inline void WavCountSample(void) {
  if (--wav_left != 0) return;
  WavEnd();
  exit(0);
}

/* Writes an integer sample of as many bits as the format has, at the top of its bytes. */
static inline void WavPutSample(int sample) {
  const unsigned bytes = (wav_format.bits + 7) / 8;
  unsigned value = (unsigned)sample << (8 * bytes - wav_format.bits);
  if (bytes == 1) value += 0x80; /* which are unsigned */
  WavPut(value, bytes);
  WavCountSample();
}

/* The header for WavPutReal(), of a WAV of unknown length. */
static inline void WavBeginReal(int is_float, unsigned rate, unsigned channels, unsigned mask) {
  const struct WavFormat format = {rate, channels, is_float ? 32 : 16, is_float, mask};
  WavBegin(&format, WAV_UNKNOWN_LENGTH);
}

/* Writes a sample, 1.0 being full scale: as it is, or rounded to the nearest integer, to an even
 * one if there are two, and clipped. Bytes are in the order that guests have them in. */
static inline void WavPutReal(float sample) {
  if (wav_filled > sizeof wav_output - sizeof sample) WavFlush();
  if (wav_format.is_float) {
    memcpy(wav_output + wav_filled, &sample, sizeof sample);
    wav_filled += sizeof sample;
  } else {
    float scaled = sample * 32768;
    if (!(scaled > -32768)) scaled = -32768; /* what isn't a number too */
    if (scaled > 32767) scaled = 32767;
    const short rounded = (short)lrintf(scaled);
    memcpy(wav_output + wav_filled, &rounded, sizeof rounded);
    wav_filled += sizeof rounded;
  }
  WavCountSample();
}

#endif /* DECODERS_AUDIO_WAV_H_ */
