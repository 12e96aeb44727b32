#!/usr/bin/env bash
# Whether each decoder's NAME.native32, the baseline of benchmarks, is made of the same functions as NAME.vx: all but
# the one that makes system calls.
set -uo pipefail

# "NAME SIZE" of each function; a name may be there twice (static ones).
functions() {
  nm --defined-only --print-size "$1" | awk 'NF == 4 && tolower($3) == "t" && $4 != "vx_call" { print $4, $2 }' | sort
}

failed=0
for guest in decoders/*/*.vx.debug; do
  native=${guest%.vx.debug}.native32
  [ "$(functions "$guest" | wc -l)" -ge 20 ] || { echo "$guest: no functions"; failed=1; }
  diff <(functions "$guest") <(functions "$native") || { echo "$guest and $native differ"; failed=1; }
done
exit "$failed"
