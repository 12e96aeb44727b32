/* search: alpha-beta search in connect four, on bit boards, with a transposition table. Stands for
 * branchy recursion over 64-bit integers.
 *
 *   search [POSITIONS [DEPTH]]    prints the sum of values and the number of nodes */
#include "tools/benchmarks/guests/guest.h"

enum { kColumns = 7, kHeight = 7, kTableBits = 16, kWon = 1000 }; /* a row on top stays empty */

typedef struct {
  uint64_t key;
  int16_t value;
  uint8_t depth, kind;
} Entry;

enum Kind { kExact = 1, kAtLeast, kAtMost };

static Entry table[1 << kTableBits];
static uint64_t nodes;

static const int kOrder[kColumns] = {3, 2, 4, 1, 5, 0, 6};

static int HasFour(uint64_t stones) {
  static const int kSteps[] = {1, kHeight, kHeight - 1, kHeight + 1};
  for (int i = 0; i < 4; i++) {
    uint64_t pairs = stones & stones >> kSteps[i];
    if (pairs & pairs >> 2 * kSteps[i]) return 1;
  }
  return 0;
}

static uint64_t Bottom(int column) { return UINT64_C(1) << column * kHeight; }

static int CanPlay(uint64_t all, int column) {
  return (all & Bottom(column) << (kHeight - 2)) == 0;
}

static uint64_t Stone(uint64_t all, int column) {
  return (all + Bottom(column)) & ((UINT64_C(1) << kHeight) - 1) << column * kHeight;
}

static int Center(uint64_t stones) {
  return __builtin_popcountll(stones >> 2 * kHeight & ((UINT64_C(1) << 3 * kHeight) - 1));
}

/* The value for who is to move; `mine` are that player's stones. */
static int Search(uint64_t mine, uint64_t all, int depth, int alpha, int beta) {
  nodes++;
  if (HasFour(all ^ mine)) return -kWon - depth;
  if (depth == 0) return Center(mine) - Center(all ^ mine);
  uint64_t key = all + mine + (UINT64_C(1) << 63);
  Entry* entry = &table[(key * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - kTableBits)];
  if (entry->key == key && entry->depth == depth) {
    if (entry->kind == kExact || (entry->kind == kAtLeast && entry->value >= beta) ||
        (entry->kind == kAtMost && entry->value <= alpha)) {
      return entry->value;
    }
  }
  int best = -2 * kWon, start = alpha;
  for (int i = 0; i < kColumns && alpha < beta; i++) {
    if (!CanPlay(all, kOrder[i])) continue;
    int value = -Search(all ^ mine, all | Stone(all, kOrder[i]), depth - 1, -beta, -alpha);
    if (value > best) best = value;
    if (value > alpha) alpha = value;
  }
  if (best == -2 * kWon) best = 0; /* full */
  *entry = (Entry){.key = key,
                   .value = (int16_t)best,
                   .depth = (uint8_t)depth,
                   .kind = best >= beta    ? kAtLeast
                           : best <= start ? kAtMost
                                           : kExact};
  return best;
}

int main(int argc, char** argv) {
  uint32_t positions = Argument(argc, argv, 1, 4), seed = 1;
  int depth = (int)Argument(argc, argv, 2, 8);
  uint64_t sum = 0;
  while (positions-- > 0) {
    uint64_t mine = 0, all = 0;
    for (int moves = 0; moves < 6; moves++) {
      int column = (int)(Random(&seed) % kColumns);
      uint64_t stone = Stone(all, column);
      mine = all ^ mine;
      all |= stone;
    }
    sum = Mix(sum, (uint32_t)Search(mine, all, depth, -2 * kWon, 2 * kWon));
  }
  PrintResult("values", sum);
  PrintResult("nodes", nodes);
  return 0;
}
