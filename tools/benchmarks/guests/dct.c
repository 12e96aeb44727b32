/* dct: what a picture codec computes: 8x8 blocks through a discrete cosine transform in float,
 * quantised, and back in double. Stands for media code in SSE scalars.
 *
 *   dct [TIMES]    takes standard input as grey pixels, 1024 a row; prints a hash and the error */
#include "tools/benchmarks/guests/guest.h"

enum { kSide = 8, kRow = 1024 };

/* Half the cosine of k/16 of a half turn, for all that a transform of 8 needs. */
static const double kHalfCosine[8] = {0.35355339059327379, 0.49039264020161522, 0.46193976625564337,
                                      0.41573480615127262, 0.35355339059327379, 0.27778511650980109,
                                      0.19134171618254489, 0.097545161008064134};

static float forward[kSide][kSide];
static double backward[kSide][kSide];

static void MakeBases(void) {
  for (int k = 0; k < kSide; k++) {
    for (int n = 0; n < kSide; n++) {
      int angle = k == 0 ? 0 : (2 * n + 1) * k % 32;
      double sign = angle > 8 && angle < 24 ? -1 : 1;
      if (angle > 16) angle = 32 - angle;
      if (angle > 8) angle = 16 - angle;
      double c = angle == 8 ? 0 : k != 0 && angle == 0 ? 0.5 : kHalfCosine[angle];
      forward[k][n] = (float)(sign * c);
      backward[n][k] = sign * c;
    }
  }
}

/* out = basis * in, transposed: two of these are a transform of both directions. */
static void TransformFloat(float out[kSide][kSide], float in[kSide][kSide]) {
  for (int k = 0; k < kSide; k++) {
    for (int x = 0; x < kSide; x++) {
      float sum = 0;
      for (int n = 0; n < kSide; n++) sum += forward[k][n] * in[n][x];
      out[x][k] = sum;
    }
  }
}

static void TransformDouble(double out[kSide][kSide], double in[kSide][kSide]) {
  for (int n = 0; n < kSide; n++) {
    for (int x = 0; x < kSide; x++) {
      double sum = 0;
      for (int k = 0; k < kSide; k++) sum += backward[n][k] * in[k][x];
      out[x][n] = sum;
    }
  }
}

static double CodeBlock(unsigned char* pixels, int quality) {
  float a[kSide][kSide], b[kSide][kSide];
  double c[kSide][kSide], d[kSide][kSide], error = 0;
  for (int y = 0; y < kSide; y++) {
    for (int x = 0; x < kSide; x++) a[y][x] = (float)pixels[y * kRow + x] - 128.0f;
  }
  TransformFloat(b, a);
  TransformFloat(a, b);
  for (int y = 0; y < kSide; y++) {
    for (int x = 0; x < kSide; x++) {
      float step = (float)(quality + (x + y) * quality / 4);
      float scaled = a[y][x] / step;
      c[y][x] = (int)(scaled + (scaled < 0 ? -0.5f : 0.5f)) * (double)step;
    }
  }
  TransformDouble(d, c);
  TransformDouble(c, d);
  for (int y = 0; y < kSide; y++) {
    for (int x = 0; x < kSide; x++) {
      double value = c[y][x] + 128.5;
      int pixel = value < 0 ? 0 : value > 255 ? 255 : (int)value;
      double off = pixel - pixels[y * kRow + x];
      error += off * off;
      pixels[y * kRow + x] = (unsigned char)pixel;
    }
  }
  return error;
}

int main(int argc, char** argv) {
  size_t size;
  unsigned char* data = ReadInput(&size);
  size_t rows = size / kRow / kSide * kSide;
  double error = 0;
  MakeBases();
  for (uint32_t times = Argument(argc, argv, 1, 1); times > 0; times--) {
    for (size_t y = 0; y < rows; y += kSide) {
      for (size_t x = 0; x < kRow; x += kSide) {
        error += CodeBlock(data + y * kRow + x, (int)(times % 16) + 2);
      }
    }
  }
  uint64_t hash = 0;
  for (size_t i = 0; i < rows * kRow; i++) hash = Mix(hash, data[i]);
  PrintResult("pixels", hash);
  PrintResult("error", MixDouble(0, error));
  return 0;
}
