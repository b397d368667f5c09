#!/usr/bin/env bash
# run.sh BUILD_FOLDER PYTHON: make bench-gpu. The table goes to the terminal, the same as JSON to
# BUILD_FOLDER/bench_gpu.json.
program=$1/bench_gpu
if [ ! -x "$program" ]; then
  echo "bench-gpu: skipped: this build has no CUDA (no nvcc or no GPU was found, or SERENADE_CUDA=OFF)"
  exit 0
fi
exec "$program" --python "$2" --json "$1/bench_gpu.json"
