/* lz: a compressor of LZMA's family: matches found through hash chains, an adaptive binary range
 * coder. Stands for codecs whose time goes into unpredictable branches and dependent arithmetic.
 * Compresses standard input, checks that it comes back, and prints the compressed form. */
#include "tools/benchmarks/guests/guest.h"

enum {
  kWindow = 1 << 16,
  kHashBits = 15,
  kShortest = 3,
  kLongest = kShortest + 255,
  kTries = 24,
  kProbabilityBits = 11,
  kAdapt = 5,
  kTop = 1 << 24,
};

typedef struct {
  uint16_t is_match[2], literal[256][256], length[256], distance_bits[32];
} Model;

static Model model;

static void ResetModel(void) {
  uint16_t* p = (uint16_t*)&model;
  for (size_t i = 0; i < sizeof model / sizeof *p; i++) p[i] = 1 << (kProbabilityBits - 1);
}

static unsigned char* coded;
static size_t coded_size, coded_room, coded_read;

/* Encoder: bytes are held back while a carry may still reach them. */
static uint64_t low;
static uint32_t range, held, code;
static uint8_t first_held;

static void Put(uint8_t byte) {
  if (coded_size == coded_room) Fail("lz: the output is larger than expected");
  coded[coded_size++] = byte;
}

static void ShiftLow(void) {
  if (low < 0xff000000u || low >> 32 != 0) {
    uint8_t carry = (uint8_t)(low >> 32);
    if (held != 0) Put((uint8_t)(first_held + carry));
    for (; held > 1; held--) Put((uint8_t)(0xff + carry));
    first_held = (uint8_t)(low >> 24);
    held = 0;
  }
  held++;
  low = (low & 0xffffff) << 8;
}

static void EncodeBit(uint16_t* p, unsigned bit) {
  uint32_t bound = (range >> kProbabilityBits) * *p;
  if (bit == 0) {
    range = bound;
    *p += ((1 << kProbabilityBits) - *p) >> kAdapt;
  } else {
    low += bound;
    range -= bound;
    *p -= *p >> kAdapt;
  }
  for (; range < kTop; range <<= 8) ShiftLow();
}

static void EncodeTree(uint16_t* tree, int bits, unsigned value) {
  for (unsigned node = 1; bits-- > 0;) {
    unsigned bit = value >> bits & 1;
    EncodeBit(&tree[node], bit);
    node = node << 1 | bit;
  }
}

static void EncodeDirect(unsigned value, int bits) {
  while (bits-- > 0) {
    range >>= 1;
    if (value >> bits & 1) low += range;
    for (; range < kTop; range <<= 8) ShiftLow();
  }
}

static unsigned DecodeBit(uint16_t* p) {
  uint32_t bound = (range >> kProbabilityBits) * *p;
  unsigned bit = code >= bound;
  if (bit == 0) {
    range = bound;
    *p += ((1 << kProbabilityBits) - *p) >> kAdapt;
  } else {
    code -= bound;
    range -= bound;
    *p -= *p >> kAdapt;
  }
  for (; range < kTop; range <<= 8) code = code << 8 | coded[coded_read++];
  return bit;
}

static unsigned DecodeTree(uint16_t* tree, int bits) {
  unsigned node = 1;
  for (int i = 0; i < bits; i++) node = node << 1 | DecodeBit(&tree[node]);
  return node - (1u << bits);
}

static unsigned DecodeDirect(int bits) {
  unsigned value = 0;
  while (bits-- > 0) {
    range >>= 1;
    unsigned bit = code >= range;
    if (bit) code -= range;
    value = value << 1 | bit;
    for (; range < kTop; range <<= 8) code = code << 8 | coded[coded_read++];
  }
  return value;
}

static uint32_t heads[1 << kHashBits], chain[kWindow]; /* positions, plus one */

static unsigned Hash(const unsigned char* at) {
  return ((at[0] | at[1] << 8 | (uint32_t)at[2] << 16) * 2654435761u) >> (32 - kHashBits);
}

static void Enter(const unsigned char* data, size_t size, size_t at) {
  if (at + kShortest > size) return;
  unsigned hash = Hash(data + at);
  chain[at % kWindow] = heads[hash];
  heads[hash] = (uint32_t)at + 1;
}

static unsigned FindMatch(const unsigned char* data, size_t size, size_t at, unsigned* distance) {
  if (at + kShortest > size) return 0;
  unsigned best = kShortest - 1;
  unsigned limit = size - at < kLongest ? (unsigned)(size - at) : kLongest;
  uint32_t next = heads[Hash(data + at)];
  for (int tries = kTries; tries > 0 && next != 0; tries--) {
    size_t candidate = next - 1;
    if (at - candidate >= kWindow) break;
    unsigned length = 0;
    while (length < limit && data[candidate + length] == data[at + length]) length++;
    if (length > best) {
      best = length;
      *distance = (unsigned)(at - candidate);
      if (length == limit) break;
    }
    next = chain[candidate % kWindow];
  }
  return best < kShortest ? 0 : best;
}

static void Encode(const unsigned char* data, size_t size) {
  unsigned after_match = 0, distance = 0;
  range = 0xffffffffu;
  for (size_t at = 0; at < size;) {
    unsigned length = FindMatch(data, size, at, &distance);
    EncodeBit(&model.is_match[after_match], length != 0);
    after_match = length != 0;
    if (length == 0) {
      EncodeTree(model.literal[at == 0 ? 0 : data[at - 1]], 8, data[at]);
      Enter(data, size, at++);
      continue;
    }
    EncodeTree(model.length, 8, length - kShortest);
    int bits = 31 - __builtin_clz(distance);
    EncodeTree(model.distance_bits, 4, (unsigned)bits);
    EncodeDirect(distance & ((1u << bits) - 1), bits);
    while (length-- > 0) Enter(data, size, at++);
  }
  for (int i = 0; i < 5; i++) ShiftLow();
}

static void Decode(unsigned char* data, size_t size) {
  unsigned after_match = 0;
  range = 0xffffffffu;
  /* What the encoder puts out first is the byte that it holds at the start, where it holds none. */
  for (int i = 0; i < 4; i++) code = code << 8 | coded[coded_read++];
  for (size_t at = 0; at < size;) {
    after_match = DecodeBit(&model.is_match[after_match]);
    if (!after_match) {
      data[at] = (unsigned char)DecodeTree(model.literal[at == 0 ? 0 : data[at - 1]], 8);
      at++;
      continue;
    }
    unsigned length = DecodeTree(model.length, 8) + kShortest;
    int bits = (int)DecodeTree(model.distance_bits, 4);
    unsigned distance = 1u << bits | DecodeDirect(bits);
    if (distance > at || length > size - at) Fail("lz: bad match");
    for (; length > 0; length--, at++) data[at] = data[at - distance];
  }
}

int main(void) {
  size_t size;
  unsigned char* data = ReadInput(&size);
  coded_room = size + size / 8 + 64;
  coded = Allocate(coded_room);
  ResetModel();
  Encode(data, size);
  unsigned char* again = Allocate(size + 1);
  ResetModel();
  Decode(again, size);
  if (memcmp(data, again, size) != 0) Fail("lz: other bytes came back");
  WriteAll(coded, coded_size);
  return 0;
}
