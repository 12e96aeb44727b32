/* The WebP decoder: lossy, lossless and animated images as decoders/README.md says.
 * Keeps the input and the canvas.
 */
#include "src/dsp/cpu.h"
#include "webp/decode.h"
#include "webp/demux.h"

#define VX_DECODER "webp"
#include "decoders/sdk/pnm.h"

VX_NOTE(
    "output: image/x-portable-anymap .pnm\n"
    "preview: --png -> image/png .png; the first image, or the only one, for the web\n");

/* Guests have SSE2 and no other extension. */
static int HasFeature(CPUFeature feature) { return feature == kSSE2; }
VP8CPUInfo VP8GetCPUInfo = HasFeature;

static const char* Why(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "a feature that is not supported";
    default:
      return "damaged data";
  }
}

static void DecodeImage(const unsigned char* data, size_t size,
                        const WebPBitstreamFeatures* features) {
  unsigned width = (unsigned)features->width, height = (unsigned)features->height;
  WebPDecoderConfig config;
  WebPInitDecoderConfig(&config);
  config.output.colorspace = features->has_alpha ? MODE_RGBA : MODE_RGB;
  VP8StatusCode status = WebPDecode(data, size, &config);
  if (status != VP8_STATUS_OK) FailAt(Why(status), 12);
  PutHeader(features->has_alpha ? PNM_RGB_ALPHA : PNM_RGB, width, height, 255);
  for (unsigned y = 0; y < height; y++)
    PutSamples(config.output.u.RGBA.rgba + (size_t)config.output.u.RGBA.stride * y,
               (features->has_alpha ? 4 : 3) * width);
}

static void DecodeAnimation(const unsigned char* data, size_t size) {
  WebPData all = {data, size};
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  WebPAnimDecoder* decoder = WebPAnimDecoderNew(&all, &options);
  WebPAnimInfo info;
  if (decoder == NULL || !WebPAnimDecoderGetInfo(decoder, &info))
    FailAt("damaged animation, or out of memory", 12);
  const unsigned frames = as_png ? 1 : info.frame_count;
  for (unsigned frame = 1; frame <= frames; frame++) {
    unsigned char* canvas;
    int time;
    if (!WebPAnimDecoderGetNext(decoder, &canvas, &time)) {
      WebPIterator at;
      int found = WebPDemuxGetFrame(WebPAnimDecoderGetDemuxer(decoder), (int)frame, &at);
      FailAt("damaged frame", found ? (unsigned long long)(at.fragment.bytes - data) : 12);
    }
    PutHeader(PNM_RGB_ALPHA, info.canvas_width, info.canvas_height, 255);
    PutSamples(canvas, (size_t)info.canvas_width * info.canvas_height * 4);
  }
}

int main(int argc, char** argv) {
  VX_CHECK_ARGUMENTS(kName, argv);
  as_png = vx_argument(argv, "--png") != NULL;
  size_t size;
  unsigned char* data = GetAll(&size);
  if (size < 12 && memcmp(data, "RIFF", size < 4 ? size : 4) == 0)
    FailAt("the input ends within the image", size);
  if (size < 12 || memcmp(data, "RIFF", 4) != 0 || memcmp(data + 8, "WEBP", 4) != 0)
    FailAt("not a WebP header", 0);
  unsigned length = data[4] | data[5] << 8 | data[6] << 16 | (unsigned)data[7] << 24;
  if (length > size - 8) FailAt("the input ends within the image", size);
  if (length + (length & 1) < size - 8) FailAt("junk after the image", 8 + length);
  WebPBitstreamFeatures features;
  VP8StatusCode status = WebPGetFeatures(data, size, &features);
  if (status != VP8_STATUS_OK) FailAt(Why(status), 12);
  if (features.has_animation)
    DecodeAnimation(data, size);
  else
    DecodeImage(data, size, &features);
  Flush();
  return 0;
}
