/* The FLAC decoder: a native FLAC stream (RFC 9639) to WAV, perhaps with an ID3v2 tag before it;
 * nothing may follow it.
 *
 *   flac.vx [--restore | --seconds=N]
 *
 * --restore gives back the very file that was encoded, if the encoder kept what is not samples
 * in APPLICATION blocks of the kind "vxaw": first a byte, '<' or '>', then bytes of the file, all
 * those before the samples in the blocks with '<', all those after them in the ones with '>', each
 * in the order of the blocks. They take the place of the WAV header and the padding; the samples
 * between are the same as without it.
 *
 * What libFLAC merely reports and skips, and what it lets pass at the input's end, is an error
 * here.
 */
#include <FLAC/stream_decoder.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "decoders/audio/wav.h"
#include "decoders/sdk/args.h"

static const char kName[] = "flac";

VX_NOTE(
    "output: audio/wav .wav\n"
    "parameter: --restore; the WAV file that was encoded, byte for byte, if its encoder kept the "
    "rest\n"
    "preview: --seconds=N; the first N seconds\n");

static FLAC__StreamDecoder* decoder;
static int restore;            /* --restore */
static int has_kept;           /* there was a block with '<' */
static unsigned char* trailer; /* of all blocks with '>' */
static size_t trailer_size;
static struct WavFormat format;    /* of all frames, once there is one */
static unsigned mask;              /* from the comments; 0 if they have none */
static unsigned long long total;   /* samples of a channel, as the header says; 0: it doesn't */
static unsigned long long decoded; /* of them */
static unsigned long long input_read;
static unsigned long long frames_end; /* where the last good frame ends, or the metadata */

/* The offset in the input of what libFLAC has not yet looked at. */
static unsigned long long Offset(void) {
  FLAC__uint64 position;
  return FLAC__stream_decoder_get_decode_position(decoder, &position) ? position : input_read;
}

static _Noreturn void FailAt(const char* why, unsigned long long offset) {
  WavFlush();
  vx_fail_at(kName, why, offset);
}

static FLAC__StreamDecoderReadStatus Read(const FLAC__StreamDecoder* unused, FLAC__byte* buffer,
                                          size_t* length, void* client) {
  *length = (size_t)read(VX_FD_INPUT, buffer, *length);
  input_read += *length;
  return *length > 0 ? FLAC__STREAM_DECODER_READ_STATUS_CONTINUE
                     : FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
}

/* libFLAC wants it for FLAC__stream_decoder_get_decode_position(). */
static FLAC__StreamDecoderTellStatus Tell(const FLAC__StreamDecoder* unused, FLAC__uint64* offset,
                                          void* client) {
  *offset = input_read;
  return FLAC__STREAM_DECODER_TELL_STATUS_OK;
}

static void Error(const FLAC__StreamDecoder* unused, FLAC__StreamDecoderErrorStatus status,
                  void* client) {
  switch (status) {
    case FLAC__STREAM_DECODER_ERROR_STATUS_LOST_SYNC:
      FailAt(decoded > 0 ? "neither a frame nor the end" : "not a FLAC stream", Offset());
    case FLAC__STREAM_DECODER_ERROR_STATUS_BAD_HEADER:
      FailAt("damaged frame header", Offset());
    case FLAC__STREAM_DECODER_ERROR_STATUS_FRAME_CRC_MISMATCH:
      FailAt("a frame's check value is wrong", Offset());
    case FLAC__STREAM_DECODER_ERROR_STATUS_BAD_METADATA:
      FailAt("damaged metadata", Offset());
    default:
      FailAt("a frame of an unknown kind", Offset());
  }
}

/* The speakers, where they are not the usual ones for the number of channels, stand in a comment:
 * WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x60f. */
static void ReadComment(const char* comment) {
  static const char kMask[] = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x";
  if (mask == 0 && strncasecmp(comment, kMask, sizeof kMask - 1) == 0)
    mask = (unsigned)strtoul(comment + sizeof kMask - 1, NULL, 16);
}

/* What a "vxaw" block has. */
static void ReadKept(const unsigned char* data, size_t length) {
  if (length == 0 || (*data != '<' && *data != '>')) FailAt("a damaged vxaw block", Offset());
  ++data, --length;
  if (data[-1] == '<') {
    has_kept = 1;
    WavFlush();
    write(VX_FD_OUTPUT, data, length);
  } else {
    trailer = realloc(trailer, trailer_size + length);
    if (trailer == NULL && length > 0) FailAt("out of memory", Offset());
    memcpy(trailer + trailer_size, data, length);
    trailer_size += length;
  }
}

static void Metadata(const FLAC__StreamDecoder* unused, const FLAC__StreamMetadata* block,
                     void* client) {
  if (block->type == FLAC__METADATA_TYPE_STREAMINFO) {
    total = block->data.stream_info.total_samples;
    format.rate = block->data.stream_info.sample_rate;
    format.channels = block->data.stream_info.channels;
    format.bits = block->data.stream_info.bits_per_sample;
  } else if (block->type == FLAC__METADATA_TYPE_VORBIS_COMMENT) {
    const FLAC__StreamMetadata_VorbisComment* comments = &block->data.vorbis_comment;
    for (unsigned i = 0; i < comments->num_comments; ++i) {
      const char* comment = (const char*)comments->comments[i].entry;
      if (comment != NULL) ReadComment(comment);
    }
  } else {
    ReadKept(block->data.application.data, block->length - 4);
  }
}

static void Begin(unsigned long long frames) {
  /* FLAC's own arrangements of 5 and 6 channels are those with speakers at the sides. */
  static const unsigned short kSide[] = {0x607, 0x60f};
  format.mask = mask;
  if (mask == 0) format.mask = WavMask(format.channels);
  if (mask == 0 && (format.channels == 5 || format.channels == 6))
    format.mask = kSide[format.channels - 5];
  if (restore)
    wav_format = format;
  else
    WavBegin(&format, frames);
}

static void End(void) {
  if (decoded == 0) Begin(0);
  if (restore) {
    WavFlush();
    write(VX_FD_OUTPUT, trailer, trailer_size);
  } else {
    WavEnd();
  }
}

static FLAC__StreamDecoderWriteStatus Write(const FLAC__StreamDecoder* unused,
                                            const FLAC__Frame* frame,
                                            const FLAC__int32* const* samples, void* client) {
  const FLAC__FrameHeader* header = &frame->header;
  if (header->channels != format.channels || header->bits_per_sample != format.bits ||
      header->sample_rate != format.rate)
    FailAt("a frame of another format than the stream's", frames_end);
  if (decoded == 0) Begin(total != 0 ? total : WAV_UNKNOWN_LENGTH);
  decoded += header->blocksize;
  if (total != 0 && decoded > total) FailAt("more samples than the header says", frames_end);
  for (unsigned i = 0; i < header->blocksize; ++i)
    for (unsigned channel = 0; channel < header->channels; ++channel)
      WavPutSample(samples[channel][i]);
  frames_end = Offset();
  return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  restore = vx_argument(argv, "--restore") != NULL;
  wav_seconds = vx_argument_number(argv, "--seconds");
  if (restore && wav_seconds != 0) vx_fail(kName, "--restore and --seconds exclude each other", 2);
  decoder = FLAC__stream_decoder_new();
  if (decoder == NULL) FailAt("out of memory", 0);
  FLAC__stream_decoder_set_md5_checking(decoder, 1);
  FLAC__stream_decoder_set_metadata_respond(decoder, FLAC__METADATA_TYPE_VORBIS_COMMENT);
  if (restore)
    FLAC__stream_decoder_set_metadata_respond_application(decoder, (const FLAC__byte*)"vxaw");
  if (FLAC__stream_decoder_init_stream(decoder, Read, NULL, Tell, NULL, NULL, Write, Metadata,
                                       Error, NULL) != FLAC__STREAM_DECODER_INIT_STATUS_OK)
    FailAt("out of memory", 0);
  if (!FLAC__stream_decoder_process_until_end_of_metadata(decoder) ||
      FLAC__stream_decoder_get_state(decoder) == FLAC__STREAM_DECODER_END_OF_STREAM) {
    if (input_read == 0) FailAt("the input is empty", 0);
    if (FLAC__stream_decoder_get_state(decoder) == FLAC__STREAM_DECODER_MEMORY_ALLOCATION_ERROR)
      FailAt("out of memory", Offset());
    FailAt("the input ends within the metadata", input_read);
  }
  frames_end = Offset();
  if (restore && !has_kept) FailAt("no vxaw block with what came before the samples", frames_end);
  if (!FLAC__stream_decoder_process_until_end_of_stream(decoder)) FailAt("out of memory", Offset());
  if (frames_end != input_read) FailAt("the input ends within a frame", input_read);
  if (total != 0 && decoded != total) FailAt("fewer samples than the header says", input_read);
  if (!FLAC__stream_decoder_finish(decoder))
    FailAt("the samples are not those that the header's MD5 is of", input_read);
  End();
  return 0;
}
