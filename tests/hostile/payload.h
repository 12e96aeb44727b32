/* What the test tells the payload, which is host code in a breached worker, to do: an Order, read
 * by the guest to the address PAYLOAD_ORDER before it jumps to the hatch. */
#ifndef TESTS_HOSTILE_PAYLOAD_H_
#define TESTS_HOSTILE_PAYLOAD_H_

#include <stdint.h>

#define PAYLOAD_ORDER 0x08100000 /* in the guest's data, which has host addresses too */
#define PAYLOAD_STACK_TOP 0x08110000

enum PayloadAct {
  PAYLOAD_CALL,       /* make the system call; write its result to descriptor 1; exit(0) */
  PAYLOAD_INT80,      /* the same by INT 0x80 */
  PAYLOAD_STACK,      /* write the host's stack to descriptor 1, page by page, up to its end */
  PAYLOAD_HEAP,       /* the same of the heap, down from the break */
  PAYLOAD_GRAB,       /* map memory until there is none; write how much in MiB to descriptor 1 */
  PAYLOAD_TAMPER,     /* overwrite all code up to this with INT3; write 0; spin */
  PAYLOAD_WRITE_CODE, /* write to code as it is */
  PAYLOAD_RUN_DATA,   /* run bytes of the guest's memory */
  PAYLOAD_REPORT,     /* write the text to descriptor 2, as a report; exit(0) */
  PAYLOAD_BABBLE,     /* write the text to descriptor 1 for ever */
  PAYLOAD_SPIN
};

struct PayloadOrder {
  uint64_t act;
  int64_t number;
  uint64_t arguments[6];
  char text[512]; /* for calls that want one */
};

#endif /* TESTS_HOSTILE_PAYLOAD_H_ */
