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

  .globl vx_runtime_end
vx_runtime_end:
  .section .note.GNU-stack, "", @progbits
