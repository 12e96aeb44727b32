#include "archive/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "archive/text.h"

namespace vxa {
namespace {

constexpr std::string_view kSha256Prefix = "sha256:";

// SHA-256 in OpenSSL fails only without memory or without a digest that every build of it has.
void Check(int ok) {
  if (ok != 1) abort();
}

}  // namespace

Digest Digest::Of(std::string_view data) {
  Digest digest;
  Check(EVP_Digest(data.data(), data.size(), digest.bytes.data(), nullptr, EVP_sha256(), nullptr));
  return digest;
}

absl::StatusOr<Digest> Digest::FromBytes(HashAlgorithm algorithm, std::string_view raw) {
  Digest digest;
  if (algorithm != HashAlgorithm::kSha256) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown hash algorithm ", static_cast<int>(algorithm), ", SHA-256 is 1"));
  }
  if (raw.size() != digest.bytes.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a SHA-256 digest has 32 bytes, this one ", raw.size()));
  }
  std::copy(raw.begin(), raw.end(), digest.bytes.begin());
  return digest;
}

std::string Digest::ToString() const {
  return absl::StrCat(Absl(kSha256Prefix), absl::BytesToHexString(Absl(raw())));
}

absl::StatusOr<Digest> Digest::FromString(std::string_view text) {
  const std::string_view hex = text.substr(std::min(text.size(), kSha256Prefix.size()));
  if (!text.starts_with(kSha256Prefix) || hex.size() != 2 * sizeof(Digest::bytes) ||
      !std::ranges::all_of(hex, [](unsigned char c) { return absl::ascii_isxdigit(c); })) {
    return absl::InvalidArgumentError("a digest is \"sha256:\" and 64 hexadecimal digits");
  }
  return FromBytes(HashAlgorithm::kSha256, absl::HexStringToBytes(Absl(hex)));
}

Hasher::Hasher() : context_(EVP_MD_CTX_new()) {
  Check(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr));
}

Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::Update(std::string_view data) {
  Check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data.data(), data.size()));
}

Digest Hasher::Finish() {
  Digest digest;
  Check(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), digest.bytes.data(), nullptr));
  return digest;
}

void Hasher::Free::operator()(void* context) const {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

}  // namespace vxa
