// The verifier against an oracle: whatever is admitted, of damaged code and of random bytes, has
// the properties that make it safe.
#include "vxengine/verifier_oracle.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace vx::testing {
namespace {

TEST(OracleTest, AgreesOnWhatIsSafe) {
  for (const auto& [text, placement] : kFunctions) {
    VerifiedRegion region;
    ASSERT_EQ(Refusal(text, placement, &region), "");
    EXPECT_EQ(Oracle(Rules(placement)).Check(Assemble(text), region), "");
  }
}

// Were the oracle blind, the tests with it would be worth nothing. Most of what is refused it must
// call unsafe; the rest is refused since no guest needs it or since it is written otherwise.
TEST(OracleTest, SeesWhatIsUnsafe) {
  const Oracle oracle(Rules(kExclusive));
  for (const char* text : {"89 18",
                           "48 01 d8",
                           "89 c4",
                           "83 ec 08",
                           "67 8b 04 24",
                           "67 41 8b 06",
                           "67 42 8b 04 28",
                           "67 8b 05 00 00 00 00",
                           "0f 05",
                           "cd 80",
                           "8e d8",
                           "50",
                           "9d",
                           "44 0f 28 c0",
                           "c5 f8 77",
                           "0f 01 f8",
                           "a4",
                           "67 0f ab 08",
                           "65 67 8b 00",
                           "64 67 8b 00",
                           "f0 67 01 18",
                           "ff 28",
                           "66 e9 00 00 00 00",
                           "67 0f ae 10",
                           "67 0f ae 00",
                           "0f 77",
                           "41 b4 00",
                           "0f c7 f0"}) {
    const std::optional<Decoded> decoded = oracle.Decode(Assemble(text), 0);
    EXPECT_TRUE(!decoded || oracle.Ordinary(*decoded) != "") << text;
  }
  EXPECT_NE(Oracle(Rules(kShared)).Ordinary(*oracle.Decode(Assemble("67 8b 00"), 0)), "");
}

// Whatever bytes are changed: refused, or safe all the same.
class CorruptionTest : public ::testing::TestWithParam<int> {
 protected:
  CorruptionTest()
      : code_(Assemble(kFunctions[GetParam()].code)),
        rules_(Rules(kFunctions[GetParam()].placement)),
        oracle_(rules_) {}

  void Try(const Code& code) {
    VerifiedRegion region;
    std::string error;
    ++tried_;
    if (!VerifyRegion(code, kOffset, rules_, &region, &error)) return;
    ++admitted_;
    const std::string unsafe = oracle_.Check(code, region);
    ASSERT_EQ(unsafe, "") << ToHex(code);
  }

  const Code code_;
  const VerifierRules rules_;
  const Oracle oracle_;
  int tried_ = 0, admitted_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Functions, CorruptionTest, ::testing::Values(0, 1, 2));

TEST_P(CorruptionTest, OfOneByte) {
  for (size_t at = 0; at < code_.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      Code code = code_;
      code[at] = static_cast<uint8_t>(byte);
      ASSERT_NO_FATAL_FAILURE(Try(code));
    }
  }
  EXPECT_GT(admitted_, tried_ / 100);
  EXPECT_LT(admitted_, tried_ / 2);
}

TEST_P(CorruptionTest, OfSeveralBytes) {
  std::mt19937 random(1);
  const auto below = [&](size_t n) { return random() % n; };
  for (int i = 0; i < 100000; ++i) {
    Code code = code_;
    for (size_t n = below(3) + 1; n > 0; --n) {
      const size_t at = below(code.size()), length = below(12) + 1;
      switch (below(4)) {
        case 0:  // change bits
          code[at] ^= 1 << below(8);
          code[below(code.size())] ^= 1 << below(8);
          break;
        case 1:  // leave out
          code.erase(code.begin() + at, code.begin() + std::min(code.size(), at + length));
          break;
        case 2: {  // repeat elsewhere
          const Code part(code.begin() + at, code.begin() + std::min(code.size(), at + length));
          code.insert(code.begin() + below(code.size()), part.begin(), part.end());
          break;
        }
        case 3:
          code.insert(code.begin() + at, below(2) ? "\x65\x66\x67\xf2\xf3\x41\x44\x48"[below(8)]
                                                  : static_cast<char>(random()));
          break;
      }
      if (code.empty()) code.push_back(0xc3);
    }
    ASSERT_NO_FATAL_FAILURE(Try(code));
  }
  EXPECT_GT(admitted_, 100);
}

TEST(VerifierTest, AgreesWithZydisOnRandomInstructions) {
  std::mt19937 random(2);
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  std::set<std::string> mnemonics;
  for (CodePlacement placement : kPlacements) {
    VerifierRules rules = Rules(placement);
    rules.is_entry = [](uint32_t) { return true; };
    const Oracle oracle(rules);
    VerifiedRegion region;
    int admitted = 0;
    for (int i = 0; i < 250000; ++i) {
      Code bytes;
      if (one_in(30)) bytes.push_back("\xf0\x2e\x36\x3e\x26\x64\x66\xf3"[random() % 8]);
      if (placement == kShared ? !one_in(3) : one_in(30)) bytes.push_back(0x65);
      if (!one_in(3)) bytes.push_back(0x67);
      if (one_in(3)) bytes.push_back(0x66);
      if (one_in(5)) bytes.push_back(0xf2 + random() % 2);
      if (one_in(3)) bytes.push_back(0x40 + random() % 16);
      if (one_in(30)) bytes.push_back("\xf0\x65\x67\x66\xf2\xf3\x41\xc5"[random() % 8]);
      if (one_in(2)) bytes.push_back(0x0f);
      bytes.push_back(static_cast<uint8_t>(random()));
      bytes.push_back(static_cast<uint8_t>(random()));
      const bool zeros = one_in(4);
      while (bytes.size() < 18) bytes.push_back(zeros ? 0 : static_cast<uint8_t>(random()));
      const size_t length = AdmittedLength(bytes.data(), 16, rules, &region);
      if (length == 0) continue;
      ++admitted;
      const std::optional<Decoded> decoded = oracle.Decode(bytes, 0);
      ASSERT_TRUE(decoded) << ToHex(bytes);
      ASSERT_EQ(decoded->instruction.length, length) << ToHex(bytes) << oracle.Text(*decoded);
      ASSERT_EQ(oracle.Ordinary(*decoded), "") << ToHex(bytes) << oracle.Text(*decoded);
      ASSERT_LE(length, 15u);
      mnemonics.insert(ZydisMnemonicGetString(decoded->instruction.mnemonic));
    }
    EXPECT_GT(admitted, 10000);
  }
  EXPECT_GT(mnemonics.size(), 300u);
}

}  // namespace
}  // namespace vx::testing
