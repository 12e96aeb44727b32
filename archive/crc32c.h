// CRC-32C (Castagnoli): RFC 3720, appendix B.4.
#ifndef ARCHIVE_CRC32C_H_
#define ARCHIVE_CRC32C_H_

#include <isa-l/crc.h>

#include <cstdint>
#include <string_view>

namespace vxa {

// REQUIRES: less than 2 GiB.
inline uint32_t Crc32c(std::string_view data) {
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
  return ~crc32_iscsi(bytes, static_cast<int>(data.size()), ~0u);
}

}  // namespace vxa

#endif  // ARCHIVE_CRC32C_H_
