#include "archive/recognizer.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "archive/names.h"

namespace vxa {
namespace {

using namespace std::string_view_literals;  // NOLINT(google-build-using-namespace): a suffix

// RFC 1952, 2.3: ID1 ID2, CM = deflate, reserved flags zero.
bool IsGzip(std::string_view head) {
  return head.size() >= 10 && head.starts_with("\x1f\x8b\x08"sv) &&
         (static_cast<uint8_t>(head[3]) & 0xe0) == 0;
}

// "BZh", the size of its blocks, and what a first block begins with, or the end of a stream without
// blocks.
bool IsBzip2(std::string_view head) {
  if (head.size() < 10 || !head.starts_with("BZh"sv) || head[3] < '1' || head[3] > '9')
    return false;
  const std::string_view magic = head.substr(4, 6);
  return magic == "\x31\x41\x59\x26\x53\x59"sv || magic == "\x17\x72\x45\x38\x50\x90"sv;
}

// POSIX.1-1988 on: "ustar" in the header's magic field (GNU tar follows it with blanks).
bool IsTar(std::string_view head) { return head.size() >= 512 && head.substr(257, 5) == "ustar"sv; }

bool IsZip(std::string_view head) { return head.starts_with("PK\x03\x04"sv); }
bool IsPng(std::string_view head) { return head.starts_with("\x89PNG\r\n\x1a\n"sv); }
bool IsJpeg(std::string_view head) { return head.starts_with("\xff\xd8\xff"sv); }
bool IsPdf(std::string_view head) { return head.starts_with("%PDF-"sv); }

constexpr Format kFormats[] = {
    {"gzip", "application/gzip", "x-fmt/266", ".gz", true, IsGzip, "zlib", "gzip"},
    {"bzip2", "application/x-bzip2", "x-fmt/268", ".bz2", true, IsBzip2, "bzip2", ""},
    {"tar", "application/x-tar", "x-fmt/265", ".tar", false, IsTar, "", ""},
    {"zip", "application/zip", "x-fmt/263", ".zip", true, IsZip, "", ""},
    {"png", "image/png", "", ".png", true, IsPng, "", ""},
    {"jpeg", "image/jpeg", "", ".jpg", true, IsJpeg, "", ""},
    {"pdf", "application/pdf", "", ".pdf", false, IsPdf, "", ""},
};

// UTF-8 without control characters but blanks. Only the beginning of a longer text may end within
// a character.
bool LooksLikeText(std::string_view head) {
  head = head.substr(0, kRecognizedBytes);
  size_t cut = 0;
  const size_t most = head.size() == kRecognizedBytes ? 3 : 0;
  while (cut < most && !IsUtf8(head.substr(0, head.size() - cut))) ++cut;
  head.remove_suffix(cut);
  return !head.empty() && IsUtf8(head) && std::ranges::none_of(head, [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f') ||
           byte == 0x7f;
  });
}

// The extension of a name with its dot, or "" if it has none that is fit for a file's name.
std::string_view Extension(std::string_view name) {
  constexpr size_t kLongest = 16;
  name = name.substr(name.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  std::string_view extension = name.substr(dot);
  const bool plain = std::ranges::all_of(extension.substr(1), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '+';
  });
  return plain && extension.size() > 1 && extension.size() <= kLongest ? extension : "";
}

}  // namespace

const Format* Recognize(std::string_view head) {
  auto found = std::ranges::find_if(kFormats, [&](const Format& f) { return f.matches(head); });
  return found == std::end(kFormats) ? nullptr : found;
}

std::string MediaType(std::string_view head) {
  if (const Format* format = Recognize(head)) return std::string(format->media_type);
  return LooksLikeText(head) ? "text/plain" : "application/octet-stream";
}

std::string DecodedExtension(std::string_view name, std::string_view head) {
  const std::string_view outer = Extension(name);
  if (outer == ".tgz" || outer == ".tbz" || outer == ".tbz2") return ".tar";
  const std::string_view inner = Extension(name.substr(0, name.size() - outer.size()));
  if (!inner.empty()) return std::string(inner);
  if (const Format* format = Recognize(head)) return std::string(format->extension);
  return LooksLikeText(head) ? ".txt" : "";
}

}  // namespace vxa
