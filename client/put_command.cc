#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/checksum.h"
#include "client/client.h"
#include "client/command_support.h"
#include "client/commands.h"
#include "client/file_reader.h"
#include "client/json.h"
#include "client/names.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/text.h"

namespace vxa::client {
namespace {

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

absl::Status SetDecoding(Client& client, const GlobalOptions& global, const PutOptions& options,
                         v1::Decoding* decoding) {
  absl::StatusOr<v1::Digest> original = ParseDigest(options.sha256);
  if (!original.ok()) return original.status();
  absl::StatusOr<v1::Digest> decoder = ResolveDecoder(client, global, options.decoder);
  if (!decoder.ok()) return decoder.status();
  *decoding->mutable_decoder() = *decoder;
  decoding->mutable_arguments()->Assign(options.decoder_arguments.begin(),
                                        options.decoder_arguments.end());
  *decoding->mutable_original_digest() = *original;
  if (options.size) decoding->set_original_size(*options.size);
  return absl::OkStatus();
}

}  // namespace

int Put(const GlobalOptions& global, const PutOptions& options) {
  v1::WriteObjectSpec spec;
  spec.set_namespace_(global.ns);
  spec.set_codec(options.codec);
  spec.set_media_type(options.media_type);
  spec.mutable_metadata()->insert(options.metadata.begin(), options.metadata.end());
  spec.set_if_absent(options.if_absent);
  if (options.if_version) spec.set_if_version(*options.if_version);
  spec.set_request_id(options.request_id.empty() ? NewRequestId() : options.request_id);
  absl::StatusOr<std::unique_ptr<FileReader>> reader = OpenInput(options, &spec);
  if (!reader.ok()) return Fail(global, reader.status());
  Client client({.server = global.server});
  if (!options.decoder.empty()) {
    absl::Status set = SetDecoding(client, global, options, spec.mutable_decoding());
    if (!set.ok()) return Fail(global, set);
  }
  absl::StatusOr<v1::WriteObjectResult> result = absl::UnknownError("");
  {
    Progress progress(spec.name());
    (*reader)->OnProgress([&](uint64_t done, uint64_t size) { progress.Show(done, size); });
    result = client.Put(spec, **reader);
  }
  if (!result.ok()) return Fail(global, result.status());
  return Print(global, global.json ? ToJson(*result) + "\n" : PutReport(*result));
}

}  // namespace vxa::client
