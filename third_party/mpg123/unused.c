/* What the functions in C call for which there is SSE code. */
#include "mpg123lib_intern.h"
/* After it: types. */
#include "third_party/never.h"

NEVER(dct64);
NEVER(dct64_i386);
