// Encoding chunks: the codecs' encoders, run in workers as decoders are. What an encoder does wrong
// costs space, never an object: what it gives counts only once the decoder has undone it.
#ifndef ARCHIVE_ENCODER_H_
#define ARCHIVE_ENCODER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "archive/codec.h"
#include "archive/decoder_runner.h"

namespace vxa {

// How much of an object's beginning encoders for a format get to see, at most.
inline constexpr uint64_t kEncoderHead = uint64_t{64} << 10;

// A part of an object.
struct ChunkToEncode {
  std::string_view bytes;
  uint64_t offset = 0;    // where it is in the object
  std::string_view head;  // what the object begins with, kEncoderHead bytes or all that there is
};

// The encoded bytes, or nothing if they would be more than `most`, or the encoder refuses the chunk
// or fails (which is logged, unless it is one for a format: that may have been guessed wrong).
// `session`: of the runner's, or null. OVERLOADED, CANCELLED, DEADLINE_EXCEEDED.
// REQUIRES: a codec that has an encoder.
absl::StatusOr<std::optional<std::string>> EncodeChunk(DecoderRunner& runner, const Codec& codec,
                                                       const ChunkToEncode& chunk, uint64_t most,
                                                       vx::DecodeSession* session,
                                                       const CallContext& context);

}  // namespace vxa

#endif  // ARCHIVE_ENCODER_H_
