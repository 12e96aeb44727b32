#include "archive/verifier.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/call_context.h"
#include "archive/changes.h"
#include "archive/errors.h"
#include "archive/listing.h"
#include "archive/object_info.h"
#include "archive/reproduce.h"
#include "archive/text.h"
#include "archive/wire_text.h"

namespace vxa {
namespace {

constexpr uint32_t kPage = 32;       // names asked of the index at a time
constexpr int kEventEvery = 256;     // verifications that one record has
constexpr size_t kMaxDetail = 1024;  // bytes

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
  absl::Status ReproduceVersion(const ObjectInfo& object, VerifiedVersion& verified);
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
  verified.status = ReproduceVersion(object, verified);
  if (ReasonName(verified.status) == "OBJECT_NOT_FOUND") return absl::OkStatus();  // meanwhile
  if (!verified.status.ok() && !IsDamage(verified.status)) return verified.status;
  ++summary_.objects;
  if (!verified.status.ok()) ++summary_.damaged;
  if (absl::Status recorded = Record(verified); !recorded.ok()) return recorded;
  return sink_.Verified(verified);
}

// OBJECT_NOT_FOUND if the version is gone.
absl::Status Verifier::ReproduceVersion(const ObjectInfo& object, VerifiedVersion& verified) {
  absl::StatusOr<std::optional<IndexVersion>> entry =
      core_.index->Version(spec_.ns, object.name, object.version);
  if (!entry.ok()) return entry.status();
  if (!*entry) return Error(Reason::kObjectNotFound, "the version is gone");
  absl::StatusOr<archive::v1::Manifest> manifest =
      ReadManifest(core_.packs, spec_.ns, object.name, object.version, **entry);
  if (!manifest.ok()) return manifest.status();
  Reproduced reproduced;
  absl::Status status = Reproduce(
      core_, *manifest,
      [&](uint64_t bytes) { return sink_.Progress(object.name, object.version, bytes); }, context_,
      reproduced);
  verified.cost = std::move(reproduced.cost);
  if (status.ok()) summary_.bytes += reproduced.bytes;
  return status;
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
