/* The lz4 decoder: LZ4 frames, which may follow each other, skippable ones and those of lz4 before
 * 1.4 ("legacy") among them.
 *
 *   lz4.vx [--dictionary=N]
 *
 * A dictionary is good for all frames but legacy ones, whatever number they call theirs by.
 */
#define LZ4F_STATIC_LINKING_ONLY
#include <unistd.h>

#include "decoders/sdk/args.h"
#include "lz4.h"
#include "lz4frame.h"

static const char kName[] = "lz4";

VX_NOTE("parameter: --dictionary=N; the first N bytes of the input are a dictionary\n");

enum {
  kMagicSize = 4,
  kLegacyMagic = 0x184c2102,
  kLegacyBlock = 8 << 20,
  kLargestBlock = 4 << 20,
  /* A few of the usual blocks of 64 KiB, after which output[] is filled from its beginning again.
   */
  kFewBlocks = 1 << 18,
};

static unsigned char input[LZ4_COMPRESSBOUND(kLegacyBlock)];
static unsigned char output[kFewBlocks + 2 * kLargestBlock];
static unsigned long long input_read; /* bytes of the input up to the end of input[] */

static LZ4F_dctx* decoder;
static unsigned char* dictionary; /* or NULL */
static size_t dictionary_size;

static size_t Read(unsigned char* bytes, size_t size) {
  size_t length = (size_t)read(VX_FD_INPUT, bytes, size);
  input_read += length;
  return length;
}

static void ReadAll(unsigned char* bytes, size_t size) {
  if (Read(bytes, size) < size) vx_fail_at(kName, "the input ends within a frame", input_read);
}

static unsigned LittleEndian(const unsigned char* bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (unsigned)bytes[3] << 24;
}

/* Decodes the rest of a frame whose magic number is in input[]. */
static void DecodeFrame(void) {
  ReadAll(input + kMagicSize, LZ4F_HEADER_SIZE_MIN - kMagicSize);
  if (LittleEndian(input) == LZ4F_MAGICNUMBER && (input[kMagicSize] & 1) != 0 && dictionary == NULL)
    vx_fail_at(kName, "the frame needs a dictionary", input_read);
  size_t at = 0, size = LZ4F_HEADER_SIZE_MIN;
  for (;;) {
    /* Unless this is the last one before the output begins anew, the library may rely on what came
     * before to stay where it is. */
    LZ4F_decompressOptions_t options = {.stableDst = at <= kFewBlocks};
    size_t taken = size, given = sizeof output - at;
    size_t wanted = LZ4F_decompress_usingDict(decoder, output + at, &given, input, &taken,
                                              dictionary, dictionary_size, &options);
    if (LZ4F_isError(wanted)) vx_fail_at(kName, LZ4F_getErrorName(wanted), input_read - size);
    write(VX_FD_OUTPUT, output + at, given);
    if (wanted == 0) return;
    at = options.stableDst ? at + given : 0;
    /* What the library wants is a block and the next one's header, never something after the frame.
     * Skippable frames it wants as a whole, but takes in pieces. */
    size = wanted < sizeof input ? wanted : sizeof input;
    ReadAll(input, size);
  }
}

/* Decodes the rest of a legacy frame, up to the end of the input or another frame's magic number,
 * which is in input[] then. Returns whether there is one. */
static int DecodeLegacyFrame(void) {
  for (;;) {
    size_t length = Read(input, kMagicSize);
    if (length == 0) return 0;
    if (length < kMagicSize) vx_fail_at(kName, "the input ends within a frame", input_read);
    unsigned size = LittleEndian(input);
    if (size > sizeof input) return 1;
    ReadAll(input, size);
    int decoded = LZ4_decompress_safe((const char*)input, (char*)output, (int)size, sizeof output);
    if (decoded < 0) vx_fail_at(kName, "damaged data", input_read - size);
    write(VX_FD_OUTPUT, output, (size_t)decoded);
  }
}

/* Reads a magic number into input[]; false at the end of the input. */
static int ReadMagic(void) {
  size_t length = Read(input, kMagicSize);
  if (length != 0 && length < kMagicSize)
    vx_fail_at(kName, "the input ends within a frame", input_read);
  return length != 0;
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  if (LZ4F_isError(LZ4F_createDecompressionContext(&decoder, LZ4F_VERSION)))
    vx_fail(kName, "out of memory", 1);
  input_read = vx_argument_number(argv, "--dictionary");
  if (input_read != 0) dictionary = vx_read_dictionary(kName, input_read);
  dictionary_size = (size_t)input_read;
  if (!ReadMagic()) vx_fail_at(kName, "the input is empty", input_read);
  int more = 1;
  for (const char* not_lz4 = "not an lz4 frame"; more; not_lz4 = "junk after a frame") {
    unsigned magic = LittleEndian(input);
    if (magic == kLegacyMagic) {
      more = DecodeLegacyFrame();
    } else if (magic == LZ4F_MAGICNUMBER || (magic & ~15u) == LZ4F_MAGIC_SKIPPABLE_START) {
      DecodeFrame();
      more = ReadMagic();
    } else {
      vx_fail_at(kName, not_lz4, input_read - kMagicSize);
    }
  }
  return 0;
}
