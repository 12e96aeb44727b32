#include "client/text.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace vxa::client {
namespace {

struct Character {
  size_t bytes = 0;  // 0: not UTF-8
  uint32_t code = 0;
};

// The first character of `text`, which isn't empty: Unicode standard, section 3.9.
Character Decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {1, byte(0)};
  const size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc0 ? 2 : 0;
  if (bytes == 0 || byte(0) >= 0xf8 || text.size() < bytes) return {};
  uint32_t code = byte(0) & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kFirst[] = {0, 0, 0x80, 0x800, 0x10000};  // shorter forms are overlong
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kFirst[bytes] || code > 0x10ffff || surrogate) return {};
  return {bytes, code};
}

// Control characters, and format characters that hide or reorder what is around them.
bool Harmful(uint32_t code) {
  struct Range {
    uint32_t first, last;
  };
  constexpr Range kHarmful[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x200b, 0x200f},
                                {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}};
  return std::any_of(std::begin(kHarmful), std::end(kHarmful),
                     [&](const Range& r) { return code >= r.first && code <= r.last; });
}

size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = Decode(text).bytes;
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

bool IsNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() &&
         (text.size() == 1 || text[0] != '0');
}

std::string Printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Character character = Decode(text);
    const size_t bytes = std::max<size_t>(character.bytes, 1);
    if (character.bytes > 0 && !Harmful(character.code)) {
      result.append(text.substr(0, bytes));
    } else {
      for (size_t i = 0; i < bytes; ++i) {
        absl::StrAppendFormat(&result, "\\x%02x", static_cast<uint8_t>(text[i]));
      }
    }
    text.remove_prefix(bytes);
  }
  return result;
}

std::string PrintableLines(std::string_view text, std::string_view indent) {
  std::string lines;
  for (;;) {
    const size_t end = text.find_first_of("\n\t");
    lines += Printable(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    lines += text[end];
    if (text[end] == '\n') lines += indent;
    text.remove_prefix(end + 1);
  }
}

std::string Thousands(uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string Count(uint64_t number, std::string_view one, std::string_view many) {
  return Thousands(number).append(" ").append(number == 1 ? one : many);
}

std::string HumanSize(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " bytes");
  double size = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; size >= 1024; ++unit) size /= 1024;
  return absl::StrFormat("%.1f %s", size, kUnits[unit]);
}

std::string Percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return absl::StrFormat("%.1f%%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Table(const std::vector<std::vector<std::string>>& rows, std::string_view align) {
  std::vector<size_t> widths(align.size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      const std::string padding(widths[i] - Width(row[i]), ' ');
      if (align[i] == '>') text += padding;
      text += row[i];
      if (align[i] == '<' && !last) text += padding;
      text += last ? "\n" : "  ";
    }
  }
  return text;
}

}  // namespace vxa::client
