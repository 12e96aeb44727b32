#!/bin/sh
# The lines of a program's note that the build knows: note_lines.sh KIT-VERSION COMPILER... -- PROVENANCE...
# A compiler is gcc, clang or nasm; the files are what debian_source.bzl says of sources.
set -eu
kit=$1
shift
compilers=
while [ "$1" != -- ]; do
  case $("$1" --version) in
    *clang*) compiler="clang $("$1" -dumpversion)" ;;
    NASM*) compiler="nasm $("$1" --version | sed 's/NASM version \([^ ]*\).*/\1/;q')" ;;
    *) compiler="gcc $("$1" -dumpfullversion)" ;;
  esac
  compilers="$compilers$compiler, "
  shift
done
shift
cat /dev/null "$@"
echo "kit: vxa $kit"
echo "compiler: ${compilers}binutils $(ld --version | sed -n '1s/.* //p')"
