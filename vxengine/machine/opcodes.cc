// The instructions of profile vx-2026, in the order of their opcodes (Intel SDM vol. 2D, appendix
// A). What isn't here is #UD.

#include "vxengine/machine/opcodes.h"

#include "vxengine/machine/families.h"

namespace vx {
namespace {

// For which of the mandatory prefixes a row is: SSE opcodes have one meaning for each.
enum Prefixes : uint8_t { kNp = 1, k66 = 2, kF3 = 4, kF2 = 8, kAny = 15 };

// For which values of ModRM.reg: one of them, all (it names a register or means nothing), or all
// with a family for each.
enum Digit : uint8_t { k0, k1, k2, k3, k4, k5, k6, k7, kAll, kEach };

constexpr unsigned k0f = kTwoByte;

struct Row {
  unsigned first;        // the first opcode
  unsigned count, step;  // how many, and how far apart
  Prefixes prefixes;
  Digit digit;
  uint16_t format;
  const Family* family;  // one for each opcode (but with kOpcodeRegister: one for all) or digit
};

constexpr uint16_t kImm8 = kImmediate8, kImmZ = kImmediateZ;
constexpr uint16_t kRel8 = kImmediate8 | kRelative | kBranch;
constexpr uint16_t kRelZ = kImmediateZ | kRelative | kBranch;
constexpr uint16_t kX = kModRm | kFloatingState;

// For x87 instructions without a memory operand.
constexpr unsigned X87Code(unsigned opcode, unsigned modrm) {
  return kX87Register + (opcode & 7) * 8 + (modrm >> 3 & 7);
}

constexpr Row kRows[] = {
    {0, 0, 0, kAny, kAll, 0, nullptr},       // #UD
    {0, 0, 0, kAny, kAll, kModRm, nullptr},  // #UD where other digits are not

    // One byte.
    {0x00, 8, 8, kAny, kAll, kModRm | kByte, kArithmeticRmReg.data()},
    {0x01, 8, 8, kAny, kAll, kModRm, kArithmeticRmReg.data()},
    {0x02, 8, 8, kAny, kAll, kModRm | kByte, kArithmeticRegRm.data()},
    {0x03, 8, 8, kAny, kAll, kModRm, kArithmeticRegRm.data()},
    {0x04, 8, 8, kAny, kAll, kByte | kImm8, kArithmeticImmediate.data()},
    {0x05, 8, 8, kAny, kAll, kImmZ, kArithmeticImmediate.data()},
    {0x27, 1, 1, kAny, kAll, 0, &kDaa},
    {0x2f, 1, 1, kAny, kAll, 0, &kDas},
    {0x37, 1, 1, kAny, kAll, 0, &kAaa},
    {0x3f, 1, 1, kAny, kAll, 0, &kAas},
    {0x40, 8, 1, kAny, kAll, kOpcodeRegister, &kInc},
    {0x48, 8, 1, kAny, kAll, kOpcodeRegister, &kDec},
    {0x50, 8, 1, kAny, kAll, kOpcodeRegister, &kPush},
    {0x58, 8, 1, kAny, kAll, kOpcodeRegister, &kPop},
    {0x60, 1, 1, kAny, kAll, 0, &kPusha},
    {0x61, 1, 1, kAny, kAll, 0, &kPopa},
    {0x62, 1, 1, kAny, kAll, kModRm, &kBound},
    {0x68, 1, 1, kAny, kAll, kImmZ, &kPushImmediate},
    {0x69, 1, 1, kAny, kAll, kModRm | kImmZ, &kImulImmediate},
    {0x6a, 1, 1, kAny, kAll, kImm8, &kPushImmediate},
    {0x6b, 1, 1, kAny, kAll, kModRm | kImm8, &kImulImmediate},
    {0x70, 16, 1, kAny, kAll, kRel8, kJcc.data()},
    {0x80, 1, 1, kAny, kEach, kModRm | kByte | kImm8, kArithmeticImmediate.data()},
    {0x81, 1, 1, kAny, kEach, kModRm | kImmZ, kArithmeticImmediate.data()},
    {0x83, 1, 1, kAny, kEach, kModRm | kImm8, kArithmeticImmediate.data()},
    {0x84, 1, 1, kAny, kAll, kModRm | kByte, &kTestReg},
    {0x85, 1, 1, kAny, kAll, kModRm, &kTestReg},
    {0x86, 1, 1, kAny, kAll, kModRm | kByte, &kXchg},
    {0x87, 1, 1, kAny, kAll, kModRm, &kXchg},
    {0x88, 1, 1, kAny, kAll, kModRm | kByte, &kMovRmReg},
    {0x89, 1, 1, kAny, kAll, kModRm, &kMovRmReg},
    {0x8a, 1, 1, kAny, kAll, kModRm | kByte, &kMovRegRm},
    {0x8b, 1, 1, kAny, kAll, kModRm, &kMovRegRm},
    {0x8d, 1, 1, kAny, kAll, kModRm, &kLea},
    {0x8f, 1, 1, kAny, k0, kModRm, &kPop},
    {0x90, 8, 1, kAny, kAll, kOpcodeRegister, &kXchgAccumulator},  // 90: NOP and, with F3, PAUSE
    {0x98, 1, 1, kAny, kAll, 0, &kExtendAccumulator},
    {0x99, 1, 1, kAny, kAll, 0, &kExtendIntoD},
    {0x9b, 1, 1, kAny, kAll, kFloatingState, &kFwait},
    {0x9c, 1, 1, kAny, kAll, 0, &kPushf},
    {0x9d, 1, 1, kAny, kAll, 0, &kPopf},
    {0x9e, 1, 1, kAny, kAll, 0, &kSahf},
    {0x9f, 1, 1, kAny, kAll, 0, &kLahf},
    {0xa0, 1, 1, kAny, kAll, kMemoryOffset | kByte, &kMovRegRm},
    {0xa1, 1, 1, kAny, kAll, kMemoryOffset, &kMovRegRm},
    {0xa2, 1, 1, kAny, kAll, kMemoryOffset | kByte, &kMovRmReg},
    {0xa3, 1, 1, kAny, kAll, kMemoryOffset, &kMovRmReg},
    {0xa4, 1, 1, kAny, kAll, kString | kByte, kMovs.data()},
    {0xa5, 1, 1, kAny, kAll, kString, kMovs.data()},
    {0xa6, 1, 1, kAny, kAll, kString | kByte, kCmps.data()},
    {0xa7, 1, 1, kAny, kAll, kString, kCmps.data()},
    {0xa8, 1, 1, kAny, kAll, kByte | kImm8, &kTestImmediate},
    {0xa9, 1, 1, kAny, kAll, kImmZ, &kTestImmediate},
    {0xaa, 1, 1, kAny, kAll, kString | kByte, kStos.data()},
    {0xab, 1, 1, kAny, kAll, kString, kStos.data()},
    {0xac, 1, 1, kAny, kAll, kString | kByte, kLods.data()},
    {0xad, 1, 1, kAny, kAll, kString, kLods.data()},
    {0xae, 1, 1, kAny, kAll, kString | kByte, kScas.data()},
    {0xaf, 1, 1, kAny, kAll, kString, kScas.data()},
    {0xb0, 8, 1, kAny, kAll, kOpcodeRegister | kByte | kImm8, &kMovImmediate},
    {0xb8, 8, 1, kAny, kAll, kOpcodeRegister | kImmZ, &kMovImmediate},
    {0xc0, 1, 1, kAny, kEach, kModRm | kByte | kImm8, kShiftImmediate.data()},
    {0xc1, 1, 1, kAny, kEach, kModRm | kImm8, kShiftImmediate.data()},
    {0xc2, 1, 1, kAny, kAll, kImmediate16 | kBranch, &kReturn},
    {0xc3, 1, 1, kAny, kAll, kBranch, &kReturn},
    {0xc6, 1, 1, kAny, k0, kModRm | kByte | kImm8, &kMovImmediate},
    {0xc7, 1, 1, kAny, k0, kModRm | kImmZ, &kMovImmediate},
    {0xc8, 1, 1, kAny, kAll, kImmediate16 | kImmediate8, &kEnter},
    {0xc9, 1, 1, kAny, kAll, 0, &kLeave},
    {0xcc, 1, 1, kAny, kAll, kEndsBlock, &kInt3},
    {0xce, 1, 1, kAny, kAll, 0, &kInto},
    {0xd0, 1, 1, kAny, kEach, kModRm | kByte, kShiftOne.data()},
    {0xd1, 1, 1, kAny, kEach, kModRm, kShiftOne.data()},
    {0xd2, 1, 1, kAny, kEach, kModRm | kByte, kShiftCl.data()},
    {0xd3, 1, 1, kAny, kEach, kModRm, kShiftCl.data()},
    {0xd4, 1, 1, kAny, kAll, kImm8, &kAam},
    {0xd5, 1, 1, kAny, kAll, kImm8, &kAad},
    {0xd7, 1, 1, kAny, kAll, 0, &kXlat},
    {0xe0, 4, 1, kAny, kAll, kRel8, kLoop.data()},
    {0xe8, 1, 1, kAny, kAll, kRelZ, &kCall},
    {0xe9, 1, 1, kAny, kAll, kRelZ, &kJump},
    {0xeb, 1, 1, kAny, kAll, kRel8, &kJump},
    {0xf5, 1, 1, kAny, kAll, 0, &kCmc},
    {0xf6, 1, 1, kAny, k0, kModRm | kByte | kImm8, &kTestImmediate},
    {0xf6, 1, 1, kAny, k1, kModRm | kByte | kImm8, &kTestImmediate},
    {0xf6, 1, 1, kAny, k2, kModRm | kByte, &kNot},
    {0xf6, 1, 1, kAny, k3, kModRm | kByte, &kNeg},
    {0xf6, 1, 1, kAny, k4, kModRm | kByte, &kMul},
    {0xf6, 1, 1, kAny, k5, kModRm | kByte, &kImulAccumulator},
    {0xf6, 1, 1, kAny, k6, kModRm | kByte, &kDiv},
    {0xf6, 1, 1, kAny, k7, kModRm | kByte, &kIdiv},
    {0xf7, 1, 1, kAny, k0, kModRm | kImmZ, &kTestImmediate},
    {0xf7, 1, 1, kAny, k1, kModRm | kImmZ, &kTestImmediate},
    {0xf7, 1, 1, kAny, k2, kModRm, &kNot},
    {0xf7, 1, 1, kAny, k3, kModRm, &kNeg},
    {0xf7, 1, 1, kAny, k4, kModRm, &kMul},
    {0xf7, 1, 1, kAny, k5, kModRm, &kImulAccumulator},
    {0xf7, 1, 1, kAny, k6, kModRm, &kDiv},
    {0xf7, 1, 1, kAny, k7, kModRm, &kIdiv},
    {0xf8, 1, 1, kAny, kAll, 0, &kClc},
    {0xf9, 1, 1, kAny, kAll, 0, &kStc},
    {0xfc, 1, 1, kAny, kAll, 0, &kCld},
    {0xfd, 1, 1, kAny, kAll, 0, &kStd},
    {0xfe, 1, 1, kAny, k0, kModRm | kByte, &kInc},
    {0xfe, 1, 1, kAny, k1, kModRm | kByte, &kDec},
    {0xff, 1, 1, kAny, k0, kModRm, &kInc},
    {0xff, 1, 1, kAny, k1, kModRm, &kDec},
    {0xff, 1, 1, kAny, k2, kModRm | kBranch, &kCallRm},
    {0xff, 1, 1, kAny, k4, kModRm | kBranch, &kJumpRm},
    {0xff, 1, 1, kAny, k6, kModRm, &kPush},

    // Two bytes.
    {k0f + 0x05, 1, 1, kAny, kAll, kEndsBlock, &kSystemCall},
    {k0f + 0x18, 1, 1, kAny, kAll, kModRm, &kNop},  // PREFETCHh
    {k0f + 0x19, 1, 1, kAny, kAll, kModRm, &kNop},
    {k0f + 0x1a, 1, 1, kAny, kAll, kModRm, &kNop},
    {k0f + 0x1b, 1, 1, kAny, kAll, kModRm, &kNop},
    {k0f + 0x1c, 1, 1, kAny, kAll, kModRm, &kNop},
    {k0f + 0x1d, 1, 1, kAny, kAll, kModRm, &kNop},
    {k0f + 0x1e, 1, 1, kAny, kAll, kModRm, &kNop},     // with F3: ENDBR32
    {k0f + 0x1e, 1, 1, kF3, k1, kModRm, &kMemoryNop},  // the register form: RDSSP, #UD
    {k0f + 0x1f, 1, 1, kAny, kAll, kModRm, &kNop},
    {k0f + 0x40, 16, 1, kAny, kAll, kModRm, kCmov.data()},
    {k0f + 0x80, 16, 1, kAny, kAll, kRelZ, kJcc.data()},
    {k0f + 0x90, 16, 1, kAny, kAll, kModRm | kByte, kSetcc.data()},
    {k0f + 0xa2, 1, 1, kAny, kAll, 0, &kCpuidInstruction},
    {k0f + 0xa3, 4, 8, kAny, kAll, kModRm, kBitTestReg.data()},
    {k0f + 0xa4, 1, 1, kAny, kAll, kModRm | kImm8, &kShldImmediate},
    {k0f + 0xa5, 1, 1, kAny, kAll, kModRm, &kShldCl},
    {k0f + 0xac, 1, 1, kAny, kAll, kModRm | kImm8, &kShrdImmediate},
    {k0f + 0xad, 1, 1, kAny, kAll, kModRm, &kShrdCl},
    {k0f + 0xae, 1, 1, kNp, k0, kX, &kFxsave},
    {k0f + 0xae, 1, 1, kNp, k1, kX, &kFxrstor},
    {k0f + 0xae, 1, 1, kNp, k2, kX, &kLdmxcsr},
    {k0f + 0xae, 1, 1, kNp, k3, kX, &kStmxcsr},
    {k0f + 0xae, 1, 1, kNp, k5, kModRm, &kFence},
    {k0f + 0xae, 1, 1, kNp, k6, kModRm, &kFence},
    {k0f + 0xae, 1, 1, kNp, k7, kModRm, &kFenceOrClflush},
    {k0f + 0xaf, 1, 1, kAny, kAll, kModRm, &kImulReg},
    {k0f + 0xb0, 1, 1, kAny, kAll, kModRm | kByte, &kCmpxchg},
    {k0f + 0xb1, 1, 1, kAny, kAll, kModRm, &kCmpxchg},
    {k0f + 0xb6, 1, 1, kAny, kAll, kModRm, &kMovzxByte},
    {k0f + 0xb7, 1, 1, kAny, kAll, kModRm, &kMovzxWord},
    {k0f + 0xba, 1, 1, kAny, k4, kModRm | kImm8, &kBitTestImmediate[0]},
    {k0f + 0xba, 1, 1, kAny, k5, kModRm | kImm8, &kBitTestImmediate[1]},
    {k0f + 0xba, 1, 1, kAny, k6, kModRm | kImm8, &kBitTestImmediate[2]},
    {k0f + 0xba, 1, 1, kAny, k7, kModRm | kImm8, &kBitTestImmediate[3]},
    {k0f + 0xbc, 1, 1, kAny, kAll, kModRm, &kBsf},
    {k0f + 0xbd, 1, 1, kAny, kAll, kModRm, &kBsr},
    {k0f + 0xbe, 1, 1, kAny, kAll, kModRm, &kMovsxByte},
    {k0f + 0xbf, 1, 1, kAny, kAll, kModRm, &kMovsxWord},
    {k0f + 0xc0, 1, 1, kAny, kAll, kModRm | kByte, &kXadd},
    {k0f + 0xc1, 1, 1, kAny, kAll, kModRm, &kXadd},
    {k0f + 0xc3, 1, 1, kNp, kAll, kModRm, &kMovnti},
    {k0f + 0xc7, 1, 1, kAny, k1, kModRm, &kCmpxchg8b},
    {k0f + 0xc8, 8, 1, kAny, kAll, kOpcodeRegister, &kBswap},

    // x87 with a memory operand.
    {0xd8, 1, 1, kAny, kEach, kX, kX87WithFloat32.data()},
    {0xd9, 1, 1, kAny, k0, kX, &kFldFloat32},
    {0xd9, 1, 1, kAny, k2, kX, &kFstFloat32},
    {0xd9, 1, 1, kAny, k3, kX, &kFstpFloat32},
    {0xd9, 1, 1, kAny, k4, kX, &kFldenv},
    {0xd9, 1, 1, kAny, k5, kX, &kFldcw},
    {0xd9, 1, 1, kAny, k6, kX, &kFnstenv},
    {0xd9, 1, 1, kAny, k7, kX, &kFnstcw},
    {0xda, 1, 1, kAny, kEach, kX, kX87WithInt32.data()},
    {0xdb, 1, 1, kAny, k0, kX, &kFildInt32},
    {0xdb, 1, 1, kAny, k2, kX, &kFistInt32},
    {0xdb, 1, 1, kAny, k3, kX, &kFistpInt32},
    {0xdb, 1, 1, kAny, k5, kX, &kFldFloat80},
    {0xdb, 1, 1, kAny, k7, kX, &kFstpFloat80},
    {0xdc, 1, 1, kAny, kEach, kX, kX87WithFloat64.data()},
    {0xdd, 1, 1, kAny, k0, kX, &kFldFloat64},
    {0xdd, 1, 1, kAny, k2, kX, &kFstFloat64},
    {0xdd, 1, 1, kAny, k3, kX, &kFstpFloat64},
    {0xdd, 1, 1, kAny, k4, kX, &kFrstor},
    {0xdd, 1, 1, kAny, k6, kX, &kFnsave},
    {0xdd, 1, 1, kAny, k7, kX, &kFnstsw},
    {0xde, 1, 1, kAny, kEach, kX, kX87WithInt16.data()},
    {0xdf, 1, 1, kAny, k0, kX, &kFildInt16},
    {0xdf, 1, 1, kAny, k2, kX, &kFistInt16},
    {0xdf, 1, 1, kAny, k3, kX, &kFistpInt16},
    {0xdf, 1, 1, kAny, k4, kX, &kFbld},
    {0xdf, 1, 1, kAny, k5, kX, &kFildInt64},
    {0xdf, 1, 1, kAny, k6, kX, &kFbstp},
    {0xdf, 1, 1, kAny, k7, kX, &kFistpInt64},

    // Without: ModRM is more opcode then, by bytes from C0, C8, ... FF. The digit is ModRM.rm,
    // which names ST(i) where it is kAll.
    {X87Code(0xd8, 0xc0), 8, 1, kAny, kAll, kX, kX87ToTop.data()},
    {X87Code(0xd9, 0xc0), 1, 1, kAny, kAll, kX, &kFldSt},
    {X87Code(0xd9, 0xc8), 1, 1, kAny, kAll, kX, &kFxch},
    {X87Code(0xd9, 0xd0), 1, 1, kAny, k0, kX, &kFnop},
    {X87Code(0xd9, 0xe0), 1, 1, kAny, k0, kX, &kFchs},
    {X87Code(0xd9, 0xe0), 1, 1, kAny, k1, kX, &kFabs},
    {X87Code(0xd9, 0xe0), 1, 1, kAny, k4, kX, &kFtst},
    {X87Code(0xd9, 0xe0), 1, 1, kAny, k5, kX, &kFxam},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k0, kX, &kX87Constants[0]},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k1, kX, &kX87Constants[1]},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k2, kX, &kX87Constants[2]},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k3, kX, &kX87Constants[3]},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k4, kX, &kX87Constants[4]},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k5, kX, &kX87Constants[5]},
    {X87Code(0xd9, 0xe8), 1, 1, kAny, k6, kX, &kX87Constants[6]},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k0, kX, &kF2xm1},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k1, kX, &kFyl2x},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k2, kX, &kFptan},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k3, kX, &kFpatan},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k4, kX, &kFxtract},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k5, kX, &kFprem1},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k6, kX, &kFdecstp},
    {X87Code(0xd9, 0xf0), 1, 1, kAny, k7, kX, &kFincstp},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k0, kX, &kFprem},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k1, kX, &kFyl2xp1},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k2, kX, &kFsqrt},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k3, kX, &kFsincos},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k4, kX, &kFrndint},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k5, kX, &kFscale},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k6, kX, &kFsin},
    {X87Code(0xd9, 0xf8), 1, 1, kAny, k7, kX, &kFcos},
    {X87Code(0xda, 0xc0), 4, 1, kAny, kAll, kX, kFcmov.data()},
    {X87Code(0xda, 0xe8), 1, 1, kAny, k1, kX, &kFucompp},
    {X87Code(0xdb, 0xc0), 4, 1, kAny, kAll, kX, kFcmovn.data()},
    {X87Code(0xdb, 0xe0), 1, 1, kAny, k2, kX, &kFnclex},
    {X87Code(0xdb, 0xe0), 1, 1, kAny, k3, kX, &kFninit},
    {X87Code(0xdb, 0xe8), 1, 1, kAny, kAll, kX, &kFucomi},
    {X87Code(0xdb, 0xf0), 1, 1, kAny, kAll, kX, &kFcomi},
    {X87Code(0xdc, 0xc0), 8, 1, kAny, kAll, kX, kX87ToOther.data()},
    {X87Code(0xdd, 0xc0), 1, 1, kAny, kAll, kX, &kFfree},
    {X87Code(0xdd, 0xd0), 1, 1, kAny, kAll, kX, &kFstSt},
    {X87Code(0xdd, 0xd8), 1, 1, kAny, kAll, kX, &kFstpSt},
    {X87Code(0xdd, 0xe0), 1, 1, kAny, kAll, kX, &kFucom},
    {X87Code(0xdd, 0xe8), 1, 1, kAny, kAll, kX, &kFucomp},
    {X87Code(0xde, 0xc0), 8, 1, kAny, kAll, kX, kX87ToOtherAndPop.data()},
    {X87Code(0xde, 0xd8), 1, 1, kAny, k1, kX, &kFcompp},
    {X87Code(0xdf, 0xe0), 1, 1, kAny, k0, kX, &kFnstswAx},
    {X87Code(0xdf, 0xe8), 1, 1, kAny, kAll, kX, &kFucomip},
    {X87Code(0xdf, 0xf0), 1, 1, kAny, kAll, kX, &kFcomip},

    // SSE.
    {k0f + 0x10, 1, 1, kNp, kAll, kX, &kMovUnalignedLoad},  // MOVUPS
    {k0f + 0x10, 1, 1, k66, kAll, kX, &kMovUnalignedLoad},  // MOVUPD
    {k0f + 0x10, 1, 1, kF3, kAll, kX, &kMovssLoad},
    {k0f + 0x10, 1, 1, kF2, kAll, kX, &kMovsdLoad},
    {k0f + 0x11, 1, 1, kNp, kAll, kX, &kMovUnalignedStore},  // MOVUPS
    {k0f + 0x11, 1, 1, k66, kAll, kX, &kMovUnalignedStore},  // MOVUPD
    {k0f + 0x11, 1, 1, kF3, kAll, kX, &kMovssStore},
    {k0f + 0x11, 1, 1, kF2, kAll, kX, &kMovsdStore},
    {k0f + 0x12, 1, 1, kNp, kAll, kX, &kMovlpsLoad},
    {k0f + 0x12, 1, 1, k66, kAll, kX, &kMovlpdLoad},
    {k0f + 0x13, 1, 1, kNp, kAll, kX, &kMovLowStore},   // MOVLPS
    {k0f + 0x13, 1, 1, k66, kAll, kX, &kMovLowStore},   // MOVLPD
    {k0f + 0x14, 1, 1, kNp, kAll, kX, &kUnpackLow32},   // UNPCKLPS
    {k0f + 0x14, 1, 1, k66, kAll, kX, &kUnpackLow64},   // UNPCKLPD
    {k0f + 0x15, 1, 1, kNp, kAll, kX, &kUnpackHigh32},  // UNPCKHPS
    {k0f + 0x15, 1, 1, k66, kAll, kX, &kUnpackHigh64},  // UNPCKHPD
    {k0f + 0x16, 1, 1, kNp, kAll, kX, &kMovhpsLoad},
    {k0f + 0x16, 1, 1, k66, kAll, kX, &kMovhpdLoad},
    {k0f + 0x17, 1, 1, kNp, kAll, kX, &kMovHighStore},     // MOVHPS
    {k0f + 0x17, 1, 1, k66, kAll, kX, &kMovHighStore},     // MOVHPD
    {k0f + 0x28, 1, 1, kNp, kAll, kX, &kMovAlignedLoad},   // MOVAPS
    {k0f + 0x28, 1, 1, k66, kAll, kX, &kMovAlignedLoad},   // MOVAPD
    {k0f + 0x29, 1, 1, kNp, kAll, kX, &kMovAlignedStore},  // MOVAPS
    {k0f + 0x29, 1, 1, k66, kAll, kX, &kMovAlignedStore},  // MOVAPD
    {k0f + 0x2a, 1, 1, kF3, kAll, kX, &kCvtsi2ss},
    {k0f + 0x2a, 1, 1, kF2, kAll, kX, &kCvtsi2sd},
    {k0f + 0x2b, 1, 1, kNp, kAll, kX, &kMovNonTemporal},  // MOVNTPS
    {k0f + 0x2b, 1, 1, k66, kAll, kX, &kMovNonTemporal},  // MOVNTPD
    {k0f + 0x2c, 1, 1, kF3, kAll, kX, &kCvttss2si},
    {k0f + 0x2c, 1, 1, kF2, kAll, kX, &kCvttsd2si},
    {k0f + 0x2d, 1, 1, kF3, kAll, kX, &kCvtss2si},
    {k0f + 0x2d, 1, 1, kF2, kAll, kX, &kCvtsd2si},
    {k0f + 0x2e, 1, 1, kNp, kAll, kX, &kUcomiss},
    {k0f + 0x2e, 1, 1, k66, kAll, kX, &kUcomisd},
    {k0f + 0x2f, 1, 1, kNp, kAll, kX, &kComiss},
    {k0f + 0x2f, 1, 1, k66, kAll, kX, &kComisd},
    {k0f + 0x50, 1, 1, kNp, kAll, kX, &kMovmskps},
    {k0f + 0x50, 1, 1, k66, kAll, kX, &kMovmskpd},
    {k0f + 0x51, 1, 1, kNp, kAll, kX, &kSseSqrt[0]},
    {k0f + 0x51, 1, 1, k66, kAll, kX, &kSseSqrt[1]},
    {k0f + 0x51, 1, 1, kF3, kAll, kX, &kSseSqrt[2]},
    {k0f + 0x51, 1, 1, kF2, kAll, kX, &kSseSqrt[3]},
    {k0f + 0x54, 1, 1, kNp, kAll, kX, &kSseAnd},     // ANDPS
    {k0f + 0x54, 1, 1, k66, kAll, kX, &kSseAnd},     // ANDPD
    {k0f + 0x55, 1, 1, kNp, kAll, kX, &kSseAndNot},  // ANDNPS
    {k0f + 0x55, 1, 1, k66, kAll, kX, &kSseAndNot},  // ANDNPD
    {k0f + 0x56, 1, 1, kNp, kAll, kX, &kSseOr},      // ORPS
    {k0f + 0x56, 1, 1, k66, kAll, kX, &kSseOr},      // ORPD
    {k0f + 0x57, 1, 1, kNp, kAll, kX, &kSseXor},     // XORPS
    {k0f + 0x57, 1, 1, k66, kAll, kX, &kSseXor},     // XORPD
    {k0f + 0x58, 1, 1, kNp, kAll, kX, &kSseAdd[0]},
    {k0f + 0x58, 1, 1, k66, kAll, kX, &kSseAdd[1]},
    {k0f + 0x58, 1, 1, kF3, kAll, kX, &kSseAdd[2]},
    {k0f + 0x58, 1, 1, kF2, kAll, kX, &kSseAdd[3]},
    {k0f + 0x59, 1, 1, kNp, kAll, kX, &kSseMul[0]},
    {k0f + 0x59, 1, 1, k66, kAll, kX, &kSseMul[1]},
    {k0f + 0x59, 1, 1, kF3, kAll, kX, &kSseMul[2]},
    {k0f + 0x59, 1, 1, kF2, kAll, kX, &kSseMul[3]},
    {k0f + 0x5a, 1, 1, kNp, kAll, kX, &kCvtps2pd},
    {k0f + 0x5a, 1, 1, k66, kAll, kX, &kCvtpd2ps},
    {k0f + 0x5a, 1, 1, kF3, kAll, kX, &kCvtss2sd},
    {k0f + 0x5a, 1, 1, kF2, kAll, kX, &kCvtsd2ss},
    {k0f + 0x5b, 1, 1, kNp, kAll, kX, &kCvtdq2ps},
    {k0f + 0x5b, 1, 1, k66, kAll, kX, &kCvtps2dq},
    {k0f + 0x5b, 1, 1, kF3, kAll, kX, &kCvttps2dq},
    {k0f + 0x5c, 1, 1, kNp, kAll, kX, &kSseSub[0]},
    {k0f + 0x5c, 1, 1, k66, kAll, kX, &kSseSub[1]},
    {k0f + 0x5c, 1, 1, kF3, kAll, kX, &kSseSub[2]},
    {k0f + 0x5c, 1, 1, kF2, kAll, kX, &kSseSub[3]},
    {k0f + 0x5d, 1, 1, kNp, kAll, kX, &kSseMin[0]},
    {k0f + 0x5d, 1, 1, k66, kAll, kX, &kSseMin[1]},
    {k0f + 0x5d, 1, 1, kF3, kAll, kX, &kSseMin[2]},
    {k0f + 0x5d, 1, 1, kF2, kAll, kX, &kSseMin[3]},
    {k0f + 0x5e, 1, 1, kNp, kAll, kX, &kSseDiv[0]},
    {k0f + 0x5e, 1, 1, k66, kAll, kX, &kSseDiv[1]},
    {k0f + 0x5e, 1, 1, kF3, kAll, kX, &kSseDiv[2]},
    {k0f + 0x5e, 1, 1, kF2, kAll, kX, &kSseDiv[3]},
    {k0f + 0x5f, 1, 1, kNp, kAll, kX, &kSseMax[0]},
    {k0f + 0x5f, 1, 1, k66, kAll, kX, &kSseMax[1]},
    {k0f + 0x5f, 1, 1, kF3, kAll, kX, &kSseMax[2]},
    {k0f + 0x5f, 1, 1, kF2, kAll, kX, &kSseMax[3]},
    {k0f + 0x60, 1, 1, k66, kAll, kX, &kPunpcklbw},
    {k0f + 0x61, 1, 1, k66, kAll, kX, &kPunpcklwd},
    {k0f + 0x62, 1, 1, k66, kAll, kX, &kUnpackLow32},  // PUNPCKLDQ
    {k0f + 0x63, 1, 1, k66, kAll, kX, &kPacksswb},
    {k0f + 0x64, 1, 1, k66, kAll, kX, &kPcmpgtb},
    {k0f + 0x65, 1, 1, k66, kAll, kX, &kPcmpgtw},
    {k0f + 0x66, 1, 1, k66, kAll, kX, &kPcmpgtd},
    {k0f + 0x67, 1, 1, k66, kAll, kX, &kPackuswb},
    {k0f + 0x68, 1, 1, k66, kAll, kX, &kPunpckhbw},
    {k0f + 0x69, 1, 1, k66, kAll, kX, &kPunpckhwd},
    {k0f + 0x6a, 1, 1, k66, kAll, kX, &kUnpackHigh32},  // PUNPCKHDQ
    {k0f + 0x6b, 1, 1, k66, kAll, kX, &kPackssdw},
    {k0f + 0x6c, 1, 1, k66, kAll, kX, &kUnpackLow64},   // PUNPCKLQDQ
    {k0f + 0x6d, 1, 1, k66, kAll, kX, &kUnpackHigh64},  // PUNPCKHQDQ
    {k0f + 0x6e, 1, 1, k66, kAll, kX, &kMovdLoad},
    {k0f + 0x6f, 1, 1, k66, kAll, kX, &kMovAlignedLoad},    // MOVDQA
    {k0f + 0x6f, 1, 1, kF3, kAll, kX, &kMovUnalignedLoad},  // MOVDQU
    {k0f + 0x70, 1, 1, k66, kAll, kX | kImm8, &kPshufd},
    {k0f + 0x70, 1, 1, kF3, kAll, kX | kImm8, &kPshufhw},
    {k0f + 0x70, 1, 1, kF2, kAll, kX | kImm8, &kPshuflw},
    {k0f + 0x71, 1, 1, k66, k2, kX | kImm8, &kPsrlwImmediate},
    {k0f + 0x71, 1, 1, k66, k4, kX | kImm8, &kPsrawImmediate},
    {k0f + 0x71, 1, 1, k66, k6, kX | kImm8, &kPsllwImmediate},
    {k0f + 0x72, 1, 1, k66, k2, kX | kImm8, &kPsrldImmediate},
    {k0f + 0x72, 1, 1, k66, k4, kX | kImm8, &kPsradImmediate},
    {k0f + 0x72, 1, 1, k66, k6, kX | kImm8, &kPslldImmediate},
    {k0f + 0x73, 1, 1, k66, k2, kX | kImm8, &kPsrlqImmediate},
    {k0f + 0x73, 1, 1, k66, k3, kX | kImm8, &kPsrldq},
    {k0f + 0x73, 1, 1, k66, k6, kX | kImm8, &kPsllqImmediate},
    {k0f + 0x73, 1, 1, k66, k7, kX | kImm8, &kPslldq},
    {k0f + 0x74, 1, 1, k66, kAll, kX, &kPcmpeqb},
    {k0f + 0x75, 1, 1, k66, kAll, kX, &kPcmpeqw},
    {k0f + 0x76, 1, 1, k66, kAll, kX, &kPcmpeqd},
    {k0f + 0x7e, 1, 1, k66, kAll, kX, &kMovdStore},
    {k0f + 0x7e, 1, 1, kF3, kAll, kX, &kMovqLoad},
    {k0f + 0x7f, 1, 1, k66, kAll, kX, &kMovAlignedStore},    // MOVDQA
    {k0f + 0x7f, 1, 1, kF3, kAll, kX, &kMovUnalignedStore},  // MOVDQU
    {k0f + 0xc2, 1, 1, kNp, kAll, kX | kImm8, &kSseCmp[0]},
    {k0f + 0xc2, 1, 1, k66, kAll, kX | kImm8, &kSseCmp[1]},
    {k0f + 0xc2, 1, 1, kF3, kAll, kX | kImm8, &kSseCmp[2]},
    {k0f + 0xc2, 1, 1, kF2, kAll, kX | kImm8, &kSseCmp[3]},
    {k0f + 0xc4, 1, 1, k66, kAll, kX | kImm8, &kPinsrw},
    {k0f + 0xc5, 1, 1, k66, kAll, kX | kImm8, &kPextrw},
    {k0f + 0xc6, 1, 1, kNp, kAll, kX | kImm8, &kShufps},
    {k0f + 0xc6, 1, 1, k66, kAll, kX | kImm8, &kShufpd},
    {k0f + 0xd1, 1, 1, k66, kAll, kX, &kPsrlw},
    {k0f + 0xd2, 1, 1, k66, kAll, kX, &kPsrld},
    {k0f + 0xd3, 1, 1, k66, kAll, kX, &kPsrlq},
    {k0f + 0xd4, 1, 1, k66, kAll, kX, &kPaddq},
    {k0f + 0xd5, 1, 1, k66, kAll, kX, &kPmullw},
    {k0f + 0xd6, 1, 1, k66, kAll, kX, &kMovqStore},
    {k0f + 0xd7, 1, 1, k66, kAll, kX, &kPmovmskb},
    {k0f + 0xd8, 1, 1, k66, kAll, kX, &kPsubusb},
    {k0f + 0xd9, 1, 1, k66, kAll, kX, &kPsubusw},
    {k0f + 0xda, 1, 1, k66, kAll, kX, &kPminub},
    {k0f + 0xdb, 1, 1, k66, kAll, kX, &kSseAnd},  // PAND
    {k0f + 0xdc, 1, 1, k66, kAll, kX, &kPaddusb},
    {k0f + 0xdd, 1, 1, k66, kAll, kX, &kPaddusw},
    {k0f + 0xde, 1, 1, k66, kAll, kX, &kPmaxub},
    {k0f + 0xdf, 1, 1, k66, kAll, kX, &kSseAndNot},  // PANDN
    {k0f + 0xe0, 1, 1, k66, kAll, kX, &kPavgb},
    {k0f + 0xe1, 1, 1, k66, kAll, kX, &kPsraw},
    {k0f + 0xe2, 1, 1, k66, kAll, kX, &kPsrad},
    {k0f + 0xe3, 1, 1, k66, kAll, kX, &kPavgw},
    {k0f + 0xe4, 1, 1, k66, kAll, kX, &kPmulhuw},
    {k0f + 0xe5, 1, 1, k66, kAll, kX, &kPmulhw},
    {k0f + 0xe6, 1, 1, k66, kAll, kX, &kCvttpd2dq},
    {k0f + 0xe6, 1, 1, kF3, kAll, kX, &kCvtdq2pd},
    {k0f + 0xe6, 1, 1, kF2, kAll, kX, &kCvtpd2dq},
    {k0f + 0xe7, 1, 1, k66, kAll, kX, &kMovNonTemporal},  // MOVNTDQ
    {k0f + 0xe8, 1, 1, k66, kAll, kX, &kPsubsb},
    {k0f + 0xe9, 1, 1, k66, kAll, kX, &kPsubsw},
    {k0f + 0xea, 1, 1, k66, kAll, kX, &kPminsw},
    {k0f + 0xeb, 1, 1, k66, kAll, kX, &kSseOr},  // POR
    {k0f + 0xec, 1, 1, k66, kAll, kX, &kPaddsb},
    {k0f + 0xed, 1, 1, k66, kAll, kX, &kPaddsw},
    {k0f + 0xee, 1, 1, k66, kAll, kX, &kPmaxsw},
    {k0f + 0xef, 1, 1, k66, kAll, kX, &kSseXor},  // PXOR
    {k0f + 0xf1, 1, 1, k66, kAll, kX, &kPsllw},
    {k0f + 0xf2, 1, 1, k66, kAll, kX, &kPslld},
    {k0f + 0xf3, 1, 1, k66, kAll, kX, &kPsllq},
    {k0f + 0xf4, 1, 1, k66, kAll, kX, &kPmuludq},
    {k0f + 0xf5, 1, 1, k66, kAll, kX, &kPmaddwd},
    {k0f + 0xf6, 1, 1, k66, kAll, kX, &kPsadbw},
    {k0f + 0xf7, 1, 1, k66, kAll, kX, &kMaskmovdqu},
    {k0f + 0xf8, 1, 1, k66, kAll, kX, &kPsubb},
    {k0f + 0xf9, 1, 1, k66, kAll, kX, &kPsubw},
    {k0f + 0xfa, 1, 1, k66, kAll, kX, &kPsubd},
    {k0f + 0xfb, 1, 1, k66, kAll, kX, &kPsubq},
    {k0f + 0xfc, 1, 1, k66, kAll, kX, &kPaddb},
    {k0f + 0xfd, 1, 1, k66, kAll, kX, &kPaddw},
    {k0f + 0xfe, 1, 1, k66, kAll, kX, &kPaddd},
};

constexpr unsigned kUndefinedDigit = 1;

// Of each digit: 16 times the row, plus which of its families.
using Group = std::array<uint16_t, 8>;
// By mandatory prefix and opcode. It is small, and there when a process starts, so that one that
// decodes little pays little.
using Index = std::array<std::array<Group, kX87Register + 64>, 4>;

// Puts the n-th opcode of a row into its group.
constexpr void Fill(unsigned number, unsigned n, Group* group) {
  const Row& row = kRows[number];
  for (unsigned digit = 0; digit < group->size(); ++digit) {
    uint16_t& cell = (*group)[digit];
    if (row.digit >= kAll || row.digit == digit) {
      const unsigned family = row.digit == kEach ? digit : (row.format & kOpcodeRegister) ? 0 : n;
      cell = static_cast<uint16_t>(number * 16 + family);
    } else if (cell == 0 && (row.format & kModRm)) {
      cell = kUndefinedDigit * 16;
    }
  }
}

constexpr Index MakeIndex() {
  Index index{};
  for (unsigned number = kUndefinedDigit + 1; number < std::size(kRows); ++number) {
    const Row& row = kRows[number];
    for (unsigned prefix = 0; prefix < index.size(); ++prefix) {
      if ((row.prefixes >> prefix & 1) == 0) continue;
      for (unsigned n = 0; n < row.count; ++n) {
        Fill(number, n, &index[prefix][row.first + n * row.step]);
      }
    }
  }
  return index;
}

constexpr Index kIndex = MakeIndex();

}  // namespace

Opcode FindOpcode(Mandatory prefix, unsigned code, unsigned digit) {
  const uint16_t index = kIndex[static_cast<unsigned>(prefix)][code][digit];
  const Row& row = kRows[index / 16];
  return {row.family + index % 16, row.format};
}

}  // namespace vx
