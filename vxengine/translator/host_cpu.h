// How far the CPU that this runs on agrees with the ABI about what manuals leave undefined
// (MACHINE.md has the ABI's table). Found out by trying, once: which vendor's CPU does what
// isn't written down anywhere.
#ifndef VXENGINE_TRANSLATOR_HOST_CPU_H_
#define VXENGINE_TRANSLATOR_HOST_CPU_H_

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "vxengine/translator/guest_instruction.h"

namespace vx {

// Beside status flags: the result itself. A bit of EFLAGS that is no flag.
inline constexpr uint16_t kResult = 1 << 1;

struct HostCpu {
  // By UndefinedRule and size (8, 16, 32 bits): the status flags that this CPU gives other values
  // than the ABI, or kResult.
  std::array<std::array<uint16_t, 3>, kUndefinedRules> wrong{};

  // For tests: translated code changes the wrong flags that a CPU doesn't really get wrong, and
  // looks at the memory of x87 stores first, as some CPUs do.
  bool pretended = false;

  // REQUIRES: i.undefined != 0.
  uint16_t WrongAt(const GuestInstruction& i) const {
    return wrong[static_cast<unsigned>(i.rule())][i.size_index()];
  }
  // Whether what it gets wrong there can't be repaired behind the instruction (flag_repair.h).
  bool BeyondRepair(const GuestInstruction& i) const;
  uint16_t WrongAnywhere() const;
};

// The registers and flags that an instruction is tried on.
struct ProbeState {
  std::array<uint32_t, 4> gpr{};  // EAX ECX EDX EBX
  uint32_t flags = 0;             // status flags
  bool operator==(const ProbeState&) const = default;
};

// Runs one instruction, which names no memory and may be followed by RET only.
using Execute = std::function<void(std::span<const uint8_t> instruction, ProbeState* state)>;
void ExecuteOnThisCpu(std::span<const uint8_t> instruction, ProbeState* state);

// Compares a CPU with the portable machine.
HostCpu Probe(const Execute& execute);

// What translators are to assume: this CPU, probed when it is first asked for (some 50 µs), or what
// Pretend said. Thread-safe.
const HostCpu& TheHostCpu();

// For tests: a CPU that gets everything wrong that manuals allow and the translator can repair, and
// some results as well; and to assume one, before anything is translated. `cpu` outlives all
// translators.
HostCpu ContraryCpu();
void Pretend(const HostCpu* cpu);

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_HOST_CPU_H_
