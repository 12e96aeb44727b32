// Wild jumps, instructions hidden in others, code that is written to, stacks without end; processor
// state left in disorder; loops, floods and hogs.
#include "absl/strings/str_format.h"
#include "tests/hostile/attacks.h"
#include "vxengine/testing/guest_code.h"

namespace vx::hostile {
namespace {

using testing::Bytes;
using testing::Exit;
using testing::Forever;
using testing::Imm32;
using testing::Mov;
using testing::Syscall;

uint32_t SizeOf(const std::string& code) { return static_cast<uint32_t>(code.size()); }

// The ways to the address in EDI.
struct Transfer {
  const char* name;
  std::string code;
};
const Transfer kTransfers[] = {
    {"jmp", Bytes({0xff, 0xe7})},
    {"call", Bytes({0xff, 0xd7})},
    {"ret", Bytes({0x57, 0xc3})},
    {"ret 0xffff", Bytes({0x57, 0xc2, 0xff, 0xff})},
    {"jmp m", Bytes({0x89, 0x3d}) + Imm32(kData) +  // mov [data], edi
                  Bytes({0xff, 0x25}) + Imm32(kData)},
    {"call m", Bytes({0x89, 0x3d}) + Imm32(kData) + Bytes({0xff, 0x14, 0x25}) + Imm32(kData)}};

void AddWildJumps(TableBuilder* table) {
  std::vector<uint32_t> targets = {0,
                                   1,
                                   VX_LOWEST_ADDRESS,
                                   kStackLow,
                                   kStack,
                                   testing::kCodeAddress - 1,
                                   kData,
                                   kData + 0x123,
                                   kReadOnly,
                                   VX_HIGHEST_ADDRESS,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffe400,  // where 32-bit Linux had its vDSO
                                   0xffffffff};
  for (uint32_t n = 0; n < 16; ++n) targets.push_back(n << 28 | 0x00abcdef);
  for (const Transfer& transfer : kTransfers) {
    const uint32_t eip = table->Code(transfer.code);
    for (uint32_t target : targets) {
      table->Add(absl::StrFormat("%s to 0x%08x", transfer.name, target), eip, {{kEdi, target}},
                 Faults(Access::kFetch, target, target));
    }
  }
}

// Instructions that straight code never shows: each in the immediate of a MOV, entered in its
// middle.
void AddHiddenInstructions(TableBuilder* table) {
  const std::string hidden[] = {
      Bytes({0xcd, 0x80, 0x90, 0x90}),  // int 0x80
      Bytes({0x0f, 0x34, 0x90, 0x90}),  // sysenter
      Bytes({0x0f, 0x0b, 0x90, 0x90}),  // ud2
      Bytes({0x8e, 0xd8, 0x90, 0x90}),  // mov ds, ax
      Bytes({0xea, 0x00, 0x00, 0x33}),  // a far jump
      Bytes({0x65, 0x8b, 0x07, 0x90}),  // mov eax, gs:[edi]
      Bytes({0x0f, 0x01, 0xd0, 0x90}),  // xgetbv
      Bytes({0xf4, 0xf4, 0xf4, 0xf4}),
  };
  for (const std::string& each : hidden) {
    const uint32_t code = table->Code(Bytes({0xb8}) + each + Bytes({0xb9}) + each + Exit(7));
    table->Add("what hides an instruction", code, {}, Exits(7));
    for (const Transfer& transfer : kTransfers) {
      for (uint32_t at : {code + 1, code + 6}) {
        table->Add(absl::StrFormat("%s to a hidden instruction at 0x%08x", transfer.name, at),
                   table->Code(transfer.code), {{kEdi, at}, {kEax, 11}},
                   Traps(TrapCause::kInvalidOpcode, at));
      }
    }
  }
  // A call that is hidden is one all the same: exit(9).
  const uint32_t code = table->Code(Bytes({0xb8, 0x0f, 0x05, 0x90, 0x90}) + Exit(7));
  table->Add("jmp to a hidden call", table->Code(kTransfers[0].code),
             {{kEdi, code + 1}, {kEax, VX_CALL_EXIT}, {kEdx, 9}}, Exits(9));
  // Into each byte of a run of prefixes and NOPs, all of which lead to the same end.
  std::string sled;
  for (int n = 0; n < 8; ++n) sled += Bytes({0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0});
  const uint32_t start = table->Code(sled + Exit(7));
  for (uint32_t n = 0; n < 8; ++n) {
    table->Add("jmp into a NOP", table->Code(kTransfers[0].code), {{kEdi, start + n * 10 + 1}},
               Exits(7));
  }
}

void AddCodeThatIsWrittenTo(TableBuilder* table) {
  const std::string stores[] = {
      Bytes({0xc6, 0x07, 0x90}), Bytes({0x89, 0x07}),       Bytes({0xaa}),
      Bytes({0xf3, 0xab}),       Bytes({0x0f, 0x29, 0x07}), Bytes({0xf0, 0x0f, 0xb0, 0x0f})};
  for (const std::string& store : stores) {
    const uint32_t eip = table->Code(store + Exit(7));
    table->Add("write to code", eip, {{kEdi, testing::kCodeAddress}, {kEcx, 9}},
               Faults(Access::kWrite, testing::kCodeAddress, eip));
  }
  // Code written to data, to the stack or to the heap, and jumped to.
  const std::string write_and_jump =
      Bytes({0xc7, 0x07, 0xcd, 0x80, 0x90, 0xc3, 0xff, 0xe7});  // mov [edi], ...; jmp edi
  const uint32_t eip = table->Code(write_and_jump);
  for (uint32_t target : {kData + 0x10, kStack - 0x100, kStackLow}) {
    table->Add("run what was written", eip, {{kEdi, target}},
               Faults(Access::kFetch, target, target));
  }
}

void AddStacksWithoutEnd(TableBuilder* table) {
  const uint32_t direct = table->Code(Bytes({0xe8, 0xfb, 0xff, 0xff, 0xff}));  // call itself
  table->Add("recurse", direct, {}, Faults(Access::kWrite, kStackLow - 4, direct));
  const uint32_t indirect = table->Code(Bytes({0xff, 0xd7}));
  table->Add("recurse indirectly", indirect, {{kEdi, indirect}},
             Faults(Access::kWrite, kStackLow - 4, indirect));
  const uint32_t pushes = table->Code(Forever(Bytes({0x60})));
  table->Add("pusha for ever", pushes, {}, Faults(Access::kWrite, kStackLow - 4, pushes));
  // RET from what nobody called, down a stack of its own addresses: a million of them.
  const uint32_t ret = table->Code(Bytes({0xc3}));
  const uint32_t fill = table->Code(Bytes({0xf3, 0xab, 0xff, 0xe0}));  // rep stosd; jmp eax
  table->Add("ret to itself", fill,
             {{kEax, ret}, {kEdi, kStackLow}, {kEcx, 0x100000}, {kEsp, kStackLow}},
             Faults(Access::kFetch, 0, 0));
  // Up through all that lies above: the last code there is.
  const uint32_t pops = table->Code(Forever(Bytes({0x58})));
  uint32_t end;
  table->FindFault(testing::kCodeAddress, UINT32_MAX, Access::kRead, &end);
  table->Add("pop for ever", pops, {}, Faults(Access::kRead, end, pops));
}

}  // namespace

Table ControlAttacks() {
  TableBuilder table;
  AddWildJumps(&table);
  AddHiddenInstructions(&table);
  AddCodeThatIsWrittenTo(&table);
  AddStacksWithoutEnd(&table);
  return table.Finish();
}

Table StateAttacks() {
  TableBuilder table;
  struct Piece {
    const char* name;
    std::string code;
  };
  // EDI points at 16-aligned bytes 0xff, ESI at zeroes.
  const auto popf = [](uint32_t flags) { return Bytes({0x68}) + Imm32(flags) + Bytes({0x9d}); };
  const Piece states[] = {
      {"all flags", popf(0xffffffff)},
      {"AC", popf(1u << 18)},
      {"NT", popf(1u << 14)},
      {"TF", popf(1u << 8)},
      {"IOPL and VM", popf(3u << 12 | 1u << 17)},
      {"DF", Bytes({0xfd})},
      {"no mask in MXCSR", Bytes({0x0f, 0xae, 0x16})},  // ldmxcsr [esi]
      {"all of MXCSR", Bytes({0xc7, 0x46, 0x10, 0xff, 0xff, 0, 0, 0x0f, 0xae, 0x56, 0x10})},
      {"a full x87 stack", Bytes({0xd9, 0xe8, 0xd9, 0xe8, 0xd9, 0xe8, 0xd9, 0xe8, 0xd9, 0xe8, 0xd9,
                                  0xe8, 0xd9, 0xe8, 0xd9, 0xe8, 0xd9, 0xe8})},
      {"no mask in FCW", Bytes({0xd9, 0x2e})},                                   // fldcw [esi]
      {"a pending x87 exception", Bytes({0xd9, 0x2e, 0xd9, 0xee, 0xd8, 0xf0})},  // fldz; fdiv st
      {"an x87 environment of ones", Bytes({0xd9, 0x27})},                       // fldenv [edi]
      {"an x87 environment of zeroes", Bytes({0xd9, 0x26})},
      {"XMM full of ones", Bytes({0x66, 0x0f, 0x76, 0xc0, 0x66, 0x0f, 0x76, 0xff})},
  };
  struct End {
    const char* name;
    std::string code;
    uint32_t at;  // the instruction that traps
    enum { kExit, kOpcode, kRead, kDivide, kBreakpoint } how;
    std::string output = "";
  };
  const End ends[] = {
      {"exits", Exit(3), 0, End::kExit},
      {"writes and exits", testing::Write(1, kData + 0x400, 4) + Exit(3), 0, End::kExit,
       std::string(4, '\0')},
      {"makes an unknown call and exits", testing::Call(4000) + Exit(3), 0, End::kExit},
      {"has an unaligned access and exits", Bytes({0x8b, 0x46, 0x01}) + Exit(3), 0, End::kExit},
      {"has UD2", Bytes({0x0f, 0x0b}), 0, End::kOpcode},
      {"has IRET", Bytes({0xcf}), 0, End::kOpcode},
      {"reads at 0", Bytes({0x8b, 0x1d, 0, 0, 0, 0}), 0, End::kRead},
      {"divides by zero", Bytes({0x31, 0xc9, 0xf7, 0xf1}), 2, End::kDivide},
      {"has INT3", Bytes({0xcc}), 0, End::kBreakpoint},
  };
  const std::string ones = Bytes({0x66, 0x0f, 0x76, 0xc9}) +  // pcmpeqd xmm1, xmm1
                           Bytes({0x0f, 0x29, 0x0f, 0x0f, 0x29, 0x4f, 0x10});
  for (const Piece& state : states) {
    for (const End& end : ends) {
      const std::string before = ones + state.code;
      const uint32_t eip = table.Code(before + end.code);
      const uint32_t at = eip + SizeOf(before) + end.at;
      const std::string expected = end.how == End::kExit     ? Exits(3)
                                   : end.how == End::kOpcode ? Traps(TrapCause::kInvalidOpcode, at)
                                   : end.how == End::kRead   ? Faults(Access::kRead, 0, at)
                                   : end.how == End::kDivide ? Traps(TrapCause::kDivideError, at)
                                                             : Traps(TrapCause::kBreakpoint, at);
      table
          .Add(absl::StrFormat("a guest with %s %s", state.name, end.name), eip,
               {{kEdi, kData}, {kEsi, kData + 0x100}}, expected)
          .output = end.output;
    }
  }
  // What may not be loaded at all, and what traps then.
  const auto trap = [&](const char* name, const std::string& before, const std::string& code,
                        TrapCause cause) {
    const uint32_t eip = table.Code(ones + before + code);
    table.Add(name, eip, {{kEdi, kData}, {kEsi, kData + 0x100}},
              Traps(cause, eip + SizeOf(ones + before)));
  };
  trap("MXCSR of ones", "", Bytes({0x0f, 0xae, 0x17}), TrapCause::kGeneralProtection);
  trap("FXRSTOR of ones",
       Mov(kEcx, 128) + Mov(kEax, 0xffffffff) + Bytes({0xf3, 0xab}) + Mov(kEdi, kData),
       Bytes({0x0f, 0xae, 0x0f}), TrapCause::kGeneralProtection);
  trap("FWAIT for a pending exception", Bytes({0xd9, 0x2e, 0xd9, 0xee, 0xd8, 0xf0}), Bytes({0x9b}),
       TrapCause::kX87Error);
  trap("DIVPS with no mask", Bytes({0x0f, 0xae, 0x16, 0x0f, 0x57, 0xc0}), Bytes({0x0f, 0x5e, 0xc0}),
       TrapCause::kSimdError);
  return table.Finish();
}

Table LimitAttacks() {
  TableBuilder table;
  constexpr std::chrono::milliseconds kSoon(20);
  const auto cpu = [&](const char* name, const std::string& code,
                       const std::map<Gpr, uint32_t>& gprs = {}) {
    table.Add(name, table.Code(code), gprs, "limit: CPU time").limits.cpu_time = kSoon;
  };
  cpu("spin", Forever(""));
  cpu("spin with PAUSE", Forever(Bytes({0xf3, 0x90})));
  cpu("spin with CPUID", Forever(Bytes({0x0f, 0xa2})));
  cpu("spin with calls", Forever(Mov(kEax, 77) + Syscall()));
  cpu("spin with calls and returns", Bytes({0xe8, 2, 0, 0, 0, 0xeb, 0xf9, 0xc3}));
  cpu("spin with returns elsewhere",  // push the loop's start; ret
      Forever(Bytes({0xe8, 1, 0, 0, 0, 0xf4, 0x83, 0x04, 0x24, 6, 0xc3})));
  cpu("spin with FSIN", Forever(Bytes({0xd9, 0xeb, 0xd9, 0xfe, 0xdd, 0xd8})));
  cpu("fill 64 KiB without end",
      Forever(Mov(kEdi, kData) + Mov(kEcx, testing::kDataSize) + Bytes({0xf3, 0xaa})));
  cpu("grow and shrink the heap", Forever(testing::Call(VX_CALL_BRK, 0x10000000) +
                                          testing::Call(VX_CALL_BRK, kReadOnly + 0x3000)));
  cpu("read at the end of its input", Forever(testing::Call(VX_CALL_READ, 0, kData, 64)));
  cpu("flood diagnostics", Forever(testing::Write(2, kData, testing::kDataSize)));

  const auto counted = [&](const char* name, const std::string& code,
                           const std::map<Gpr, uint32_t>& gprs = {}) {
    table.Add(name, table.Code(code), gprs, "limit: instructions after 100000 instructions")
        .limits.instructions = 100'000;
  };
  counted("spin, counted", Forever(""));
  counted("REP STOS of nothing but time", Bytes({0xf3, 0xaa}),
          {{kEdi, kStackLow}, {kEcx, 0x700000}});
  counted("calls, counted", Forever(Mov(kEax, 77) + Syscall()));

  Attack& flood = table.Add("flood output", table.Code(Forever(testing::Write(1, kData, 0x1000))),
                            {}, "limit: output after ");
  flood.limits.output = 0x4800;
  flood.output = std::string(0x4000, '\0');
  Attack& one =
      table.Add("write more than the limit at once",
                table.Code(testing::Write(1, kData, 0x1000) + Exit(7)), {}, "limit: output after ");
  one.limits.output = 0xfff;

  // All the heap that there may be, every page of it: 4 MiB.
  const uint32_t heap = kReadOnly + 0x3000;
  const std::string take = testing::Call(VX_CALL_BRK, heap + (4u << 20)) + Mov(kEdi, heap) +
                           Mov(kEcx, 1u << 20) + Bytes({0xf3, 0xab});
  const std::string more =
      testing::Call(VX_CALL_BRK, heap + (64u << 20)) + testing::ExitWithResult();
  table.Add("hog memory", table.Code(take + more), {}, Exits(-uint32_t{VX_ENOMEM})).limits.memory =
      (16u << 20) + testing::kDataSize;
  return table.Finish();
}

}  // namespace vx::hostile
