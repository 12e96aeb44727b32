/* gcc's C++ headers on newlib: they were configured for glibc. */
#include <sys/features.h>
#define __GLIBC_PREREQ(major, minor) 0
