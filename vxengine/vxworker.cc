// vxworker: a zygote of a decode service, and by forks the workers that decode for it
// (vxengine/worker_protocol.h), all locked in.
//
//   vxworker PARENT_PID, started by that process with a socket for orders as descriptor 0 and a
//   decoder's image as descriptor 1.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "vxengine/jail.h"
#include "vxengine/layers.h"
#include "vxengine/message_socket.h"
#include "vxengine/prefault.h"
#include "vxengine/unique_fd.h"
#include "vxengine/vx.h"
#include "vxengine/worker_protocol.h"
#include "vxengine/zygote.h"

namespace vx {
namespace {

// Memory for the process itself: its libraries' data, buffers, and what the engine knows about the
// guest's code.
constexpr uint64_t kOwnMemory = uint64_t{512} << 20;

// A worker's sandbox, for one decode after the other. One that is ready for the decode before is
// most often ready for the next, and gets ready while nobody waits.
class WorkerSandbox {
 public:
  // `options`: its limits and arguments are a guess.
  WorkerSandbox(std::shared_ptr<const Program> program, Options options)
      : program_(std::move(program)), options_(std::move(options)) {
    GetReady().IgnoreError();
  }

  const Program& program() const { return *program_; }

  // What Sandbox::Create would give.
  absl::StatusOr<Sandbox*> Get(const Limits& limits, std::vector<std::string> arguments) {
    if (!ready_ || limits != options_.limits || arguments != options_.arguments) {
      options_.limits = limits;
      options_.arguments = std::move(arguments);
      if (absl::Status status = GetReady(); !status.ok()) return status;
    }
    ready_ = false;
    return sandbox_.get();
  }

  // For what it was ready for last. An error may not matter, and will be met again if it does.
  absl::Status GetReady() {
    absl::Status status;
    if (sandbox_) {
      status = sandbox_->Reset(options_.limits, options_.arguments);
    } else {
      absl::StatusOr<std::unique_ptr<Sandbox>> made = Sandbox::Create(program_, options_);
      status = made.status();
      if (made.ok()) sandbox_ = *std::move(made);
    }
    ready_ = status.ok();
    return status;
  }

 private:
  const std::shared_ptr<const Program> program_;
  Options options_;
  std::unique_ptr<Sandbox> sandbox_;
  bool ready_ = false;
};

// What a zygote has ready for its workers.
struct Decoder {
  std::optional<WorkerJail> jail;
  std::optional<WorkerSandbox> sandbox;
};

absl::Status Failed(const char* what, int error) {
  return absl::UnavailableError(absl::StrCat("vxworker: ", what, ": ", strerror(error)));
}

absl::StatusOr<size_t> ReadSome(std::span<uint8_t> buffer) {
  ssize_t count;
  do {
    count = read(kRequestFd, buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return Failed("reading", errno);
  return static_cast<size_t>(count);
}

// UNAVAILABLE if the request ends before, OUT_OF_RANGE if it does at once.
absl::StatusOr<std::string> ReadExactly(size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const std::span<uint8_t> rest(reinterpret_cast<uint8_t*>(bytes.data()) + have, size - have);
    const absl::StatusOr<size_t> count = ReadSome(rest);
    if (!count.ok()) return count.status();
    if (*count == 0) {
      return have == 0 ? absl::OutOfRangeError("there are no more requests")
                       : absl::UnavailableError("the request ends early");
    }
    have += *count;
  }
  return bytes;
}

absl::Status WriteAll(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(count));
    } else if (errno != EINTR) {
      return Failed("writing", errno);
    }
  }
  return absl::OkStatus();
}

// The guest's side of one decode.
class WorkerIo final : public Io {
 public:
  explicit WorkerIo(std::string* diagnostics) : diagnostics_(diagnostics) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override {
    if (left_ == 0 && !at_end_) {
      const absl::StatusOr<std::string> size = ReadExactly(kSizeBytes);
      if (!size.ok()) return size.status();
      left_ = DecodeSize(*size);
      at_end_ = left_ == 0;
    }
    if (at_end_) return 0;
    const absl::StatusOr<size_t> count =
        ReadSome(buffer.first(std::min<size_t>(buffer.size(), left_)));
    if (!count.ok()) return count.status();
    if (*count == 0) return absl::UnavailableError("the input ends within a frame");
    left_ -= static_cast<uint32_t>(*count);
    return *count;
  }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    if (fd == VX_FD_OUTPUT) return WriteAll(kOutputFd, bytes);
    diagnostics_->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return absl::OkStatus();
  }

  // Reads what the guest didn't, up to the end.
  absl::Status Drain() {
    uint8_t buffer[0x1000];
    for (;;) {
      const absl::StatusOr<size_t> count = Read(buffer);
      if (!count.ok()) return count.status();
      if (*count == 0) return absl::OkStatus();
    }
  }

 private:
  std::string* const diagnostics_;
  uint32_t left_ = 0;  // of a frame
  bool at_end_ = false;
};

uint64_t WritableMemory(const Limits& limits) {
  // Of guest memory there can't be more than 4 GiB; its book-keeping takes a few bytes a page.
  const uint64_t guest = std::min(limits.memory, uint64_t{1} << 32);
  return kOwnMemory + guest + guest / 32;
}

absl::StatusOr<RequestHeader> ReadHeader() {
  const absl::StatusOr<std::string> bytes = ReadExactly(kRequestHeaderSize);
  if (!bytes.ok()) return bytes.status();
  return DecodeRequestHeader(*bytes);
}

absl::Status Decode(const RequestHeader& header, WorkerSandbox* sandboxes, WorkerIo* io,
                    Report* report) {
  const absl::StatusOr<std::string> arguments = ReadExactly(header.arguments_size);
  if (!arguments.ok()) return arguments.status();
  const absl::StatusOr<Sandbox*> sandbox =
      sandboxes->Get(header.limits, DecodeArguments(*arguments));
  if (!sandbox.ok()) return sandbox.status();
  report->placement = (*sandbox)->placement();
  report->outcome = (*sandbox)->Run(*io);
  report->description = Describe(report->outcome, sandboxes->program());
  return absl::OkStatus();
}

// One decode and its report. An error, after which no other can follow, is the connection's.
absl::Status Answer(const RequestHeader& header, WorkerSandbox* sandboxes) {
  Report report;
  WorkerIo io(&report.diagnostics);
  try {
    report.status = Decode(header, sandboxes, &io, &report);
  } catch (const std::bad_alloc&) {
    report.status = absl::ResourceExhaustedError("out of memory");
  }
  const std::string bytes = EncodeReport(report);
  const std::string framed = EncodeSize(static_cast<uint32_t>(bytes.size())) + bytes;
  absl::Status status = WriteAll(
      kReportFd, std::span(reinterpret_cast<const uint8_t*>(framed.data()), framed.size()));
  return status.ok() ? io.Drain() : status;
}

// A worker's life: it is locked in once it knows how much memory its first guest may have. The
// service sees to it that no later one may have more. Until then it waits, perhaps for long, and
// has pages of its own of what its zygote got ready.
void Work(Decoder& decoder) {
  WorkerSandbox& sandbox = *decoder.sandbox;
  sandbox.GetReady().IgnoreError();
  absl::StatusOr<RequestHeader> header = ReadHeader();
  if (!header.ok()) return;
  prctl(PR_SET_NAME, "vxworker");
  if (absl::Status status = decoder.jail->Enter(WritableMemory(header->limits)); !status.ok()) {
    const std::string report = EncodeReport({.status = status});
    const std::string framed = EncodeSize(static_cast<uint32_t>(report.size())) + report;
    WriteAll(kReportFd, std::span(reinterpret_cast<const uint8_t*>(framed.data()), framed.size()))
        .IgnoreError();
    return;
  }
  while (header.ok() && Answer(*header, &sandbox).ok()) {
    sandbox.GetReady().IgnoreError();
    header = ReadHeader();
  }
}

absl::StatusOr<std::string> ReadImage(size_t size) {
  std::string image(size, '\0');
  for (size_t have = 0; have < size;) {
    const ssize_t count =
        pread(kImageFd, image.data() + have, size - have, static_cast<off_t>(have));
    if (count <= 0) return absl::UnavailableError("the decoder's image can't be read");
    have += static_cast<size_t>(count);
  }
  return image;
}

// As many layers of the jail as there are to be had, which may mean to go on in a child.
absl::Status EnterLayersOf(const Preparation& preparation) {
  // Where memory runs out, the server is to outlive its workers: proc(5).
  if (const UniqueFd file(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)); file.open()) {
    if (write(file.get(), "1000", 4) < 0) return Failed("oom_score_adj", errno);
  }
  const uint32_t entered = EnterLayers(preparation.layers);
  if (const int error = SendMessage(kOrdersFd, EncodeLayers(entered)); error != 0) {
    return Failed("telling of layers", error);
  }
  const uint32_t missing = preparation.required_layers & ~entered;
  if (missing == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("jail: required, but not granted by this system: ", LayerNames(missing)));
}

absl::Status Prepare(std::string_view parent, Decoder* decoder) {
  pid_t parent_pid = 0;
  std::from_chars(parent.data(), parent.data() + parent.size(), parent_pid);
  absl::Status status = DieWithParent(parent_pid);
  if (!status.ok()) return status;
  Message first;
  if (const int error = ReceiveMessage(kOrdersFd, &first); error != 0) {
    return Failed("receiving the preparation", error);
  }
  const absl::StatusOr<Preparation> preparation = DecodePreparation(first.bytes);
  if (!preparation.ok()) return preparation.status();
  if (status = EnterLayersOf(*preparation); !status.ok()) return status;
  PrefaultHeap();
  const absl::StatusOr<Prepared> prepared = PrepareExclusive();
  if (!prepared.ok()) return prepared.status();
  absl::StatusOr<WorkerJail> jail = WorkerJail::Prepare(prepared->code);
  if (!jail.ok()) return jail.status();
  decoder->jail = *std::move(jail);
  status = EnterZygoteJail(kOwnMemory + 2 * uint64_t{preparation->elf_size}, prepared->code);
  if (!status.ok()) return status;

  // From here on nothing is trusted.
  const absl::StatusOr<std::string> image = ReadImage(preparation->elf_size);
  if (!image.ok()) return image.status();
  absl::StatusOr<std::shared_ptr<const Program>> program = Program::Load(*image);
  if (!program.ok()) return program.status();
  // What fails here may never be needed; a run that needs it fails in the same way.
  (*program)
      ->TranslateAhead({.profile = preparation->profile,
                        .placement = prepared->placement,
                        .count_instructions = preparation->count_instructions})
      .IgnoreError();
  decoder->sandbox.emplace(*std::move(program),
                           Options{.profile = preparation->profile,
                                   .placement = Placement::kExclusive,
                                   .count_instructions = preparation->count_instructions});
  return absl::OkStatus();
}

}  // namespace
}  // namespace vx

int main(int argc, char** argv) {
  if (argc != 2) {
    constexpr std::string_view kMessage = "vxworker is started by decode services only\n";
    return write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0 ? 2 : 1;
  }
  vx::Decoder decoder;
  absl::Status ready;
  try {
    ready = vx::Prepare(argv[1], &decoder);
  } catch (const std::bad_alloc&) {
    ready = absl::ResourceExhaustedError("out of memory");
  }
  return vx::ServeOrders(ready, [&decoder] { vx::Work(decoder); }).ok() ? 0 : 1;
}
