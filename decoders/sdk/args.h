/* A program's arguments, as its VX_NOTE declares them: nothing else is taken, so that the note
 * can't be wrong. */
#ifndef DECODERS_SDK_ARGS_H_
#define DECODERS_SDK_ARGS_H_

#include "decoders/sdk/vx.h"

/* Ends the guest with status 2 and `decoder: unknown argument X; takes ...` unless each of main()'s
 * arguments is a `parameter` or `preview` of VX_NOTE, which stands before, and given once. */
#define VX_CHECK_ARGUMENTS(decoder, argv) \
  vx_check_arguments(decoder, argv, vx_note.text, vx_note.text_size)

__attribute__((cold)) void vx_check_arguments(const char* decoder, char** argv, const char* note,
                                              unsigned note_size);

/* What was given as `name`, "--scale" of "--scale=2": the value "2", "" if there is none, NULL if
 * `name` wasn't given. */
const char* vx_argument(char** argv, const char* name);

/* The same as a number: 0 if it wasn't given. REQUIRES: the arguments have been checked, and `name`
 * takes numbers. */
unsigned long long vx_argument_number(char** argv, const char* name);

/* The first `size` > 0 bytes of the input, which `--dictionary=N` says are no part of what is to be
 * decoded, in memory that malloc() gave; ends the guest with status 1 if there are fewer, or it is
 * larger than this. */
#define VX_LARGEST_DICTIONARY (128u << 20)
unsigned char* vx_read_dictionary(const char* decoder, unsigned long long size);

#endif /* DECODERS_SDK_ARGS_H_ */
