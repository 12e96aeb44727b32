/* What the tests and native_oracle say to each other over pipes, and the addresses that both sides
 * and the guest images share. Plain C: native_oracle is a 32-bit program without a C library.
 *
 * To the oracle: a 32-bit count, then as many OracleCase. Back: as many OracleResult. Host byte
 * order (both ends run on the same x86). The oracle ends when its input ends.
 */
#ifndef VXENGINE_CONFORMANCE_ORACLE_PROTOCOL_H_
#define VXENGINE_CONFORMANCE_ORACLE_PROTOCOL_H_

#include <stdint.h>

/* Code under test: readable and executable, nothing mapped behind it. Cases of one batch get a slot
 * each. */
#define ORACLE_CODE 0x30000000u
#define ORACLE_CODE_SIZE 0x4000u
#define ORACLE_SLOT_SIZE 0x100u
#define ORACLE_BATCH 64u

/* A page with UD2 at its start. Code that ends here has run to its end. */
#define ORACLE_EXIT 0x30008000u

/* Data: readable and writable, nothing mapped on either side. */
#define ORACLE_DATA 0x40000000u
#define ORACLE_DATA_SIZE 0x2000u

/* What the oracle has mapped for itself lies here (its image starts here: see BUILD.bazel). */
#define ORACLE_OWN 0x5c9a3000u
#define ORACLE_OWN_SIZE 0x200000u

/* Under qemu-user, a stack of this size: one that fits below the image only, so that what qemu maps
 * for itself comes below that, far from the data. The oracle unmaps the stack. */
#define ORACLE_QEMU_STACK 0x20000000u
#define ORACLE_QEMU_OWN_SIZE 0x10000u
#define ORACLE_QEMU_OWN (ORACLE_OWN - ORACLE_QEMU_STACK - ORACLE_QEMU_OWN_SIZE)

#define ORACLE_PATCHES 4
#define ORACLE_PATCH_SIZE 32

/* Byte `i` of the data before a case's patches: noise, then runs of equal bytes. */
static inline uint8_t OracleBackground(uint32_t i) {
  return (uint8_t)(i < ORACLE_DATA_SIZE / 2 ? (i * 0x9e3779b1u) >> 23 : i >> 5);
}

struct OraclePatch {
  uint32_t address; /* in the data; the size must fit there */
  uint32_t size;
  uint8_t bytes[ORACLE_PATCH_SIZE];
};

struct OracleCase {
  uint32_t gpr[8]; /* in the order of their encoding */
  uint32_t eflags;
  uint32_t eip;
  uint8_t xmm[8][16];
  uint32_t code_address; /* in the code region, as is all of the code */
  uint32_t code_size;
  uint8_t code[ORACLE_SLOT_SIZE];
  struct OraclePatch patches[ORACLE_PATCHES];
};

enum { ORACLE_TIMED_OUT = 0xff };

struct OracleResult {
  uint32_t gpr[8];
  uint32_t eflags;
  uint32_t eip;
  uint8_t xmm[8][16];
  uint32_t trap; /* the exception's vector (Intel SDM vol. 3, table 6-1), or ORACLE_TIMED_OUT */
  uint32_t error_code; /* as the CPU pushed it */
  uint32_t address;    /* CR2 */
  uint8_t data[ORACLE_DATA_SIZE];
};

#endif /* VXENGINE_CONFORMANCE_ORACLE_PROTOCOL_H_ */
