#include "vxengine/machine/decoder.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace vx {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kEip = 0x10000;

// Traps have length 0.
constexpr unsigned kTrap = 0;

Instruction DecodeOne(const Bytes& bytes, Profile profile = Profile::kVx2026) {
  Bytes padded = bytes;
  padded.resize(kMaxInstructionLength, 0x90);
  Instruction instruction;
  Decode(padded, kEip, profile, &instruction);
  return instruction;
}

bool EndsBlock(const Bytes& bytes) {
  Bytes padded = bytes;
  padded.resize(kMaxInstructionLength, 0x90);
  Instruction instruction;
  return Decode(padded, kEip, Profile::kVx2026, &instruction);
}

std::string Hex(const Bytes& bytes) {
  std::string hex;
  for (uint8_t byte : bytes) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
    hex += ' ';
  }
  return hex;
}

struct Case {
  Bytes bytes;
  unsigned length;
};

void ExpectLengths(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(DecodeOne(c.bytes).length, c.length) << Hex(c.bytes);
  }
}

TEST(DecoderTest, EveryModRmFormHasItsLength) {
  // ADD r/m32, r32: the opcode, ModRM, perhaps SIB, displacement.
  for (unsigned modrm = 0; modrm < 256; ++modrm) {
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    for (unsigned sib = 0; sib < 256; ++sib) {
      unsigned length = 2;
      const bool has_sib = mod != 3 && rm == 4;
      const unsigned base = has_sib ? sib & 7 : rm;
      if (has_sib) length += 1;
      if (mod == 1) length += 1;
      if (mod == 2 || (mod == 0 && base == 5)) length += 4;
      const Bytes bytes = {0x01, static_cast<uint8_t>(modrm), static_cast<uint8_t>(sib)};
      ASSERT_EQ(DecodeOne(bytes).length, length) << Hex(bytes);
    }
  }
}

TEST(DecoderTest, ImmediatesFollowTheOperandSize) {
  ExpectLengths({
      {{0x04}, 2},
      {{0x05}, 5},
      {{0x66, 0x05}, 4},
      {{0x68}, 5},
      {{0x66, 0x68}, 4},
      {{0x6a}, 2},
      {{0x66, 0x6a}, 3},
      {{0x69, 0xc0}, 6},
      {{0x66, 0x69, 0xc0}, 5},
      {{0x6b, 0xc0}, 3},
      {{0x80, 0xc0}, 3},
      {{0x81, 0xc0}, 6},
      {{0x66, 0x81, 0xc0}, 5},
      {{0x83, 0xc0}, 3},
      {{0xa0}, 5},
      {{0xa3}, 5},
      {{0x66, 0xa1}, 6},
      {{0xa8}, 2},
      {{0xa9}, 5},
      {{0xb0}, 2},
      {{0xb8}, 5},
      {{0x66, 0xb8}, 4},
      {{0xc0, 0xe0}, 3},
      {{0xc1, 0xe0}, 3},
      {{0xc2}, 3},
      {{0xc6, 0xc0}, 3},
      {{0xc7, 0xc0}, 6},
      {{0xc7, 0x84, 0x24}, 11},
      {{0xc8}, 4},
      {{0xd0, 0xe0}, 2},
      {{0xd4}, 2},
      {{0xe8}, 5},
      {{0xeb}, 2},
      {{0xf6, 0xc0}, 3},
      {{0xf6, 0xc8}, 3},
      {{0xf6, 0xd0}, 2},
      {{0xf7, 0xc0}, 6},
      {{0x66, 0xf7, 0xc0}, 5},
      {{0xf7, 0xe0}, 2},
      {{0x0f, 0x84}, 6},
      {{0x0f, 0xa4, 0xc0}, 4},
      {{0x0f, 0xa5, 0xc0}, 3},
      {{0x0f, 0xba, 0xe0}, 4},
      {{0x0f, 0xc8}, 2},
      {{0x66, 0x0f, 0x70, 0xc0}, 5},
      {{0x66, 0x0f, 0x71, 0xd0}, 5},
      {{0x66, 0x0f, 0xc4, 0xc0}, 5},
      {{0x0f, 0xc6, 0xc0}, 4},
  });
}

TEST(DecoderTest, NopsOfAllLengthsAreOneInstruction) {
  ExpectLengths({
      {{0x90}, 1},
      {{0x66, 0x90}, 2},
      {{0x0f, 0x1f, 0x00}, 3},
      {{0x0f, 0x1f, 0x40, 0x00}, 4},
      {{0x0f, 0x1f, 0x44, 0x00, 0x00}, 5},
      {{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}, 6},
      {{0x0f, 0x1f, 0x80, 0, 0, 0, 0}, 7},
      {{0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0}, 8},
      {{0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0}, 10},
      {{0xf3, 0x90}, 2},
      {{0xf3, 0x0f, 0x1e, 0xfb}, 4},
  });
}

TEST(DecoderTest, UnneededPrefixesAreIgnored) {
  ExpectLengths({
      {{0xf3, 0xc3}, 2},
      {{0xf2, 0xc3}, 2},
      {{0x3e, 0xff, 0xe0}, 3},
      {{0x26, 0x2e, 0x36, 0x3e, 0x01, 0xc0}, 6},
      {{0xf2, 0xf3, 0x89, 0xc0}, 4},
      {{0xf3, 0x0f, 0xbc, 0xc0}, 4},
  });
}

TEST(DecoderTest, OfThePrefixesThatChooseAnSseOpcodeTheLastOfF3AndF2Counts) {
  ExpectLengths({
      {{0x66, 0xf3, 0x0f, 0x6f, 0xc0}, 5},      // MOVDQU
      {{0xf3, 0x66, 0x0f, 0x6f, 0xc0}, 5},      // MOVDQU
      {{0xf2, 0xf3, 0x0f, 0x6f, 0xc0}, 5},      // MOVDQU
      {{0xf3, 0xf2, 0x0f, 0x6f, 0xc0}, kTrap},  // F2 0F 6F is nothing
      {{0xf3, 0x0f, 0x28, 0xc0}, kTrap},        // MOVAPS has no F3
      {{0xf2, 0x66, 0x0f, 0xfe, 0xc0}, kTrap},
  });
}

TEST(DecoderTest, LockIsForLockableInstructionsWithAMemoryDestinationOnly) {
  ExpectLengths({
      {{0xf0, 0x01, 0x00}, 3},           {{0xf0, 0x01, 0xc0}, kTrap},
      {{0xf0, 0x03, 0x00}, kTrap},       {{0xf0, 0x39, 0x00}, kTrap},
      {{0xf0, 0x80, 0x00}, 4},           {{0xf0, 0x80, 0x38}, kTrap},
      {{0xf0, 0x84, 0x00}, kTrap},       {{0xf0, 0x87, 0x00}, 3},
      {{0xf0, 0x89, 0x00}, kTrap},       {{0xf0, 0x90}, kTrap},
      {{0xf0, 0xc1, 0x20}, kTrap},       {{0xf0, 0xf7, 0x10}, 3},
      {{0xf0, 0xf7, 0x18}, 3},           {{0xf0, 0xf7, 0x20}, kTrap},
      {{0xf0, 0xff, 0x00}, 3},           {{0xf0, 0xff, 0x30}, kTrap},
      {{0xf0, 0x0f, 0xa3, 0x00}, kTrap}, {{0xf0, 0x0f, 0xab, 0x00}, 4},
      {{0xf0, 0x0f, 0xba, 0x20}, kTrap}, {{0xf0, 0x0f, 0xba, 0x28}, 5},
      {{0xf0, 0x0f, 0xb1, 0x00}, 4},     {{0xf0, 0x0f, 0xc1, 0x00}, 4},
      {{0xf0, 0x0f, 0xc7, 0x08}, 4},     {{0xf0, 0xa4}, kTrap},
  });
}

TEST(DecoderTest, WhatIsNotInTheProfileTraps) {
  const std::vector<Bytes> kOut = {
      {0x06},                    // PUSH ES
      {0x63, 0xc0},              // ARPL
      {0x62, 0xc0},              // BOUND wants memory
      {0x64, 0x8b, 0x00},        // FS
      {0x65, 0x8b, 0x00},        // GS
      {0x67, 0x8b, 0x00},        // 16-bit addresses
      {0x82, 0xc0},              //
      {0x8c, 0xc0},              // MOV from a segment
      {0x8d, 0xc0},              // LEA wants memory
      {0x8e, 0xc0},              // MOV to a segment
      {0x8f, 0xc8},              // 8F /1
      {0x9a},                    // far call
      {0xc4, 0xc0},              // VEX
      {0xc4, 0x00},              // LES
      {0xc5, 0xf8},              // VEX
      {0xc6, 0xf8},              // XABORT
      {0xca},                    // far return
      {0xcd, 0x80},              // INT
      {0xcf},                    // IRET
      {0xd6},                    // SALC
      {0xdb, 0x08},              // FISTTP is SSE3
      {0xdc, 0xd0},              // an alias of FCOM
      {0xd9, 0xd1},              // beside FNOP
      {0xe4, 0x00},              // IN
      {0xea},                    // far jump
      {0xf1},                    // INT1
      {0xf4},                    // HLT
      {0xfa},                    // CLI
      {0xfe, 0xd0},              // FE /2
      {0xff, 0x18},              // far call
      {0xff, 0xf8},              // FF /7
      {0x0f, 0x01, 0xd0},        // XGETBV
      {0x0f, 0x0b},              // UD2
      {0x0f, 0x0d, 0x08},        // PREFETCHW is AMD's, later than the profile
      {0x0f, 0x0f, 0xc0},        // 3DNow!
      {0x0f, 0x2a, 0xc0},        // CVTPI2PS
      {0x0f, 0x31},              // RDTSC
      {0x0f, 0x34},              // SYSENTER
      {0x0f, 0x38, 0x00},        // SSSE3
      {0x0f, 0x53, 0xc0},        // RCPPS
      {0x0f, 0x6f, 0xc0},        // MMX
      {0x0f, 0x77},              // EMMS
      {0x0f, 0xa0},              // PUSH FS
      {0xf3, 0x0f, 0xae, 0xc0},  // RDFSBASE
      {0xf3, 0x0f, 0xb8, 0xc0},  // POPCNT
      {0x0f, 0xb9, 0xc0},        // UD1
      {0x0f, 0xc7, 0xf0},        // RDRAND
      {0xf3, 0x0f, 0x1e, 0xc8},  // RDSSP
      {0xf2, 0x0f, 0xd0, 0xc0},  // SSE3
      {0x0f, 0xff, 0xc0},        // UD0
      {0x66, 0x0f, 0x12, 0xc0},  // MOVLPD wants memory
      {0x66, 0x0f, 0x71, 0x10},  // PSRLW by immediate wants a register
  };
  for (const Bytes& bytes : kOut) EXPECT_EQ(DecodeOne(bytes).length, kTrap) << Hex(bytes);
}

TEST(DecoderTest, TheOperandSizePrefixTrapsOnBranches) {
  for (const Bytes& bytes : std::vector<Bytes>{{0x66, 0x70},
                                               {0x66, 0xc2},
                                               {0x66, 0xc3},
                                               {0x66, 0xe0},
                                               {0x66, 0xe3},
                                               {0x66, 0xe8},
                                               {0x66, 0xe9},
                                               {0x66, 0xeb},
                                               {0x66, 0xff, 0xd0},
                                               {0x66, 0xff, 0xe0},
                                               {0x66, 0x0f, 0x80}}) {
    EXPECT_EQ(DecodeOne(bytes).length, kTrap) << Hex(bytes);
  }
}

TEST(DecoderTest, TheIntegerProfileHasNoFloatingPoint) {
  for (const Bytes& bytes :
       {Bytes{0x66, 0x0f, 0xef, 0xc0}, Bytes{0x0f, 0xae, 0x10}, Bytes{0x0f, 0x58, 0xc0},
        Bytes{0xf2, 0x0f, 0x2d, 0xc0}, Bytes{0xd8, 0xc0}, Bytes{0xdd, 0x00}, Bytes{0xdf, 0xe0}}) {
    EXPECT_EQ(DecodeOne(bytes).length, bytes.size());
    EXPECT_EQ(DecodeOne(bytes, Profile::kVx2026Int).length, kTrap);
  }
  EXPECT_EQ(DecodeOne({0x0f, 0xae, 0xe8}, Profile::kVx2026Int).length, 3u);  // LFENCE
}

TEST(DecoderTest, FifteenBytesAreAnInstructionAndSixteenAreNot) {
  for (unsigned prefixes : {13u, 14u}) {
    Bytes bytes(prefixes, 0x3e);
    bytes.push_back(0x01);
    bytes.push_back(0xc0);
    bytes.resize(kMaxInstructionLength);
    Instruction instruction;
    Decode(bytes, kEip, Profile::kVx2026, &instruction);
    EXPECT_EQ(instruction.length, prefixes == 13 ? 15u : kTrap);
  }
}

TEST(DecoderTest, WhatRunsOutOfBytesFaultsAtTheFirstThatIsMissing) {
  // C7 84 24 displacement immediate: 11 bytes.
  const Bytes whole = {0xc7, 0x84, 0x24, 1, 2, 3, 4, 5, 6, 7, 8};
  for (size_t size = 0; size <= whole.size(); ++size) {
    Instruction instruction;
    EXPECT_EQ(Decode({whole.data(), size}, kEip, Profile::kVx2026, &instruction),
              size < whole.size());
    EXPECT_EQ(instruction.length, size < whole.size() ? kTrap : 11u);
    if (size < whole.size()) {
      EXPECT_EQ(instruction.immediate, kEip + size);
    }
  }
}

TEST(DecoderTest, AddressesKeepTheirParts) {
  // mov ecx, [esp + edi * 8 - 2]
  Instruction i = DecodeOne({0x8b, 0x4c, 0xfc, 0xfe});
  EXPECT_EQ(i.reg, 1);
  EXPECT_EQ(i.base, 4);
  EXPECT_EQ(i.index, 7);
  EXPECT_EQ(i.scale, 3);
  EXPECT_EQ(i.displacement, 0xfffffffe);
  // mov ecx, [ebp * 4 + 0x12345678]
  i = DecodeOne({0x8b, 0x0c, 0xad, 0x78, 0x56, 0x34, 0x12});
  EXPECT_EQ(i.base, kNoRegister);
  EXPECT_EQ(i.index, 5);
  EXPECT_EQ(i.scale, 2);
  EXPECT_EQ(i.displacement, 0x12345678u);
  // mov ecx, [0x12345678]
  i = DecodeOne({0x8b, 0x0d, 0x78, 0x56, 0x34, 0x12});
  EXPECT_EQ(i.base, kNoRegister);
  EXPECT_EQ(i.index, kNoRegister);
  // mov ecx, [ebp + 0]
  i = DecodeOne({0x8b, 0x4d, 0x00});
  EXPECT_EQ(i.base, 5);
  EXPECT_EQ(i.index, kNoRegister);
}

TEST(DecoderTest, BranchesKnowTheirTargets) {
  EXPECT_EQ(DecodeOne({0xeb, 0xfe}).immediate, kEip);
  EXPECT_EQ(DecodeOne({0xe8, 0x00, 0x00, 0x00, 0x80}).immediate, kEip + 5 + 0x80000000u);
  EXPECT_EQ(DecodeOne({0x0f, 0x84, 0xfa, 0xff, 0xff, 0xff}).immediate, kEip);
}

TEST(DecoderTest, BranchesTrapsSystemCallsAndRepeatedStringsEndBlocks) {
  for (const Bytes& bytes : std::vector<Bytes>{{0x74, 0x00},
                                               {0xc3},
                                               {0xe8},
                                               {0xe2, 0x00},
                                               {0xff, 0xe0},
                                               {0xff, 0x10},
                                               {0x0f, 0x05},
                                               {0x0f, 0x0b},
                                               {0xcc},
                                               {0xf3, 0xa4},
                                               {0xf2, 0xae}}) {
    EXPECT_TRUE(EndsBlock(bytes)) << Hex(bytes);
  }
  for (const Bytes& bytes : std::vector<Bytes>{{0x90}, {0xa4}, {0x01, 0xc0}, {0xff, 0x30}}) {
    EXPECT_FALSE(EndsBlock(bytes)) << Hex(bytes);
  }
}

}  // namespace
}  // namespace vx
