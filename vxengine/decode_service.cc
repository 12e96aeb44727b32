#include "vxengine/decode_service.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "vxengine/layers.h"
#include "vxengine/worker_process.h"
#include "vxengine/worker_protocol.h"
#include "vxengine/zygote_pool.h"

namespace vx {
namespace {

constexpr size_t kPiece = 0x10000;  // bytes moved at a time: what a Linux pipe holds by default
constexpr size_t kFrameMax = size_t{1} << 30;
constexpr absl::Duration kAskInterval = absl::Milliseconds(20);

// writev(2) that gives EPIPE and no SIGPIPE, whatever the process does about that signal.
ssize_t WriteWithoutSigpipe(int fd, std::span<const iovec> pieces) {
  sigset_t sigpipe, before, pending;
  sigemptyset(&sigpipe);
  sigaddset(&sigpipe, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  const ssize_t count = writev(fd, pieces.data(), static_cast<int>(pieces.size()));
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

// One decode with a worker: everything between its two ends of the pipes.
class Exchange {
 public:
  Exchange(const DecodeRequest& request, ByteSource& source, ByteSink& sink, WorkerProcess& worker)
      : request_(request), source_(source), sink_(sink), worker_(worker) {
    const std::string arguments = EncodeArguments(request.arguments);
    head_ = EncodeRequestHeader({.arguments_size = static_cast<uint32_t>(arguments.size()),
                                 .limits = request.limits})
                .append(arguments);
    buffer_.resize(kPiece);
  }

  // Moves bytes until the worker has reported or closed its pipes, or it must not go on.
  absl::Status Run();

  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }
  // What the report has behind its size, so far.
  std::string_view report() const;
  // Whether the worker has reported and has all of its input, so that it waits for another request.
  bool worker_waits() const { return report_is_whole() && input_ended_ && !unsent(); }

 private:
  absl::Status CheckCaller();
  absl::Status CheckStall();
  int PollTimeout() const;
  bool asks() const { return request_.cancelled || request_.has_to_pause; }
  bool unsent() const { return !head_.empty() || !body_.empty(); }
  bool report_is_whole() const;
  absl::Status NextFrame();
  absl::Status Send();
  absl::StatusOr<std::string_view> Receive(UniqueFd& from);
  absl::Status ReceiveOutput();
  absl::Status ReceiveReport();

  const DecodeRequest& request_;
  ByteSource& source_;
  ByteSink& sink_;
  WorkerProcess& worker_;
  // To be sent, one behind the other: header, arguments and a frame's size; and the frame.
  std::string head_;
  std::string_view body_;
  std::string_view given_;  // of what the source gave last, behind that frame
  bool input_ended_ = false;
  std::string buffer_;
  std::string report_;
  uint64_t sent_ = 0, received_ = 0;  // encoded and decoded bytes
  absl::Time next_ask_ = absl::InfinitePast();
  absl::Time last_move_ = absl::Now();  // of any byte, or the end of a pause
};

std::string_view Exchange::report() const {
  return std::string_view(report_).substr(std::min(report_.size(), kSizeBytes));
}

bool Exchange::report_is_whole() const {
  return report_.size() >= kSizeBytes && report().size() == DecodeSize(report_);
}

absl::Status Exchange::CheckCaller() {
  const absl::Time now = absl::Now();
  if (now >= request_.deadline) {
    return absl::DeadlineExceededError(
        absl::StrCat("the decode's deadline passed after ", received_, " bytes of output"));
  }
  if (asks() && now >= next_ask_) {
    next_ask_ = now + kAskInterval;
    if (request_.cancelled && request_.cancelled())
      return absl::CancelledError("the decode was cancelled");
    if (request_.has_to_pause && request_.has_to_pause() && worker_.Pause()) {
      const absl::Status status = request_.pause();
      worker_.Resume();
      last_move_ = absl::Now();
      return status;
    }
  }
  return CheckStall();
}

absl::Status Exchange::CheckStall() {
  if (absl::Now() - last_move_ < request_.stall_limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the decoder stalled: for ", absl::FormatDuration(request_.stall_limit),
      " it neither took input nor gave output, after ", sent_, " and ", received_, " bytes"));
}

int Exchange::PollTimeout() const {
  const absl::Time now = absl::Now();
  absl::Duration wait = std::min(request_.deadline - now, last_move_ + request_.stall_limit - now);
  if (asks()) wait = std::min(wait, kAskInterval);
  if (wait == absl::InfiniteDuration()) return -1;
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(wait) + 1, 0, INT_MAX));
}

absl::Status Exchange::Run() {
  bool ended = false;
  while (!report_is_whole() && (worker_.output().open() || worker_.report().open())) {
    absl::Status status = CheckCaller();
    if (!status.ok()) return status;
    const bool wants_to_send = unsent() || !input_ended_;
    pollfd polls[] = {{.fd = wants_to_send ? worker_.request().get() : -1, .events = POLLOUT},
                      {.fd = worker_.output().get(), .events = POLLIN},
                      {.fd = worker_.report().get(), .events = POLLIN},
                      {.fd = ended ? -1 : worker_.supervision(), .events = POLLIN}};
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
      worker_.request().Reset();  // the worker has ended
    } else if (polls[0].revents != 0) {
      status.Update(Send());
    }
    if (!status.ok()) return status;
    if (polls[0].revents != 0 || polls[1].revents != 0) last_move_ = absl::Now();
    if (polls[3].revents != 0) ended = worker_.Attend();
  }
  // All output has been written before the report.
  for (uint64_t before = UINT64_MAX; worker_.output().open() && before != received_;) {
    before = received_;
    if (absl::Status status = ReceiveOutput(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Has the next frame of input to be sent.
absl::Status Exchange::NextFrame() {
  if (given_.empty()) {
    absl::StatusOr<std::string_view> next = source_.Next();
    if (!next.ok()) return next.status();
    given_ = *next;
    input_ended_ = given_.empty();
  }
  body_ = given_.substr(0, kFrameMax);
  given_.remove_prefix(body_.size());
  head_ += EncodeSize(static_cast<uint32_t>(body_.size()));
  return absl::OkStatus();
}

absl::Status Exchange::Send() {
  // The first frame goes with what precedes it.
  if (body_.empty() && !input_ended_) {
    if (absl::Status status = NextFrame(); !status.ok()) return status;
  }
  const iovec pieces[] = {
      {.iov_base = head_.data(), .iov_len = head_.size()},
      {.iov_base = const_cast<char*>(body_.data()), .iov_len = std::min(body_.size(), kPiece)}};
  const ssize_t count = WriteWithoutSigpipe(worker_.request().get(), pieces);
  if (count >= 0) {
    const size_t of_head = std::min<size_t>(static_cast<size_t>(count), head_.size());
    head_.erase(0, of_head);
    body_.remove_prefix(static_cast<size_t>(count) - of_head);
    sent_ += static_cast<size_t>(count) - of_head;
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
  if (count > 0) {
    worker_.HasSpoken();
    return std::string_view(buffer_.data(), count);
  }
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
  if (report_.size() >= kSizeBytes && DecodeSize(report_) > kReportMax) {
    return absl::InternalError("vxworker's report is too long");
  }
  if (report_.size() >= kSizeBytes && report().size() > DecodeSize(report_)) {
    return absl::InternalError("vxworker writes behind its report");
  }
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

// A worker, and what it can decode.
struct SessionWorker {
  std::string decoder;  // moved along with it, not copied: it may be large
  Profile profile;
  bool counts;
  uint64_t memory;  // a guest may have that much in it
  std::unique_ptr<WorkerProcess> process;
};

// Workers that wait for another decode.
class WorkerSession final : public DecodeSession {
 public:
  // One for the request, if there is one.
  std::optional<SessionWorker> Take(const DecodeRequest& request) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const SessionWorker& w) {
      return w.profile == request.profile && w.counts == Counts(request) &&
             w.memory >= request.limits.memory && w.decoder == request.decoder;
    });
    if (found == waiting_.end()) return std::nullopt;
    SessionWorker worker = std::move(*found);
    waiting_.erase(found);
    return worker;
  }

  // Keeps it, in place of the one that has waited longest where there are many.
  void Put(SessionWorker worker) {
    std::unique_ptr<WorkerProcess> leaves;  // which takes a moment, without the lock
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == kMost) {
      leaves = std::move(waiting_.front().process);
      waiting_.erase(waiting_.begin());
    }
    waiting_.push_back(std::move(worker));
  }

  static bool Counts(const DecodeRequest& request) {
    return request.count_instructions || request.limits.instructions != kUnlimited;
  }

 private:
  static constexpr size_t kMost = 2;

  std::mutex mutex_;
  std::vector<SessionWorker> waiting_;  // guarded by mutex_
};

class DecodeServiceImpl final : public WorkerDecodeService {
 public:
  DecodeServiceImpl(std::string worker_path, JailOptions jail)
      : layers_{.tried = jail.try_layers ? kAllLayers : 0,
                .required = jail.require_all_layers ? kAllLayers : 0},
        zygotes_(std::move(worker_path), {}, layers_) {}

  absl::StatusOr<DecodeResult> Decode(const DecodeRequest& request, ByteSource& source,
                                      ByteSink& sink) override {
    const absl::Time start = absl::Now();
    absl::Status status = CheckRequest(request);
    if (!status.ok()) return status;
    auto* const session = static_cast<WorkerSession*>(request.session);
    std::optional<SessionWorker> worker;
    if (session != nullptr) worker = session->Take(request);
    if (!worker) {
      const bool counts = WorkerSession::Counts(request);
      absl::StatusOr<std::unique_ptr<WorkerProcess>> made =
          zygotes_.NewWorker(request.decoder, request.profile, counts);
      if (!made.ok()) return made.status();
      worker = {.decoder = std::string(session != nullptr ? request.decoder : ""),
                .profile = request.profile,
                .counts = counts,
                .memory = request.limits.memory,
                .process = *std::move(made)};
    }
    Exchange exchange(request, source, sink, *worker->process);
    status = exchange.Run();
    absl::StatusOr<DecodeResult> result =
        status.ok() ? Judge(exchange.report(), exchange.received()) : status;
    if (result.ok() && session != nullptr && exchange.worker_waits()) {
      session->Put(*std::move(worker));
    } else {
      const absl::Status end = worker->process->Bury();
      if (status.ok() && exchange.report().empty() && !end.ok()) {
        return absl::InternalError(absl::StrCat(end.message(), "; it had been sent ",
                                                exchange.sent(), " bytes of input and gave ",
                                                exchange.received(), " of output"));
      }
    }
    if (result.ok()) result->wall_time = absl::Now() - start;
    return result;
  }

  std::unique_ptr<DecodeSession> NewSession() override { return std::make_unique<WorkerSession>(); }

  absl::StatusOr<std::string> MissingLayers() override {
    const absl::StatusOr<uint32_t> entered = zygotes_.EnteredLayers();
    if (!entered.ok()) return entered.status();
    const std::string missing = LayerNames(kAllLayers & ~*entered);
    if ((layers_.required & ~*entered) == 0) return missing;
    return absl::UnavailableError(
        absl::StrCat("vxworker: this system doesn't grant all layers of the jail: ", missing));
  }

 private:
  const ZygotePool::Layers layers_;
  ZygotePool zygotes_;
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

absl::StatusOr<std::unique_ptr<WorkerDecodeService>> NewWorkerDecodeService(std::string worker_path,
                                                                            JailOptions jail) {
  const absl::Status status = CheckExecutable(worker_path);
  if (!status.ok()) return status;
  try {
    // Workers start in /.
    return std::make_unique<DecodeServiceImpl>(
        std::filesystem::absolute(std::move(worker_path)).string(), jail);
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
