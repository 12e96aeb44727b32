#include "client/commands.h"

#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/file_reader.h"
#include "client/json.h"
#include "client/names.h"
#include "client/outputs.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/status.h"
#include "client/text.h"

namespace vxa::client {
namespace {

int Print(FILE* stream, const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  return written && std::fflush(stream) == 0 ? kOk : kError;
}

int Fail(const GlobalOptions& global, const absl::Status& status) {
  const std::string message(status.message());
  if (global.json) {
    Print(stderr,
          absl::StrCat("{\"error\":{\"code\":", JsonString(absl::StatusCodeToString(status.code())),
                       ",\"reason\":", JsonString(ErrorReason(status)),
                       ",\"message\":", JsonString(Printable(message)), "}}\n"));
  } else {
    Print(stderr, absl::StrCat("vxa: ", Printable(message), "\n"));
  }
  return ExitStatusOf(status);
}

// Names go to a terminal in a form that is safe for it, to a file or pipe as they are.
std::string NameForOutput(const std::string& name) {
  return isatty(STDOUT_FILENO) == 1 ? Printable(name) : name;
}

// Says which put this is, should the answer get lost and the put be tried again.
std::string NewRequestId() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return "";
  return absl::BytesToHexString(std::string(bytes, bytes + sizeof bytes));
}

absl::StatusOr<std::unique_ptr<FileReader>> OpenInput(const PutOptions& options,
                                                      v1::WriteObjectSpec* spec) {
  spec->set_name(options.name);
  if (options.file == "-") return std::make_unique<FileReader>(STDIN_FILENO, "standard input");
  if (options.name.empty()) {
    absl::StatusOr<std::string> name = NameOfPath(options.file);
    if (!name.ok()) return name.status();
    if (!IsUtf8(*name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the path ", options.file, " is not UTF-8, as names are; give a NAME"));
    }
    spec->set_name(*name);
  }
  return FileReader::Open(options.file, spec->mutable_source());
}

v1::ReadObjectRequest RequestOf(const GlobalOptions& global, const GetOptions& options) {
  v1::ReadObjectRequest request;
  request.set_namespace_(global.ns);
  request.set_name(options.name);
  request.set_version(options.version);
  request.set_form(options.view ? v1::VIEW : options.stored ? v1::STORED : v1::ORIGINAL);
  return request;
}

bool IsDirectory(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// The file that the bytes go to.
std::string OutputPath(const GetOptions& options, const v1::ReadObjectMetadata& metadata) {
  const bool directory = IsDirectory(options.output);
  if (!options.output.empty() && !directory) return options.output;
  std::string file =
      options.view ? ViewFileName(options.name, metadata.extension()) : BaseName(options.name);
  if (!directory) return file;
  return absl::StrCat(options.output, options.output.back() == '/' ? "" : "/", file);
}

int ReportGet(const GlobalOptions& global, const GetOptions& options,
              const v1::ReadObjectRequest& request, const GetResult& result,
              const std::string& file) {
  // Standard output is the object's own where it goes there.
  FILE* const stream = file.empty() ? stderr : stdout;
  if (options.verbose) Print(stderr, CostReport(request, result));
  if (!global.json) return kOk;
  return Print(stream,
               absl::StrCat("{\"file\":", JsonString(Printable(file)), ",\"bytes\":", result.bytes,
                            ",\"verified\":", result.verified ? "true" : "false", ",\"metadata\":",
                            ToJson(result.metadata), ",\"end\":", ToJson(result.end), "}\n"));
}

}  // namespace

ExitStatus ExitStatusOf(const absl::Status& status) {
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

int Put(const GlobalOptions& global, const PutOptions& options) {
  v1::WriteObjectSpec spec;
  spec.set_namespace_(global.ns);
  spec.set_codec(options.codec);
  spec.set_if_absent(options.if_absent);
  spec.set_request_id(NewRequestId());
  absl::StatusOr<std::unique_ptr<FileReader>> reader = OpenInput(options, &spec);
  if (!reader.ok()) return Fail(global, reader.status());
  Client client({.server = global.server});
  absl::StatusOr<v1::WriteObjectResult> result = absl::UnknownError("");
  {
    Progress progress(spec.name());
    (*reader)->OnProgress([&](uint64_t done, uint64_t size) { progress.Show(done, size); });
    result = client.Put(spec, **reader);
  }
  if (!result.ok()) return Fail(global, result.status());
  return Print(stdout, global.json ? ToJson(*result) + "\n" : PutReport(*result));
}

int Get(const GlobalOptions& global, const GetOptions& options) {
  const v1::ReadObjectRequest request = RequestOf(global, options);
  Client client({.server = global.server});
  if (options.output == "-") {
    FdWriter writer(STDOUT_FILENO, "standard output");
    absl::StatusOr<GetResult> result = client.Get(request, writer);
    if (!result.ok()) return Fail(global, result.status());
    return ReportGet(global, options, request, *result, "");
  }
  FileWriter writer(
      [&](const v1::ReadObjectMetadata& metadata) { return OutputPath(options, metadata); },
      options.force);
  absl::StatusOr<GetResult> result = absl::UnknownError("");
  {
    Progress progress(options.name);
    writer.OnProgress([&](uint64_t done, uint64_t size) { progress.Show(done, size); });
    result = client.Get(request, writer);
  }
  if (!result.ok()) return Fail(global, result.status());
  if (absl::Status status = writer.Commit(); !status.ok()) return Fail(global, status);
  return ReportGet(global, options, request, *result, writer.path());
}

int List(const GlobalOptions& global, const ListOptions& options) {
  Client client({.server = global.server});
  v1::ListObjectsRequest request;
  request.set_namespace_(global.ns);
  request.set_prefix(options.prefix);
  request.set_versions(options.versions);
  std::vector<v1::Object> all;  // for the table, whose widths depend on all
  do {
    absl::StatusOr<v1::ListObjectsResponse> page = client.List(request);
    if (!page.ok()) return Fail(global, page.status());
    std::string lines;
    for (v1::Object& object : *page->mutable_objects()) {
      if (global.json) {
        absl::StrAppend(&lines, ToJson(object), "\n");
      } else if (options.detailed) {
        all.push_back(std::move(object));
      } else {
        absl::StrAppend(&lines, NameForOutput(object.name()), "\n");
      }
    }
    if (const int status = Print(stdout, lines); status != kOk) return status;
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return all.empty() ? kOk : Print(stdout, LongListing(all));
}

int Stat(const GlobalOptions& global, const NameOptions& options) {
  v1::GetObjectRequest request;
  request.set_namespace_(global.ns);
  request.set_name(options.name);
  request.set_version(options.version);
  absl::StatusOr<v1::Object> object = Client({.server = global.server}).Stat(request);
  if (!object.ok()) return Fail(global, object.status());
  return Print(stdout, global.json ? ToJson(*object) + "\n" : StatReport(*object));
}

int Remove(const GlobalOptions& global, const NameOptions& options) {
  v1::DeleteObjectRequest request;
  request.set_namespace_(global.ns);
  request.set_name(options.name);
  request.set_version(options.version);
  request.set_request_id(NewRequestId());
  absl::StatusOr<v1::DeleteObjectResponse> response =
      Client({.server = global.server}).Remove(request);
  if (!response.ok()) return Fail(global, response.status());
  if (global.json) return Print(stdout, ToJson(*response) + "\n");
  return Print(stdout,
               absl::StrCat(NameForOutput(options.name), "  ",
                            options.version == 0 ? "hidden by version " : "removed version ",
                            response->version(), "\n"));
}

}  // namespace vxa::client
