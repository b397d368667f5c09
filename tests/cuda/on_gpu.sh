#!/usr/bin/env bash
# on_gpu.sh BUILD_FOLDER: the tests of the CUDA kernels on this machine's GPU, then once more, kernel
# tests only, under compute-sanitizer where the toolkit has it. Without nvcc or a GPU it says so and
# ends well: the emulated tests of `make test` are what such a machine can do.
set -u
program=$1/serenade_tests_gpu
if [ ! -x "$program" ]; then
  echo "test-gpu: skipped: this build has no CUDA (no nvcc or no GPU was found, or SERENADE_CUDA=OFF)"
  exit 0
fi
"$program"
status=$?
if [ $status -eq 77 ]; then
  echo "test-gpu: nothing was run"
  exit 0
fi
[ $status -eq 0 ] || exit $status
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -z "$sanitizer" ]; then
  echo "test-gpu: compute-sanitizer was not found; memcheck and racecheck were not run"
  exit 0
fi
for tool in memcheck racecheck; do
  echo "test-gpu: compute-sanitizer $tool"
  "$sanitizer" --tool $tool --error-exitcode 1 "$program" --test-case="cuda *" || exit 1
done
