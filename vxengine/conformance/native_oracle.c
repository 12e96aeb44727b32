/* Runs instructions on this machine's own CPU, in 32-bit mode, and tells what they did. (Or on that
 * of qemu-user, whose signal frames hold less.)
 *
 * All of it happens in one signal handler on its own stack: it stores the interrupted context as
 * the result of the case that ran, and changes it into the start of the next one. sigreturn then
 * loads every register at once, and the next fault brings every register back; the code under test
 * may wreck them all. Cases end in a fault, if only UD2 at ORACLE_EXIT. A timer ends those that
 * don't.
 *
 * Linked without a C library, at an address that test code is unlikely to hit; the stack and the
 * vDSO that the kernel maps are unmapped, so that wild accesses fault as they do in a guest.
 */
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <linux/mman.h>
#include <linux/time.h>

#include "oracle_protocol.h"

enum { kTickMicroseconds = 200000 }; /* of user-mode CPU time */

#define EFLAGS_OF 0x800u

/* Flags that a case starts with but sigreturn doesn't load: ID. */
#define EFLAGS_ID 0x200000u

static struct OracleCase cases[ORACLE_BATCH];
static struct OracleResult results[ORACLE_BATCH];
static uint32_t count, current, started, ticked;
static uint8_t handler_stack[0x10000];
__attribute__((used, aligned(16))) static uint8_t main_stack[0x4000];

static long Call(long number, long a, long b, long c, long d, long e) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                   : "memory");
  return result;
}

static void Exit(int status) {
  for (;;) Call(__NR_exit_group, status, 0, 0, 0, 0);
}

static void Copy(void* to, const void* from, uint32_t size) {
  uint32_t words = size / 4, bytes = size % 4;
  __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void Clear(void* at, uint32_t size) {
  __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(0) : "memory");
}

/* 0 at the end of the input. */
static int ReadAll(void* to, uint32_t size) {
  for (uint32_t done = 0; done < size;) {
    long n = Call(__NR_read, 0, (long)to + done, size - done, 0, 0);
    if (n <= 0) return 0;
    done += n;
  }
  return 1;
}

static void WriteAll(const void* from, uint32_t size) {
  for (uint32_t done = 0; done < size;) {
    long n = Call(__NR_write, 1, (long)from + done, size - done, 0, 0);
    if (n <= 0) Exit(3);
    done += n;
  }
}

/* Readable and writable. */
static uint8_t* Map(uint32_t address, uint32_t size) {
  struct {
    uint32_t address, size, protection, flags, fd, offset;
  } arguments = {
      address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
      -1,      0};
  if ((uint32_t)Call(__NR_mmap, (long)&arguments, 0, 0, 0, 0) != address) Exit(4);
  return (uint8_t*)address;
}

static void Protect(uint32_t address, uint32_t size, int protection) {
  if (Call(__NR_mprotect, address, size, protection, 0, 0) != 0) Exit(4);
}

static void MapRegions(void) {
  Map(ORACLE_CODE, ORACLE_CODE_SIZE);
  uint8_t* exit_page = Map(ORACLE_EXIT, 0x1000);
  exit_page[0] = 0x0f; /* ud2 */
  exit_page[1] = 0x0b;
  Protect(ORACLE_EXIT, 0x1000, PROT_READ | PROT_EXEC);
  Map(ORACLE_DATA, ORACLE_DATA_SIZE);
}

static void NextBatch(void) {
  if (!ReadAll(&count, sizeof count)) Exit(0);
  if (count == 0 || count > ORACLE_BATCH || !ReadAll(cases, count * sizeof cases[0])) Exit(5);
  /* Not through a second mapping: qemu-user would not see that the code has changed. */
  Protect(ORACLE_CODE, ORACLE_CODE_SIZE, PROT_READ | PROT_WRITE);
  Clear((void*)ORACLE_CODE, ORACLE_CODE_SIZE);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t at = cases[i].code_address - ORACLE_CODE, size = cases[i].code_size;
    if (at > ORACLE_CODE_SIZE || size > ORACLE_CODE_SIZE - at || size > ORACLE_SLOT_SIZE) Exit(5);
    Copy((void*)cases[i].code_address, cases[i].code, size);
  }
  Protect(ORACLE_CODE, ORACLE_CODE_SIZE, PROT_READ | PROT_EXEC);
  current = 0;
}

static void FillData(const struct OracleCase* from) {
  static uint8_t background[ORACLE_DATA_SIZE];
  static int filled;
  for (uint32_t i = 0; !filled && i < ORACLE_DATA_SIZE; ++i) background[i] = OracleBackground(i);
  filled = 1;
  Copy((void*)ORACLE_DATA, background, ORACLE_DATA_SIZE);
  for (int i = 0; i < ORACLE_PATCHES; ++i) {
    const struct OraclePatch* patch = &from->patches[i];
    const uint32_t at = patch->address - ORACLE_DATA;
    if (patch->size == 0) continue;
    if (at > ORACLE_DATA_SIZE || patch->size > ORACLE_PATCH_SIZE ||
        patch->size > ORACLE_DATA_SIZE - at)
      Exit(5);
    Copy((void*)patch->address, patch->bytes, patch->size);
  }
}

/* qemu-user's signal frames (as of 7.2) hold no XMM registers, and sigreturn leaves them: the
 * handler, which is compiled not to use any, finds those of the case and leaves those of the next.
 */
static int HasXmm(const struct _fpstate* state) { return state->magic == 0; }

static void LoadXmm(const uint8_t (*from)[16]) {
  __asm__ volatile(
      "movups 0x00(%0), %%xmm0\n\t"
      "movups 0x10(%0), %%xmm1\n\t"
      "movups 0x20(%0), %%xmm2\n\t"
      "movups 0x30(%0), %%xmm3\n\t"
      "movups 0x40(%0), %%xmm4\n\t"
      "movups 0x50(%0), %%xmm5\n\t"
      "movups 0x60(%0), %%xmm6\n\t"
      "movups 0x70(%0), %%xmm7" ::"r"(from)
      : "memory");
}

static void SaveXmm(uint8_t (*to)[16]) {
  __asm__ volatile(
      "movups %%xmm0, 0x00(%0)\n\t"
      "movups %%xmm1, 0x10(%0)\n\t"
      "movups %%xmm2, 0x20(%0)\n\t"
      "movups %%xmm3, 0x30(%0)\n\t"
      "movups %%xmm4, 0x40(%0)\n\t"
      "movups %%xmm5, 0x50(%0)\n\t"
      "movups %%xmm6, 0x60(%0)\n\t"
      "movups %%xmm7, 0x70(%0)" ::"r"(to)
      : "memory");
}

/* sigreturn leaves ID as it is now. */
static void SetId(uint32_t eflags) {
  __asm__ volatile(
      "pushl %0\n\t"
      "popfl" ::"r"((eflags & EFLAGS_ID) | 2)
      : "memory", "cc");
}

static void Start(const struct OracleCase* from, struct sigcontext* context) {
  FillData(from);
  context->eax = from->gpr[0];
  context->ecx = from->gpr[1];
  context->edx = from->gpr[2];
  context->ebx = from->gpr[3];
  context->esp = from->gpr[4];
  context->ebp = from->gpr[5];
  context->esi = from->gpr[6];
  context->edi = from->gpr[7];
  context->eip = from->eip;
  context->eflags = from->eflags;
  struct _fpstate* state = (struct _fpstate*)context->fpstate;
  if (HasXmm(state)) {
    Copy(state->_xmm, from->xmm, sizeof from->xmm);
    state->mxcsr = 0x1f80;
    /* XSTATE_BV behind the legacy area: without bit 1, XRSTOR would clear XMM instead of loading
     * it. */
    *(uint32_t*)((uint8_t*)state->_fxsr_env + 512) |= 2;
  } else {
    LoadXmm(from->xmm);
  }
  SetId(from->eflags);
}

/* The exception's vector. qemu-user's signal frames (as of 7.2) have -1 for it: then what the
 * signal tells. Its SIGSEGV that isn't a page fault is one of three: INTO, which cases have nowhere
 * but at their start, BOUND, or #GP. */
static uint32_t Vector(const struct OracleCase* test, int signal, const siginfo_t* info,
                       const struct sigcontext* context) {
  enum { kUnknown = 0xffffffffu };
  const uint8_t* at = (const uint8_t*)context->eip;
  if (context->trapno != kUnknown) return context->trapno;
  switch (signal) {
    case SIGFPE:
      return 0;
    case SIGTRAP:
      return 3;
    case SIGILL:
      return 6;
    case SIGSEGV:
      if (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR) return 14;
      if (context->eflags & EFLAGS_OF && context->eip == test->eip + 1 && at[-1] == 0xce) return 4;
      while (*at == 0x66 || *at == 0x26 || *at == 0x36 || *at == 0x3e || *at >= 0xf2) ++at;
      return *at == 0x62 ? 5 : 13;
    default:
      return kUnknown;
  }
}

/* qemu-user doesn't tell the fetch of code from a read; the code at EIP can be read, if it can be
 * run. */
static uint32_t ErrorCode(uint32_t vector, const struct sigcontext* context) {
  const uint32_t kWrite = 2, kFetch = 16, kLongest = 15;
  const int fetch = vector == 14 && context->trapno != 14 && !(context->err & kWrite) &&
                    context->cr2 - context->eip < kLongest;
  return context->err | (fetch ? kFetch : 0);
}

static void Finish(struct OracleResult* to, const struct sigcontext* context, uint32_t trap) {
  to->gpr[0] = context->eax;
  to->gpr[1] = context->ecx;
  to->gpr[2] = context->edx;
  to->gpr[3] = context->ebx;
  to->gpr[4] = context->esp;
  to->gpr[5] = context->ebp;
  to->gpr[6] = context->esi;
  to->gpr[7] = context->edi;
  to->eip = context->eip;
  to->eflags = context->eflags;
  const struct _fpstate* state = (const struct _fpstate*)context->fpstate;
  if (HasXmm(state)) {
    Copy(to->xmm, state->_xmm, sizeof to->xmm);
  } else {
    SaveXmm(to->xmm);
  }
  to->trap = trap;
  to->error_code = ErrorCode(trap, context);
  to->address = context->cr2;
  Copy(to->data, (void*)ORACLE_DATA, ORACLE_DATA_SIZE);
}

__attribute__((used)) static void Handle(int signal, const siginfo_t* info,
                                         struct ucontext* context) {
  if (signal == SIGVTALRM) {
    const int stuck = ticked == started;
    ticked = started;
    if (!stuck) {
      SetId(context->uc_mcontext.eflags);
      return;
    }
  }
  if (count != 0) {
    Finish(&results[current], &context->uc_mcontext,
           signal == SIGVTALRM ? ORACLE_TIMED_OUT
                               : Vector(&cases[current], signal, info, &context->uc_mcontext));
    if (++current == count) WriteAll(results, count * sizeof results[0]);
  }
  if (current == count) NextBatch();
  ++started;
  Start(&cases[current], &context->uc_mcontext);
}

/* The test code's AC must not be on in the handler, and the kernel leaves it. */
__asm__(
    "Enter:\n\t"
    "pushl $2\n\t"
    "popfl\n\t"
    "jmp Handle\n"
    "Restore:\n\t"
    "movl $173, %eax\n\t" /* rt_sigreturn */
    "int $0x80\n");
void Enter(int);
void Restore(void);

static void UnmapKernelsGifts(void) {
  /* Up to the end of a 32-bit process's memory; and the stack that qemu-user has made
   * (oracle_protocol.h). */
  const uint32_t from[] = {0x70000000u, ORACLE_OWN - ORACLE_QEMU_STACK};
  const uint32_t to[] = {0xffffe000u, ORACLE_OWN};
  for (int i = 0; i < 2; ++i) {
    if (Call(__NR_munmap, from[i], to[i] - from[i], 0, 0, 0) != 0) Exit(4);
  }
}

static void Catch(int signal) {
  /* The kernel's struct has 64 bits of mask, two words here: all signals wait while the handler
   * runs. */
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint32_t mask[2];
  } action = {Enter, SA_SIGINFO | SA_ONSTACK | SA_RESTORER, Restore, {~0u, ~0u}};
  if (Call(__NR_rt_sigaction, signal, (long)&action, 0, 8, 0) != 0) Exit(6);
}

__attribute__((used)) static void Main(void) {
  UnmapKernelsGifts();
  MapRegions();
  stack_t stack = {handler_stack, 0, sizeof handler_stack};
  if (Call(__NR_sigaltstack, (long)&stack, 0, 0, 0, 0) != 0) Exit(6);
  Catch(SIGSEGV);
  Catch(SIGBUS);
  Catch(SIGFPE);
  Catch(SIGILL);
  Catch(SIGTRAP);
  Catch(SIGVTALRM);
  uint32_t timer[4] = {0, kTickMicroseconds, 0, kTickMicroseconds};
  Call(__NR_setitimer, ITIMER_VIRTUAL, (long)timer, 0, 0, 0);
  __asm__ volatile("ud2");
  Exit(7);
}

__asm__(
    ".globl _start\n"
    "_start:\n\t"
    "movl $main_stack + 0x4000 - 16, %esp\n\t"
    "call Main\n");
