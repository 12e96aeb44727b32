// Text that may quote anything, a guest's words say, on its way into a protobuf `string`, which
// must be UTF-8, and from there to people and their terminals.
#ifndef ARCHIVE_WIRE_TEXT_H_
#define ARCHIVE_WIRE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace vxa {

// `text` with every byte that isn't UTF-8 and every control character but newline and tab as
// "\xNN". More than `max_bytes` are cut, between characters, and "..." is put in their place.
std::string WireText(std::string_view text, size_t max_bytes);

}  // namespace vxa

#endif  // ARCHIVE_WIRE_TEXT_H_
