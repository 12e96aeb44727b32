#include "client/decoder_reference.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "client/checksum.h"

namespace vxa::client {
namespace {

// An id that begins with `digits`, of which there is an even number, and goes on with zeros.
v1::Decoder Decoder(const std::string& digits, const std::string& name,
                    v1::Decoder::Origin origin = v1::Decoder::REGISTERED) {
  v1::Decoder decoder;
  std::string value = absl::HexStringToBytes(digits);
  value.resize(32);
  decoder.mutable_id()->set_algorithm(v1::Digest::SHA256);
  decoder.mutable_id()->set_value(value);
  decoder.set_name(name);
  decoder.set_origin(origin);
  return decoder;
}

const std::vector<v1::Decoder>& Decoders() {
  static const auto* decoders = new std::vector<v1::Decoder>{
      Decoder("1111111111", "zlib", v1::Decoder::BUILT_IN),
      Decoder("2222222222", "zlib"),
      Decoder("abcdef0101", "xor"),
      Decoder("abcdef0102", "rot"),
      Decoder("3333333333", "twice"),
      Decoder("4444444444", "twice"),
      Decoder("5555555555", "22222222"),
      Decoder("6666666666", "deadbeef"),
  };
  return *decoders;
}

// The first ten digits of the decoder found, or the error.
std::string Find(const std::string& reference) {
  absl::StatusOr<v1::Digest> id = FindDecoder(reference, Decoders());
  if (!id.ok()) return id.status().ToString();
  return absl::BytesToHexString(id->value()).substr(0, 10);
}

TEST(FindDecoder, TakesAnIdOrAUniquePrefixOfIt) {
  const std::string id = "abcdef0101" + std::string(54, '0');
  EXPECT_EQ(Find(id), "abcdef0101");
  EXPECT_EQ(Find("sha256:" + id), "abcdef0101");
  EXPECT_EQ(Find("abcdef0101"), "abcdef0101");
  EXPECT_EQ(Find("sha256:ABCDEF0102"), "abcdef0102");
  EXPECT_EQ(Find("33333333"), "3333333333");
}

TEST(FindDecoder, ListsTheDecodersThatAPrefixMayMean) {
  const absl::Status status = FindDecoder("abcdef01", Decoders()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_NE(text.find("2 decoders"), std::string::npos) << text;
  EXPECT_NE(text.find("\nsha256:abcdef0101"), std::string::npos) << text;
  EXPECT_NE(text.find("\nsha256:abcdef0102"), std::string::npos) << text;
}

TEST(FindDecoder, TakesANameThatOneDecoderHas) {
  EXPECT_EQ(Find("xor"), "abcdef0101");
  EXPECT_EQ(Find("deadbeef"), "6666666666");  // digits that begin no id
}

TEST(FindDecoder, PrefersTheDecoderThatCameWithTheServerToAClaim) {
  EXPECT_EQ(Find("zlib"), "1111111111");
}

TEST(FindDecoder, PrefersAnIdToAClaimThatLooksLikeOne) {
  EXPECT_EQ(Find("22222222"), "2222222222");
}

TEST(FindDecoder, ListsTheDecodersThatANameMayMean) {
  const absl::Status status = FindDecoder("twice", Decoders()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_NE(text.find("\nsha256:3333333333"), std::string::npos) << text;
  EXPECT_NE(text.find("\nsha256:4444444444"), std::string::npos) << text;
}

TEST(FindDecoder, ListsNoMoreThanAPersonReads) {
  const std::vector<v1::Decoder> many(1000, Decoder("aa", "same"));
  const std::string text(FindDecoder("same", many).status().message());
  EXPECT_NE(text.find("1000 decoders"), std::string::npos) << text;
  EXPECT_NE(text.find("and 992 more"), std::string::npos) << text;
}

TEST(FindDecoder, SaysThatThereIsNone) {
  for (const char* reference :
       {"bzip2", "99999999", "sha256:99999999", "sha256:deadbeef", "XOR", "1111111", "abcdef"}) {
    EXPECT_EQ(FindDecoder(reference, Decoders()).status().code(), absl::StatusCode::kNotFound)
        << reference;
  }
  EXPECT_EQ(FindDecoder("zlib", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST(CheckDecoderReference, TakesIdsPrefixesAndNames) {
  for (const std::string& reference :
       {std::string("zlib"), std::string("sha256:0123abCD"), std::string(64, 'f'),
        "sha256:" + std::string(64, 'f'), std::string("a b:ü")}) {
    EXPECT_TRUE(CheckDecoderReference(reference).ok()) << reference;
  }
}

TEST(CheckDecoderReference, RefusesWhatCanNameNone) {
  for (const std::string& reference :
       {std::string(), std::string("sha256:"), std::string("sha256:0123456"),
        std::string("sha256:0123456x"), "sha256:" + std::string(65, 'f')}) {
    EXPECT_EQ(CheckDecoderReference(reference).code(), absl::StatusCode::kInvalidArgument)
        << reference;
  }
}

}  // namespace
}  // namespace vxa::client
