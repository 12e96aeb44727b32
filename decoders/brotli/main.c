/* The brotli decoder: a Brotli stream (RFC 7932), which nothing may follow. No large windows, no
 * dictionaries but the format's own, no arguments.
 */
#include "brotli/decode.h"

typedef struct {
  const unsigned char* next_in;
  size_t avail_in;
  unsigned char* next_out;
  size_t avail_out;
} Stream;

#define VX_STREAM Stream
#define VX_DECODER "brotli"
#include "decoders/sdk/stream.h"

int main(int argc, char** argv) {
  if (argc > 1) vx_fail(kName, "takes no arguments", 2);
  StartOutput();
  BrotliDecoderState* decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
  if (decoder == NULL) Fail("out of memory");
  if (!Refill()) Fail("the input is empty");
  for (;;) {
    switch (BrotliDecoderDecompressStream(decoder, &stream.avail_in, &stream.next_in,
                                          &stream.avail_out, &stream.next_out, NULL)) {
      case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        Flush();
        break;
      case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
        if (!Refill()) Fail("the input ends within the stream");
        break;
      case BROTLI_DECODER_RESULT_SUCCESS:
        if (Refill()) Fail("junk after the stream");
        Flush();
        return 0;
      default:
        Fail(BrotliDecoderErrorString(BrotliDecoderGetErrorCode(decoder)));
    }
  }
}
