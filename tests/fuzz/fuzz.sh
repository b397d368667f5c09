#!/usr/bin/env bash
# Fuzzes every target, two at a time, and says how far each got.
#
#   bash tests/fuzz/fuzz.sh BUILD_DIR [RUNS [TARGET,..]]
#
# BUILD_DIR holds serenade_fuzz (make fuzz). RUNS: inputs per target, 50,000 if not given; no target
# takes longer than LIMIT seconds (3,600). MAX_LEN: bytes of an input at most (16,384). SEED: where the
# random inputs begin, another place every time if not given. What was found to lead somewhere new is
# kept in BUILD_DIR/corpus/TARGET and is where the next call begins; what breaks the program is written
# to BUILD_DIR/found/TARGET-*, named in a line FAIL: .., and makes the exit code 1.
set -u
here=$(dirname "$(realpath "$0")")
build=$(realpath "${1:?usage: tests/fuzz/fuzz.sh BUILD_DIR [RUNS [TARGET,..]]}")
export fuzz=$build/serenade_fuzz build golden=$here/../golden crashes=$here/crashes
export runs=${2:-50000} limit=${LIMIT:-3600} seed=${SEED:-0}
[ -x "$fuzz" ] || { echo "FAIL: no program $fuzz; \`make fuzz\` builds it"; exit 1; }
targets=${3:-$(cd "$here/targets" && printf '%s\n' *.cpp | sed 's/\.cpp$//' | paste -sd ,)}
[ -w /dev/shm ] && export TMPDIR=/dev/shm  # the inputs become files, many a second
export OMP_NUM_THREADS=1 ASAN_OPTIONS=allocator_may_return_null=1:detect_odr_violation=0
# Millions of inputs take long: short traces, little freed memory kept, stack frames not watched
# once a function has returned.
[ "$runs" -le 1000000 ] ||
  ASAN_OPTIONS+=:malloc_context_size=2:quarantine_size_mb=16:detect_stack_use_after_return=0
mkdir -p "$build/found"

options() {  # options TARGET: what libFuzzer may give it
  case $1 in
    ops) echo -max_len=200 -malloc_limit_mb=100000000 -timeout=60 ;; # sizes that no machine has are refused
    command_line) echo -max_len=400 -malloc_limit_mb=1000 -timeout=60 ;;
    *) echo -max_len=${MAX_LEN:-16384} -malloc_limit_mb=200 -timeout=20 ;;
  esac
}

fuzz_one() {
  local target=$1 corpus=$build/corpus/$1 seeds=$build/seeds/$1 log=$build/found/$1.log code words=()
  mkdir -p "$corpus" "$seeds"
  "$fuzz" --target="$target" --write-seeds="$seeds" >"$log" 2>&1 ||
    { echo "FAIL: $target: no seeds: $(tail -n 1 "$log")"; return; }
  [ "$target" = safetensors ] && find "$golden" -name '*.safetensors' -size -8k -exec cp {} "$seeds" \;
  [ -d "$crashes/$target" ] && cp "$crashes/$target"/* "$seeds"
  [ ! -s "$seeds.words" ] || words=("-dict=$seeds.words") # an empty one would be refused
  # shellcheck disable=SC2046
  "$fuzz" --target="$target" -seed="$seed" -runs="$runs" -max_total_time="$limit" $(options "$target") \
    "${words[@]}" -rss_limit_mb=3000 -print_final_stats=1 -artifact_prefix="$build/found/$target-" \
    "$corpus" "$seeds" >"$log" 2>&1
  code=$?
  if [ $code -ne 0 ]; then
    echo "FAIL: $target: exit code $code: $(grep -aE 'FAULT|ERROR|runtime error|terminate' "$log" |
      head -n 1 | cut -c 1-300); see $log"
  fi
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, coverage" \
    "$(grep -ao 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1), $(find "$corpus" -type f | wc -l) kept," \
    "most memory $(sed -n 's/^stat::peak_rss_mb: *//p' "$log") MB"
}
export -f fuzz_one options
tr ',' '\n' <<<"$targets" | xargs -P "${JOBS:-2}" -I{} bash -c 'fuzz_one {}' | tee "$build/found/summary"
! grep -q '^FAIL:' "$build/found/summary"
