// The commands of the `vxa` program.
#ifndef CLIENT_COMMANDS_H_
#define CLIENT_COMMANDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vxa::client {

// Exit statuses, told in `vxa --help` and README.md.
enum ExitStatus {
  kOk = 0,
  kError = 1,
  kUsage = 2,
  kNotFound = 3,
  kDamaged = 4,       // what is stored can't be reproduced, or what came failed verification
  kPrecondition = 5,  // --if-absent and it exists, a file in the way, a disabled decoder, ...
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
  std::string media_type;
  std::map<std::string, std::string> metadata;
  bool if_absent = false;
  std::optional<uint64_t> if_version;
  std::string request_id;  // empty: one of its own
  std::string decoder;     // empty: the file is the original
  std::vector<std::string> decoder_arguments;
  std::string sha256;  // of the original; with a decoder only, as the next
  std::optional<uint64_t> size;
};

// For `get`, `view` and `cat`.
struct GetOptions {
  std::string name;
  std::string output;  // empty: a file in the current directory; "-": standard output
  uint64_t version = 0;
  bool view = false;
  std::vector<std::string> decoder_arguments;  // of the view's decoder, beside the archived ones
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

struct VerifyOptions {
  std::vector<std::string> names;  // none: all that begin with `prefix`
  std::string prefix;
  bool latest = false;   // not every version
  bool verbose = false;  // tell of sound ones too
};

struct DecoderAddOptions {
  std::string file;                 // empty: none, but sources
  std::optional<std::string> name;  // nothing: the file's base name without ".vx"
  std::string profile;
  std::string sample;  // a file; empty: none
  std::vector<std::string> sample_arguments;
  std::string sample_sha256;         // of the sample decoded; may be empty
  std::vector<std::string> sources;  // files
};

struct DecoderListOptions {
  bool detailed = false;
};

// For `decoder get` and `decoder stat`.
struct DecoderOptions {
  std::string decoder;  // as client/decoder_reference.h takes it
  std::string output;   // as in GetOptions
  bool force = false;
};

// Each does its work, prints what there is to print on stdout and errors on stderr, and returns the
// program's exit status.
int Put(const GlobalOptions& global, const PutOptions& options);
int Get(const GlobalOptions& global, const GetOptions& options);
int List(const GlobalOptions& global, const ListOptions& options);
int Stat(const GlobalOptions& global, const NameOptions& options);
int Remove(const GlobalOptions& global, const NameOptions& options);
int Verify(const GlobalOptions& global, const VerifyOptions& options);
int Status(const GlobalOptions& global);
int AddDecoder(const GlobalOptions& global, const DecoderAddOptions& options);
int ListDecoders(const GlobalOptions& global, const DecoderListOptions& options);
int GetDecoder(const GlobalOptions& global, const DecoderOptions& options);
int StatDecoder(const GlobalOptions& global, const DecoderOptions& options);

}  // namespace vxa::client

#endif  // CLIENT_COMMANDS_H_
