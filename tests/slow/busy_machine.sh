#!/usr/bin/env bash
# On a machine that is busy with something else, a training with a thread per processor takes at most
# twice as long as with one thread: threads that wait for one another must not spin. (With OpenMP's
# threads it was five times as long.) Of three attempts the best counts.
#
#   bash tests/slow/busy_machine.sh BUILD_DIR
set -u
build=$(realpath "${1:?usage: tests/slow/busy_machine.sh BUILD_DIR}")
serenade=$build/serenade
[ -x "$serenade" ] || { echo "FAIL: no program $serenade; build it first"; exit 1; }
work=$(mktemp -d)
busy=()
trap 'kill "${busy[@]}" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
unset OMP_NUM_THREADS

"$serenade" corpus make corpus --utterances 2 >log 2>&1 || { echo "FAIL: $(tail -n 1 log)"; exit 1; }
train() {  # train THREADS: the milliseconds that it takes
  local begin=${EPOCHREALTIME/[.,]/}
  rm -rf run
  "$serenade" train --corpus corpus --cache cache --preset mel --epochs 4 --direction first --folds 1 \
    --device cpu --threads "$1" --out run >log 2>&1 || { echo "FAIL: $(tail -n 1 log)" >&2; exit 1; }
  echo $(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
}
train 1 >/dev/null || exit 1 # fills the cache

processors=$(nproc)
for _ in $(seq "$processors"); do
  while :; do :; done &
  busy+=($!)
done
for _ in 1 2 3; do
  one=$(train 1) || exit 1
  all=$(train "$processors") || exit 1
  echo "beside $processors busy processes: $one ms with one thread, $all ms with $processors"
  [ "$all" -le $((2 * one)) ] && exit 0
done
echo 'FAIL: threads cost more than twice the time of one'
exit 1
