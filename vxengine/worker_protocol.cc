#include "vxengine/worker_protocol.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vxengine/outcome_bytes.h"

namespace vx {
namespace {

// "VXW" and the version.
constexpr uint32_t kVersion = 0x03575856;

// The order of the fields, told once: the struct is const for a writer.
template <typename Stream, typename T>
void PreparationFields(Stream& stream, T& preparation) {
  stream.Field(preparation.elf_size);
  stream.EnumField(preparation.profile, Profile::kVx2026, Profile::kVx2026Int);
  stream.EnumField(preparation.count_instructions, false, true);
  stream.Field(preparation.layers);
  stream.Field(preparation.required_layers);
}

template <typename Stream, typename T>
void RequestFields(Stream& stream, T& header) {
  stream.Field(header.arguments_size);
  stream.Field(header.limits.memory);
  stream.Field(header.limits.stack);
  stream.Field(header.limits.instructions);
  stream.Field(header.limits.output);
}

absl::Status ReadVersion(ByteReader& reader) {
  uint32_t version;
  reader.Field(version);
  if (reader.ok() && version == kVersion) return absl::OkStatus();
  return absl::FailedPreconditionError("vxworker and its caller are of different builds");
}

void MakePrintable(std::string* text) {
  for (char& c : *text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
}

}  // namespace

std::string EncodePreparation(const Preparation& preparation) {
  ByteWriter writer;
  writer.Put(kVersion);
  PreparationFields(writer, preparation);
  return writer.Take();
}

absl::StatusOr<Preparation> DecodePreparation(std::string_view bytes) {
  ByteReader reader(bytes);
  if (absl::Status status = ReadVersion(reader); !status.ok()) return status;
  Preparation preparation;
  PreparationFields(reader, preparation);
  if (reader.ok_and_at_end()) return preparation;
  return absl::FailedPreconditionError("the preparation is damaged");
}

std::string EncodeLayers(uint32_t layers) { return EncodeSize(layers); }

std::optional<uint32_t> DecodeLayers(std::string_view bytes) {
  if (bytes.size() != kSizeBytes) return std::nullopt;
  return DecodeSize(bytes);
}

std::string EncodeWorkerEnd(const WorkerEnd& end) {
  ByteWriter writer;
  writer.Put(end.code);
  writer.Put(end.status);
  writer.Put(end.cpu_time);
  writer.Put(end.peak_memory);
  return writer.Take();
}

std::optional<WorkerEnd> DecodeWorkerEnd(std::string_view bytes) {
  ByteReader reader(bytes);
  WorkerEnd end;
  reader.Field(end.code);
  reader.Field(end.status);
  reader.Field(end.cpu_time);
  reader.Field(end.peak_memory);
  if (!reader.ok_and_at_end()) return std::nullopt;
  return end;
}

std::string EncodeRequestHeader(const RequestHeader& header) {
  ByteWriter writer;
  writer.Put(kVersion);
  RequestFields(writer, header);
  writer.Put(static_cast<int64_t>(header.limits.cpu_time.count()));
  return writer.Take();
}

absl::StatusOr<RequestHeader> DecodeRequestHeader(std::string_view bytes) {
  ByteReader reader(bytes);
  if (absl::Status status = ReadVersion(reader); !status.ok()) return status;
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

std::string EncodeSize(uint32_t size) {
  ByteWriter writer;
  writer.Put(size);
  return writer.Take();
}

uint32_t DecodeSize(std::string_view bytes) {
  ByteReader reader(bytes);
  uint32_t size;
  reader.Field(size);
  return size;
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
