/* What mpg123's configure would make for a decoder that gives 32-bit floating point and is fed with
 * frames, with SSE code.
 */
#ifdef __i386__
#define OPT_SSE 1
#else
#define OPT_X86_64 1
#endif

#define ACCURATE_ROUNDING 1
#define ASMALIGN_BALIGN 1
#define BUILD_NO_LARGENAME 1
#define CCALIGN 1
#define GAPLESS 1
#define HAVE_INTTYPES_H 1
#define HAVE_LIMITS_H 1
#define HAVE_STDINT_H 1
#define HAVE_STDIO_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRERROR 1
#define HAVE_STRINGS_H 1
#define HAVE_STRING_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_UNISTD_H 1
#define IEEE_FLOAT 1
#define NO_16BIT 1
#define NO_32BIT 1
#define NO_8BIT 1
#define NO_DOWNSAMPLE 1
#define NO_EQUALIZER 1
#define NO_ERETURN 1
#define NO_ERRORMSG 1
#define NO_ICY 1
#define NO_ID3V2 1
#define NO_NTOM 1
#define NO_STRING 1
#define NO_WARNING 1
#define PACKAGE_VERSION "1.31.2"
#define REAL_IS_FLOAT 1
#define SIZEOF_INT32_T 4
#define SIZEOF_LONG 4
#define SIZEOF_OFF_T 8
#define SIZEOF_SIZE_T 4
#define SIZEOF_SSIZE_T 4
#define USE_NEW_HUFFTABLE 1

#ifndef __ASSEMBLER__

/* All that is wanted of compat.c, which has no place to find files in. */
#define INT123_compat_close close

/* Nobody would read what it says. */
#include <stdio.h>
#define fprintf(...) ((void)0)
/* LAME's version, of which its reference level follows, which is of no use here. */
#define sscanf(...) 0

#endif
