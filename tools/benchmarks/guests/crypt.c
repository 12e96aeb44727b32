/* crypt: AES-128 in counter mode with tables (FIPS 197), and SHA-256 (FIPS 180-4) of what comes
 * out. Stands for integer code without branches: shifts, rotations, table look-ups.
 *
 *   crypt [TIMES]    encrypts standard input so often and prints the last digest */
#include "tools/benchmarks/guests/guest.h"

static uint8_t sbox[256];
static uint32_t table[4][256], round_keys[44];

static uint8_t Double(uint8_t x) { return (uint8_t)(x << 1 ^ (x >> 7) * 0x1b); }

static uint32_t RotateRight(uint32_t x, int by) { return x >> by | x << (32 - by); }

/* Goes through the field by powers of 3, whose inverses are powers of 0xf6. */
static void MakeTables(void) {
  uint8_t p = 1, q = 1;
  do {
    p ^= Double(p);
    q ^= (uint8_t)(q << 1);
    q ^= (uint8_t)(q << 2);
    q ^= (uint8_t)(q << 4);
    if (q & 0x80) q ^= 0x09;
    uint32_t twice = q * 0x101u;
    sbox[p] = (uint8_t)(q ^ twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4 ^ 0x63);
  } while (p != 1);
  sbox[0] = 0x63;
  for (int i = 0; i < 256; i++) {
    uint32_t s = sbox[i], d = Double(sbox[i]);
    table[0][i] = d << 24 | s << 16 | s << 8 | (s ^ d);
    for (int k = 1; k < 4; k++) table[k][i] = RotateRight(table[0][i], 8 * k);
  }
}

static uint32_t Substitute(uint32_t x) {
  return (uint32_t)sbox[x >> 24] << 24 | (uint32_t)sbox[x >> 16 & 255] << 16 |
         (uint32_t)sbox[x >> 8 & 255] << 8 | sbox[x & 255];
}

static void ExpandKey(const uint32_t key[4]) {
  uint8_t constant = 1;
  for (int i = 0; i < 44; i++) {
    if (i < 4) {
      round_keys[i] = key[i];
      continue;
    }
    uint32_t t = round_keys[i - 1];
    if (i % 4 == 0) {
      t = Substitute(RotateRight(t, 24)) ^ (uint32_t)constant << 24;
      constant = Double(constant);
    }
    round_keys[i] = round_keys[i - 4] ^ t;
  }
}

static void EncryptBlock(const uint32_t in[4], uint32_t out[4]) {
  uint32_t s[4], t[4];
  for (int i = 0; i < 4; i++) s[i] = in[i] ^ round_keys[i];
  for (int round = 1; round < 10; round++) {
    for (int i = 0; i < 4; i++) {
      t[i] = table[0][s[i] >> 24] ^ table[1][s[(i + 1) % 4] >> 16 & 255] ^
             table[2][s[(i + 2) % 4] >> 8 & 255] ^ table[3][s[(i + 3) % 4] & 255] ^
             round_keys[4 * round + i];
    }
    memcpy(s, t, sizeof s);
  }
  for (int i = 0; i < 4; i++) {
    uint32_t mixed = (s[i] & 0xff000000) | (s[(i + 1) % 4] & 0xff0000) | (s[(i + 2) % 4] & 0xff00) |
                     (s[(i + 3) % 4] & 0xff);
    out[i] = Substitute(mixed) ^ round_keys[40 + i];
  }
}

static uint32_t BigEndian(const unsigned char* at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void StoreBigEndian(unsigned char* at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static const uint32_t kRoots[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void HashBlock(uint32_t h[8], const unsigned char* block) {
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++) w[i] = BigEndian(block + 4 * i);
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (RotateRight(a, 7) ^ RotateRight(a, 18) ^ a >> 3) +
           (RotateRight(b, 17) ^ RotateRight(b, 19) ^ b >> 10);
  }
  memcpy(v, h, sizeof v);
  for (int i = 0; i < 64; i++) {
    uint32_t a = v[0], e = v[4];
    uint32_t one = v[7] + (RotateRight(e, 6) ^ RotateRight(e, 11) ^ RotateRight(e, 25)) +
                   ((e & v[5]) ^ (~e & v[6])) + kRoots[i] + w[i];
    uint32_t two = (RotateRight(a, 2) ^ RotateRight(a, 13) ^ RotateRight(a, 22)) +
                   ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[0] = one + two;
    v[4] += one;
  }
  for (int i = 0; i < 8; i++) h[i] += v[i];
}

static void Sha256(const unsigned char* data, size_t size, uint32_t h[8]) {
  static const uint32_t kStart[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  unsigned char last[128] = {0};
  size_t whole = size / 64 * 64, rest = size - whole, padded = rest < 56 ? 64 : 128;
  memcpy(h, kStart, sizeof kStart);
  for (size_t at = 0; at < whole; at += 64) HashBlock(h, data + at);
  memcpy(last, data + whole, rest);
  last[rest] = 0x80;
  StoreBigEndian(last + padded - 8, (uint32_t)((uint64_t)size >> 29));
  StoreBigEndian(last + padded - 4, (uint32_t)size << 3);
  for (size_t at = 0; at < padded; at += 64) HashBlock(h, last + at);
}

int main(int argc, char** argv) {
  uint32_t key[4] = {0x2b7e1516, 0x28aed2a6, 0xabf71588, 0x09cf4f3c}, digest[8];
  size_t size;
  unsigned char* data = ReadInput(&size);
  MakeTables();
  for (uint32_t times = Argument(argc, argv, 1, 1); times > 0; times--) {
    uint32_t counter[4] = {times, 0, 0, 0}, pad[4];
    ExpandKey(key);
    for (size_t at = 0; at + 16 <= size; at += 16) {
      counter[3]++;
      EncryptBlock(counter, pad);
      for (int i = 0; i < 4; i++) {
        StoreBigEndian(data + at + 4 * i, BigEndian(data + at + 4 * i) ^ pad[i]);
      }
    }
    Sha256(data, size, digest);
    memcpy(key, digest, sizeof key);
  }
  for (int i = 0; i < 8; i += 2) PrintResult("sha256", (uint64_t)digest[i] << 32 | digest[i + 1]);
  return 0;
}
