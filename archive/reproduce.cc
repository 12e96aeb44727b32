#include "archive/reproduce.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "archive/errors.h"
#include "archive/form_reader.h"

namespace vxa {
namespace {

constexpr uint64_t kProgressEvery = uint64_t{64} << 20;  // bytes

// Hashes what comes, and tells how far it is.
class CheckingSink : public ReadSink {
 public:
  CheckingSink(const archive::v1::Manifest& manifest, const ReproduceProgress& progress,
               uint64_t& bytes)
      : manifest_(manifest), progress_(progress), bytes_(bytes) {}

  absl::Status Begin(const ReadHeader& header) override {
    wanted_ = header;
    return absl::OkStatus();
  }

  absl::Status Append(std::string_view bytes) override {
    hasher_.Update(bytes);
    size_ += bytes.size();
    const bool report = (bytes_ + bytes.size()) / kProgressEvery != bytes_ / kProgressEvery;
    bytes_ += bytes.size();
    return report ? progress_(bytes_) : absl::OkStatus();
  }

  // DATA_DAMAGED if the whole isn't what it was.
  absl::Status Finish() {
    const Digest digest = hasher_.Finish();
    if (size_ == wanted_.size && digest == wanted_.digest) return absl::OkStatus();
    return Error(Reason::kDataDamaged,
                 absl::StrCat(manifest_.namespace_(), "/", manifest_.name(), " version ",
                              manifest_.version(), ", the whole comes out with digest ",
                              digest.ToString(), ", not ", wanted_.digest.ToString()));
  }

 private:
  const archive::v1::Manifest& manifest_;
  const ReproduceProgress& progress_;
  uint64_t& bytes_;
  ReadHeader wanted_;
  uint64_t size_ = 0;
  Hasher hasher_;
};

absl::Status ReproduceForm(Core& core, const archive::v1::Manifest& manifest, const ReadSpec& form,
                           const ReproduceProgress& progress, const CallContext& context,
                           Reproduced& reproduced) {
  CheckingSink sink(manifest, progress, reproduced.bytes);
  absl::StatusOr<ReadResult> result = ReadForm(core, manifest, form, sink, context);
  if (!result.ok()) return result.status();
  reproduced.cost.insert(reproduced.cost.end(), result->cost.begin(), result->cost.end());
  return sink.Finish();
}

}  // namespace

absl::Status Reproduce(Core& core, const archive::v1::Manifest& manifest,
                       const ReproduceProgress& progress, const CallContext& context,
                       Reproduced& reproduced) {
  absl::Status status =
      ReproduceForm(core, manifest, {.name = manifest.name()}, progress, context, reproduced);
  for (const archive::v1::View& view : manifest.views()) {
    if (!status.ok()) break;
    if (view.status() != archive::v1::View::VERIFIED) continue;
    status = ReproduceForm(core, manifest,
                           {.name = manifest.name(), .form = Form::kView, .view = view.name()},
                           progress, context, reproduced);
  }
  return status;
}

bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || ReasonName(status) == "DECODER_FAILED";
}

}  // namespace vxa
