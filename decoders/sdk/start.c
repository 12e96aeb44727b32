/* From the entry point to main(). */
#include <stdint.h>
#include <stdlib.h>

int main(int argc, char** argv, char** envp);

extern char** environ;
extern void (*const __init_array_start[])(void);
extern void (*const __init_array_end[])(void);

/* `stack` is argc, then argv with its NULL, then the environment with its own. */
_Noreturn void vx_start(uintptr_t* stack) {
  int argc = (int)stack[0];
  char** argv = (char**)(stack + 1);
  environ = argv + argc + 1;
  for (void (*const* init)(void) = __init_array_start; init != __init_array_end; ++init) (*init)();
  exit(main(argc, argv, environ));
}
