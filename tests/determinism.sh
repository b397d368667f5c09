#!/usr/bin/env bash
# The same seed gives the same bits: for one and two threads, in any locale, folder and time zone, whatever
# OpenMP and OpenBLAS are told by the environment, with an empty cache, a full one and none. Between
# instruction sets the bits differ, and the losses of all epochs agree within 1e-3.
#
#   bash tests/determinism.sh BUILD_DIR
set -u
serenade=$(realpath "${1:?usage: tests/determinism.sh BUILD_DIR}")/serenade
[ -x "$serenade" ] || { echo "FAIL: no program $serenade; build it first"; exit 1; }
command -v espeak-ng >/dev/null || { echo "SKIP: no espeak-ng, hence no corpus"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset SERENADE_ISA
failed=0 tried=0

"$serenade" corpus make demo --utterances 1 >/dev/null 2>&1 || { echo "FAIL: no demo corpus"; exit 1; }

settings=(--corpus "$work/demo" --preset mel --direction first --folds 1 --epochs 2 --search-epochs 2)
run() {  # run OUT ARGUMENTS..: the weights of a search with dropout, as their hash
  local out=$1
  shift
  timeout 120 "$serenade" search "${settings[@]}" --out "$out" "$@" 2>"$work/err" |
    sed -n 's/^weights: *\([0-9a-f]*\).*/\1/p'
}

same() {  # same WHAT HASH
  tried=$((tried + 1))
  [ -n "$2" ] && [ "$2" = "$wanted" ] && return
  echo "FAIL: $1: weights ${2:-none}, not $wanted: $(tail -n 1 "$work/err")"
  failed=1
}

wanted=$(run reference --cache "$work/cache" --threads 1)
[ -n "$wanted" ] || { echo "FAIL: no hash of weights: $(cat err)"; exit 1; }
same 'a full cache' "$(run full --cache "$work/cache" --threads 1)"
same 'no cache' "$(run none --cache '' --threads 1)"
same 'two threads' "$(run threads2 --cache "$work/cache" --threads 2)"
same 'three threads, more than there are' "$(run threads3 --cache "$work/cache" --threads 3)"
same 'a locale with a comma' "$(LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 run locale --cache "$work/cache")"
same 'the locale C' "$(LC_ALL=C TZ=Asia/Tokyo run c --cache "$work/cache")"
same 'OpenMP and OpenBLAS told otherwise' "$(OMP_NUM_THREADS=7 OMP_DYNAMIC=true OMP_SCHEDULE=dynamic \
  OPENBLAS_NUM_THREADS=5 GOTO_NUM_THREADS=3 run environment --cache "$work/cache")"
mkdir -p 'another folder'
same 'another folder' "$(cd 'another folder' && run there --cache cold)"
same 'one processor' "$(taskset -c 0 bash -c 'true' 2>/dev/null && export -f run &&
  taskset -cp 0 $BASHPID >/dev/null && run pinned --cache "$work/cache")"

losses() { sed -n 's/.*"train_loss":\([0-9.e+-]*\).*/\1/p' "$1/metrics.jsonl"; }
for isa in baseline avx2; do
  SERENADE_ISA=$isa run $isa --cache "$work/cache" >/dev/null
  tried=$((tried + 1))
  paste <(losses reference) <(losses $isa) | awk -v isa=$isa '
    { d = $1 - $2; if (d < 0) d = -d; if (d > 1e-3 * $1 || NF != 2) bad = 1; if (d / $1 > worst) worst = d / $1 }
    END { if (bad || NR != 4) { print "FAIL: losses with " isa " are off by " worst; exit 1 }
          print isa ": losses within " worst }' || failed=1
done

[ $failed -eq 0 ] && echo "$tried variants, the same weights: $wanted"
exit $failed
