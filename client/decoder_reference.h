// How a command line names a decoder: by its id, "sha256:" and 64 hexadecimal digits or these
// alone; by the first of these digits, at least eight; or by its name, where that is clear. Ids
// come before names, and the name of a decoder that came with the server before the same one of a
// registered decoder, which is only a claim.
#ifndef CLIENT_DECODER_REFERENCE_H_
#define CLIENT_DECODER_REFERENCE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa::client {

// INVALID_ARGUMENT if no decoder can be meant.
absl::Status CheckDecoderReference(const std::string& reference);

// The id of that one of `decoders`. NOT_FOUND if there is none, INVALID_ARGUMENT with a line for
// each if there are several.
absl::StatusOr<v1::Digest> FindDecoder(const std::string& reference,
                                       const std::vector<v1::Decoder>& decoders);

}  // namespace vxa::client

#endif  // CLIENT_DECODER_REFERENCE_H_
