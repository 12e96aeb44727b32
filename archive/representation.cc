#include "archive/representation.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "archive/blob.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/text.h"
#include "archive/wire_text.h"

namespace vxa {
namespace {

constexpr std::string_view kViewName = "decoded";
constexpr size_t kMaxFailure = 8192;  // bytes; the guest's own words are in it

// Measures what comes, hands it on where somebody wants it.
class MeasuringSink : public vx::ByteSink {
 public:
  explicit MeasuringSink(ReadSink* reader) : reader_(reader) {}

  absl::Status Append(std::string_view bytes) override {
    size_ += bytes.size();
    hasher_.Update(bytes);
    if (head_.size() < kRecognizedBytes) {
      head_.append(bytes.substr(0, kRecognizedBytes - head_.size()));
    }
    return reader_ == nullptr ? absl::OkStatus() : reader_->Append(bytes);
  }
  uint64_t size() const { return size_; }
  const std::string& head() const { return head_; }
  Digest Finish() { return hasher_.Finish(); }

 private:
  ReadSink* const reader_;
  uint64_t size_ = 0;
  std::string head_;
  Hasher hasher_;
};

void RecordOutcome(const FirstRun& first, const Format& format, std::string_view name,
                   archive::v1::View& view) {
  *view.mutable_cost() = CostOf(first.run);
  if (!Succeeded(first.run.outcome)) {
    const bool limited = first.run.outcome.end == vx::Outcome::End::kLimited;
    view.set_status(limited ? archive::v1::View::OVER_LIMIT : archive::v1::View::FAILED);
    view.set_failure(WireText(Explain(first.run), kMaxFailure));
    return;
  }
  view.set_status(archive::v1::View::VERIFIED);
  view.set_length(first.size);
  *view.mutable_digest() = ToMessage(first.digest);
  view.set_media_type(MediaType(first.head));
  view.set_extension(DecodedExtension(format, name, first.head));
}

}  // namespace

archive::v1::Cost CostOf(const vx::DecodeResult& run) {
  archive::v1::Cost cost;
  cost.set_instructions(run.outcome.counters.instructions);
  cost.set_peak_memory(run.outcome.counters.peak_memory);
  return cost;
}

absl::StatusOr<FirstRun> RunFirst(const archive::v1::Decode& decode, const vx::Limits& limits,
                                  StoredForm& form, const Locator& locator, DecoderRunner& runner,
                                  ReadSink* sink, const CallContext& context, CostSheet& costs) {
  absl::StatusOr<Digest> decoder = FromMessage(decode.decoder());
  if (!decoder.ok()) return decoder.status();
  const DecoderRunner::Job job{.decode = decode,
                               .locator = locator,
                               .max_output = limits.output,
                               .max_instructions = limits.instructions,
                               .yields = true};
  StoredFormSource source(form);
  MeasuringSink output(sink);
  absl::StatusOr<vx::DecodeResult> result = runner.Run(job, source, output, context);
  if (!result.ok()) return result.status();
  costs.Add(*decoder, result->outcome.counters.bytes_in, *result);
  return FirstRun{.run = *std::move(result),
                  .size = output.size(),
                  .digest = output.Finish(),
                  .head = output.head()};
}

absl::StatusOr<archive::v1::View> MakeView(const Format& format, std::string_view name,
                                           const Digest& decoder, const vx::Limits& limits,
                                           StoredForm& form, const Locator& locator,
                                           DecoderRunner& runner, const CallContext& context,
                                           CostSheet& costs) {
  archive::v1::View view;
  view.set_name(std::string(kViewName));
  *view.mutable_decode() =
      DecodeMessage(decoder, SoleArgument(format.argument), vx::Profile::kVx2026, limits);
  absl::StatusOr<FirstRun> first =
      RunFirst(view.decode(), limits, form, locator, runner, nullptr, context, costs);
  if (first.ok()) {
    RecordOutcome(*first, format, name, view);
  } else if (const std::string reason = ReasonName(first.status());
             reason == "DECODER_FAILED" || reason == "LIMIT_EXCEEDED") {
    view.set_status(reason == "LIMIT_EXCEEDED" ? archive::v1::View::OVER_LIMIT
                                               : archive::v1::View::FAILED);
    view.set_failure(WireText(Std(first.status().message()), kMaxFailure));
  } else {
    return first.status();
  }
  return view;
}

absl::Status ReadRepresentation(const Representation& wanted, StoredForm& form,
                                const Locator& locator, DecoderRunner& runner, ReadSink& sink,
                                const CallContext& context, CostSheet& costs) {
  absl::StatusOr<Digest> digest = FromMessage(wanted.digest);
  absl::StatusOr<Digest> decoder = FromMessage(wanted.decode.decoder());
  if (!digest.ok() || !decoder.ok()) {
    return Error(Reason::kDataDamaged, absl::StrCat(Absl(wanted.what), " has no digests"));
  }
  const DecoderRunner::Job job{.decode = wanted.decode,
                               .locator = locator,
                               .max_output = wanted.length,
                               .proof = wanted.cost,
                               .yields = true};
  StoredFormSource source(form);
  MeasuringSink output(&sink);
  absl::StatusOr<vx::DecodeResult> result = runner.Run(job, source, output, context);
  if (!result.ok()) return result.status();
  costs.Add(*decoder, result->outcome.counters.bytes_in, *result);
  if (!Succeeded(result->outcome)) {
    return Error(Reason::kDecoderFailed,
                 absl::StrCat("the decoder of ", Absl(wanted.what), " failed: ", Explain(*result)));
  }
  if (output.size() == wanted.length && output.Finish() == *digest) return absl::OkStatus();
  return Error(
      Reason::kDataDamaged,
      absl::StrCat(Absl(wanted.what), " came out with ", output.size(), " bytes which are not the ",
                   wanted.length, " bytes with digest ", digest->ToString()));
}

}  // namespace vxa
