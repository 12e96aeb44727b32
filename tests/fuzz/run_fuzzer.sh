#!/usr/bin/env bash
# Runs a fuzzer as a test: run_fuzzer.sh FUZZER [OPTION…] -- SEED…
#
# Always the same inputs (-seed=1), so that a failure is the change's and not the day's. Each input must be tried, the
# seeds first. What fails is in the test's outputs (bazel-testlogs/…/test.outputs), and its bytes in the log.
set -euo pipefail
options=()
while [ "$1" != -- ]; do
  options+=("$1")
  shift
done
shift
corpus=$TEST_TMPDIR/corpus
mkdir -p "$corpus"
cp -L "$@" "$corpus"
exec "${options[@]}" -seed=1 -artifact_prefix="$TEST_UNDECLARED_OUTPUTS_DIR/" -print_final_stats=1 "$corpus"
