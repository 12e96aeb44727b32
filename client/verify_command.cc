#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/command_support.h"
#include "client/commands.h"
#include "client/json.h"
#include "client/progress.h"
#include "client/report.h"
#include "client/text.h"

namespace vxa::client {
namespace {

constexpr size_t kMaxNames = 1000;  // of one request

// Prints what comes, and counts.
class Verification {
 public:
  Verification(const GlobalOptions& global, const VerifyOptions& options)
      : global_(global), options_(options) {}

  // Every message but the summary.
  absl::Status Take(v1::VerifyObjectsResponse message) {
    if (message.has_progress()) {
      Show(message.progress().name(), message.progress().bytes());
      return absl::OkStatus();
    }
    if (!message.has_object()) return absl::OkStatus();  // of a later server
    switch (static_cast<absl::StatusCode>(message.mutable_object()->mutable_status()->code())) {
      case absl::StatusCode::kOk:
        break;
      case absl::StatusCode::kNotFound:
        ++missing_;
        break;
      default:
        ++damaged_;
    }
    ++objects_;
    bytes_ += message.object().size();
    Show(message.object().name(), 0);
    const bool sound = message.object().status().code() == 0;
    if (sound && !options_.verbose && !global_.json) return absl::OkStatus();
    progress_.Wipe();
    return WriteStdout(global_.json ? ToJson(message) + "\n" : VerifiedLine(message.object()));
  }

  void Add(const v1::VerifySummary& summary) {
    summary_.set_objects(summary_.objects() + summary.objects());
    summary_.set_damaged(summary_.damaged() + summary.damaged());
    summary_.set_bytes(summary_.bytes() + summary.bytes());
  }

  int Fail(const absl::Status& status) {
    progress_.Wipe();
    return client::Fail(global_, status);
  }

  int Finish() {
    progress_.Wipe();
    v1::VerifyObjectsResponse message;
    *message.mutable_summary() = summary_;
    const int printed = Print(
        global_, global_.json ? ToJson(message) + "\n" : VerifySummaryLine(summary_, missing_));
    if (damaged_ > 0 || summary_.damaged() > 0) return kDamaged;
    if (missing_ > 0) return kNotFound;
    return printed;
  }

 private:
  // `bytes`: of this version so far.
  void Show(const std::string& name, uint64_t bytes) {
    progress_.SetLabel(absl::StrCat(Thousands(objects_), "  ", name));
    progress_.Show(bytes_ + bytes, 0);
  }

  const GlobalOptions& global_;
  const VerifyOptions& options_;
  Progress progress_{""};
  uint64_t objects_ = 0, damaged_ = 0, missing_ = 0;
  uint64_t bytes_ = 0;  // of the objects so far
  v1::VerifySummary summary_;
};

}  // namespace

int Verify(const GlobalOptions& global, const VerifyOptions& options) {
  Client client({.server = global.server});
  Verification verification(global, options);
  size_t begin = 0;
  do {
    v1::VerifyObjectsRequest request;
    request.set_namespace_(global.ns);
    request.set_prefix(options.prefix);
    request.set_versions(!options.latest);
    const size_t end = std::min(options.names.size(), begin + kMaxNames);
    for (; begin < end; ++begin) request.add_names(options.names[begin]);
    absl::StatusOr<v1::VerifySummary> summary =
        client.Verify(request, [&](const auto& message) { return verification.Take(message); });
    if (!summary.ok()) return verification.Fail(summary.status());
    verification.Add(*summary);
  } while (begin < options.names.size());
  return verification.Finish();
}

}  // namespace vxa::client
