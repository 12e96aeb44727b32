#include "tests/fuzz/enclosure.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "tests/fuzz/check.h"
#include "tests/fuzz/host_state.h"
#include "vxengine/translator/code_cache.h"
#include "vxengine/translator/context.h"
#include "vxengine/translator/faults.h"
#include "vxengine/translator/runtime.h"
#include "vxengine/translator/translated_cpu.h"

namespace vxa::fuzz {
namespace {

using vx::CodeArena;
using vx::CodePlacement;
using vx::Context;
using vx::RuntimeOffset;

constexpr uint64_t kPage = 4096;
constexpr uint32_t kPrologue = 0x8000;  // of the enclosure's own, before the region
constexpr uint64_t kCodePages = (Enclosure::kOffset + Enclosure::kMostCode) / kPage + 1;
static_assert(Enclosure::kOffset + Enclosure::kMostCode < kCodePages * kPage);

// Where 4 GiB with a guest's memory in them lie. An exclusive guest's are a twin for a shared one,
// and the other way round; kTwin is one for both.
constexpr uint64_t kExclusive = 0, kShared = 0x110000000000, kTwin = 0x100000000000;
constexpr uint32_t kConstant = 0x50000000;  // a page that can only be read

// The run's end, if the code doesn't end by itself.
constexpr std::chrono::milliseconds kLongest(2);
constexpr int kStarts = 2;                     // boundaries to begin at
constexpr int kEntries = 3;                    // how often code is entered, in one run
constexpr std::chrono::seconds kPatience(20);  // without an answer

struct Header {
  uint32_t placement, code_size, boundaries, seed;
};

// splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(Next() % bound); }
  bool Chance(uint32_t of) { return Below(of) == 0; }

 private:
  uint64_t state_;
};

bool ReadAll(int fd, void* to, size_t size) {
  for (auto* at = static_cast<uint8_t*>(to); size > 0;) {
    const ssize_t got = read(fd, at, size);
    if (got <= 0 && !(got < 0 && errno == EINTR)) return false;
    if (got > 0) at += got, size -= static_cast<size_t>(got);
  }
  return true;
}

bool WriteAll(int fd, const void* from, size_t size) {
  for (auto* at = static_cast<const uint8_t*>(from); size > 0;) {
    const ssize_t put = write(fd, at, size);
    if (put <= 0 && !(put < 0 && errno == EINTR)) return false;
    if (put > 0) at += put, size -= static_cast<size_t>(put);
  }
  return true;
}

bool IsAll(const void* begin, size_t size, uint8_t value) {
  const auto* const bytes = static_cast<const uint8_t*>(begin);
  return bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0;
}

uint8_t* Pointer(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }

// ---- The child ----

const uint8_t* the_code;  // for the signal handler
int the_answer;

void Answer(std::string_view text) {
  const uint32_t size = static_cast<uint32_t>(text.size());
  WriteAll(the_answer, &size, sizeof size);
  WriteAll(the_answer, text.data(), text.size());
}

// What the engine's handlers don't take for a guest's fault.
void OnEscape(int signal, siginfo_t* info, void* context) {
  const auto* const registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  const auto rip = static_cast<uint64_t>(registers[REG_RIP]);
  const uint64_t offset = rip - reinterpret_cast<uint64_t>(the_code);
  char text[160];
  if (signal == SIGSYS) {
    snprintf(text, sizeof text, "system call %d", info->si_syscall);
  } else {
    snprintf(text, sizeof text, "signal %d (vector %lld), address %p, RIP is %s + 0x%llx", signal,
             static_cast<long long>(registers[REG_TRAPNO]), info->si_addr,
             offset < CodeArena::kCodeSize ? "code" : "0",
             static_cast<unsigned long long>(offset < CodeArena::kCodeSize ? offset : rip));
  }
  Answer(text);
  _exit(1);
}

// System calls from where the code is are refused.
void RefuseSystemCallsFrom(const uint8_t* code) {
  const uint64_t begin = reinterpret_cast<uint64_t>(code);
  constexpr uint32_t kIp = offsetof(seccomp_data, instruction_pointer);
  const sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIp + 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(begin >> 32), 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIp),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~static_cast<uint32_t>(CodeArena::kCodeSize - 1)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(begin), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = const_cast<sock_filter*>(filter)};
  Check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0,
        "no seccomp filter to be had");
}

class Child {
 public:
  Child();
  void Serve(int requests);

 private:
  std::string Try(const Enclosure::Region& region, uint32_t seed);
  // What the guest sees in the end, or nothing if that can't be told.
  std::string Execute(const Enclosure::Region& region, uint64_t seed, uint64_t secret);
  void SetUp(const Enclosure::Region& region, Random* random, uint64_t secret);
  void WritePrologue(uint32_t boundary, Random* random);
  std::string CheckAll(const Enclosure::Region& region, const Context& before, uint64_t secret);
  void FillStack(const Enclosure::Region& region, uint64_t rsp, Random* random, uint64_t secret);
  std::string CheckStack(const Enclosure::Region& region, uint64_t secret) const;

  static uint64_t GuestOf(CodePlacement placement) {
    return placement == CodePlacement::kShared ? kShared : kExclusive;
  }
  std::span<uint64_t> Stack() const {
    const uint64_t top = run_->stack_top();
    const uint64_t begin = run_->stack_guard() + vx::RunMemory::kGuard;
    return {reinterpret_cast<uint64_t*>(begin), (top + 16 - begin) / sizeof(uint64_t)};
  }
  Context& context() const { return *run_->context(); }
  uint64_t code() const { return reinterpret_cast<uint64_t>(arena_->code()); }
  uint32_t* entries() const { return reinterpret_cast<uint32_t*>(arena_->entries()); }

  std::unique_ptr<CodeArena> arena_;
  uint8_t* writable_ = nullptr;           // the same pages as the code
  uint8_t data_[Enclosure::kDataSize];    // of a guest, at first
  uint32_t table_[Enclosure::kTextSize];  // of entries
  std::unique_ptr<vx::RunMemory> run_;
  std::string failure_;  // of an execution
};

void Reserve(uint64_t base) {
  const uint64_t unused = base == 0 ? VX_LOWEST_ADDRESS : 0;
  void* const at = Pointer(base + unused);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  Check(mmap(at, vx::kGuestSpan - unused, PROT_NONE, flags, -1, 0) == at,
        "the guest's addresses are taken");
  mprotect(Pointer(base + Enclosure::kData), Enclosure::kDataSize, PROT_READ | PROT_WRITE);
  mprotect(Pointer(base + kConstant), kPage, PROT_READ | PROT_WRITE);
  memset(Pointer(base + kConstant), 0x5a, kPage);
  if (base != kTwin) mprotect(Pointer(base + kConstant), kPage, PROT_READ);
}

Child::Child() {
  arena_ = *CodeArena::Reserve();
  run_ = *vx::RunMemory::Create();
  const int memory = memfd_create("code", 0);
  constexpr size_t kSize = kCodePages * kPage;
  Check(ftruncate(memory, kSize) == 0, "ftruncate");
  Check(mmap(arena_->code(), kSize, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, memory, 0) !=
            MAP_FAILED,
        "mapping code");
  writable_ =
      static_cast<uint8_t*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
  Check(writable_ != MAP_FAILED, "mapping code to write");
  close(memory);
  memset(writable_, 0xcc, kSize);
  const std::span<const uint8_t> runtime = vx::RuntimeBytes();
  Check(runtime.size() <= kPrologue, "the runtime has grown: move the prologue");
  std::copy(runtime.begin(), runtime.end(), writable_);
  Check(
      mprotect(entries() + Enclosure::kText, Enclosure::kTextSize * 4, PROT_READ | PROT_WRITE) == 0,
      "the table of entries");
  for (uint64_t base : {kExclusive, kShared, kTwin}) Reserve(base);
  for (uint32_t n = 0; n < Enclosure::kDataSize; ++n) {
    data_[n] = static_cast<uint8_t>(n * 0x9e3779b1u >> 23);
  }

  Context& c = context();
  c.code = code();
  c.entries = reinterpret_cast<uint64_t>(entries());
  c.code_size = CodeArena::kCodeSize;
  c.entries_size = CodeArena::kEntriesSize;
  c.return_stack_guard = run_->stack_guard();
  c.return_stack_guard_size = vx::RunMemory::kGuard;
  c.return_stack_top = run_->stack_top();
  run_->ResetStack(code() + RuntimeOffset(vx_runtime_underflow));
  Check(syscall(SYS_arch_prctl, ARCH_SET_GS, kShared) == 0, "the GS base");

  the_code = arena_->code();
  struct sigaction action = {};
  action.sa_sigaction = OnEscape;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    sigaction(signal, &action, nullptr);
  }
  Check(vx::InstallFaultHandlers().ok(), "signal handlers");
  RefuseSystemCallsFrom(arena_->code());
}

void Child::Serve(int requests) {
  Header header;
  while (ReadAll(requests, &header, sizeof header)) {
    Enclosure::Region region{.placement = static_cast<CodePlacement>(header.placement)};
    region.code.resize(header.code_size);
    region.boundaries.resize(header.boundaries);
    if (!ReadAll(requests, region.code.data(), region.code.size()) ||
        !ReadAll(requests, region.boundaries.data(), region.boundaries.size() * 4)) {
      break;
    }
    Answer(Try(region, header.seed));
  }
}

std::string Child::Try(const Enclosure::Region& region, uint32_t seed) {
  std::copy(region.code.begin(), region.code.end(), writable_ + Enclosure::kOffset);
  memset(writable_ + Enclosure::kOffset + region.code.size(), 0xcc,
         Enclosure::kMostCode - region.code.size());
  for (uint32_t n = 0; n < Enclosure::kTextSize; ++n) {
    table_[n] = region.boundaries[n % region.boundaries.size()];
  }
  memcpy(entries() + Enclosure::kText, table_, sizeof table_);
  context().memory = GuestOf(region.placement);
  for (uint64_t start = 0; start < kStarts; ++start) {
    const uint64_t own_seed = uint64_t{seed} << 8 | start;
    const std::string one = Execute(region, own_seed, 0x1111111111111111);
    if (!failure_.empty()) return failure_;
    if (one.empty()) continue;
    const std::string other = Execute(region, own_seed, 0x7777777777777777);
    if (!failure_.empty()) return failure_;
    if (!other.empty() && one != other) {
      size_t at = 0;
      while (one[at] == other[at]) ++at;
      return "it has read what isn't the guest's: byte " + std::to_string(at) + " of what it sees";
    }
  }
  uint64_t gs = 0;
  syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
  return gs == kShared ? "" : "the GS base has changed";
}

void Child::FillStack(const Enclosure::Region& region, uint64_t rsp, Random* random,
                      uint64_t secret) {
  const std::span<uint64_t> stack = Stack();
  std::fill(stack.begin(), stack.end(), secret);
  for (uint64_t at = rsp; at < run_->stack_top(); at += sizeof(uint64_t)) {
    *reinterpret_cast<uint64_t*>(at) =
        code() + region.boundaries[random->Below(region.boundaries.size())];
  }
  run_->ResetStack(code() + RuntimeOffset(vx_runtime_underflow));
}

void Child::SetUp(const Enclosure::Region& region, Random* random, uint64_t secret) {
  const uint64_t guest = GuestOf(region.placement);
  for (uint64_t base : {kExclusive, kShared, kTwin}) {
    if (base == guest) {
      memcpy(Pointer(base + Enclosure::kData), data_, sizeof data_);
    } else {
      memset(Pointer(base + Enclosure::kData), static_cast<int>(secret & 0xff),
             Enclosure::kDataSize);
    }
  }
  memset(Pointer(kTwin + kConstant), static_cast<int>(secret & 0xff), kPage);

  Context& c = context();
  for (uint32_t& gpr : c.registers.gpr) {
    gpr = random->Chance(4)   ? static_cast<uint32_t>(random->Next())
          : random->Chance(4) ? Enclosure::kText + random->Below(Enclosure::kTextSize)
                              : Enclosure::kData + random->Below(Enclosure::kDataSize + 8);
  }
  for (vx::Xmm& xmm : c.registers.xmm) {
    for (uint64_t& lane : xmm.lane) lane = random->Next();
  }
  c.registers.eflags =
      VX_INITIAL_EFLAGS | (random->Next() & vx::kStatusFlags) | (random->Chance(4) ? vx::kDf : 0u);
  c.registers.mxcsr = random->Chance(4) ? random->Next() & 0xffff : VX_INITIAL_MXCSR;
  memset(c.fxsave, 0, sizeof c.fxsave);
  const uint16_t control = random->Chance(4) ? random->Next() & 0xf7f : VX_INITIAL_FCW;
  const uint16_t status = random->Chance(4) ? random->Next() & 0x7f7f : 0;
  memcpy(&c.fxsave[0], &control, 2);
  memcpy(&c.fxsave[2], &status, 2);
  c.fxsave[4] = static_cast<uint8_t>(random->Chance(2) ? random->Next() : 0);
  memcpy(&c.fxsave[24], &c.registers.mxcsr, 4);
  for (int n = 0; n < 128; ++n) c.fxsave[32 + n] = static_cast<uint8_t>(random->Next());
  c.uses_x87 = 1;
  c.budget = random->Chance(2) ? random->Below(100) : INT32_MAX;
  c.stop = 0;
  c.eip = c.units = c.helper_flags = 0;
  c.fault = {};
  // What is behind it on its page, but for the last byte, which return sites read.
  uint8_t* const rest = reinterpret_cast<uint8_t*>(&c + 1);
  uint8_t* const last = reinterpret_cast<uint8_t*>(&c) + vx::kContextPage - 1;
  memset(rest, static_cast<int>(secret & 0xff), static_cast<size_t>(last - rest));

  const uint64_t slots = Stack().size() - 2;
  const uint64_t used = random->Chance(8) ? slots - random->Below(4) : random->Below(16);
  c.return_stack = run_->stack_top() - used * sizeof(uint64_t);
  FillStack(region, c.return_stack, random, secret);
}

// mov r64, imm64 for all that a guest has the lower half of, or that is scratch; jmp.
void Child::WritePrologue(uint32_t boundary, Random* random) {
  uint8_t* at = writable_ + kPrologue;
  const auto set = [&](unsigned number, uint32_t low) {
    const uint64_t high = random->Chance(3) ? random->Next() >> 32 : kTwin >> 32;
    const uint64_t value = (random->Chance(3) ? 0 : high << 32) | low;
    *at++ = static_cast<uint8_t>(0x48 | number >> 3);
    *at++ = static_cast<uint8_t>(0xb8 | (number & 7));
    memcpy(at, &value, sizeof value);
    at += sizeof value;
  };
  for (unsigned n = 0; n < 8; ++n) set(n == vx::kEsp ? 15 : n, context().registers.gpr[n]);
  for (unsigned n = 8; n <= 11; ++n) {
    set(n, random->Chance(2) ? Enclosure::kText + random->Below(Enclosure::kTextSize)
                             : Enclosure::kData + random->Below(Enclosure::kDataSize));
  }
  *at++ = 0xe9;
  const uint32_t distance = boundary - (static_cast<uint32_t>(at - writable_) + 4);
  memcpy(at, &distance, sizeof distance);
}

std::string Child::Execute(const Enclosure::Region& region, uint64_t seed, uint64_t secret) {
  Random random(seed);
  SetUp(region, &random, secret);
  Context& c = context();
  const auto enter =
      reinterpret_cast<uint32_t (*)(Context*)>(code() + RuntimeOffset(vx_runtime_enter));
  std::string seen;
  const auto see = [&seen](const auto& value) {
    seen.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  bool stopped = false;
  {
    vx::GuestThread thread(&c);
    Check(thread.StopAfter(kLongest).ok(), "no timer");
    for (int n = 0; n < kEntries && !stopped; ++n) {
      WritePrologue(region.boundaries[random.Below(region.boundaries.size())], &random);
      c.resume = code() + kPrologue;
      c.fault.rip = 0;
      // A copy of what is no guest's, to compare.
      alignas(Context) uint8_t before[sizeof(Context)];
      memcpy(before, static_cast<const void*>(&c), sizeof before);
      const HostState host = CurrentHostState();
      const uint32_t reason = enter(&c);
      if (CurrentHostState() != host) {
        failure_ = "MXCSR, x87's control word, DF or AC has changed";
        return "";
      }
      failure_ = CheckAll(region, *reinterpret_cast<const Context*>(before), secret);
      if (!failure_.empty()) return "";
      // On the way to a look-up it leaves for another reason.
      stopped = reason == VX_LEFT_STOPPED || c.stop != 0;
      if (reason == VX_LEFT_HELPER) c.return_stack += sizeof(uint64_t);
      see(reason);
      see(c.eip);
      see(c.budget);
      see(c.registers.gpr);
      see(c.registers.eflags);
      see(c.registers.xmm);
      see(c.registers.mxcsr);
      see(c.return_stack);
      seen.append(reinterpret_cast<const char*>(c.fxsave), 5);
      seen.append(reinterpret_cast<const char*>(c.fxsave) + 32, 128);
      if (reason == VX_LEFT_FAULT) {
        see(c.fault.rip);
        see(c.fault.vector);
        see(c.fault.address);
      }
      c.registers.eflags &= vx::kStatusFlags | vx::kDf;
    }
  }
  const uint64_t guest = GuestOf(region.placement);
  seen.append(reinterpret_cast<const char*>(Pointer(guest + Enclosure::kData)),
              Enclosure::kDataSize);
  return stopped ? "" : seen;
}

std::string Child::CheckStack(const Enclosure::Region& region, uint64_t secret) const {
  const std::span<uint64_t> stack = Stack();
  const uint64_t rsp = context().return_stack, top = run_->stack_top();
  // Where a signal comes before the routine that puts the last entry back, RSP is behind that.
  if (rsp % sizeof(uint64_t) != 0 || rsp > top + sizeof(uint64_t) ||
      rsp < reinterpret_cast<uint64_t>(stack.data())) {
    return "RSP has left its stack";
  }
  const auto is_return_address = [&](uint64_t value) {
    return std::binary_search(region.boundaries.begin(), region.boundaries.end(), value - code());
  };
  if (std::count(&stack[(rsp - reinterpret_cast<uint64_t>(stack.data())) / 8],
                 reinterpret_cast<uint64_t*>(std::max(top, rsp)), secret) != 0) {
    return "what is on the stack is no return address";
  }
  const uint8_t byte = static_cast<uint8_t>(secret);
  size_t unused = 0;  // slots from the bottom
  constexpr size_t kStep = 128;
  while (unused + kStep < stack.size() && IsAll(&stack[unused], kStep * sizeof(uint64_t), byte)) {
    unused += kStep;
  }
  for (const uint64_t& slot : stack.subspan(unused)) {
    if (slot == secret) continue;
    const uint64_t at = reinterpret_cast<uint64_t>(&slot);
    if (at == top) {
      if (slot != code() + RuntimeOffset(vx_runtime_underflow)) return "the stack's last entry";
    } else if (at > top || !is_return_address(slot)) {
      if (at < rsp && slot >> 22 == 0) continue;  // flags that a helper saved
      return "what is on the stack is no return address";
    }
  }
  return "";
}

std::string Child::CheckAll(const Enclosure::Region& region, const Context& before,
                            uint64_t secret) {
  const Context& c = context();
  if (c.code != before.code || c.entries != before.entries || c.uses_x87 != before.uses_x87 ||
      c.code_size != before.code_size || c.return_stack_top != before.return_stack_top ||
      c.return_stack_guard != before.return_stack_guard ||
      c.return_stack_guard_size != before.return_stack_guard_size ||
      c.entries_size != before.entries_size || c.memory != before.memory ||
      c.writing != before.writing || c.resume != before.resume) {
    return "the context has changed";
  }
  const uint8_t byte = static_cast<uint8_t>(secret);
  const uint8_t* const rest = reinterpret_cast<const uint8_t*>(&c + 1);
  const uint8_t* const last = reinterpret_cast<const uint8_t*>(&c) + vx::kContextPage - 1;
  if (!IsAll(rest, static_cast<size_t>(last - rest), byte) || *last != 0) {
    return "the context's page has changed";
  }
  for (uint64_t base : {kExclusive, kShared, kTwin}) {
    if (base == GuestOf(region.placement)) continue;
    if (!IsAll(Pointer(base + Enclosure::kData), Enclosure::kDataSize, byte)) {
      return "memory beside the guest's has changed";
    }
  }
  if (!IsAll(Pointer(kTwin + kConstant), kPage, byte)) {
    return "memory beside the guest's has changed";
  }
  if (memcmp(entries() + Enclosure::kText, table_, sizeof table_) != 0) {
    return "the table of entries has changed";
  }
  if (memcmp(writable_ + Enclosure::kOffset, region.code.data(), region.code.size()) != 0 ||
      memcmp(writable_, vx::RuntimeBytes().data(), vx::RuntimeBytes().size()) != 0) {
    return "code has changed";
  }
  return CheckStack(region, secret);
}

// libFuzzer's alarms go off meanwhile.
bool WaitForAnswer(int fd) {
  using Clock = std::chrono::steady_clock;
  for (const Clock::time_point end = Clock::now() + kPatience; Clock::now() < end;) {
    pollfd answer = {.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&answer, 1, 1000) == 1) return true;
  }
  return false;
}

}  // namespace

// ---- The parent ----

vx::VerifierRules RulesFor(vx::CodePlacement placement) {
  const auto sorted = [](std::vector<const uint8_t*> routines) {
    auto* const offsets = new std::vector<uint32_t>;
    for (const uint8_t* routine : routines) offsets->push_back(RuntimeOffset(routine));
    std::sort(offsets->begin(), offsets->end());
    return std::span<const uint32_t>(*offsets);
  };
  static const auto stubs =
      sorted({vx_runtime_miss, vx_runtime_interpret, vx_runtime_system_call, vx_runtime_budget});
  static const auto exclusive = sorted({vx_runtime_movsb, vx_runtime_movsd, vx_runtime_stosb,
                                        vx_runtime_stosd, vx_runtime_cmpsb, vx_runtime_cmpsd});
  static const auto shared =
      sorted({vx_runtime_movsb_shared, vx_runtime_movsd_shared, vx_runtime_stosb_shared,
              vx_runtime_stosd_shared, vx_runtime_cmpsb_shared, vx_runtime_cmpsd_shared});
  return {.placement = placement,
          .is_entry = [](uint32_t) { return false; },
          .stubs = stubs,
          .helpers = placement == CodePlacement::kShared ? shared : exclusive,
          .budget_offset = VX_CTX_BUDGET};
}

void Enclosure::Start() {
  signal(SIGPIPE, SIG_IGN);
  int requests[2], answers[2];
  Check(pipe(requests) == 0 && pipe(answers) == 0, "no pipes to be had");
  child_ = fork();
  Check(child_ >= 0, "fork");
  if (child_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(requests[1]);
    close(answers[0]);
    the_answer = answers[1];
    Child().Serve(requests[0]);
    _exit(0);
  }
  close(requests[0]);
  close(answers[1]);
  to_child_ = requests[1];
  from_child_ = answers[0];
}

void Enclosure::Kill() {
  if (child_ == 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
  close(to_child_);
  close(from_child_);
  child_ = 0;
}

std::vector<uint8_t> WithExit(std::vector<uint8_t> code) {
  const auto append = [&code](uint32_t word) {
    for (int n = 0; n < 4; ++n) code.push_back(static_cast<uint8_t>(word >> (8 * n)));
  };
  code.insert(code.end(), {0x41, 0xb8});
  append(Enclosure::kText);
  code.push_back(0xe9);
  append(vx::RuntimeOffset(vx_runtime_miss) -
         (Enclosure::kOffset + static_cast<uint32_t>(code.size()) + 4));
  return code;
}

std::string Enclosure::Run(const Region& region, uint32_t seed) {
  Check(!region.boundaries.empty() && region.code.size() <= kMostCode, "no region to run");
  if (child_ == 0) Start();
  const Header header = {static_cast<uint32_t>(region.placement),
                         static_cast<uint32_t>(region.code.size()),
                         static_cast<uint32_t>(region.boundaries.size()), seed};
  uint32_t size = 0;
  std::string text;
  const bool asked = WriteAll(to_child_, &header, sizeof header) &&
                     WriteAll(to_child_, region.code.data(), region.code.size()) &&
                     WriteAll(to_child_, region.boundaries.data(), region.boundaries.size() * 4);
  if (!asked) {
    text = "the process died";
  } else if (!WaitForAnswer(from_child_)) {
    text = "it hangs";
  } else if (!ReadAll(from_child_, &size, sizeof size)) {
    text = "the process died";
  } else {
    text.resize(size);
    ReadAll(from_child_, text.data(), size);
  }
  if (!text.empty()) Kill();
  return text;
}

}  // namespace vxa::fuzz
