#include "archive/names.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/text.h"

namespace vxa {
namespace {

// Unicode standard, table 3-7: by first byte, how many bytes follow and the range of the first of
// those. All further ones are 80..BF.
struct Utf8Row {
  uint8_t first, last, trailing, low, high;
};
constexpr Utf8Row kUtf8[] = {
    {0x00, 0x7f, 0, 0x00, 0x00}, {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

absl::Status BadName(std::string_view name, std::string_view what) {
  constexpr size_t kShown = 80;
  std::string_view shown = name.substr(0, kShown);
  return Error(Reason::kInvalidName,
               absl::StrCat("name \"", absl::CHexEscape(Absl(shown)),
                            shown.size() < name.size() ? "..." : "", "\" ", Absl(what)));
}

absl::Status CheckSegments(std::string_view name) {
  for (size_t start = 0; start <= name.size();) {
    size_t end = std::min(name.find('/', start), name.size());
    std::string_view segment = name.substr(start, end - start);
    if (segment.empty() || segment == "." || segment == "..") {
      return BadName(name, absl::StrCat("has the segment \"", Absl(segment), "\" at byte ", start,
                                        "; a segment may not be empty, \".\" or \"..\""));
    }
    start = end + 1;
  }
  return absl::OkStatus();
}

}  // namespace

size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (const Utf8Row& row : kUtf8) {
    if (byte(0) < row.first || byte(0) > row.last) continue;
    if (text.size() <= row.trailing) return 0;
    for (size_t i = 1; i <= row.trailing; ++i) {
      if (byte(i) < (i == 1 ? row.low : 0x80) || byte(i) > (i == 1 ? row.high : 0xbf)) return 0;
    }
    return row.trailing + size_t{1};
  }
  return 0;
}

bool IsControl(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  return first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0);
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

absl::Status CheckName(std::string_view name) {
  if (name.empty()) return BadName(name, "is empty");
  if (name.size() > kMaxNameBytes) {
    return BadName(name, absl::StrCat("has ", name.size(), " bytes; ", kMaxNameBytes, " may be"));
  }
  for (size_t at = 0; at < name.size();) {
    size_t length = Utf8Length(name.substr(at));
    if (length == 0) return BadName(name, absl::StrCat("is not UTF-8 at byte ", at));
    if (IsControl(name.substr(at))) {
      return BadName(name, absl::StrCat("has a control character at byte ", at));
    }
    at += length;
  }
  if (name[0] == '/') return BadName(name, "begins with '/'");
  return CheckSegments(name);
}

absl::Status CheckNamespace(std::string_view ns) {
  if (absl::Status status = CheckName(ns); !status.ok()) {
    return Error(Reason::kInvalidName, absl::StrCat("namespace: ", status.message()));
  }
  if (ns.find('/') != std::string_view::npos) {
    return Error(Reason::kInvalidName, "a namespace may not have '/' in it");
  }
  if (ns != kDefaultNamespace) {
    return Error(Reason::kNamespaceNotFound, absl::StrCat("no namespace \"", Absl(ns), "\""));
  }
  return absl::OkStatus();
}

}  // namespace vxa
