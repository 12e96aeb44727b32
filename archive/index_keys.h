// What the index's keys say, whose layout index.h has: for walks, and for people.
#ifndef ARCHIVE_INDEX_KEYS_H_
#define ARCHIVE_INDEX_KEYS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vxa {

// The first byte of keys of versions.
inline constexpr char kVersionKind = 'v';

struct VersionOf {
  std::string ns;
  std::string name;
  uint64_t version = 0;
};

// The version that a `v` or `c` key is of, or nothing for another key.
std::optional<VersionOf> ParseVersionKey(std::string_view key);

// "default/a version 2".
std::string Describe(const VersionOf& version);

// What an entry is, for people: "the request abc of default/a". A key that is none is shown as it
// is.
std::string DescribeKey(std::string_view key);

}  // namespace vxa

#endif  // ARCHIVE_INDEX_KEYS_H_
