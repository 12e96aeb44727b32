/* The FLAC encoder: a chunk of a WAV file, cut out anywhere, to a native FLAC stream (RFC 9639) of
 * the whole sample frames that are in it. What else is in it stands in APPLICATION blocks, so that
 * `flac.vx --restore` gives back the chunk; main.c says how.
 *
 *   flac_encode.vx [--head=N] [--offset=N]
 *
 * The file's head must reach as far as its data chunk. Where that has a size of 0 or 2^32 - 1, as
 * from a recorder that could not go back, or ends behind the file, samples go on to the end.
 *
 * Status 1, and no output: samples that aren't integers of 8 to 32 bits in 1 to 8 channels, and a
 * chunk without a whole frame of them.
 */
#include <FLAC/format.h>
#include <FLAC/stream_encoder.h>
#include <string.h>

#define VX_ENCODER "flac_encode"
#include "decoders/sdk/chunk.h"

VX_NOTE("output: audio/flac .flac\n" VX_FILE_CHUNK_NOTE);

/* Frames that are handed over at once. */
enum { kBlock = 4096 };

/* The bytes of a file that one block takes; it could be 2^24 - 6. */
enum { kMostKept = 16000000 };

static struct {
  unsigned channels, rate;
  unsigned bytes; /* of a sample */
  unsigned mask;  /* speakers; 0: none in particular */
} format;
static unsigned long long data, data_end; /* where in the file samples lie */

static FLAC__StreamMetadata** blocks;
static unsigned block_count;

/* The stream, and where in it the next bytes go. */
static struct {
  unsigned char* bytes;
  size_t size, capacity, at;
} stream;

/* What libFLAC reads "tukey(5e-1)" with, the window of all levels to 5; the C library's is large.
 */
double strtod(const char* text, char** end) { return 0.5; }

static unsigned Little(const unsigned char* bytes, int count) {
  unsigned value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

/* REQUIRES: size >= 16. */
static void ParseFormat(const unsigned char* fmt, size_t size) {
  /* After a format's number, KSDATAFORMAT_SUBTYPE_PCM and its like. */
  static const unsigned char kGuid[] = {0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};
  unsigned tag = Little(fmt, 2);
  const unsigned align = Little(fmt + 12, 2), bits = Little(fmt + 14, 2);
  format.channels = Little(fmt + 2, 2);
  format.rate = Little(fmt + 4, 4);
  format.bytes = (bits + 7) / 8;
  format.mask = 0;
  if (tag == 0xfffe && size >= 40 && memcmp(fmt + 28, kGuid, sizeof kGuid) == 0) {
    tag = Little(fmt + 24, 4);
    format.mask = Little(fmt + 20, 4);
  }
  if (tag != 1) Fail("the samples are not integers");
  if (format.channels < 1 || format.channels > FLAC__MAX_CHANNELS) Fail("not 1 to 8 channels");
  if (format.bytes < 1 || format.bytes > 4) Fail("not samples of 8 to 32 bits");
  if (align != format.channels * format.bytes) Fail("frames are not what their samples make");
  if (!FLAC__format_sample_rate_is_valid(format.rate)) Fail("a sample rate that FLAC can't have");
}

static void ParseHead(const unsigned char* head, size_t size) {
  if (size < 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
    Fail("not a WAV file");
  for (unsigned long long at = 12; at + 8 <= size;) {
    const unsigned char* riff_chunk = head + at;
    const unsigned riff_size = Little(riff_chunk + 4, 4);
    at += 8;
    if (memcmp(riff_chunk, "data", 4) == 0) {
      if (format.channels == 0) Fail("no fmt chunk before the data");
      data = at;
      data_end = riff_size == 0 || riff_size == ~0u ? ~0ull : at + riff_size;
      return;
    }
    if (memcmp(riff_chunk, "fmt ", 4) == 0) {
      if (riff_size < 16 || riff_size > size - at) Fail("a short fmt chunk");
      ParseFormat(riff_chunk + 8, riff_size);
    }
    at += riff_size + riff_size % 2ull;
  }
  Fail("no data chunk in the file's head");
}

static FLAC__StreamMetadata* AddBlock(FLAC__MetadataType type) {
  FLAC__StreamMetadata* block = Allocate(sizeof *block);
  memset(block, 0, sizeof *block);
  block->type = type;
  blocks = Reallocate(blocks, (block_count + 1) * sizeof *blocks);
  return blocks[block_count++] = block;
}

/* Keeps bytes from before ('<') or after ('>') the samples. */
static void Keep(unsigned char side, const unsigned char* bytes, size_t size) {
  do {
    const size_t part = size < kMostKept ? size : kMostKept;
    FLAC__StreamMetadata* block = AddBlock(FLAC__METADATA_TYPE_APPLICATION);
    memcpy(block->data.application.id, "vxaw", 4);
    block->data.application.data = Allocate(1 + part);
    block->data.application.data[0] = side;
    memcpy(block->data.application.data + 1, bytes, part);
    block->length = 4 + 1 + part;
    bytes += part;
    size -= part;
  } while (size > 0);
}

/* The comment for players that ReadComment() in main.c reads too. */
static void AddMask(void) {
  static char comment[] = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x00000000";
  static FLAC__StreamMetadata_VorbisComment_Entry entry = {sizeof comment - 1, (void*)comment};
  unsigned mask = format.mask;
  for (char* digit = comment + sizeof comment - 2; mask != 0; mask >>= 4, --digit)
    *digit = "0123456789ABCDEF"[mask & 15];
  FLAC__StreamMetadata* block = AddBlock(FLAC__METADATA_TYPE_VORBIS_COMMENT);
  block->data.vorbis_comment.num_comments = 1;
  block->data.vorbis_comment.comments = &entry;
  block->length = 4 + 4 + 4 + entry.length; /* without the vendor, which libFLAC adds */
}

static FLAC__StreamEncoderWriteStatus Write(const FLAC__StreamEncoder* unused,
                                            const FLAC__byte* bytes, size_t size, uint32_t samples,
                                            uint32_t frame, void* client) {
  if (size > stream.capacity - stream.at) {
    stream.capacity = 2 * stream.capacity + size;
    stream.bytes = Reallocate(stream.bytes, stream.capacity);
  }
  memcpy(stream.bytes + stream.at, bytes, size);
  stream.at += size;
  if (stream.at > stream.size) stream.size = stream.at;
  return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static FLAC__StreamEncoderSeekStatus Seek(const FLAC__StreamEncoder* unused, FLAC__uint64 offset,
                                          void* client) {
  stream.at = (size_t)offset; /* of what has been written */
  return FLAC__STREAM_ENCODER_SEEK_STATUS_OK;
}

static FLAC__StreamEncoderTellStatus Tell(const FLAC__StreamEncoder* unused, FLAC__uint64* offset,
                                          void* client) {
  *offset = stream.at;
  return FLAC__STREAM_ENCODER_TELL_STATUS_OK;
}

static void EncodeFrames(FLAC__StreamEncoder* encoder, const unsigned char* at, size_t frames) {
  static FLAC__int32 samples[kBlock * FLAC__MAX_CHANNELS];
  const unsigned unused_bits = 32 - 8 * format.bytes;
  while (frames > 0) {
    const unsigned now = frames < kBlock ? frames : kBlock;
    for (unsigned i = 0; i < now * format.channels; ++i, at += format.bytes) {
      const unsigned value = Little(at, format.bytes);
      samples[i] =
          format.bytes == 1 ? (int)value - 0x80 : (int)(value << unused_bits) >> unused_bits;
    }
    if (!FLAC__stream_encoder_process_interleaved(encoder, samples, now)) Fail("out of memory");
    frames -= now;
  }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  const struct FileChunk file = ReadFileChunk(argv);
  ParseHead(file.head, file.head_size);

  /* The first whole frame in the chunk, and the end of the last. */
  const unsigned frame = format.channels * format.bytes;
  unsigned long long first = file.offset, end = data_end < file.end ? data_end : file.end;
  if (first < data) first = data;
  first += (frame - (first - data) % frame) % frame;
  if (first > end || end - first < frame) Fail("no whole sample frame in the chunk");
  const size_t before = (size_t)(first - file.offset), frames = (size_t)((end - first) / frame);
  const unsigned char *samples = file.chunk.bytes + before, *after = samples + frames * frame;
  if (format.mask != 0) AddMask();
  Keep('<', file.chunk.bytes, before);
  const size_t after_size = (size_t)(file.chunk.bytes + file.chunk.size - after);
  if (after_size > 0) Keep('>', after, after_size);

  stream.capacity = file.chunk.size + (1 << 16);
  stream.bytes = Allocate(stream.capacity);
  FLAC__StreamEncoder* encoder = FLAC__stream_encoder_new();
  if (encoder == NULL) Fail("out of memory");
  FLAC__stream_encoder_set_streamable_subset(encoder, 0); /* for odd rates */
  FLAC__stream_encoder_set_compression_level(encoder, 5);
  FLAC__stream_encoder_set_channels(encoder, format.channels);
  FLAC__stream_encoder_set_bits_per_sample(encoder, 8 * format.bytes);
  FLAC__stream_encoder_set_sample_rate(encoder, format.rate);
  FLAC__stream_encoder_set_metadata(encoder, blocks, block_count);
  if (FLAC__stream_encoder_init_stream(encoder, Write, Seek, Tell, NULL, NULL) !=
      FLAC__STREAM_ENCODER_INIT_STATUS_OK)
    Fail("libFLAC can't begin");
  EncodeFrames(encoder, samples, frames);
  if (!FLAC__stream_encoder_finish(encoder)) Fail("libFLAC can't finish");
  write(VX_FD_OUTPUT, stream.bytes, stream.size);
  return 0;
}
