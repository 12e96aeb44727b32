#include "vxengine/conformance/deviations.h"

namespace vx::conformance {
namespace {

bool HasCount(Rule rule) { return rule >= Rule::kShl && rule <= Rule::kShrd; }

uint32_t Count(const Case& test) { return test.source & 31; }

// The value of undefined flags, from the state before and the (defined) rest of the result.
using Flags = uint32_t (*)(const Case& test, const Result& result);

uint32_t Zero(const Case&, const Result&) { return 0; }
uint32_t One(const Case&, const Result&) { return ~0u; }
uint32_t Unchanged(const Case& test, const Result&) { return test.state.eflags; }

// CF of a shift by more than the operand's width: nothing was left to be shifted out.
uint32_t NoneBeyond(const Case& test, const Result& result) {
  return Count(test) > 8u * test.destination.size ? 0 : result.state.eflags;
}

// The result's bit number `below` from the top.
bool TopBit(const Case& test, const Result& result, int below = 0) {
  const uint32_t value = Value(test.destination, result.state, result.data);
  return value >> (8 * test.destination.size - 1 - below) & 1;
}

uint32_t TopOverCf(const Case& test, const Result& result) {
  return FlagIf(TopBit(test, result) != (result.state.eflags & kCf), kOf);
}

uint32_t TopTwo(const Case& test, const Result& result) {
  return FlagIf(TopBit(test, result) != TopBit(test, result, 1), kOf);
}

// PF of a bit's index; 1 if there was none.
uint32_t IndexParity(const Case& test, const Result& result) {
  const uint32_t index = Value(test.destination, result.state, result.data);
  return FlagIf((result.state.eflags & kZf) || EvenParity(index), kPf);
}

// As ADD sets them.
uint32_t FlagsOfSum(uint32_t a, uint32_t b, int bits) {
  const uint32_t sum = a + b, mask = (1u << bits) - 1;
  return FlagIf(sum >> bits & 1, kCf) | FlagIf(EvenParity(sum), kPf) |
         FlagIf((a ^ b ^ sum) & 16, kAf) | FlagIf((sum & mask) == 0, kZf) |
         FlagIf(sum >> (bits - 1) & 1, kSf) |
         FlagIf((a ^ sum) & (b ^ sum) & (1u << (bits - 1)), kOf);
}

uint32_t FlagsOfDifference(uint32_t a, uint32_t b, int bits) {
  const uint32_t mask = (1u << bits) - 1, difference = (a - b) & mask;
  return (FlagsOfSum(difference, b, bits) & kOf) | FlagIf(EvenParity(difference), kPf) |
         FlagIf(difference == 0, kZf) | FlagIf(difference >> (bits - 1) & 1, kSf);
}

// AAA and AAS: of AX and 0x106, before AL loses its upper half.
uint32_t AsciiChange(const Result& result) { return result.state.eflags & kAf ? 0x106 : 0; }

uint32_t AsciiAdd(const Case& test, const Result& result) {
  return FlagsOfSum(test.state.gpr[kEax] & 0xffff, AsciiChange(result), 16);
}

uint32_t AsciiSubtract(const Case& test, const Result& result) {
  return FlagsOfDifference(test.state.gpr[kEax] & 0xffff, AsciiChange(result), 16);
}

// DAA and DAS: of AL and what was added to it at once.
uint32_t DecimalAdd(const Case& test, const Result& result) {
  const uint32_t before = test.state.gpr[kEax] & 0xff, after = result.state.gpr[kEax] & 0xff;
  return FlagsOfSum(before, (after - before) & 0xff, 8);
}

uint32_t DecimalSubtract(const Case& test, const Result& result) {
  const uint32_t before = test.state.gpr[kEax] & 0xff, after = result.state.gpr[kEax] & 0xff;
  return FlagsOfDifference(before, (before - after) & 0xff, 8);
}

// AAD: of AL and AH times the base.
uint32_t AsciiMultiply(const Case& test, const Result&) {
  const uint32_t ax = test.state.gpr[kEax];
  return FlagsOfSum(ax & 0xff, (ax >> 8) * test.source & 0xff, 8);
}

struct Line {
  Rule rule;
  uint32_t flags;
  Flags value;
  // For shifts: with counts (modulo 32) above this one. A count of 0 changes no flags.
  uint8_t above_count = 0;
};

constexpr Line kLines[] = {
    {Rule::kLogic, kAf, Zero},
    {Rule::kMul, kSf | kZf | kAf | kPf, Unchanged},
    {Rule::kDiv, kCf | kOf, Unchanged},
    {Rule::kDiv, kAf, One},
    {Rule::kDiv, kSf | kZf | kPf, Zero},
    {Rule::kShl, kAf, One},
    {Rule::kShl, kCf, NoneBeyond, 1},
    {Rule::kShl, kOf, TopOverCf, 1},
    {Rule::kShr, kAf, One},
    {Rule::kShr, kCf, NoneBeyond, 1},
    {Rule::kShr, kOf, TopTwo, 1},
    {Rule::kSar, kAf, One},
    {Rule::kSar, kOf, Zero, 1},
    {Rule::kRol, kOf, TopOverCf, 1},
    {Rule::kRor, kOf, TopTwo, 1},
    {Rule::kRcl, kOf, TopOverCf, 1},
    {Rule::kRcr, kOf, TopTwo, 1},
    {Rule::kShld, kAf, One},
    {Rule::kShld, kOf, TopOverCf, 1},
    {Rule::kShrd, kAf, One},
    {Rule::kShrd, kOf, TopTwo, 1},
    {Rule::kBitScan, kCf | kOf | kSf | kAf, Zero},
    {Rule::kBitScan, kPf, IndexParity},
    {Rule::kBitTest, kOf | kSf | kAf | kPf, Unchanged},
    {Rule::kAaa, kOf | kSf | kZf | kPf, AsciiAdd},
    {Rule::kAas, kOf | kSf | kZf | kPf, AsciiSubtract},
    {Rule::kDaa, kOf, DecimalAdd},
    {Rule::kDas, kOf, DecimalSubtract},
    {Rule::kAad, kOf | kAf | kCf, AsciiMultiply},
    {Rule::kAam, kOf | kAf | kCf, Zero},
};

bool Applies(const Line& line, const Case& test) {
  return line.rule == test.rule &&
         (!HasCount(test.rule) || (Count(test) != 0 && Count(test) > line.above_count));
}

}  // namespace

void ApplyAbi(const Case& test, Result* result) {
  if (result->trap && test.rule == Rule::kPopa) result->state.gpr = test.state.gpr;
  if (result->trap || !result->failure.empty()) return;
  for (const Line& line : kLines) {
    if (!Applies(line, test)) continue;
    const uint32_t value = line.value(test, *result) & line.flags;
    result->state.eflags = (result->state.eflags & ~line.flags) | value;
  }
}

uint32_t Value(const Place& place, const State& state, const std::vector<uint8_t>& data) {
  uint32_t value = 0;
  switch (place.kind) {
    case Place::kNone:
      return 0;
    case Place::kRegister:
      if (place.size == 1 && place.address >= 4) return state.gpr[place.address - 4] >> 8 & 0xff;
      value = state.gpr[place.address];
      break;
    case Place::kMemory:
      for (int i = 0; i < 4 && i < place.size; ++i) {
        value |= static_cast<uint32_t>(data[place.address - kData + i]) << (8 * i);
      }
  }
  return place.size >= 4 ? value : value & ((1u << (8 * place.size)) - 1);
}

}  // namespace vx::conformance
