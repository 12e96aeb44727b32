#include "client/decoder_sources.h"

#include <memory>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/checksum.h"
#include "client/command_support.h"
#include "client/file_reader.h"
#include "client/text.h"

namespace vxa::client {
namespace {

absl::StatusOr<v1::Digest> DigestOfFile(const std::string& path) {
  v1::Source source;
  absl::StatusOr<std::unique_ptr<FileReader>> reader = FileReader::Open(path, &source);
  if (!reader.ok()) return reader.status();
  Sha256 sha256;
  for (;;) {
    absl::StatusOr<std::string_view> bytes = (*reader)->Next();
    if (!bytes.ok()) return bytes.status();
    if (bytes->empty()) return sha256.Finish();
    sha256.Update(*bytes);
  }
}

// Fails at the end of a file that isn't what it was.
class CheckedReader : public Reader {
 public:
  CheckedReader(Reader& reader, std::string path, const v1::Digest& expected)
      : reader_(reader), path_(std::move(path)), expected_(expected) {}

  absl::StatusOr<std::string_view> Next() override {
    absl::StatusOr<std::string_view> bytes = reader_.Next();
    if (!bytes.ok()) return bytes;
    if (!bytes->empty()) {
      sha256_.Update(*bytes);
    } else if (!SameDigest(sha256_.Finish(), expected_)) {
      return absl::AbortedError(absl::StrCat(path_, " has changed while it was read"));
    }
    return bytes;
  }

 private:
  Reader& reader_;
  const std::string path_;
  const v1::Digest expected_;
  Sha256 sha256_;
};

std::optional<DecoderSource> FindSource(const v1::Digest& digest,
                                        const std::vector<v1::Decoder>& decoders) {
  for (const v1::Decoder& decoder : decoders) {
    for (DecoderSource& source : SourcesOf(decoder.note())) {
      if (SameDigest(source.digest, digest)) return std::move(source);
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<DecoderSource> SourcesOf(const v1::DecoderNote& note) {
  std::vector<DecoderSource> sources;
  for (const v1::UpstreamSource& source : note.sources()) {
    if (source.has_digest()) sources.push_back({source.file(), source.digest()});
    for (const v1::UpstreamPatch& patch : source.patches()) {
      sources.push_back({patch.name(), patch.digest()});
    }
  }
  return sources;
}

std::string ObjectNameOf(const DecoderSource& source) {
  return absl::StrCat("decoder-sources/", absl::BytesToHexString(source.digest.value()), "/",
                      source.file);
}

absl::StatusOr<bool> IsArchived(Client& client, const std::string& ns,
                                const DecoderSource& source) {
  v1::GetObjectRequest request;
  request.set_namespace_(ns);
  request.set_name(ObjectNameOf(source));
  absl::StatusOr<v1::Object> object = client.Stat(request);
  if (absl::IsNotFound(object.status())) return false;
  if (!object.ok()) return object.status();
  return SameDigest(object->digest(), source.digest);
}

absl::StatusOr<std::string> ArchiveSource(Client& client, const std::string& ns,
                                          const std::string& path,
                                          const std::vector<v1::Decoder>& decoders) {
  absl::StatusOr<v1::Digest> digest = DigestOfFile(path);
  if (!digest.ok()) return digest.status();
  const std::optional<DecoderSource> source = FindSource(*digest, decoders);
  if (!source) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": no decoder here was built from this file, by what their notes say: none names ",
        DigestText(*digest)));
  }
  const std::string name = ObjectNameOf(*source);
  absl::StatusOr<bool> archived = IsArchived(client, ns, *source);
  if (!archived.ok()) return archived.status();
  if (*archived) return name;
  v1::WriteObjectSpec spec;
  spec.set_namespace_(ns);
  spec.set_name(name);
  spec.set_request_id(NewRequestId());
  absl::StatusOr<std::unique_ptr<FileReader>> reader =
      FileReader::Open(path, spec.mutable_source());
  if (!reader.ok()) return reader.status();
  CheckedReader checked(**reader, path, *digest);
  absl::StatusOr<v1::WriteObjectResult> put = client.Put(spec, checked);
  if (!put.ok()) return put.status();
  return name;
}

}  // namespace vxa::client
