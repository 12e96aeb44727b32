// The walls around a guest: what a vxworker process gives up before it looks at the first byte that
// nobody vouches for. The sandbox is to keep a guest in; the jail is for the day that it fails.
#ifndef VXENGINE_JAIL_H_
#define VXENGINE_JAIL_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "vxengine/code_range.h"

namespace vx {

// Has the kernel kill this process once the thread that started it is no more, and with it any
// `parent` process, kill -9 included. An error if `parent` is gone already.
absl::Status DieWithParent(pid_t parent);

// Locks this process in for good. REQUIRES: it has one thread, and descriptors 0, 1 and 2 alone are
// open. From then on
//   - it can't be traced by others of its user, nor leave a core file;
//   - it has at most `data` bytes of writable memory (address space that can't be accessed doesn't
//     count: translated guests reserve much of it), and can't open descriptors, start processes or
//     grow files;
//   - nothing becomes executable but pages of `code`, and those not while they are writable;
//   - exec, were it possible, would give no privileges;
//   - system calls kill it, except those that the list in jail.cc names, with arguments as named
//   there.
// An error names the step that failed; the process is not to go on then.
absl::Status EnterJail(uint64_t data, const CodeRange& code);

}  // namespace vx

#endif  // VXENGINE_JAIL_H_
