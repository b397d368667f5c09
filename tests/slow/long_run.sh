#!/usr/bin/env bash
# A long run takes no more memory or files at its end than at its beginning: a thousand training steps
# of every mode on a tiny corpus, with networks of the usual form. After step 1,000 the resident memory
# may be at most 2 % above that after step 128, and the number of open files must be the same.
#
#   bash tests/slow/long_run.sh BUILD_DIR
set -u
build=$(realpath "${1:?usage: tests/slow/long_run.sh BUILD_DIR}")
serenade=$build/serenade
[ -x "$serenade" ] || { echo "FAIL: no program $serenade; build it first"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_NUM_THREADS=1
failed=0

# 32 recordings to train with and a batch of one: 32 steps an epoch, 4 epochs to step 128.
epochs=36 early=4 late=32
"$serenade" corpus make corpus --utterances 1 >log 2>&1 || { echo "FAIL: $(tail -n 1 log)"; exit 1; }
small=(--corpus corpus --cache cache --system CNN_GRU_att --n-fft 640 --bins 32 --hop-length 320
  --segment-frames 80 --segment-minimum 20 --batch-size 1 --direction first --folds 1 --device cpu)

lines() { wc -l 2>/dev/null <"$1/metrics.jsonl" || echo 0; }  # epochs that a run has told of

measure() {  # measure PID FOLDER EPOCHS: "kB files" once that many epochs are over
  until [ "$(lines "$2")" -ge "$3" ]; do
    kill -0 "$1" 2>/dev/null || return 1
    sleep 0.01
  done
  echo "$(awk '/^VmRSS/ { print $2 }' "/proc/$1/status" 2>/dev/null) $(ls "/proc/$1/fd" 2>/dev/null | wc -l)"
}

for mode in none dropout sampling joint random; do
  command=(search --strategy $mode --search-epochs $epochs --trials 1)
  [ $mode = none ] && command=(train)
  "$serenade" "${command[@]}" "${small[@]}" --epochs $epochs --out $mode >"$mode.log" 2>&1 &
  pid=$!
  read -r first first_files < <(measure $pid $mode $early)
  read -r last last_files < <(measure $pid $mode $late)
  kill $pid 2>/dev/null
  wait $pid 2>/dev/null
  if [ -z "${last:-}" ] || [ -z "${first:-}" ]; then
    echo "FAIL: $mode: ended before step 1,000: $(tail -n 1 "$mode.log")"
    failed=1
    continue
  fi
  echo "$mode: $first kB after step $((32 * early)), $last kB after step $((32 * late)); files $first_files, $last_files"
  if [ $((100 * last)) -gt $((102 * first)) ] || [ "$first_files" -ne "$last_files" ]; then
    echo "FAIL: $mode: memory or files grow"
    failed=1
  fi
done
exit $failed
