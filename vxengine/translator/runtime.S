/* The run-time routines that translated code and host share: the way in, the ways out, and what
 * finds code by guest address. Position-independent: a copy of this stands at the start of each code
 * cache, where R13 points. Trusted like the verifier, so it is short.
 *
 * None of it touches guest memory. Between vx_runtime_enter and a way out, RSP is a stack of return
 * addresses only: no C may run on it.
 */
#include "vxengine/translator/context.h"

  .section .rodata
  .balign 64
  .globl vx_runtime
vx_runtime:

/* Offset 0, what the table of entries has for addresses that were not translated. R8D: the guest's. */
  .globl vx_runtime_miss
vx_runtime_miss:
  movl $VX_LEFT_MISS, VX_CTX_REASON(%r12)
  jmp leave_with_eip

  .globl vx_runtime_interpret
vx_runtime_interpret:
  movl $VX_LEFT_INTERPRET, VX_CTX_REASON(%r12)
  jmp leave_with_eip

  .globl vx_runtime_system_call
vx_runtime_system_call:
  movl $VX_LEFT_SYSTEM_CALL, VX_CTX_REASON(%r12)
  jmp leave_with_eip

  .globl vx_runtime_budget
vx_runtime_budget:  /* R9D: what the block took, and which flags it lost: region.h */
  movl %r9d, VX_CTX_UNITS(%r12)
  movl $VX_LEFT_BUDGET, VX_CTX_REASON(%r12)
  jmp leave_with_eip

/* The stack of return addresses is empty: this is its last entry, and stays it. */
  .globl vx_runtime_underflow
vx_runtime_underflow:
  leaq -8(%rsp), %rsp

/* A return went elsewhere than its call expected: to the guest address in R8D. */
  .globl vx_runtime_return_miss
vx_runtime_return_miss:
  movl %r8d, %r8d
  movl (%r14,%r8,4), %r9d
  leaq (%r9,%r13), %r9
  jmp *%r9

leave_with_eip:
  movl %r8d, VX_CTX_EIP(%r12)

/* The signal handler comes here too, with EIP and REASON set. */
  .globl vx_runtime_leave
vx_runtime_leave:
  movq %rsp, VX_CTX_RETURN_STACK(%r12)
  movq VX_CTX_HOST_RSP(%r12), %rsp
  movl %eax, VX_CTX_GPR+0(%r12)
  movl %ecx, VX_CTX_GPR+4(%r12)
  movl %edx, VX_CTX_GPR+8(%r12)
  movl %ebx, VX_CTX_GPR+12(%r12)
  movl %r15d, VX_CTX_GPR+16(%r12)
  movl %ebp, VX_CTX_GPR+20(%r12)
  movl %esi, VX_CTX_GPR+24(%r12)
  movl %edi, VX_CTX_GPR+28(%r12)
  pushfq
  popq %rax
  cld
  movl %eax, VX_CTX_EFLAGS(%r12)
  movups %xmm0, VX_CTX_XMM+0(%r12)
  movups %xmm1, VX_CTX_XMM+16(%r12)
  movups %xmm2, VX_CTX_XMM+32(%r12)
  movups %xmm3, VX_CTX_XMM+48(%r12)
  movups %xmm4, VX_CTX_XMM+64(%r12)
  movups %xmm5, VX_CTX_XMM+80(%r12)
  movups %xmm6, VX_CTX_XMM+96(%r12)
  movups %xmm7, VX_CTX_XMM+112(%r12)
  stmxcsr VX_CTX_MXCSR(%r12)
  ldmxcsr VX_CTX_HOST_MXCSR(%r12)
  cmpl $0, VX_CTX_USES_X87(%r12)
  je 1f
  fxsave64 VX_CTX_FXSAVE(%r12)
  fninit
1:
  movl VX_CTX_REASON(%r12), %eax
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret

/* uint32_t enter(Context*): runs translated code at Context::resume until something makes it leave,
 * and tells why. */
  .globl vx_runtime_enter
vx_runtime_enter:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rdi, %r12
  movq %rsp, VX_CTX_HOST_RSP(%r12)
  stmxcsr VX_CTX_HOST_MXCSR(%r12)
  movq VX_CTX_CODE(%r12), %r13
  movq VX_CTX_ENTRIES(%r12), %r14
/* From here to the end a signal that wants to stop the run sends control to vx_runtime_bail. */
  .globl vx_runtime_entering
vx_runtime_entering:
  cmpl $0, VX_CTX_STOP(%r12)
  jne vx_runtime_bail
  cmpl $0, VX_CTX_USES_X87(%r12)
  je 1f
  fxrstor64 VX_CTX_FXSAVE(%r12)
1:
  movups VX_CTX_XMM+0(%r12), %xmm0
  movups VX_CTX_XMM+16(%r12), %xmm1
  movups VX_CTX_XMM+32(%r12), %xmm2
  movups VX_CTX_XMM+48(%r12), %xmm3
  movups VX_CTX_XMM+64(%r12), %xmm4
  movups VX_CTX_XMM+80(%r12), %xmm5
  movups VX_CTX_XMM+96(%r12), %xmm6
  movups VX_CTX_XMM+112(%r12), %xmm7
  ldmxcsr VX_CTX_MXCSR(%r12)
  movl VX_CTX_EFLAGS(%r12), %eax
  pushq %rax
  popfq
  movl VX_CTX_GPR+0(%r12), %eax
  movl VX_CTX_GPR+4(%r12), %ecx
  movl VX_CTX_GPR+8(%r12), %edx
  movl VX_CTX_GPR+12(%r12), %ebx
  movl VX_CTX_GPR+16(%r12), %r15d
  movl VX_CTX_GPR+20(%r12), %ebp
  movl VX_CTX_GPR+24(%r12), %esi
  movl VX_CTX_GPR+28(%r12), %edi
  movq VX_CTX_RETURN_STACK(%r12), %rsp
  jmp *VX_CTX_RESUME(%r12)
  .globl vx_runtime_entered
vx_runtime_entered:

/* Back at once: the context already has all that the guest's state is. */
  .globl vx_runtime_bail
vx_runtime_bail:
  movq VX_CTX_HOST_RSP(%r12), %rsp
  cld
  ldmxcsr VX_CTX_HOST_MXCSR(%r12)
  cmpl $0, VX_CTX_USES_X87(%r12)
  je 1f
  fninit
1:
  movl $VX_LEFT_STOPPED, %eax
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret

/* REP MOVS, REP STOS and REPE CMPS, for which CPUs are slow where the count is small or DF is set, and which
 * reach no memory at the GS base. Called by translated code; all of the guest's state but ESI, EDI
 * and ECX stays. They work in pieces of up to 16 bytes, each of which reads before it writes, and
 * leave the registers at each piece's end as the instruction would after so many iterations: where a
 * piece faults, the interpreter goes on from there. MOVS and STOS take their iterations from the budget.
 *
 * R11 holds EFLAGS and R9B the flag OF meanwhile. */

/* Saves the flags. */
.macro save_flags
  seto %r9b
  pushfq
  popq %r11
.endm

/* Takes a unit for each iteration, or leaves all to the interpreter if there are too few. */
.macro pay
  movl %ecx, %r10d
  cmpq %r10, VX_CTX_BUDGET(%r12)
  jl vx_runtime_helper_bails
  subq %r10, VX_CTX_BUDGET(%r12)
.endm

/* Goes to `backward` if DF is set. */
.macro branch_on_direction backward
  testl $0x400, %r11d
  jnz \backward
.endm

.macro restore_flags_and_return
  movl %eax, %r10d
  movl %r11d, %eax
  movb %al, %ah
  addb $0x7f, %r9b
  sahf
  movl %r10d, %eax
  ret
.endm

/* Copies `bytes` bytes through `register` from and to `at`(ESI), `at`(EDI), and moves on. */
.macro piece seg, load, register, bytes, items, at, advance
  \load \seg\at(%esi), \register
  .ifc \load,movzwl
  movw %r10w, \seg\at(%edi)
  .else
  .ifc \load,movzbl
  movb %r10b, \seg\at(%edi)
  .else
  \load \register, \seg\at(%edi)
  .endif
  .endif
  \advance $\bytes, %esi
  \advance $\bytes, %edi
  subl $\items, %ecx
.endm

/* REP MOVS of items of `size` bytes. */
.macro rep_movs name, seg, size, native
  .globl \name
\name:
  save_flags
  pay
  branch_on_direction 20f
  /* Up: a piece may not write what a later byte of it is to read. */
  movl %edi, %r10d
  subl %esi, %r10d
  cmpl $16, %r10d
  jb 30f
  .if \native
  cmpl $1024/\size, %ecx
  jae 31f
  .endif
10:
  cmpl $16/\size, %ecx
  jb 11f
  piece \seg, movups, %xmm8, 16, 16/\size, , addl
  jmp 10b
11:
  testl $8/\size, %ecx
  jz 12f
  piece \seg, movq, %xmm8, 8, 8/\size, , addl
12:
  testl $4/\size, %ecx
  jz 13f
  piece \seg, movd, %xmm8, 4, 4/\size, , addl
13:
  .if \size == 1
  testl $2, %ecx
  jz 14f
  piece \seg, movzwl, %r10d, 2, 2, , addl
14:
  testl $1, %ecx
  jz 15f
  piece \seg, movzbl, %r10d, 1, 1, , addl
15:
  .endif
  restore_flags_and_return
20: /* Down: ESI and EDI point at the last item. */
  movl %esi, %r10d
  subl %edi, %r10d
  cmpl $16, %r10d
  jb 40f
21:
  cmpl $16/\size, %ecx
  jb 22f
  piece \seg, movups, %xmm8, 16, 16/\size, \size-16, subl
  jmp 21b
22:
  testl $8/\size, %ecx
  jz 23f
  piece \seg, movq, %xmm8, 8, 8/\size, \size-8, subl
23:
  testl $4/\size, %ecx
  jz 24f
  piece \seg, movd, %xmm8, 4, 4/\size, \size-4, subl
24:
  .if \size == 1
  testl $2, %ecx
  jz 25f
  piece \seg, movzwl, %r10d, 2, 2, -1, subl
25:
  testl $1, %ecx
  jz 26f
  piece \seg, movzbl, %r10d, 1, 1, , subl
26:
  .endif
  restore_flags_and_return
30: /* Up, an item at a time. */
  testl %ecx, %ecx
  jz 41f
  .if \size == 1
  piece \seg, movzbl, %r10d, 1, 1, , addl
  .else
  piece \seg, movd, %xmm8, 4, 1, , addl
  .endif
  jmp 30b
40: /* Down, an item at a time. */
  testl %ecx, %ecx
  jz 41f
  .if \size == 1
  piece \seg, movzbl, %r10d, 1, 1, , subl
  .else
  piece \seg, movd, %xmm8, 4, 1, , subl
  .endif
  jmp 40b
41:
  restore_flags_and_return
  .if \native
31:
  .if \size == 1
  addr32 rep movsb
  .else
  addr32 rep movsl
  .endif
  restore_flags_and_return
  .endif
.endm

.macro store seg, store, register, bytes, items
  \store \register, \seg(%edi)
  addl $\bytes, %edi
  subl $\items, %ecx
.endm

/* REP STOS of items of `size` bytes. */
.macro rep_stos name, seg, size, native
  .globl \name
\name:
  save_flags
  pay
  branch_on_direction 20f
  .if \native
  cmpl $1024/\size, %ecx
  jae 31f
  .endif
  .if \size == 1
  movzbl %al, %r10d
  imull $0x01010101, %r10d, %r10d
  movd %r10d, %xmm8
  .else
  movd %eax, %xmm8
  .endif
  pshufd $0, %xmm8, %xmm8
10:
  cmpl $16/\size, %ecx
  jb 11f
  store \seg, movups, %xmm8, 16, 16/\size
  jmp 10b
11:
  testl $8/\size, %ecx
  jz 12f
  store \seg, movq, %xmm8, 8, 8/\size
12:
  testl $4/\size, %ecx
  jz 13f
  store \seg, movd, %xmm8, 4, 4/\size
13:
  .if \size == 1
  testl $2, %ecx
  jz 14f
  store \seg, movw, %r10w, 2, 2
14:
  testl $1, %ecx
  jz 15f
  store \seg, movb, %r10b, 1, 1
15:
  .endif
  restore_flags_and_return
20: /* Down. */
  testl %ecx, %ecx
  jz 22f
  .if \size == 1
  movb %al, \seg(%edi)
  .else
  movl %eax, \seg(%edi)
  .endif
  subl $\size, %edi
  subl $1, %ecx
  jmp 20b
22:
  restore_flags_and_return
  .if \native
31:
  .if \size == 1
  addr32 rep stosb
  .else
  addr32 rep stosl
  .endif
  restore_flags_and_return
  .endif
.endm

/* REPE CMPS of items of `size` bytes. Between iterations the flags are those of equal operands. */
.macro rep_cmps name, seg, size
  .globl \name
\name:
  jecxz 8f
  jmp 9f
8:
  ret  /* no iteration: the flags stay */
9:
  save_flags
  branch_on_direction 20f
10:
  cmpl $8/\size, %ecx
  jb 11f
  movq \seg(%esi), %r10
  cmpq \seg(%edi), %r10
  jne 11f
  addl $8, %esi
  addl $8, %edi
  orl $0x44, %r11d
  andl $~0x891, %r11d
  subl $8/\size, %ecx
  jnz 10b
  movl %r10d, %r9d
  jmp 30f
11:
  .if \size == 1
  movzbl \seg(%esi), %r10d
  movzbl \seg(%edi), %r9d
  .else
  movl \seg(%esi), %r10d
  movl \seg(%edi), %r9d
  .endif
  addl $\size, %esi
  addl $\size, %edi
  subl $1, %ecx
  jz 30f
  cmpl %r9d, %r10d
  jne 30f
  orl $0x44, %r11d
  andl $~0x891, %r11d
  jmp 10b
20: /* Down. */
  .if \size == 1
  movzbl \seg(%esi), %r10d
  movzbl \seg(%edi), %r9d
  .else
  movl \seg(%esi), %r10d
  movl \seg(%edi), %r9d
  .endif
  subl $\size, %esi
  subl $\size, %edi
  subl $1, %ecx
  jz 30f
  cmpl %r9d, %r10d
  jne 30f
  orl $0x44, %r11d
  andl $~0x891, %r11d
  jmp 20b
30: /* The flags of the last comparison. */
  .if \size == 1
  cmpb %r9b, %r10b
  .else
  cmpl %r9d, %r10d
  .endif
  ret
.endm

vx_runtime_helper_bails:
  movl %r11d, VX_CTX_HELPER_FLAGS(%r12)
  movl $VX_LEFT_HELPER, VX_CTX_REASON(%r12)
  jmp vx_runtime_leave

  .globl vx_runtime_helpers
vx_runtime_helpers:
  rep_movs vx_runtime_movsb, , 1, 1
  rep_movs vx_runtime_movsd, , 4, 1
  rep_stos vx_runtime_stosb, , 1, 1
  rep_stos vx_runtime_stosd, , 4, 1
  rep_cmps vx_runtime_cmpsb, , 1
  rep_cmps vx_runtime_cmpsd, , 4
  rep_movs vx_runtime_movsb_shared, %gs:, 1, 0
  rep_movs vx_runtime_movsd_shared, %gs:, 4, 0
  rep_stos vx_runtime_stosb_shared, %gs:, 1, 0
  rep_stos vx_runtime_stosd_shared, %gs:, 4, 0
  rep_cmps vx_runtime_cmpsb_shared, %gs:, 1
  rep_cmps vx_runtime_cmpsd_shared, %gs:, 4

  .globl vx_runtime_end
vx_runtime_end:
  .section .note.GNU-stack, "", @progbits
