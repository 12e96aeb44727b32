// The decoders that a namespace may use: those that came with this program or an earlier one, and
// those that its users registered. What is registered, approved and disabled lies in the packs as
// events, beside the images.
#ifndef ARCHIVE_DECODER_REGISTRY_H_
#define ARCHIVE_DECODER_REGISTRY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/core.h"
#include "archive/index.h"

namespace vxa {

// The largest image that can be registered, bytes. The largest built-in one has a tenth of that.
inline constexpr uint64_t kMaxDecoderImage = uint64_t{2} << 20;

// Without its note. DECODER_NOT_FOUND unless the namespace may use it. REQUIRES: a namespace that
// was checked, here and below.
absl::StatusOr<DecoderInfo> FindDecoder(const IndexView& state, const std::string& ns,
                                        const Digest& id);

// The image of a decoder that FindDecoder finds.
absl::StatusOr<std::shared_ptr<const std::string>> DecoderBytes(Core& core, const Digest& id);

// What that image says of itself. DATA_DAMAGED if it can't be had.
absl::StatusOr<DecoderNote> NoteOf(Core& core, const Digest& id);

// Those that FindDecoder finds, without their notes, in the order of their digests.
absl::StatusOr<DecoderList> ListDecoders(const IndexView& state, const std::string& ns,
                                         uint32_t page_size, const std::string& page_token);

// Checks an image by a trial run and, if all is well, records it. The answer has no note. One that
// is known to the namespace already stays as it is.
absl::StatusOr<DecoderInfo> RegisterDecoder(Core& core, const RegisterSpec& spec,
                                            const CallContext& context);

// Records what an operator says of a decoder.
absl::Status RuleOnDecoder(Core& core, const DecoderRuling& ruling, const CallContext& context);

}  // namespace vxa

#endif  // ARCHIVE_DECODER_REGISTRY_H_
