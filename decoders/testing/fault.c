/* Misbehaves as its first argument says, the second being a number (decimal, or hexadecimal with
 * 0x) where one is needed. What comes back from a system call is printed; a fault that does not end
 * the guest makes it end with status 99. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decoders/sdk/vx.h"

enum { kSurvived = 99 };

static char some_data[4096] = {(char)0xc3 /* ret */};

static void Print(int result) { iprintf("%d\n", result); }

static void ReadAddress(unsigned address) { (void)*(volatile char*)address; }
static void WriteAddress(unsigned address) { *(volatile char*)address = 1; }
static void JumpToAddress(unsigned address) { ((void (*)(void))address)(); }

static void DivideBy(unsigned divisor) {
  __asm__ volatile("divl %0" : : "r"(divisor), "a"(1), "d"(0) : "cc");
}
static void DivideOverflow(unsigned unused) {
  __asm__ volatile("idivl %0" : : "r"(-1), "a"(0x80000000), "d"(-1) : "cc");
}
static void JumpToData(unsigned unused) { ((void (*)(void))some_data)(); }
static void JumpToStack(unsigned unused) {
  volatile char code[] = {(char)0xc3};
  ((void (*)(void))code)();
}
static void WriteCode(unsigned unused) { *(volatile char*)WriteCode = 0; }
static void WriteConstant(unsigned unused) { *(volatile char*)"constant" = 0; }

static void Ud2(unsigned unused) { __builtin_trap(); }
static void Int3(unsigned unused) { __asm__ volatile("int3"); }
static void Int80(unsigned unused) { __asm__ volatile("int $0x80" : : "a"(1), "b"(0)); }
static void Hlt(unsigned unused) { __asm__ volatile("hlt"); }
static void Rdtsc(unsigned unused) { __asm__ volatile("rdtsc" : : : "eax", "edx"); }
static void LoadGs(unsigned unused) { __asm__ volatile("movl %%gs:0, %%eax" : : : "eax"); }

static volatile int recurse_on = 1;
static void Recurse(volatile char* outer) {
  volatile char frame[1000];
  frame[0] = *outer;
  if (recurse_on) Recurse(frame);
  frame[1] = 0;
}
static void OverflowStack(unsigned unused) {
  volatile char first = 0;
  Recurse(&first);
}

static void Call(unsigned number) { Print(vx_call((int)number, 0, 0, 0)); }
static void ReadFd(unsigned fd) { Print(vx_call(VX_CALL_READ, fd, (unsigned)some_data, 1)); }
static void WriteFd(unsigned fd) { Print(vx_call(VX_CALL_WRITE, fd, (unsigned)some_data, 1)); }
static void ReadInto(unsigned address) { Print(vx_call(VX_CALL_READ, VX_FD_INPUT, address, 16)); }
static void WriteFrom(unsigned address) {
  Print(vx_call(VX_CALL_WRITE, VX_FD_OUTPUT, address, 16));
}
static void WriteNothingFrom(unsigned address) {
  Print(vx_call(VX_CALL_WRITE, VX_FD_OUTPUT, address, 0));
}
static void WriteLength(unsigned length) {
  Print(vx_call(VX_CALL_WRITE, VX_FD_OUTPUT, (unsigned)some_data, length));
}
static void Brk(unsigned address) { Print(vx_call(VX_CALL_BRK, address, 0, 0)); }

/* Reads on after the input's end, as often as `times` says. */
static void ReadPastEnd(unsigned times) {
  while (read(VX_FD_INPUT, some_data, sizeof some_data) > 0) continue;
  while (times-- > 0) Print(vx_call(VX_CALL_READ, VX_FD_INPUT, (unsigned)some_data, 1));
}

/* Takes its time for each instruction, so that limits on their number are far away. */
static void Spin(unsigned unused) {
  for (;;) __asm__ volatile("cpuid" : "=a"(unused) : "a"(0) : "ebx", "ecx", "edx");
}
static void Flood(unsigned unused) {
  for (;;) write(VX_FD_OUTPUT, some_data, sizeof some_data);
}

/* Says what its input says, and ends with `status`. */
static void Complain(unsigned status) {
  int length;
  while ((length = read(VX_FD_INPUT, some_data, sizeof some_data)) > 0) {
    write(VX_FD_DIAGNOSTICS, some_data, (unsigned)length);
  }
  _exit((int)status);
}

static void Exit(unsigned status) { _exit((int)status); }
static void Abort(unsigned unused) { abort(); }
static void Diagnose(unsigned bytes) {
  while (bytes-- > 0) write(VX_FD_DIAGNOSTICS, "!", 1);
}

static const struct {
  const char* name;
  void (*misbehave)(unsigned argument);
} kFaults[] = {
    {"read", ReadAddress},
    {"write", WriteAddress},
    {"jump", JumpToAddress},
    {"divide", DivideBy},
    {"divide-overflow", DivideOverflow},
    {"jump-to-data", JumpToData},
    {"jump-to-stack", JumpToStack},
    {"write-code", WriteCode},
    {"write-constant", WriteConstant},
    {"ud2", Ud2},
    {"int3", Int3},
    {"int80", Int80},
    {"hlt", Hlt},
    {"rdtsc", Rdtsc},
    {"load-gs", LoadGs},
    {"overflow-stack", OverflowStack},
    {"call", Call},
    {"read-fd", ReadFd},
    {"write-fd", WriteFd},
    {"read-into", ReadInto},
    {"write-from", WriteFrom},
    {"write-nothing-from", WriteNothingFrom},
    {"write-length", WriteLength},
    {"brk", Brk},
    {"read-past-end", ReadPastEnd},
    {"spin", Spin},
    {"flood", Flood},
    {"complain", Complain},
    {"exit", Exit},
    {"abort", Abort},
    {"diagnose", Diagnose},
};

int main(int argc, char** argv) {
  unsigned argument = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
  for (size_t i = 0; argc > 1 && i < sizeof kFaults / sizeof *kFaults; ++i) {
    if (strcmp(argv[1], kFaults[i].name) != 0) continue;
    kFaults[i].misbehave(argument);
    fflush(stdout);
    _exit(kSurvived);
  }
  vx_fail("fault", "no such fault", 2);
}
