#!/usr/bin/env bash
# emulated_run.sh BUILD_FOLDER: the program from outside with --device cuda, on the emulated device:
# an epoch of training on a tiny demo corpus gives the losses of the CPU. Ends with 77 (skipped) where
# that program was not built, which needs nvcc.
set -u
program=$1/serenade_emulated
if [ ! -x "$program" ]; then
  echo "skipped: $program was not built"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAIL: $*"
  tail -n 5 "$work/log"
  exit 1
}
"$program" corpus make "$work/corpus" --utterances 1 >"$work/log" 2>&1 || fail "corpus make"
for device in cpu cuda; do
  "$program" train --corpus "$work/corpus" --system CNN_GRU_att --preset mel --epochs 1 --folds 1 \
    --direction first --device $device --out "$work/$device" >"$work/log" 2>&1 ||
    fail "train --device $device ends with $?"
done
grep -q '"device":"emulation (float32)"' "$work"/cuda/checkpoint/*.json ||
  fail "the result does not name its device"
loss() { grep -o '"train_loss":[0-9.]*' "$work/$1/metrics.jsonl" | cut -d: -f2; }
awk -v a="$(loss cpu)" -v b="$(loss cuda)" 'BEGIN {
  printf "loss on the CPU %s, on the emulated device %s\n", a, b
  exit !(a > 0 && (a - b) ^ 2 < (1e-4 * a) ^ 2) }' || fail "the losses differ"
