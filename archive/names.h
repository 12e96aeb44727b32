// The rules for namespaces and names (proto/vxa/v1/vxa.proto tells them to clients).
#ifndef ARCHIVE_NAMES_H_
#define ARCHIVE_NAMES_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace vxa {

inline constexpr size_t kMaxNameBytes = 1024;
inline constexpr size_t kMaxRequestIdBytes = 128;
inline constexpr std::string_view kDefaultNamespace = "default";

// Whether `text` is UTF-8 as the Unicode standard has it (table 3-7: no surrogates, no overlong
// forms, nothing past U+10FFFF).
bool IsUtf8(std::string_view text);

// The bytes of the well-formed character that `text`, which isn't empty, begins with, or 0.
size_t Utf8Length(std::string_view text);

// Whether `text` begins with a control character: C0, DEL or C1, Unicode's category Cc. REQUIRES:
// it begins with a well-formed character.
bool IsControl(std::string_view text);

// INVALID_NAME, saying which rule and where, unless `name` is UTF-8 of 1 to 1,024 bytes without
// control characters (U+0000-001F, U+007F-009F), a leading '/', or a segment that is empty, "." or
// "..".
absl::Status CheckName(std::string_view name);

// INVALID_NAME unless `ns` could be a namespace: the rules for names, and no '/'.
// NAMESPACE_NOT_FOUND unless it is the one that there is.
absl::Status CheckNamespace(std::string_view ns);

}  // namespace vxa

#endif  // ARCHIVE_NAMES_H_
