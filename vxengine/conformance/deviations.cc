#include "vxengine/conformance/deviations.h"

#include <algorithm>
#include <iterator>

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

constexpr std::string_view kUndefined = "What manuals leave undefined";

struct Line {
  Rule rule;
  uint32_t flags;
  Flags value;
  std::string_view words;  // of the section kUndefined
  // For shifts: with counts (modulo 32) above this one. A count of 0 changes no flags.
  uint8_t above_count = 0;
};

constexpr std::string_view kShifts = "SHL SHR SAR, count ≠ 0 | ",
                           kRotates = "ROL ROR RCL RCR, count ≠ 0 | ",
                           kDoubleShifts = "SHLD SHRD, count ≠ 0 | ";

constexpr Line kLines[] = {
    {Rule::kLogic, kAf, Zero, "AND OR XOR TEST | "},
    {Rule::kMul, kSf | kZf | kAf | kPf, Unchanged, "MUL IMUL, all forms | "},
    {Rule::kDiv, kCf | kOf, Unchanged, "DIV IDIV | "},
    {Rule::kDiv, kAf, One, "DIV IDIV | "},
    {Rule::kDiv, kSf | kZf | kPf, Zero, "DIV IDIV | "},
    {Rule::kShl, kAf, One, kShifts},
    {Rule::kShl, kCf, NoneBeyond, kShifts, 1},
    {Rule::kShl, kOf, TopOverCf, kShifts, 1},
    {Rule::kShr, kAf, One, kShifts},
    {Rule::kShr, kCf, NoneBeyond, kShifts, 1},
    {Rule::kShr, kOf, TopTwo, kShifts, 1},
    {Rule::kSar, kAf, One, kShifts},
    {Rule::kSar, kOf, Zero, kShifts, 1},
    {Rule::kRol, kOf, TopOverCf, kRotates, 1},
    {Rule::kRor, kOf, TopTwo, kRotates, 1},
    {Rule::kRcl, kOf, TopOverCf, kRotates, 1},
    {Rule::kRcr, kOf, TopTwo, kRotates, 1},
    {Rule::kShld, kAf, One, kDoubleShifts},
    {Rule::kShld, kOf, TopOverCf, kDoubleShifts, 1},
    {Rule::kShrd, kAf, One, kDoubleShifts},
    {Rule::kShrd, kOf, TopTwo, kDoubleShifts, 1},
    {Rule::kBitScan, kCf | kOf | kSf | kAf, Zero, "BSF BSR, source ≠ 0 | "},
    {Rule::kBitScan, kPf, IndexParity, "BSF BSR, source ≠ 0 | "},
    {Rule::kBitTest, kOf | kSf | kAf | kPf, Unchanged, "BT BTS BTR BTC | "},
    {Rule::kAaa, kOf | kSf | kZf | kPf, AsciiAdd, "AAA AAS | "},
    {Rule::kAas, kOf | kSf | kZf | kPf, AsciiSubtract, "AAA AAS | "},
    {Rule::kDaa, kOf, DecimalAdd, "DAA DAS | "},
    {Rule::kDas, kOf, DecimalSubtract, "DAA DAS | "},
    {Rule::kAad, kOf | kAf | kCf, AsciiMultiply, "AAD | "},
    {Rule::kAam, kOf | kAf | kCf, Zero, "AAM | "},
};

bool Applies(const Line& line, const Case& test) {
  return line.rule == test.rule &&
         (!HasCount(test.rule) || (Count(test) != 0 && Count(test) > line.above_count));
}

// --- Traps ---

bool IsPageFault(const Result& result) {
  return result.trap && result.trap->cause == TrapCause::kPageFault;
}

void NothingIsPopped(const Case& test, const Result&, Result* result) {
  if (test.rule == Rule::kPopa) result->state.gpr = test.state.gpr;
}

// Such a case holds one instruction.
void EipIsTheInstructions(const Case& test, const Result&, Result* result) {
  const TrapCause cause = result->trap->cause;
  if (cause != TrapCause::kBreakpoint && cause != TrapCause::kOverflow) return;
  result->state.eip = test.state.eip;
}

constexpr uint8_t kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x66, 0xf2, 0xf3};
constexpr uint8_t kCmps = 0xa7, kScas = 0xaf;  // and these less 1

// Of the instruction that has trapped.
struct Trapped {
  uint8_t opcode = 0;  // 0: it isn't in the case
  bool repeated = false;
};

Trapped InstructionAtTrap(const Case& test, const Result& result) {
  Trapped trapped;
  size_t at = result.state.eip - test.code_address;
  for (; at < test.code.size() && std::ranges::count(kPrefixes, test.code[at]) != 0; ++at) {
    trapped.repeated |= test.code[at] >= 0xf2;
  }
  if (at < test.code.size()) trapped.opcode = test.code[at];
  return trapped;
}

// Which operand of CMPS is read first CPUs have in both ways.
void OperandAtEsiIsFirst(const Case& test, const Result& actual, Result* result) {
  if (!IsPageFault(*result) || !IsPageFault(actual) || result->state.eip != actual.state.eip) {
    return;
  }
  if ((InstructionAtTrap(test, actual).opcode | 1) != kCmps) return;
  const auto in = [](uint32_t address, uint32_t operand) { return address - operand < 4; };
  if (in(result->trap->address, result->state.gpr[kEdi]) &&
      in(actual.trap->address, actual.state.gpr[kEsi])) {
    result->trap = actual.trap;
  }
}

// Some CPUs leave the flags of the last iteration, some those from before the first.
void ComparisonsFlagsAreOfTheLast(const Case& test, const Result& actual, Result* result) {
  const Trapped trapped = InstructionAtTrap(test, *result);
  const bool compares = (trapped.opcode | 1) == kCmps || (trapped.opcode | 1) == kScas;
  if (IsPageFault(*result) && IsPageFault(actual) && compares && trapped.repeated) {
    result->state.eflags =
        (result->state.eflags & ~kStatusFlags) | (actual.state.eflags & kStatusFlags);
  }
}

void LowerBoundIsFirst(const Case& test, const Result& actual, Result* result) {
  constexpr uint8_t kBound = 0x62;
  if (IsPageFault(*result) && actual.trap && actual.trap->cause == TrapCause::kBoundRange &&
      InstructionAtTrap(test, *result).opcode == kBound) {
    result->trap = actual.trap;
  }
}

// On a CPU that is #GP or #SS (Intel SDM vol. 3, 5.3). abi_test.cc has what the fault says.
void WrappingIsAPageFault(const Case&, const Result& actual, Result* result) {
  const bool wraps = result->trap->cause == TrapCause::kGeneralProtection && IsPageFault(actual) &&
                     actual.trap->address > 0xfffffff0;
  if (wraps) result->trap = actual.trap;
}

// Changes the result of a case that trapped on a CPU.
using Correct = void (*)(const Case& test, const Result& actual, Result* result);

struct TrapLine {
  Correct correct;
  Citation source;
};

constexpr TrapLine kAlways[] = {
    {NothingIsPopped, {kUndefined, "PUSHA POPA ENTER that fault half-way | "}},
    {EipIsTheInstructions, {kUndefined, "INT3, INTO | "}},
};

constexpr TrapLine kWithActual[] = {
    {ComparisonsFlagsAreOfTheLast, {"Traps", "The status flags of a comparison are then"}},
    {LowerBoundIsFirst, {kUndefined, "BOUND | "}},
    {OperandAtEsiIsFirst, {kUndefined, "CMPS of two operands that can't be read | "}},
    {WrappingIsAPageFault, {"Memory", "each access that wraps faults"}},
};

}  // namespace

void ApplyAbi(const Case& test, Result* result) {
  if (result->trap) {
    for (const TrapLine& line : kAlways) line.correct(test, *result, result);
    return;
  }
  if (!result->failure.empty()) return;
  for (const Line& line : kLines) {
    if (!Applies(line, test)) continue;
    const uint32_t value = line.value(test, *result) & line.flags;
    result->state.eflags = (result->state.eflags & ~line.flags) | value;
  }
}

void ApplyAbi(const Case& test, const Result& actual, Result* result) {
  if (!result->trap) return;
  for (const TrapLine& line : kWithActual) line.correct(test, actual, result);
}

std::vector<Citation> DeviationCitations() {
  std::vector<Citation> citations;
  for (const Line& line : kLines) citations.push_back({kUndefined, line.words});
  for (const TrapLine& line : kAlways) citations.push_back(line.source);
  for (const TrapLine& line : kWithActual) citations.push_back(line.source);
  return citations;
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
