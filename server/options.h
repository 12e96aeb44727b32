// vxad's command line: serving, or one of the offline commands.
#ifndef SERVER_OPTIONS_H_
#define SERVER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "archive/archive.h"

namespace vxa {

inline constexpr char kVersion[] = "vxad 0.1 (vxa.v1)";

struct ServerOptions {
  std::string data;                       // the archive's directory
  std::string listen = "127.0.0.1:7420";  // HOST:PORT, [V6]:PORT or unix:PATH
  std::string worker;                     // path of vxworker; empty: found beside the program
  bool require_jail = false;              // every layer of it, or no serving
  absl::Duration grace = absl::Seconds(10);
  int max_streams = 32;
  int client_streams = 0;  // of these, of one client; 0: three quarters
  DecodeLimits decodes;
  uint64_t pack_size = uint64_t{1} << 30;  // bytes after which a pack is left
};

struct FsckOptions {
  std::string data;
  bool decode = false;  // reproduce everything through its decoders
  bool json = false;
  std::string worker;  // as for the server; needed to decode only
};

struct RebuildIndexOptions {
  std::string data;
};

struct RulingOptions {
  enum class Ruling { kApprove, kUnapprove, kDisable, kEnable };
  std::string data;
  Ruling ruling = Ruling::kApprove;
  std::string id;      // "sha256:" and hexadecimal digits, or the first 8 or more of them
  std::string reason;  // empty: none is given
  std::string worker;  // as for the server
};

using Command = std::variant<ServerOptions, FsckOptions, RebuildIndexOptions, RulingOptions>;

// Where the program should end instead of going on.
struct Exit {
  int status = 0;
  std::string text;  // for stdout where status is 0, else for stderr; with newline
};

// True with `command` set if the program should go on, else what it should say and its exit status.
bool ParseOptions(int argc, const char* const* argv, Command* command, Exit* exit);

// INVALID_ARGUMENT unless `address` is HOST:PORT, [V6]:PORT with a port of 0 to 65,535, or
// unix:PATH.
absl::Status CheckAddress(const std::string& address);

}  // namespace vxa

#endif  // SERVER_OPTIONS_H_
