// vxad's command line.
#ifndef SERVER_OPTIONS_H_
#define SERVER_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vxa {

struct ServerOptions {
  std::string data;                       // the archive's directory
  std::string listen = "127.0.0.1:7420";  // HOST:PORT, [V6]:PORT or unix:PATH
  std::string worker;                     // path of vxworker; empty: found beside the program
  absl::Duration grace = absl::Seconds(10);
  int max_streams = 32;
  int decodes = 4;                         // decoders running at once
  uint64_t pack_size = uint64_t{1} << 30;  // bytes after which a pack is left
};

// Where the program should end instead of serving.
struct Exit {
  int status = 0;
  std::string text;  // for stdout where status is 0, else for stderr; with newline
};

// True with `options` set if the program should go on, else what it should say and its exit status.
bool ParseOptions(int argc, const char* const* argv, ServerOptions* options, Exit* exit);

// INVALID_ARGUMENT unless `address` is HOST:PORT, [V6]:PORT with a port of 0 to 65,535, or
// unix:PATH.
absl::Status CheckAddress(const std::string& address);

}  // namespace vxa

#endif  // SERVER_OPTIONS_H_
