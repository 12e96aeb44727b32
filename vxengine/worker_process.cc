#include "vxengine/worker_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

// glibc 2.36 forgot to say so itself.
extern "C" {
#include <sys/pidfd.h>
}

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "vxengine/message_socket.h"

namespace vx {
namespace {

std::string CostText(const WorkerEnd& end) {
  return absl::StrCat(" after ", absl::FormatDuration(absl::Nanoseconds(end.cpu_time)),
                      " of CPU time, with ", end.peak_memory >> 10, " KiB of memory at most");
}

}  // namespace

WorkerProcess::WorkerProcess(std::shared_ptr<const UniqueFd> zygote, UniqueFd supervision,
                             UniqueFd request, UniqueFd output, UniqueFd report,
                             absl::Duration patience)
    : zygote_(std::move(zygote)),
      supervision_(std::move(supervision)),
      request_(std::move(request)),
      output_(std::move(output)),
      report_(std::move(report)),
      patience_(patience) {}

WorkerProcess::~WorkerProcess() {
  if (supervision_.open()) Bury().IgnoreError();
}

bool WorkerProcess::Attend() {
  while (!end_ && !zygote_is_gone_) {
    Message message;
    const int error = ReceiveMessage(supervision_.get(), &message);
    if (error == EAGAIN) break;
    const bool starts = error == 0 && message.bytes == kWorkerStarted && message.fds.size() == 1;
    if (starts && !pidfd_.open()) {
      pidfd_ = std::move(message.fds.front());
    } else {
      end_ = error == 0 ? DecodeWorkerEnd(message.bytes) : std::nullopt;
      zygote_is_gone_ = !end_;  // or as good as that
    }
  }
  return end_ || zygote_is_gone_;
}

bool WorkerProcess::Pause() {
  return pidfd_.open() && pidfd_send_signal(pidfd_.get(), SIGSTOP, nullptr, 0) == 0;
}

void WorkerProcess::Resume() { pidfd_send_signal(pidfd_.get(), SIGCONT, nullptr, 0); }

absl::Status WorkerProcess::Bury() {
  const absl::Time last = absl::Now() + patience_;
  while (!Attend() && (pidfd_.open() || has_spoken_)) {
    // No effect on one that has ended, or is about to and has its exit status already.
    if (pidfd_.open()) pidfd_send_signal(pidfd_.get(), SIGKILL, nullptr, 0);
    const absl::Duration left = last - absl::Now();
    if (left <= absl::ZeroDuration()) {
      pidfd_send_signal(zygote_->get(), SIGKILL, nullptr, 0);
      zygote_is_gone_ = true;
      break;
    }
    pollfd told = {.fd = supervision_.get(), .events = POLLIN};
    poll(&told, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
  supervision_.Reset();
  if (zygote_is_gone_) return absl::InternalError("vxworker's zygote has died");
  if (!end_) return absl::InternalError("vxworker had not been forked yet");
  if (end_->code == CLD_EXITED) {
    if (end_->status == 0) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("vxworker ended with exit status ", end_->status, CostText(*end_)));
  }
  return absl::InternalError(absl::StrCat("vxworker died of signal ", end_->status, " (",
                                          strsignal(end_->status), ")", CostText(*end_)));
}

}  // namespace vx
