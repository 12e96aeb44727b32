// Text that goes into a protobuf `string`, which must be UTF-8.
#ifndef ARCHIVE_WIRE_TEXT_H_
#define ARCHIVE_WIRE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace vxa {

// `text` as it is if it is UTF-8, else with every byte that isn't ASCII as "\xNN". More than
// `max_bytes` are cut, between characters, and "..." is put in their place.
std::string WireText(std::string_view text, size_t max_bytes);

}  // namespace vxa

#endif  // ARCHIVE_WIRE_TEXT_H_
