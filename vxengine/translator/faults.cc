#include "vxengine/translator/faults.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "vxengine/translator/runtime.h"

namespace vx {
namespace {

constexpr std::array<int, 5> kFaultSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

// Exception vectors: Intel SDM vol. 3, table 6-1.
constexpr uint32_t kDivideError = 0, kStackFault = 12, kGeneralProtection = 13, kPageFault = 14,
                   kX87Error = 16, kSimdError = 19;
constexpr uint32_t kFetch = 16;  // a bit of a page fault's error code

constexpr uint64_t kMaxHostInstruction = 15;

constexpr size_t kSignalStackSize = 0x10000;

// What ends the run of a guest from outside. A real-time signal that nothing else is likely to use.
int StopSignal() { return SIGRTMAX - 3; }

// Initial-exec: the handler can't let the dynamic linker allocate. All that is thread-local here
// has to be that: in a shared library with both models gold mixes up which variable is which.
__attribute__((tls_model("initial-exec"))) thread_local Context* current_context = nullptr;

std::array<struct sigaction, NSIG> previous_actions;

// Gives a signal that isn't ours to the handler that was there before.
void Chain(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = previous_actions[signal];
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_DFL ||
             (previous.sa_handler == SIG_IGN && info->si_code > 0)) {
    if (info->si_code > 0) {
      // The instruction faults again, now with its signal blocked, and that is the end, whatever
      // the handler: signal(7). No system call is needed, of which a jail has few.
      sigaddset(&static_cast<ucontext_t*>(context)->uc_sigmask, signal);
    } else {  // what was sent is sent again
      ::signal(signal, SIG_DFL);
      raise(signal);
    }
  } else if (previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  }
}

struct Machine {
  explicit Machine(void* context)
      : registers(static_cast<ucontext_t*>(context)->uc_mcontext.gregs) {}
  uint64_t Get(int number) const { return static_cast<uint64_t>(registers[number]); }
  void Set(int number, uint64_t value) { registers[number] = static_cast<greg_t>(value); }
  greg_t* registers;
};

bool Within(uint64_t address, uint64_t begin, uint64_t size) { return address - begin < size; }

uint64_t Routine(const Context& context, const uint8_t* routine) {
  return context.code + RuntimeOffset(routine);
}

bool InRegions(const Context& context, uint64_t rip) {
  const uint64_t runtime = RuntimeBytes().size();
  return Within(rip, context.code + runtime, context.code_size - runtime);
}

bool InHelpers(const Context& context, uint64_t rip) {
  return Within(rip, Routine(context, vx_runtime_helpers), vx_runtime_end - vx_runtime_helpers);
}

void Leave(Context* context, Machine* machine, uint32_t reason) {
  context->reason = reason;
  context->fault.rip = machine->Get(REG_RIP);
  context->fault.r8 = static_cast<uint32_t>(machine->Get(REG_R8));
  machine->Set(REG_RIP, Routine(*context, vx_runtime_leave));
}

// True if the page fault was the engine's own business, and the thread can go on.
bool HandleOwnPageFault(const Context& context, Machine* machine, uint64_t address) {
  if (Within(address, context.return_stack_guard, context.return_stack_guard_size)) {
    // A CALL too deep: the stack starts anew, and returns to what was lost will be looked up. In a
    // helper, which saves flags there, the helper's own return address comes along.
    uint64_t top = context.return_stack_top;
    if (InHelpers(context, machine->Get(REG_RIP))) {
      top -= sizeof(uint64_t);
      *reinterpret_cast<uint64_t*>(top) = *reinterpret_cast<uint64_t*>(machine->Get(REG_RSP));
    }
    machine->Set(REG_RSP, top);
    return true;
  }
  const uint64_t context_end = reinterpret_cast<uint64_t>(&context) + kContextPage;
  if (Within(address, context_end, kReturnSiteSpan)) {
    // A return elsewhere than to behind the call.
    machine->Set(REG_RIP, Routine(context, vx_runtime_return_miss));
    return true;
  }
  if (Within(address, context.entries, context.entries_size)) {
    // An indirect jump to where no code can be.
    machine->Set(REG_RIP, Routine(context, vx_runtime_miss));
    return true;
  }
  return false;
}

// True if another thread was writing to the page of code where the instruction lies or ends, be it
// translated code or a routine of the runtime's beside it. It no longer is.
bool WaitForWriter(const Context& context, const Machine& machine, uint64_t address) {
  const uint64_t rip = machine.Get(REG_RIP);
  if (machine.Get(REG_TRAPNO) != kPageFault || (machine.Get(REG_ERR) & kFetch) == 0 ||
      !Within(rip, context.code, context.code_size) || !Within(address, rip, kMaxHostInstruction) ||
      context.writing == nullptr) {
    return false;
  }
  while (context.writing->load(std::memory_order_seq_cst) != 0) sched_yield();
  return true;
}

// True if the fault was translated code's, and has been seen to.
bool HandleFault(Context* context, siginfo_t* info, void* ucontext) {
  Machine machine(ucontext);
  if (WaitForWriter(*context, machine, reinterpret_cast<uint64_t>(info->si_addr))) return true;
  const uint64_t rip = machine.Get(REG_RIP);
  // The look-up of return misses is the one routine that can fault.
  const bool looking_up =
      Within(rip, Routine(*context, vx_runtime_underflow), vx_runtime_leave - vx_runtime_underflow);
  const bool in_helper = InHelpers(*context, rip);
  if (!looking_up && !in_helper && !InRegions(*context, rip)) return false;
  const uint32_t vector = static_cast<uint32_t>(machine.Get(REG_TRAPNO));
  const uint32_t error_code = static_cast<uint32_t>(machine.Get(REG_ERR));
  if (vector == kPageFault) {
    const uint64_t address = reinterpret_cast<uint64_t>(info->si_addr);
    if (HandleOwnPageFault(*context, &machine, address)) return true;
    if (!Within(address, context->memory, kGuestSpan) || (error_code & kFetch) != 0) return false;
    context->fault.address = address - context->memory;
  } else if (vector != kDivideError && vector != kStackFault && vector != kGeneralProtection &&
             vector != kX87Error && vector != kSimdError) {
    return false;
  }
  if (looking_up) return false;
  context->fault.vector = vector;
  context->fault.error_code = error_code;
  if (in_helper) {
    context->helper_flags = static_cast<uint32_t>(machine.Get(REG_R11));
    // REPE CMPS has taken nothing.
    const bool paid = rip < Routine(*context, vx_runtime_cmpsb) ||
                      (rip >= Routine(*context, vx_runtime_movsb_shared) &&
                       rip < Routine(*context, vx_runtime_cmpsb_shared));
    if (paid) context->budget += static_cast<uint32_t>(machine.Get(REG_RCX));
  }
  Leave(context, &machine, in_helper ? VX_LEFT_HELPER : VX_LEFT_FAULT);
  return true;
}

void OnFault(int signal, siginfo_t* info, void* ucontext) {
  const int saved_errno = errno;
  Context* const context = current_context;
  // si_code > 0: from the kernel, not sent by somebody.
  if (context == nullptr || info->si_code <= 0 || !HandleFault(context, info, ucontext)) {
    Chain(signal, info, ucontext);
  }
  errno = saved_errno;
}

void OnStop(int signal, siginfo_t* info, void* ucontext) {
  Context* const context = current_context;
  if (info->si_code == SI_TIMER && context != nullptr && info->si_ptr == context) {
    context->stop.store(1, std::memory_order_relaxed);
  }
  if (context == nullptr || context->stop.load(std::memory_order_relaxed) == 0) {
    if (info->si_code != SI_TIMER && info->si_code != SI_TKILL) Chain(signal, info, ucontext);
    return;
  }
  Machine machine(ucontext);
  const uint64_t rip = machine.Get(REG_RIP);
  if (InRegions(*context, rip) || InHelpers(*context, rip)) {
    Leave(context, &machine, VX_LEFT_STOPPED);
  } else if (Within(rip, Routine(*context, vx_runtime_entering),
                    vx_runtime_entered - vx_runtime_entering)) {
    machine.Set(REG_RIP, Routine(*context, vx_runtime_bail));
  } else if (Within(rip, Routine(*context, vx_runtime_underflow),
                    vx_runtime_leave - vx_runtime_underflow)) {
    // On the way to an address in R8D, or out.
    machine.Set(REG_RIP, Routine(*context, vx_runtime_miss));
  }
}

// While a fault is handled the stop signal has to wait: it would find the thread in the handler,
// which goes back to translated code.
absl::Status Install(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | flags;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, StopSignal());
  if (sigaction(signal, &action, &previous_actions[signal]) != 0) {
    return absl::InternalError(absl::StrCat("sigaction: ", strerror(errno)));
  }
  return absl::OkStatus();
}

// A thread's signal stack, with a guard below; made when first needed, gone with the thread.
class SignalStack {
 public:
  ~SignalStack() {
    if (memory_ == nullptr) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    munmap(memory_, kSize);
  }
  void Ensure() {
    stack_t present;
    if (memory_ != nullptr || sigaltstack(nullptr, &present) != 0) return;
    if ((present.ss_flags & SS_DISABLE) == 0 && present.ss_size >= kSignalStackSize) return;
    void* const got = mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) return;
    memory_ = static_cast<uint8_t*>(got);
    stack_t stack = {};
    stack.ss_sp = memory_ + kGuard;
    stack.ss_size = kSignalStackSize;
    if (mprotect(stack.ss_sp, stack.ss_size, PROT_READ | PROT_WRITE) == 0) {
      sigaltstack(&stack, nullptr);
    }
  }

 private:
  static constexpr size_t kGuard = 0x1000, kSize = kGuard + kSignalStackSize;
  uint8_t* memory_ = nullptr;
};

__attribute__((tls_model("initial-exec"))) thread_local SignalStack signal_stack;

}  // namespace

absl::Status InstallFaultHandlers() {
  static std::once_flag once;
  static auto* const status = new absl::Status;
  std::call_once(once, [] {
    for (int signal : kFaultSignals) {
      if (status->ok()) *status = Install(signal, OnFault, SA_NODEFER);
    }
    if (status->ok()) *status = Install(StopSignal(), OnStop, SA_RESTART);
  });
  signal_stack.Ensure();
  return *status;
}

GuestThread::GuestThread(Context* context) {
  signal_stack.Ensure();
  current_context = context;
}

GuestThread::~GuestThread() {
  if (has_timer_) syscall(SYS_timer_delete, timer_);
  current_context = nullptr;
}

absl::Status GuestThread::StopAfter(std::chrono::nanoseconds cpu_time) {
  struct sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = StopSignal();
  event.sigev_value.sival_ptr = current_context;
  event._sigev_un._tid = static_cast<int>(syscall(SYS_gettid));
  // Not through the C library, which has more to a timer than the kernel has.
  if (syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, &event, &timer_) != 0) {
    return absl::InternalError(absl::StrCat("timer_create: ", strerror(errno)));
  }
  has_timer_ = true;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(cpu_time);
  itimerspec when = {};
  when.it_value.tv_sec = seconds.count();
  when.it_value.tv_nsec = (cpu_time - seconds).count() + 1;
  if (when.it_value.tv_nsec >= 1'000'000'000) {
    when.it_value.tv_nsec = 0;
    ++when.it_value.tv_sec;
  }
  if (syscall(SYS_timer_settime, timer_, 0, &when, nullptr) != 0) {
    return absl::InternalError(absl::StrCat("timer_settime: ", strerror(errno)));
  }
  return absl::OkStatus();
}

void SignalGuestThread(int tid) { syscall(SYS_tgkill, getpid(), tid, StopSignal()); }

}  // namespace vx
