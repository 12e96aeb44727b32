#include "vxengine/worker_protocol.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

namespace vx {
namespace {

// "VXW" and the version.
constexpr uint32_t kVersion = 0x02575856;

// The longest text (message, description) in a report.
constexpr size_t kTextMax = 0x400;

class Writer {
 public:
  template <typename T>
  void Put(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_ += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    }
  }

  // Field is called by the functions below that name the fields of a struct, for Writer and Reader
  // alike.
  template <typename T>
  void Field(const T& value) {
    Put(value);
  }
  void Field(const std::string& value, size_t max) {
    const size_t size = std::min(value.size(), max);
    Put(static_cast<uint32_t>(size));
    bytes_.append(value, 0, size);
  }
  template <typename Enum>
  void EnumField(const Enum& value, Enum /*first*/, Enum /*last*/) {
    Put(static_cast<uint8_t>(value));
  }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Once a field isn't there whole or isn't valid, all later ones are zero and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  void Field(T& value) {
    value = 0;
    if (!Has(sizeof(T))) return;
    uint64_t bits = 0;
    for (size_t i = sizeof(T); i-- > 0;) bits = bits << 8 | static_cast<unsigned char>(rest_[i]);
    value = static_cast<T>(bits);
    rest_.remove_prefix(sizeof(T));
  }
  void Field(std::string& value, size_t max) {
    uint32_t size;
    Field(size);
    if (size > max || !Has(size)) {
      ok_ = false;
      return;
    }
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
  }
  template <typename Enum>
  void EnumField(Enum& value, Enum first, Enum last) {
    uint8_t number;
    Field(number);
    ok_ = ok_ && number >= static_cast<uint8_t>(first) && number <= static_cast<uint8_t>(last);
    value = ok_ ? static_cast<Enum>(number) : first;
  }

  bool ok() const { return ok_; }
  bool ok_and_at_end() const { return ok_ && rest_.empty(); }

 private:
  bool Has(size_t size) {
    ok_ = ok_ && rest_.size() >= size;
    return ok_;
  }

  std::string_view rest_;
  bool ok_ = true;
};

// The order of the fields, told once: `Header` and `Result` are const for a Writer.
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

template <typename Stream, typename State>
void RegisterFields(Stream& stream, State& registers) {
  for (auto& gpr : registers.gpr) stream.Field(gpr);
  stream.Field(registers.eip);
  stream.Field(registers.eflags);
  for (auto& reg : registers.x87.reg) {
    stream.Field(reg.significand);
    stream.Field(reg.sign_exponent);
  }
  stream.Field(registers.x87.control);
  stream.Field(registers.x87.status);
  stream.Field(registers.x87.tag);
  for (auto& xmm : registers.xmm) {
    stream.Field(xmm.lane[0]);
    stream.Field(xmm.lane[1]);
  }
  stream.Field(registers.mxcsr);
}

template <typename Stream, typename Result>
void OutcomeFields(Stream& stream, Result& outcome) {
  stream.EnumField(outcome.end, Outcome::End::kExited, Outcome::End::kEngineFailed);
  stream.Field(outcome.exit_status);
  stream.EnumField(outcome.trap.cause, TrapCause::kPageFault, TrapCause::kBoundRange);
  stream.EnumField(outcome.trap.access, Access::kRead, Access::kFetch);
  stream.Field(outcome.trap.address);
  stream.EnumField(outcome.limit, Limit::kInstructions, Limit::kCpuTime);
  stream.Field(outcome.host_error, kTextMax);
  RegisterFields(stream, outcome.registers);
  stream.Field(outcome.valid_flags);
  stream.Field(outcome.counters.instructions);
  stream.Field(outcome.counters.bytes_in);
  stream.Field(outcome.counters.bytes_out);
  stream.Field(outcome.counters.peak_memory);
}

void MakePrintable(std::string* text) {
  for (char& c : *text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
}

}  // namespace

std::string EncodeRequestHeader(const RequestHeader& header) {
  Writer writer;
  writer.Put(kVersion);
  RequestFields(writer, header);
  writer.Put(static_cast<int64_t>(header.limits.cpu_time.count()));
  return writer.Take();
}

absl::StatusOr<RequestHeader> DecodeRequestHeader(std::string_view bytes) {
  Reader reader(bytes);
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
  Writer writer;
  writer.Put(kVersion);
  writer.Put(static_cast<uint8_t>(report.status.code()));
  writer.Field(absl::StrCat(report.status.message()), kTextMax);
  OutcomeFields(writer, report.outcome);
  writer.EnumField(report.placement, Placement::kShared, Placement::kExclusive);
  writer.Field(report.description, kTextMax);
  writer.Field(report.diagnostics, VX_DIAGNOSTICS_KEPT);
  return writer.Take();
}

absl::StatusOr<Report> DecodeReport(std::string_view bytes) {
  Reader reader(bytes);
  uint32_t version;
  absl::StatusCode code;
  std::string message;
  Report report;
  reader.Field(version);
  reader.EnumField(code, absl::StatusCode::kOk, absl::StatusCode::kUnauthenticated);
  reader.Field(message, kTextMax);
  OutcomeFields(reader, report.outcome);
  reader.EnumField(report.placement, Placement::kShared, Placement::kExclusive);
  reader.Field(report.description, kTextMax);
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
