#include "client/command_support.h"

#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/checksum.h"
#include "client/decoder_reference.h"
#include "client/json.h"
#include "client/status.h"
#include "client/text.h"

namespace vxa::client {
namespace {

bool IsDirectory(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

ExitStatus ExitStatusOf(const absl::Status& status) {
  // Whatever the cause is: what was put can't be had any more.
  if (ErrorReason(status) == "DECODER_FAILED") return kDamaged;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kDataLoss:
      return kDamaged;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      return kPrecondition;
    case absl::StatusCode::kUnavailable:
      return kUnavailable;
    default:
      return kError;
  }
}

std::string ErrorText(const absl::Status& status, bool json) {
  const std::string message(status.message());
  if (!json) return absl::StrCat("vxa: ", PrintableLines(message, "     "), "\n");
  return absl::StrCat("{\"error\":{\"code\":", JsonString(absl::StatusCodeToString(status.code())),
                      ",\"reason\":", JsonString(ErrorReason(status)),
                      ",\"message\":", JsonString(Printable(message)), "}}\n");
}

int Fail(const GlobalOptions& global, const absl::Status& status) {
  PrintToStderr(ErrorText(status, global.json));
  return ExitStatusOf(status);
}

absl::Status WriteStdout(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat("can't write standard output: ", std::strerror(errno)));
}

int Print(const GlobalOptions& global, const std::string& text) {
  const absl::Status status = WriteStdout(text);
  return status.ok() ? kOk : Fail(global, status);
}

void PrintToStderr(const std::string& text) { std::fputs(text.c_str(), stderr); }

std::string NameForOutput(const std::string& name) {
  return isatty(STDOUT_FILENO) == 1 ? Printable(name) : name;
}

std::string NewRequestId() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return "";
  return absl::BytesToHexString(std::string(bytes, bytes + sizeof bytes));
}

std::string OutputPath(const std::string& output, const std::string& file) {
  if (output.empty()) return file;
  if (!IsDirectory(output)) return output;
  return absl::StrCat(output, output.back() == '/' ? "" : "/", file);
}

absl::StatusOr<v1::Digest> ResolveDecoder(Client& client, const GlobalOptions& global,
                                          const std::string& reference) {
  if (absl::StatusOr<v1::Digest> id = ParseDigest(reference); id.ok()) return id;
  absl::StatusOr<std::vector<v1::Decoder>> decoders = client.ListAllDecoders(global.ns);
  if (!decoders.ok()) return decoders.status();
  return FindDecoder(reference, *decoders);
}

}  // namespace vxa::client
