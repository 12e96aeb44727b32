/* The entry point. ESP is 16-byte aligned and points at argc; it is so again where start() is called. */
        .text
        .globl  _start
        .type   _start, @function
_start:
        movl    %esp, %eax
        subl    $12, %esp
        pushl   %eax
        call    vx_start
        .size   _start, . - _start

        .section .note.GNU-stack, "", @progbits
