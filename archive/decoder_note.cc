#include "archive/decoder_note.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "archive/errors.h"
#include "archive/names.h"
#include "archive/text.h"
#include "archive/wire_text.h"

namespace vxa {
namespace {

constexpr size_t kMaxLines = 256;
constexpr size_t kMaxLine = 1024;      // bytes
constexpr size_t kMaxMediaType = 255;  // bytes; RFC 6838, section 4.2
constexpr size_t kMaxExtension = 16;   // bytes

// Takes what comes before `separator` away from the front of `text`, and the separator; all of it
// if there is none.
std::string_view TakeUntil(std::string_view separator, std::string_view* text) {
  const size_t at = text->find(separator);
  const std::string_view taken = text->substr(0, at);
  text->remove_prefix(at == std::string_view::npos ? text->size() : at + separator.size());
  return taken;
}

// The same from its back, after the last separator.
std::string_view TakeLast(std::string_view separator, std::string_view* text) {
  const size_t at = text->rfind(separator);
  if (at == std::string_view::npos) return std::exchange(*text, "");
  const std::string_view taken = text->substr(at + separator.size());
  *text = text->substr(0, at);
  return taken;
}

bool IsText(std::string_view line) {
  while (!line.empty()) {
    const size_t length = Utf8Length(line);
    if (length == 0 || IsControl(line)) return false;
    line.remove_prefix(length);
  }
  return true;
}

bool IsMadeOf(std::string_view text, std::string_view others) {
  return !text.empty() && std::ranges::all_of(text, [others](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           others.find(c) != std::string_view::npos;
  });
}

// "image/png .png"
std::optional<OutputType> ParseOutput(std::string_view text) {
  constexpr std::string_view kOthers = "!#$&-^_.+";  // RFC 6838, section 4.2
  const std::string_view type = TakeUntil(" ", &text), extension = text;
  std::string_view subtype = type;
  if (!IsMadeOf(TakeUntil("/", &subtype), kOthers) || !IsMadeOf(subtype, kOthers) ||
      type.size() > kMaxMediaType || extension.size() > kMaxExtension ||
      !extension.starts_with('.') || !IsMadeOf(extension.substr(1), "-_+")) {
    return std::nullopt;
  }
  return OutputType{.media_type = std::string(type), .extension = std::string(extension)};
}

// "--restore", "--seconds=N", "--scale=2|4|8"
bool IsSyntax(std::string_view text) {
  if (!text.starts_with("--")) return false;
  const bool has_value = text.find('=') != std::string_view::npos;
  text.remove_prefix(2);
  const std::string_view name = TakeUntil("=", &text);
  return IsMadeOf(name, "-_.") && (!has_value || IsMadeOf(text, "-_.+,:|"));
}

// "--png -> image/png .png; the first image"
void AddParameter(std::string_view value, bool preview, DecoderNote* note) {
  std::string_view before = TakeUntil(";", &value);
  DecoderNote::Parameter parameter{
      .syntax = std::string(TakeUntil(" ", &before)),
      .description = std::string(Std(absl::StripAsciiWhitespace(Absl(value)))),
      .preview = preview};
  if (!IsSyntax(parameter.syntax)) return;
  if (!before.empty()) {
    if (TakeUntil("-> ", &before) != "") return;
    parameter.output = ParseOutput(before);
    if (!parameter.output) return;
  }
  note->parameters.push_back(std::move(parameter));
}

// "CVE-2024-10573.patch sha256:..."
std::optional<DecoderNote::Patch> ParseFile(std::string_view value) {
  const absl::StatusOr<Digest> digest = Digest::FromString(TakeLast(" ", &value));
  if (!digest.ok() || value.empty() || value.find_first_of("/ ") != std::string_view::npos) {
    return std::nullopt;
  }
  return DecoderNote::Patch{.name = std::string(value), .digest = *digest};
}

// "zlib 1.2.13 (Zlib) zlib_1.2.13.dfsg.orig.tar.bz2 sha256:...", or without a tarball. What is
// something else is a source without a name, which patches may follow.
DecoderNote::Source ParseSource(std::string_view value) {
  DecoderNote::Source source;
  const size_t end = value.rfind(')');
  if (end == std::string_view::npos) return {};
  if (end + 1 < value.size()) {
    std::string_view file = value.substr(end + 1);
    if (TakeUntil(" ", &file) != "") return {};
    std::optional<DecoderNote::Patch> tarball = ParseFile(file);
    if (!tarball) return {};
    source.file = std::move(tarball->name);
    source.digest = tarball->digest;
  }
  value = value.substr(0, end);
  source.name = TakeUntil(" ", &value);
  source.version = TakeUntil(" (", &value);
  source.license = value;
  if (source.version.empty() || source.license.empty() ||
      source.version.find(' ') != std::string::npos) {
    return {};
  }
  return source;
}

void AddPatch(std::string_view value, DecoderNote* note) {
  std::optional<DecoderNote::Patch> patch = ParseFile(value);
  if (patch && !note->sources.empty()) note->sources.back().patches.push_back(*std::move(patch));
}

void AddLine(std::string_view line, DecoderNote* note) {
  const std::string_view key = TakeUntil(": ", &line);
  if (key == "output" && !note->output) note->output = ParseOutput(line);
  if (key == "parameter" || key == "preview") AddParameter(line, key == "preview", note);
  if (key == "source") note->sources.push_back(ParseSource(line));
  if (key == "patch") AddPatch(line, note);
  if (key == "kit" && note->kit.empty()) note->kit = std::string(line);
  if (key == "compiler" && note->compiler.empty()) note->compiler = std::string(line);
}

std::string_view NameOf(std::string_view argument) { return TakeUntil("=", &argument); }

// Decimal, at least 1, below 2^64, in its one spelling.
bool IsNumber(std::string_view text) {
  uint64_t number = 0;
  return IsMadeOf(text, "") && text[0] != '0' && absl::SimpleAtoi(Absl(text), &number);
}

// Whether `argument` is one that "--a", "--b=N" or "--c=2|4" allows.
bool Allows(std::string_view syntax, std::string_view argument) {
  const bool has_value = syntax.find('=') != std::string_view::npos;
  if (!has_value) return argument == syntax;
  const std::string_view name = TakeUntil("=", &syntax);
  if (argument.find('=') == std::string_view::npos || TakeUntil("=", &argument) != name) {
    return false;
  }
  if (syntax == "N") return IsNumber(argument);
  while (!syntax.empty()) {
    if (TakeUntil("|", &syntax) == argument) return true;
  }
  return false;
}

absl::Status Refused(std::string_view why, std::string_view argument, const DecoderNote& note) {
  constexpr size_t kShown = 80;  // bytes: the list has to be seen too
  const std::string list = absl::StrJoin(
      note.parameters, ", ",
      [](std::string* out, const DecoderNote::Parameter& p) { absl::StrAppend(out, p.syntax); });
  return Error(Reason::kInvalidRequest,
               absl::StrCat(Absl(why), " argument ", WireText(argument, kShown), "; the decoder ",
                            list.empty() ? "declares no parameters" : "takes ", list));
}

}  // namespace

DecoderNote ParseDecoderNote(std::string_view lines) {
  DecoderNote note;
  for (size_t count = 0; !lines.empty() && count < kMaxLines; ++count) {
    const std::string_view line = TakeUntil("\n", &lines);
    if (line.size() <= kMaxLine && IsText(line)) AddLine(line, &note);
  }
  std::erase_if(note.sources, [](const auto& source) { return source.name.empty(); });
  return note;
}

absl::StatusOr<ClaimedOutput> CheckParameters(const DecoderNote& note,
                                              std::span<const std::string> present,
                                              std::span<const std::string> added) {
  ClaimedOutput output{.type = note.output};
  for (size_t i = 0; i < added.size(); ++i) {
    const std::string_view argument = added[i];
    const auto parameter = std::ranges::find_if(
        note.parameters, [&](const auto& p) { return Allows(p.syntax, argument); });
    if (parameter == note.parameters.end()) return Refused("unknown", argument, note);
    const auto same_name = [&](std::string_view other) {
      return NameOf(other) == NameOf(argument);
    };
    if (std::ranges::any_of(present, same_name) || std::ranges::any_of(added.first(i), same_name)) {
      return Refused("repeated", argument, note);
    }
    if (parameter->output) output.type = parameter->output;
    output.preview |= parameter->preview;
  }
  return output;
}

}  // namespace vxa
