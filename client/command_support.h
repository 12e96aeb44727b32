// What the commands share: output, errors and their exit statuses.
#ifndef CLIENT_COMMAND_SUPPORT_H_
#define CLIENT_COMMAND_SUPPORT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/commands.h"

namespace vxa::client {

ExitStatus ExitStatusOf(const absl::Status& status);

// An error as it is printed: for people with the lines of what a decoder said, for programs on one.
std::string ErrorText(const absl::Status& status, bool json);

// Prints the error on stderr; its exit status.
int Fail(const GlobalOptions& global, const absl::Status& status);

absl::Status WriteStdout(const std::string& text);

// Writes to standard output and says on stderr if that fails; the exit status.
int Print(const GlobalOptions& global, const std::string& text);

void PrintToStderr(const std::string& text);

// Names go to a terminal in a form that is safe for it, to a file or pipe as they are.
std::string NameForOutput(const std::string& name);

// Says which request this is, should the answer get lost and it be tried again.
std::string NewRequestId();

// The target for a FileWriter: `output`, or `file` in it if it is a directory, or `file` in the
// current directory if it is empty.
std::string OutputPath(const std::string& output, const std::string& file);

// The decoder that `reference` means (client/decoder_reference.h). Asks the server only where
// it isn't a whole id.
absl::StatusOr<v1::Digest> ResolveDecoder(Client& client, const GlobalOptions& global,
                                          const std::string& reference);

}  // namespace vxa::client

#endif  // CLIENT_COMMAND_SUPPORT_H_
