// Starting, killing and burying vxworker processes: race-free, in a server with many threads.
#ifndef VXENGINE_WORKER_PROCESS_H_
#define VXENGINE_WORKER_PROCESS_H_

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vx {

// Owns a file descriptor, or none (-1).
class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  ~UniqueFd() { Reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    Reset(std::exchange(other.fd_, -1));
    return *this;
  }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void Reset(int fd = -1);

 private:
  int fd_;
};

// A worker and this side of its pipes, which don't block. Destroying it kills the worker and waits
// until it is gone. Not thread-safe.
class WorkerProcess {
 public:
  WorkerProcess(pid_t pid, UniqueFd pidfd, UniqueFd request, UniqueFd output, UniqueFd report);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  int pidfd() const { return pidfd_.get(); }  // readable once the worker has ended
  UniqueFd& request() { return request_; }
  UniqueFd& output() { return output_; }
  UniqueFd& report() { return report_; }

  // Kills the worker if it hasn't ended, and waits. OK if it ended with exit status 0, else
  // INTERNAL with the signal's name or the status. REQUIRES: called once.
  absl::Status Bury();

 private:
  pid_t pid_;
  UniqueFd pidfd_, request_, output_, report_;
  bool buried_ = false;
};

// Starts workers, all from one thread of its own: a worker asks the kernel to be killed when the
// *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), and the threads of a server come and
// go. Thread-safe. REQUIRES of the process: SIGCHLD isn't ignored, and nobody waits for children at
// large.
class WorkerSpawner {
 public:
  explicit WorkerSpawner(std::string path);  // an absolute path
  ~WorkerSpawner();                          // kills the workers that there may still be

  // UNAVAILABLE, with the reason, if no process can be started.
  absl::StatusOr<std::unique_ptr<WorkerProcess>> Spawn();

 private:
  struct Order;

  void ThreadMain();

  const std::string path_;
  // Of the standard library: ThreadSanitizer doesn't see into Debian's Abseil.
  std::mutex mutex_;
  std::condition_variable changed_;  // orders_, an order's `done`, or stopping_
  std::deque<Order*> orders_;        // guarded by mutex_
  bool stopping_ = false;            // guarded by mutex_
  std::thread thread_;
};

}  // namespace vx

#endif  // VXENGINE_WORKER_PROCESS_H_
