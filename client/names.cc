#include "client/names.h"

#include <cctype>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/text.h"

namespace vxa::client {
namespace {

constexpr char kExtensionCharacters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

constexpr char kDecoderExtension[] = ".vx";

// Where a name's extension begins: a dot that isn't the first character, a letter, up to four more
// letters and digits. "v1.2" has none.
size_t ExtensionStart(std::string_view name) {
  constexpr size_t kLongest = 5;
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return name.size();
  const std::string_view extension = name.substr(dot + 1);
  if (extension.empty() || extension.size() > kLongest) return name.size();
  if (!isalpha(static_cast<unsigned char>(extension[0]))) return name.size();
  for (char c : extension) {
    if (!isalnum(static_cast<unsigned char>(c))) return name.size();
  }
  return dot;
}

}  // namespace

absl::StatusOr<std::string> NameOfPath(const std::string& path) {
  std::vector<std::string> segments;
  for (absl::string_view segment : absl::StrSplit(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      segments.emplace_back(segment);
    } else if (!segments.empty()) {
      segments.pop_back();
    }
  }
  if (segments.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("no name can be made of ", path, "; give one"));
  }
  return absl::StrJoin(segments, "/");
}

std::string BaseName(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string ViewFileName(const std::string& name, const std::string& extension) {
  const std::string base = BaseName(name);
  // It comes from a server: it may not lead out of the folder.
  const bool plain = extension.find_first_not_of(kExtensionCharacters) == std::string::npos;
  std::string file = base.substr(0, ExtensionStart(base));
  if (plain && !absl::EndsWith(file, extension)) file += extension;
  return file == base ? absl::StrCat(base, ".view") : file;
}

std::string DecoderNameOf(const std::string& path) {
  const std::string base = BaseName(path);
  return base == kDecoderExtension ? base : std::string(absl::StripSuffix(base, kDecoderExtension));
}

std::string DecoderFileName(const std::string& name, const std::string& hex) {
  constexpr size_t kShortId = 8;
  // It comes from a server, and a registered decoder's is anybody's claim.
  const bool plain = !name.empty() && name[0] != '.' && name[0] != '-' &&
                     name.find('/') == std::string::npos && name == Printable(name);
  return absl::StrCat(plain ? name : hex.substr(0, kShortId), kDecoderExtension);
}

}  // namespace vxa::client
