#!/usr/bin/env bash
# The program `darts` in a tiny setting: search, train what was found, draw it; go on after a stop;
# refusals of one line.
#
#   bash tests/apps/darts/program.sh BUILD_DIR
set -u
tests=$(realpath "$(dirname "$0")/../..")
. "$tests/common/program.sh"
darts=$build/darts

expect() {  # expect CODE TEXT ARGUMENTS..: exit code, and one line on stderr that holds TEXT
  local code=$1 text=$2
  shift 2
  "$darts" "$@" >out.txt 2>err.txt
  local got=$?
  [ "$got" = "$code" ] || fail "darts $*: exit code $got, not $code: $(cat err.txt)"
  if [ "$code" != 0 ]; then
    [ "$(grep -c '^darts: ' err.txt)" = 1 ] || fail "darts $*: not one line: $(cat err.txt)"
    grep -qF -- "$text" err.txt || fail "darts $*: no '$text' in: $(cat err.txt)"
  fi
}

tiny=(--images 16 --channels 2 --cells 3 --epochs 2 --batch-size 4)
expect 0 '' search "${tiny[@]}" --out found
head -n 1 err.txt | grep -q ' left' && fail "after one step nobody knows the time that is left: $(head -n 1 err.txt)"
for file in config.json metrics.jsonl genotype.txt checkpoint.safetensors model.safetensors report.html; do
  [ -s "found/$file" ] || fail "found/$file is missing"
done
[ "$(wc -l <found/metrics.jsonl)" = 2 ] || fail 'metrics.jsonl must have a line for each epoch'
grep -q '^Genotype(normal=' found/genotype.txt || fail 'genotype.txt is no genotype'
[ "$(grep -c 'class="epoch"' found/report.html)" = 2 ] || fail 'the report must draw both epochs'
cp found/genotype.txt before.txt
cp found/model.safetensors before.safetensors
expect 2 'finished run' search "${tiny[@]}" --out found
cmp -s before.txt found/genotype.txt || fail 'a finished search that was refused has another genotype'
cmp -s before.safetensors found/model.safetensors || fail '.. or another model'
expect 0 '' train --genotype found/genotype.txt "${tiny[@]}" --auxiliary --cutout --out trained
[ "$(wc -l <trained/metrics.jsonl)" = 2 ] || fail 'metrics.jsonl must have a line for each epoch'
grep -q gradient_norm found/metrics.jsonl && fail 'a search drops its gradients, and yet has their norm'
[ "$(grep -c '"gradient_norm":0\.[0-9]*[1-9]\|"gradient_norm":[1-9]' trained/metrics.jsonl)" = 2 ] ||
  fail 'a training has the norm of its gradients'
# Ended in the middle, by a signal, it goes on to the same bits; but not with other cells.
longer=(--images 96 --channels 2 --cells 3 --epochs 3 --batch-size 4)
cp found/genotype.txt cells.txt
expect 0 '' train --genotype cells.txt "${longer[@]}" --out undisturbed
stop_early parts "$darts" train --genotype cells.txt "${longer[@]}" --out parts
echo "$(sed 's/Genotype/Cells = Genotype/' cells.txt)" >cells.txt # the same cells
expect 0 '' train --genotype cells.txt "${longer[@]}" --out parts
cmp -s undisturbed/model.safetensors parts/model.safetensors || fail 'a resumed run has other bits'
rm parts/finished
echo 'Genotype(normal=[("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1)], normal_concat=range(2, 6), reduce=[("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("max_pool_3x3", 0), ("max_pool_3x3", 1)], reduce_concat=range(2, 6))' |
  tr '"' "'" >cells.txt
expect 2 'other settings' train --genotype cells.txt "${longer[@]}" --out parts
expect 0 '' train --genotype random --seed 3 "${tiny[@]}" --out random
if command -v python3 >/dev/null; then  # found beside random cells; the second time all is there
  for _ in 1 2; do
    python3 "$tests/bench/cells.py" --darts "$darts" --images 16 --channels 2 --cells 3 --batch-size 4 \
      --search-epochs 1 --epochs 1 --seeds 2 --out cells >out.txt 2>err.txt || fail "cells.py: $(tail -n 1 err.txt)"
    [ "$(grep -cE '^\| (found|random) \|' out.txt)" = 2 ] || fail "cells.py: $(cat out.txt)"
  done
  ls -d cells/{search,found-0,found-1,random-0,random-1} >/dev/null || fail 'cells.py left a run out'
fi
expect 0 '' draw --genotype DARTS_V2 --out v2.html
grep -q 'dil_conv_3x3' v2.html || fail 'DARTS_V2 is not drawn'

expect 0 '' search --help
[ ! -e runs ] || fail 'asking for help must not begin a run'
cp -r found begun && rm begun/finished
expect 2 'other settings' search "${tiny[@]}" --seed 1 --out begun
mkdir foreign && touch foreign/file
expect 2 'foreign: it holds something that is no run' search "${tiny[@]}" --out foreign
expect 2 'DARTS_V3' train --genotype DARTS_V3 "${tiny[@]}"
echo 'Genotype(normal=[' >broken.txt
expect 2 'broken.txt: must be written as DARTS does' draw --genotype broken.txt --out x.html
expect 2 'nowhere' search --cifar10 nowhere
expect 2 '--chanels' search --chanels 3
expect 2 'channels must be even' search --images 16 --channels 3 --batch-size 4 --epochs 1 --out odd
[ ! -e odd ] || fail 'settings that cannot be have left a folder'
expect 2 'batch' search --images 16 --batch-size 64 --out few
expect 2 'batch' train --images 16 --batch-size 64 --out few
[ ! -e few ] || fail 'settings that cannot be have left a folder'
expect 2 'must be from' search --learning-rate nan --out few
expect 2 '--seed' search --seed -1 --out few
expect 5 'v2.html' draw --genotype DARTS_V2 --out nowhere/v2.html
exit $failed
