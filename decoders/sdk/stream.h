/* The two ends of a decoder whose library has zlib's kind of interface: a struct with next_in,
 * avail_in, next_out and avail_out, as libbz2 and liblzma have one too.
 *
 *   #define VX_STREAM z_stream
 *   #define VX_DECODER "zlib"
 *   #include "decoders/sdk/stream.h"
 *
 * For main.c alone: here are not declarations but the functions and buffers themselves, and
 * `stream`.
 */
#include <unistd.h>

#include "decoders/sdk/vx.h"

/* Large, for libraries save their state whenever they return. */
enum { kInputSize = 1 << 16, kOutputSize = 1 << 18 };

static const char kName[] = VX_DECODER;

static unsigned char input[kInputSize];
static unsigned char output[kOutputSize];
static unsigned long long input_read; /* bytes of the input that have gone into input[] so far */
static VX_STREAM stream;

static void StartOutput(void) {
  stream.next_out = (void*)output;
  stream.avail_out = sizeof output;
}

/* Makes stream.avail_in positive; false at the end of the input. */
static int Refill(void) {
  if (stream.avail_in != 0) return 1;
  stream.next_in = (void*)input;
  stream.avail_in = (unsigned)read(VX_FD_INPUT, input, sizeof input);
  input_read += stream.avail_in;
  return stream.avail_in != 0;
}

static void Flush(void) {
  write(VX_FD_OUTPUT, output, sizeof output - stream.avail_out);
  StartOutput();
}

/* The offset in the input of stream.next_in. */
static unsigned long long Offset(void) { return input_read - stream.avail_in; }

/* Ends the guest with status 1 and `why`, after what was decoded before. */
static _Noreturn void Fail(const char* why) {
  Flush();
  vx_fail_at(kName, why, Offset());
}
