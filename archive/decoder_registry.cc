#include "archive/decoder_registry.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/changes.h"
#include "archive/codec.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/names.h"
#include "archive/text.h"
#include "decoders/builtin.h"
#include "vxengine/note_text.h"

namespace vxa {
namespace {

constexpr uint32_t kMaxPage = 1000;
constexpr size_t kMaxDecoderName = 64;    // bytes
constexpr size_t kMaxReason = 1024;       // bytes
constexpr size_t kMaxSample = 512 << 10;  // bytes

// A sample is small, and so is what it may take: seconds, where nothing is translated.
vx::Limits TrialLimits(const DecodeLimits& of_server) {
  vx::Limits limits = LimitsOfFirstRun(of_server);
  limits.instructions = 4'000'000'000;
  limits.output = std::min(limits.output, uint64_t{256} << 20);
  return limits;
}

absl::Status NotFound(const Digest& id) {
  return Error(Reason::kDecoderNotFound, absl::StrCat("no decoder ", id.ToString()));
}

absl::Status Rejected(const Digest& id, const std::string& why) {
  return Error(Reason::kDecoderRejected, absl::StrCat("decoder ", id.ToString(), ": ", why));
}

std::set<Digest> BuiltinDigests() {
  std::set<Digest> digests;
  for (const decoders::Builtin& builtin : decoders::Builtins()) {
    digests.insert(BuiltinDecoder(builtin.name)->digest);
  }
  return digests;
}

// What is known of a decoder, or nothing if the namespace may not use it.
absl::StatusOr<std::optional<DecoderInfo>> Lookup(const IndexView& state, const std::string& ns,
                                                  const Digest& id) {
  absl::StatusOr<std::optional<IndexDecoder>> stored = state.Decoder(id);
  if (!stored.ok()) return stored.status();
  absl::StatusOr<std::optional<IndexRegistration>> registration = state.Registration(ns, id);
  if (!registration.ok()) return registration.status();
  DecoderInfo info{.id = id, .name = BuiltinName(id)};
  const bool built_in = !info.name.empty();
  if (built_in) {
    info.size = BuiltinDecoder(info.name)->elf.size();
  } else if (!*stored || ((*stored)->registered() && !*registration)) {
    return std::nullopt;
  } else if (*registration) {
    info.origin = DecoderInfo::Origin::kRegistered;
    info.name = (*registration)->name();
    info.profile = static_cast<vx::Profile>((*registration)->profile());
    info.registered = absl::FromUnixMicros((*registration)->time());
    info.registered_by = (*registration)->agent();
  }
  // Not on the word of an image that is just there: it may be all that is left of a registration.
  info.approved = built_in;
  if (*stored) {
    info.size = (*stored)->size();
    info.approved = built_in || (*stored)->approved();
    info.disabled = (*stored)->disabled();
    info.disabled_reason = (*stored)->reason();
  }
  return info;
}

absl::Status CheckRegisterSpec(const RegisterSpec& spec) {
  const auto invalid = [](const std::string& text) { return Error(Reason::kInvalidRequest, text); };
  if (spec.image.empty() || spec.image.size() > kMaxDecoderImage) {
    return invalid(
        absl::StrCat("image: ", spec.image.size(), " bytes, 1 to ", kMaxDecoderImage, " may be"));
  }
  if (spec.name.size() > kMaxDecoderName || spec.name.find('/') != std::string::npos ||
      (!spec.name.empty() && !CheckName(spec.name).ok())) {
    return invalid(absl::StrCat("name: not UTF-8 of at most ", kMaxDecoderName,
                                " bytes without control characters and '/'"));
  }
  if (spec.sample && spec.sample->size() > kMaxSample) {
    return invalid(
        absl::StrCat("sample: ", spec.sample->size(), " bytes, ", kMaxSample, " may be"));
  }
  if (!spec.sample && (!spec.arguments.empty() || spec.sample_digest)) {
    return invalid("sample_arguments and sample_digest are for a sample, and there is none");
  }
  return CheckArguments(spec.arguments);
}

// DECODER_REJECTED unless the image is one that the engine takes, and ends well.
absl::Status TryOut(Core& core, const Digest& id, const RegisterSpec& spec,
                    const CallContext& context) {
  const vx::Limits limits = TrialLimits(core.options.decodes);
  const DecoderRunner::Job job{.decode = DecodeMessage(id, spec.arguments, spec.profile, limits),
                               .image = spec.image,
                               .max_output = limits.output,
                               .max_instructions = limits.instructions};
  const std::string_view sample = spec.sample.value_or(std::string_view());
  absl::StatusOr<DecoderRunner::Decoded> trial =
      core.runner.RunOnBytes(job, {&sample, 1}, context, nullptr);
  if (!trial.ok()) {
    if (ReasonName(trial.status()) != "DECODER_FAILED") return trial.status();
    return Error(Reason::kDecoderRejected, Std(trial.status().message()));
  }
  if (!spec.sample) {
    if (trial->run.outcome.end == vx::Outcome::End::kExited) return absl::OkStatus();
    return Rejected(
        id, absl::StrCat("the trial run on an empty input ended badly: ", Explain(trial->run)));
  }
  if (!Succeeded(trial->run.outcome)) {
    return Rejected(id, absl::StrCat("the trial run on the sample failed: ", Explain(trial->run)));
  }
  if (spec.sample_digest && trial->digest != *spec.sample_digest) {
    return Rejected(
        id, absl::StrCat("the sample comes out with ", trial->size, " bytes and digest ",
                         trial->digest.ToString(), ", not ", spec.sample_digest->ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecoderInfo> FindDecoder(const IndexView& state, const std::string& ns,
                                        const Digest& id) {
  absl::StatusOr<std::optional<DecoderInfo>> info = Lookup(state, ns, id);
  if (!info.ok()) return info.status();
  if (!*info) return NotFound(id);
  return **info;
}

absl::StatusOr<std::shared_ptr<const std::string>> DecoderBytes(Core& core, const Digest& id) {
  if (const std::string name = BuiltinName(id); !name.empty()) {
    return std::make_shared<const std::string>(BuiltinDecoder(name)->elf);
  }
  return core.runner.Image(id, core.IndexLocator());
}

absl::StatusOr<DecoderNote> NoteOf(Core& core, const Digest& id) {
  std::optional<std::string> text = core.notes.Find(id);
  if (!text) {
    absl::StatusOr<std::shared_ptr<const std::string>> image = DecoderBytes(core, id);
    if (!image.ok()) return image.status();
    text = vx::NoteText(**image);
    core.notes.Add(id, *text);
  }
  return ParseDecoderNote(*text);
}

absl::StatusOr<DecoderList> ListDecoders(const IndexView& state, const std::string& ns,
                                         uint32_t page_size, const std::string& page_token) {
  const size_t most = page_size == 0 ? kMaxPage : std::min(page_size, kMaxPage);
  std::optional<Digest> after;  // the last one of the page before
  if (!page_token.empty()) {
    absl::StatusOr<Digest> parsed = Digest::FromString(page_token);
    if (!parsed.ok()) return Error(Reason::kInvalidRequest, "page_token: not one of this server's");
    after = *parsed;
  }
  const std::set<Digest> built_in = BuiltinDigests();
  DecoderList list;
  for (;;) {
    auto stored = state.NextDecoder(after ? &*after : nullptr);
    if (!stored.ok()) return stored.status();
    auto next = after ? built_in.upper_bound(*after) : built_in.begin();
    if (!*stored && next == built_in.end()) return list;
    if (!*stored || (next != built_in.end() && *next < (*stored)->first)) {
      after = *next;
    } else {
      after = (*stored)->first;
    }
    absl::StatusOr<std::optional<DecoderInfo>> info = Lookup(state, ns, *after);
    if (!info.ok()) return info.status();
    if (!*info) continue;
    if (list.decoders.size() == most) {
      list.next_page_token = list.decoders.back().id.ToString();
      return list;
    }
    list.decoders.push_back(**std::move(info));
  }
}

absl::StatusOr<DecoderInfo> RegisterDecoder(Core& core, const RegisterSpec& spec,
                                            const CallContext& context) {
  if (absl::Status checked = CheckRegisterSpec(spec); !checked.ok()) return checked;
  const Digest id = Digest::Of(spec.image);
  absl::StatusOr<std::optional<IndexRegistration>> known = core.index->Registration(spec.ns, id);
  if (!known.ok()) return known.status();
  if (!*known && BuiltinName(id).empty()) {
    if (absl::Status tried = TryOut(core, id, spec, context); !tried.ok()) return tried;
    archive::v1::Event event;
    event.set_agent(context.agent);
    archive::v1::DecoderRegistration& registration = *event.mutable_registration();
    registration.set_namespace_(spec.ns);
    *registration.mutable_decoder() = ToMessage(id);
    registration.set_size(spec.image.size());
    registration.set_name(spec.name);
    registration.set_profile(static_cast<uint32_t>(spec.profile));
    EventChange change(std::move(event), {{id, spec.image}});
    if (absl::Status committed = core.log.Commit(change); !committed.ok()) return committed;
  }
  return FindDecoder(*core.index, spec.ns, id);
}

absl::Status RuleOnDecoder(Core& core, const DecoderRuling& ruling, const CallContext& context) {
  if (ruling.reason.size() > kMaxReason || !IsUtf8(ruling.reason)) {
    return Error(Reason::kInvalidRequest,
                 absl::StrCat("reason: not UTF-8 of at most ", kMaxReason, " bytes"));
  }
  absl::StatusOr<std::optional<IndexDecoder>> stored = core.index->Decoder(ruling.decoder);
  if (!stored.ok()) return stored.status();
  if (!*stored && BuiltinName(ruling.decoder).empty()) return NotFound(ruling.decoder);
  archive::v1::Event event;
  event.set_agent(context.agent);
  *event.mutable_ruling()->mutable_decoder() = ToMessage(ruling.decoder);
  event.mutable_ruling()->set_approved(ruling.approved);
  event.mutable_ruling()->set_disabled(ruling.disabled);
  event.mutable_ruling()->set_reason(ruling.reason);
  EventChange change(std::move(event));
  return core.log.Commit(change);
}

}  // namespace vxa
