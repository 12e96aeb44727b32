// All families of handlers, by the file that defines them. The opcode table (opcodes.cc) says which
// opcodes they belong to.
#ifndef VXENGINE_MACHINE_FAMILIES_H_
#define VXENGINE_MACHINE_FAMILIES_H_

#include <array>

#include "vxengine/machine/instruction.h"

namespace vx {

// arithmetic.cc
// by operation: ADD OR ADC SBB AND SUB XOR CMP:
extern const std::array<Family, 8> kArithmeticRmReg;
extern const std::array<Family, 8> kArithmeticRegRm;
extern const std::array<Family, 8> kArithmeticImmediate;
extern const Family kTestReg;
extern const Family kTestImmediate;
extern const Family kInc;
extern const Family kDec;
extern const Family kNot;
extern const Family kNeg;
extern const Family kXadd;
extern const Family kCmpxchg;
extern const Family kCmpxchg8b;

// shift.cc
// by operation: ROL ROR RCL RCR SHL SHR SHL SAR:
extern const std::array<Family, 8> kShiftImmediate;
extern const std::array<Family, 8> kShiftOne;
extern const std::array<Family, 8> kShiftCl;
extern const Family kShldImmediate;
extern const Family kShldCl;
extern const Family kShrdImmediate;
extern const Family kShrdCl;

// multiply.cc
extern const Family kMul;
extern const Family kImulAccumulator;
extern const Family kImulReg;
extern const Family kImulImmediate;
extern const Family kDiv;
extern const Family kIdiv;

// bits.cc
// by operation: BT BTS BTR BTC:
extern const std::array<Family, 4> kBitTestReg;
extern const std::array<Family, 4> kBitTestImmediate;
extern const Family kBsf;
extern const Family kBsr;
extern const Family kBswap;

// move.cc
// by condition code:
extern const std::array<Family, 16> kCmov;
extern const std::array<Family, 16> kSetcc;
extern const Family kMovRmReg;
extern const Family kMovRegRm;
extern const Family kMovImmediate;
extern const Family kMovnti;
extern const Family kMovzxByte;
extern const Family kMovzxWord;
extern const Family kMovsxByte;
extern const Family kMovsxWord;
extern const Family kLea;
extern const Family kXchg;
extern const Family kXchgAccumulator;
extern const Family kXlat;
extern const Family kExtendAccumulator;
extern const Family kExtendIntoD;

// stack.cc
extern const Family kPush;
extern const Family kPop;
extern const Family kPushImmediate;
extern const Family kPusha;
extern const Family kPopa;
extern const Family kPushf;
extern const Family kPopf;
extern const Family kEnter;
extern const Family kLeave;

// control.cc
// by condition code:
extern const std::array<Family, 16> kJcc;
extern const Family kJump;
extern const Family kJumpRm;
extern const Family kCall;
extern const Family kCallRm;
extern const Family kReturn;
// LOOPNE LOOPE LOOP JECXZ:
extern const std::array<Family, 4> kLoop;
extern const Family kSystemCall;
extern const Family kInt3;
extern const Family kInto;
extern const Family kBound;
extern const Family kInvalidOpcode;
extern const Family kGeneralProtection;
extern const Family kFetchFault;

// decimal.cc
extern const Family kAaa;
extern const Family kAas;
extern const Family kDaa;
extern const Family kDas;
extern const Family kAam;
extern const Family kAad;

// string.cc
// by prefix: none, F3, F2:
extern const std::array<Family, 3> kMovs;
extern const std::array<Family, 3> kStos;
extern const std::array<Family, 3> kLods;
extern const std::array<Family, 3> kCmps;
extern const std::array<Family, 3> kScas;

// system.cc
extern const Family kNop;
extern const Family kMemoryNop;
extern const Family kFence;
extern const Family kFenceOrClflush;
extern const Family kClc;
extern const Family kStc;
extern const Family kCmc;
extern const Family kCld;
extern const Family kStd;
extern const Family kLahf;
extern const Family kSahf;
extern const Family kCpuidInstruction;
extern const Family kLdmxcsr;
extern const Family kStmxcsr;

// x87_state.cc
extern const Family kFwait;
extern const Family kFldenv;
extern const Family kFldcw;
extern const Family kFnstcw;
extern const Family kFfree;
extern const Family kFrstor;
extern const Family kFnsave;
extern const Family kFnstsw;
extern const Family kFxsave;
extern const Family kFxrstor;
extern const Family kFnop;
extern const Family kFnstenv;
extern const Family kFdecstp;
extern const Family kFincstp;
extern const Family kFnclex;
extern const Family kFninit;
extern const Family kFnstswAx;

// x87_arithmetic.cc
// by operation: FADD FMUL FCOM FCOMP FSUB FSUBR FDIV FDIVR; of ST(0) and ST(i), to ST(0), to ST(i),
// and popping; of ST(0) and memory:
extern const std::array<Family, 8> kX87ToTop;
extern const std::array<Family, 8> kX87ToOther;
extern const std::array<Family, 8> kX87ToOtherAndPop;
extern const std::array<Family, 8> kX87WithFloat32;
extern const std::array<Family, 8> kX87WithFloat64;
extern const std::array<Family, 8> kX87WithInt16;
extern const std::array<Family, 8> kX87WithInt32;
extern const Family kFucom;
extern const Family kFucomp;
extern const Family kFucompp;
extern const Family kFcompp;
extern const Family kFcomi;
extern const Family kFcomip;
extern const Family kFucomi;
extern const Family kFucomip;
extern const Family kFtst;
extern const Family kFxam;
extern const Family kFchs;
extern const Family kFabs;
extern const Family kFsqrt;
extern const Family kFrndint;
extern const Family kFscale;
extern const Family kFprem;
extern const Family kFprem1;
extern const Family kFxtract;
extern const Family kF2xm1, kFyl2x, kFyl2xp1, kFpatan, kFptan, kFsin, kFcos, kFsincos;

// x87_move.cc
extern const Family kFldFloat32;
extern const Family kFldFloat64;
extern const Family kFldFloat80;
extern const Family kFstFloat32;
extern const Family kFstFloat64;
extern const Family kFstpFloat32;
extern const Family kFstpFloat64;
extern const Family kFstpFloat80;
extern const Family kFildInt16;
extern const Family kFildInt32;
extern const Family kFildInt64;
extern const Family kFistInt16;
extern const Family kFistInt32;
extern const Family kFistpInt16;
extern const Family kFistpInt32;
extern const Family kFistpInt64;
extern const Family kFbld;
extern const Family kFbstp;
extern const Family kFldSt;
extern const Family kFstSt;
extern const Family kFstpSt;
extern const Family kFxch;
// FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ:
extern const std::array<Family, 7> kX87Constants;
// by condition: B E BE U, and their opposites:
extern const std::array<Family, 4> kFcmov;
extern const std::array<Family, 4> kFcmovn;

// sse_move.cc
extern const Family kMovAlignedLoad;
extern const Family kMovAlignedStore;
extern const Family kMovUnalignedLoad;
extern const Family kMovUnalignedStore;
extern const Family kMovNonTemporal;
extern const Family kMovdLoad;
extern const Family kMovdStore;
extern const Family kMovqLoad;
extern const Family kMovqStore;
extern const Family kMovssLoad;
extern const Family kMovssStore;
extern const Family kMovsdLoad;
extern const Family kMovsdStore;
extern const Family kMovlpsLoad;
extern const Family kMovhpsLoad;
extern const Family kMovlpdLoad;
extern const Family kMovhpdLoad;
extern const Family kMovLowStore;
extern const Family kMovHighStore;
extern const Family kMovmskps;
extern const Family kMovmskpd;
extern const Family kPmovmskb;
extern const Family kMaskmovdqu;
extern const Family kPextrw;
extern const Family kPinsrw;

// sse_integer.cc
extern const Family kPaddb;
extern const Family kPaddw;
extern const Family kPaddd;
extern const Family kPaddq;
extern const Family kPsubb;
extern const Family kPsubw;
extern const Family kPsubd;
extern const Family kPsubq;
extern const Family kPaddsb;
extern const Family kPaddsw;
extern const Family kPaddusb;
extern const Family kPaddusw;
extern const Family kPsubsb;
extern const Family kPsubsw;
extern const Family kPsubusb;
extern const Family kPsubusw;
extern const Family kPminub;
extern const Family kPmaxub;
extern const Family kPminsw;
extern const Family kPmaxsw;
extern const Family kPavgb;
extern const Family kPavgw;
extern const Family kPcmpeqb;
extern const Family kPcmpeqw;
extern const Family kPcmpeqd;
extern const Family kPcmpgtb;
extern const Family kPcmpgtw;
extern const Family kPcmpgtd;
extern const Family kPmullw;
extern const Family kPmulhw;
extern const Family kPmulhuw;
extern const Family kPmuludq;
extern const Family kPmaddwd;
extern const Family kPsadbw;
extern const Family kSseAnd;
extern const Family kSseAndNot;
extern const Family kSseOr;
extern const Family kSseXor;
extern const Family kPsllw;
extern const Family kPslld;
extern const Family kPsllq;
extern const Family kPsrlw;
extern const Family kPsrld;
extern const Family kPsrlq;
extern const Family kPsraw;
extern const Family kPsrad;
extern const Family kPsllwImmediate;
extern const Family kPslldImmediate;
extern const Family kPsllqImmediate;
extern const Family kPsrlwImmediate;
extern const Family kPsrldImmediate;
extern const Family kPsrlqImmediate;
extern const Family kPsrawImmediate;
extern const Family kPsradImmediate;
extern const Family kPslldq;
extern const Family kPsrldq;

// sse_float.cc
// by mandatory prefix (none, 66, F3, F2): PS PD SS SD:
extern const std::array<Family, 4> kSseAdd;
extern const std::array<Family, 4> kSseSub;
extern const std::array<Family, 4> kSseMul;
extern const std::array<Family, 4> kSseDiv;
extern const std::array<Family, 4> kSseMin;
extern const std::array<Family, 4> kSseMax;
extern const std::array<Family, 4> kSseSqrt;
extern const std::array<Family, 4> kSseCmp;
extern const Family kUcomiss;
extern const Family kUcomisd;
extern const Family kComiss;
extern const Family kComisd;
extern const Family kCvtsi2ss;
extern const Family kCvtsi2sd;
extern const Family kCvtss2si;
extern const Family kCvtsd2si;
extern const Family kCvttss2si;
extern const Family kCvttsd2si;
extern const Family kCvtss2sd;
extern const Family kCvtsd2ss;
extern const Family kCvtps2pd;
extern const Family kCvtpd2ps;
extern const Family kCvtdq2ps;
extern const Family kCvtdq2pd;
extern const Family kCvtps2dq;
extern const Family kCvttps2dq;
extern const Family kCvtpd2dq;
extern const Family kCvttpd2dq;

// sse_shuffle.cc
extern const Family kPunpcklbw;
extern const Family kPunpcklwd;
extern const Family kUnpackLow32;
extern const Family kUnpackLow64;
extern const Family kPunpckhbw;
extern const Family kPunpckhwd;
extern const Family kUnpackHigh32;
extern const Family kUnpackHigh64;
extern const Family kPacksswb;
extern const Family kPackuswb;
extern const Family kPackssdw;
extern const Family kPshufd;
extern const Family kPshuflw;
extern const Family kPshufhw;
extern const Family kShufps;
extern const Family kShufpd;

}  // namespace vx

#endif  // VXENGINE_MACHINE_FAMILIES_H_
