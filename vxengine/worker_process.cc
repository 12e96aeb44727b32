#include "vxengine/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 forgot to say so itself.
extern "C" {
#include <sys/pidfd.h>
}

#include "absl/strings/str_cat.h"
#include "vxengine/worker_protocol.h"

namespace vx {
namespace {

absl::Status Unavailable(const char* what, int error) {
  return absl::UnavailableError(absl::StrCat("vxworker: ", what, ": ", strerror(error)));
}

struct Pipe {
  UniqueFd ours;
  UniqueFd theirs;
};

// A pipe whose end `theirs` (0 reads, 1 writes) goes to the worker. No end is a standard
// descriptor, even where the server closed its own, so that none is overwritten while the worker's
// are put in place.
absl::StatusOr<Pipe> MakePipe(int theirs) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Unavailable("pipe2", errno);
  UniqueFd ends[2] = {UniqueFd(fds[0]), UniqueFd(fds[1])};
  for (UniqueFd& end : ends) {
    if (end.get() > STDERR_FILENO) continue;
    const int moved = fcntl(end.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0) return Unavailable("fcntl(F_DUPFD_CLOEXEC)", errno);
    end.Reset(moved);
  }
  if (fcntl(ends[1 - theirs].get(), F_SETFL, O_NONBLOCK) != 0) {
    return Unavailable("fcntl(O_NONBLOCK)", errno);
  }
  return Pipe{.ours = std::move(ends[1 - theirs]), .theirs = std::move(ends[theirs])};
}

// What posix_spawn wants to be told, freed at the end.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // Starts `path` with `argument`, with these descriptors and no others, in /, without environment,
  // with no signal blocked, ignored or handled. 0, or an error number, that of a failed exec
  // included.
  int Spawn(const char* path, const char* argument, int request, int output, int report,
            pid_t* pid) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    for (int error :
         {posix_spawn_file_actions_adddup2(&actions_, request, kRequestFd),
          posix_spawn_file_actions_adddup2(&actions_, output, kOutputFd),
          posix_spawn_file_actions_adddup2(&actions_, report, kReportFd),
          posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1),
          posix_spawn_file_actions_addchdir_np(&actions_, "/"),
          posix_spawnattr_setsigmask(&attributes_, &none),
          posix_spawnattr_setsigdefault(&attributes_, &all),
          posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)}) {
      if (error != 0) return error;
    }
    char* const argv[] = {const_cast<char*>("vxworker"), const_cast<char*>(argument), nullptr};
    char* const environment[] = {nullptr};
    return posix_spawn(pid, path, &actions_, &attributes_, argv, environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

WorkerProcess::WorkerProcess(pid_t pid, UniqueFd pidfd, UniqueFd request, UniqueFd output,
                             UniqueFd report)
    : pid_(pid),
      pidfd_(std::move(pidfd)),
      request_(std::move(request)),
      output_(std::move(output)),
      report_(std::move(report)) {}

WorkerProcess::~WorkerProcess() {
  if (!buried_) Bury().IgnoreError();
}

absl::Status WorkerProcess::Bury() {
  buried_ = true;
  // No effect on one that has ended, or is about to and has its exit status already.
  pidfd_send_signal(pidfd_.get(), SIGKILL, nullptr, 0);
  siginfo_t info = {};
  int result;
  do {
    result = waitid(P_PIDFD, pidfd_.get(), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  const std::string who = absl::StrCat("vxworker (process ", pid_, ")");
  if (result != 0) {
    return absl::InternalError(absl::StrCat(who, " can't be waited for: ", strerror(errno)));
  }
  if (info.si_code == CLD_EXITED) {
    if (info.si_status == 0) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(who, " ended with exit status ", info.si_status));
  }
  return absl::InternalError(
      absl::StrCat(who, " died of signal ", info.si_status, " (", strsignal(info.si_status), ")"));
}

struct WorkerSpawner::Order {
  int request, output, report;  // the worker's ends
  pid_t pid = 0;
  int error = 0;
  bool done = false;
};

WorkerSpawner::WorkerSpawner(std::string path) : path_(std::move(path)) {
  // The server's signal handlers are not to run on a thread that it doesn't know of.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { ThreadMain(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WorkerSpawner::~WorkerSpawner() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void WorkerSpawner::ThreadMain() {
  const std::string own_pid = absl::StrCat(getpid());
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !orders_.empty(); });
    if (stopping_) return;
    Order* const order = orders_.front();
    orders_.pop_front();
    lock.unlock();
    const int error = SpawnPlan().Spawn(path_.c_str(), own_pid.c_str(), order->request,
                                        order->output, order->report, &order->pid);
    lock.lock();
    order->error = error;
    order->done = true;
    changed_.notify_all();
  }
}

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerSpawner::Spawn() {
  absl::StatusOr<Pipe> request = MakePipe(0), output = MakePipe(1), report = MakePipe(1);
  for (const absl::StatusOr<Pipe>* pipe : {&request, &output, &report}) {
    if (!pipe->ok()) return pipe->status();
  }
  Order order = {.request = request->theirs.get(),
                 .output = output->theirs.get(),
                 .report = report->theirs.get()};
  {
    std::unique_lock lock(mutex_);
    orders_.push_back(&order);
    changed_.notify_all();
    changed_.wait(lock, [&order] { return order.done; });
  }
  if (order.error != 0) return Unavailable(path_.c_str(), order.error);
  // The pid stays the worker's until it is waited for.
  UniqueFd pidfd(pidfd_open(order.pid, 0));
  if (!pidfd.open()) {
    const int error = errno;
    kill(order.pid, SIGKILL);
    while (waitpid(order.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return Unavailable("pidfd_open", error);
  }
  return std::make_unique<WorkerProcess>(order.pid, std::move(pidfd), std::move(request->ours),
                                         std::move(output->ours), std::move(report->ours));
}

}  // namespace vx
