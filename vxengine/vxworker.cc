// vxworker: decodes once for a decode service (vxengine/worker_protocol.h), locked in.
//
//   vxworker PARENT_PID, started by that process with a request on descriptor 0, and pipes for
//   output and report as descriptors 1 and 2.

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "vxengine/jail.h"
#include "vxengine/prefault.h"
#include "vxengine/vx.h"
#include "vxengine/worker_protocol.h"

namespace vx {
namespace {

// Memory for the worker itself: its libraries' data, buffers, and what the engine knows about the
// guest's code.
constexpr uint64_t kOwnMemory = uint64_t{512} << 20;

absl::StatusOr<size_t> ReadSome(std::span<uint8_t> buffer) {
  ssize_t count;
  do {
    count = read(kRequestFd, buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return absl::UnavailableError(absl::StrCat("reading: ", strerror(errno)));
  return static_cast<size_t>(count);
}

absl::StatusOr<std::string> ReadExactly(size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const std::span<uint8_t> rest(reinterpret_cast<uint8_t*>(bytes.data()) + have, size - have);
    const absl::StatusOr<size_t> count = ReadSome(rest);
    if (!count.ok()) return count.status();
    if (*count == 0) return absl::UnavailableError("the request ends early");
    have += *count;
  }
  return bytes;
}

absl::Status WriteAll(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes = bytes.subspan(count);
    } else if (errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("writing: ", strerror(errno)));
    }
  }
  return absl::OkStatus();
}

class WorkerIo final : public Io {
 public:
  explicit WorkerIo(std::string* diagnostics) : diagnostics_(diagnostics) {}

  absl::StatusOr<size_t> Read(std::span<uint8_t> buffer) override { return ReadSome(buffer); }

  absl::Status Write(int fd, std::span<const uint8_t> bytes) override {
    if (fd == VX_FD_OUTPUT) return WriteAll(kOutputFd, bytes);
    diagnostics_->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return absl::OkStatus();
  }

 private:
  std::string* const diagnostics_;
};

uint64_t WritableMemory(const RequestHeader& header) {
  // Of guest memory there can't be more than 4 GiB; its book-keeping takes a few bytes a page.
  const uint64_t guest = std::min(header.limits.memory, uint64_t{1} << 32);
  return kOwnMemory + guest + guest / 32 + 2 * uint64_t{header.elf_size} +
         4 * uint64_t{header.arguments_size};
}

absl::Status Decode(std::string_view parent, Report* report) {
  pid_t parent_pid = 0;
  std::from_chars(parent.data(), parent.data() + parent.size(), parent_pid);
  absl::Status status = DieWithParent(parent_pid);
  if (!status.ok()) return status;
  const absl::StatusOr<std::string> header_bytes = ReadExactly(kRequestHeaderSize);
  if (!header_bytes.ok()) return header_bytes.status();
  const absl::StatusOr<RequestHeader> header = DecodeRequestHeader(*header_bytes);
  if (!header.ok()) return header.status();
  const absl::StatusOr<Prepared> prepared = PrepareExclusive();
  if (!prepared.ok()) return prepared.status();
  status = EnterJail(WritableMemory(*header), prepared->code);
  if (!status.ok()) return status;

  // From here on nothing is trusted.
  const absl::StatusOr<std::string> elf = ReadExactly(header->elf_size);
  if (!elf.ok()) return elf.status();
  const absl::StatusOr<std::string> arguments = ReadExactly(header->arguments_size);
  if (!arguments.ok()) return arguments.status();
  const absl::StatusOr<std::shared_ptr<const Program>> program = Program::Load(*elf);
  if (!program.ok()) return program.status();
  const absl::StatusOr<std::unique_ptr<Sandbox>> sandbox =
      Sandbox::Create(*program, {.limits = header->limits,
                                 .profile = header->profile,
                                 .placement = Placement::kExclusive,
                                 .count_instructions = header->count_instructions,
                                 .arguments = DecodeArguments(*arguments)});
  if (!sandbox.ok()) return sandbox.status();
  WorkerIo io(&report->diagnostics);
  report->placement = (*sandbox)->placement();
  report->outcome = (*sandbox)->Run(io);
  report->description = Describe(report->outcome, **program);
  return absl::OkStatus();
}

}  // namespace
}  // namespace vx

int main(int argc, char** argv) {
  if (argc != 2) {
    constexpr std::string_view kMessage = "vxworker is started by decode services only\n";
    return write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0 ? 2 : 1;
  }
  vx::PrefaultHeap();
  vx::Report report;
  try {
    report.status = vx::Decode(argv[1], &report);
  } catch (const std::bad_alloc&) {
    report.status = absl::ResourceExhaustedError("out of memory");
  }
  const std::string bytes = vx::EncodeReport(report);
  const absl::Status written = vx::WriteAll(
      vx::kReportFd, std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  // Not exit() or, where sanitizers intercept it, _exit(): they want calls that the jail doesn't
  // have.
  syscall(SYS_exit_group, written.ok() ? 0 : 1);
}
