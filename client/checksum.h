// The checksums of the wire format: CRC-32C of each message's data, SHA-256 of a whole.
#ifndef CLIENT_CHECKSUM_H_
#define CLIENT_CHECKSUM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa::client {

// RFC 3720, appendix B.4. REQUIRES: less than 2 GiB.
uint32_t Crc32c(std::string_view data);

// SHA-256 of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  void Update(std::string_view data);
  v1::Digest Finish();  // REQUIRES: called once

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

// SHA-256 of bytes that are at hand.
v1::Digest DigestOf(std::string_view data);

// From "sha256:" and 64 hexadecimal digits, or these alone. INVALID_ARGUMENT for anything else.
absl::StatusOr<v1::Digest> ParseDigest(const std::string& text);

// "sha256:<hex>"; "none" for an empty digest.
std::string DigestText(const v1::Digest& digest);

bool SameDigest(const v1::Digest& a, const v1::Digest& b);

}  // namespace vxa::client

#endif  // CLIENT_CHECKSUM_H_
