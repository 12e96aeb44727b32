/* Host code for a breached worker: no C library, position-independent, code and constants in one
 * piece. R12 is the engine's context, whose second word is the host's RSP; R13 is where code starts
 * (vxengine/translator/context.h). */
#include "tests/hostile/payload.h"

enum { SYS_read = 0, SYS_write = 1, SYS_mmap = 9, SYS_mprotect = 10, SYS_brk = 12,
       SYS_exit_group = 231 };

asm(".section .text.start\n"
    "  movl $0x08110000, %esp\n" /* PAYLOAD_STACK_TOP */
    "  movq %r12, %rdi\n"
    "  movq %r13, %rsi\n"
    "  leaq 0(%rip), %rdx\n"
    "  jmp payload\n"
    ".text\n");

static int64_t Call(int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                    uint64_t f) {
  int64_t result;
  register uint64_t r10 asm("r10") = d;
  register uint64_t r8 asm("r8") = e;
  register uint64_t r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

static int64_t Int80(const struct PayloadOrder* order) {
  int64_t result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(order->number), "b"(order->arguments[0]), "c"(order->arguments[1]),
                 "d"(order->arguments[2]), "S"(order->arguments[3]), "D"(order->arguments[4])
               : "memory", "r8", "r9", "r10", "r11");
  return result;
}

static int64_t Write(int fd, const volatile void* bytes, uint64_t size) {
  return Call(SYS_write, fd, (uint64_t)bytes, size, 0, 0, 0);
}

static void Tell(int64_t result) {
  Write(1, &result, sizeof result);
  Call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

static void Spin(void) {
  for (;;) asm volatile("pause");
}

/* Pages from `at` on, until one isn't there: the kernel says so without a fault. */
static void Dump(uint64_t at, int64_t step) {
  for (at &= -0x1000; Write(1, (void*)at, 0x1000) > 0; at += step) {
  }
  Call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

__attribute__((used)) static void payload(const uint64_t* context, uint8_t* code, uint8_t* own) {
  const struct PayloadOrder* const order = (const struct PayloadOrder*)PAYLOAD_ORDER;
  const uint64_t* const a = order->arguments;
  switch (order->act) {
    case PAYLOAD_CALL:
      Tell(Call(order->number, a[0], a[1], a[2], a[3], a[4], a[5]));
      break;
    case PAYLOAD_INT80:
      Tell(Int80(order));
      break;
    case PAYLOAD_STACK:
      Dump(context[1], 0x1000);
      break;
    case PAYLOAD_HEAP:
      Dump(Call(SYS_brk, 0, 0, 0, 0, 0, 0) - 1, -0x1000);
      break;
    case PAYLOAD_GRAB: {
      const uint64_t size = 1 << 20;
      int64_t count = 0;
      while (Call(SYS_mmap, 0, size, 3, 0x22, -1, 0) > 0) ++count;
      Tell(count);
      break;
    }
    case PAYLOAD_TAMPER: {
      uint8_t* const end = (uint8_t*)((uint64_t)own & -0x1000);
      int64_t result = Call(SYS_mprotect, (uint64_t)code, end - code, 3, 0, 0, 0);
      if (result == 0) {
        for (uint8_t* at = code; at < end; ++at) *(volatile uint8_t*)at = 0xcc;
        result = Call(SYS_mprotect, (uint64_t)code, end - code, 5, 0, 0, 0);
      }
      if (result == 0) result = *(volatile uint8_t*)code;
      Write(1, &result, sizeof result);
      Spin();
      break;
    }
    case PAYLOAD_WRITE_CODE:
      *(volatile uint8_t*)own = 0xcc;
      Tell(0);
      break;
    case PAYLOAD_RUN_DATA:
      *(volatile uint8_t*)(PAYLOAD_ORDER + 0x1000) = 0xc3;
      ((void (*)(void))(PAYLOAD_ORDER + 0x1000))();
      Tell(0);
      break;
    case PAYLOAD_REPORT:
      Write(2, order->text, a[0]);
      Call(SYS_exit_group, 0, 0, 0, 0, 0, 0);
      break;
    case PAYLOAD_BABBLE:
      for (;;) Write(1, order->text, sizeof order->text);
    default:
      Spin();
  }
}
