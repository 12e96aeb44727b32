// Guests that try to break out of the sandbox or to bring it down, as tables: what each does and
// how it has to end, which is the same on every engine and in the jail (vxengine/MACHINE.md).
//
// All attacks of a table are in one image. It reads a *command* from its input, the registers to
// start with and the address to jump to, so that thousands of attacks need no more than one
// program, one translation and, in the jail, one zygote.
#ifndef TESTS_HOSTILE_ATTACKS_H_
#define TESTS_HOSTILE_ATTACKS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vxengine/machine/outcome.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/vx.h"

namespace vx::hostile {

// The image: its code at testing::kCodeAddress, below that 8 MiB of stack, and
inline constexpr uint32_t kData = testing::kDataAddress;  // kDataSize bytes to read and write
inline constexpr uint32_t kDataEnd = kData + testing::kDataSize;
inline constexpr uint32_t kReadOnly = kDataEnd + 0x1000;              // a page
inline constexpr uint32_t kHigh = VX_HIGHEST_ADDRESS - VX_PAGE_SIZE;  // the highest page there can
                                                                      // be, to read and write, in
                                                                      // images that have one
inline constexpr uint32_t kStack = testing::kCodeAddress - 0x1000;  // ESP, if nothing else is said
inline constexpr uint32_t kStackLow = testing::kCodeAddress - VX_STACK_SIZE;

using Gprs = std::array<uint32_t, 8>;  // by Gpr

struct Attack {
  std::string name;
  std::string input;     // the command, and what the attack itself reads
  std::string expected;  // as Describe tells it; of a limit, how that begins
  std::string output;
  Limits limits;
};

struct Table {
  std::string elf;
  std::vector<Attack> attacks;
  // Input for the same image with which it copies what follows to its output and exits with 0.
  std::string copy;
};

class TableBuilder {
 public:
  explicit TableBuilder(bool has_high_page = false);

  // Where the code lies. The same bytes lie there once.
  uint32_t Code(const std::string& bytes);

  // The attack added, for what is rarer. `gprs` but ESP are 0 unless told.
  Attack& Add(std::string name, uint32_t eip, const std::map<Gpr, uint32_t>& gprs,
              std::string expected);

  Table Finish();

  // The first of `size` bytes at which a guest mayn't do that; false if there is none.
  bool FindFault(uint32_t address, uint32_t size, Access access, uint32_t* fault) const;

 private:
  const bool has_high_page_;
  std::string code_;
  std::map<std::string, uint32_t> places_;
  uint32_t copy_ = 0;
  Table table_;
};

// What is expected.
std::string Exits(uint32_t status);
std::string Traps(TrapCause cause, uint32_t eip);
std::string Faults(Access access, uint32_t address, uint32_t eip);

Table InstructionAttacks();  // system, segment, I/O and unknown instructions, with prefixes
Table CallAttacks();         // the host's system calls, VX's with hostile arguments
Table MemoryAttacks();       // wild reads and writes by all kinds of instructions, stack pivots
Table StringAttacks();       // string instructions across the ends of the address space
Table ControlAttacks();      // wild jumps, hidden instructions, recursion, code that is written to
Table StateAttacks();        // AC, DF, NT, TF, MXCSR and x87 state, however the guest ends
Table LimitAttacks();        // loops, floods and hogs

struct NamedTable {
  const char* name;
  Table (*make)();
};
inline constexpr NamedTable kTables[] = {
    {"Instruction", InstructionAttacks},
    {"Call", CallAttacks},
    {"Memory", MemoryAttacks},
    {"String", StringAttacks},
    {"Control", ControlAttacks},
    {"State", StateAttacks},
    {"Limit", LimitAttacks},
};

}  // namespace vx::hostile

#endif  // TESTS_HOSTILE_ATTACKS_H_
