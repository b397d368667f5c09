#!/usr/bin/env bash
# The program `capsnet` from outside: a short run, one that is killed and taken up again, bad input.
#
#   bash tests/apps/capsnet/program.sh BUILD_DIR
set -u
. "$(dirname "$0")/../../common/program.sh"
capsnet=$build/capsnet

short=(--train-samples 40 --test-samples 20 --batch-size 10)
ends() {  # ends CODE TEXT ARGUMENT..: exit code, and one line on stderr that holds the text
  local code=$1 text=$2 status
  shift 2
  "$capsnet" "$@" >out.txt 2>err.txt
  status=$?
  [ $status -eq "$code" ] || fail "capsnet $*: exit code $status, not $code: $(cat err.txt)"
  [ "$(grep -c '^capsnet: ' err.txt)" = 1 ] || fail "capsnet $*: not one line: $(cat err.txt)"
  grep -qF -e "$text" err.txt || fail "capsnet $*: no '$text' in: $(cat err.txt)"
}

# A run ends with all its files.
"$capsnet" "${short[@]}" --epochs 2 --out whole >out.txt 2>err.txt || fail "run: $(cat err.txt)"
for file in config.json metrics.jsonl model.safetensors checkpoint.safetensors report.html; do
  [ -s whole/$file ] || fail "no $file"
done
grep -q '^test error [0-9.]* %, see whole/report.html$' out.txt || fail "output: $(cat out.txt)"
[ "$(wc -l <whole/metrics.jsonl)" = 2 ] || fail 'not a line for each epoch'
grep -q '"train_samples": 40' whole/config.json || fail 'config.json is not complete'
grep -qE 'https?://|src=|DATA;' whole/report.html && fail 'report.html wants something from outside'

# Ended in the middle, by a signal, it goes on to the same bits.
longer=(--train-samples 400 --test-samples 20 --batch-size 10 --epochs 2)
"$capsnet" "${longer[@]}" --out undisturbed >out.txt 2>err.txt || fail "run: $(cat err.txt)"
stop_early parts "$capsnet" "${longer[@]}" --out parts
"$capsnet" "${longer[@]}" --out parts >out.txt 2>err.txt || fail "resume: $(cat err.txt)"
cmp -s undisturbed/model.safetensors parts/model.safetensors || fail 'a resumed run has other bits'

# What a kill at the very start leaves is no obstacle; who works on a run is alone.
mkdir early && touch early/config.json.1.0.partial early/lock
"$capsnet" "${short[@]}" --epochs 1 --out early >out.txt 2>err.txt || fail "early: $(cat err.txt)"
[ -z "$(find early -name '*.partial')" ] || fail 'a part of a file was left'
rm early/finished
flock early/lock sleep 5 &
sleep 0.2
ends 2 'another process is at work' "${short[@]}" --epochs 1 --out early

# The other kinds.
"$capsnet" "${short[@]}" --epochs 1 --multi --routings 1 --out multi >out.txt 2>err.txt ||
  fail "multi: $(cat err.txt)"
"$capsnet" "${short[@]}" --epochs 1 --no-reconstruction --out plain >out.txt 2>err.txt ||
  fail "no reconstruction: $(cat err.txt)"
grep -q '"varied":\[\]' plain/report.html || fail 'pictures without a decoder'

# Nothing is overwritten, and bad input has one line.
ends 2 'whole: it holds a finished run' "${short[@]}" --epochs 2 --out whole
mkdir mine && echo note >mine/note.txt
ends 2 'mine: it holds something that is no run' "${short[@]}" --out mine
ends 2 'nowhere' --mnist nowhere --out new
ends 2 '--mnist' --mnist mine --made --out new
ends 2 'two classes' --multi --train-samples 1 --out new
ends 2 '--routings' --routings 2 --out new
ends 2 '--epochs' --epochs 0 --out new
ends 2 '--wrong' --wrong --out new
ends 2 '--seed' --seed -1 --out new
ends 2 'name a folder' "${short[@]}" --out ''
ends 5 'Not a directory' "${short[@]}" --out whole/config.json/sub
[ -e new ] && fail 'bad input left a folder'
"$capsnet" --help | grep -q -e --no-reconstruction || fail 'help'
exit $failed
