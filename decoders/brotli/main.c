/* The brotli decoder: one Brotli stream (RFC 7932). No "large" windows of more than 16 MiB, no
 * dictionary but the format's own, no arguments.
 */
#include <unistd.h>

#include "brotli/decode.h"
#include "decoders/sdk/vx.h"

static const char kName[] = "brotli";

/* Large, for libbrotli saves its state whenever it returns. */
static unsigned char input[1 << 16];

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  BrotliDecoderState* decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
  if (decoder == NULL) vx_fail(kName, "out of memory", 1);
  unsigned long long input_read = 0;
  const unsigned char* next = input;
  size_t left = 0; /* of the input, from `next` on */
  for (;;) {
    /* Output is taken from where it is. */
    size_t no_room = 0, length = 0;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(decoder, &left, &next, &no_room, NULL, NULL);
    if (result == BROTLI_DECODER_RESULT_ERROR) {
      vx_fail_at(kName, BrotliDecoderErrorString(BrotliDecoderGetErrorCode(decoder)),
                 input_read - left);
    }
    const unsigned char* output = BrotliDecoderTakeOutput(decoder, &length);
    if (length != 0) write(VX_FD_OUTPUT, output, length);
    if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) continue;
    /* At the stream's end this looks for more than it. */
    if (left == 0) {
      next = input;
      left = (size_t)read(VX_FD_INPUT, input, sizeof input);
      input_read += left;
    }
    if (result == BROTLI_DECODER_RESULT_SUCCESS) {
      if (left != 0) vx_fail_at(kName, "junk after the stream", input_read - left);
      return 0;
    }
    if (left == 0) {
      vx_fail_at(kName, input_read == 0 ? "the input is empty" : "the input ends within the stream",
                 input_read);
    }
  }
}
