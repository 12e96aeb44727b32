#include "client/commands.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/command_support.h"
#include "client/json.h"
#include "client/names.h"
#include "client/outputs.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/text.h"

namespace vxa::client {
namespace {

v1::ReadObjectRequest RequestOf(const GlobalOptions& global, const GetOptions& options) {
  v1::ReadObjectRequest request;
  request.set_namespace_(global.ns);
  request.set_name(options.name);
  request.set_version(options.version);
  request.set_form(options.view ? v1::VIEW : options.stored ? v1::STORED : v1::ORIGINAL);
  request.mutable_view_arguments()->Assign(options.decoder_arguments.begin(),
                                           options.decoder_arguments.end());
  return request;
}

std::string FileNameOf(const GetOptions& options, const v1::ReadObjectMetadata& metadata) {
  return options.view ? ViewFileName(options.name, metadata.extension()) : BaseName(options.name);
}

int ReportGet(const GlobalOptions& global, const GetOptions& options,
              const v1::ReadObjectRequest& request, const GetResult& result,
              const std::string& file) {
  if (options.verbose) PrintToStderr(CostReport(request, result));
  if (!global.json) {
    if (!options.decoder_arguments.empty()) {
      PrintToStderr(absl::StrCat("vxa: ", result.metadata.preview() ? "a preview, and " : "",
                                 "not verified: it was made now, and is not in the archive\n"));
    }
    return kOk;
  }
  const std::string json = absl::StrCat(
      "{\"file\":", JsonString(Printable(file)), ",\"bytes\":", result.bytes,
      ",\"verified\":", result.verified ? "true" : "false",
      ",\"metadata\":", ToJson(result.metadata), ",\"end\":", ToJson(result.end), "}\n");
  if (!file.empty()) return Print(global, json);
  PrintToStderr(json);  // standard output is the object's own
  return kOk;
}

}  // namespace

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
      [&](const v1::ReadObjectMetadata& metadata) {
        return OutputPath(options.output, FileNameOf(options, metadata));
      },
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
    if (const int status = Print(global, lines); status != kOk) return status;
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return all.empty() ? kOk : Print(global, LongListing(all));
}

int Stat(const GlobalOptions& global, const NameOptions& options) {
  v1::GetObjectRequest request;
  request.set_namespace_(global.ns);
  request.set_name(options.name);
  request.set_version(options.version);
  absl::StatusOr<v1::Object> object = Client({.server = global.server}).Stat(request);
  if (!object.ok()) return Fail(global, object.status());
  return Print(global, global.json ? ToJson(*object) + "\n" : StatReport(*object));
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
  if (global.json) return Print(global, ToJson(*response) + "\n");
  return Print(global,
               absl::StrCat(NameForOutput(options.name), "  ",
                            options.version == 0 ? "hidden by version " : "removed version ",
                            response->version(), "\n"));
}

int Status(const GlobalOptions& global) {
  absl::StatusOr<v1::ServerStatus> status = Client({.server = global.server}).Status();
  if (!status.ok()) return Fail(global, status.status());
  return Print(global, global.json ? ToJson(*status) + "\n" : ServerReport(*status));
}

}  // namespace vxa::client
