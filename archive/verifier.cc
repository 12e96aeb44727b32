#include "archive/verifier.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/changes.h"
#include "archive/errors.h"
#include "archive/form_reader.h"
#include "archive/listing.h"
#include "archive/object_info.h"
#include "archive/text.h"
#include "archive/wire_text.h"

namespace vxa {
namespace {

constexpr uint32_t kPage = 32;                           // names asked of the index at a time
constexpr int kEventEvery = 256;                         // verifications that one record has
constexpr uint64_t kProgressEvery = uint64_t{64} << 20;  // bytes
constexpr size_t kMaxDetail = 1024;                      // bytes

// Whether an error says that what is stored can't be reproduced.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || ReasonName(status) == "DECODER_FAILED";
}

// Hashes what comes, and tells how far it is.
class CheckingSink : public ReadSink {
 public:
  CheckingSink(const archive::v1::Manifest& manifest, VerifySink& sink, uint64_t& bytes)
      : manifest_(manifest), sink_(sink), bytes_(bytes) {}

  absl::Status Begin(const ReadHeader& header) override {
    wanted_ = header;
    return absl::OkStatus();
  }

  absl::Status Append(std::string_view bytes) override {
    hasher_.Update(bytes);
    size_ += bytes.size();
    const bool report = (bytes_ + bytes.size()) / kProgressEvery != bytes_ / kProgressEvery;
    bytes_ += bytes.size();
    if (!report) return absl::OkStatus();
    return sink_.Progress(manifest_.name(), manifest_.version(), bytes_);
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
  VerifySink& sink_;
  uint64_t& bytes_;
  ReadHeader wanted_;
  uint64_t size_ = 0;
  Hasher hasher_;
};

class Verifier {
 public:
  Verifier(Core& core, const VerifySpec& spec, VerifySink& sink, const CallContext& context)
      : core_(core), spec_(spec), sink_(sink), context_(context) {}

  absl::StatusOr<VerifySummary> Run();

 private:
  absl::Status VerifyAll();
  absl::Status VerifyName(const std::string& name);
  absl::Status VerifyPrefix(const std::string& prefix, bool exactly);
  absl::Status VerifyVersion(const ObjectInfo& object);
  absl::Status Reproduce(const ObjectInfo& object, VerifiedVersion& verified);
  absl::Status ReproduceForm(const archive::v1::Manifest& manifest, const ReadSpec& form,
                             VerifiedVersion& verified, uint64_t& bytes);
  absl::Status Record(const VerifiedVersion& verified);
  absl::Status WriteEvent();

  Core& core_;
  const VerifySpec& spec_;
  VerifySink& sink_;
  const CallContext& context_;
  VerifySummary summary_;
  archive::v1::Event event_;  // what isn't recorded yet
};

absl::StatusOr<VerifySummary> Verifier::Run() {
  core_.runner.ForgetImages();
  absl::Status status = VerifyAll();
  // What is known is recorded, even if the caller has gone.
  absl::Status recorded = WriteEvent();
  if (!status.ok()) return status;
  if (!recorded.ok()) return recorded;
  return summary_;
}

absl::Status Verifier::VerifyAll() {
  if (spec_.names.empty()) return VerifyPrefix(spec_.prefix, false);
  for (const std::string& name : spec_.names) {
    if (absl::Status status = VerifyName(name); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Verifier::VerifyName(const std::string& name) {
  const uint64_t before = summary_.objects;
  if (absl::Status status = VerifyPrefix(name, true); !status.ok()) return status;
  if (summary_.objects != before) return absl::OkStatus();
  return sink_.Verified(
      {.name = name, .status = Error(Reason::kObjectNotFound, absl::StrCat("no object ", name))});
}

// Verifies all names that begin with `prefix`, or only the one that is it.
absl::Status Verifier::VerifyPrefix(const std::string& prefix, bool exactly) {
  ListSpec list{.ns = spec_.ns, .prefix = prefix, .page_size = kPage, .versions = spec_.versions};
  do {
    if (absl::Status status = CheckContext(context_); !status.ok()) return status;
    absl::StatusOr<ListResult> page = ListObjects(*core_.index, core_.packs, list);
    if (!page.ok()) return page.status();
    for (const ObjectInfo& object : page->objects) {
      if (exactly && object.name != prefix) return absl::OkStatus();
      if (object.delete_marker) continue;
      if (absl::Status status = VerifyVersion(object); !status.ok()) return status;
    }
    list.page_token = page->next_page_token;
  } while (!list.page_token.empty());
  return absl::OkStatus();
}

absl::Status Verifier::VerifyVersion(const ObjectInfo& object) {
  VerifiedVersion verified{.name = object.name, .version = object.version, .size = object.size};
  verified.status = Reproduce(object, verified);
  if (ReasonName(verified.status) == "OBJECT_NOT_FOUND") return absl::OkStatus();  // meanwhile
  if (!verified.status.ok() && !IsDamage(verified.status)) return verified.status;
  ++summary_.objects;
  if (!verified.status.ok()) ++summary_.damaged;
  if (absl::Status recorded = Record(verified); !recorded.ok()) return recorded;
  return sink_.Verified(verified);
}

// The original, and all views that were verified once. OBJECT_NOT_FOUND if the version is gone.
absl::Status Verifier::Reproduce(const ObjectInfo& object, VerifiedVersion& verified) {
  absl::StatusOr<std::optional<IndexVersion>> entry =
      core_.index->Version(spec_.ns, object.name, object.version);
  if (!entry.ok()) return entry.status();
  if (!*entry) return Error(Reason::kObjectNotFound, "the version is gone");
  absl::StatusOr<archive::v1::Manifest> manifest =
      ReadManifest(core_.packs, spec_.ns, object.name, object.version, **entry);
  if (!manifest.ok()) return manifest.status();
  uint64_t bytes = 0;
  absl::Status status =
      ReproduceForm(*manifest, {.name = object.name, .form = Form::kOriginal}, verified, bytes);
  for (const archive::v1::View& view : manifest->views()) {
    if (!status.ok()) break;
    if (view.status() != archive::v1::View::VERIFIED) continue;
    status =
        ReproduceForm(*manifest, {.name = object.name, .form = Form::kView, .view = view.name()},
                      verified, bytes);
  }
  if (status.ok()) summary_.bytes += bytes;
  return status;
}

absl::Status Verifier::ReproduceForm(const archive::v1::Manifest& manifest, const ReadSpec& form,
                                     VerifiedVersion& verified, uint64_t& bytes) {
  CheckingSink sink(manifest, sink_, bytes);
  absl::StatusOr<ReadResult> result = ReadForm(core_, manifest, form, sink, context_);
  if (!result.ok()) return result.status();
  verified.cost.insert(verified.cost.end(), result->cost.begin(), result->cost.end());
  return sink.Finish();
}

absl::Status Verifier::Record(const VerifiedVersion& verified) {
  archive::v1::Verification* verification = event_.add_verifications();
  verification->set_namespace_(spec_.ns);
  verification->set_name(verified.name);
  verification->set_version(verified.version);
  verification->set_outcome(verified.status.ok() ? archive::v1::Verification::REPRODUCED
                                                 : archive::v1::Verification::DAMAGED);
  verification->set_detail(WireText(Std(verified.status.message()), kMaxDetail));
  return event_.verifications_size() < kEventEvery ? absl::OkStatus() : WriteEvent();
}

absl::Status Verifier::WriteEvent() {
  if (event_.verifications_size() == 0) return absl::OkStatus();
  event_.set_agent(context_.agent);
  EventChange change(std::exchange(event_, {}));
  return core_.log.Commit(change);
}

}  // namespace

absl::StatusOr<VerifySummary> VerifyObjects(Core& core, const VerifySpec& spec, VerifySink& sink,
                                            const CallContext& context) {
  return Verifier(core, spec, sink, context).Run();
}

}  // namespace vxa
