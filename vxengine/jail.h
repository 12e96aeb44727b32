// The walls around a guest: what vxworker processes give up before they look at the first byte that
// nobody vouches for. The sandbox is to keep a guest in; the jail is for the day that it fails.
#ifndef VXENGINE_JAIL_H_
#define VXENGINE_JAIL_H_

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/code_range.h"

namespace vx {

// Has the kernel kill this process once the thread that started it is no more, and with it any
// `parent` process, kill -9 included. An error if `parent` is gone already.
absl::Status DieWithParent(pid_t parent);

// Locks a zygote in for good: it never runs a guest, but reads an image that nobody vouches for.
// From then on
//   - it can't be traced by others of its user, nor leave a core file;
//   - it has no capabilities, and exec, were it possible, would give it none;
//   - it can't grow files, and has at most `data` bytes of writable memory (address space that
//   can't
//     be accessed doesn't count: translated guests reserve much of it);
//   - nothing becomes executable but pages of `code`, and those not while they are writable;
//   - system calls kill it, except those that the lists in jail.cc name, with arguments as named
//   there.
// Beside what its workers can do it can receive descriptors, send messages and fork. REQUIRES: one
// thread. An error names the step that failed; the process is not to go on then.
absl::Status EnterZygoteJail(uint64_t data, const CodeRange& code);

// The jail of the workers that a zygote forks.
class WorkerJail {
 public:
  // Gets the filter of system calls ready. To be called before EnterZygoteJail.
  static absl::StatusOr<WorkerJail> Prepare(const CodeRange& code);

  // Locks this process in for good, further than its zygote was: it has at most `data` bytes of
  // writable memory (address space that can't be accessed doesn't count: translated guests reserve
  // much of it), can't open descriptors or start processes, and has a few system calls left. Errors
  // are as above. REQUIRES: one thread, and descriptors 0, 1 and 2 alone are open.
  absl::Status Enter(uint64_t data) const;

 private:
  explicit WorkerJail(std::vector<sock_filter> filter) : filter_(std::move(filter)) {}
  std::vector<sock_filter> filter_;
};

}  // namespace vx

#endif  // VXENGINE_JAIL_H_
