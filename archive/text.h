// Debian's Abseil has a string_view of its own: these go between it and the standard's.
#ifndef ARCHIVE_TEXT_H_
#define ARCHIVE_TEXT_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace vxa {

inline absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view Std(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace vxa

#endif  // ARCHIVE_TEXT_H_
