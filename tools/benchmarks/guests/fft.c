/* fft: fast Fourier transforms of 4096 complex doubles, a filter, and back. Stands for signal
 * processing: regular loops of multiplications and additions over arrays.
 *
 *   fft [TIMES]    takes standard input as 8-bit samples; prints a hash of what comes out */
#include "tools/benchmarks/guests/guest.h"

enum { kBits = 12, kSize = 1 << kBits };

typedef struct {
  double re, im;
} Complex;

static Complex turns[kSize / 2], work[kSize];

/* Roots of unity by halving angles: without sine and cosine, which C libraries round their way. */
static void MakeTurns(void) {
  turns[0] = (Complex){1, 0};
  double re = 0, im = -1; /* a quarter of a turn */
  for (int step = kSize / 4; step >= 1; step /= 2) {
    for (int i = step; i < kSize / 2; i += 2 * step) {
      Complex t = turns[i - step];
      turns[i] = (Complex){t.re * re - t.im * im, t.re * im + t.im * re};
    }
    double half = __builtin_sqrt((1 + re) / 2);
    im = im / (2 * half);
    re = half;
  }
}

static void Transform(Complex* a, int backward) {
  for (unsigned i = 0, j = 0; i < kSize; i++) {
    if (i < j) {
      Complex t = a[i];
      a[i] = a[j];
      a[j] = t;
    }
    unsigned bit = kSize / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j |= bit;
  }
  for (int half = 1; half < kSize; half *= 2) {
    int stride = kSize / 2 / half;
    for (int start = 0; start < kSize; start += 2 * half) {
      for (int k = 0; k < half; k++) {
        Complex turn = turns[k * stride];
        if (backward) turn.im = -turn.im;
        Complex x = a[start + k], y = a[start + k + half];
        Complex t = {y.re * turn.re - y.im * turn.im, y.re * turn.im + y.im * turn.re};
        a[start + k] = (Complex){x.re + t.re, x.im + t.im};
        a[start + k + half] = (Complex){x.re - t.re, x.im - t.im};
      }
    }
  }
}

int main(int argc, char** argv) {
  size_t size;
  const unsigned char* data = ReadInput(&size);
  uint64_t hash = 0;
  MakeTurns();
  for (uint32_t times = Argument(argc, argv, 1, 1); times > 0; times--) {
    for (size_t at = 0; at + 2 * kSize <= size; at += 2 * kSize) {
      for (int i = 0; i < kSize; i++) {
        work[i] = (Complex){data[at + 2 * i] - 128.0, data[at + 2 * i + 1] - 128.0};
      }
      Transform(work, 0);
      for (int i = 0; i < kSize; i++) {
        double gain = 1.0 / (kSize * (1.0 + (i + times) % 7));
        work[i] = (Complex){work[i].re * gain, work[i].im * gain};
      }
      Transform(work, 1);
      for (int i = 0; i < kSize; i += 64) hash = MixDouble(hash, work[i].re + work[i].im);
    }
  }
  PrintResult("samples", hash);
  return 0;
}
