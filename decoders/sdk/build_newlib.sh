#!/usr/bin/env bash
# Builds newlib for guests: build_newlib.sh CONFIGURE LIBC_A LIBM_A INCLUDE_DIR FLAG...
# The archives hold no trace of where they were built.
set -euo pipefail
root=$PWD
configure=$root/$1 libc=$root/$2 libm=$root/$3 include=$root/$4
shift 4

build=$(mktemp -d "$root/newlib.XXXXXX")
trap 'rm -rf "$build"' EXIT
cd "$build"
source=${configure%/*}
cc="gcc $* -ffile-prefix-map=$source=newlib -ffile-prefix-map=$build=build"

# What is off: system calls of its own (ours are in the SDK), threads, wide stdio, and what makes small guests
# large. i686-elf is newlib's name for a bare x86.
{
  "$configure" --host=i686-elf --build=x86_64-linux-gnu --prefix="$build/out" \
    --disable-multilib --disable-newlib-supplied-syscalls --disable-newlib-multithread \
    --enable-newlib-io-long-long --enable-newlib-io-c99-formats \
    --disable-newlib-wide-orient --disable-newlib-unbuf-stream-opt \
    --enable-newlib-global-atexit --disable-newlib-atexit-dynamic-alloc --enable-lite-exit \
    --disable-newlib-fvwrite-in-streamio \
    CC="$cc" CFLAGS=-O2 AS="gcc -m32 -c" CCAS="$cc" AR=ar RANLIB=ranlib
  make -j2
  make install
} > log 2>&1 || {
  tail -n 40 log >&2
  exit 1
}

cp out/i686-elf/lib/libc.a "$libc"
cp out/i686-elf/lib/libm.a "$libm"
# The SDK has its own (memmove.c). Where libc's is the first to call it, the linker would take libc's.
ar dD "$libc" lib_a-memmove.o
if nm "$libc" 2> /dev/null | grep ' T memmove$' >&2; then
  echo "newlib's memmove is still in libc.a" >&2
  exit 1
fi
mkdir -p "$include"
cp -R out/i686-elf/include/. "$include"
if grep -aqF "$root" "$libc" "$libm"; then
  echo "newlib's archives contain the path of their build, $root" >&2
  exit 1
fi
