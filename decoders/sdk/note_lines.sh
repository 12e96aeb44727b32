#!/bin/sh
# The lines of a program's note that the build knows: note_lines.sh KIT-VERSION COMPILER PROVENANCE...
# The compiler is gcc or clang; the files are what debian_source.bzl says of sources.
set -eu
kit=$1
case $("$2" --version) in
  *clang*) compiler="clang $("$2" -dumpversion)" ;;
  *) compiler="gcc $("$2" -dumpfullversion)" ;;
esac
shift 2
cat /dev/null "$@"
echo "kit: vxa $kit"
echo "compiler: $compiler, binutils $(ld --version | sed -n '1s/.* //p')"
