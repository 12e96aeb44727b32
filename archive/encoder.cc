#include "archive/encoder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/log.h"
#include "archive/text.h"

namespace vxa {
namespace {

// What encoders get: brotli takes 74 MB for a chunk of 4 MiB, xz 65 MB, the others less.
constexpr uint64_t kMemory = uint64_t{128} << 20;

// Whether it is the encoder that failed, rather than the call.
bool IsTheEncoders(const absl::Status& status) {
  const std::string reason = ReasonName(status);
  return reason == "DECODER_FAILED" || reason == "LIMIT_EXCEEDED";
}

}  // namespace

absl::StatusOr<std::optional<std::string>> EncodeChunk(DecoderRunner& runner, const Codec& codec,
                                                       const ChunkToEncode& chunk, uint64_t most,
                                                       vx::DecodeSession* session,
                                                       const CallContext& context) {
  const std::optional<DecoderImage> image = BuiltinEncoder(codec.encoder);
  if (!image) {
    return Error(Reason::kDecoderFailed, absl::StrCat("no encoder ", Absl(codec.encoder)));
  }
  std::vector<std::string> arguments;
  std::vector<std::string_view> input = {chunk.bytes};
  if (codec.is_for_a_format && chunk.offset != 0) {
    arguments = {absl::StrCat("--head=", chunk.head.size()),
                 absl::StrCat("--offset=", chunk.offset)};
    input.insert(input.begin(), chunk.head);
  }
  const DecoderRunner::Job job{
      .decode = DecodeMessage(image->digest, arguments, vx::Profile::kVx2026, {.memory = kMemory}),
      .image = image->elf,
      .max_output = std::min(most, LongestEncoded(chunk.bytes.size())),
      .count = false,
      .session = session};
  std::string encoded;
  encoded.reserve(job.max_output);  // growing would take more
  absl::StatusOr<DecoderRunner::Decoded> run = runner.RunOnBytes(job, input, context, &encoded);
  if (!run.ok() && !IsTheEncoders(run.status())) return run.status();
  if (run.ok() && Succeeded(run->run.outcome)) return encoded;
  const bool too_long = run.ok() && run->run.outcome.end == vx::Outcome::End::kLimited &&
                        run->run.outcome.limit == vx::Limit::kOutput;
  const bool refused =
      run.ok() && run->run.outcome.end == vx::Outcome::End::kExited && codec.is_for_a_format;
  if (!too_long && !refused) {
    const std::string why = run.ok() ? Explain(run->run) : std::string(run.status().message());
    Log(LogLevel::kError, absl::StrCat("encoder ", Absl(codec.encoder), " failed: ", why));
  }
  return std::nullopt;
}

}  // namespace vxa
