// What the ABI defines by itself, where the CPU can't be asked: it leaves the result undefined, or
// shows another machine than the guest's.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/forms.h"

namespace vx::conformance {
namespace {

using Code = std::vector<uint8_t>;

constexpr uint32_t kMiddle = kData + 0x800;

class Tests {
 public:
  explicit Tests(uint64_t seed) : random(seed) {}
  ~Tests() { ExpectResults(cases, results); }

  // A case that, unless its result is changed, changes nothing; the reference holds until the next
  // call.
  std::pair<Case&, Result&> Add(std::string name, Code code) {
    Case test;
    test.name = std::move(name);
    test.code = std::move(code);
    test.state = RandomState(random, true);
    test.state.gpr[kEsp] = kMiddle;
    cases.push_back(std::move(test));
    results.emplace_back();
    return {cases.back(), results.back()};
  }

  // To be called when the case is complete: its result starts from that.
  void StartResult() {
    results.back().state = cases.back().state;
    results.back().state.eip = kExit;
    results.back().data = InitialData(cases.back());
  }

  // The case faults at its first instruction.
  void ExpectTrap(Trap trap) {
    StartResult();
    cases.back().code_address = kCode;
    results.back().state.eip = kCode;
    results.back().data.clear();
    results.back().trap = trap;
  }

  Random random;
  std::vector<Case> cases;
  std::vector<Result> results;
};

Patch Words(uint32_t address, std::initializer_list<uint32_t> words) {
  Patch patch{address, std::vector<uint8_t>(4 * words.size())};
  std::memcpy(patch.bytes.data(), words.begin(), patch.bytes.size());
  return patch;
}

void SetLow16(uint32_t* gpr, uint32_t value) { *gpr = (*gpr & 0xffff0000) | (value & 0xffff); }

uint32_t ResultFlags16(uint32_t value) {
  value &= 0xffff;
  return FlagIf(value == 0, kZf) | FlagIf(value >> 15, kSf) | FlagIf(EvenParity(value), kPf);
}

// SHLD of 16 bits by 16 or more: the filler comes in twice, nothing is carried out beyond 16.
TEST(AbiTest, ShldOf16BitsByMoreThan15) {
  Tests tests(1);
  for (uint32_t count = 16; count < 32; ++count) {
    for (int i = 0; i < 8; ++i) {
      auto [test, result] =
          tests.Add("shld", {0x66, 0x0f, 0xa4, 0xd0, static_cast<uint8_t>(count)});
      tests.StartResult();
      const uint64_t a = test.state.gpr[kEax] & 0xffff, filler = test.state.gpr[kEdx] & 0xffff;
      const uint32_t shifted = (a << 32 | filler << 16 | filler) >> (32 - count) & 0xffff;
      SetLow16(&result.state.gpr[kEax], shifted);
      const bool carry = count == 16 && (a & 1);
      result.state.eflags &= ~kStatusFlags;
      result.state.eflags |= ResultFlags16(shifted) | kAf | FlagIf(carry, kCf | kOf);
    }
  }
}

TEST(AbiTest, ShrdOf16BitsByMoreThan15) {
  Tests tests(2);
  for (uint32_t count = 16; count < 32; ++count) {
    for (int i = 0; i < 8; ++i) {
      auto [test, result] =
          tests.Add("shrd", {0x66, 0x0f, 0xac, 0xd0, static_cast<uint8_t>(count)});
      tests.StartResult();
      const uint64_t a = test.state.gpr[kEax] & 0xffff, filler = test.state.gpr[kEdx] & 0xffff;
      const uint32_t shifted = (filler << 32 | filler << 16 | a) >> count & 0xffff;
      SetLow16(&result.state.gpr[kEax], shifted);
      const bool carry = count == 16 && a >> 15;
      result.state.eflags &= ~kStatusFlags;
      result.state.eflags |= ResultFlags16(shifted) | kAf | FlagIf(carry, kCf) |
                             FlagIf((shifted >> 15 ^ shifted >> 14) & 1, kOf);
    }
  }
}

TEST(AbiTest, BswapOf16BitsIsZero) {
  Tests tests(3);
  for (uint8_t gpr = 0; gpr < 8; ++gpr) {
    auto [test, result] = tests.Add("bswap", {0x66, 0x0f, static_cast<uint8_t>(0xc8 | gpr)});
    tests.StartResult();
    SetLow16(&result.state.gpr[gpr], 0);
  }
}

// They are TZCNT and LZCNT on later CPUs.
TEST(AbiTest, RepBsfAndRepBsrAreBsfAndBsr) {
  Tests tests(4);
  for (uint8_t opcode : {0xbc, 0xbd}) {
    for (uint32_t source : {0u, 1u, 0x80000000u, 0x00810000u, 0xffffffffu, 0x00001000u}) {
      for (uint8_t prefix : {0xf3, 0xf2}) {
        auto [test, result] = tests.Add("rep bsf/bsr", {prefix, 0x0f, opcode, 0xc2});
        test.state.gpr[kEdx] = source;
        tests.StartResult();
        const int index = opcode == 0xbc ? std::countr_zero(source) : std::bit_width(source) - 1;
        if (source != 0) result.state.gpr[kEax] = index;
        result.state.eflags &= ~kStatusFlags;
        if (source == 0) result.state.eflags |= kZf;
        if (source == 0 || EvenParity(index)) result.state.eflags |= kPf;
      }
    }
  }
}

TEST(AbiTest, PopfWritesTheFlagsThatGuestsHave) {
  Tests tests(5);
  constexpr uint32_t kWritable = kStatusFlags | kDf | kId;
  for (int i = 0; i < 100; ++i) {
    const uint32_t value = i < 32 ? 1u << i : i == 32 ? 0 : i == 33 ? ~0u : tests.random();
    const bool wide = i % 3 != 0;
    auto [test, result] = tests.Add("popf", wide ? Code{0x9d} : Code{0x66, 0x9d});
    test.patches = {Words(kMiddle, {value})};
    tests.StartResult();
    const uint32_t mask = wide ? kWritable : kWritable & 0xffff;
    result.state.gpr[kEsp] += wide ? 4 : 2;
    result.state.eflags = (test.state.eflags & ~mask) | (value & mask);
  }
}

TEST(AbiTest, PushfShowsInterruptsOnAndNothingPrivileged) {
  Tests tests(6);
  for (int i = 0; i < 64; ++i) {
    // push value; popf; pushf
    Code code = {0x68, 0, 0, 0, 0, 0x9d, 0x9c};
    const uint32_t value = tests.random();
    std::memcpy(&code[1], &value, 4);
    auto [test, result] = tests.Add("pushf", code);
    const uint32_t shown = VX_INITIAL_EFLAGS | (value & (kStatusFlags | kDf | kId));
    tests.StartResult();
    std::memcpy(&result.data[kMiddle - 4 - kData], &shown, 4);
    result.state.gpr[kEsp] -= 4;
    result.state.eflags = shown;
  }
}

TEST(AbiTest, AnUnknownCallFailsAndKeepsAllOtherState) {
  Tests tests(7);
  for (uint32_t number : {0u, 5u, 99u, 0x80000000u, 0xffffffffu}) {
    auto [test, result] = tests.Add("syscall", {0x0f, 0x05});
    test.state.gpr[kEax] = number;
    tests.StartResult();
    result.state.gpr[kEax] = -VX_ENOSYS;
  }
}

TEST(AbiTest, CpuidAnswersByLeafAlone) {
  constexpr uint32_t kLeaves[][5] = {{0, 1, 0x756e6547, 0x6c65746e, 0x49656e69},
                                     {1, 0x6d8, 0x800, 0, 0x07088101},
                                     {0x80000000, 0x80000000, 0, 0, 0},
                                     {2, 0, 0, 0, 0},
                                     {7, 0, 0, 0, 0},
                                     {0x80000001, 0, 0, 0, 0},
                                     {0xffffffff, 0, 0, 0, 0}};
  Tests tests(15);
  for (const auto& [leaf, eax, ebx, ecx, edx] : kLeaves) {
    for (uint32_t subleaf : {0u, 1u, 0xffffffffu}) {
      auto [test, result] = tests.Add("cpuid", {0x0f, 0xa2});
      test.state.gpr[kEax] = leaf;
      test.state.gpr[kEcx] = subleaf;
      tests.StartResult();
      result.state.gpr[kEax] = eax;
      result.state.gpr[kEbx] = ebx;
      result.state.gpr[kEcx] = ecx;
      result.state.gpr[kEdx] = edx;
    }
  }
}

// A CPU would check CS for writes; here the prefix means nothing.
TEST(AbiTest, CsOverridesAreIgnoredForWritesToo) {
  Tests tests(8);
  auto [test, result] = tests.Add("mov cs:[edi], eax", {0x2e, 0x89, 0x07});
  test.state.gpr[kEdi] = kMiddle;
  tests.StartResult();
  std::memcpy(&result.data[kMiddle - kData], &test.state.gpr[kEax], 4);
}

// Nothing is mapped at either end of the address space, so that operands that wrap round fault
// there.
TEST(AbiTest, OperandsThatWrapFaultAtTheirFirstByte) {
  Tests tests(9);
  const struct {
    const char* name;
    Code code;
    uint32_t size;
    Access access;
  } kForms[] = {
      {"mov eax,[edi]", {0x8b, 0x07}, 4, Access::kRead},
      {"mov [edi],eax", {0x89, 0x07}, 4, Access::kWrite},
      {"add [edi],eax", {0x01, 0x07}, 4, Access::kWrite},
      {"mov ax,[edi]", {0x66, 0x8b, 0x07}, 2, Access::kRead},
      {"movdqu xmm0,[edi]", {0xf3, 0x0f, 0x6f, 0x07}, 16, Access::kRead},
      {"movdqu [edi],xmm0", {0xf3, 0x0f, 0x7f, 0x07}, 16, Access::kWrite},
      {"stosd", {0xab}, 4, Access::kWrite},
  };
  for (const auto& form : kForms) {
    for (uint32_t back = 1; back <= form.size; ++back) {
      auto [test, result] = tests.Add(form.name, form.code);
      test.state.gpr[kEdi] = -back;
      tests.ExpectTrap({TrapCause::kPageFault, form.access, -back});
    }
  }
  for (uint32_t esp : {1u, 2u, 3u}) {
    auto [test, result] = tests.Add("push eax", {0x50});
    test.state.gpr[kEsp] = esp;
    tests.ExpectTrap({TrapCause::kPageFault, Access::kWrite, esp - 4});
  }
  for (uint32_t esp : {0xfffffffdu, 0xfffffffeu, 0xffffffffu}) {
    auto [test, result] = tests.Add("pop eax", {0x58});
    test.state.gpr[kEsp] = esp;
    tests.ExpectTrap({TrapCause::kPageFault, Access::kRead, esp});
  }
}

// No manual says which of the two is read first.
TEST(AbiTest, StringComparisonsReadTheOperandAtEsiFirst) {
  Tests tests(14);
  const std::pair<const char*, Code> kForms[] = {{"cmpsb", {0xa6}},
                                                 {"cmpsw", {0x66, 0xa7}},
                                                 {"cmpsd", {0xa7}},
                                                 {"repe cmpsw", {0xf3, 0x66, 0xa7}}};
  for (const auto& [name, code] : kForms) {
    auto [test, result] = tests.Add(name, code);
    test.state.gpr[kEcx] = 1;
    test.state.gpr[kEsi] = 0x2000;
    test.state.gpr[kEdi] = 0x1000;
    tests.ExpectTrap({TrapCause::kPageFault, Access::kRead, 0x2000});
  }
}

// Some CPUs look at both first.
TEST(AbiTest, BoundLooksAtTheLowerBoundFirst) {
  for (const int32_t lower : {1, 0}) {
    Tests tests(20 + lower);
    auto [test, result] = tests.Add("bound", {0x62, 0x03});
    test.state.gpr[kEax] = 0;
    test.state.gpr[kEbx] = kDataEnd - 4;
    test.patches = {Words(kDataEnd - 4, {static_cast<uint32_t>(lower)})};
    tests.ExpectTrap(lower > 0 ? Trap{TrapCause::kBoundRange}
                               : Trap{TrapCause::kPageFault, Access::kRead, kDataEnd});
  }
}

// FST, FSTP, FIST, FISTP and FBSTP to [EBX].
constexpr uint8_t kX87Stores[][2] = {{0xd9, 0x13}, {0xd9, 0x1b}, {0xdb, 0x13}, {0xdb, 0x1b},
                                     {0xdb, 0x3b}, {0xdd, 0x13}, {0xdd, 0x1b}, {0xdf, 0x13},
                                     {0xdf, 0x1b}, {0xdf, 0x33}, {0xdf, 0x3b}};

// Here of an empty register, which is invalid. Some CPUs look at memory all the same.
TEST(AbiTest, X87StoresOfWhatTrapsDoNotLookAtMemory) {
  Tests tests(23);
  for (const auto& store : kX87Stores) {
    // fldcw [ecx]; the store; fnstsw ax; fninit
    auto [test, result] =
        tests.Add("x87 store", {0xd9, 0x29, store[0], store[1], 0xdf, 0xe0, 0xdb, 0xe3});
    test.state.gpr[kEbx] = 0x1000;
    test.state.gpr[kEcx] = kMiddle;
    test.patches = {Words(kMiddle, {0x340})};
    tests.StartResult();
    SetLow16(&result.state.gpr[kEax], 0x80c1);  // B, ES, SF, IE
  }
}

TEST(AbiTest, X87StoresOfWhatIsMaskedFault) {
  Tests tests(24);
  for (const auto& store : kX87Stores) {
    auto [test, result] = tests.Add("x87 store", {store[0], store[1]});
    test.state.gpr[kEbx] = 0x1000;
    tests.ExpectTrap({TrapCause::kPageFault, Access::kWrite, 0x1000});
  }
}

// A CPU may look at the mask first; here all 16 bytes must be writable.
TEST(AbiTest, MaskmovdquNeedsItsWholeOperandWhateverTheMask) {
  Tests tests(10);
  for (uint64_t mask : {uint64_t{0}, uint64_t{0x80}, ~uint64_t{0}}) {
    auto [test, result] = tests.Add("maskmovdqu xmm0, xmm1", {0x66, 0x0f, 0xf7, 0xc1});
    test.state.gpr[kEdi] = kDataEnd - 8;
    test.state.xmm[1].lane = {mask, mask};
    tests.ExpectTrap({TrapCause::kPageFault, Access::kWrite, kDataEnd});
  }
}

// Some CPUs let the prefix choose LOOP's condition.
TEST(AbiTest, RepeatPrefixesDoNotChangeLoops) {
  Tests tests(11);
  for (uint8_t prefix : {0xf2, 0xf3}) {
    for (uint8_t opcode : {0xe0, 0xe1}) {
      for (bool zf : {false, true}) {
        // over inc eax
        auto [test, result] = tests.Add("loopne/loope", {prefix, opcode, 1, 0x40});
        test.state.gpr[kEcx] = 2;
        test.state.gpr[kEax] = 0x12;
        test.state.eflags = VX_INITIAL_EFLAGS | FlagIf(zf, kZf);
        tests.StartResult();
        result.state.gpr[kEcx] = 1;
        if (zf == (opcode == 0xe1)) continue;  // taken
        result.state.gpr[kEax] = 0x13;
        result.state.eflags = VX_INITIAL_EFLAGS;
      }
    }
  }
}

TEST(AbiTest, LdmxcsrTakesNoBitAbove15) {
  Tests tests(12);
  for (int bit = 16; bit < 32; ++bit) {
    auto [test, result] = tests.Add("ldmxcsr [edi]", {0x0f, 0xae, 0x17});
    test.state.gpr[kEdi] = kMiddle;
    test.patches = {Words(kMiddle, {VX_INITIAL_MXCSR | 1u << bit})};
    tests.ExpectTrap({TrapCause::kGeneralProtection});
  }
}

TEST(AbiTest, StmxcsrStoresWhatLdmxcsrLoaded) {
  Tests tests(13);
  for (uint32_t value : {VX_INITIAL_MXCSR, 0, 0xffff, 0x9fc0}) {
    // ldmxcsr [edi]; stmxcsr [edi+4]; mov dword [edi], VX_INITIAL_MXCSR; ldmxcsr [edi]
    auto [test, result] = tests.Add(
        "mxcsr", {0x0f, 0xae, 0x17, 0x0f, 0xae, 0x5f, 0x04, 0xc7, 0x07, VX_INITIAL_MXCSR & 0xff,
                  VX_INITIAL_MXCSR >> 8, 0, 0, 0x0f, 0xae, 0x17});
    test.state.gpr[kEdi] = kMiddle;
    test.patches = {Words(kMiddle, {value})};
    tests.StartResult();
    const uint32_t left[] = {VX_INITIAL_MXCSR, value};
    std::memcpy(&result.data[kMiddle - kData], left, sizeof left);
  }
}

}  // namespace
}  // namespace vx::conformance
