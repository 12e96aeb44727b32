// The zygotes of a decode service: one for each decoder that is in use.
#ifndef VXENGINE_ZYGOTE_POOL_H_
#define VXENGINE_ZYGOTE_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "vxengine/unique_fd.h"
#include "vxengine/worker_process.h"
#include "vxengine/worker_protocol.h"

namespace vx {

// This side, or the other, of a worker's pipes and of the socket where its zygote tells of it.
struct WorkerEnds {
  UniqueFd request, output, report, supervision;
};

// Starts zygotes when they are first needed, all from one thread of its own: a zygote asks the
// kernel to be killed when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), and the
// threads of a server come and go. Thread-safe. REQUIRES of the process: SIGCHLD isn't ignored, and
// nobody waits for children at large.
class ZygotePool {
 public:
  struct Limits {
    size_t zygotes = 16;                     // beyond, the one goes that was used longest ago
    absl::Duration idle = absl::Minutes(1);  // after which one goes
  };

  // Of the jail (layers.h): what is tried, and that of it without which nothing is decoded.
  struct Layers {
    uint32_t tried = 0, required = 0;
  };

  // `path`: of vxworker, absolute.
  ZygotePool(std::string path, Limits limits, Layers layers);
  ~ZygotePool();  // kills what there still is

  // A new worker of the decoder, which has had no request. UNAVAILABLE, with the reason, if there
  // is none to be had. Once a zygote has had a worker it keeps a spare, forked ahead of need.
  absl::StatusOr<std::unique_ptr<WorkerProcess>> NewWorker(std::string_view elf, Profile profile,
                                                           bool count_instructions);

  // The layers of the jail that zygotes get. UNAVAILABLE if there are no zygotes to be had.
  absl::StatusOr<uint32_t> EnteredLayers();

 private:
  struct Zygote;
  using ZygotePtr = std::shared_ptr<Zygote>;

  void ThreadMain();
  void Start(Zygote* zygote);
  void Listen(Zygote* zygote);
  int Tidy();
  void Wake();
  ZygotePtr Find(std::string_view elf, const Preparation& preparation) const;
  absl::StatusOr<ZygotePtr> Get(std::string_view elf, const Preparation& preparation);
  void OrderSpare(Zygote* zygote, std::unique_lock<std::mutex>* lock);
  std::unique_ptr<WorkerProcess> TakeSpare(std::string_view elf, const Preparation& preparation);
  static std::unique_ptr<WorkerProcess> AsWorker(const ZygotePtr& zygote, WorkerEnds ends);
  void Dismiss(const ZygotePtr& zygote);

  const std::string path_;
  const Limits limits_;
  const Layers layers_;
  UniqueFd wake_;  // an eventfd for the thread
  // Of the standard library: ThreadSanitizer doesn't see into Debian's Abseil.
  std::mutex mutex_;
  std::condition_variable changed_;  // a zygote has started, or told of its layers
  std::vector<ZygotePtr> zygotes_;   // guarded by mutex_; to be found, or to be started
  std::vector<ZygotePtr> leaving_;   // guarded by mutex_; end with their last worker
  bool stopping_ = false;            // guarded by mutex_
  std::thread thread_;
};

}  // namespace vx

#endif  // VXENGINE_ZYGOTE_POOL_H_
