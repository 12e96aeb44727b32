#include "vxengine/worker_protocol.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vxengine/outcome_bytes.h"

namespace vx {
namespace {

// "VXW" and the version.
constexpr uint32_t kVersion = 0x02575856;

// The order of the fields, told once: `Header` is const for a writer.
template <typename Stream, typename Header>
void RequestFields(Stream& stream, Header& header) {
  stream.Field(header.elf_size);
  stream.Field(header.arguments_size);
  stream.EnumField(header.profile, Profile::kVx2026, Profile::kVx2026Int);
  stream.EnumField(header.count_instructions, false, true);
  stream.Field(header.limits.memory);
  stream.Field(header.limits.stack);
  stream.Field(header.limits.instructions);
  stream.Field(header.limits.output);
}

void MakePrintable(std::string* text) {
  for (char& c : *text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
}

}  // namespace

std::string EncodeRequestHeader(const RequestHeader& header) {
  ByteWriter writer;
  writer.Put(kVersion);
  RequestFields(writer, header);
  writer.Put(static_cast<int64_t>(header.limits.cpu_time.count()));
  return writer.Take();
}

absl::StatusOr<RequestHeader> DecodeRequestHeader(std::string_view bytes) {
  ByteReader reader(bytes);
  uint32_t version;
  reader.Field(version);
  if (!reader.ok() || version != kVersion) {
    return absl::FailedPreconditionError("vxworker and its caller are of different builds");
  }
  RequestHeader header;
  RequestFields(reader, header);
  int64_t cpu_time;
  reader.Field(cpu_time);
  header.limits.cpu_time = std::chrono::nanoseconds(cpu_time);
  if (!reader.ok_and_at_end()) {
    return absl::FailedPreconditionError("the request header is damaged");
  }
  return header;
}

std::string EncodeArguments(const std::vector<std::string>& arguments) {
  std::string bytes;
  for (const std::string& argument : arguments) {
    bytes += argument;
    bytes += '\0';
  }
  return bytes;
}

std::vector<std::string> DecodeArguments(std::string_view bytes) {
  std::vector<std::string> arguments;
  while (!bytes.empty()) {
    const size_t end = std::min(bytes.find('\0'), bytes.size());
    arguments.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return arguments;
}

std::string EncodeReport(const Report& report) {
  ByteWriter writer;
  writer.Put(kVersion);
  writer.Put(static_cast<uint8_t>(report.status.code()));
  writer.Field(absl::StrCat(report.status.message()), kOutcomeTextMax);
  OutcomeFields(writer, report.outcome);
  writer.EnumField(report.placement, Placement::kShared, Placement::kExclusive);
  writer.Field(report.description, kOutcomeTextMax);
  writer.Field(report.diagnostics, VX_DIAGNOSTICS_KEPT);
  return writer.Take();
}

absl::StatusOr<Report> DecodeReport(std::string_view bytes) {
  ByteReader reader(bytes);
  uint32_t version;
  absl::StatusCode code;
  std::string message;
  Report report;
  reader.Field(version);
  reader.EnumField(code, absl::StatusCode::kOk, absl::StatusCode::kUnauthenticated);
  reader.Field(message, kOutcomeTextMax);
  OutcomeFields(reader, report.outcome);
  reader.EnumField(report.placement, Placement::kShared, Placement::kExclusive);
  reader.Field(report.description, kOutcomeTextMax);
  reader.Field(report.diagnostics, VX_DIAGNOSTICS_KEPT);
  if (!reader.ok_and_at_end() || version != kVersion) {
    return absl::InternalError("vxworker's report is damaged");
  }
  for (std::string* text : {&message, &report.description, &report.outcome.host_error}) {
    MakePrintable(text);
  }
  report.status = absl::Status(code, message);
  return report;
}

}  // namespace vx
