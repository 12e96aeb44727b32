#include "archive/wire_text.h"

#include "absl/strings/str_format.h"
#include "archive/names.h"

namespace vxa {
namespace {

std::string Escape(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      escaped += c;
    } else {
      absl::StrAppendFormat(&escaped, "\\x%02x", byte);
    }
  }
  return escaped;
}

bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::string WireText(std::string_view text, size_t max_bytes) {
  constexpr std::string_view kCut = "...";
  std::string wire = IsUtf8(text) ? std::string(text) : Escape(text);
  if (wire.size() <= max_bytes) return wire;
  size_t end = max_bytes > kCut.size() ? max_bytes - kCut.size() : 0;
  while (end > 0 && ContinuesCharacter(wire[end])) --end;
  wire.resize(end);
  return wire.append(kCut);
}

}  // namespace vxa
