#include "archive/form_reader.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "archive/decoder_note.h"
#include "archive/decoder_registry.h"
#include "archive/errors.h"
#include "archive/fold.h"
#include "archive/object_info.h"
#include "archive/representation.h"
#include "archive/stored_form.h"
#include "archive/text.h"

namespace vxa {
namespace {

using archive::v1::Manifest;

// Hands on the bytes from `offset` on, at most `limit`.
class RangeSink : public ReadSink {
 public:
  RangeSink(ReadSink& sink, uint64_t offset, uint64_t limit)
      : sink_(sink), skip_(offset), left_(limit) {}

  absl::Status Begin(const ReadHeader& header) override { return sink_.Begin(header); }
  absl::Status Append(std::string_view bytes) override {
    const uint64_t skipped = std::min<uint64_t>(skip_, bytes.size());
    skip_ -= skipped;
    bytes = bytes.substr(skipped, left_);
    left_ -= bytes.size();
    return bytes.empty() ? absl::OkStatus() : sink_.Append(bytes);
  }

 private:
  ReadSink& sink_;
  uint64_t skip_;
  uint64_t left_;
};

absl::Status CheckOffset(const ReadSpec& spec, std::string_view what, uint64_t size) {
  if (spec.offset <= size) return absl::OkStatus();
  return Error(Reason::kOffsetOutOfRange,
               absl::StrCat("offset ", spec.offset, " of ", Absl(what), " of ", spec.name,
                            ", which has ", size, " bytes"));
}

// Tells `sink` what comes, with what is known of the object.
absl::Status Begin(Core& core, const Manifest& manifest, ReadHeader header, ReadSink& sink) {
  header.object = ToObjectInfo(manifest);
  absl::Status added = AddVerification(*core.index, header.object);
  return added.ok() ? sink.Begin(header) : added;
}

// Each chunk is checked before its bytes go out, and only those of the range are read.
absl::StatusOr<ReadResult> ReadStoredForm(Core& core, const Manifest& manifest,
                                          const ReadSpec& spec, ReadSink& sink,
                                          const CallContext& context) {
  const uint64_t size = StoredLength(manifest);
  if (absl::Status checked = CheckOffset(spec, "the stored form", size); !checked.ok()) {
    return checked;
  }
  const bool encoded = manifest.has_object_decode();
  const ReadHeader header{
      .size = size,
      .digest = FromMessage(encoded ? manifest.object_decode().stored_digest() : manifest.digest())
                    .value_or(Digest()),
      .media_type = encoded ? "application/octet-stream" : manifest.media_type()};
  if (absl::Status begun = Begin(core, manifest, header, sink); !begun.ok()) return begun;
  StoredForm form(core.packs, core.runner, core.IndexLocator(), manifest, spec.offset, context);
  for (uint64_t left = std::min(spec.limit, size - spec.offset); left > 0;) {
    absl::StatusOr<std::string> bytes = form.Next();
    if (!bytes.ok()) return bytes.status();
    const std::string_view wanted = std::string_view(*bytes).substr(0, left);
    left -= wanted.size();
    if (absl::Status taken = sink.Append(wanted); !taken.ok()) return taken;
  }
  return ReadResult{.verified = true, .digest = header.digest, .cost = form.costs().Costs()};
}

// The decoder runs from beginning to end, whatever the range is: only then its output is checked.
absl::StatusOr<ReadResult> ReadThrough(Core& core, const Manifest& manifest,
                                       const Representation& wanted, ReadHeader header,
                                       const ReadSpec& spec, ReadSink& sink,
                                       const CallContext& context) {
  if (absl::Status checked = CheckOffset(spec, wanted.what, wanted.length); !checked.ok()) {
    return checked;
  }
  header.size = wanted.length;
  header.digest = FromMessage(wanted.digest).value_or(Digest());
  const Digest digest = header.digest;
  absl::Status begun = Begin(core, manifest, std::move(header), sink);
  if (!begun.ok()) return begun;
  StoredForm form(core.packs, core.runner, core.IndexLocator(), manifest, 0, context);
  RangeSink range(sink, spec.offset, spec.limit);
  CostSheet costs;
  absl::Status status =
      ReadRepresentation(wanted, form, core.IndexLocator(), core.runner, range, context, costs);
  if (!status.ok()) return status;
  return ReadResult{.verified = true, .digest = digest, .cost = costs.Costs()};
}

// A view as it comes out with further arguments. Nothing is known of that beforehand, and nothing
// kept of it: it is bounded by the server's limits, as a put's view is.
absl::StatusOr<ReadResult> ReadWithArguments(Core& core, const Manifest& manifest,
                                             const archive::v1::View& view, const ReadSpec& spec,
                                             ReadSink& sink, const CallContext& context) {
  absl::StatusOr<Digest> decoder = FromMessage(view.decode().decoder());
  if (!decoder.ok()) return Error(Reason::kDataDamaged, Std(decoder.status().message()));
  absl::StatusOr<DecoderNote> note = NoteOf(core, *decoder);
  if (!note.ok()) return note.status();
  std::vector<std::string> arguments(view.decode().arguments().begin(),
                                     view.decode().arguments().end());
  absl::StatusOr<ClaimedOutput> claimed = CheckParameters(*note, arguments, spec.view_arguments);
  if (!claimed.ok()) return claimed.status();
  arguments.insert(arguments.end(), spec.view_arguments.begin(), spec.view_arguments.end());
  if (absl::Status checked = CheckArguments(arguments); !checked.ok()) return checked;

  ReadHeader header{.media_type = view.media_type(), .extension = view.extension()};
  if (claimed->type) {
    header.media_type = claimed->type->media_type;
    header.extension = claimed->type->extension;
  }
  header.preview = claimed->preview;
  absl::Status begun = Begin(core, manifest, std::move(header), sink);
  if (!begun.ok()) return begun;
  StoredForm form(core.packs, core.runner, core.IndexLocator(), manifest, 0, context);
  RangeSink range(sink, spec.offset, spec.limit);
  CostSheet costs;
  const vx::Limits limits = LimitsOfFirstRun(core.options.decodes);
  const archive::v1::Decode decode =
      DecodeMessage(*decoder, arguments, static_cast<vx::Profile>(view.decode().profile()), limits);
  absl::StatusOr<FirstRun> first =
      RunFirst(decode, limits, form, core.IndexLocator(), core.runner, &range, context, costs);
  if (!first.ok()) return first.status();
  const std::string what = absl::StrCat("the view of ", spec.name, " with these arguments");
  if (first->run.outcome.end == vx::Outcome::End::kLimited) {
    return Error(Reason::kLimitExceeded, absl::StrCat(what, ": ", Explain(first->run)));
  }
  if (!Succeeded(first->run.outcome)) {
    return Error(Reason::kViewFailed, absl::StrCat(what, " failed: ", Explain(first->run)));
  }
  if (absl::Status checked = CheckOffset(spec, "the view", first->size); !checked.ok()) {
    return checked;
  }
  return ReadResult{.verified = false, .digest = first->digest, .cost = costs.Costs()};
}

absl::StatusOr<ReadResult> ReadView(Core& core, const Manifest& manifest, const ReadSpec& spec,
                                    ReadSink& sink, const CallContext& context) {
  auto view = std::ranges::find_if(manifest.views(), [&](const archive::v1::View& candidate) {
    return spec.view.empty() || candidate.name() == spec.view;
  });
  if (view == manifest.views().end()) {
    return Error(Reason::kViewNotFound, absl::StrCat(spec.name, " has no view ", spec.view));
  }
  // Of what is too large as a whole there may be a preview.
  const bool may_be_had = view->status() == archive::v1::View::OVER_LIMIT
                              ? !spec.view_arguments.empty()
                              : view->status() == archive::v1::View::VERIFIED;
  if (!may_be_had) {
    return Error(
        Reason::kViewNotVerified,
        absl::StrCat("the view of ", spec.name, " failed when it was put: ", view->failure()));
  }
  if (!spec.view_arguments.empty()) {
    return ReadWithArguments(core, manifest, *view, spec, sink, context);
  }
  const std::string what = absl::StrCat("the view \"", view->name(), "\"");
  return ReadThrough(core, manifest,
                     {.what = what,
                      .decode = view->decode(),
                      .cost = view->cost(),
                      .length = view->length(),
                      .digest = view->digest()},
                     {.media_type = view->media_type(), .extension = view->extension()}, spec, sink,
                     context);
}

absl::StatusOr<ReadResult> Read(Core& core, const Manifest& manifest, const ReadSpec& spec,
                                ReadSink& sink, const CallContext& context) {
  if (spec.form == Form::kView) return ReadView(core, manifest, spec, sink, context);
  if (spec.form == Form::kStored || !manifest.has_object_decode()) {
    return ReadStoredForm(core, manifest, spec, sink, context);
  }
  const archive::v1::ObjectDecode& object_decode = manifest.object_decode();
  return ReadThrough(core, manifest,
                     {.what = "the original",
                      .decode = object_decode.decode(),
                      .cost = object_decode.proof(),
                      .length = manifest.size(),
                      .digest = manifest.digest()},
                     {.media_type = manifest.media_type()}, spec, sink, context);
}

}  // namespace

absl::StatusOr<ReadResult> ReadForm(Core& core, const Manifest& manifest, const ReadSpec& spec,
                                    ReadSink& sink, const CallContext& context) {
  absl::StatusOr<ReadResult> result = Read(core, manifest, spec, sink, context);
  const std::string text = absl::StrCat(manifest.namespace_(), "/", manifest.name(), " version ",
                                        manifest.version(), ", ", result.status().message());
  if (absl::IsDataLoss(result.status())) return Error(Reason::kDataDamaged, text);
  if (ReasonName(result.status()) == "DECODER_FAILED") return Error(Reason::kDecoderFailed, text);
  return result;
}

}  // namespace vxa
