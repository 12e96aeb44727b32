// What the translator makes of a real decoder, damaged: every rule of vxengine/verifier.h broken,
// and the code cache refuses the region, says where and why, and stays as it was.
#include <Zydis/Zydis.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "decoders/builtin.h"
#include "vxengine/machine/elf_loader.h"
#include "vxengine/testing/elf_builder.h"
#include "vxengine/translator/code_cache.h"
#include "vxengine/translator/context.h"
#include "vxengine/translator/guest_text.h"
#include "vxengine/translator/region.h"
#include "vxengine/translator/translation.h"

namespace vx {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Code = std::vector<uint8_t>;

constexpr uint32_t kMostRegions = 150;

struct Mode {
  CodePlacement placement;
  Metering metering;
};

// For GoogleTest.
void PrintTo(const Mode& mode, std::ostream* out) {
  *out << (mode.placement == CodePlacement::kShared ? "shared" : "exclusive") << ", metering "
       << static_cast<int>(mode.metering);
}

// A host instruction in a region's code.
struct HostInstruction {
  uint32_t offset = 0;
  Code bytes;
  ZydisDecodedInstruction decoded;

  uint32_t size() const { return static_cast<uint32_t>(bytes.size()); }
  bool StartsWith(const Code& begin) const {
    return bytes.size() >= begin.size() && std::equal(begin.begin(), begin.end(), bytes.begin());
  }
  bool has_memory() const {
    return (decoded.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0 && decoded.raw.modrm.mod != 3;
  }
};

std::vector<HostInstruction> Disassemble(const Code& code) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  std::vector<HostInstruction> all;
  for (uint32_t at = 0; at < code.size();) {
    HostInstruction one;
    const ZyanStatus status =
        ZydisDecoderDecodeInstruction(&decoder, nullptr, &code[at], code.size() - at, &one.decoded);
    if (!ZYAN_SUCCESS(status)) {
      ADD_FAILURE() << "not an instruction, at offset " << at;
      break;
    }
    one.offset = at;
    one.bytes.assign(code.begin() + at, code.begin() + at + one.decoded.length);
    at += one.decoded.length;
    all.push_back(one);
  }
  return all;
}

// Damage: what the bytes of an instruction become, of the same size; nothing if it isn't one of
// those that the damage is about. `rest`: that instruction and those behind it.
using Damage = std::function<std::optional<Code>(std::span<const HostInstruction> rest)>;

Code Nops(size_t count) { return Code(count, 0x90); }

// Of instructions that start with `begin`, `with` from their byte `at` on.
Damage Replace(Code begin, size_t at, Code with) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    if (!rest[0].StartsWith(begin)) return {};
    Code bytes = rest[0].bytes;
    std::copy(with.begin(), with.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
    return bytes;
  };
}

// Of instructions behind one that starts with `before`, nothing is left.
Damage RemoveBehind(Code before, Code begin) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    if (rest.size() < 2 || !rest[0].StartsWith(before) || !rest[1].StartsWith(begin)) return {};
    Code bytes = rest[0].bytes;
    bytes.insert(bytes.end(), rest[1].size(), 0x90);
    return bytes;
  };
}

Damage Remove(Code begin) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    if (!rest[0].StartsWith(begin)) return {};
    return Nops(rest[0].size());
  };
}

// An instruction of two bytes that moves between registers becomes another.
Damage Instead(Code bytes) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    if (rest[0].size() != 2 || (rest[0].bytes[0] & 0xfd) != 0x89) return {};
    return bytes;
  };
}

// Where a branch leads, one byte further, if that is inside an instruction.
Damage Divert(std::vector<Code> begins) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    for (const Code& begin : begins) {
      if (!rest[0].StartsWith(begin)) continue;
      Code bytes = rest[0].bytes;
      ++bytes[begin.size()];
      return bytes;
    }
    return {};
  };
}

// A memory operand's base, of those with a SIB byte, or with none.
Damage ChangeBase(bool sib, uint8_t low_bits, bool rex_b) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    const ZydisDecodedInstruction& d = rest[0].decoded;
    if (!rest[0].has_memory() || (d.attributes & ZYDIS_ATTRIB_HAS_REX) == 0) return {};
    if ((d.raw.modrm.rm == 4) != sib || d.raw.modrm.mod == 0 || d.raw.rex.W != 0) return {};
    Code bytes = rest[0].bytes;
    uint8_t& place = bytes[d.raw.modrm.offset + (sib ? 1 : 0)];
    place = static_cast<uint8_t>((place & 0xf8) | low_bits);
    uint8_t& rex = bytes[d.raw.rex.offset];
    rex = static_cast<uint8_t>((rex & 0xfe) | (rex_b ? 1 : 0));
    return bytes;
  };
}

// A prefix becomes a NOP before the instruction.
Damage DropPrefix(Code begin, Code now) {
  return [=](std::span<const HostInstruction> rest) -> std::optional<Code> {
    if (!rest[0].StartsWith(begin) || !rest[0].has_memory()) return {};
    Code bytes = rest[0].bytes;
    std::copy(now.begin(), now.end(), bytes.begin());
    return bytes;
  };
}

Damage SetRexW() {
  return [](std::span<const HostInstruction> rest) -> std::optional<Code> {
    const ZydisDecodedInstruction& d = rest[0].decoded;
    if ((d.attributes & ZYDIS_ATTRIB_HAS_REX) == 0 || d.raw.rex.W != 0) return {};
    Code bytes = rest[0].bytes;
    bytes[d.raw.rex.offset] |= 8;
    return bytes;
  };
}

// XMM8 and on: of a MOVD from or to the stack.
Damage SetRexROfXmm() {
  return [](std::span<const HostInstruction> rest) -> std::optional<Code> {
    const ZydisDecodedInstruction& d = rest[0].decoded;
    if (d.opcode_map != ZYDIS_OPCODE_MAP_0F || d.opcode != 0x6e) return {};
    if ((d.attributes & ZYDIS_ATTRIB_HAS_REX) == 0) return {};
    Code bytes = rest[0].bytes;
    bytes[d.raw.rex.offset] |= 4;
    return bytes;
  };
}

struct Named {
  const char* name;
  Damage damage;
  // In which of the modes there must be something to damage.
  enum : uint8_t { kAlways, kIfExclusive, kIfShared, kIfMetered } where = kAlways;
};

std::vector<Named> AllDamage() {
  return {
      {"67 dropped", DropPrefix({0x67}, {0x90}), Named::kIfExclusive},
      {"67 dropped behind 65", DropPrefix({0x65, 0x67}, {0x90, 0x65}), Named::kIfShared},
      {"65 dropped", DropPrefix({0x65, 0x67}, {0x90, 0x67}), Named::kIfShared},
      {"65 becomes FS", DropPrefix({0x65, 0x67}, {0x64, 0x67}), Named::kIfShared},
      {"67 of a string instruction dropped", Replace({0x67, 0xa5}, 0, {0x90}), Named::kIfExclusive},
      {"base RSP", ChangeBase(true, 4, false)},
      {"base R12", ChangeBase(true, 4, true)},
      {"base R13", ChangeBase(false, 5, true)},
      {"base R14", ChangeBase(false, 6, true)},
      {"operand of 64 bits", SetRexW()},
      {"XMM8", SetRexROfXmm()},
      {"R14D written", Replace({0x45, 0x8d, 0x7f}, 1, {0x8d, 0x77})},  // lea r15d -> r14d
      {"MOV becomes PUSH", Instead({0x53, 0x90})},
      {"MOV becomes POP RSP", Instead({0x5c, 0x90})},
      {"MOV ESP", Instead({0x89, 0xc4})},
      {"ADD ESP", Instead({0x01, 0xc4})},
      {"XCHG ESP", Instead({0x94, 0x90})},
      {"LEAVE", Instead({0xc9, 0x90})},
      {"PUSHF", Instead({0x9c, 0x90})},
      {"POPF", Instead({0x9d, 0x90})},
      {"SYSCALL", Instead({0x0f, 0x05})},
      {"SYSENTER", Instead({0x0f, 0x34})},
      {"INT", Instead({0xcd, 0x80})},
      {"INT3", Instead({0xcc, 0x90})},
      {"IRET", Instead({0xcf, 0x90})},
      {"HLT", Instead({0xf4, 0x90})},
      {"IN", Instead({0xe4, 0x10})},
      {"MOV to DS", Instead({0x8e, 0xd8})},
      {"RDTSC", Instead({0x0f, 0x31})},
      {"CPUID", Instead({0x0f, 0xa2})},
      {"JMP EAX", Instead({0xff, 0xe0})},
      {"CALL EAX", Instead({0xff, 0xd0})},
      {"LOCK", Instead({0xf0, 0x90})},
      {"a superfluous prefix", Instead({0x3e, 0x90})},
      {"a branch into an instruction", Divert({{0xe9}, {0x0f, 0x85}, {0x0f, 0x84}})},
      {"a call into an instruction", Divert({{0xe8}})},
      {"return check removed", RemoveBehind({0xe8}, {0x45, 0x8d, 0x88})},
      {"return check without its load", RemoveBehind({0x45, 0x8d, 0x88}, {0x47, 0x0f, 0xb6})},
      {"return check of another register", Replace({0x45, 0x8d, 0x88}, 2, {0x89})},
      {"return check of 64 bits", Replace({0x45, 0x8d, 0x88}, 0, {0x4d})},
      {"return check by another byte", Replace({0x47, 0x0f, 0xb6, 0x94, 0x0c}, 6, {0x1f})},
      {"indirect without the table", Remove({0x47, 0x8b, 0x0c, 0x86})},
      {"indirect by another table", Replace({0x47, 0x8b, 0x0c, 0x86}, 3, {0x87})},
      {"indirect by another index", Replace({0x47, 0x8b, 0x0c, 0x86}, 3, {0x8e})},
      {"indirect without the base", Remove({0x4f, 0x8d, 0x0c, 0x29})},
      {"indirect by R8", Replace({0x41, 0xff, 0xe1}, 2, {0xe0})},
      {"indirect call by R8", Replace({0x41, 0xff, 0xd1}, 2, {0xd0})},
      {"budget at another place", Replace({0x49, 0x81, 0x6c, 0x24}, 4, {0x40}), Named::kIfMetered},
      {"budget of another base", Replace({0x49, 0x81, 0x6c, 0x24}, 3, {0x27}), Named::kIfMetered},
      {"budget without its jump", RemoveBehind({0x49, 0x81, 0x6c, 0x24}, {0x0f, 0x88}),
       Named::kIfMetered},
      {"careful budget cut short", Remove({0x4d, 0x89, 0x44, 0x24}), Named::kIfMetered},
      {"careful budget elsewhere", Replace({0x4d, 0x89, 0x44, 0x24}, 4, {0x08}), Named::kIfMetered},
  };
}

// The guests: a decoder, and what compilers don't make of it.
std::string Extra() {
  using testing::Bytes;
  // movd xmm0, [esp]; mov eax, ebx; rep movsd; movsd; cmp [eax+ecx*2+8], eax; add [esp+ecx+8], eax;
  // call [eax]; jmp [eax+4]
  return testing::CodeElf(Bytes({0x66, 0x0f, 0x6e, 0x04, 0x24, 0x89, 0xd8, 0xf3, 0xa5, 0xa5,
                                 0x39, 0x44, 0x48, 0x08, 0x01, 0x44, 0x0c, 0x08, 0x50, 0x50,
                                 0x8d, 0x54, 0x24, 0x04, 0xff, 0x10, 0xff, 0x60, 0x04}));
}

class Victim {
 public:
  Victim(std::string elf, Mode mode) : elf_(std::move(elf)) {
    std::string error;
    const auto* const bytes = reinterpret_cast<const uint8_t*>(elf_.data());
    image_ = *ParseImage({bytes, elf_.size()}, &error);
    text_ = std::make_unique<GuestText>(image_);
    translator_ = std::make_unique<RegionTranslator>(text_.get(),
                                                     OptionsFor({mode.placement, mode.metering}));
    cache_ = *CodeCache::Create(*CodeArena::Reserve(), *text_, mode.placement, VX_CTX_BUDGET);
    absl::Status status = cache_->Open();
    status.Update(cache_->Close());
    EXPECT_TRUE(status.ok()) << status;
  }

  // Calls `damage` with each region, then installs it as it should be.
  void ForEachRegion(const std::function<void(const Region&)>& damage) {
    std::vector<uint32_t> work = {image_.entry};
    for (uint32_t regions = 0; !work.empty() && regions < kMostRegions;) {
      const uint32_t eip = work.back();
      work.pop_back();
      if (cache_->Find(eip) != 0 || !cache_->Covers(eip)) continue;
      const Region region = translator_->Translate(
          eip, cache_->next_offset(), [this](uint32_t at) { return cache_->Find(at); });
      damage(region);
      absl::Status status = cache_->Open();
      status.Update(cache_->Install(region));
      status.Update(cache_->Close());
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_NE(cache_->Find(eip), 0u);
      for (const Link& link : region.links) work.push_back(link.target);
      ++regions;
    }
  }

  // Expects a refusal that says where and why, and that nothing has changed.
  void ExpectRefused(const Region& region, const char* what) {
    SCOPED_TRACE(what);
    const uint32_t used = cache_->used();
    const Code before(cache_->code(), cache_->code() + used);
    const absl::Status status = cache_->Install(region);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(std::string(status.message()),
                ContainsRegex("eip 0x[0-9a-f]{8}.*offset 0x[0-9a-f]+"));
    EXPECT_EQ(cache_->used(), used);
    EXPECT_EQ(std::memcmp(cache_->code(), before.data(), used), 0);
    EXPECT_EQ(cache_->writing().load(), 0u);
    for (const Entry& entry : region.entries) ASSERT_EQ(cache_->Find(entry.eip), 0u);
  }

  // The same, of damage to bytes, which are shown.
  void ExpectRefusedWithBytes(const Region& region, const char* what) {
    ExpectRefused(region, what);
    const std::string message(cache_->Install(region).message());
    EXPECT_THAT(message, HasSubstr(absl::StrFormat("eip 0x%08x", region.entries.front().eip)))
        << what;
    EXPECT_THAT(message, ContainsRegex("offset 0x[0-9a-f]+: [0-9a-f]{2}[ :]")) << what;
  }

 private:
  std::string elf_;
  Image image_;
  std::unique_ptr<GuestText> text_;
  std::unique_ptr<RegionTranslator> translator_;
  std::unique_ptr<CodeCache> cache_;
};

std::string Decoder() {
  for (const vxa::decoders::Builtin& builtin : vxa::decoders::Builtins()) {
    if (builtin.name == "zlib") return std::string(builtin.elf);
  }
  ADD_FAILURE() << "no zlib";
  return Extra();
}

class VerificationTest : public ::testing::TestWithParam<Mode> {};

TEST_P(VerificationTest, RefusesDamagedInstructions) {
  constexpr int kOfEachKind = 3;
  const std::vector<Named> all = AllDamage();
  std::map<std::string, int> done;
  for (const std::string& elf : {Decoder(), Extra()}) {
    Victim victim(elf, GetParam());
    victim.ForEachRegion([&](const Region& region) {
      const std::vector<HostInstruction> code = Disassemble(region.code);
      for (const Named& kind : all) {
        for (size_t n = 0; n < code.size() && done[kind.name] < kOfEachKind; ++n) {
          const std::optional<Code> bytes = kind.damage(std::span(code).subspan(n));
          if (!bytes) continue;
          Region damaged = region;
          std::copy(bytes->begin(), bytes->end(), damaged.code.begin() + code[n].offset);
          if (damaged.code == region.code) continue;
          victim.ExpectRefusedWithBytes(damaged, kind.name);
          ++done[kind.name];
          break;
        }
      }
    });
  }
  for (const Named& kind : all) {
    const bool possible =
        kind.where == Named::kAlways ||
        (kind.where == Named::kIfExclusive && GetParam().placement == CodePlacement::kExclusive) ||
        (kind.where == Named::kIfShared && GetParam().placement == CodePlacement::kShared) ||
        (kind.where == Named::kIfMetered && GetParam().metering != Metering::kNone);
    if (possible) {
      EXPECT_GT(done[kind.name], 0) << kind.name << ": nothing to damage was found";
    }
  }
}

TEST_P(VerificationTest, RefusesCodeThatEndsTooEarly) {
  Victim victim(Decoder(), GetParam());
  int done = 0;
  victim.ForEachRegion([&](const Region& region) {
    if (++done > 10) return;
    const std::vector<HostInstruction> code = Disassemble(region.code);
    Region damaged = region;
    damaged.code.resize(code.back().offset);  // without its last instruction
    damaged.entries.resize(1);
    damaged.links.clear();
    victim.ExpectRefused(damaged, "falls through its end");
    damaged.code = region.code;
    damaged.code.pop_back();
    victim.ExpectRefused(damaged, "ends inside an instruction");
  });
  EXPECT_GT(done, 3);
}

TEST_P(VerificationTest, RefusesEntriesAndLinksThatAreNone) {
  Victim victim(Decoder(), GetParam());
  int entries = 0, links = 0;
  victim.ForEachRegion([&](const Region& region) {
    const std::vector<HostInstruction> code = Disassemble(region.code);
    std::set<uint32_t> starts;
    for (const HostInstruction& one : code) starts.insert(one.offset);
    for (size_t n = 0; n < region.entries.size() && entries < 20; ++n) {
      Region damaged = region;
      if (starts.count(++damaged.entries[n].offset) != 0) continue;
      victim.ExpectRefused(damaged, "an entry inside an instruction");
      ++entries;
      break;
    }
    if (!region.links.empty() && links < 20) {
      Region damaged = region;
      ++damaged.links.back().rel32;
      victim.ExpectRefused(damaged, "a link that is no branch");
      ++links;
    }
  });
  EXPECT_GT(entries, 3);
  EXPECT_GT(links, 3);
}

INSTANTIATE_TEST_SUITE_P(Modes, VerificationTest,
                         ::testing::Values(Mode{CodePlacement::kExclusive, Metering::kNone},
                                           Mode{CodePlacement::kShared, Metering::kNone},
                                           Mode{CodePlacement::kExclusive, Metering::kBlocks},
                                           Mode{CodePlacement::kShared, Metering::kBlocks},
                                           Mode{CodePlacement::kShared, Metering::kInstructions}));

}  // namespace
}  // namespace vx
