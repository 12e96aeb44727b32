/* What host_cpu.cc tries: instructions that leave flags undefined, each with a RET behind it. Their
 * operands are EDX and EBX (and EAX, of MUL and DIV), and the count is CL.
 */
  .text

/* void vx_probe_run(uint32_t* state, const void* code): EAX, ECX, EDX, EBX and EFLAGS, from and to
 * `state`. */
  .globl vx_probe_run
vx_probe_run:
  pushq %rbx
  movq %rdi, %r8
  movl 16(%r8), %eax
  movl %eax, %ecx
  shrl $11, %ecx
  andl $1, %ecx
  addb $0x7f, %cl  /* OF */
  movb %al, %ah
  sahf
  movl 0(%r8), %eax
  movl 4(%r8), %ecx
  movl 8(%r8), %edx
  movl 12(%r8), %ebx
  call *%rsi
  movl %eax, 0(%r8)
  movl %ecx, 4(%r8)
  movl %edx, 8(%r8)
  movl %ebx, 12(%r8)
  seto %cl
  lahf
  movzbl %cl, %ecx
  shll $11, %ecx
  movzbl %ah, %eax
  andl $0xd5, %eax
  orl %ecx, %eax
  movl %eax, 16(%r8)
  popq %rbx
  ret

.macro try instruction:vararg
  \instruction
  ret
.endm

.macro try_logic name
  try \name\()b %bl, %dl
  try \name\()w %bx, %dx
  try \name\()l %ebx, %edx
  try \name\()b $0x5a, %dl
  try \name\()w $0x1234, %dx
  try \name\()l $0x12345678, %edx
  try \name\()l $5, %edx
  try \name\()b $0x5a, %al
  try \name\()l $0x12345678, %eax
  try \name\()l %edx, %edx
.endm

/* By 1, too, with a count that is an immediate operand, which assemblers don't write. */
.macro try_shift name, digit
  try .byte 0xc0, 0xc2 + 8 * \digit, 1
  try .byte 0x66, 0xc1, 0xc2 + 8 * \digit, 1
  try .byte 0xc1, 0xc2 + 8 * \digit, 1
  .irp count, 3, 7, 8, 9, 13, 18, 31
  try \name\()b $\count, %dl
  .endr
  .irp count, 7, 9, 15, 16, 17, 21, 31
  try \name\()w $\count, %dx
  .endr
  .irp count, 2, 17, 31
  try \name\()l $\count, %edx
  .endr
  try \name\()b %dl
  try \name\()w %dx
  try \name\()l %edx
  try \name\()b %cl, %dl
  try \name\()w %cl, %dx
  try \name\()l %cl, %edx
.endm

.macro try_double_shift name
  .irp count, 1, 2, 17, 31
  try \name $\count, %ebx, %edx
  .endr
  try \name %cl, %ebx, %edx
.endm

.macro try_unary name
  try \name\()b %bl
  try \name\()w %bx
  try \name\()l %ebx
.endm

.macro try_binary name
  try \name\()w %bx, %dx
  try \name\()l %ebx, %edx
.endm

  .globl vx_probe_begin
vx_probe_begin:
  .irp name, and, or, xor, test
  try_logic \name
  .endr
  try_shift rol, 0
  try_shift ror, 1
  try_shift rcl, 2
  try_shift rcr, 3
  try_shift shl, 4
  try_shift shr, 5
  try_shift sar, 7
  try_double_shift shldl
  try_double_shift shrdl
  .irp name, mul, imul, div, idiv
  try_unary \name
  .endr
  try_binary imul
  try imulw $0x1234, %bx, %dx
  try imull $0x12345678, %ebx, %edx
  try imulw $-3, %bx, %dx
  try imull $-3, %ebx, %edx
  .irp name, bsf, bsr
  try_binary \name
  .endr
  .irp name, bt, bts, btr, btc
  try_binary \name
  try \name\()w $5, %dx
  try \name\()l $5, %edx
  .endr
  .globl vx_probe_end
vx_probe_end:
  .section .note.GNU-stack, "", @progbits
