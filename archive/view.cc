#include "archive/view.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "archive/blob.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/names.h"
#include "archive/text.h"

namespace vxa {
namespace {

constexpr std::string_view kViewName = "decoded";

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

// Text of the guest's own as UTF-8, which the messages it goes into demand.
std::string Printable(std::string text) {
  if (!IsUtf8(text)) {
    std::ranges::replace_if(
        text, [](char c) { return static_cast<signed char>(c) < 0; }, '?');
  }
  return text;
}

void RecordOutcome(const vx::DecodeResult& result, std::string_view name, MeasuringSink& output,
                   archive::v1::View& view) {
  view.mutable_cost()->set_instructions(result.outcome.counters.instructions);
  view.mutable_cost()->set_peak_memory(result.outcome.counters.peak_memory);
  if (!Succeeded(result.outcome)) {
    const bool limited = result.outcome.end == vx::Outcome::End::kLimited;
    view.set_status(limited ? archive::v1::View::OVER_LIMIT : archive::v1::View::FAILED);
    view.set_failure(Printable(Explain(result)));
    return;
  }
  view.set_status(archive::v1::View::VERIFIED);
  view.set_length(output.size());
  *view.mutable_digest() = ToMessage(output.Finish());
  view.set_media_type(MediaType(output.head()));
  view.set_extension(DecodedExtension(name, output.head()));
}

}  // namespace

absl::StatusOr<archive::v1::View> MakeView(const Format& format, std::string_view name,
                                           const Digest& decoder, const vx::Limits& limits,
                                           StoredForm& form, const Locator& locator,
                                           DecoderRunner& runner, const CallContext& context,
                                           CostSheet& costs) {
  archive::v1::View view;
  view.set_name(std::string(kViewName));
  *view.mutable_decode() = DecodeMessage(decoder, format.argument, limits);
  const DecoderRunner::Job job{.decode = view.decode(),
                               .locator = locator,
                               .max_output = limits.output,
                               .max_instructions = limits.instructions,
                               .yields = true};
  StoredFormSource source(form);
  MeasuringSink output(nullptr);
  absl::StatusOr<vx::DecodeResult> result = runner.Run(job, source, output, context);
  if (result.ok()) {
    costs.Add(decoder, result->outcome.counters.bytes_in, *result);
    RecordOutcome(*result, name, output, view);
  } else if (ReasonName(result.status()) == "DECODER_FAILED") {
    view.set_status(archive::v1::View::FAILED);
    view.set_failure(Printable(std::string(result.status().message())));
  } else {
    return result.status();
  }
  return view;
}

absl::Status ReadView(const archive::v1::View& view, uint64_t stored_size, StoredForm& form,
                      const Locator& locator, DecoderRunner& runner, ReadSink& sink,
                      const CallContext& context, CostSheet& costs) {
  absl::StatusOr<Digest> digest = FromMessage(view.digest());
  absl::StatusOr<Digest> decoder = FromMessage(view.decode().decoder());
  if (!digest.ok() || !decoder.ok()) {
    return Error(Reason::kDataDamaged, "a view without digests");
  }
  const DecoderRunner::Job job{.decode = view.decode(),
                               .locator = locator,
                               .max_output = view.length(),
                               .max_instructions = InstructionLimit(view.cost()),
                               .yields = true};
  StoredFormSource source(form);
  MeasuringSink output(&sink);
  absl::StatusOr<vx::DecodeResult> result = runner.Run(job, source, output, context);
  if (!result.ok()) return result.status();
  costs.Add(*decoder, stored_size, *result);
  if (!Succeeded(result->outcome)) {
    return Error(Reason::kDecoderFailed,
                 absl::StrCat("the view's decoder failed: ", Explain(*result)));
  }
  if (output.size() == view.length() && output.Finish() == *digest) return absl::OkStatus();
  return Error(Reason::kDataDamaged,
               absl::StrCat("the view's ", output.size(), " bytes are not the ", view.length(),
                            " bytes with digest ", digest->ToString()));
}

}  // namespace vxa
