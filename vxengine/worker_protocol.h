// What a decode service and its worker say to each other, as bytes in pipes.
//
// The service writes to the worker's descriptor 0:
//   request header, kRequestHeaderSize bytes | ELF | arguments, each with a NUL | encoded bytes to
//   the end
// The worker writes decoded bytes, bare, to its descriptor 1, and one report to its descriptor 2.
//
// Integers are little-endian; a string is a 32-bit length and its bytes. Both ends are built from
// one source; the version catches a server and a worker that were not.
#ifndef VXENGINE_WORKER_PROTOCOL_H_
#define VXENGINE_WORKER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/vx.h"

namespace vx {

// The worker's end of its pipes.
inline constexpr int kRequestFd = 0, kOutputFd = 1, kReportFd = 2;

// Everything that comes before the first byte that the service doesn't vouch for.
struct RequestHeader {
  uint32_t elf_size = 0;
  uint32_t arguments_size = 0;
  Profile profile = Profile::kVx2026;
  bool count_instructions = false;
  Limits limits;
};

inline constexpr size_t kRequestHeaderSize = 50;

std::string EncodeRequestHeader(const RequestHeader& header);

// REQUIRES: `bytes` has kRequestHeaderSize bytes. FAILED_PRECONDITION for another version.
absl::StatusOr<RequestHeader> DecodeRequestHeader(std::string_view bytes);

std::string EncodeArguments(const std::vector<std::string>& arguments);
std::vector<std::string> DecodeArguments(std::string_view bytes);

// What became of a request: a status, and behind an OK one the run's outcome.
struct Report {
  absl::Status status;
  Outcome outcome;
  Placement placement = Placement::kExclusive;  // that the guest had
  std::string description;
  std::string diagnostics;
};

// No report is longer. EncodeReport cuts strings to fit.
inline constexpr size_t kReportMax = VX_DIAGNOSTICS_KEPT + 0x2000;

std::string EncodeReport(const Report& report);

// Parses what may come from a worker that a guest has taken over: INTERNAL unless every byte is as
// EncodeReport would have written it. Texts are made printable ASCII, except for the diagnostics.
absl::StatusOr<Report> DecodeReport(std::string_view bytes);

}  // namespace vx

#endif  // VXENGINE_WORKER_PROTOCOL_H_
