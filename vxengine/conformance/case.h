// A case: a state of the machine, code to run in it, and what came out, from whichever engine.
#ifndef VXENGINE_CONFORMANCE_CASE_H_
#define VXENGINE_CONFORMANCE_CASE_H_

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vxengine/conformance/oracle_protocol.h"
#include "vxengine/machine/outcome.h"

namespace vx::conformance {

inline constexpr uint32_t kData = ORACLE_DATA, kDataSize = ORACLE_DATA_SIZE;
inline constexpr uint32_t kDataEnd = kData + kDataSize;
inline constexpr uint32_t kCode = ORACLE_CODE, kCodeSize = ORACLE_CODE_SIZE;
inline constexpr uint32_t kExit = ORACLE_EXIT;

// What code can see and change, but for memory.
struct State {
  std::array<uint32_t, 8> gpr{};
  uint32_t eflags = VX_INITIAL_EFLAGS;
  uint32_t eip = 0;
  std::array<Xmm, 8> xmm{};
};

struct Patch {
  uint32_t address = 0;
  std::vector<uint8_t> bytes;  // at most ORACLE_PATCH_SIZE
};

// Where an operand is, for the rules about undefined results.
struct Place {
  enum Kind : uint8_t { kNone, kRegister, kMemory } kind = kNone;
  uint8_t size = 4;  // bytes
  uint32_t address =
      0;  // the encoding of a register (4-7 of size 1 are AH-BH), or an address in data
};

// What becomes of an instruction's flags that manuals leave undefined: see deviations.h.
enum class Rule : uint8_t;

struct Case {
  std::string name;
  State state;                 // eip is set when the code's place is known
  std::vector<uint8_t> code;   // runs on into ORACLE_EXIT, by a jump that is added behind it
  std::vector<Patch> patches;  // data before, in this order, over OracleBackground
  uint32_t code_address = 0;   // 0: any slot; else code starts here and no jump is added
  Rule rule{};                 // of the one instruction that the code is; kExact for more than one
  Place destination;           // that `rule` speaks of
  uint32_t memory = 0;         // address of the operand that ModRM.rm names; 0: none
  uint32_t source = 0;         // that `rule` speaks of: a count
};

struct Result {
  State state;                          // after; eip is ORACLE_EXIT if the code ran to its end
  std::optional<Trap> trap;             // else
  uint32_t valid_flags = kStatusFlags;  // which of the status flags are known
  std::string
      failure;  // why there is no result, if there is none: a time-out, a guest that wasn't let run
  std::vector<uint8_t> data;  // empty if the engine could not show it
};

// For values of EFLAGS, put together by |.
constexpr uint32_t FlagIf(bool condition, uint32_t flag) { return condition ? flag : 0; }
constexpr bool EvenParity(uint32_t value) { return std::popcount(value & 0xff) % 2 == 0; }

// Each of the 64 values of the status flags, for `index` below 64.
constexpr uint32_t StatusFlags(uint32_t index) {
  return FlagIf(index & 1, kCf) | FlagIf(index & 2, kPf) | FlagIf(index & 4, kAf) |
         FlagIf(index & 8, kZf) | FlagIf(index & 16, kSf) | FlagIf(index & 32, kOf);
}

// The data before the case runs.
std::vector<uint8_t> InitialData(const Case& test);

// The bytes at test.code_address: the code and, unless its place was given, the jump to
// ORACLE_EXIT.
std::vector<uint8_t> PlacedCode(const Case& test, uint32_t address);

// Hex bytes and the state, to see what went wrong and to run it again by hand.
std::string Describe(const Case& test);

// What differs between two results, one line for each thing; empty if nothing. Data is compared
// where both have it.
std::string Difference(const Result& expected, const Result& actual);

}  // namespace vx::conformance

#endif  // VXENGINE_CONFORMANCE_CASE_H_
