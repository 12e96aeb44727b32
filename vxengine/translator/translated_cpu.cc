#include "vxengine/translator/translated_cpu.h"

#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "vxengine/translator/faults.h"
#include "vxengine/translator/guest_instruction.h"
#include "vxengine/translator/runtime.h"
#include "vxengine/translator/x87_image.h"

namespace vx {
namespace {

constexpr uint32_t kGuestFlags = kStatusFlags | kDf | kId;

// Units that translated code gets at a time: its check for too few looks at the upper half of 64
// bits.
constexpr int64_t kMostUnits = INT32_MAX;

// Iterations of a repeated instruction between two looks at whether to stop.
constexpr uint64_t kStep = 1 << 16;

// Intel SDM vol. 3, table 6-1 and figure 4-12.
Trap DecodeFault(const HostFault& fault) {
  switch (fault.vector) {
    case 0:
      return {.cause = TrapCause::kDivideError};
    case 14:
      return {.cause = TrapCause::kPageFault,
              .access = fault.error_code & 2 ? Access::kWrite : Access::kRead,
              .address = static_cast<uint32_t>(fault.address)};
    case 16:
      return {.cause = TrapCause::kX87Error};
    case 19:
      return {.cause = TrapCause::kSimdError};
    default:  // 12 and 13: there are no stack segments
      return {.cause = TrapCause::kGeneralProtection};
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunMemory>> RunMemory::Create() {
  const auto error = [] {
    return absl::ResourceExhaustedError(absl::StrCat("memory for a run: ", strerror(errno)));
  };
  void* const got =
      mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return error();
  uint8_t* const base = static_cast<uint8_t*>(got);
  if (mprotect(base + kGuard, kStackSize, PROT_READ | PROT_WRITE) != 0 ||
      mprotect(base + kContext, kContextPage, PROT_READ | PROT_WRITE) != 0) {
    const absl::Status status = error();
    munmap(got, kSize);
    return status;
  }
  new (base + kContext) Context;
  return std::unique_ptr<RunMemory>(new RunMemory(reinterpret_cast<uint64_t>(got)));
}

RunMemory::~RunMemory() {
  context()->~Context();
  munmap(reinterpret_cast<void*>(base_), kSize);
}

void RunMemory::RenewContext() {
  context()->~Context();
  new (context()) Context;
}

void RunMemory::ResetStack(uint64_t underflow) {
  *reinterpret_cast<uint64_t*>(stack_top()) = underflow;
}

TranslatedCpu::TranslatedCpu() = default;
TranslatedCpu::~TranslatedCpu() = default;

absl::StatusOr<std::unique_ptr<TranslatedCpu>> TranslatedCpu::Create(
    Translations* translations, AddressSpace* space, Memory* memory, Profile profile, bool counted,
    std::unique_ptr<RunMemory> run_memory) {
  if (absl::Status status = InstallFaultHandlers(); !status.ok()) return status;
  std::unique_ptr<TranslatedCpu> cpu(new TranslatedCpu);
  if (run_memory) {
    run_memory->RenewContext();
    cpu->run_memory_ = std::move(run_memory);
  } else {
    absl::StatusOr<std::unique_ptr<RunMemory>> made = RunMemory::Create();
    if (!made.ok()) return made.status();
    cpu->run_memory_ = *std::move(made);
  }
  cpu->context_ = cpu->run_memory_->context();
  cpu->translations_ = translations;
  cpu->exclusive_ = space->exclusive();
  cpu->counted_ = counted;
  cpu->mode_ = TranslationMode::Of(space->exclusive(), profile, counted);
  absl::StatusOr<Translation*> translation = translations->Get(cpu->mode_);
  if (!translation.ok()) return translation.status();
  Context& context = *cpu->context_;
  context.code_size = CodeArena::kCodeSize;
  context.entries_size = CodeArena::kEntriesSize;
  context.return_stack_guard = cpu->run_memory_->stack_guard();
  context.return_stack_guard_size = RunMemory::kGuard;
  context.return_stack_top = cpu->run_memory_->stack_top();
  context.memory = space->base();
  cpu->SetTranslation(*translation);
  cpu->memory_ = memory;
  return cpu;
}

void TranslatedCpu::SetTranslation(Translation* translation) {
  translation_ = translation;
  Context& context = *context_;
  context.code = reinterpret_cast<uint64_t>(translation->cache().code());
  context.entries = reinterpret_cast<uint64_t>(translation->cache().entries());
  context.writing = &translation->cache().writing();
  // Return addresses are of the code before.
  context.return_stack = context.return_stack_top;
  run_memory_->ResetStack(context.code + RuntimeOffset(vx_runtime_underflow));
}

absl::Status TranslatedCpu::Begin(std::chrono::nanoseconds cpu_time) {
  if (!exclusive_ && syscall(SYS_arch_prctl, ARCH_SET_GS, context_->memory) != 0) {
    return absl::InternalError(absl::StrCat("arch_prctl: ", strerror(errno)));
  }
  thread_ = std::make_unique<GuestThread>(context_);
  if (cpu_time != std::chrono::nanoseconds::max()) {
    if (absl::Status status = thread_->StopAfter(cpu_time); !status.ok()) return status;
  }
  const std::lock_guard<std::mutex> lock(thread_mutex_);
  thread_id_ = static_cast<int>(syscall(SYS_gettid));
  return absl::OkStatus();
}

void TranslatedCpu::End() {
  {
    const std::lock_guard<std::mutex> lock(thread_mutex_);
    thread_id_ = 0;
  }
  thread_.reset();
  if (context_->uses_x87 != 0) ImageToX87(context_->fxsave, &context_->registers.x87);
}

void TranslatedCpu::RequestStop() {
  context_->stop.store(1, std::memory_order_seq_cst);
  const std::lock_guard<std::mutex> lock(thread_mutex_);
  if (thread_id_ != 0) SignalGuestThread(thread_id_);
}

void TranslatedCpu::StartUsingX87() {
  X87ToImage(context_->registers.x87, context_->fxsave);
  context_->uses_x87 = 1;
}

TranslatedCpu::Stop TranslatedCpu::Run(uint64_t budget) {
  Context& context = *context_;
  context.budget = INT64_MAX;
  if (counted_) {
    context.budget = 0;
    held_back_ = budget;
    Refill();
  }
  context.eip = context.registers.eip;
  const Stop stop = Loop();
  context.registers.eip = context.eip;
  if (counted_) counted_units_ += budget - held_back_ - static_cast<uint64_t>(context.budget);
  return stop;
}

void TranslatedCpu::Refill() {
  const uint64_t more = std::min(held_back_, static_cast<uint64_t>(kMostUnits - context_->budget));
  context_->budget += static_cast<int64_t>(more);
  held_back_ -= more;
}

// Runs code at the offset. False if it isn't entered or left because of a request to stop.
bool TranslatedCpu::Enter(uint32_t offset) {
  Context& context = *context_;
  if (context.uses_x87 == 0 && (translation_->uses_x87() || !exclusive_)) StartUsingX87();
  context.resume = context.code + offset;
  context.fault.rip = 0;
  const auto enter =
      reinterpret_cast<uint32_t (*)(Context*)>(context.code + RuntimeOffset(vx_runtime_enter));
  const uint32_t reason = enter(&context);
  Registers& registers = context.registers;
  registers.eflags = (registers.eflags & kGuestFlags) | VX_INITIAL_EFLAGS;
  context.reason = reason;
  if (reason != VX_LEFT_STOPPED) return true;
  if (context.fault.rip != 0) context.eip = EipAt(context.fault.rip);
  return false;
}

// The guest instruction that host code belongs to. A helper's is its caller's.
uint32_t TranslatedCpu::EipAt(uint64_t rip) const {
  uint64_t offset = rip - context_->code;
  const auto* stack = reinterpret_cast<const uint64_t*>(context_->return_stack);
  // It may have flags on top of its return address.
  for (int n = 0; n < 2 && offset < RuntimeBytes().size(); ++n) {
    offset = stack[n] - context_->code - 1;
  }
  return translation_->NoteAt(static_cast<uint32_t>(offset)).eip;
}

TranslatedCpu::Stop TranslatedCpu::Loop() {
  Context& context = *context_;
  for (;;) {
    const absl::StatusOr<uint32_t> offset = translation_->Find(context.eip);
    if (!offset.ok()) {
      error_ = offset.status();
      return Stop::kFailed;
    }
    if (*offset == 0) {  // not in executable memory
      context.reason = VX_LEFT_INTERPRET;
    } else if (!Enter(*offset)) {
      return Stop::kStopped;
    }
    switch (context.reason) {
      case VX_LEFT_MISS:
        break;
      case VX_LEFT_INTERPRET: {
        const Stop stop = Interpret();
        if (stop != Stop::kSystemCall) return stop;
        break;
      }
      case VX_LEFT_SYSTEM_CALL:
        return Stop::kSystemCall;
      case VX_LEFT_BUDGET: {
        // The block took its units although there weren't enough.
        context.budget += context.units & ((1u << kLostFlagsShift) - 1);
        const uint32_t lost_flags = context.units >> kLostFlagsShift | LostFlagsAt(context.eip);
        if (held_back_ > 0) {
          Refill();
          break;
        }
        if (context.budget == 0) {
          valid_flags_ = kStatusFlags & ~lost_flags;
          return Stop::kBudget;
        }
        lost_flags_ = lost_flags;
        lost_flags_eip_ = context.eip;
        mode_.metering = Metering::kInstructions;
        const absl::StatusOr<Translation*> fine = translations_->Get(mode_);
        if (!fine.ok()) {
          error_ = fine.status();
          return Stop::kFailed;
        }
        SetTranslation(*fine);
        break;
      }
      case VX_LEFT_FAULT:
      case VX_LEFT_HELPER: {
        if (context.reason == VX_LEFT_FAULT) {
          Fault();
          if (!IsForTheInterpreter()) return Stop::kTrap;
        } else {
          HelperFault();
        }
        const Stop stop = Interpret();
        if (stop != Stop::kSystemCall) return stop;
        valid_flags_ = kStatusFlags;
        break;
      }
      default:
        error_ = absl::InternalError(absl::StrCat("left for reason ", context.reason));
        return Stop::kFailed;
    }
  }
}

// The instruction at EIP, by the interpreter; kSystemCall if translated code can go on.
TranslatedCpu::Stop TranslatedCpu::Interpret() {
  Context& context = *context_;
  Registers& registers = context.registers;
  // A last unit alone could end a REPE or REPNE and leave its own to be counted.
  if (counted_ && context.budget < 2) Refill();
  if (counted_ && context.budget == 0) return Stop::kBudget;
  if (context.uses_x87 != 0) ImageToX87(context.fxsave, &registers.x87);
  registers.eip = context.eip;
  if (!interpreter_) {
    interpreter_ = std::make_unique<Interpreter>(memory_, &registers, mode_.profile);
  }
  const uint64_t before = interpreter_->instructions();
  const uint64_t budget =
      counted_ ? std::min<uint64_t>(static_cast<uint64_t>(context.budget), kStep) : kStep;
  const Interpreter::Stop stop = interpreter_->Step(budget);
  if (counted_) context.budget -= static_cast<int64_t>(interpreter_->instructions() - before);
  context.eip = registers.eip;
  if (context.uses_x87 != 0) X87ToImage(registers.x87, context.fxsave);
  if (stop == Interpreter::Stop::kTrap) {
    trap_ = interpreter_->trap();
    return Stop::kTrap;
  }
  return Stop::kSystemCall;
}

// A helper has done what it could of a string instruction: the interpreter goes on with it.
void TranslatedCpu::HelperFault() {
  Context& context = *context_;
  const uint64_t back = *reinterpret_cast<const uint64_t*>(context.return_stack);
  context.return_stack += sizeof(uint64_t);
  const Note note = translation_->NoteAt(static_cast<uint32_t>(back - context.code - 1));
  context.registers.eflags = (context.helper_flags & kGuestFlags) | VX_INITIAL_EFLAGS;
  GoBackTo(note);
}

// What is still lost at `eip` of what was at lost_flags_eip_. Flags are lost only where they are
// written before control can go apart, so the way there is straight, or they no longer are.
uint32_t TranslatedCpu::LostFlagsAt(uint32_t eip) const {
  uint32_t lost = lost_flags_;
  for (uint32_t at = lost_flags_eip_; lost != 0 && at != eip;) {
    GuestInstruction i;
    DecodeGuestInstruction(translations_->text().Fetch(at, 15), at, mode_.profile, &i);
    if (i.length == 0) break;
    lost &= ~i.determined();
    at = i.next();
  }
  return lost;
}

void TranslatedCpu::Fault() {
  Context& context = *context_;
  const Note note = translation_->NoteAt(static_cast<uint32_t>(context.fault.rip - context.code));
  if (note.ebp_in_r8) context.registers.gpr[kEbp] = context.fault.r8;
  GoBackTo(note);
  trap_ = DecodeFault(context.fault);
}

// Has registers, budget and flags be as before the instruction.
void TranslatedCpu::GoBackTo(const Note& note) {
  Context& context = *context_;
  context.eip = note.eip;
  context.registers.gpr[kEsp] += static_cast<uint32_t>(note.esp_delta);
  if (counted_) context.budget += note.unpaid;
  lost_flags_ = note.lost_flags | LostFlagsAt(note.eip);
  lost_flags_eip_ = note.eip;
  valid_flags_ = kStatusFlags & ~lost_flags_;
}

// Whether the interpreter has to say what the fault is. Some CPUs look at memory before they find
// that an x87 store has nothing to store there, and it is none. What XCHG is made of reads first.
bool TranslatedCpu::IsForTheInterpreter() const {
  if (trap_.cause != TrapCause::kPageFault) return false;
  GuestInstruction i;
  DecodeGuestInstruction(translations_->text().Fetch(context_->eip, 15), context_->eip,
                         mode_.profile, &i);
  return i.stores_x87() || i.exchanges_memory();
}

}  // namespace vx
