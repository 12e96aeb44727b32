#include "client/checksum.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include <cstdlib>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace vxa::client {
namespace {

constexpr char kSha256Prefix[] = "sha256:";
constexpr size_t kSha256Digits = 64;

// SHA-256 in OpenSSL fails only without memory or in a build without SHA-256.
void Check(int ok) {
  if (ok != 1) abort();
}

}  // namespace

uint32_t Crc32c(std::string_view data) {
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
  return ~crc32_iscsi(bytes, static_cast<int>(data.size()), ~0u);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Check(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr));
}

void Sha256::Update(std::string_view data) {
  Check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data.data(), data.size()));
}

v1::Digest Sha256::Finish() {
  v1::Digest digest;
  digest.set_algorithm(v1::Digest::SHA256);
  std::string bytes(EVP_MD_size(EVP_sha256()), '\0');
  Check(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()),
                           reinterpret_cast<unsigned char*>(bytes.data()), nullptr));
  digest.set_value(bytes);
  return digest;
}

void Sha256::Free::operator()(void* context) const {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

v1::Digest DigestOf(std::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.Finish();
}

absl::StatusOr<v1::Digest> ParseDigest(const std::string& text) {
  absl::string_view digits = absl::StripPrefix(text, kSha256Prefix);
  if (digits.size() != kSha256Digits || !absl::c_all_of(digits, absl::ascii_isxdigit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a SHA-256 is ", kSha256Digits, " hexadecimal digits"));
  }
  v1::Digest digest;
  digest.set_algorithm(v1::Digest::SHA256);
  digest.set_value(absl::HexStringToBytes(digits));
  return digest;
}

std::string DigestText(const v1::Digest& digest) {
  if (digest.value().empty()) return "none";
  const char* algorithm = digest.algorithm() == v1::Digest::SHA256 ? "sha256" : "unknown";
  return absl::StrCat(algorithm, ":", absl::BytesToHexString(digest.value()));
}

bool SameDigest(const v1::Digest& a, const v1::Digest& b) {
  return a.algorithm() == b.algorithm() && a.value() == b.value();
}

}  // namespace vxa::client
