// What a decode service, its zygotes and their workers say to each other.
//
// A *zygote* is a vxworker process that has one decoder loaded, and a *worker* one that was forked
// off it. The service starts a zygote with a socket of messages (message_socket.h) as descriptor 0
// and the decoder's ELF, in memory, as descriptor 1. The first message is a Preparation, to
// which the zygote answers with the layers of the jail that it is in. Each later one, kForkOrder
// with the descriptors of ForkDescriptors, asks for a worker. Over the last of these, a socket of
// messages too, the zygote sends kWorkerStarted with a pidfd, and when the worker has ended, its
// WorkerEnd.
//
// A worker decodes again and again. To its descriptor 0 the service writes, for each decode,
//   request header, kRequestHeaderSize bytes | arguments, each with a NUL | encoded bytes, in
//   frames of a 32-bit size and as many bytes; the last one is empty
// and the worker writes decoded bytes, bare, to its descriptor 1, and then a report to its
// descriptor 2: a 32-bit size and EncodeReport's bytes. Where a zygote can't make a worker, it
// writes the report.
//
// Integers are little-endian; a string is a 32-bit length and its bytes. All are built from one
// source; the version catches a server and a worker that were not.
#ifndef VXENGINE_WORKER_PROTOCOL_H_
#define VXENGINE_WORKER_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/vx.h"

namespace vx {

// A zygote's descriptors.
inline constexpr int kOrdersFd = 0, kImageFd = 1;

// What a zygote gets ready for.
struct Preparation {
  uint32_t elf_size = 0;
  Profile profile = Profile::kVx2026;
  bool count_instructions = false;  // in all of its workers' decodes
  uint32_t layers = 0;              // of the jail, to be tried (layers.h)
  uint32_t required_layers = 0;     // without which nothing is to be decoded
  bool operator==(const Preparation&) const = default;
};

std::string EncodePreparation(const Preparation& preparation);
// FAILED_PRECONDITION for another version.
absl::StatusOr<Preparation> DecodePreparation(std::string_view bytes);

std::string EncodeLayers(uint32_t layers);
std::optional<uint32_t> DecodeLayers(std::string_view bytes);

inline constexpr std::string_view kForkOrder = "fork", kWorkerStarted = "started";

// What a fork order brings, in this order: the worker's ends of its pipes, and the zygote's of what
// it tells about the worker.
enum ForkDescriptor { kRequestEnd, kOutputEnd, kReportEnd, kSupervisionEnd, kForkDescriptors };

// As waitid(2) tells it.
struct WorkerEnd {
  int32_t code = 0;    // CLD_EXITED, ...
  int32_t status = 0;  // or the signal's number
  // As getrusage(2) tells them.
  int64_t cpu_time = 0;      // ns
  uint64_t peak_memory = 0;  // bytes, resident
};

std::string EncodeWorkerEnd(const WorkerEnd& end);
std::optional<WorkerEnd> DecodeWorkerEnd(std::string_view bytes);

// A worker's descriptors.
inline constexpr int kRequestFd = 0, kOutputFd = 1, kReportFd = 2;

// Everything that comes before the first byte that the service doesn't vouch for.
struct RequestHeader {
  uint32_t arguments_size = 0;
  Limits limits;
};

inline constexpr size_t kRequestHeaderSize = 44;

std::string EncodeRequestHeader(const RequestHeader& header);

// REQUIRES: `bytes` has kRequestHeaderSize bytes. FAILED_PRECONDITION for another version.
absl::StatusOr<RequestHeader> DecodeRequestHeader(std::string_view bytes);

// The sizes before frames and reports.
inline constexpr size_t kSizeBytes = 4;
std::string EncodeSize(uint32_t size);
uint32_t DecodeSize(std::string_view bytes);  // REQUIRES: kSizeBytes of them

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

// Parses what is behind the size, and may come from a worker that a guest has taken over: INTERNAL
// unless every byte is as EncodeReport would have written it. Texts are made printable ASCII,
// except for the diagnostics.
absl::StatusOr<Report> DecodeReport(std::string_view bytes);

}  // namespace vx

#endif  // VXENGINE_WORKER_PROTOCOL_H_
