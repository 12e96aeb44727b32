#include "vxengine/decode_service.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vxengine/worker_process.h"
#include "vxengine/worker_protocol.h"

namespace vx {
namespace {

constexpr size_t kPiece = 0x10000;  // bytes moved at a time: what a Linux pipe holds by default
constexpr absl::Duration kAskInterval = absl::Milliseconds(20);

// write(2) that gives EPIPE and no SIGPIPE, whatever the process does about that signal.
ssize_t WriteWithoutSigpipe(int fd, const char* bytes, size_t size) {
  sigset_t sigpipe, before, pending;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  const ssize_t count = write(fd, bytes, size);
  const int error = errno;
  if (count < 0 && error == EPIPE && !was_pending) {
    const timespec now = {};
    while (sigtimedwait(&sigpipe, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return count;
}

// One decode with a worker that has been started: everything between its two ends of the pipes.
class Exchange {
 public:
  Exchange(const DecodeRequest& request, ByteSource& source, ByteSink& sink, WorkerProcess& worker)
      : request_(request), source_(source), sink_(sink), worker_(worker) {
    prologue_ = EncodeArguments(request.arguments);
    prologue_ = EncodeRequestHeader({.elf_size = static_cast<uint32_t>(request.decoder.size()),
                                     .arguments_size = static_cast<uint32_t>(prologue_.size()),
                                     .profile = request.profile,
                                     .count_instructions = request.count_instructions,
                                     .limits = request.limits})
                    .append(request.decoder)
                    .append(prologue_);
    to_send_ = prologue_;
    buffer_.resize(kPiece);
  }

  // Moves bytes until the worker has closed its output and its report, or it must not go on.
  absl::Status Run();

  uint64_t received() const { return received_; }
  const std::string& report() const { return report_; }

 private:
  absl::Status CheckCaller();
  int PollTimeout() const;
  absl::Status Send();
  absl::StatusOr<std::string_view> Receive(UniqueFd& from);
  absl::Status ReceiveOutput();
  absl::Status ReceiveReport();

  const DecodeRequest& request_;
  ByteSource& source_;
  ByteSink& sink_;
  WorkerProcess& worker_;
  std::string prologue_;
  std::string_view to_send_;  // of the prologue, then of what the source gave last
  std::string buffer_;
  std::string report_;
  uint64_t received_ = 0;
  absl::Time next_ask_ = absl::InfinitePast();
};

absl::Status Exchange::CheckCaller() {
  const absl::Time now = absl::Now();
  if (now >= request_.deadline) {
    return absl::DeadlineExceededError(
        absl::StrCat("the decode's deadline passed after ", received_, " bytes of output"));
  }
  if (request_.cancelled && now >= next_ask_) {
    next_ask_ = now + kAskInterval;
    if (request_.cancelled()) return absl::CancelledError("the decode was cancelled");
  }
  return absl::OkStatus();
}

int Exchange::PollTimeout() const {
  absl::Duration wait = request_.deadline - absl::Now();
  if (request_.cancelled) wait = std::min(wait, kAskInterval);
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(wait) + 1, 0, INT_MAX));
}

absl::Status Exchange::Run() {
  bool ended = false;
  while (worker_.output().open() || worker_.report().open()) {
    absl::Status status = CheckCaller();
    if (!status.ok()) return status;
    pollfd polls[] = {{.fd = worker_.request().get(), .events = POLLOUT},
                      {.fd = worker_.output().get(), .events = POLLIN},
                      {.fd = worker_.report().get(), .events = POLLIN},
                      {.fd = ended ? -1 : worker_.pidfd(), .events = POLLIN}};
    const int ready = poll(polls, std::size(polls), ended ? 0 : PollTimeout());
    if (ready < 0) {
      if (errno == EINTR) continue;
      return absl::InternalError(absl::StrCat("poll: ", strerror(errno)));
    }
    // Pipes can outlive the worker only if something else in the server inherited them.
    if (ended && polls[1].revents == 0 && polls[2].revents == 0) break;
    if (polls[1].revents != 0) status.Update(ReceiveOutput());
    if (polls[2].revents != 0) status.Update(ReceiveReport());
    if (polls[0].revents & POLLERR) {
      worker_.request().Reset();  // the worker has ended; a guest needn't want all of its input
    } else if (polls[0].revents != 0) {
      status.Update(Send());
    }
    if (!status.ok()) return status;
    if (polls[3].revents != 0) ended = true;
  }
  return absl::OkStatus();
}

absl::Status Exchange::Send() {
  if (to_send_.empty()) {
    absl::StatusOr<std::string_view> next = source_.Next();
    if (!next.ok()) return next.status();
    to_send_ = *next;
    if (to_send_.empty()) {
      worker_.request().Reset();
      return absl::OkStatus();
    }
  }
  const ssize_t count = WriteWithoutSigpipe(worker_.request().get(), to_send_.data(),
                                            std::min(to_send_.size(), kPiece));
  if (count >= 0) {
    to_send_.remove_prefix(count);
  } else if (errno == EPIPE) {
    worker_.request().Reset();
  } else if (errno != EAGAIN && errno != EINTR) {
    return absl::InternalError(absl::StrCat("writing to vxworker: ", strerror(errno)));
  }
  return absl::OkStatus();
}

// What is there to be read, nothing if that is nothing yet or never again (`from` is closed then).
absl::StatusOr<std::string_view> Exchange::Receive(UniqueFd& from) {
  const ssize_t count = read(from.get(), buffer_.data(), buffer_.size());
  if (count > 0) return std::string_view(buffer_.data(), count);
  if (count == 0) {
    from.Reset();
  } else if (errno != EAGAIN && errno != EINTR) {
    return absl::InternalError(absl::StrCat("reading from vxworker: ", strerror(errno)));
  }
  return std::string_view();
}

absl::Status Exchange::ReceiveOutput() {
  const absl::StatusOr<std::string_view> bytes = Receive(worker_.output());
  if (!bytes.ok() || bytes->empty()) return bytes.status();
  // The worker holds itself to the limit; one that doesn't is no longer ours.
  if (bytes->size() > request_.limits.output - received_) {
    return absl::InternalError(
        absl::StrCat("vxworker wrote more than the limit of ", request_.limits.output, " bytes"));
  }
  received_ += bytes->size();
  return sink_.Append(*bytes);
}

absl::Status Exchange::ReceiveReport() {
  const absl::StatusOr<std::string_view> bytes = Receive(worker_.report());
  if (!bytes.ok()) return bytes.status();
  report_ += *bytes;
  if (report_.size() > kReportMax) return absl::InternalError("vxworker's report is too long");
  return absl::OkStatus();
}

absl::Status CheckRequest(const DecodeRequest& request) {
  if (request.decoder.size() > UINT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("a decoder of ", request.decoder.size(), " bytes"));
  }
  size_t size = 0;
  for (const std::string& argument : request.arguments) {
    size += argument.size() + 1;
    if (argument.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a decoder's argument has a NUL byte inside");
    }
  }
  if (size > VX_ARGUMENTS_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("the decoder's arguments take ", size,
                                                   " bytes, of ", VX_ARGUMENTS_MAX, " at most"));
  }
  return absl::OkStatus();
}

// Once: every worker fares alike.
void TellOfPlacement() {
  static const int told = std::fputs(
      "vxworker: host addresses below 4 GiB are not free in it: decoders run in the shared "
      "placement, a few percent slower\n",
      stderr);
  (void)told;
}

// What a worker's report means for the caller, given the bytes that really came.
absl::StatusOr<DecodeResult> Judge(std::string_view report_bytes, uint64_t received) {
  absl::StatusOr<Report> report = DecodeReport(report_bytes);
  if (!report.ok()) return report.status();
  if (!report->status.ok()) {
    switch (report->status.code()) {
      case absl::StatusCode::kInvalidArgument:
      case absl::StatusCode::kResourceExhausted:
      case absl::StatusCode::kUnavailable:
        return report->status;
      default:
        return absl::InternalError(absl::StrCat("vxworker: ", report->status.message()));
    }
  }
  const Outcome& outcome = report->outcome;
  if (outcome.end == Outcome::End::kEngineFailed) {
    return absl::InternalError(absl::StrCat("vxworker: ", report->description));
  }
  if (outcome.end == Outcome::End::kHostFailed || outcome.end == Outcome::End::kInterrupted) {
    return absl::ResourceExhaustedError(absl::StrCat("vxworker: ", report->description));
  }
  if (outcome.counters.bytes_out != received) {
    return absl::InternalError(absl::StrCat("vxworker reports ", outcome.counters.bytes_out,
                                            " bytes of output and sent ", received));
  }
  if (report->placement != Placement::kExclusive) TellOfPlacement();
  return DecodeResult{.outcome = std::move(report->outcome),
                      .description = std::move(report->description),
                      .diagnostics = std::move(report->diagnostics)};
}

class WorkerDecodeService final : public DecodeService {
 public:
  explicit WorkerDecodeService(std::string worker_path) : spawner_(std::move(worker_path)) {}

  absl::StatusOr<DecodeResult> Decode(const DecodeRequest& request, ByteSource& source,
                                      ByteSink& sink) override {
    const absl::Time start = absl::Now();
    absl::Status status = CheckRequest(request);
    if (!status.ok()) return status;
    absl::StatusOr<std::unique_ptr<WorkerProcess>> worker = spawner_.Spawn();
    if (!worker.ok()) return worker.status();
    Exchange exchange(request, source, sink, **worker);
    status = exchange.Run();
    const absl::Status end = (*worker)->Bury();
    if (!status.ok()) return status;
    if (!end.ok()) {
      return absl::InternalError(
          absl::StrCat(end.message(), " after ", exchange.received(), " bytes of output"));
    }
    absl::StatusOr<DecodeResult> result = Judge(exchange.report(), exchange.received());
    if (result.ok()) result->wall_time = absl::Now() - start;
    return result;
  }

 private:
  WorkerSpawner spawner_;
};

absl::Status CheckExecutable(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": ", strerror(errno)));
  }
  if (!S_ISREG(info.st_mode) || access(path.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": not an executable file"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DecodeService>> NewWorkerDecodeService(std::string worker_path) {
  const absl::Status status = CheckExecutable(worker_path);
  if (!status.ok()) return status;
  try {
    // Workers start in /.
    return std::make_unique<WorkerDecodeService>(
        std::filesystem::absolute(std::move(worker_path)).string());
  } catch (const std::system_error& error) {
    return absl::UnavailableError(absl::StrCat("starting a thread: ", error.what()));
  }
}

absl::StatusOr<std::string> FindWorker() {
  char exe[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe));
  std::vector<std::string> places;
  if (length > 0 && length < static_cast<ssize_t>(sizeof(exe))) {
    const std::filesystem::path own(std::string(exe, length));
    places.push_back(own.parent_path() / "vxworker");
    places.push_back(own.parent_path().parent_path() / "vxengine" / "vxworker");
  }
  if (const char* runfiles = getenv("TEST_SRCDIR"); runfiles != nullptr) {
    const char* workspace = getenv("TEST_WORKSPACE");
    places.push_back(absl::StrCat(runfiles, "/", workspace == nullptr ? "vxa" : workspace,
                                  "/vxengine/vxworker"));
  }
  std::string tried;
  for (const std::string& place : places) {
    const absl::Status status = CheckExecutable(place);
    if (status.ok()) return place;
    absl::StrAppend(&tried, tried.empty() ? "" : "; ", status.message());
  }
  return absl::NotFoundError(absl::StrCat("there is no vxworker: ", tried));
}

}  // namespace vx
