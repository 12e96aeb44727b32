/* What decoders get beside the C library. */
#ifndef DECODERS_SDK_VX_H_
#define DECODERS_SDK_VX_H_

#include "vxengine/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the system call `number` (VX_CALL_*; others too, which give -VX_ENOSYS) and returns what it
 * returns: a negative VX_E* number on failure. The C library's read(), write(), sbrk() and _exit()
 * are built on it. */
int vx_call(int number, unsigned edx, unsigned ecx, unsigned ebx);

/* Says `decoder: why, at byte N of the input` on the diagnostics descriptor and ends the guest with
 * status 1. Small: it needs neither stdio nor the heap. Flush the output before, so that what was
 * decoded correctly is kept. */
__attribute__((noreturn)) void vx_fail_at(const char* decoder, const char* why,
                                          unsigned long long offset);

/* Says `decoder: why` and ends the guest with `status`. */
__attribute__((noreturn)) void vx_fail(const char* decoder, const char* why, int status);

/* What a decoder says of itself, in a note of its ELF file (type VX_NOTE_TYPE, name "VXA") for
 * people and servers: lines of UTF-8, `key: value`, whose keys decoders/README.md lists. At file
 * scope:
 *
 *   VX_NOTE("output: audio/wav .wav\n"
 *           "parameter: --float; 32-bit floating-point samples\n");
 *
 * The build adds lines of its own, in another note, about where the program comes from. */
#ifndef __cplusplus
#define VX_NOTE(lines)                                                          \
  __attribute__((section(".note.vxa"), aligned(4), used)) static const struct { \
    unsigned name_size, text_size, type;                                        \
    char name[4], text[(sizeof(lines) + 2) / 4 * 4];                            \
  } vx_note = {sizeof "VXA", sizeof(lines) - 1, VX_NOTE_TYPE, "VXA", lines}
#else
#define VX_NOTE(lines)                                                                           \
  __attribute__((section(".note.vxa"), aligned(4), used)) static constexpr VxNote<sizeof(lines)> \
  vx_note(lines)
#endif
#define VX_NOTE_TYPE 1

#ifdef __cplusplus
}

template <unsigned kSize>
struct VxNote {
  unsigned name_size = sizeof "VXA", text_size = kSize - 1, type = VX_NOTE_TYPE;
  char name[4] = "VXA", text[(kSize + 2) / 4 * 4] = {};
  constexpr VxNote(const char (&lines)[kSize]) {
    for (unsigned i = 0; i < kSize - 1; ++i) text[i] = lines[i];
  }
};
#endif

#endif /* DECODERS_SDK_VX_H_ */
