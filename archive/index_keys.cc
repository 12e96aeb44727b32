#include "archive/index_keys.h"

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "archive/digest.h"
#include "archive/record_format.h"
#include "archive/text.h"

namespace vxa {
namespace {

constexpr size_t kDigestSize = 33;  // its algorithm's byte and its own
constexpr size_t kPlaceSize = 12;   // pack and offset

uint64_t BigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (char c : bytes) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

// Takes what is before the next byte 0, and that; nothing if there is none.
std::optional<std::string> TakeText(std::string_view& key) {
  const size_t end = key.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  std::string text(key.substr(0, end));
  key.remove_prefix(end + 1);
  return text;
}

std::optional<Digest> TakeDigest(std::string_view& key) {
  if (key.size() < kDigestSize) return std::nullopt;
  absl::StatusOr<Digest> digest =
      Digest::FromBytes(static_cast<HashAlgorithm>(key[0]), key.substr(1, kDigestSize - 1));
  key.remove_prefix(kDigestSize);
  if (!digest.ok()) return std::nullopt;
  return *digest;
}

std::string Shown(std::string_view key) {
  return absl::StrCat("the entry \"", absl::CHexEscape(Absl(key)), "\"");
}

std::string DescribeCopy(std::string_view key) {
  std::string_view rest = key.substr(1);
  const std::optional<Digest> digest = TakeDigest(rest);
  if (!digest || rest.size() != kPlaceSize) return Shown(key);
  return absl::StrCat("the copy of ", digest->ToString(), " in ",
                      Describe(Location{.pack = static_cast<uint32_t>(BigEndian(rest.substr(0, 4))),
                                        .offset = BigEndian(rest.substr(4))}));
}

std::string DescribeDecoder(std::string_view key) {
  std::string_view rest = key.substr(1);
  const std::optional<Digest> digest = TakeDigest(rest);
  return digest ? absl::StrCat("decoder ", digest->ToString()) : Shown(key);
}

std::string DescribeRegistration(std::string_view key) {
  std::string_view rest = key.substr(1);
  const std::optional<std::string> ns = TakeText(rest);
  const std::optional<Digest> digest = TakeDigest(rest);
  if (!ns || !digest) return Shown(key);
  return absl::StrCat("the registration of decoder ", digest->ToString(), " in ", *ns);
}

std::string DescribeRequest(std::string_view key) {
  std::string_view rest = key.substr(1);
  const std::optional<std::string> ns = TakeText(rest);
  const std::optional<std::string> name = TakeText(rest);
  if (!ns || !name) return Shown(key);
  return absl::StrCat("the request \"", absl::CHexEscape(Absl(rest)), "\" of ", *ns, "/", *name);
}

std::string DescribeHead(std::string_view key) {
  std::string_view rest = key.substr(1);
  const std::optional<std::string> ns = TakeText(rest);
  return ns ? absl::StrCat("the name ", *ns, "/", Absl(rest)) : Shown(key);
}

}  // namespace

std::optional<VersionOf> ParseVersionKey(std::string_view key) {
  if (!key.starts_with(kVersionKind) && !key.starts_with('c')) return std::nullopt;
  key.remove_prefix(1);
  std::optional<std::string> ns = TakeText(key);
  std::optional<std::string> name = TakeText(key);
  if (!ns || !name || key.size() != sizeof(uint64_t)) return std::nullopt;
  return VersionOf{*std::move(ns), *std::move(name), ~BigEndian(key)};
}

std::string Describe(const VersionOf& version) {
  return absl::StrCat(version.ns, "/", version.name, " version ", version.version);
}

std::string DescribeKey(std::string_view key) {
  if (key.empty()) return Shown(key);
  const std::optional<VersionOf> version = ParseVersionKey(key);
  switch (key[0]) {
    case 'h':
      return DescribeHead(key);
    case kVersionKind:
      return version ? Describe(*version) : Shown(key);
    case 'c':
      return version ? absl::StrCat("the verification of ", Describe(*version)) : Shown(key);
    case 'r':
      return DescribeRequest(key);
    case 'p':
      return DescribeCopy(key);
    case 'd':
      return DescribeDecoder(key);
    case 'g':
      return DescribeRegistration(key);
    default:
      return Shown(key);
  }
}

}  // namespace vxa
