// The verifier: whether a piece of x86-64 code can do nothing but what a guest may.
//
// The translator turns guest instructions into host instructions, and nobody has to believe that it
// does so rightly: its output is bytes, and this is what decides whether they may ever run. It
// shares no table and no helper with the translator, keeps no state, and can be read alone.
//
// What it proves of a region (the code of one guest function or loop nest), whatever values the
// registers have and wherever the region is entered:
//
//  - every access to memory goes through a 32-bit effective address (prefix 67, Intel SDM vol. 1,
//    3.6.1), relative to nothing (exclusive placement: the guest lies at host addresses 0 to 4 GiB)
//    or to the GS base (shared placement: prefix 65), so that it ends in the guest's reservation or
//    in the guard behind it. The exceptions are the sequences below;
//  - nothing changes RSP but host CALL and RET, nothing names R12, R13, R14 or XMM8-15, and no
//    instruction does what 64-bit operands, segments, system calls or privileges would be needed
//    for;
//  - control leaves it to places that are known to be legal only: entries of regions that were
//    verified before, the runtime's stubs, or, through the table of entries, whatever that holds,
//    which is none but legal entries.
//
// The rule is an explicit list of what is admitted. All else is refused, such as prefixes that do
// nothing.
//
// What it does not prove, and stubs and helpers must cope with: any values in all registers that
// code may name, upper halves included (R8 too when a return site faults); the direction flag
// set; x87 exceptions unmasked and pending, and a full x87 stack; RSP close to the end of the host
// stack; more RETs than CALLs; and code that meters nothing or adds to the budget.
//
// Registers, by convention of the translator: RAX-RDI but RSP hold the guest's registers of that
// name, R15D the guest's ESP; R8-R11 are scratch; R12 points at the run's context, R13 at the start
// of the code, R14 at the table of entries, indexed by guest address, of 32-bit offsets of code;
// RSP is the host's own stack of return addresses.
//
// Sequences: instructions that are safe only as a whole. No entry and no branch target lies inside.
//
//   indirect jump or call:
//     mov r8d, r32 | m32                 any admitted 32-bit MOV to R8D: opcode 8B or 89
//     mov r9d, [r14+r8*4]                47 8B 0C 86
//     lea r9, [r9+r13]                   4F 8D 0C 29
//     jmp r9 | call r9                   41 FF E1 | 41 FF D1
//   return site: directly behind every host CALL, direct or indirect, but those of helpers
//     lea r9d, [r8+disp32]               45 8D 88 disp32
//     movzx r10d, byte [r12+r9+0xfff]    47 0F B6 94 0C FF 0F 00 00
//   The page that R12 points at is the context's, and the 4 GiB behind it can't be accessed.
//   metering: wherever the translator likes
//     sub qword [r12+budget], imm32      49 81 6C 24 disp8 imm32
//     js                                 0F 88 rel32: to a boundary of the region
//   or, where the flags are alive,
//     mov r10d, ecx                      41 89 CA
//     mov r8, [r12+budget]               4D 8B 44 24 disp8
//     lea r8, [r8+disp32]                4D 8D 80 disp32
//     mov [r12+budget], r8               4D 89 44 24 disp8
//     mov ecx, [r12+budget+4]            41 8B 4C 24 disp8
//     jecxz over the next two            67 E3 08
//     mov ecx, r10d                      44 89 D1
//     jmp                                E9 rel32: to a boundary of the region
//     mov ecx, r10d                      44 89 D1
//
// Thread-safety: functions without state.
#ifndef VXENGINE_VERIFIER_H_
#define VXENGINE_VERIFIER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace vx {

enum class CodePlacement : uint8_t { kExclusive, kShared };

// What lies outside of a region and may be reached from it. Offsets count from the start of the
// code (R13), and so does everything else here.
struct VerifierRules {
  CodePlacement placement = CodePlacement::kExclusive;
  // Entries of regions verified before.
  std::function<bool(uint32_t offset)> is_entry;
  // The runtime's stubs that a direct jump may reach, as sorted offsets, and its helpers: routines
  // that a direct call may reach, and that return to behind it.
  std::span<const uint32_t> stubs;
  std::span<const uint32_t> helpers;
  uint32_t budget_offset = 0;  // of the run's budget in the context, for metering sequences
};

// A direct branch of 32 bits, outside of sequences and not to a helper: what may later be pointed
// at another place.
struct Branch {
  uint32_t rel32 = 0;   // offset of its last four bytes
  uint32_t target = 0;  // where it leads
  bool is_call = false;
};

struct VerifiedRegion {
  // Ascending offsets at which the region may be entered from anywhere: its instructions, but for
  // those inside sequences.
  std::vector<uint32_t> boundaries;
  std::vector<Branch> branches;  // ascending
};

// Decides whether `code`, which is to lie at `offset`, is safe to run. On refusal false, and
// `error` says at which offset, which bytes and which rule: "offset 0x1234: 89 18: memory operand
// without prefix 67". On success `region` tells what was found; on refusal it is left empty.
//
// A region is a whole number of instructions up to its end; INT3 may stand between them as filling,
// and the instruction before filling or the end never falls through. All of it lies in the first
// 4 GiB of the code, and `code` must not change before it has run for the last time, but for what
// VerifyTarget permits.
bool VerifyRegion(std::span<const uint8_t> code, uint32_t offset, const VerifierRules& rules,
                  VerifiedRegion* region, std::string* error);

// Whether a branch of a verified region may be pointed at `target`: a legal entry or, for
// jumps and calls alike, a stub.
bool VerifyTarget(uint32_t target, const VerifierRules& rules);

}  // namespace vx

#endif  // VXENGINE_VERIFIER_H_
