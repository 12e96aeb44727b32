// Signals that translated code causes, or that are to stop it.
//
// Handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP are installed once, for the process;
// what isn't a guest's goes to whatever was installed before. A fault is a guest's only if it
// happened in translated code, on a thread that runs some, and at an address of the guest's, if at
// one at all.
#ifndef VXENGINE_TRANSLATOR_FAULTS_H_
#define VXENGINE_TRANSLATOR_FAULTS_H_

#include <chrono>

#include "absl/status/status.h"
#include "vxengine/translator/context.h"

namespace vx {

// Installs the handlers, if that has not been done. To be called before the first guest runs, and
// in a jail before it is locked.
absl::Status InstallFaultHandlers();

// While it lives, this thread runs translated code with `context`, on a signal stack of its own if
// the thread had none. Not nested.
class GuestThread {
 public:
  explicit GuestThread(Context* context);
  ~GuestThread();
  GuestThread(const GuestThread&) = delete;
  GuestThread& operator=(const GuestThread&) = delete;

  // Sets Context::stop when the thread has used so much more CPU time. INTERNAL if there is no
  // timer to be had.
  absl::Status StopAfter(std::chrono::nanoseconds cpu_time);

 private:
  bool has_timer_ = false;
  int timer_ = 0;  // the kernel's number
};

// Makes the thread `tid` of this process, which runs translated code with a context whose `stop`
// has been set, leave it.
void SignalGuestThread(int tid);

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_FAULTS_H_
