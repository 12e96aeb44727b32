#include "archive/wire_text.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "archive/names.h"
#include "archive/text.h"

namespace vxa {
namespace {

bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Appends the first character of `text`, or what stands for it; its bytes in `text`.
size_t AppendCharacter(std::string_view text, std::string& wire) {
  const size_t length = Utf8Length(text);
  const size_t bytes = std::max<size_t>(length, 1);
  if (length != 0 && (!IsControl(text) || text[0] == '\n' || text[0] == '\t')) {
    wire.append(text.substr(0, bytes));
    return bytes;
  }
  for (const char c : text.substr(0, bytes)) {
    absl::StrAppendFormat(&wire, "\\x%02x", static_cast<unsigned char>(c));
  }
  return bytes;
}

}  // namespace

std::string WireText(std::string_view text, size_t max_bytes) {
  constexpr std::string_view kCut = "...";
  std::string wire;
  while (!text.empty() && wire.size() <= max_bytes) {
    text.remove_prefix(AppendCharacter(text, wire));
  }
  if (wire.size() <= max_bytes) return wire;
  size_t end = max_bytes > kCut.size() ? max_bytes - kCut.size() : 0;
  while (end > 0 && ContinuesCharacter(wire[end])) --end;
  wire.resize(end);
  return wire.append(kCut);
}

}  // namespace vxa
