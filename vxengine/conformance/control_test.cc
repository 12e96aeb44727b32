// Jumps, calls, returns, loops, interrupts and ENTER against the CPU.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "vxengine/conformance/checker.h"
#include "vxengine/conformance/forms.h"

namespace vx::conformance {
namespace {

using Code = std::vector<uint8_t>;

constexpr uint32_t kMiddle = kData + 0x800;
// Where a jump may lead and fault: nowhere, around the code's end, data, and the last page.
constexpr uint32_t kBadTargets[] = {0,     0x1000,  kCode + kCodeSize, kCode + kCodeSize + 5,
                                    kData, kMiddle, 0xfffff000,        0xffffffff};
// Where a stack may be: in the middle, misaligned, across pages, across and at either end, nowhere.
constexpr uint32_t kStacks[] = {kMiddle,      kMiddle + 3, kData + 0x1002, kDataEnd - 4,
                                kDataEnd - 2, kDataEnd,    kData,          kData + 2,
                                kData + 4,    0x20000,     kDataEnd + 64};

Case Make(std::string name, Code code, Random& random) {
  Case test;
  test.name = std::move(name);
  test.state = RandomState(random, false);
  test.code = std::move(code);
  return test;
}

Code Le(uint32_t value) {
  return {static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8),
          static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 24)};
}

void Append(Code* code, const Code& more) { code->insert(code->end(), more.begin(), more.end()); }

// mov ebp, ...: what a taken jump by 5 leaves out.
Code Marker() { return {0xbd, 0x11, 0x22, 0x33, 0x44}; }

class ConditionTest : public testing::TestWithParam<int> {};

TEST_P(ConditionTest, JumpsOnTheSameFlags) {
  Random random(GetParam());
  const auto condition = static_cast<uint8_t>(GetParam());
  std::vector<Case> cases;
  for (uint32_t flags = 0; flags < 64; ++flags) {
    for (Code code : {Code{static_cast<uint8_t>(0x70 | condition), 5},
                      Code{0x0f, static_cast<uint8_t>(0x80 | condition), 5, 0, 0, 0}}) {
      Append(&code, Marker());
      cases.push_back(Make("jcc", code, random));
      cases.back().state.eflags = VX_INITIAL_EFLAGS | StatusFlags(flags);
    }
  }
  ExpectAgreement(cases);
}

INSTANTIATE_TEST_SUITE_P(All, ConditionTest, testing::Range(0, 16));

TEST(ControlTest, LoopsCountEcxAndHeedZf) {
  Random random(1);
  std::vector<Case> cases;
  for (uint8_t opcode : {0xe0, 0xe1, 0xe2, 0xe3}) {
    for (uint32_t ecx : {0u, 1u, 2u, 0x10000u, 0x80000000u, 0xffffffffu}) {
      for (uint32_t index = 0; index < 64; index += 3) {
        Code code = {opcode, 5};
        Append(&code, Marker());
        cases.push_back(Make("loop forwards", code, random));
        cases.back().state.gpr[kEcx] = ecx;
        cases.back().state.eflags = VX_INITIAL_EFLAGS | StatusFlags(index);
      }
    }
    if (opcode == 0xe3) continue;
    for (uint32_t ecx = 1; ecx < 20; ++ecx) {
      // dec esi; loop back to it
      cases.push_back(Make("loop backwards", {0x4e, opcode, 0xfd}, random));
      cases.back().state.gpr[kEcx] = ecx;
      cases.back().state.gpr[kEsi] = 1 + Below(random, 20);
    }
  }
  ExpectAgreement(cases);
}

TEST(ControlTest, BackwardJumpsAndCallsWork) {
  Random random(2);
  std::vector<Case> cases;
  // jmp +3; L: inc ebx; jmp +2; jmp L (short)
  cases.push_back(Make("jmp rel8", {0xeb, 0x03, 0x43, 0xeb, 0x02, 0xeb, 0xfb}, random));
  // jmp +3; L: inc ebx; jmp +5; jmp L (near)
  cases.push_back(
      Make("jmp rel32", {0xe9, 3, 0, 0, 0, 0x43, 0xeb, 5, 0xe9, 0xf8, 0xff, 0xff, 0xff}, random));
  // jmp +2; F: inc ebx; ret; call F; dec ecx; jnz to the call
  cases.push_back(Make("call rel32",
                       {0xeb, 0x02, 0x43, 0xc3, 0xe8, 0xf9, 0xff, 0xff, 0xff, 0x49, 0x75, 0xf8},
                       random));
  cases.back().state.gpr[kEcx] = 10;
  // call +0; pop eax; sub eax, the distance: position-independent code's way to find itself
  cases.push_back(Make("call +0", {0xe8, 0, 0, 0, 0, 0x58, 0x5b}, random));
  ExpectAgreement(cases);
}

TEST(ControlTest, JumpsHeedNoFlags) {
  Random random(9);
  std::vector<Case> cases;
  for (uint32_t flags = 0; flags < 64; ++flags) {
    for (Code code : {Code{0xeb, 5}, Code{0xe9, 5, 0, 0, 0}}) {
      Append(&code, Marker());
      cases.push_back(Make("jmp forwards", code, random));
      cases.back().state.eflags = VX_INITIAL_EFLAGS | StatusFlags(flags);
    }
  }
  ExpectAgreement(cases);
}

TEST(ControlTest, CallsPushOrFaultAtAnyStack) {
  Random random(3);
  std::vector<Case> cases;
  for (uint32_t esp : kStacks) {
    Code direct = {0xe8, 5, 0, 0, 0};
    Append(&direct, Marker());
    cases.push_back(Make("call rel32", direct, random));
    cases.back().state.gpr[kEsp] = esp;
    cases.push_back(Make("call ecx", {0xff, 0xd1}, random));
    cases.back().state.gpr[kEsp] = esp;
    cases.back().state.gpr[kEcx] = kExit;
  }
  ExpectAgreement(cases);
}

// FF /2 and FF /4 by each register and through memory; a target that can't be run faults there.
TEST(ControlTest, IndirectJumpsAndCallsReachTheirTargets) {
  Random random(4);
  std::vector<Case> cases;
  std::vector<uint32_t> targets(std::begin(kBadTargets), std::end(kBadTargets));
  targets.push_back(kExit);
  for (uint8_t operation : {0x10, 0x20}) {
    for (uint32_t target : targets) {
      for (uint8_t gpr = 0; gpr < 8; ++gpr) {
        cases.push_back(
            Make("register", {0xff, static_cast<uint8_t>(0xc0 | operation | gpr)}, random));
        cases.back().state.gpr[gpr] = target;
      }
      Code code = {0xff, static_cast<uint8_t>(0x05 | operation)};
      Append(&code, Le(kMiddle));
      cases.push_back(Make("memory", code, random));
      cases.back().patches.push_back({kMiddle, Le(target)});
      // By [esp]: the target is read before the return address is pushed over its neighbour.
      cases.push_back(Make("[esp]", {0xff, static_cast<uint8_t>(0x04 | operation), 0x24}, random));
      cases.back().state.gpr[kEsp] = kMiddle;
      cases.back().patches.push_back({kMiddle, Le(target)});
      cases.push_back(
          Make("[esp-4]", {0xff, static_cast<uint8_t>(0x44 | operation), 0x24, 0xfc}, random));
      cases.back().state.gpr[kEsp] = kMiddle + 4;
      cases.back().patches.push_back({kMiddle, Le(target)});
    }
    for (uint32_t address : {kDataEnd - 2, kDataEnd, kData - 1, 0u}) {
      Code code = {0xff, static_cast<uint8_t>(0x05 | operation)};
      Append(&code, Le(address));
      cases.push_back(Make("no memory", code, random));
    }
  }
  ExpectAgreement(cases);
}

TEST(ControlTest, DirectJumpsOutOfTheCodeFaultAtTheirTargets) {
  Random random(5);
  std::vector<Case> cases;
  for (uint8_t opcode : {0xe8, 0xe9}) {
    for (uint32_t target : kBadTargets) {
      Code code = {opcode};
      Append(&code, Le(target - (kCode + 5)));
      cases.push_back(Make("direct", code, random));
      cases.back().code_address = kCode;
    }
  }
  ExpectAgreement(cases);
}

TEST(ControlTest, ReturnsPopAndReleaseTheStack) {
  Random random(6);
  std::vector<Case> cases;
  const auto add = [&](uint32_t esp, uint32_t target, Code code) {
    cases.push_back(Make("ret", std::move(code), random));
    cases.back().state.gpr[kEsp] = esp;
    if (esp >= kData && esp <= kDataEnd - 4) cases.back().patches.push_back({esp, Le(target)});
  };
  for (uint32_t esp : kStacks) {
    for (const Code& code : {Code{0xc3}, Code{0xf3, 0xc3}, Code{0xf2, 0xc3}, Code{0xc2, 0, 0},
                             Code{0xc2, 8, 0}, Code{0xc2, 3, 0}, Code{0xc2, 0xff, 0xff}}) {
      add(esp, kExit, code);
    }
  }
  for (uint32_t target : kBadTargets) {
    add(kMiddle, target, {0xc3});
    add(kMiddle, target, {0xc2, 0x10, 0});
  }
  ExpectAgreement(cases);
}

TEST(ControlTest, Int3AndIntoTrap) {
  Random random(7);
  std::vector<Case> cases;
  for (uint32_t flags = 0; flags < 64; ++flags) {
    for (uint8_t opcode : {0xcc, 0xce}) {
      cases.push_back(Make(opcode == 0xcc ? "int3" : "into", {opcode}, random));
      cases.back().state.eflags = VX_INITIAL_EFLAGS | StatusFlags(flags);
    }
  }
  ExpectAgreement(cases);
}

TEST(ControlTest, EnterBuildsFramesOfAnyDepth) {
  Random random(8);
  std::vector<Case> cases;
  for (int i = 0; i < 600; ++i) {
    const uint16_t size = Below(random, 4) ? Below(random, 64) : Below(random, 0x10000);
    const uint8_t level = Below(random, 3) ? Below(random, 34) : Below(random, 256);
    Code code = {0xc8, static_cast<uint8_t>(size), static_cast<uint8_t>(size >> 8), level};
    if (i % 4 == 0) code.insert(code.begin(), 0x66);
    cases.push_back(Make("enter", code, random));
    std::array<uint32_t, 8>& gpr = cases.back().state.gpr;
    gpr[kEbp] = kData + 0x100 + Below(random, 0x1e00);
    if (Below(random, 4) == 0) gpr[kEbp] = OperandAddress(random, 4);
    if (Below(random, 4) == 0) gpr[kEsp] = kStacks[Below(random, std::size(kStacks))];
  }
  ExpectAgreement(cases);
}

}  // namespace
}  // namespace vx::conformance
