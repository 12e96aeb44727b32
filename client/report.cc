#include "client/report.h"

#include <google/protobuf/util/time_util.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/checksum.h"
#include "client/text.h"

namespace vxa::client {
namespace {

using google::protobuf::util::TimeUtil;

constexpr size_t kShortDigestBytes = 4;

std::string ShortDigest(const v1::Digest& digest) {
  return absl::BytesToHexString(digest.value().substr(0, kShortDigestBytes));
}

// "zlib:3f2a9c01", or the short digest alone where the server knows no name.
std::string DecoderText(const std::string& name, const v1::Digest& digest) {
  if (name.empty()) return ShortDigest(digest);
  return absl::StrCat(Printable(name), ":", ShortDigest(digest));
}

std::string Seconds(const google::protobuf::Duration& duration) {
  const double seconds =
      static_cast<double>(duration.seconds()) + static_cast<double>(duration.nanos()) * 1e-9;
  return absl::StrFormat("%.3f s", seconds);
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  google::protobuf::Timestamp whole = time;
  whole.set_nanos(0);
  return TimeUtil::ToString(whole);
}

std::string CostText(const v1::DecodeCost& cost) {
  // What was kept at the put has no time: that was the machine's, not the decoder's.
  const bool timed = cost.time().seconds() != 0 || cost.time().nanos() != 0;
  return absl::StrCat(DecoderText(cost.decoder_name(), cost.decoder()), ": ",
                      Thousands(cost.encoded_bytes()), " → ", Thousands(cost.decoded_bytes()),
                      " bytes, ", Count(cost.decodes(), "run", "runs"), ", ",
                      Thousands(cost.instructions()), " instructions, ",
                      HumanSize(cost.peak_memory()), timed ? ", " + Seconds(cost.time()) : "");
}

const char* StatusText(v1::View::Status status) {
  switch (status) {
    case v1::View::VERIFIED:
      return "verified";
    case v1::View::FAILED:
      return "failed";
    case v1::View::OVER_LIMIT:
      return "over limit";
    default:
      return "unknown";
  }
}

std::string ViewsText(const v1::Object& object) {
  std::vector<std::string> views;
  for (const v1::View& view : object.views()) {
    std::string text = Printable(view.name());
    if (view.status() != v1::View::VERIFIED) {
      absl::StrAppend(&text, " (", StatusText(view.status()), ")");
    }
    views.push_back(text);
  }
  return views.empty() ? "-" : absl::StrJoin(views, ", ");
}

std::string DecodersText(const v1::Object& object) {
  std::vector<std::string> decoders;
  for (const v1::DecoderUse& use : object.decoders()) {
    decoders.push_back(DecoderText(use.name(), use.decoder()));
  }
  return decoders.empty() ? "-" : absl::StrJoin(decoders, ", ");
}

std::string SizeText(uint64_t size) { return Count(size, "byte", "bytes"); }

// As they follow a decoder: each with a space before it.
std::string ArgumentsText(const google::protobuf::RepeatedPtrField<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) absl::StrAppend(&text, " ", Printable(argument));
  return text;
}

std::string StoredText(const v1::Object& object) {
  return absl::StrCat(
      SizeText(object.stored_size()), " in ", Count(object.chunks(), "chunk", "chunks"), " (",
      Percent(object.stored_size(), object.size()), "), codec ", Printable(object.codec()));
}

using Rows = std::vector<std::vector<std::string>>;

void AddView(const v1::View& view, Rows* rows) {
  std::string text = absl::StrCat(Printable(view.name()), ", ", StatusText(view.status()));
  if (view.status() == v1::View::VERIFIED) {
    absl::StrAppend(&text, ", ", SizeText(view.size()), ", ", DigestText(view.digest()));
  }
  rows->push_back({"view", text});
  rows->push_back({"", absl::StrCat("type ", Printable(view.media_type()), ", extension \"",
                                    Printable(view.extension()), "\"")});
  rows->push_back(
      {"", absl::StrCat("decoder ", DigestText(view.decoder()), ArgumentsText(view.arguments()))});
  rows->push_back({"", CostText(view.cost())});
  if (!view.failure().empty()) rows->push_back({"", Printable(view.failure())});
}

void AddDecoding(const v1::ObjectDecoding& decoding, Rows* rows) {
  rows->push_back({"decoding", absl::StrCat("by ", DigestText(decoding.decoder()),
                                            ArgumentsText(decoding.arguments()))});
  rows->push_back({"", absl::StrCat("from ", SizeText(decoding.stored_form_size()), ", ",
                                    DigestText(decoding.stored_form_digest()))});
  rows->push_back({"", CostText(decoding.cost())});
}

void AddVerification(const v1::Verification& verification, Rows* rows) {
  rows->push_back(
      {"verified",
       absl::StrCat(TimeText(verification.time()), " for ", Printable(verification.agent()),
                    verification.reproduced() ? ": reproduced" : ": damaged")});
  if (!verification.detail().empty()) rows->push_back({"", Printable(verification.detail())});
}

void AddSource(const v1::Source& source, Rows* rows) {
  rows->push_back({"source", Printable(source.path())});
  if (source.has_modified()) rows->push_back({"", TimeUtil::ToString(source.modified())});
  if (source.mode() != 0) rows->push_back({"", absl::StrFormat("mode %04o", source.mode())});
}

const char* OriginText(v1::Decoder::Origin origin) {
  switch (origin) {
    case v1::Decoder::BUILT_IN:
      return "built in";
    case v1::Decoder::REGISTERED:
      return "registered";
    default:
      return "unknown";
  }
}

const char* StateText(const v1::Decoder& decoder) {
  return decoder.disabled() ? "disabled" : decoder.approved() ? "approved" : "-";
}

// "zlib 1.2.13, newlib 3.3.0"; "zlib 1.2.13 (Zlib), newlib 3.3.0 (BSD-3-Clause)" with licences.
std::string SourcesText(const v1::DecoderNote& note, bool licenses) {
  std::vector<std::string> sources;
  for (const v1::UpstreamSource& source : note.sources()) {
    sources.push_back(absl::StrCat(Printable(source.name()), " ", Printable(source.version())));
    if (licenses) absl::StrAppend(&sources.back(), " (", Printable(source.license()), ")");
  }
  return absl::StrJoin(sources, ", ");
}

std::string OutputText(const v1::OutputType& output) {
  return absl::StrCat(Printable(output.media_type()), " ", Printable(output.extension()));
}

// In one row what matters to those who have an object.
void AddNoteOfUse(const v1::DecoderNote& note, Rows* rows) {
  std::vector<std::string> parts;
  if (note.has_output()) parts.push_back("gives " + Printable(note.output().media_type()));
  if (!note.sources().empty()) parts.push_back("is made of " + SourcesText(note, false));
  if (!parts.empty()) rows->push_back({"", "by its note it " + absl::StrJoin(parts, " and ")});
}

// "zlib.tar.gz, sha256:<hex>, archived as decoder-sources/<hex>/zlib.tar.gz"
std::string FileText(const std::string& file, const v1::Digest& digest,
                     const ArchivedSources& archived) {
  const auto object = archived.find(digest.value());
  return absl::StrCat(Printable(file), ", ", DigestText(digest),
                      object == archived.end() ? "" : ", archived as " + Printable(object->second));
}

void AddNote(const v1::DecoderNote& note, const ArchivedSources& archived, Rows* rows) {
  if (note.has_output()) rows->push_back({"output", OutputText(note.output())});
  for (const v1::DecoderParameter& parameter : note.parameters()) {
    std::string text = Printable(parameter.syntax());
    if (parameter.has_output()) absl::StrAppend(&text, " -> ", OutputText(parameter.output()));
    if (!parameter.description().empty()) {
      absl::StrAppend(&text, ": ", Printable(parameter.description()));
    }
    rows->push_back({parameter.preview() ? "preview" : "parameter", text});
  }
  for (const v1::UpstreamSource& source : note.sources()) {
    rows->push_back(
        {"source", absl::StrCat(Printable(source.name()), " ", Printable(source.version()),
                                ", licence ", Printable(source.license()))});
    if (source.has_digest()) {
      rows->push_back({"", FileText(source.file(), source.digest(), archived)});
    }
    for (const v1::UpstreamPatch& patch : source.patches()) {
      rows->push_back({"", "patch " + FileText(patch.name(), patch.digest(), archived)});
    }
  }
  if (!note.kit().empty()) rows->push_back({"kit", Printable(note.kit())});
  if (!note.compiler().empty()) rows->push_back({"compiler", Printable(note.compiler())});
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : Printable(text); }

}  // namespace

std::string PutReport(const v1::WriteObjectResult& result) {
  const v1::Object& object = result.object();
  std::string report = absl::StrCat(
      Printable(object.name()), "  version ", object.version(),
      result.unchanged() ? " (unchanged)" : "", "  ", Thousands(object.size()), " → ",
      Thousands(object.stored_size()), " bytes (", Percent(object.stored_size(), object.size()),
      ")  ", Printable(object.codec()), "  ", DecodersText(object), "\n");
  for (const v1::DecodeCost& cost : result.proof()) {
    absl::StrAppend(&report, "  proved with ", CostText(cost), "\n");
  }
  for (const v1::View& view : object.views()) {
    absl::StrAppend(&report, "  view ", Printable(view.name()), " ", StatusText(view.status()),
                    view.status() == v1::View::VERIFIED
                        ? absl::StrCat(", ", SizeText(view.size()))
                        : absl::StrCat(": ", Printable(view.failure())),
                    "\n");
  }
  return report;
}

std::string StatReport(const v1::Object& object) {
  Rows rows = {
      {"name", Printable(object.name())},
      {"namespace", Printable(object.namespace_())},
      {"version", absl::StrCat(object.version())},
      {"created", TimeUtil::ToString(object.create_time())},
  };
  if (object.delete_marker()) {
    rows.push_back({"", "a delete marker"});
    return Table(rows, "<<");
  }
  rows.push_back({"size", SizeText(object.size())});
  rows.push_back({"digest", DigestText(object.digest())});
  rows.push_back({"type", Printable(object.media_type())});
  rows.push_back({"stored", StoredText(object)});
  for (const v1::DecoderUse& use : object.decoders()) {
    rows.push_back(
        {"decoder", absl::StrCat(use.name().empty() ? "(not built in)" : Printable(use.name()), ", ",
                                 SizeText(use.size()), ", ", DigestText(use.decoder()))});
    AddNoteOfUse(use.note(), &rows);
  }
  if (object.has_decoding()) AddDecoding(object.decoding(), &rows);
  for (const v1::View& view : object.views()) AddView(view, &rows);
  if (object.has_verification()) AddVerification(object.verification(), &rows);
  for (const auto& [key, value] : object.metadata()) {
    rows.push_back({"metadata", absl::StrCat(Printable(key), " = ", Printable(value))});
  }
  if (object.has_source()) AddSource(object.source(), &rows);
  return Table(rows, "<<");
}

std::string LongListing(const std::vector<v1::Object>& objects) {
  Rows rows = {
      {"SIZE", "STORED", "RATIO", "CODEC", "DECODERS", "VERSION", "CREATED", "VIEWS", "NAME"}};
  for (const v1::Object& object : objects) {
    const bool marker = object.delete_marker();
    rows.push_back({marker ? "-" : Thousands(object.size()),
                    marker ? "-" : Thousands(object.stored_size()),
                    marker ? "-" : Percent(object.stored_size(), object.size()),
                    marker ? "deleted" : Printable(object.codec()), DecodersText(object),
                    absl::StrCat(object.version()), TimeText(object.create_time()),
                    ViewsText(object), Printable(object.name())});
  }
  return Table(rows, ">>><<><<<");
}

std::string CostReport(const v1::ReadObjectRequest& request, const GetResult& result) {
  const char* form = request.form() == v1::VIEW     ? ", view"
                     : request.form() == v1::STORED ? ", stored form"
                                                    : "";
  std::string report = absl::StrCat(
      Printable(request.name()), "  version ", result.metadata.object().version(), form, "  ",
      SizeText(result.bytes),
      result.verified ? ", verified: " : ", not verified: ", DigestText(result.end.digest()), "\n");
  for (const v1::DecodeCost& cost : result.end.cost()) {
    absl::StrAppend(&report, "  came through archived decoder ", CostText(cost), "\n");
  }
  if (result.end.cost().empty()) absl::StrAppend(&report, "  no decoder was needed\n");
  return report;
}

std::string VerifiedLine(const v1::VerifiedObject& object) {
  const google::rpc::Status& status = object.status();
  const std::string version =
      object.version() == 0 ? "" : absl::StrCat("  version ", object.version());
  const bool reproduced = status.code() == static_cast<int>(absl::StatusCode::kOk);
  const bool missing = status.code() == static_cast<int>(absl::StatusCode::kNotFound);
  return absl::StrCat(reproduced ? "reproduced  "
                      : missing  ? "not there   "
                                 : "damaged     ",
                      Printable(object.name()), version, "  ",
                      reproduced ? SizeText(object.size()) : Printable(status.message()), "\n");
}

std::string VerifySummaryLine(const v1::VerifySummary& summary, uint64_t missing) {
  std::string line =
      absl::StrCat(Count(summary.objects(), "version", "versions"), " verified, ",
                   HumanSize(summary.bytes()), " reproduced, ",
                   summary.damaged() == 0 ? "nothing" : Thousands(summary.damaged()), " damaged");
  if (missing > 0) absl::StrAppend(&line, ", ", Count(missing, "name", "names"), " not there");
  return line + "\n";
}

std::string DecoderLine(const v1::Decoder& decoder) {
  std::string line = absl::StrCat(DigestText(decoder.id()), "  ", OrDash(decoder.name()), "  ",
                                  OriginText(decoder.origin()));
  if (decoder.origin() == v1::Decoder::REGISTERED) {
    absl::StrAppend(&line, " ", TimeText(decoder.register_time()), " by ",
                    Printable(decoder.registered_by()));
  }
  if (decoder.disabled()) absl::StrAppend(&line, ", disabled");
  return line;
}

std::string DecoderListing(const std::vector<v1::Decoder>& decoders) {
  Rows rows = {{"SIZE", "NAME", "ORIGIN", "STATE", "SINCE", "BY", "ID", "OUTPUT", "SOURCES"}};
  for (const v1::Decoder& decoder : decoders) {
    rows.push_back({Thousands(decoder.size()), OrDash(decoder.name()), OriginText(decoder.origin()),
                    StateText(decoder),
                    decoder.has_register_time() ? TimeText(decoder.register_time()) : "-",
                    OrDash(decoder.registered_by()), DigestText(decoder.id()),
                    OrDash(decoder.note().output().media_type()),
                    decoder.note().sources().empty() ? "-" : SourcesText(decoder.note(), true)});
  }
  return Table(rows, "><<<<<<<<");
}

std::string DecoderReport(const v1::Decoder& decoder, const ArchivedSources& archived) {
  Rows rows = {
      {"id", DigestText(decoder.id())},         {"name", OrDash(decoder.name())},
      {"size", SizeText(decoder.size())},       {"profile", OrDash(decoder.profile())},
      {"origin", OriginText(decoder.origin())},
  };
  if (decoder.has_register_time()) {
    rows.push_back({"since", TimeUtil::ToString(decoder.register_time())});
  }
  if (!decoder.registered_by().empty()) rows.push_back({"by", Printable(decoder.registered_by())});
  rows.push_back({"approved", decoder.approved() ? "yes" : "no: used only where a put names it"});
  if (decoder.disabled()) {
    rows.push_back(
        {"disabled", absl::StrCat("for new objects: ", OrDash(decoder.disabled_reason()))});
  }
  if (decoder.has_note()) {
    rows.push_back({"note", "what it says of itself, a claim of whoever made it:"});
    AddNote(decoder.note(), archived, &rows);
  }
  return Table(rows, "<<");
}

std::string ServerReport(const v1::ServerStatus& status) {
  const v1::ServerLimits& limits = status.limits();
  const v1::ServerLoad& load = status.load();
  const std::string& missing = status.missing_jail_layers();
  return Table(
      {
          {"server",
           absl::StrCat(Printable(status.version()), ", since ", TimeText(status.start_time()))},
          {"jail", missing.empty() ? "every layer" : absl::StrCat("without ", Printable(missing))},
          {"streams", absl::StrCat(load.streams(), " of ", limits.streams(), ", ",
                                   limits.client_streams(), " of one client")},
          {"decodes",
           absl::StrCat(load.decodes(), " of ", limits.decodes(), ", ", load.decodes_waiting(),
                        " waiting, ", limits.decode_queue(), " may")},
          {"of a decode", absl::StrCat(HumanSize(limits.decode_memory()), " of memory, ",
                                       HumanSize(limits.decode_output()), " of output, ",
                                       HumanSize(limits.decode_diagnostics()), " of messages")},
          {"", absl::StrCat(Seconds(limits.decode_cpu_time()), " of CPU time, ",
                            Seconds(limits.decode_stall()), " without input or output")},
      },
      "<<");
}

}  // namespace vxa::client
