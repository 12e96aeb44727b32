// The rules for names, versions, preconditions, deletes and requests as a model in memory, and
// whether an archive is in the same state. proto/vxa/v1/vxa.proto has the rules.
#ifndef ARCHIVE_TESTING_MODEL_H_
#define ARCHIVE_TESTING_MODEL_H_

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "archive/archive.h"

namespace vxa::testing {

// What a call gives: a reason (errors.h), or else a version.
struct Outcome {
  std::string reason;  // "" if all is well
  uint64_t version = 0;
  bool unchanged = false;
  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

struct PutCall {
  PutSpec spec;
  std::string bytes;
};
using Operation = std::variant<PutCall, DeleteSpec>;
std::string Describe(const Operation& operation);

// An operation on an archive. `status` if given: what it said.
Outcome Perform(Archive& archive, const Operation& operation, absl::Status* status = nullptr);

class Model {
 public:
  Outcome Perform(const Operation& operation);

  // Names as "name", or "name@version" where versions are asked for, in order; page size and token
  // don't matter.
  struct Listing {
    std::vector<std::string> names;
    std::vector<std::string> prefixes;
    bool operator==(const Listing&) const = default;
  };
  Listing List(const ListSpec& spec) const;

  // What differs between this and an archive's names and versions, and bytes if they are to be read
  // too; "" if nothing does.
  std::string Difference(Archive& archive, bool bytes) const;

 private:
  struct Version {
    bool marker = false;
    std::string bytes;
    std::string request_id;
  };
  enum class Kind { kPut, kHide, kRemove };
  struct Request {
    Kind kind;
    uint64_t version;
  };
  struct Name {
    uint64_t highest = 0;
    std::map<uint64_t, Version> versions;
    std::map<std::string, Request> requests;
    // The latest version if it isn't a delete marker, else 0.
    uint64_t Visible() const;
    uint64_t Add(Version version, Kind kind);
  };

  Outcome Put(const PutCall& call);
  Outcome Delete(const DeleteSpec& spec);

  std::map<std::string, Name> names_;
};

// All of a listing of an archive, page by page.
absl::StatusOr<Model::Listing> ListAll(Archive& archive, ListSpec spec);

}  // namespace vxa::testing

#endif  // ARCHIVE_TESTING_MODEL_H_
