#include "vxengine/machine/interpreter.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace vx {
namespace {

using Bytes = std::vector<uint8_t>;
using Stop = Interpreter::Stop;

constexpr uint32_t kCode = 0x10000;   // one executable page
constexpr uint32_t kData = 0x20000;   // two pages to read and write, nothing behind
constexpr uint32_t kConst = 0x30000;  // one page to read
constexpr uint32_t kStack = 0x40000;  // one page to read and write, below it nothing
constexpr uint32_t kStackTop = kStack + Memory::kPageSize;
constexpr uint64_t kPlenty = 1000000;

class InterpreterTest : public testing::Test {
 protected:
  InterpreterTest() {
    memory_.Map(kCode >> 12, 1, Memory::kRead | Memory::kExecute);
    memory_.Map(kData >> 12, 2, Memory::kRead | Memory::kWrite);
    memory_.Map(kConst >> 12, 1, Memory::kRead);
    memory_.Map(kStack >> 12, 1, Memory::kRead | Memory::kWrite);
    registers_.eip = kCode;
    registers_.gpr[kEsp] = kStackTop;
  }

  void Code(const Bytes& bytes, uint32_t address = kCode) { memory_.Initialize(address, bytes); }

  Stop Run(uint64_t budget = kPlenty) {
    if (!interpreter_)
      interpreter_ = std::make_unique<Interpreter>(&memory_, &registers_, profile_);
    return interpreter_->Run(budget);
  }

  uint32_t Load(uint32_t address) {
    uint32_t value = 0, fault;
    EXPECT_TRUE(memory_.Load(address, &value, &fault));
    return value;
  }

  void Store(uint32_t address, uint32_t value) {
    uint32_t fault;
    ASSERT_TRUE(memory_.Store(address, value, &fault));
  }

  uint32_t& eax() { return registers_.gpr[kEax]; }
  uint32_t& ecx() { return registers_.gpr[kEcx]; }
  uint32_t& edx() { return registers_.gpr[kEdx]; }
  uint32_t& ebx() { return registers_.gpr[kEbx]; }
  uint32_t& esp() { return registers_.gpr[kEsp]; }
  uint32_t& ebp() { return registers_.gpr[kEbp]; }
  uint32_t& esi() { return registers_.gpr[kEsi]; }
  uint32_t& edi() { return registers_.gpr[kEdi]; }

  // Runs the one instruction, which must trap and leave all registers as they were.
  void ExpectTrap(const Bytes& bytes, const Trap& trap) {
    Code(bytes);
    const Registers before = registers_;
    ASSERT_EQ(Run(), Stop::kTrap);
    EXPECT_EQ(interpreter_->trap().cause, trap.cause);
    EXPECT_EQ(interpreter_->trap(), trap);
    EXPECT_EQ(registers_, before);
    EXPECT_EQ(interpreter_->instructions(), 0u);
  }

  static Trap Fault(Access access, uint32_t address) {
    return {.cause = TrapCause::kPageFault, .access = access, .address = address};
  }

  Memory memory_;
  Registers registers_;
  Profile profile_ = Profile::kVx2026;
  std::unique_ptr<Interpreter> interpreter_;
};

TEST_F(InterpreterTest, RunsUpToASystemCallWhichCounts) {
  Code({0xb8, 0x04, 0x00, 0x00, 0x00,  // mov eax, 4
        0x0f, 0x05});                  // syscall
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 4u);
  EXPECT_EQ(registers_.eip, kCode + 7);
  EXPECT_EQ(interpreter_->instructions(), 2u);
}

TEST_F(InterpreterTest, LoopsCallsAndReturns) {
  Code({0xb9, 0x0a, 0x00, 0x00, 0x00,  // mov ecx, 10
        0xe8, 0x04, 0x00, 0x00, 0x00,  // again: call add
        0xe2, 0xf9,                    // loop again
        0x0f, 0x05,                    // syscall
        0x01, 0xc8,                    // add: add eax, ecx
        0xc3});                        // ret
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 55u);
  EXPECT_EQ(esp(), kStackTop);
  EXPECT_EQ(interpreter_->instructions(), 1u + 10 * 4 + 1);
}

TEST_F(InterpreterTest, TheBudgetEndsBetweenAnyTwoInstructions) {
  Code({0x40, 0x40, 0x40,  // inc eax, thrice
        0xeb, 0xfb});      // jmp to the start
  for (uint32_t n = 1; n <= 20; ++n) {
    EXPECT_EQ(Run(1), Stop::kBudget);
    EXPECT_EQ(registers_.eip, kCode + (n % 4));
    EXPECT_EQ(eax(), n - n / 4);
    EXPECT_EQ(interpreter_->instructions(), n);
  }
  EXPECT_EQ(Run(0), Stop::kBudget);
  EXPECT_EQ(interpreter_->instructions(), 20u);
}

TEST_F(InterpreterTest, AnyBudgetIsUsedUpExactly) {
  Code({0x40, 0x40, 0x40, 0xeb, 0xfb});
  for (uint64_t budget = 0; budget < 12; ++budget) {
    registers_.eip = kCode;
    eax() = 0;
    Interpreter interpreter(&memory_, &registers_, profile_);
    EXPECT_EQ(interpreter.Run(budget), Stop::kBudget);
    EXPECT_EQ(interpreter.instructions(), budget);
    EXPECT_EQ(eax(), budget - budget / 4);
    EXPECT_EQ(registers_.eip, kCode + budget % 4);
  }
}

TEST_F(InterpreterTest, ABudgetThatEndsBeforeATrapDoesNotTrap) {
  Code({0x40, 0x0f, 0x0b});  // inc eax; ud2
  EXPECT_EQ(Run(1), Stop::kBudget);
  EXPECT_EQ(registers_.eip, kCode + 1);
  EXPECT_EQ(Run(1), Stop::kTrap);
  EXPECT_EQ(interpreter_->trap(), Trap{});
  EXPECT_EQ(registers_.eip, kCode + 1);
  EXPECT_EQ(interpreter_->instructions(), 1u);
}

TEST_F(InterpreterTest, ARepeatedInstructionCountsOneAndItsIterations) {
  Code({0xf3, 0xaa, 0x0f, 0x05});  // rep stosb; syscall
  ecx() = 100;
  edi() = kData;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(interpreter_->instructions(), 102u);
  EXPECT_EQ(ecx(), 0u);
  EXPECT_EQ(edi(), kData + 100);
}

TEST_F(InterpreterTest, TheBudgetEndsInsideRepeatedInstructions) {
  Code({0xf3, 0xab, 0x0f, 0x05});  // rep stosd; syscall
  ecx() = 5;
  edi() = kData;
  eax() = 0x12345678;
  EXPECT_EQ(Run(3), Stop::kBudget);
  EXPECT_EQ(registers_.eip, kCode);
  EXPECT_EQ(ecx(), 2u);
  EXPECT_EQ(edi(), kData + 12);
  EXPECT_EQ(Load(kData + 8), 0x12345678u);
  EXPECT_EQ(Load(kData + 12), 0u);
  EXPECT_EQ(Run(2), Stop::kBudget);  // all done, but not counted as complete
  EXPECT_EQ(registers_.eip, kCode);
  EXPECT_EQ(ecx(), 0u);
  EXPECT_EQ(Run(1), Stop::kBudget);
  EXPECT_EQ(registers_.eip, kCode + 2);
  EXPECT_EQ(Run(1), Stop::kSystemCall);
  EXPECT_EQ(interpreter_->instructions(), 7u);
}

TEST_F(InterpreterTest, ASearchThatEndsWithTheBudgetOwesOneUnit) {
  Code({0xf2, 0xae, 0x0f, 0x05});  // repne scasb; syscall
  Store(kData, 0x00030201);
  for (uint64_t budget = 1; budget <= 5; ++budget) {
    registers_.eip = kCode;
    ecx() = 100;
    edi() = kData;
    eax() = 3;
    Interpreter interpreter(&memory_, &registers_, profile_);
    ASSERT_EQ(interpreter.Run(budget), budget < 5 ? Stop::kBudget : Stop::kSystemCall);
    EXPECT_EQ(interpreter.instructions(), budget);
    EXPECT_EQ(registers_.eip, kCode + (budget < 3 ? 0 : budget < 5 ? 2 : 4));
    EXPECT_EQ(interpreter.Run(5 - budget), budget == 5 ? Stop::kBudget : Stop::kSystemCall);
    EXPECT_EQ(interpreter.instructions(), 5u);
    EXPECT_EQ(edi(), kData + 3);
    EXPECT_EQ(ecx(), 97u);
  }
}

TEST_F(InterpreterTest, ARepeatedInstructionThatFaultsKeepsItsIterations) {
  Code({0xf3, 0xaa});  // rep stosb
  ecx() = 100;
  edi() = kData + 0x2000 - 10;
  EXPECT_EQ(Run(), Stop::kTrap);
  EXPECT_EQ(interpreter_->trap(), Fault(Access::kWrite, kData + 0x2000));
  EXPECT_EQ(registers_.eip, kCode);
  EXPECT_EQ(ecx(), 90u);
  EXPECT_EQ(edi(), kData + 0x2000);
  EXPECT_EQ(interpreter_->instructions(), 10u);
}

TEST_F(InterpreterTest, AnOverlappingMoveRepeatsWhatItWrote) {
  Code({0xf3, 0xa4, 0x0f, 0x05});  // rep movsb; syscall
  Store(kData, 0x00333231);
  esi() = kData;
  edi() = kData + 3;
  ecx() = 0x1800;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(Load(kData + 0xfff), 0x31333231u);  // at multiples of 3 it starts over
  EXPECT_EQ(Load(kData + 0x17fe), 0x32313332u);
  EXPECT_EQ(interpreter_->instructions(), 0x1802u);
}

TEST_F(InterpreterTest, AMoveDownwardsCrossesPages) {
  Code({0xfd, 0xf3, 0xa5, 0xfc, 0x0f, 0x05});  // std; rep movsd; cld; syscall
  for (uint32_t n = 0; n < 8; ++n) Store(kData + 0xff2 + 4 * n, n);
  esi() = kData + 0xff2 + 28;
  edi() = esi() + 4;
  ecx() = 8;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  for (uint32_t n = 0; n < 8; ++n) EXPECT_EQ(Load(kData + 0xff6 + 4 * n), n);
  EXPECT_EQ(registers_.eflags & kDf, 0u);
}

TEST_F(InterpreterTest, RepeatingZeroTimesTouchesNothing) {
  Code({0xf3, 0xa4, 0x0f, 0x05});
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(interpreter_->instructions(), 2u);
}

TEST_F(InterpreterTest, AccessesCrossPages) {
  Code({0x8b, 0x03,    // mov eax, [ebx]
        0x01, 0x03,    // add [ebx], eax
        0x0f, 0x05});  // syscall
  ebx() = kData + 0xffd;
  Store(ebx(), 0x81828384);
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 0x81828384u);
  EXPECT_EQ(Load(ebx()), 0x03050708u);
  EXPECT_NE(registers_.eflags & kCf, 0u);
}

TEST_F(InterpreterTest, AStoreThatCrossesIntoAForbiddenPageStoresNothing) {
  ebx() = kData + 0x2000 - 2;
  eax() = 0xffffffff;
  ExpectTrap({0x89, 0x03}, Fault(Access::kWrite, kData + 0x2000));
  EXPECT_EQ(Load(kData + 0x2000 - 4), 0u);
}

TEST_F(InterpreterTest, AReadModifyWriteFaultsAsAWrite) {
  ebx() = kConst + 4;
  ExpectTrap({0x83, 0x03, 0x01}, Fault(Access::kWrite, kConst + 4));
}

TEST_F(InterpreterTest, AShiftByZeroStillWrites) {
  ebx() = kConst;
  ecx() = 32;
  ExpectTrap({0xd3, 0x23}, Fault(Access::kWrite, kConst));
}

TEST_F(InterpreterTest, AFailedCompareAndExchangeStillWrites) {
  ebx() = kConst;
  eax() = 1;
  ExpectTrap({0x0f, 0xb1, 0x0b}, Fault(Access::kWrite, kConst));
}

TEST_F(InterpreterTest, AFalseConditionalMoveStillReads) {
  ebx() = 0x5000;
  ExpectTrap({0x0f, 0x44, 0x03}, Fault(Access::kRead, 0x5000));
}

TEST_F(InterpreterTest, BitStringsReachFarFromTheirOperand) {
  Code({0x0f, 0xab, 0x0b,  // bts [ebx], ecx
        0x0f, 0x05});      // syscall
  ebx() = kData + 0x1000;
  ecx() = 0xffffffe3;  // -29: bit 3 of the word before
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(Load(kData + 0xffc), 8u);
}

TEST_F(InterpreterTest, EffectiveAddressesWrapAt4GiB) {
  Code({0x8b, 0x84, 0x8b, 0x00, 0x00, 0x00, 0xf0,  // mov eax, [ebx + ecx * 4 - 0x10000000]
        0x0f, 0x05});
  ebx() = 0x10000000 + kData;
  ecx() = 0x40000001;
  Store(kData + 4, 7);
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 7u);
}

TEST_F(InterpreterTest, AnAccessThatWrapsFaultsWhereNothingIsMapped) {
  ebx() = 0xfffffffe;
  ExpectTrap({0x8b, 0x03}, Fault(Access::kRead, 0xfffffffe));
}

TEST_F(InterpreterTest, FetchingFaultsAtTheTargetOfAJump) {
  Code({0xb8, 0x00, 0x50, 0x00, 0x00,  // mov eax, 0x5000
        0xff, 0xe0});                  // jmp eax
  EXPECT_EQ(Run(), Stop::kTrap);
  EXPECT_EQ(interpreter_->trap(), Fault(Access::kFetch, 0x5000));
  EXPECT_EQ(registers_.eip, 0x5000u);
  EXPECT_EQ(interpreter_->instructions(), 2u);
}

TEST_F(InterpreterTest, DataIsNotExecutable) {
  registers_.eip = kData + 8;
  EXPECT_EQ(Run(), Stop::kTrap);
  EXPECT_EQ(interpreter_->trap(), Fault(Access::kFetch, kData + 8));
}

TEST_F(InterpreterTest, AnInstructionOverTheEndOfThePageFaultsAtTheNextPage) {
  Code({0x40, 0xb8, 0x01}, kCode + 0xffd);  // inc eax; mov eax, imm32 cut off
  registers_.eip = kCode + 0xffd;
  EXPECT_EQ(Run(), Stop::kTrap);
  EXPECT_EQ(interpreter_->trap(), Fault(Access::kFetch, kCode + 0x1000));
  EXPECT_EQ(registers_.eip, kCode + 0xffe);
  EXPECT_EQ(eax(), 1u);
}

TEST_F(InterpreterTest, AnInstructionThatJustFitsThePageRuns) {
  Code({0x0f, 0x05}, kCode + 0xffe);
  registers_.eip = kCode + 0xffe;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(registers_.eip, kCode + 0x1000);
}

TEST_F(InterpreterTest, TooLongAnInstructionIsAGeneralProtectionFault) {
  Bytes bytes(15, 0x66);
  bytes.push_back(0x90);
  ExpectTrap(bytes, {.cause = TrapCause::kGeneralProtection});
}

TEST_F(InterpreterTest, DividingByZeroTraps) {
  eax() = 5;
  ExpectTrap({0xf7, 0xf1}, {.cause = TrapCause::kDivideError});
}

TEST_F(InterpreterTest, AQuotientThatDoesNotFitTraps) {
  edx() = 0x80000000;
  ecx() = 0xffffffff;
  ExpectTrap({0xf7, 0xf9}, {.cause = TrapCause::kDivideError});
}

TEST_F(InterpreterTest, BreakpointsTrapAtThemselves) {
  ExpectTrap({0xcc}, {.cause = TrapCause::kBreakpoint});
}

TEST_F(InterpreterTest, OverflowTrapsIfThereIsOne) {
  registers_.eflags |= kOf;
  ExpectTrap({0xce}, {.cause = TrapCause::kOverflow});
}

TEST_F(InterpreterTest, BoundsAreSigned) {
  Store(kData, 0xfffffffe);
  Store(kData + 4, 3);
  ebx() = kData;
  eax() = 4;
  ExpectTrap({0x62, 0x03}, {.cause = TrapCause::kBoundRange});
  eax() = 0xffffffff;
  EXPECT_EQ(Run(1), Stop::kBudget);
}

TEST_F(InterpreterTest, PushingAllChecksBeforeItWrites) {
  esp() = kStack + 12;
  ExpectTrap({0x60}, Fault(Access::kWrite, kStack - 4));
  EXPECT_EQ(Load(kStack + 8), 0u);
}

TEST_F(InterpreterTest, PoppingIntoForbiddenMemoryKeepsTheStackPointer) {
  esp() = kStackTop - 4;
  ebx() = kConst;
  ExpectTrap({0x8f, 0x03}, Fault(Access::kWrite, kConst));
}

TEST_F(InterpreterTest, PoppingRelativeToTheStackPointerUsesTheNewOne) {
  Code({0x8f, 0x44, 0x24, 0xf0,  // pop [esp - 16]
        0x0f, 0x05});
  esp() = kStackTop - 4;
  Store(esp(), 42);
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(Load(kStackTop - 16), 42u);
}

TEST_F(InterpreterTest, ACallThatCannotPushDoesNotJump) {
  esp() = kStack;
  ExpectTrap({0xe8, 0x10, 0x00, 0x00, 0x00}, Fault(Access::kWrite, kStack - 4));
}

TEST_F(InterpreterTest, EnterAndLeaveNestFrames) {
  Code({0xc8, 0x10, 0x00, 0x02,  // enter 16, 2
        0xc9,                    // leave
        0x0f, 0x05});
  ebp() = kStackTop - 64;
  Store(ebp() - 4, 0x77);
  esp() = kStackTop - 100;
  EXPECT_EQ(Run(1), Stop::kBudget);
  const uint32_t frame = kStackTop - 104;
  EXPECT_EQ(ebp(), frame);
  EXPECT_EQ(esp(), frame - 8 - 16);
  EXPECT_EQ(Load(frame), kStackTop - 64);
  EXPECT_EQ(Load(frame - 4), 0x77u);
  EXPECT_EQ(Load(frame - 8), frame);
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(ebp(), kStackTop - 64);
  EXPECT_EQ(esp(), kStackTop - 100);
}

TEST_F(InterpreterTest, PopfWritesOnlyTheGuestsFlags) {
  Code({0x68, 0xff, 0xff, 0xff, 0xff,  // push -1
        0x9d,                          // popf
        0x9c,                          // pushf
        0x58,                          // pop eax
        0x0f, 0x05});
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), VX_INITIAL_EFLAGS | kStatusFlags | kDf | kId);
}

TEST_F(InterpreterTest, CpuidAnnouncesWhatTheProfileHas) {
  Code({0x0f, 0xa2, 0x0f, 0x05});
  constexpr uint32_t kSse2 = 1u << 26, kCmov = 1u << 15, kMmx = 1u << 23, kTsc = 1u << 4;
  for (Profile profile : {Profile::kVx2026, Profile::kVx2026Int}) {
    registers_.eip = kCode;
    eax() = 1;
    Interpreter interpreter(&memory_, &registers_, profile);
    EXPECT_EQ(interpreter.Run(kPlenty), Stop::kSystemCall);
    EXPECT_EQ(edx() & (kSse2 | kCmov | kMmx | kTsc),
              profile == Profile::kVx2026 ? kSse2 | kCmov : kCmov);
  }
}

TEST_F(InterpreterTest, TheIntegerProfileTrapsOnSse) {
  profile_ = Profile::kVx2026Int;
  ExpectTrap({0x66, 0x0f, 0xef, 0xc0}, {.cause = TrapCause::kInvalidOpcode});
}

TEST_F(InterpreterTest, SseMovesAndAdds) {
  Code({0xf3, 0x0f, 0x6f, 0x03,  // movdqu xmm0, [ebx]
        0x66, 0x0f, 0xfe, 0xc0,  // paddd xmm0, xmm0
        0x66, 0x0f, 0x7e, 0xc0,  // movd eax, xmm0
        0x0f, 0x05});
  ebx() = kData + 0xff9;
  Store(ebx(), 0x80000003);
  Store(ebx() + 12, 5);
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 6u);
  EXPECT_EQ(registers_.xmm[0].lane[1], uint64_t{10} << 32);
}

TEST_F(InterpreterTest, MisalignmentComesBeforeAPageFault) {
  ebx() = 0x5008;
  ExpectTrap({0x66, 0x0f, 0x6f, 0x03}, {.cause = TrapCause::kGeneralProtection});
}

TEST_F(InterpreterTest, AnAlignedSseAccessCanPageFault) {
  ebx() = 0x5000;
  ExpectTrap({0x66, 0x0f, 0x6f, 0x03}, Fault(Access::kRead, 0x5000));
}

TEST_F(InterpreterTest, ReservedBitsOfMxcsrTrap) {
  ebx() = kData;
  Store(kData, 0x11f80);
  ExpectTrap({0x0f, 0xae, 0x13}, {.cause = TrapCause::kGeneralProtection});
}

TEST_F(InterpreterTest, WhatTheHostWritesBetweenRunsIsSeen) {
  Code({0x8b, 0x03, 0x0f, 0x05,    // mov eax, [ebx]; syscall
        0x8b, 0x03, 0x0f, 0x05,    // again
        0x8b, 0x03, 0x0f, 0x05});  // and again
  ebx() = kData;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 0u);
  Store(kData, 9);
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 9u);
  memory_.Unmap(kData >> 12, 1);
  EXPECT_EQ(Run(), Stop::kTrap);
  EXPECT_EQ(interpreter_->trap(), Fault(Access::kRead, kData));
}

TEST_F(InterpreterTest, AWriteIsSeenByAReadThatSawZeroes) {
  Code({0x8b, 0x03,                          // mov eax, [ebx]
        0xc7, 0x03, 0x05, 0x00, 0x00, 0x00,  // mov dword [ebx], 5
        0x8b, 0x0b,                          // mov ecx, [ebx]
        0x0f, 0x05});
  ebx() = kData;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 0u);
  EXPECT_EQ(ecx(), 5u);
}

// A page of two-byte instructions that are other ones when entered at odd addresses.
TEST_F(InterpreterTest, JumpsIntoTheMiddleOfInstructions) {
  Code({0xb8, 0x40, 0x40, 0x40,
        0x40,  // mov eax, 0x40404040, or from its second byte: inc eax, 4 times
        0x0f, 0x05});
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 0x40404040u);
  registers_.eip = kCode + 1;
  EXPECT_EQ(Run(), Stop::kSystemCall);
  EXPECT_EQ(eax(), 0x40404044u);
}

}  // namespace
}  // namespace vx
