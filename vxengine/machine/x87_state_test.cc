// x87's control and state instructions, by hand. Against a CPU:
// vxengine/conformance/x87_state_native_test.cc.
#include <memory>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "vxengine/machine/interpreter.h"

namespace vx {
namespace {

using Bytes = std::vector<uint8_t>;
using Stop = Interpreter::Stop;

constexpr uint32_t kCode = 0x10000;   // one executable page
constexpr uint32_t kData = 0x20000;   // one page to read and write, nothing behind
constexpr uint32_t kConst = 0x30000;  // one page to read
constexpr uint32_t kDataEnd = kData + Memory::kPageSize;

constexpr uint16_t kSummary = 0x8080;  // ES and B

class X87StateTest : public testing::Test {
 protected:
  X87StateTest() {
    memory_.Map(kCode >> 12, 1, Memory::kRead | Memory::kExecute);
    memory_.Map(kData >> 12, 1, Memory::kRead | Memory::kWrite);
    memory_.Map(kConst >> 12, 1, Memory::kRead);
    registers_.gpr[kEbx] = kData;
    for (uint16_t i = 0; i < 8; ++i) {
      x87().reg[i] = {.significand = uint64_t{1} << 63 | i, .sign_exponent = 0x3fff};
      registers_.xmm[i] = {{i, ~uint64_t{i}}};
    }
  }

  // Runs one instruction.
  Stop Run(const Bytes& bytes) {
    memory_.Initialize(kCode, bytes);
    registers_.eip = kCode;
    interpreter_ = std::make_unique<Interpreter>(&memory_, &registers_, profile_);
    return interpreter_->Run(1);
  }

  void ExpectTrap(const Bytes& bytes, const Trap& trap) {
    registers_.eip = kCode;
    const Registers before = registers_;
    ASSERT_EQ(Run(bytes), Stop::kTrap);
    EXPECT_EQ(interpreter_->trap().cause, trap.cause);
    EXPECT_EQ(interpreter_->trap(), trap);
    EXPECT_EQ(registers_, before);
  }

  static Trap Fault(Access access, uint32_t address) {
    return {.cause = TrapCause::kPageFault, .access = access, .address = address};
  }

  template <typename T = uint32_t>
  T Load(uint32_t address) {
    T value = 0;
    uint32_t fault;
    EXPECT_TRUE(memory_.Load(address, &value, &fault));
    return value;
  }

  template <typename T = uint32_t>
  void Store(uint32_t address, std::type_identity_t<T> value) {
    uint32_t fault;
    ASSERT_TRUE(memory_.Store(address, value, &fault));
  }

  void SetTop(unsigned top) { x87().status = static_cast<uint16_t>(top << 11); }

  X87State& x87() { return registers_.x87; }

  Memory memory_;
  Registers registers_;
  Profile profile_ = Profile::kVx2026;
  std::unique_ptr<Interpreter> interpreter_;
};

// [ebx] for all that take memory.
const Bytes kFldenv = {0xd9, 0x23}, kFldcw = {0xd9, 0x2b}, kFnstenv = {0xd9, 0x33},
            kFnstcw = {0xd9, 0x3b}, kFrstor = {0xdd, 0x23}, kFnsave = {0xdd, 0x33},
            kFnstsw = {0xdd, 0x3b}, kFxsave = {0x0f, 0xae, 0x03}, kFxrstor = {0x0f, 0xae, 0x0b};
const Bytes kFwait = {0x9b}, kFnop = {0xd9, 0xd0}, kFdecstp = {0xd9, 0xf6}, kFincstp = {0xd9, 0xf7},
            kFnclex = {0xdb, 0xe2}, kFninit = {0xdb, 0xe3}, kFnstswAx = {0xdf, 0xe0},
            kFfree1 = {0xdd, 0xc1};

TEST_F(X87StateTest, InitialisingKeepsTheRegisters) {
  x87().control = 0x40;
  x87().status = 0x3a81 | kSummary;
  x87().tag = 0;
  X87State expected = x87();
  expected.control = 0x37f;
  expected.status = 0;
  expected.tag = 0xffff;
  EXPECT_EQ(Run(kFninit), Stop::kBudget);
  EXPECT_EQ(x87(), expected);
}

TEST_F(X87StateTest, OnlyExistingControlBitsAreLoaded) {
  for (auto [loaded, kept] : {std::pair{0, 0x40}, {0xffff, 0x1f7f}, {0xf080, 0x1040}}) {
    Store<uint16_t>(kData, static_cast<uint16_t>(loaded));
    EXPECT_EQ(Run(kFldcw), Stop::kBudget);
    EXPECT_EQ(x87().control, kept);
    EXPECT_EQ(Run(kFnstcw), Stop::kBudget);
    EXPECT_EQ(Load<uint16_t>(kData), kept);
  }
}

TEST_F(X87StateTest, UnmaskingAFlagMakesItPending) {
  x87().status = 0x0004;
  Store<uint16_t>(kData, 0x37b);
  EXPECT_EQ(Run(kFldcw), Stop::kBudget);
  EXPECT_EQ(x87().status, 0x0004 | kSummary);
  EXPECT_EQ(Run(kFnstsw), Stop::kBudget);  // doesn't wait
  EXPECT_EQ(Load<uint16_t>(kData), 0x0004 | kSummary);
  registers_.gpr[kEax] = 0x12345678;
  EXPECT_EQ(Run(kFnstswAx), Stop::kBudget);
  EXPECT_EQ(registers_.gpr[kEax], 0x12340004u | kSummary);
  EXPECT_EQ(Run(kFnclex), Stop::kBudget);
  EXPECT_EQ(x87().status, 0);
}

TEST_F(X87StateTest, WaitingInstructionsTrapOnPendingExceptionsFirst) {
  x87().control = 0x340;
  x87().status = 0x0001 | kSummary;
  registers_.gpr[kEbx] = 0x5000;  // not mapped
  for (const Bytes& code : {kFwait, kFnop, kFldenv, kFldcw, kFrstor, kFdecstp, kFincstp, kFfree1}) {
    ExpectTrap(code, {.cause = TrapCause::kX87Error});
  }
  registers_.gpr[kEbx] = kData;
  for (const Bytes& code : {kFnstcw, kFnstsw, kFnstswAx, kFnstenv, kFxsave}) {
    EXPECT_EQ(Run(code), Stop::kBudget);
    x87().control = 0x340;
    x87().status = 0x0001 | kSummary;
  }
  EXPECT_EQ(Run(kFxrstor), Stop::kBudget);
}

TEST_F(X87StateTest, StoringTheEnvironmentMasksAllExceptions) {
  x87().control = 0x340;
  x87().status = 0x3801 | kSummary;
  x87().tag = 0x3fff;
  x87().reg[7] = {};
  EXPECT_EQ(Run(kFnstenv), Stop::kBudget);
  EXPECT_EQ(Load(kData), 0xffff0340u);
  EXPECT_EQ(Load(kData + 4), 0xffff3801u | kSummary);
  EXPECT_EQ(Load(kData + 8), 0xffff3fffu);
  EXPECT_EQ(Load(kData + 12), 0u);
  EXPECT_EQ(Load(kData + 16), 0u);
  EXPECT_EQ(Load(kData + 20), 0u);
  EXPECT_EQ(Load(kData + 24), 0xffff0000u);
  EXPECT_EQ(Load(kData + 28), 0u);
  EXPECT_EQ(x87().control, 0x37f);
  EXPECT_EQ(x87().status, 0x3801);
}

TEST_F(X87StateTest, LoadedTagsOnlySayWhatIsEmpty) {
  x87().reg[0] = {};                                                    // zero
  x87().reg[1] = {.significand = 1, .sign_exponent = 0};                // denormal
  x87().reg[2] = {.significand = 1ull << 63, .sign_exponent = 0xffff};  // infinity
  x87().reg[3] = {.significand = 1ull << 62, .sign_exponent = 0x3fff};  // unnormal
  x87().reg[4] = {.significand = 1ull << 63, .sign_exponent = 0x8000};  // pseudo-denormal
  Store(kData, 0x37f);
  Store(kData + 4, 0x8080);  // nothing is pending: the summary isn't kept
  Store(kData + 8, 0xc000);
  EXPECT_EQ(Run(kFldenv), Stop::kBudget);
  EXPECT_EQ(x87().tag, 0b11'00'00'10'10'10'10'01);
  EXPECT_EQ(x87().status, 0);
  x87().tag = 0;
  registers_.gpr[kEbx] = kConst;  // an FXSAVE image of zeroes: all empty
  EXPECT_EQ(Run(kFxrstor), Stop::kBudget);
  EXPECT_EQ(x87().tag, 0xffff);
}

TEST_F(X87StateTest, SavingStoresTheStackAndInitialises) {
  SetTop(3);
  x87().tag = 0;
  const X87State before = x87();
  EXPECT_EQ(Run(kFnsave), Stop::kBudget);
  EXPECT_EQ(Load<uint64_t>(kData + 28), before.reg[3].significand);
  EXPECT_EQ(Load<uint16_t>(kData + 36), before.reg[3].sign_exponent);
  EXPECT_EQ(Load<uint64_t>(kData + 98), before.reg[2].significand);
  EXPECT_EQ(Load<uint16_t>(kData + 108), 0);
  EXPECT_EQ(x87().status, 0);
  EXPECT_EQ(x87().tag, 0xffff);
  EXPECT_EQ(x87().reg, before.reg);
  x87().reg = {};
  EXPECT_EQ(Run(kFrstor), Stop::kBudget);
  EXPECT_EQ(x87(), before);
}

TEST_F(X87StateTest, FxsaveAndFxrstorMoveAllState) {
  SetTop(6);
  x87().status |= 0x0041;
  x87().control = 0x1c7f;
  x87().tag = 0x0fff;
  registers_.mxcsr = 0x9fc1;
  const Registers before = registers_;
  for (uint32_t n = 0; n < 512; n += 4) Store(kData + n, 0xa5a5a5a5);
  EXPECT_EQ(Run(kFxsave), Stop::kBudget);
  EXPECT_EQ(Load(kData), 0x30411c7fu);
  EXPECT_EQ(Load(kData + 4), 0xc0u);
  EXPECT_EQ(Load(kData + 8), 0u);
  EXPECT_EQ(Load(kData + 24), 0x9fc1u);
  EXPECT_EQ(Load(kData + 28), 0xffffu);
  EXPECT_EQ(Load<uint64_t>(kData + 32), before.x87.reg[6].significand);
  EXPECT_EQ(Load(kData + 40), 0x3fffu);
  EXPECT_EQ(Load<uint64_t>(kData + 280), ~uint64_t{7});
  for (uint32_t n = 288; n < 512; n += 4) EXPECT_EQ(Load(kData + n), 0xa5a5a5a5);
  registers_ = Registers();
  registers_.gpr = before.gpr;
  EXPECT_EQ(Run(kFxrstor), Stop::kBudget);
  EXPECT_EQ(registers_.x87, before.x87);
  EXPECT_EQ(registers_.xmm, before.xmm);
  EXPECT_EQ(registers_.mxcsr, before.mxcsr);
}

TEST_F(X87StateTest, FxrstorTakesNoMxcsrBitAbove15) {
  for (int bit = 16; bit < 32; ++bit) {
    Store(kData + 24, VX_INITIAL_MXCSR | 1u << bit);
    ExpectTrap(kFxrstor, {.cause = TrapCause::kGeneralProtection});
  }
}

TEST_F(X87StateTest, FxImagesAreAligned) {
  registers_.gpr[kEbx] = 0x5008;  // and not mapped
  ExpectTrap(kFxsave, {.cause = TrapCause::kGeneralProtection});
  ExpectTrap(kFxrstor, {.cause = TrapCause::kGeneralProtection});
}

TEST_F(X87StateTest, ImagesThatEndOutsideChangeNothing) {
  const std::pair<Bytes, uint32_t> kImages[] = {{kFnstenv, 28}, {kFnsave, 108}, {kFxsave, 512},
                                                {kFldenv, 28},  {kFrstor, 108}, {kFxrstor, 512}};
  for (size_t i = 0; i < std::size(kImages); ++i) {
    const auto& [code, size] = kImages[i];
    const Access access = i < 3 ? Access::kWrite : Access::kRead;
    registers_.gpr[kEbx] = kDataEnd - size + (size == 512 ? 16 : 1);
    ExpectTrap(code, Fault(access, kDataEnd));
    EXPECT_EQ(Load(kDataEnd - 4), 0u);
    registers_.gpr[kEbx] = kDataEnd - size;
    EXPECT_EQ(Run(code), Stop::kBudget);
    memory_.Unmap(kData >> 12, 1);
    memory_.Map(kData >> 12, 1, Memory::kRead | Memory::kWrite);
  }
  registers_.gpr[kEbx] = kConst;
  ExpectTrap(kFnsave, Fault(Access::kWrite, kConst));
  ExpectTrap(kFxsave, Fault(Access::kWrite, kConst));
}

TEST_F(X87StateTest, TheTopMovesRoundAndClearsC1) {
  x87().status = 0x7f00;
  EXPECT_EQ(Run(kFincstp), Stop::kBudget);
  EXPECT_EQ(x87().status, 0x4500);
  EXPECT_EQ(Run(kFdecstp), Stop::kBudget);
  EXPECT_EQ(x87().status, 0x7d00);
  EXPECT_EQ(x87().tag, 0xffff);
}

TEST_F(X87StateTest, FreeingEmptiesARegisterRelativeToTheTop) {
  SetTop(7);
  x87().tag = 0;
  EXPECT_EQ(Run(kFfree1), Stop::kBudget);
  EXPECT_EQ(x87().tag, 0x0003);
}

// Prefix 66 asks for images of 16-bit code. Elsewhere it means nothing.
TEST_F(X87StateTest, ThereAreNo16BitImages) {
  for (Bytes code : {kFldenv, kFnstenv, kFrstor, kFnsave}) {
    code.insert(code.begin(), 0x66);
    ExpectTrap(code, {.cause = TrapCause::kInvalidOpcode});
  }
  for (Bytes code : {kFldcw, kFnstcw, kFnstsw, kFnstswAx, kFninit, kFwait, kFincstp}) {
    code.insert(code.begin(), 0x66);
    EXPECT_EQ(Run(code), Stop::kBudget);
  }
}

TEST_F(X87StateTest, NeighboursInTheOpcodeMapAreInvalid) {
  for (const Bytes& code :
       {Bytes{0xd9, 0xd1}, Bytes{0xd9, 0xd7}, Bytes{0xdb, 0xe0}, Bytes{0xdb, 0xe1},
        Bytes{0xdb, 0xe4}, Bytes{0xdf, 0xe1}, Bytes{0xdb, 0x23}, Bytes{0xd9, 0x0b},
        Bytes{0x66, 0x0f, 0xae, 0x03}, Bytes{0xf3, 0x0f, 0xae, 0xc0}, Bytes{0xdd, 0xf0},
        Bytes{0xf0, 0xd9, 0x3b}}) {
    ExpectTrap(code, {.cause = TrapCause::kInvalidOpcode});
  }
}

TEST_F(X87StateTest, TheIntegerProfileHasNone) {
  profile_ = Profile::kVx2026Int;
  for (const Bytes& code :
       {kFldenv, kFldcw, kFnstenv, kFnstcw, kFrstor, kFnsave, kFnstsw, kFxsave, kFxrstor, kFwait,
        kFnop, kFdecstp, kFincstp, kFnclex, kFninit, kFnstswAx, kFfree1}) {
    ExpectTrap(code, {.cause = TrapCause::kInvalidOpcode});
  }
}

}  // namespace
}  // namespace vx
