/* For functions that a library's parts name, and don't call as its decoder uses them: NEVER(f);
 * after f's declaration stands for it and all behind it. A guest that did call it would end as with
 * abort(). */
#ifndef VXA_THIRD_PARTY_NEVER_H_
#define VXA_THIRD_PARTY_NEVER_H_

#include <stdlib.h>

static _Noreturn void Never(void) { abort(); }

#define NEVER(name) __typeof__(name) name __attribute__((alias("Never")))

#endif
