#include "archive/testing/model.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "archive/errors.h"
#include "archive/testing/archive_fixture.h"

namespace vxa::testing {

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  if (!outcome.reason.empty()) return out << outcome.reason;
  return out << "version " << outcome.version << (outcome.unchanged ? ", unchanged" : "");
}

std::string Describe(const Operation& operation) {
  const auto* put = std::get_if<PutCall>(&operation);
  const auto* removal = std::get_if<DeleteSpec>(&operation);
  const std::string& request = put != nullptr ? put->spec.request_id : removal->request_id;
  const std::optional<uint64_t>& wanted =
      put != nullptr ? put->spec.if_version : removal->if_version;
  std::string text = put != nullptr
                         ? absl::StrCat("put ", put->spec.name, " of ", put->bytes.size(), " bytes")
                         : absl::StrCat("delete ", removal->name, "@", removal->version);
  if (put != nullptr && put->spec.if_absent) text += " if_absent";
  if (wanted) absl::StrAppend(&text, " if_version ", *wanted);
  if (!request.empty()) absl::StrAppend(&text, " request ", request);
  return text;
}

Outcome Perform(Archive& archive, const Operation& operation, absl::Status* status) {
  absl::Status ignored;
  absl::Status& said = status != nullptr ? *status : ignored;
  const auto failed = [&](const absl::Status& error) {
    said = error;
    const std::string reason = ReasonName(error);
    return Outcome{.reason = reason.empty() ? error.ToString() : reason};
  };
  said = absl::OkStatus();
  if (const auto* put = std::get_if<PutCall>(&operation)) {
    absl::StatusOr<PutResult> result = Put(archive, put->spec, put->bytes);
    if (!result.ok()) return failed(result.status());
    return {.version = result->object.version, .unchanged = result->unchanged};
  }
  absl::StatusOr<uint64_t> version = archive.Delete(std::get<DeleteSpec>(operation));
  if (!version.ok()) return failed(version.status());
  return {.version = *version};
}

uint64_t Model::Name::Visible() const {
  return versions.empty() || versions.rbegin()->second.marker ? 0 : versions.rbegin()->first;
}

uint64_t Model::Name::Add(Version version, Kind kind) {
  ++highest;
  if (!version.request_id.empty()) requests[version.request_id] = {kind, highest};
  versions[highest] = std::move(version);
  return highest;
}

Outcome Model::Perform(const Operation& operation) {
  if (const auto* put = std::get_if<PutCall>(&operation)) return Put(*put);
  return Delete(std::get<DeleteSpec>(operation));
}

Outcome Model::Put(const PutCall& call) {
  Name& name = names_[call.spec.name];
  if (auto known = name.requests.find(call.spec.request_id); known != name.requests.end()) {
    const auto& [kind, version] = known->second;
    if (kind != Kind::kPut || name.versions.at(version).bytes != call.bytes) {
      return {.reason = "INVALID_REQUEST"};
    }
    return {.version = version, .unchanged = true};
  }
  const uint64_t visible = name.Visible();
  if (call.spec.if_absent && visible != 0) return {.reason = "OBJECT_EXISTS"};
  if (call.spec.if_version && *call.spec.if_version != visible) {
    return {.reason = "VERSION_MISMATCH"};
  }
  if (visible != 0 && name.versions[visible].bytes == call.bytes) {
    return {.version = visible, .unchanged = true};
  }
  return {.version =
              name.Add({.bytes = call.bytes, .request_id = call.spec.request_id}, Kind::kPut)};
}

Outcome Model::Delete(const DeleteSpec& spec) {
  Name& name = names_[spec.name];
  const Kind kind = spec.version == 0 ? Kind::kHide : Kind::kRemove;
  if (auto known = name.requests.find(spec.request_id); known != name.requests.end()) {
    const Request& request = known->second;
    if (request.kind != kind || (spec.version != 0 && spec.version != request.version)) {
      return {.reason = "INVALID_REQUEST"};
    }
    return {.version = request.version};
  }
  const uint64_t visible = name.Visible();
  if (spec.if_version && *spec.if_version != visible) return {.reason = "VERSION_MISMATCH"};
  if (kind == Kind::kHide) {
    if (visible == 0) return {.reason = "OBJECT_NOT_FOUND"};
    return {.version = name.Add({.marker = true, .request_id = spec.request_id}, kind)};
  }
  auto version = name.versions.find(spec.version);
  if (version == name.versions.end()) return {.reason = "OBJECT_NOT_FOUND"};
  if (!version->second.request_id.empty()) name.requests.erase(version->second.request_id);
  name.versions.erase(version);
  if (!spec.request_id.empty()) name.requests[spec.request_id] = {kind, spec.version};
  return {.version = spec.version};
}

Model::Listing Model::List(const ListSpec& spec) const {
  Listing listing;
  for (const auto& [text, name] : names_) {
    if (!text.starts_with(spec.prefix)) continue;
    if (spec.versions ? name.versions.empty() : name.Visible() == 0) continue;
    const size_t cut =
        spec.delimiter.empty() ? std::string::npos : text.find(spec.delimiter, spec.prefix.size());
    if (cut != std::string::npos) {
      const std::string common = text.substr(0, cut + spec.delimiter.size());
      if (listing.prefixes.empty() || listing.prefixes.back() != common) {
        listing.prefixes.push_back(common);
      }
    } else if (!spec.versions) {
      listing.names.push_back(text);
    } else {
      for (auto at = name.versions.rbegin(); at != name.versions.rend(); ++at) {
        listing.names.push_back(absl::StrCat(text, "@", at->first));
      }
    }
  }
  return listing;
}

std::string Model::Difference(Archive& archive, bool bytes) const {
  for (bool versions : {false, true}) {
    absl::StatusOr<Listing> there = ListAll(archive, {.versions = versions});
    if (!there.ok()) return there.status().ToString();
    const Listing expected = List({.versions = versions});
    if (*there != expected) {
      return absl::StrCat("it lists ", absl::StrJoin(there->names, " "), " and not ",
                          absl::StrJoin(expected.names, " "));
    }
  }
  for (const auto& [text, name] : names_) {
    for (const auto& [number, version] : name.versions) {
      const std::string which = absl::StrCat(text, "@", number);
      absl::StatusOr<ObjectInfo> info = archive.Stat("default", text, number);
      if (version.marker) {
        if (ReasonName(info.status()) != "OBJECT_NOT_FOUND") return which + " is no delete marker";
        continue;
      }
      if (!info.ok()) return absl::StrCat(which, ": ", info.status().ToString());
      if (info->digest != Digest::Of(version.bytes)) return which + " is something else";
      if (!bytes) continue;
      absl::StatusOr<std::string> got = Get(archive, text, number);
      if (!got.ok()) return absl::StrCat(which, ": ", got.status().ToString());
      if (*got != version.bytes) return which + " has other bytes";
    }
  }
  return "";
}

absl::StatusOr<Model::Listing> ListAll(Archive& archive, ListSpec spec) {
  Model::Listing listing;
  do {
    absl::StatusOr<ListResult> page = archive.List(spec);
    if (!page.ok()) return page.status();
    for (const ObjectInfo& object : page->objects) {
      listing.names.push_back(spec.versions ? absl::StrCat(object.name, "@", object.version)
                                            : object.name);
    }
    for (const std::string& prefix : page->prefixes) listing.prefixes.push_back(prefix);
    spec.page_token = page->next_page_token;
  } while (!spec.page_token.empty());
  return listing;
}

}  // namespace vxa::testing
