// Runs a guest as translated code: the loop around enter and leave, and what only C++ can do there.
// The counterpart of machine/interpreter.h, which it leaves single instructions to.
#ifndef VXENGINE_TRANSLATOR_TRANSLATED_CPU_H_
#define VXENGINE_TRANSLATOR_TRANSLATED_CPU_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/machine/interpreter.h"
#include "vxengine/machine/memory.h"
#include "vxengine/machine/outcome.h"
#include "vxengine/translator/address_space.h"
#include "vxengine/translator/context.h"
#include "vxengine/translator/translation.h"

namespace vx {

// The host's memory for one run, in this order: a guard; the stack of return addresses; a guard;
// the page that the context begins; 4 GiB that can't be accessed, which return sites count on.
class RunMemory {
 public:
  static constexpr uint64_t kStackSize = 0x40000, kGuard = 0x10000;

  static absl::StatusOr<std::unique_ptr<RunMemory>> Create();
  ~RunMemory();

  Context* context() const { return reinterpret_cast<Context*>(base_ + kContext); }
  void RenewContext();  // for another run
  uint64_t stack_guard() const { return base_; }
  // Where the last return address lies, which is that of `underflow`.
  uint64_t stack_top() const { return base_ + kGuard + kStackSize - 16; }
  void ResetStack(uint64_t underflow);

 private:
  static constexpr uint64_t kContext = kGuard + kStackSize + kGuard;
  static constexpr uint64_t kSize = kContext + kContextPage + kReturnSiteSpan;

  explicit RunMemory(uint64_t base) : base_(base) {}
  const uint64_t base_;
};

// One guest. Run from one thread, Stop from any.
class TranslatedCpu {
 public:
  enum class Stop : uint8_t {
    kBudget,      // `budget` is used up
    kSystemCall,  // a SYSCALL instruction completed: EIP is behind it
    kTrap,        // trap() tells; registers as before the instruction
    kStopped,     // RequestStop, or the CPU time is used up; of the registers only EIP is right
    kFailed,      // error() tells
  };

  // All pointers outlive it. `counted`: instructions are counted and bounded. `run_memory`: of one
  // that is no more, or none.
  static absl::StatusOr<std::unique_ptr<TranslatedCpu>> Create(
      Translations* translations, AddressSpace* space, Memory* memory, Profile profile,
      bool counted, std::unique_ptr<RunMemory> run_memory = nullptr);
  ~TranslatedCpu();

  // All that can be done then is to destroy it.
  std::unique_ptr<RunMemory> TakeRunMemory() { return std::move(run_memory_); }

  // The guest's state, but for x87 while it runs.
  Registers& registers() { return context_->registers; }

  // To be called on the thread that calls Run, before the first one and after the last: `cpu_time`
  // bounds what is used between.
  absl::Status Begin(std::chrono::nanoseconds cpu_time);
  void End();

  // `budget` is ignored unless instructions are counted.
  Stop Run(uint64_t budget);

  // Units counted since construction; 0 unless they are.
  uint64_t instructions() const { return counted_units_; }

  const Trap& trap() const { return trap_; }
  const absl::Status& error() const { return error_; }
  // The status flags that are the guest's, when a run has ended.
  uint32_t valid_flags() const { return valid_flags_; }

  // Ends the run soon, or keeps one from starting.
  void RequestStop();

 private:
  TranslatedCpu();
  Stop Loop();
  Stop Interpret();
  void Fault();
  void HelperFault();
  void GoBackTo(const Note& note);
  bool IsForTheInterpreter() const;
  uint32_t EipAt(uint64_t rip) const;
  bool Enter(uint32_t offset);
  uint32_t LostFlagsAt(uint32_t eip) const;
  void SetTranslation(Translation* translation);
  void StartUsingX87();
  void Refill();

  Translations* translations_ = nullptr;
  Translation* translation_ = nullptr;
  TranslationMode mode_;
  bool exclusive_ = false;
  bool counted_ = false;
  std::unique_ptr<RunMemory> run_memory_;
  Context* context_ = nullptr;  // run_memory_'s
  Memory* memory_ = nullptr;
  std::unique_ptr<Interpreter> interpreter_;  // made when it is first needed
  std::unique_ptr<class GuestThread> thread_;
  std::mutex thread_mutex_;
  int thread_id_ = 0;
  uint64_t held_back_ = 0;  // of the budget, beside what the context has
  uint64_t counted_units_ = 0;
  uint32_t valid_flags_ = kStatusFlags;
  // Flags that had been lost, and where, when code was left in the middle of a block.
  uint32_t lost_flags_ = 0, lost_flags_eip_ = 0;
  Trap trap_;
  absl::Status error_;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_TRANSLATED_CPU_H_
