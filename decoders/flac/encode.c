/* The FLAC encoder: a chunk of a WAV file to one native FLAC stream (RFC 9639), playable by itself,
 * from which `flac.vx --restore` gives the chunk back byte for byte.
 *
 *   flac_encode.vx --head=N [--offset=M]
 *
 * The first N bytes of the input are the first of the file: as far as the beginning of its samples,
 * or further. The rest of the input is the chunk, which begins at offset M of the file.
 *
 * Whatever of the chunk isn't whole samples of all channels is kept as it is, what comes before
 * them in an APPLICATION block `vxaw` with '<', what comes after in one with '>' (see main.c). Where
 * the size of the file's samples is 0, or runs past the chunk, as in files that were streamed, all
 * the rest of the chunk is samples. Bits a sample are as many as its bytes hold: FLAC finds those
 * that are always zero by itself.
 *
 * Status 1 for what FLAC can't hold: floating point and other encodings, more than 8 channels.
 */
#include <FLAC/stream_encoder.h>
#include <string.h>

#define VX_ENCODER "flac_encode"
#include "decoders/sdk/args.h"
#include "decoders/sdk/chunk.h"

VX_NOTE("output: audio/flac .flac\n"
        "parameter: --head=N; how many bytes of the file's beginning precede the chunk\n"
        "parameter: --offset=N; where the chunk begins in the file, if not at its beginning\n");

/* Where the samples lie in the file, and how. */
struct Samples {
  unsigned channels, bits, rate; /* bits: of what holds a sample of one channel */
  unsigned long long begin, size;
};

static unsigned Le16(const unsigned char* at) { return at[0] | at[1] << 8; }
static unsigned Le32(const unsigned char* at) { return Le16(at) | Le16(at + 2) << 16; }

/* A `fmt ` chunk of `size` bytes. */
static void ReadFormat(const unsigned char* fmt, size_t size, struct Samples* samples) {
  enum { kPcm = 1, kExtensible = 0xfffe };
  if (size < 16) Fail("a fmt chunk of less than 16 bytes");
  unsigned encoding = Le16(fmt);
  if (encoding == kExtensible && size >= 40) encoding = Le16(fmt + 24);
  if (encoding != kPcm) Fail("the samples aren't integers");
  unsigned frame = Le16(fmt + 12); /* bytes of a sample of all channels */
  samples->channels = Le16(fmt + 2);
  samples->rate = Le32(fmt + 4);
  if (samples->channels == 0 || samples->channels > FLAC__MAX_CHANNELS)
    Fail("FLAC has 1 to 8 channels");
  if (frame == 0 || frame % samples->channels != 0) Fail("channels don't share a sample evenly");
  samples->bits = frame / samples->channels * 8;
  if (samples->bits > 32) Fail("samples of more than 32 bits");
  if (!FLAC__format_sample_rate_is_valid(samples->rate)) Fail("a rate that FLAC doesn't have");
}

/* What the file's first bytes tell. */
static struct Samples ReadHead(const unsigned char* head, size_t size) {
  struct Samples samples = {0};
  if (size < 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
    Fail("not a WAV file");
  for (size_t at = 12; size - at >= 8;) {
    size_t length = Le32(head + at + 4);
    const unsigned char* id = head + at;
    at += 8;
    if (memcmp(id, "data", 4) == 0) {
      if (samples.channels == 0) Fail("no fmt chunk before the samples");
      samples.begin = at;
      samples.size = length != 0 ? length : ~0u;
      return samples;
    }
    if (length > size - at) break;
    if (memcmp(id, "fmt ", 4) == 0) ReadFormat(head + at, length, &samples);
    at += length;
    if (length % 2 != 0 && at < size) at++;
  }
  Fail("the samples begin later than the head ends");
}

static unsigned char* output;
static size_t output_size, output_room, output_at;

static FLAC__StreamEncoderWriteStatus Write(const FLAC__StreamEncoder* unused,
                                            const FLAC__byte* bytes, size_t size, unsigned samples,
                                            unsigned frame, void* client) {
  if (size > output_room - output_at) {
    output_room = 2 * output_room + size;
    output = Reallocate(output, output_room);
  }
  memcpy(output + output_at, bytes, size);
  output_at += size;
  if (output_at > output_size) output_size = output_at;
  return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

/* libFLAC goes back to the header in the end, to note the number of samples and their MD5. */
static FLAC__StreamEncoderSeekStatus Seek(const FLAC__StreamEncoder* unused, FLAC__uint64 offset,
                                          void* client) {
  output_at = (size_t)offset;
  return FLAC__STREAM_ENCODER_SEEK_STATUS_OK;
}

static FLAC__StreamEncoderTellStatus Tell(const FLAC__StreamEncoder* unused, FLAC__uint64* offset,
                                          void* client) {
  *offset = output_at;
  return FLAC__STREAM_ENCODER_TELL_STATUS_OK;
}

/* A `vxaw` block. */
static FLAC__StreamMetadata Kept(char side, const unsigned char* bytes, size_t size) {
  FLAC__StreamMetadata block = {.type = FLAC__METADATA_TYPE_APPLICATION, .length = 4 + 1 + size};
  if (block.length >= 1u << FLAC__STREAM_METADATA_LENGTH_LEN) Fail("too much that isn't samples");
  memcpy(block.data.application.id, "vxaw", 4);
  block.data.application.data = Allocate(1 + size);
  block.data.application.data[0] = (unsigned char)side;
  memcpy(block.data.application.data + 1, bytes, size);
  return block;
}

/* The next `count` samples, of one channel or another. */
static const unsigned char* Convert(const unsigned char* from, unsigned bits, unsigned count,
                                    FLAC__int32* to) {
  for (; count > 0; count--, to++) {
    unsigned value = 0;
    for (unsigned shift = 32 - bits; shift < 32; shift += 8) value |= (unsigned)*from++ << shift;
    if (bits == 8) value ^= 1u << 31; /* WAV's bytes are unsigned */
    *to = (FLAC__int32)value >> (32 - bits);
  }
  return from;
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  struct Chunk input = ReadChunk();
  unsigned long long head_size = vx_argument_number(argv, "--head");
  unsigned long long offset = vx_argument_number(argv, "--offset");
  if (head_size > input.size) Fail("the input is shorter than the head");
  struct Samples samples = ReadHead(input.bytes, (size_t)head_size);
  const unsigned char* chunk = input.bytes + head_size;
  unsigned long long chunk_end = offset + (input.size - head_size);
  if (chunk_end < offset) Fail("the chunk ends past 2^64");

  /* The whole samples, as offsets in the file. */
  unsigned frame = samples.channels * samples.bits / 8;
  unsigned long long begin = samples.begin, end = samples.begin + samples.size;
  if (samples.size == ~0u || end > chunk_end) end = chunk_end;
  if (offset > begin) begin += (offset - begin + frame - 1) / frame * frame;
  if (begin >= end || end - begin < frame) Fail("the chunk has no whole sample");
  end -= (end - begin) % frame;

  FLAC__StreamMetadata before = Kept('<', chunk, (size_t)(begin - offset));
  FLAC__StreamMetadata after = Kept('>', chunk + (end - offset), (size_t)(chunk_end - end));
  FLAC__StreamMetadata* blocks[] = {&before, &after};

  FLAC__StreamEncoder* encoder = FLAC__stream_encoder_new();
  if (encoder == NULL) Fail("out of memory");
  FLAC__stream_encoder_set_channels(encoder, samples.channels);
  FLAC__stream_encoder_set_bits_per_sample(encoder, samples.bits);
  FLAC__stream_encoder_set_sample_rate(encoder, samples.rate);
  FLAC__stream_encoder_set_compression_level(encoder, 5);
  FLAC__stream_encoder_set_streamable_subset(encoder, 0); /* which lacks odd rates */
  FLAC__stream_encoder_set_metadata(encoder, blocks, 2);
  if (FLAC__stream_encoder_init_stream(encoder, Write, Seek, Tell, NULL, NULL) !=
      FLAC__STREAM_ENCODER_INIT_STATUS_OK)
    Fail("libFLAC refuses the format");
  enum { kFrames = 4096 };
  static FLAC__int32 buffer[kFrames * FLAC__MAX_CHANNELS];
  const unsigned char* next = chunk + (begin - offset);
  for (unsigned left = (unsigned)((end - begin) / frame); left > 0;) {
    unsigned count = left < kFrames ? left : kFrames;
    next = Convert(next, samples.bits, count * samples.channels, buffer);
    if (!FLAC__stream_encoder_process_interleaved(encoder, buffer, count)) Fail("libFLAC fails");
    left -= count;
  }
  if (!FLAC__stream_encoder_finish(encoder)) Fail("libFLAC fails at the end");
  write(VX_FD_OUTPUT, output, output_size);
  return 0;
}
