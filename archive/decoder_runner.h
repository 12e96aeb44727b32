// Runs archived decoders: reads their images from the packs, bounds how many run at once, and holds
// their output against what it has to be.
#ifndef ARCHIVE_DECODER_RUNNER_H_
#define ARCHIVE_DECODER_RUNNER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/fair_places.h"
#include "archive/pack_files.h"
#include "vxa/archive/v1/records.pb.h"
#include "vxengine/decode_service.h"

namespace vxa {

// Finds the places where a record with this payload lies; empty if there is none.
using Locator = std::function<absl::StatusOr<std::vector<Location>>(const Digest&)>;

// Adds up what decodes cost, by decoder.
class CostSheet {
 public:
  void Add(const Digest& decoder, uint64_t encoded_bytes, const vx::DecodeResult& result);
  std::vector<DecodeCost> Costs() const;

 private:
  std::map<Digest, DecodeCost> costs_;
};

// The name of a decoder that this program brings along, else "".
std::string BuiltinName(const Digest& decoder);

// The arguments of a decoder that has one or, where it is empty, none.
std::vector<std::string> SoleArgument(std::string_view argument);

// A decode as it is archived: of the limits, those on memory and stack.
archive::v1::Decode DecodeMessage(const Digest& decoder, const std::vector<std::string>& arguments,
                                  vx::Profile profile, const vx::Limits& limits);

// What a decode has that nothing was archived of yet: the server's limits. Its CPU time is no part
// of them, see DecodeLimits.
vx::Limits LimitsOfFirstRun(const DecodeLimits& limits);

// Thread-safe.
class DecoderRunner {
 public:
  DecoderRunner(PackFiles& packs, vx::DecodeService* service, const DecodeLimits& limits)
      : packs_(packs),
        service_(service),
        limits_(limits),
        turns_({.places = static_cast<size_t>(limits.concurrent),
                .waiting = static_cast<size_t>(limits.queue)}) {}

  struct Job {
    archive::v1::Decode decode;
    Locator locator;         // of the decoder's image
    std::string_view image;  // in its place, where it is in no pack yet
    uint64_t max_output = vx::kUnlimited;
    uint64_t max_instructions = vx::kUnlimited;
    // What the decode took when it was proved, if it was. It takes the same instructions every
    // time, so they aren't counted again, which is slower, but taken to be these; and a limit to
    // its CPU time ends what has gone wrong.
    std::optional<archive::v1::Cost> proof;
    bool count = true;  // whether instructions are counted where there is no proof
    vx::DecodeSession* session = nullptr;  // as in a DecodeRequest
    // Whether source and sink may block for long: then others may run in the meantime.
    bool yields = false;
  };

  // For decodes of one stream of one principal's: see vx::DecodeSession. May be null.
  std::unique_ptr<vx::DecodeSession> NewSession() {
    return service_ != nullptr ? service_->NewSession() : nullptr;
  }

  // Runs one decode. OK however the guest ended. DATA_DAMAGED if the image can't be had from the
  // packs, DECODER_FAILED if it is refused or the worker died, LIMIT_EXCEEDED if there is too
  // little memory for it or it stalled, OVERLOADED if there is no worker or too many decodes wait,
  // else as DecodeService::Decode.
  absl::StatusOr<vx::DecodeResult> Run(const Job& job, vx::ByteSource& source, vx::ByteSink& sink,
                                       const CallContext& context);

  struct Decoded {
    vx::DecodeResult run;
    uint64_t size = 0;
    Digest digest;
  };

  // Decodes bytes in memory, pieces one after another, however that ends, and puts what comes out
  // into `decoded` unless that is null. Else as Run.
  absl::StatusOr<Decoded> RunOnBytes(const Job& job, std::span<const std::string_view> encoded,
                                     const CallContext& context, std::string* decoded);

  // Decodes encoded bytes that have to give `length` bytes of that digest. DECODER_FAILED, saying
  // how it went, if they don't. Puts the decoded bytes into `decoded`, good only if all is OK,
  // unless that is null, and how the run went into `result`.
  absl::Status RunToDigest(const Job& job, std::string_view encoded, uint64_t length,
                           const Digest& digest, const CallContext& context, std::string* decoded,
                           vx::DecodeResult& result);

  // A decoder's image out of the packs. DATA_DAMAGED if it can't be had.
  absl::StatusOr<std::shared_ptr<const std::string>> Image(const Digest& digest,
                                                           const Locator& locator);

  DecodeLoad load() { return {.running = turns_.taken(), .waiting = turns_.waiting()}; }

  // Has decoders' images read from the packs again: whoever verifies wants to know what is there.
  void ForgetImages();

 private:
  // A turn to run a decoder.
  class Turn;

  PackFiles& packs_;
  vx::DecodeService* const service_;
  const DecodeLimits limits_;
  FairPlaces turns_;
  std::mutex mutex_;  // guards what follows
  // Images by the place they were read from.
  std::map<Location, std::shared_ptr<const std::string>> images_;
};

// Whether a guest ended well, as far as it says so itself.
inline bool Succeeded(const vx::Outcome& outcome) {
  return outcome.end == vx::Outcome::End::kExited && outcome.exit_status == 0;
}

// INVALID_REQUEST unless a decoder can be given these arguments (vxengine/abi.h).
absl::Status CheckArguments(const std::vector<std::string>& arguments);

// How a decode went, for people: the description, and the guest's own words if it left any.
std::string Explain(const vx::DecodeResult& result);

}  // namespace vxa

#endif  // ARCHIVE_DECODER_RUNNER_H_
