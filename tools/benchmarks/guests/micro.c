/* micro: one loop at a time, each for something that a sandbox may make slower, after the
 * microbenchmarks of the vx32 paper.
 *
 *   micro NAME TIMES    prints a hash of what the loop computed
 *
 * Where a compiler would choose another form, the loop is in assembler that means the same to
 * 32-bit and 64-bit machines. */
#include "decoders/sdk/vx.h"
#include "tools/benchmarks/guests/guest.h"

/* Keeps a value, and what memory holds, from being known to the compiler. */
#define OPAQUE(value) __asm__ volatile("" : "+r"(value)::"memory")

/* A loop of this form around `body`, TIMES times. */
#define ASM_LOOP(body) \
  __asm__ volatile("1:\n" body "dec %0\njnz 1b\n" : "+r"(times)::"cc", "memory", "eax", "ecx")

#define FOUR(text) text text text text

static uint64_t Empty(uint32_t times) { return times; }

static uint64_t DirectJump(uint32_t times) {
  ASM_LOOP(FOUR("jmp 2f\n.byte 0x0f, 0x0b\n2:\n"));
  return times;
}

static uint64_t TakenJump(uint32_t times) {
  ASM_LOOP("xor %%eax, %%eax\n" FOUR("jz 2f\n.byte 0x0f, 0x0b\n2:\n"));
  return times;
}

static uint64_t UntakenJump(uint32_t times) {
  ASM_LOOP("xor %%eax, %%eax\n" FOUR("jnz 2f\n") "2:\n");
  return times;
}

/* Each of the four is on a page of its own. */
static uint64_t FarJump(uint32_t times) {
  ASM_LOOP(FOUR("jmp 2f\n.skip 4160, 0x90\n2:\n"));
  return times;
}

NOINLINE static uint32_t Leaf(uint32_t a, uint32_t b) {
  __asm__ volatile("" ::: "memory");
  return a + b;
}

NOINLINE static uint32_t OtherLeaf(uint32_t a, uint32_t b) {
  __asm__ volatile("" ::: "memory");
  return a ^ b;
}

static uint64_t DirectCall(uint32_t times) {
  uint32_t sum = 0;
  for (; times > 0; times--) sum = Leaf(sum, times);
  return sum;
}

static uint64_t IndirectCall(uint32_t times) {
  uint32_t (*function)(uint32_t, uint32_t) = Leaf;
  uint32_t sum = 0;
  for (; times > 0; times--) {
    OPAQUE(function);
    sum = function(sum, times);
  }
  return sum;
}

static uint64_t ChangingCall(uint32_t times) {
  static uint32_t (*volatile functions[4])(uint32_t, uint32_t) = {Leaf, OtherLeaf, OtherLeaf, Leaf};
  uint32_t sum = 0;
  for (; times > 0; times--) sum = functions[times % 4](sum, times);
  return sum;
}

NOINLINE static uint32_t Fibonacci(uint32_t n) {
  return n < 2 ? n : Fibonacci(n - 1) + Fibonacci(n - 2);
}

static uint64_t Recursion(uint32_t times) {
  uint64_t hash = 0;
  for (; times > 0; times--) hash = Mix(hash, Fibonacci(20));
  return hash;
}

/* A call that doesn't exist: to the sandbox and back, and nothing between. */
static uint64_t SystemCall(uint32_t times) {
  uint32_t sum = 0;
  for (; times > 0; times--) sum += (uint32_t)vx_call(0, 0, 0, 0);
  return sum;
}

static uint64_t ReadByte(uint32_t times) {
  uint64_t hash = 0;
  unsigned char byte = 0;
  for (; times > 0 && read(0, &byte, 1) == 1; times--) hash = Mix(hash, byte);
  return hash;
}

static uint64_t WriteByte(uint32_t times) {
  for (; times > 0; times--) WriteAll("x", 1);
  return times;
}

static uint64_t Add64(uint32_t times) {
  uint64_t sum = times, step = UINT64_C(0x123456789abcdef1);
  for (; times > 0; times--) {
    sum += step;
    __asm__ volatile("" : "+m"(step)); /* so that it isn't one multiplication */
  }
  return sum;
}

static uint64_t Multiply64(uint32_t times) {
  uint64_t product = times | 1;
  for (; times > 0; times--) product = product * UINT64_C(6364136223846793005) + times;
  return product;
}

static uint64_t Divide64(uint32_t times) {
  uint64_t value = UINT64_C(0xfedcba9876543210), sum = 0;
  for (; times > 0; times--) {
    sum += (value ^ sum) / (times + UINT64_C(0x100000007));
    sum ^= value % times;
  }
  return sum;
}

static uint64_t PointerChase(uint32_t times) {
  enum { kSize = 1024 };
  static struct Link { struct Link* next; } links[kSize];
  for (uint32_t i = 0; i < kSize; i++) links[i].next = &links[(i * 5 + 1) % kSize];
  const struct Link* link = links;
  for (; times > 0; times--) {
    link = link->next;
    OPAQUE(link);
  }
  return (uint64_t)(link - links);
}

static int CompareNumbers(const void* left, const void* right) {
  uint32_t a = *(const uint32_t*)left, b = *(const uint32_t*)right;
  return (a > b) - (a < b);
}

static uint64_t SortCallback(uint32_t times) {
  enum { kSize = 4096 };
  static uint32_t numbers[kSize];
  uint32_t seed = 1;
  uint64_t hash = 0;
  for (; times > 0; times--) {
    for (int i = 0; i < kSize; i++) numbers[i] = Random(&seed);
    qsort(numbers, kSize, sizeof *numbers, CompareNumbers);
    for (int i = 0; i < kSize; i += 64) hash = Mix(hash, numbers[i]);
  }
  return hash;
}

/* A stack machine whose program is random: each step is a jump through a table. */
static uint64_t Switch(uint32_t times) {
  enum { kSize = 251 };
  static unsigned char code[kSize];
  uint32_t seed = 7, a = 1, b = 2, at = 0;
  for (int i = 0; i < kSize; i++) code[i] = (unsigned char)(Random(&seed) % 12);
  for (; times > 0; times--) {
    switch (code[at]) {
      case 0:
        a += b;
        break;
      case 1:
        a -= 3;
        break;
      case 2:
        b ^= a;
        break;
      case 3:
        a = a << 5 | a >> 27;
        break;
      case 4:
        b += times;
        break;
      case 5:
        a *= 9;
        break;
      case 6:
        b = ~b;
        break;
      case 7:
        a ^= 0x5555;
        break;
      case 8:
        b -= a;
        break;
      case 9:
        b = b << 9 | b >> 23;
        break;
      case 10:
        a |= 1;
        break;
      default:
        b += 77;
        break;
    }
    if (++at == kSize) at = 0;
  }
  return (uint64_t)a << 32 | b;
}

/* Copies of 1 to 32 bytes by REP MOVSB. */
static uint64_t SmallMoves(uint32_t times) {
  static unsigned char from[64], to[64];
  uint64_t hash = 0;
  for (int i = 0; i < 64; i++) from[i] = (unsigned char)(i * 7);
  for (; times > 0; times--) {
    size_t count = 1 + times % 32;
    const unsigned char* source = from + times % 16;
    unsigned char* target = to + times % 8;
    __asm__ volatile("rep movsb" : "+c"(count), "+S"(source), "+D"(target)::"memory");
    hash += to[times % 40];
  }
  return hash;
}

static uint64_t Matrix(uint32_t times) {
  enum { kSide = 64 };
  static int32_t a[kSide][kSide], b[kSide][kSide], c[kSide][kSide];
  for (int i = 0; i < kSide * kSide; i++) {
    a[i / kSide][i % kSide] = i % 13;
    b[i / kSide][i % kSide] = i % 17 - 8;
  }
  for (; times > 0; times--) {
    for (int i = 0; i < kSide; i++) {
      for (int j = 0; j < kSide; j++) {
        int32_t sum = 0;
        for (int k = 0; k < kSide; k++) sum += a[i][k] * b[k][j];
        c[i][j] = sum;
      }
    }
    a[times % kSide][1] ^= c[3][times % kSide] & 0xff;
  }
  return Mix(Mix(0, (uint32_t)c[1][2]), (uint32_t)c[63][63]);
}

static const struct {
  const char* name;
  uint64_t (*run)(uint32_t times);
} kLoops[] = {
    {"empty", Empty},
    {"direct_jump", DirectJump},
    {"taken_jump", TakenJump},
    {"untaken_jump", UntakenJump},
    {"far_jump", FarJump},
    {"direct_call", DirectCall},
    {"indirect_call", IndirectCall},
    {"changing_call", ChangingCall},
    {"recursion", Recursion},
    {"system_call", SystemCall},
    {"read_byte", ReadByte},
    {"write_byte", WriteByte},
    {"add64", Add64},
    {"multiply64", Multiply64},
    {"divide64", Divide64},
    {"pointer_chase", PointerChase},
    {"sort_callback", SortCallback},
    {"switch", Switch},
    {"small_moves", SmallMoves},
    {"matrix", Matrix},
};

int main(int argc, char** argv) {
  for (size_t i = 0; argc == 3 && i < sizeof kLoops / sizeof *kLoops; i++) {
    if (strcmp(argv[1], kLoops[i].name) != 0) continue;
    uint64_t result = kLoops[i].run(Argument(argc, argv, 2, 0));
    PrintResult(argv[1], result);
    return 0;
  }
  Fail("usage: micro NAME TIMES");
}
