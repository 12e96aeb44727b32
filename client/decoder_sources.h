// The sources that decoders were built from, kept beside them as objects: the hash in a decoder's
// note is of little use once nobody has what it is of, and copyleft licences ask for sources.
#ifndef CLIENT_DECODER_SOURCES_H_
#define CLIENT_DECODER_SOURCES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"

namespace vxa::client {

// A tarball or a patch that a decoder's note names.
struct DecoderSource {
  std::string file;
  v1::Digest digest;
};

// Those with a digest, in the note's order.
std::vector<DecoderSource> SourcesOf(const v1::DecoderNote& note);

// The object that holds it, for all decoders: "decoder-sources/<digest in hex>/<file>".
std::string ObjectNameOf(const DecoderSource& source);

// Whether that object is in the namespace and has the bytes that the note wants.
absl::StatusOr<bool> IsArchived(Client& client, const std::string& ns, const DecoderSource& source);

// Puts the file at `path`, unless it is there already; the object's name. FAILED_PRECONDITION if
// none of `decoders` names a source with its SHA-256.
absl::StatusOr<std::string> ArchiveSource(Client& client, const std::string& ns,
                                          const std::string& path,
                                          const std::vector<v1::Decoder>& decoders);

}  // namespace vxa::client

#endif  // CLIENT_DECODER_SOURCES_H_
