// From paths to names and back.
#ifndef CLIENT_NAMES_H_
#define CLIENT_NAMES_H_

#include <string>

#include "absl/status/statusor.h"

namespace vxa::client {

// The name of an object put from `path`: the path as typed without leading '/', without empty and
// "." segments, and with ".." taking the segment before it away, if there is one. INVALID_ARGUMENT
// if nothing is left.
absl::StatusOr<std::string> NameOfPath(const std::string& path);

// What comes after the last '/'.
std::string BaseName(const std::string& name);

// The file for the view of an object: its base name with `extension` in place of its own
// ("x.tar.gz" and ".tar" give "x.tar", "notes.txt.gz" and "" give "notes.txt"). ".view" is added
// where that would be the base name itself.
std::string ViewFileName(const std::string& name, const std::string& extension);

// What a decoder in the file `path` is called: its base name without ".vx".
std::string DecoderNameOf(const std::string& path);

// The file for a decoder: its name, or the first eight of its id's hexadecimal digits where it has
// none that a file may have without surprise; and ".vx".
std::string DecoderFileName(const std::string& name, const std::string& hex);

}  // namespace vxa::client

#endif  // CLIENT_NAMES_H_
