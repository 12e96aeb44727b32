/* The VX ABI, version 1, as constants: what a guest may assume of the sandbox, forever.
 *
 * A guest is a static 32-bit x86 ELF program that reads encoded bytes on descriptor 0, writes
 * decoded bytes on descriptor 1 and diagnostics on descriptor 2, and exits. It is the ABI of MIT's
 * vx32 (Ford & Cox, "Vx32: Lightweight User-level Sandboxing on the x86", USENIX ATC 2008) cut down
 * to four calls.
 *
 * A call is the instruction SYSCALL (0F 05): number in EAX; arguments in EDX, ECX, EBX, EDI, ESI;
 * the result comes back in EAX, a negative VX_E* number on failure. All other state is kept, ECX
 * too (unlike on hardware), and XMM, x87 and DF.
 *
 * This header is plain C without includes, so that guests, whatever their C library, and the host
 * share it.
 */
#ifndef VXENGINE_ABI_H_
#define VXENGINE_ABI_H_

/* exit(status): does not return. All 32 bits of status count. Zero is necessary but never
 * sufficient for a successful decode: length and digest of the output decide. */
#define VX_CALL_EXIT 1

/* brk(new_break): moves the end of the heap, to any alignment. 0, or -VX_ENOMEM and no change above
 * the ceiling. Below the initial break: 0 and no change. Shrinking unmaps whole pages, which read
 * as zero if they come back; bytes in the page that is kept stay.
 *
 * The heap starts at the initial break, the page behind the highest segment, with nothing mapped. A
 * run's memory limit (default 1 GiB) bounds segments, stack and heap together, in whole pages: the
 * ceiling is the initial break plus what the image and its stack leave of the limit, but
 * VX_HIGHEST_ADDRESS at most. An image that passes the limit with its stack alone is not started.
 * The ceiling doesn't depend on the host's memory: where that runs short, the guest is ended. */
#define VX_CALL_BRK 2

/* read(fd, buffer, length): bytes read; fewer than length only where the input ends, 0 at its end.
 */
#define VX_CALL_READ 3

/* write(fd, buffer, length): length, always. A host that can't take the bytes ends the guest. */
#define VX_CALL_WRITE 4

/* read and write check in this order: the descriptor (-VX_EBADF: read takes 0 only, write 1 and 2),
 * then length > VX_MAX_TRANSFER (-VX_EINVAL), then zero length gives 0 with the buffer unchecked,
 * then the whole buffer for access (-VX_EFAULT and nothing moved; a wrap past 4 GiB is a fault). */
#define VX_MAX_TRANSFER 0x7fffffff

#define VX_EBADF 9
#define VX_ENOMEM 12
#define VX_EFAULT 14
#define VX_EINVAL 22
#define VX_ENOSYS 38 /* any other call number */

#define VX_FD_INPUT 0
#define VX_FD_OUTPUT 1
#define VX_FD_DIAGNOSTICS 2

/* Of what a guest writes to descriptor 2, this many bytes are kept; the rest is swallowed. */
#define VX_DIAGNOSTICS_KEPT 0x10000

/* Everything an image maps lies in [VX_LOWEST_ADDRESS, VX_HIGHEST_ADDRESS), so that every wrap
 * faults. */
#define VX_PAGE_SIZE 0x1000
#define VX_LOWEST_ADDRESS 0x10000
#define VX_HIGHEST_ADDRESS 0xffff0000

#define VX_MAX_PROGRAM_HEADERS 32

/* The stack ends at the lowest segment's page and is min(VX_STACK_SIZE, that page -
 * VX_LOWEST_ADDRESS) bytes; an image that leaves less than VX_STACK_MIN is refused. */
#define VX_STACK_SIZE 0x800000
#define VX_STACK_MIN 0x10000

/* argv[0] is VX_ARGV0; the decode's parameters follow, at most VX_ARGUMENTS_MAX bytes with their
 * NULs. */
#define VX_ARGV0 "vx"
#define VX_ARGUMENTS_MAX 0x10000

/* Registers at the start: EIP = the entry point, ESP 16-byte aligned and pointing at argc, the
 * other general registers 0, EFLAGS as PUSHF shows it, x87 as after FNINIT with its registers zero,
 * XMM zero. */
#define VX_INITIAL_EFLAGS 0x202
#define VX_INITIAL_MXCSR 0x1f80
#define VX_INITIAL_FCW 0x37f

#endif /* VXENGINE_ABI_H_ */
