#!/bin/sh
# The lines of a program's note that the build knows: note_lines.sh KIT-VERSION COMPILER (gcc or clang).
set -eu
case $("$2" --version) in
  *clang*) compiler="clang $("$2" -dumpversion)" ;;
  *) compiler="gcc $("$2" -dumpfullversion)" ;;
esac
echo "kit: vxa $1"
echo "compiler: $compiler, binutils $(ld --version | sed -n '1s/.* //p')"
