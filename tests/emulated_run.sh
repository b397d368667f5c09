#!/usr/bin/env bash
# emulated_run.sh BUILD_FOLDER: the program from outside with --device cuda, on the emulated device:
# an epoch of training on a tiny demo corpus gives the losses of the CPU, with the features in the
# device's memory and with batches sent from the host's. Ends with 77 (skipped) where that program was
# not built, which a build with CUDA does.
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
train() {
  "$program" train --corpus "$work/corpus" --system CNN_GRU_att --n-fft 640 --bins 32 --hop-length 320 \
    --segment-frames 80 --segment-minimum 20 --epochs 1 --folds 1 --direction first \
    --cache "$work/cache" "$@" >"$work/log" 2>&1
}
train --device cpu --out "$work/cpu" || fail "train --device cpu ends with $?"
for memory in host device; do
  train --device cuda --corpus-memory $memory --out "$work/$memory" ||
    fail "train --corpus-memory $memory ends with $?"
done
grep -q '"device":"emulation (float32), corpus in host memory"' "$work"/host/checkpoint/*.json &&
  grep -q '"device":"emulation (float32), corpus in its memory, half precision"' \
    "$work"/device/checkpoint/*.json || fail "the result does not name its device"
loss() { grep -o '"train_loss":[0-9.]*' "$work/$1/metrics.jsonl" | cut -d: -f2; }
awk -v a="$(loss cpu)" -v b="$(loss host)" -v c="$(loss device)" 'BEGIN {
  printf "loss on the CPU %s, on the emulated device %s, with half precision %s\n", a, b, c
  exit !(a > 0 && (a - b) ^ 2 < (1e-4 * a) ^ 2 && (a - c) ^ 2 < (1e-3 * a) ^ 2) }' ||
  fail "the losses differ"
train --device cuda --corpus-memory here --out "$work/refused"
[ $? -eq 2 ] || fail "--corpus-memory here is not refused"
