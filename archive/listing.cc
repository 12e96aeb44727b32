// A page token is base64url of
//
//   0  4  CRC-32C of the rest
//   4  4  CRC-32C of what the listing was asked for
//   8  8  version after which it goes on, in a listing of versions; else 0
//  16     the name or common prefix that it goes on at
//
// numbers little-endian. After a common prefix, or a name in a listing without versions, the
// listing goes on behind everything that begins with it, or that it is.
#include "archive/listing.h"

#include <leveldb/iterator.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "archive/changes.h"
#include "archive/crc32c.h"
#include "archive/errors.h"
#include "archive/log.h"
#include "archive/object_info.h"

namespace vxa {
namespace {

// Behind all names that begin with what it is appended to: UTF-8 has no such byte.
constexpr char kBehindAll = '\xff';

void PutNumber(std::string& out, uint64_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

uint64_t GetNumber(std::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    number |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  }
  return number;
}

uint32_t QueryHash(const ListSpec& spec) {
  std::string query;
  for (const std::string& part : {spec.ns, spec.prefix, spec.delimiter}) {
    PutNumber(query, part.size(), 8);
    query += part;
  }
  query.push_back(spec.versions ? 1 : 0);
  return Crc32c(query);
}

// Where a page begins.
struct Place {
  std::string name;      // the first name at or behind this
  uint64_t version = 0;  // where it is this very name: the versions below this one; 0: all
};

std::string EncodeToken(const ListSpec& spec, const Place& place) {
  std::string body;
  PutNumber(body, QueryHash(spec), 4);
  PutNumber(body, place.version, 8);
  body += place.name;
  std::string token;
  PutNumber(token, Crc32c(body), 4);
  return absl::WebSafeBase64Escape(token + body);
}

absl::StatusOr<Place> DecodeToken(const ListSpec& spec) {
  const auto invalid = [](std::string_view why) { return Error(Reason::kInvalidRequest, why); };
  if (spec.page_token.empty()) return Place{.name = spec.prefix};
  std::string token;
  if (spec.page_token.size() > 4096 || !absl::WebSafeBase64Unescape(spec.page_token, &token) ||
      token.size() < 16 ||
      GetNumber(std::string_view(token).substr(0, 4)) !=
          Crc32c(std::string_view(token).substr(4))) {
    return invalid("page_token: not one of this server's");
  }
  std::string_view body = std::string_view(token).substr(4);
  if (GetNumber(body.substr(0, 4)) != QueryHash(spec)) {
    return invalid(
        "page_token: it belongs to a listing with another prefix, delimiter or the like");
  }
  return Place{.name = std::string(body.substr(12)), .version = GetNumber(body.substr(4, 8))};
}

class Lister {
 public:
  Lister(const Index& index, PackFiles& packs, const ListSpec& spec)
      : snapshot_(index.Now()),
        packs_(packs),
        spec_(spec),
        page_size_(spec.page_size == 0 ? kMaxPage : std::min(spec.page_size, kMaxPage)) {}

  absl::StatusOr<ListResult> Run();

 private:
  absl::Status AddName(const std::string& name, uint64_t below);
  absl::Status AddVersion(const std::string& name, uint64_t version, const IndexVersion& entry);
  bool Full() const { return result_.objects.size() + result_.prefixes.size() >= page_size_; }

  const std::unique_ptr<Index::Snapshot> snapshot_;
  PackFiles& packs_;
  const ListSpec& spec_;
  const uint32_t page_size_;
  ListResult result_;
  std::optional<Place> next_;  // where the next page begins, once this one is full
};

absl::StatusOr<ListResult> Lister::Run() {
  absl::StatusOr<Place> place = DecodeToken(spec_);
  if (!place.ok()) return place.status();
  const std::unique_ptr<leveldb::Iterator> at = snapshot_->NewIterator();
  at->Seek(HeadKey(spec_.ns, std::max(place->name, spec_.prefix)));
  while (at->Valid() && !next_) {
    const std::string key = at->key().ToString();
    std::optional<std::string_view> found = NameOfHeadKey(spec_.ns, key);
    if (!found || !found->starts_with(spec_.prefix)) break;
    const std::string name(*found);
    IndexHead head;
    if (!head.ParseFromArray(at->value().data(), static_cast<int>(at->value().size()))) {
      return snapshot_->Failed(leveldb::Status::Corruption("bad value"));
    }
    if ((spec_.versions ? head.latest_version() : VisibleVersion(head)) == 0) {
      at->Next();
      continue;
    }
    const size_t cut = spec_.delimiter.empty() ? std::string::npos
                                               : name.find(spec_.delimiter, spec_.prefix.size());
    if (cut == std::string::npos) {
      const uint64_t below =
          name == place->name && place->version != 0 ? place->version : UINT64_MAX;
      if (absl::Status added = AddName(name, below); !added.ok()) return added;
      at->Next();
    } else if (Full()) {
      next_ = Place{.name = name};
    } else {
      std::string common = name.substr(0, cut + spec_.delimiter.size());
      at->Seek(HeadKey(spec_.ns, common + kBehindAll));
      result_.prefixes.push_back(std::move(common));
    }
  }
  if (!at->status().ok()) return snapshot_->Failed(at->status());
  if (next_) result_.next_page_token = EncodeToken(spec_, *next_);
  return std::move(result_);
}

// Adds a name's latest version, or all its versions below `below`, as far as the page goes.
absl::Status Lister::AddName(const std::string& name, uint64_t below) {
  bool first = true;
  for (;;) {
    auto version = snapshot_->LatestVersion(spec_.ns, name, below);
    if (!version.ok()) return version.status();
    if (!*version) return absl::OkStatus();
    if (Full()) {
      next_ = Place{.name = name, .version = first && below == UINT64_MAX ? 0 : below};
      return absl::OkStatus();
    }
    const auto& [number, entry] = **version;
    if (absl::Status added = AddVersion(name, number, entry); !added.ok()) return added;
    if (!spec_.versions) return absl::OkStatus();
    below = number;
    first = false;
  }
}

absl::Status Lister::AddVersion(const std::string& name, uint64_t version,
                                const IndexVersion& entry) {
  result_.objects.push_back(ToObjectInfo(spec_.ns, name, version, entry));
  if (entry.delete_marker()) return absl::OkStatus();
  auto manifest = ReadManifest(packs_, spec_.ns, name, version, entry);
  if (manifest.ok()) {
    result_.objects.back() = ToObjectInfo(*manifest);
  } else {  // listed all the same, with what the index knows
    Log(LogLevel::kError, std::string(manifest.status().message()));
  }
  return AddVerification(*snapshot_, result_.objects.back());
}

}  // namespace

absl::StatusOr<ListResult> ListObjects(const Index& index, PackFiles& packs, const ListSpec& spec) {
  return Lister(index, packs, spec).Run();
}

}  // namespace vxa
