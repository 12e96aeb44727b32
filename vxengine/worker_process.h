// A worker as the decode service sees it.
#ifndef VXENGINE_WORKER_PROCESS_H_
#define VXENGINE_WORKER_PROCESS_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "vxengine/unique_fd.h"
#include "vxengine/worker_protocol.h"

namespace vx {

// A worker, which its zygote may still have to fork, and this side of its pipes, which don't block.
// Destroying it buries it. Not thread-safe.
class WorkerProcess {
 public:
  // `zygote`: its pidfd; what owns it lives as long as this. `supervision`: where it tells of the
  // worker. Nothing here blocks. A zygote that says nothing for `patience`, once the worker is
  // killed, is killed too: what it loads nobody vouches for.
  WorkerProcess(std::shared_ptr<const UniqueFd> zygote, UniqueFd supervision, UniqueFd request,
                UniqueFd output, UniqueFd report, absl::Duration patience = absl::Seconds(10));
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  UniqueFd& request() { return request_; }
  UniqueFd& output() { return output_; }
  UniqueFd& report() { return report_; }

  // Bytes have come from it, so it has been forked, whether or not its zygote has come to tell.
  void HasSpoken() { has_spoken_ = true; }

  // To be polled: when it is readable, it is time to Attend.
  int supervision() const { return supervision_.get(); }
  // Takes what the zygote tells, if it does. True once the worker has ended, or the zygote has,
  // with which it does.
  bool Attend();

  // Stops it until Resume, if it is known well enough to be: else false.
  bool Pause();
  void Resume();

  // Kills the worker if it hasn't ended, and waits; one that wasn't forked yet, for all that is
  // known, is killed when it is. OK if it ended with exit status 0, else INTERNAL with the signal's
  // name or the status, and what CPU time and memory it took. REQUIRES: called once.
  absl::Status Bury();

 private:
  const std::shared_ptr<const UniqueFd> zygote_;
  UniqueFd supervision_, request_, output_, report_;
  const absl::Duration patience_;
  UniqueFd pidfd_;  // once it is known
  bool has_spoken_ = false;
  bool zygote_is_gone_ = false;
  std::optional<WorkerEnd> end_;
};

}  // namespace vx

#endif  // VXENGINE_WORKER_PROCESS_H_
