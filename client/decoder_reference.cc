#include "client/decoder_reference.h"

#include <algorithm>
#include <functional>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/checksum.h"
#include "client/report.h"

namespace vxa::client {
namespace {

constexpr char kPrefix[] = "sha256:";
constexpr size_t kMinDigits = 8, kDigits = 64;
constexpr size_t kMostShown = 8;  // decoders that a message lists

using Decoders = std::vector<v1::Decoder>;

bool IsDigits(const std::string& text) {
  return text.size() >= kMinDigits && text.size() <= kDigits &&
         absl::c_all_of(text, absl::ascii_isxdigit);
}

Decoders Select(const Decoders& decoders, const std::function<bool(const v1::Decoder&)>& wanted) {
  Decoders selected;
  std::ranges::copy_if(decoders, std::back_inserter(selected), wanted);
  return selected;
}

Decoders WithId(const Decoders& decoders, const std::string& digits) {
  return Select(decoders, [&](const v1::Decoder& decoder) {
    return absl::StartsWithIgnoreCase(absl::BytesToHexString(decoder.id().value()), digits);
  });
}

Decoders WithName(const Decoders& decoders, const std::string& name) {
  Decoders named =
      Select(decoders, [&](const v1::Decoder& decoder) { return decoder.name() == name; });
  Decoders built_in = Select(
      named, [](const v1::Decoder& decoder) { return decoder.origin() == v1::Decoder::BUILT_IN; });
  return built_in.empty() ? named : built_in;
}

absl::Status Ambiguous(const std::string& reference, const Decoders& decoders) {
  std::string text = absl::StrCat(decoders.size(), " decoders may be meant by ", reference,
                                  "; say which by more of its id:");
  for (size_t i = 0; i < std::min(decoders.size(), kMostShown); ++i) {
    absl::StrAppend(&text, "\n", DecoderLine(decoders[i]));
  }
  if (decoders.size() > kMostShown) {
    absl::StrAppend(&text, "\nand ", decoders.size() - kMostShown, " more");
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace

absl::Status CheckDecoderReference(const std::string& reference) {
  const bool id = absl::StartsWith(reference, kPrefix);
  const std::string rest = id ? reference.substr(sizeof kPrefix - 1) : reference;
  if (id ? IsDigits(rest) : !rest.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a decoder is named by its id, sha256:HEX, by ",
                                                 kMinDigits,
                                                 " or more of the digits, or by its name"));
}

absl::StatusOr<v1::Digest> FindDecoder(const std::string& reference, const Decoders& decoders) {
  const bool id = absl::StartsWith(reference, kPrefix);
  const std::string rest = id ? reference.substr(sizeof kPrefix - 1) : reference;
  Decoders found;
  if (IsDigits(rest)) found = WithId(decoders, rest);
  if (found.empty() && !id) found = WithName(decoders, rest);
  if (found.size() == 1) return found[0].id();
  if (!found.empty()) return Ambiguous(reference, found);
  return absl::NotFoundError(
      absl::StrCat("no decoder ", reference, "; vxa decoder ls lists those there are"));
}

}  // namespace vxa::client
