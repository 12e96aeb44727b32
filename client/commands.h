// The commands of the `vxa` program.
#ifndef CLIENT_COMMANDS_H_
#define CLIENT_COMMANDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace vxa::client {

// Exit statuses, told in `vxa --help` and README.md.
enum ExitStatus {
  kOk = 0,
  kError = 1,
  kUsage = 2,
  kNotFound = 3,
  kDamaged = 4,       // stored bytes are damaged, or what came failed verification
  kPrecondition = 5,  // --if-absent and it exists, a file that is in the way, a view that failed
  kUnavailable = 6,   // no server, or it is overloaded
};

struct GlobalOptions {
  std::string server;
  std::string ns = "default";
  bool json = false;
};

struct PutOptions {
  std::string file;  // "-": standard input
  std::string name;  // empty: from `file`, which isn't "-" then
  std::string codec;
  bool if_absent = false;
};

// For `get`, `view` and `cat`.
struct GetOptions {
  std::string name;
  std::string output;  // empty: a file in the current directory; "-": standard output
  uint64_t version = 0;
  bool view = false;
  bool stored = false;
  bool force = false;
  bool verbose = false;
};

struct ListOptions {
  std::string prefix;
  bool detailed = false;
  bool versions = false;
};

// For `stat` and `rm`.
struct NameOptions {
  std::string name;
  uint64_t version = 0;
};

// Each does its work, prints what there is to print on stdout and errors on stderr, and returns the
// program's exit status.
int Put(const GlobalOptions& global, const PutOptions& options);
int Get(const GlobalOptions& global, const GetOptions& options);
int List(const GlobalOptions& global, const ListOptions& options);
int Stat(const GlobalOptions& global, const NameOptions& options);
int Remove(const GlobalOptions& global, const NameOptions& options);

ExitStatus ExitStatusOf(const absl::Status& status);

}  // namespace vxa::client

#endif  // CLIENT_COMMANDS_H_
