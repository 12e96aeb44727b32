#include "client/checksum.h"

#include <gtest/gtest.h>

namespace vxa::client {
namespace {

// FIPS 180-4's example "abc".
constexpr char kAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(ParseDigest, TakesDigitsWithAndWithoutTheAlgorithmInEitherCase) {
  const v1::Digest abc = DigestOf("abc");
  for (const std::string& text :
       {std::string(kAbc), std::string("sha256:") + kAbc,
        std::string("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD")}) {
    absl::StatusOr<v1::Digest> digest = ParseDigest(text);
    ASSERT_TRUE(digest.ok()) << text << ": " << digest.status();
    EXPECT_TRUE(SameDigest(*digest, abc)) << text;
  }
}

TEST(ParseDigest, IsTheInverseOfDigestText) {
  absl::StatusOr<v1::Digest> digest = ParseDigest(DigestText(DigestOf("x")));
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_TRUE(SameDigest(*digest, DigestOf("x")));
}

TEST(ParseDigest, RefusesEverythingElse) {
  const std::string abc = kAbc;
  for (const std::string& text : {std::string(), std::string("sha256:"), abc.substr(1), abc + "0",
                                  "sha1:" + abc, "sha256:sha256:" + abc, " " + abc.substr(1),
                                  "g" + abc.substr(1), "SHA256:" + abc, std::string("none")}) {
    EXPECT_EQ(ParseDigest(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace vxa::client
