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

// No encoder may make more of so many bytes.
constexpr uint64_t LongestEncoded(uint64_t length) { return length + length / 8 + 4096; }

// A part of an object.
struct ChunkToEncode {
  std::string_view bytes;
  uint64_t offset = 0;    // where it is in the object
  std::string_view head;  // what the object begins with; not looked at for its first chunk
};

// The encoded bytes, or nothing if they would be more than `most`, the encoder is for a format that
// the chunk isn't in, or it fails, which is logged. `session`: of the runner's, or null.
// OVERLOADED, CANCELLED, DEADLINE_EXCEEDED. Takes memory for LongestEncoded at most. REQUIRES: a
// codec that has an encoder.
absl::StatusOr<std::optional<std::string>> EncodeChunk(DecoderRunner& runner, const Codec& codec,
                                                       const ChunkToEncode& chunk, uint64_t most,
                                                       vx::DecodeSession* session,
                                                       const CallContext& context);

}  // namespace vxa

#endif  // ARCHIVE_ENCODER_H_
