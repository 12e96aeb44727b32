#include "vxengine/zygote.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "vxengine/jail.h"
#include "vxengine/message_socket.h"
#include "vxengine/worker_protocol.h"

namespace vx {
namespace {

absl::Status Failed(const char* what, int error) {
  return absl::UnavailableError(absl::StrCat("zygote: ", what, ": ", strerror(error)));
}

// A worker that lives, and where to tell of it.
struct Worker {
  UniqueFd pidfd, supervision;
};

// In place of a worker's. Fits into the pipe.
void WriteReport(int fd, const absl::Status& status) {
  const std::string report = EncodeReport({.status = status});
  const std::string bytes = EncodeSize(static_cast<uint32_t>(report.size())) + report;
  if (write(fd, bytes.data(), bytes.size()) < 0) return;  // then nobody wants to know
}

// fork(2) with a pidfd: 0 in the child, else its pid, or -1. Neither glibc's fork nor what it does
// for threads is wanted.
pid_t Fork(int* pidfd) {
  return static_cast<pid_t>(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, pidfd, nullptr, 0));
}

// In the child: the worker's descriptors and no others.
absl::Status TakeDescriptors(const std::vector<UniqueFd>& fds) {
  for (const auto& [from, to] :
       {std::pair(kRequestEnd, kRequestFd), std::pair(kOutputEnd, kOutputFd),
        std::pair(kReportEnd, kReportFd)}) {
    if (dup2(fds[from].get(), to) != to) return Failed("dup2", errno);
  }
  if (close_range(3, ~0u, 0) != 0) return Failed("close_range", errno);
  return absl::OkStatus();
}

[[noreturn]] void RunWorker(std::vector<UniqueFd> fds, pid_t zygote,
                            const std::function<void()>& work) {
  prctl(PR_SET_NAME, "vxspare");  // for people who look at processes, until it has work
  absl::Status status = DieWithParent(zygote);
  if (status.ok()) status = TakeDescriptors(fds);
  if (status.ok()) work();
  // Not exit() or, where sanitizers intercept it, _exit(): they want calls that the jail doesn't
  // have.
  for (;;) syscall(SYS_exit_group, status.ok() ? 0 : 1);
}

void Start(std::vector<UniqueFd> fds, const absl::Status& ready, const std::function<void()>& work,
           std::vector<Worker>* workers) {
  const int supervision = fds[kSupervisionEnd].get();
  absl::Status status = ready;
  if (status.ok()) {
    const pid_t own_pid = getpid();
    int pidfd = -1;
    const pid_t child = Fork(&pidfd);
    if (child == 0) RunWorker(std::move(fds), own_pid, work);
    if (child > 0) {
      UniqueFd owned(pidfd);
      // Whoever doesn't wait for it any more has closed the other end.
      if (SendMessage(supervision, kWorkerStarted, {&pidfd, 1}) != 0) {
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
      }
      workers->push_back({std::move(owned), std::move(fds[kSupervisionEnd])});
      return;
    }
    status = Failed("fork", errno);
  }
  WriteReport(fds[kReportEnd].get(), status);
  SendMessage(supervision, EncodeWorkerEnd({.code = CLD_EXITED}));
}

// Buries a worker that has ended, and tells.
void Bury(const Worker& worker) {
  siginfo_t info = {};
  rusage usage = {};
  // Of the C library's wrapper the last argument is missing.
  while (syscall(SYS_waitid, P_PIDFD, worker.pidfd.get(), &info, WEXITED, &usage) != 0 &&
         errno == EINTR) {
  }
  const auto nanoseconds = [](const timeval& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + int64_t{time.tv_usec} * 1000;
  };
  SendMessage(
      worker.supervision.get(),
      EncodeWorkerEnd({.code = info.si_code,
                       .status = info.si_status,
                       .cpu_time = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime),
                       .peak_memory = static_cast<uint64_t>(usage.ru_maxrss) << 10}));
}

}  // namespace

absl::Status ServeOrders(const absl::Status& ready, const std::function<void()>& work) {
  prctl(PR_SET_NAME, "vxzygote");
  std::vector<Worker> workers;
  bool orders_end = false;
  while (!orders_end || !workers.empty()) {
    std::vector<pollfd> polls = {{.fd = orders_end ? -1 : kOrdersFd, .events = POLLIN}};
    for (const Worker& worker : workers) {
      polls.push_back({.fd = worker.pidfd.get(), .events = POLLIN});
    }
    if (poll(polls.data(), polls.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return Failed("poll", errno);
    }
    for (size_t n = workers.size(); n-- > 0;) {
      if (polls[n + 1].revents == 0) continue;
      Bury(workers[n]);
      workers.erase(workers.begin() + static_cast<ptrdiff_t>(n));
    }
    if (polls[0].revents == 0) continue;
    Message order;
    if (const int error = ReceiveMessage(kOrdersFd, &order); error != 0) {
      return Failed("receiving an order", error);
    }
    if (order.bytes.empty()) {
      orders_end = true;
    } else if (order.bytes == kForkOrder && order.fds.size() == kForkDescriptors) {
      Start(std::move(order.fds), ready, work, &workers);
    } else {
      return absl::InternalError("zygote: an order that isn't one");
    }
  }
  return absl::OkStatus();
}

}  // namespace vx
