/* The MP3 decoder: MPEG-1, MPEG-2 and MPEG-2.5 audio, layers I, II and III, to WAV. Between frames,
 * ID3v1, ID3v2 and APE tags are skipped; nothing else may be there, nor frames of free format.
 * Files may follow each other if their rate and number of channels are the same.
 *
 *   mp3.vx [--float] [--seconds=N]
 *
 * Samples are 16-bit integers, or as libmpg123 has them, neither rounded nor clipped. What an
 * encoder says it added at both ends (in LAME's tag) is left out, as libmpg123 does.
 */
#include <mpg123.h>
#include <string.h>
#include <unistd.h>

#include "decoders/audio/wav.h"
#include "decoders/sdk/args.h"

static const char kName[] = "mp3";

VX_NOTE(
    "output: audio/wav .wav\n"
    "parameter: --float; 32-bit floating-point samples, neither rounded nor clipped\n"
    "preview: --seconds=N; the first N seconds\n");

static unsigned char input[1 << 16];
static size_t next, available; /* what of input[] is not yet used */
static unsigned long long input_read;
static float samples[1152 * 2];

static unsigned long long Offset(void) { return input_read - available; }

static _Noreturn void Fail(const char* why) {
  WavFlush();
  vx_fail_at(kName, why, Offset());
}

/* Tries to have `count` bytes at input[next]; false if the input ends before. */
static int Want(size_t count) {
  if (available < count) {
    memmove(input, input + next, available);
    next = 0;
    size_t length = (size_t)read(VX_FD_INPUT, input + available, sizeof input - available);
    input_read += length;
    available += length;
  }
  return available >= count;
}

static void Use(size_t count) {
  next += count;
  available -= count;
}

/* The number of bytes of the frame whose header this is; 0 if it is none. */
static unsigned FrameSize(const unsigned char* header) {
  static const unsigned short kKilobits[][16] = {
      {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448}, /* MPEG-1, layer I */
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},    /* II */
      {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},     /* III */
      {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},    /* others, layer I */
      {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}};        /* II and III */
  static const unsigned kRates[] = {44100, 48000, 32000};
  const unsigned version = header[1] >> 3 & 3; /* 0: 2.5, 2: 2, 3: 1 */
  const unsigned layer = 4 - (header[1] >> 1 & 3);
  const unsigned bit_rate = header[2] >> 4, rate = header[2] >> 2 & 3, padding = header[2] >> 1 & 1;
  if (header[0] != 0xff || header[1] >> 5 != 7 || version == 1 || layer == 4 || rate == 3) return 0;
  const unsigned table = version == 3 ? layer - 1 : layer == 1 ? 3 : 4;
  const unsigned bits = kKilobits[table][bit_rate] * 1000;
  const unsigned hertz = kRates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
  if (layer == 1) return (12 * bits / hertz + padding) * 4 * (bits != 0);
  const unsigned slots = layer == 3 && version != 3 ? 72 : 144;
  return (slots * bits / hertz + padding) * (bits != 0);
}

/* Skips the tag at hand; false if there is none. */
static int SkipTag(void) {
  unsigned long long size;
  Want(32); /* or what there is */
  const unsigned char* tag = input + next;
  if (available >= 10 && memcmp(tag, "ID3", 3) == 0) {
    if ((tag[6] | tag[7] | tag[8] | tag[9]) & 0x80) Fail("a damaged ID3v2 tag");
    size = 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]) + (tag[5] & 0x10 ? 10 : 0);
  } else if (available >= 32 && memcmp(tag, "APETAGEX", 8) == 0) {
    /* Version 2, whose header has a bit that tells it from the footer. */
    if (!(tag[23] & 0x20)) Fail("an APE tag without a header");
    size = 32 + (tag[12] | tag[13] << 8 | tag[14] << 16 | (unsigned long long)tag[15] << 24);
  } else if (available >= 3 && memcmp(tag, "TAG", 3) == 0) {
    size = 128; /* ID3v1 */
  } else {
    return 0;
  }
  while (size > 0) {
    if (!Want(1)) Fail("the input ends within a tag");
    size_t part = size < available ? (size_t)size : available;
    Use(part);
    size -= part;
  }
  return 1;
}

/* Writes what the frame (or nothing: size 0) makes the decoder give. */
static void Decode(mpg123_handle* decoder, int is_float, const unsigned char* frame, size_t size) {
  for (;; size = 0) {
    size_t got;
    int result = mpg123_decode(decoder, frame, size, (unsigned char*)samples, sizeof samples, &got);
    for (size_t i = 0; i < got / sizeof *samples; ++i) WavPutReal(samples[i]);
    if (result == MPG123_NEW_FORMAT) {
      long rate;
      int channels, encoding;
      mpg123_getformat(decoder, &rate, &channels, &encoding);
      if (wav_format.channels == 0)
        WavBeginReal(is_float, rate, channels, WavMask(channels));
      else if (wav_format.rate != (unsigned)rate || wav_format.channels != (unsigned)channels)
        Fail("a frame of another rate or number of channels than the first");
    } else if (result == MPG123_NEED_MORE) {
      return;
    } else if (result != MPG123_OK) {
      Fail(result == MPG123_ERR && mpg123_errcode(decoder) == MPG123_OUT_OF_MEM
               ? "out of memory"
               : "a damaged frame");
    }
  }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  const int is_float = vx_argument(argv, "--float") != NULL;
  wav_seconds = vx_argument_number(argv, "--seconds");
  int error;
  mpg123_handle* decoder = mpg123_new(NULL, &error);
  if (decoder == NULL) Fail("out of memory");
  mpg123_param(decoder, MPG123_ADD_FLAGS,
               MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_NO_RESYNC | MPG123_NO_READAHEAD, 0);
  mpg123_param(decoder, MPG123_INDEX_SIZE, 0, 0);
  if (mpg123_open_feed(decoder) != MPG123_OK) Fail("out of memory");
  if (!Want(1)) Fail("the input is empty");
  while (Want(1)) {
    if (SkipTag()) continue;
    if (!Want(4)) Fail("neither a frame nor the end");
    const unsigned size = FrameSize(input + next);
    if (size == 0) Fail("neither a frame, of a known length, nor a tag nor the end");
    if (!Want(size)) Fail("the input ends within a frame");
    Decode(decoder, is_float, input + next, size);
    Use(size);
  }
  if (wav_format.channels == 0) Fail("no frames");
  WavEnd();
  return 0;
}
