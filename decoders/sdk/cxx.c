/* What C++ code without exceptions and RTTI wants at run time, under the names that compilers (and
 * gcc 12's library) mangle. Memory that is out, and what would throw, ends the guest as abort()
 * does. Destructors of static objects don't run: a guest ends, and all that is its own with it. */
#include <stddef.h>
#include <stdlib.h>

/* operator new and new[] */
void* _Znwj(size_t size) {
  void* memory = malloc(size != 0 ? size : 1);
  if (memory == NULL) abort();
  return memory;
}
void* _Znaj(size_t size) { return _Znwj(size); }

/* operator delete and delete[], and both with a size */
void _ZdlPv(void* memory) { free(memory); }
void _ZdaPv(void* memory) { free(memory); }
void _ZdlPvj(void* memory, size_t size) { free(memory); }
void _ZdaPvj(void* memory, size_t size) { free(memory); }

void* __dso_handle;
int __cxa_atexit(void (*destructor)(void*), void* object, void* dso) { return 0; }

/* Compilers guard static objects of functions where -fno-threadsafe-statics isn't given. */
int __cxa_guard_acquire(long long* guard) { return *(char*)guard == 0; }
void __cxa_guard_release(long long* guard) { *(char*)guard = 1; }

_Noreturn void __cxa_pure_virtual(void) { abort(); }
_Noreturn void __cxa_deleted_virtual(void) { abort(); }

/* What gcc's library calls instead of throwing. */
_Noreturn void _ZSt20__throw_length_errorPKc(const char* what) { abort(); }
_Noreturn void _ZSt19__throw_logic_errorPKc(const char* what) { abort(); }
_Noreturn void _ZSt20__throw_out_of_rangePKc(const char* what) { abort(); }
_Noreturn void _ZSt24__throw_out_of_range_fmtPKcz(const char* format, ...) { abort(); }
_Noreturn void _ZSt24__throw_invalid_argumentPKc(const char* what) { abort(); }
_Noreturn void _ZSt17__throw_bad_allocv(void) { abort(); }
_Noreturn void _ZSt28__throw_bad_array_new_lengthv(void) { abort(); }
_Noreturn void _ZSt25__throw_bad_function_callv(void) { abort(); }
