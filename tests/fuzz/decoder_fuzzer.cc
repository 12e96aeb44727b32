// One instruction, decoded by the portable machine and by the translator, in both profiles: where
// both know it, they agree on its length and its operands, and what the translator knows is nothing
// that traps. Zydis, which knows all that CPUs do, agrees on the length. The bytes end where a page
// does, so that none behind them is looked at.
//
//   0    bits 0-3: how many bytes can be fetched, at most 15
//   1..  the instruction
#include <Zydis/Zydis.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "tests/fuzz/check.h"
#include "tests/fuzz/input.h"
#include "vxengine/machine/decoder.h"
#include "vxengine/translator/guest_instruction.h"

namespace vxa::fuzz {
namespace {

using Bytes = std::span<const uint8_t>;
using vx::GuestInstruction;
using vx::Instruction;
using vx::Kind;
using vx::Profile;

constexpr uint32_t kEip = 0x08048123;

// The same bytes at the end of a page, behind which nothing can be accessed.
Bytes AtPageEnd(Bytes bytes) {
  constexpr size_t kPage = 4096;
  static uint8_t* const end = [] {
    void* const pages =
        mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Check(pages != MAP_FAILED, "no memory");
    uint8_t* const second = static_cast<uint8_t*>(pages) + kPage;
    Check(mprotect(second, kPage, PROT_NONE) == 0, "mprotect");
    return second;
  }();
  std::copy(bytes.begin(), bytes.end(), end - bytes.size());
  return {end - bytes.size(), bytes.size()};
}

Instruction ByMachine(Bytes bytes, Profile profile) {
  Instruction instruction;
  vx::Decode(bytes, kEip, profile, &instruction);
  Check(instruction.handler != nullptr, "no handler");
  Check(instruction.length <= bytes.size(), "the machine's length");
  return instruction;
}

GuestInstruction ByTranslator(Bytes bytes, Profile profile) {
  GuestInstruction instruction;
  vx::DecodeGuestInstruction(bytes, kEip, profile, &instruction);
  Check(instruction.length <= bytes.size(), "the translator's length");
  Check(instruction.kind == Kind::kInterpret || instruction.length > 0, "known, but of no length");
  return instruction;
}

void CheckOperands(const Instruction& machine, const GuestInstruction& translator) {
  if (translator.memory) {
    const auto same = [](uint8_t ours, uint8_t theirs) {
      return (ours == vx::kNoRegister ? vx::kNoBase : ours) == theirs;
    };
    Check(same(machine.base, translator.base), "base");
    Check(same(machine.index, translator.index), "index");
    Check(machine.scale == translator.scale || translator.index == vx::kNoBase, "scale");
    Check(machine.displacement == translator.displacement, "displacement");
  } else if (translator.has_modrm) {
    Check(machine.rm == translator.rm, "ModRM.rm");
  }
  if (translator.immediate_size != 0) Check(machine.immediate == translator.immediate, "immediate");
}

// As CPUs decode that lack what came after SSE2, and has NOPs in its place.
ZydisDecoder MakeZydis() {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
  for (ZydisDecoderMode later :
       {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_LZCNT,
        ZYDIS_DECODER_MODE_TZCNT, ZYDIS_DECODER_MODE_CLDEMOTE}) {
    ZydisDecoderEnableMode(&decoder, later, ZYAN_FALSE);
  }
  return decoder;
}

void CheckByZydis(Bytes bytes, const Instruction& machine) {
  static const ZydisDecoder decoder = MakeZydis();
  ZydisDecodedInstruction zydis;
  Check(ZYAN_SUCCESS(
            ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes.data(), bytes.size(), &zydis)),
        "Zydis knows of no such instruction");
  Check(zydis.length == machine.length, "Zydis says another length");
}

}  // namespace
}  // namespace vxa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vxa::fuzz;
  Input input(data, size);
  const size_t most = std::min<size_t>(input.Byte() & 15, vx::kMaxInstructionLength);
  const Bytes bytes = AtPageEnd(input.Bytes(most));
  for (const Profile profile : {Profile::kVx2026, Profile::kVx2026Int}) {
    const Instruction machine = ByMachine(bytes, profile);
    const GuestInstruction translator = ByTranslator(bytes, profile);
    if (translator.kind != Kind::kInterpret) {
      Check(machine.length == translator.length, "the translator knows another length");
      CheckOperands(machine, translator);
    }
    if (machine.length == 0) continue;
    Check(translator.length == 0 || translator.length == machine.length,
          "the translator says another length");
    CheckByZydis(bytes, machine);
    // What lies behind an instruction doesn't matter.
    const std::string alone(bytes.begin(), bytes.begin() + machine.length);
    const Bytes cut = AtPageEnd({reinterpret_cast<const uint8_t*>(alone.data()), alone.size()});
    Check(ByMachine(cut, profile).length == machine.length, "the machine looked too far");
    const GuestInstruction again = ByTranslator(cut, profile);
    Check(again.length == translator.length && again.kind == translator.kind,
          "the translator looked too far");
    AtPageEnd({data + std::min<size_t>(1, size), bytes.size()});
  }
  return 0;
}
