// A content digest: an algorithm and its bytes, written "sha256:<hex>" in text.
#ifndef ARCHIVE_DIGEST_H_
#define ARCHIVE_DIGEST_H_

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vxa {

// SHA-256 today; the numbers are stored, never reuse one.
enum class HashAlgorithm : uint8_t { kSha256 = 1 };

struct Digest {
  HashAlgorithm algorithm = HashAlgorithm::kSha256;
  std::array<uint8_t, 32> bytes{};

  static Digest Of(std::string_view data);

  // INVALID_ARGUMENT unless `raw` has exactly the algorithm's size.
  static absl::StatusOr<Digest> FromBytes(HashAlgorithm algorithm, std::string_view raw);

  std::string_view raw() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  // "sha256:" and 64 hexadecimal digits, and back: INVALID_ARGUMENT for anything else.
  std::string ToString() const;
  static absl::StatusOr<Digest> FromString(std::string_view text);

  auto operator<=>(const Digest&) const = default;
};

// SHA-256 of bytes that come piece by piece.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void Update(std::string_view data);
  Digest Finish();  // REQUIRES: called once

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace vxa

#endif  // ARCHIVE_DIGEST_H_
