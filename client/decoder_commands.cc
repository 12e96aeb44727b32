#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/checksum.h"
#include "client/client.h"
#include "client/command_support.h"
#include "client/commands.h"
#include "client/decoder_sources.h"
#include "client/file_reader.h"
#include "client/json.h"
#include "client/names.h"
#include "client/outputs.h"
#include "client/report.h"
#include "client/text.h"

namespace vxa::client {
namespace {

// As proto/vxa/v1/vxa.proto has them, in bytes. Checked here too, so that a file that never ends is
// not read to its end.
constexpr size_t kMaxImage = size_t{2} << 20;
constexpr size_t kMaxSample = size_t{512} << 10;

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max) {
  v1::Source source;
  absl::StatusOr<std::unique_ptr<FileReader>> reader = FileReader::Open(path, &source);
  if (!reader.ok()) return reader.status();
  std::string content;
  for (;;) {
    absl::StatusOr<std::string_view> bytes = (*reader)->Next();
    if (!bytes.ok()) return bytes.status();
    if (bytes->empty()) return content;
    content.append(*bytes);
    if (content.size() > max) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is too large: ", Thousands(max), " bytes may be"));
    }
  }
}

absl::Status FillIn(const DecoderAddOptions& options, v1::RegisterDecoderRequest* request) {
  absl::StatusOr<std::string> image = ReadFile(options.file, kMaxImage);
  if (!image.ok()) return image.status();
  *request->mutable_image() = *std::move(image);
  request->set_name(options.name.value_or(DecoderNameOf(options.file)));
  if (!IsUtf8(request->name())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path ", options.file, " is not UTF-8, as names are; give a --name"));
  }
  request->set_profile(options.profile);
  if (options.sample.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> sample = ReadFile(options.sample, kMaxSample);
  if (!sample.ok()) return sample.status();
  *request->mutable_sample() = *std::move(sample);
  request->mutable_sample_arguments()->Assign(options.sample_arguments.begin(),
                                              options.sample_arguments.end());
  if (options.sample_sha256.empty()) return absl::OkStatus();
  absl::StatusOr<v1::Digest> digest = ParseDigest(options.sample_sha256);
  if (!digest.ok()) return digest.status();
  *request->mutable_sample_digest() = *digest;
  return absl::OkStatus();
}

// Asks for the decoder that `options` names.
absl::StatusOr<v1::GetDecoderResponse> Ask(const GlobalOptions& global,
                                           const DecoderOptions& options, bool include_image) {
  Client client({.server = global.server});
  absl::StatusOr<v1::Digest> id = ResolveDecoder(client, global, options.decoder);
  if (!id.ok()) return id.status();
  v1::GetDecoderRequest request;
  request.set_namespace_(global.ns);
  *request.mutable_id() = *id;
  request.set_include_image(include_image);
  return client.GetDecoder(request);
}

std::string GotJson(const std::string& file, const v1::Decoder& decoder) {
  return absl::StrCat("{\"file\":", JsonString(Printable(file)), ",\"decoder\":", ToJson(decoder),
                      "}\n");
}

// The path of the file.
absl::StatusOr<std::string> WriteImage(const DecoderOptions& options,
                                       const v1::GetDecoderResponse& response) {
  const std::string file = DecoderFileName(response.decoder().name(),
                                           absl::BytesToHexString(response.decoder().id().value()));
  FileWriter writer([&](const auto&) { return OutputPath(options.output, file); }, options.force);
  absl::Status status = writer.Begin({});
  if (status.ok()) status = writer.Append(response.image());
  if (status.ok()) status = writer.Commit();
  if (!status.ok()) return status;
  return writer.path();
}

// The decoder's, and the names of objects with its sources.
std::string StatJson(const v1::Decoder& decoder, const ArchivedSources& archived) {
  std::string json = ToJson(decoder);
  json.pop_back();  // "}"
  absl::StrAppend(&json, ",\"archived_sources\":[",
                  absl::StrJoin(archived, ",",
                                [](std::string* out, const auto& source) {
                                  out->append(JsonString(source.second));
                                }),
                  "]}\n");
  return json;
}

int Register(const GlobalOptions& global, const DecoderAddOptions& options) {
  v1::RegisterDecoderRequest request;
  request.set_namespace_(global.ns);
  if (absl::Status filled = FillIn(options, &request); !filled.ok()) return Fail(global, filled);
  absl::StatusOr<v1::Decoder> decoder = Client({.server = global.server}).RegisterDecoder(request);
  if (!decoder.ok()) return Fail(global, decoder.status());
  if (global.json) return Print(global, ToJson(*decoder) + "\n");
  if (decoder->name() != request.name()) {
    PrintToStderr(absl::StrCat("vxa: it is known already, as ", DecoderLine(*decoder), "\n"));
  }
  return Print(global, DigestText(decoder->id()) + "\n");
}

int ArchiveSources(const GlobalOptions& global, const std::vector<std::string>& files) {
  Client client({.server = global.server});
  absl::StatusOr<std::vector<v1::Decoder>> decoders = client.ListAllDecoders(global.ns);
  if (!decoders.ok()) return Fail(global, decoders.status());
  for (const std::string& file : files) {
    absl::StatusOr<std::string> name = ArchiveSource(client, global.ns, file, *decoders);
    if (!name.ok()) return Fail(global, name.status());
    const std::string line = global.json ? absl::StrCat("{\"file\":", JsonString(Printable(file)),
                                                        ",\"object\":", JsonString(*name), "}")
                                         : NameForOutput(*name);
    if (int status = Print(global, line + "\n"); status != kOk) return status;
  }
  return kOk;
}

}  // namespace

int AddDecoder(const GlobalOptions& global, const DecoderAddOptions& options) {
  if (!options.file.empty()) {
    if (int status = Register(global, options); status != kOk) return status;
  }
  return options.sources.empty() ? kOk : ArchiveSources(global, options.sources);
}

int ListDecoders(const GlobalOptions& global, const DecoderListOptions& options) {
  absl::StatusOr<std::vector<v1::Decoder>> decoders =
      Client({.server = global.server}).ListAllDecoders(global.ns);
  if (!decoders.ok()) return Fail(global, decoders.status());
  if (options.detailed && !global.json) return Print(global, DecoderListing(*decoders));
  std::string lines;
  for (const v1::Decoder& decoder : *decoders) {
    const std::string text =
        absl::StrCat(DigestText(decoder.id()), "  ", Printable(decoder.name()));
    absl::StrAppend(&lines, global.json ? ToJson(decoder) : text, "\n");
  }
  return Print(global, lines);
}

int GetDecoder(const GlobalOptions& global, const DecoderOptions& options) {
  absl::StatusOr<v1::GetDecoderResponse> response = Ask(global, options, true);
  if (!response.ok()) return Fail(global, response.status());
  if (options.output == "-") {
    absl::Status written = FdWriter(STDOUT_FILENO, "standard output").Append(response->image());
    if (!written.ok()) return Fail(global, written);
    if (global.json) PrintToStderr(GotJson("", response->decoder()));
    return kOk;
  }
  absl::StatusOr<std::string> file = WriteImage(options, *response);
  if (!file.ok()) return Fail(global, file.status());
  return global.json ? Print(global, GotJson(*file, response->decoder())) : kOk;
}

int StatDecoder(const GlobalOptions& global, const DecoderOptions& options) {
  absl::StatusOr<v1::GetDecoderResponse> response = Ask(global, options, false);
  if (!response.ok()) return Fail(global, response.status());
  const v1::Decoder& decoder = response->decoder();
  Client client({.server = global.server});
  ArchivedSources archived;
  for (const DecoderSource& source : SourcesOf(decoder.note())) {
    absl::StatusOr<bool> is_archived = IsArchived(client, global.ns, source);
    if (!is_archived.ok()) return Fail(global, is_archived.status());
    if (*is_archived) archived[source.digest.value()] = ObjectNameOf(source);
  }
  return Print(global,
               global.json ? StatJson(decoder, archived) : DecoderReport(decoder, archived));
}

}  // namespace vxa::client
