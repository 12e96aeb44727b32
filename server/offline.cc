#include "server/offline.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "archive/archive.h"
#include "archive/check.h"
#include "archive/log.h"
#include "archive/wire_text.h"
#include "vxengine/decode_service.h"

namespace vxa {
namespace {

constexpr int kFailed = 1;
constexpr int kDamage = 4;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "vxad: %s\n", OneLine(std::string(status.message())).c_str());
  return kFailed;
}

// Whether all output has got out; nobody should take half a report for a clean one.
int Finish(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  return Fail(absl::UnavailableError("standard output can't be written"));
}

// SIGINT and SIGTERM ask for the end; a second one doesn't ask.
volatile sig_atomic_t interrupted = 0;

void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

absl::StatusOr<std::unique_ptr<vx::DecodeService>> NewDecodeService(const std::string& path) {
  absl::StatusOr<std::string> worker =
      path.empty() ? vx::FindWorker() : absl::StatusOr<std::string>(path);
  if (!worker.ok()) return worker.status();
  return vx::NewWorkerDecodeService(*worker);
}

class TextReport : public CheckSink {
 public:
  void Found(const Finding& finding) override {
    const std::string line =
        absl::StrCat(std::string(Name(finding.severity)), ": ", finding.where, ": ", finding.text);
    std::printf("%s\n", OneLine(line).c_str());
  }
  static void Summarise(const CheckSummary& summary) {
    std::printf("%s\n", ToText(summary).c_str());
    for (const std::string& advice : summary.advice) std::printf("next: %s\n", advice.c_str());
  }
};

class JsonReport : public CheckSink {
 public:
  void Found(const Finding& finding) override {
    google::protobuf::Struct object;
    SetText(object, "severity", Name(finding.severity));
    SetText(object, "where", finding.where);
    SetText(object, "text", finding.text);
    Print(object);
  }
  static void Summarise(const CheckSummary& summary) {
    google::protobuf::Struct line;
    google::protobuf::Struct& object = *(*line.mutable_fields())["summary"].mutable_struct_value();
    const std::pair<const char*, uint64_t> kNumbers[] = {
        {"packs", summary.packs},       {"pack_bytes", summary.pack_bytes},
        {"records", summary.records},   {"objects", summary.objects},
        {"versions", summary.versions}, {"bytes", summary.bytes},
        {"decoders", summary.decoders}, {"reproduced", summary.reproduced},
        {"notes", summary.notes},       {"warnings", summary.warnings},
        {"damages", summary.damages},
    };
    for (const auto& [key, value] : kNumbers) {
      (*object.mutable_fields())[key].set_number_value(static_cast<double>(value));
    }
    auto* list = (*object.mutable_fields())["advice"].mutable_list_value();
    for (const std::string& advice : summary.advice) list->add_values()->set_string_value(advice);
    Print(line);
  }

 private:
  static void SetText(google::protobuf::Struct& object, const char* key, std::string_view text) {
    (*object.mutable_fields())[key].set_string_value(WireText(text, text.size() * 4));
  }
  static void Print(const google::protobuf::Struct& object) {
    std::string line;
    // Of strings that are UTF-8 and numbers, which can't fail.
    if (!google::protobuf::util::MessageToJsonString(object, &line).ok()) return;
    std::printf("%s\n", line.c_str());
  }
};

// Lower-case digits of a digest's text that begins with "sha256:" or the digits themselves.
std::string WithAlgorithm(const std::string& id) {
  return id.rfind("sha256:", 0) == 0 ? id : "sha256:" + id;
}

// The one decoder whose id begins so.
absl::StatusOr<DecoderInfo> FindDecoder(Archive& archive, const std::string& id) {
  constexpr size_t kLeast = 8;  // digits
  const std::string prefix = WithAlgorithm(id);
  const std::string digits = prefix.substr(prefix.find(':') + 1);
  if (digits.size() < kLeast || digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(id,
                     ": a decoder's id is sha256: and 64 lower-case hexadecimal digits, of "
                     "which the first 8 will do"));
  }
  std::vector<DecoderInfo> found;
  std::string page;
  do {
    absl::StatusOr<DecoderList> list = archive.ListDecoders("default", 0, page);
    if (!list.ok()) return list.status();
    for (DecoderInfo& info : list->decoders) {
      if (info.id.ToString().rfind(prefix, 0) == 0) found.push_back(std::move(info));
    }
    page = list->next_page_token;
  } while (!page.empty());
  if (found.size() == 1) return found.front();
  if (found.empty()) return absl::NotFoundError(absl::StrCat("no decoder ", id));
  return absl::InvalidArgumentError(absl::StrCat(id, " is the beginning of ", found.size(),
                                                 " decoders' ids, ", found[0].id.ToString(),
                                                 " and ", found[1].id.ToString(), " among them"));
}

absl::Status Rule(Archive& archive, const RulingOptions& options) {
  absl::StatusOr<DecoderInfo> info = FindDecoder(archive, options.id);
  if (!info.ok()) return info.status();
  DecoderRuling ruling{.decoder = info->id,
                       .approved = info->approved,
                       .disabled = info->disabled,
                       .reason = info->disabled_reason};
  switch (options.ruling) {
    case RulingOptions::Ruling::kApprove:
      ruling.approved = true;
      break;
    case RulingOptions::Ruling::kUnapprove:
      ruling.approved = false;
      break;
    case RulingOptions::Ruling::kDisable:
      ruling.disabled = true;
      break;
    case RulingOptions::Ruling::kEnable:
      ruling.disabled = false;
      ruling.reason.clear();
      break;
  }
  if (!options.reason.empty()) ruling.reason = options.reason;
  absl::Status ruled = archive.Rule(ruling, {.agent = "vxad decoder"});
  if (ruled.ok()) info = archive.StatDecoder("default", info->id);
  if (!ruled.ok() || !info.ok()) return ruled.ok() ? info.status() : ruled;
  const std::string line = absl::StrCat(
      info->id.ToString(), " (", info->name, "): ", info->approved ? "approved" : "not approved",
      info->disabled ? ", disabled" : "",
      info->disabled_reason.empty() ? "" : absl::StrCat(": ", info->disabled_reason));
  std::printf("%s\n", OneLine(line).c_str());
  return absl::OkStatus();
}

}  // namespace

int Run(const FsckOptions& options) {
  CatchInterrupts();
  std::unique_ptr<vx::DecodeService> decoder;
  if (options.decode) {
    absl::StatusOr<std::unique_ptr<vx::DecodeService>> made = NewDecodeService(options.worker);
    if (!made.ok()) return Fail(made.status());
    decoder = *std::move(made);
  }
  TextReport text;
  JsonReport json;
  CheckSink& sink = options.json ? static_cast<CheckSink&>(json) : text;
  const CallContext context{.cancelled = [] { return interrupted != 0; }};
  absl::StatusOr<CheckSummary> summary =
      CheckArchive({.directory = options.data, .decoder = decoder.get()}, sink, context);
  if (absl::IsCancelled(summary.status())) {
    return Fail(absl::CancelledError("interrupted; nothing was changed"));
  }
  if (!summary.ok()) return Fail(summary.status());
  if (options.json) {
    JsonReport::Summarise(*summary);
  } else {
    TextReport::Summarise(*summary);
  }
  return Finish(summary->damages == 0 ? 0 : kDamage);
}

int Run(const RebuildIndexOptions& options) {
  TextReport text;
  absl::StatusOr<CheckSummary> summary = RebuildIndex(options.data, text);
  if (!summary.ok()) return Fail(summary.status());
  std::printf("The index is made anew. ");
  TextReport::Summarise(*summary);
  return Finish(summary->damages == 0 ? 0 : kDamage);
}

int Run(const RulingOptions& options) {
  // Opening would make an archive where there is none.
  if (access((options.data + "/VERSION").c_str(), F_OK) != 0) {
    return Fail(absl::NotFoundError(options.data + " is no archive: it has no VERSION"));
  }
  absl::StatusOr<std::unique_ptr<vx::DecodeService>> decoder = NewDecodeService(options.worker);
  if (!decoder.ok()) return Fail(decoder.status());
  absl::StatusOr<std::unique_ptr<Archive>> archive =
      Archive::Open({.directory = options.data, .decoder = decoder->get()});
  if (!archive.ok()) return Fail(archive.status());
  if (absl::Status ruled = Rule(**archive, options); !ruled.ok()) return Fail(ruled);
  return Finish(0);
}

}  // namespace vxa
