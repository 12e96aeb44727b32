#include "archive/decoder_runner.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/text.h"
#include "decoders/builtin.h"
#include "vxengine/abi.h"

namespace vxa {
namespace {

constexpr size_t kImagesKept = 64;
constexpr size_t kDiagnosticsShown = 4096;  // bytes

class BytesSource : public vx::ByteSource {
 public:
  explicit BytesSource(std::span<const std::string_view> pieces) : pieces_(pieces) {}
  absl::StatusOr<std::string_view> Next() override {
    std::string_view piece;
    while (piece.empty() && !pieces_.empty()) {
      piece = pieces_.front();
      pieces_ = pieces_.subspan(1);
    }
    return piece;
  }

 private:
  std::span<const std::string_view> pieces_;
};

// Hashes what comes, and keeps it where it is wanted.
class CheckingSink : public vx::ByteSink {
 public:
  CheckingSink(uint64_t limit, std::string* kept) : limit_(limit), kept_(kept) {}
  absl::Status Append(std::string_view bytes) override {
    if (bytes.size() > limit_ - size_) {
      return Error(Reason::kDecoderFailed,
                   absl::StrCat("the decoder gives more than the ", limit_, " bytes it has to"));
    }
    size_ += bytes.size();
    hasher_.Update(bytes);
    if (kept_ != nullptr) kept_->append(bytes);
    return absl::OkStatus();
  }
  uint64_t size() const { return size_; }
  Digest Finish() { return hasher_.Finish(); }

 private:
  const uint64_t limit_;
  std::string* const kept_;
  uint64_t size_ = 0;
  Hasher hasher_;
};

// No host is so slow, however it runs guests.
std::chrono::nanoseconds CpuTimeLimit(const archive::v1::Cost& proof) {
  constexpr std::chrono::nanoseconds kStart = std::chrono::minutes(1), kInstruction(100);
  constexpr auto kMax = std::chrono::nanoseconds::max();
  if (proof.instructions() > static_cast<uint64_t>((kMax - kStart) / kInstruction)) return kMax;
  return kStart + static_cast<int64_t>(proof.instructions()) * kInstruction;
}

}  // namespace

void CostSheet::Add(const Digest& decoder, uint64_t encoded_bytes, const vx::DecodeResult& result) {
  DecodeCost& cost = costs_[decoder];
  const vx::Counters& counters = result.outcome.counters;
  ++cost.decodes;
  cost.encoded_bytes += encoded_bytes;
  cost.decoded_bytes += counters.bytes_out;
  cost.instructions += counters.instructions;
  cost.peak_memory = std::max(cost.peak_memory, counters.peak_memory);
  cost.time += result.wall_time;
}

std::vector<DecodeCost> CostSheet::Costs() const {
  std::vector<DecodeCost> costs;
  for (const auto& [decoder, cost] : costs_) {
    costs.push_back(cost);
    costs.back().decoder = decoder;
    costs.back().decoder_name = BuiltinName(decoder);
  }
  return costs;
}

std::string BuiltinName(const Digest& decoder) {
  static const auto* names = [] {
    auto* map = new std::map<Digest, std::string>;
    for (const decoders::Builtin& builtin : decoders::Builtins()) {
      map->emplace(Digest::Of(builtin.elf), builtin.name);
    }
    return map;
  }();
  auto found = names->find(decoder);
  return found == names->end() ? "" : found->second;
}

std::vector<std::string> SoleArgument(std::string_view argument) {
  if (argument.empty()) return {};
  return {std::string(argument)};
}

archive::v1::Decode DecodeMessage(const Digest& decoder, const std::vector<std::string>& arguments,
                                  vx::Profile profile, const vx::Limits& limits) {
  archive::v1::Decode decode;
  *decode.mutable_decoder() = ToMessage(decoder);
  for (const std::string& argument : arguments) decode.add_arguments(argument);
  decode.set_profile(static_cast<uint32_t>(profile));
  decode.set_memory_limit(limits.memory);
  decode.set_stack_size(limits.stack);
  return decode;
}

vx::Limits LimitsOfFirstRun(const DecodeLimits& limits) {
  return {.memory = limits.memory, .output = limits.output};
}

// Held while a decoder runs; handed on while it can't.
class DecoderRunner::Turn {
 public:
  Turn(FairPlaces& turns, const CallContext& context) : turns_(turns), context_(context) {}
  ~Turn() {
    if (held_) GiveBack();
  }

  absl::Status Take() { return Taken(turns_.Take(context_)); }
  absl::Status TakeAgain() { return Taken(turns_.TakeAgain(context_)); }

  void GiveBack() {
    turns_.GiveBack(context_.client);
    held_ = false;
  }

  // Whether it was held long enough, seeing who waits.
  bool HasToPause() {
    constexpr absl::Duration kQuantum = absl::Milliseconds(100);
    return absl::Now() - begin_ >= kQuantum && turns_.MustGiveWay(context_.client);
  }
  absl::Status Pause() {
    GiveBack();
    return TakeAgain();
  }

 private:
  absl::Status Taken(const absl::Status& status) {
    held_ = status.ok();
    begin_ = absl::Now();
    return status;
  }

  FairPlaces& turns_;
  const CallContext& context_;
  bool held_ = false;
  absl::Time begin_;
};

absl::StatusOr<vx::DecodeResult> DecoderRunner::Run(const Job& job, vx::ByteSource& source,
                                                    vx::ByteSink& sink,
                                                    const CallContext& context) {
  absl::StatusOr<Digest> digest = FromMessage(job.decode.decoder());
  if (!digest.ok()) return Error(Reason::kDataDamaged, Std(digest.status().message()));
  const uint32_t profile = job.decode.profile();
  if (profile != static_cast<uint32_t>(vx::Profile::kVx2026) &&
      profile != static_cast<uint32_t>(vx::Profile::kVx2026Int)) {
    return Error(Reason::kDataDamaged,
                 absl::StrCat("a decode wants the unknown profile ", profile));
  }
  std::shared_ptr<const std::string> stored_image;
  if (job.image.empty()) {
    absl::StatusOr<std::shared_ptr<const std::string>> found = Image(*digest, job.locator);
    if (!found.ok()) return found.status();
    stored_image = *std::move(found);
  }

  Turn turn(turns_, context);
  if (absl::Status status = turn.Take(); !status.ok()) return status;

  // Where source or sink may block, others have their turn in the meantime.
  struct YieldingSource : vx::ByteSource {
    vx::ByteSource& source;
    Turn& turn;
    YieldingSource(vx::ByteSource& s, Turn& t) : source(s), turn(t) {}
    absl::StatusOr<std::string_view> Next() override {
      turn.GiveBack();
      absl::StatusOr<std::string_view> next = source.Next();
      absl::Status taken = turn.TakeAgain();
      if (!taken.ok()) return taken;
      return next;
    }
  } yielding_source(source, turn);
  struct YieldingSink : vx::ByteSink {
    vx::ByteSink& sink;
    Turn& turn;
    YieldingSink(vx::ByteSink& s, Turn& t) : sink(s), turn(t) {}
    absl::Status Append(std::string_view bytes) override {
      turn.GiveBack();
      absl::Status status = sink.Append(bytes);
      absl::Status taken = turn.TakeAgain();
      return status.ok() ? taken : status;
    }
  } yielding_sink(sink, turn);

  vx::DecodeRequest request;
  request.decoder = stored_image != nullptr ? std::string_view(*stored_image) : job.image;
  request.arguments.assign(job.decode.arguments().begin(), job.decode.arguments().end());
  request.profile = static_cast<vx::Profile>(profile);
  request.limits.memory = job.decode.memory_limit();
  request.limits.stack = job.decode.stack_size();
  request.limits.instructions = job.max_instructions;
  request.limits.output = job.max_output;
  request.count_instructions = job.count && !job.proof;
  request.limits.cpu_time =
      job.proof ? CpuTimeLimit(*job.proof) : absl::ToChronoNanoseconds(limits_.cpu_time);
  request.stall_limit = limits_.stalled;
  if (job.proof) {
    request.stall_limit = std::max(request.stall_limit, absl::FromChrono(CpuTimeLimit(*job.proof)));
  }
  request.deadline = context.deadline;
  request.cancelled = context.cancelled;
  request.has_to_pause = [&turn] { return turn.HasToPause(); };
  request.pause = [&turn] { return turn.Pause(); };
  request.session = job.session;
  absl::StatusOr<vx::DecodeResult> result =
      job.yields ? service_->Decode(request, yielding_source, yielding_sink)
                 : service_->Decode(request, source, sink);
  if (result.ok()) {
    std::string& said = result->diagnostics;
    said.resize(std::min<uint64_t>(said.size(), limits_.diagnostics));
  }
  if (result.ok() && job.proof) {
    result->outcome.counters.instructions = job.proof->instructions();
  }
  if (result.ok() || !ReasonName(result.status()).empty()) return result;
  const std::string text =
      absl::StrCat("decoder ", digest->ToString(), ": ", result.status().message());
  switch (result.status().code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kInternal:
      return Error(Reason::kDecoderFailed, text);
    case absl::StatusCode::kResourceExhausted:
      return Error(Reason::kLimitExceeded, text);
    case absl::StatusCode::kUnavailable:
      return Error(Reason::kOverloaded, text);
    default:
      return result;
  }
}

absl::Status DecoderRunner::RunToDigest(const Job& job, std::string_view encoded, uint64_t length,
                                        const Digest& digest, const CallContext& context,
                                        std::string* decoded, vx::DecodeResult& result) {
  if (decoded != nullptr) decoded->reserve(length);
  absl::StatusOr<Decoded> run = RunOnBytes(job, {&encoded, 1}, context, decoded);
  if (!run.ok()) return run.status();
  result = std::move(run->run);
  if (Succeeded(result.outcome) && run->size == length && run->digest == digest) {
    return absl::OkStatus();
  }
  return Error(Reason::kDecoderFailed,
               absl::StrCat("the decoder gave ", run->size, " bytes which are not the ", length,
                            " bytes with digest ", digest.ToString(), "; ", Explain(result)));
}

absl::StatusOr<DecoderRunner::Decoded> DecoderRunner::RunOnBytes(
    const Job& job, std::span<const std::string_view> encoded, const CallContext& context,
    std::string* decoded) {
  BytesSource source(encoded);
  CheckingSink sink(job.max_output, decoded);
  absl::StatusOr<vx::DecodeResult> run = Run(job, source, sink, context);
  if (!run.ok()) return run.status();
  return Decoded{.run = *std::move(run), .size = sink.size(), .digest = sink.Finish()};
}

absl::StatusOr<std::shared_ptr<const std::string>> DecoderRunner::Image(const Digest& digest,
                                                                        const Locator& locator) {
  absl::StatusOr<std::vector<Location>> places = locator(digest);
  if (!places.ok()) return places.status();
  absl::Status status =
      Error(Reason::kDataDamaged, absl::StrCat("decoder ", digest.ToString(), " is in no pack"));
  for (const Location& place : *places) {
    {
      std::lock_guard lock(mutex_);
      if (auto known = images_.find(place); known != images_.end()) return known->second;
    }
    absl::StatusOr<std::string> image = packs_.Read(place, RecordType::kDecoder, digest);
    if (!image.ok()) {
      status = image.status();
      continue;
    }
    auto kept = std::make_shared<const std::string>(*std::move(image));
    std::lock_guard lock(mutex_);
    if (images_.size() >= kImagesKept) images_.clear();
    images_.emplace(place, kept);
    return kept;
  }
  return status;
}

void DecoderRunner::ForgetImages() {
  std::lock_guard lock(mutex_);
  images_.clear();
}

absl::Status CheckArguments(const std::vector<std::string>& arguments) {
  size_t bytes = 0;
  for (const std::string& argument : arguments) {
    bytes += argument.size() + 1;
    if (argument.find('\0') != std::string::npos) {
      return Error(Reason::kInvalidRequest, "arguments: one has a byte 0 in it");
    }
  }
  if (bytes <= VX_ARGUMENTS_MAX) return absl::OkStatus();
  return Error(Reason::kInvalidRequest,
               absl::StrCat("arguments: ", bytes, " bytes, ", VX_ARGUMENTS_MAX, " may be"));
}

std::string Explain(const vx::DecodeResult& result) {
  std::string text = result.description;
  std::string_view words = result.diagnostics;
  words = Std(absl::StripAsciiWhitespace(Absl(words.substr(0, kDiagnosticsShown))));
  if (!words.empty()) absl::StrAppend(&text, "; it says: ", Absl(words));
  return text;
}

}  // namespace vxa
