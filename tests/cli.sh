#!/usr/bin/env bash
# The program from outside: what it answers to bad input, and that its commands work together.
#
#   bash tests/cli.sh BUILD_DIR       runs BUILD_DIR/serenade; needs espeak-ng for a corpus
#
# An error is one line on stderr that begins with "serenade: ", names what is wrong, and comes with an
# exit code; stdout stays empty. What can be known at the start is refused before any other line
# (`refuse`); what shows itself later comes after lines of progress (`refuse_later`).
set -u
tests=$(realpath "$(dirname "$0")")
. "$tests/common/program.sh"

refuse_later() {  # refuse_later CODE WORD ARGUMENTS..: exit code, and one line that holds WORD
  local code=$1 word=$2
  shift 2
  checks=$((checks + 1))
  timeout 60 "$serenade" "$@" >out.txt 2>err.txt
  local status=$?
  [ $status -eq "$code" ] || fail "serenade $*: exit code $status, not $code: $(tail -n 1 err.txt)"
  [ "$(grep -c '^serenade: ' err.txt)" -eq 1 ] && tail -n 1 err.txt | grep -q '^serenade: ' ||
    fail "serenade $*: not one line of error at the end: $(cat err.txt)"
  grep '^serenade: ' err.txt | grep -qF -e "$word" ||
    fail "serenade $*: does not name '$word': $(cat err.txt)"
  [ -s out.txt ] && fail "serenade $*: writes to stdout although it fails: $(head -n 1 out.txt)"
}

refuse() {  # the same, with nothing else on stderr
  refuse_later "$@"
  [ "$(wc -l <err.txt)" -eq 1 ] || fail "serenade ${*:3}: more than one line: $(cat err.txt)"
}

accept() {  # accept ARGUMENTS..: exit code 0; stdout stays in out.txt
  checks=$((checks + 1))
  timeout 120 "$serenade" "$@" >out.txt 2>err.txt || fail "serenade $*: exit code $?: $(cat err.txt)"
}

wav() {  # wav FILE BYTES: 22,050 Hz, two channels, 16 bit, BYTES (16000 or 0) of samples
  local sizes='\xa4\x3e\x00\x00 \x80\x3e\x00\x00'
  [ "$2" -eq 0 ] && sizes='\x24\x00\x00\x00 \x00\x00\x00\x00'
  {
    printf "RIFF${sizes% *}WAVEfmt "
    printf '\x10\x00\x00\x00\x01\x00\x02\x00\x22\x56\x00\x00\x88\x58\x01\x00\x04\x00\x10\x00'
    printf "data${sizes#* }"
    [ "$2" -eq 0 ] || printf 'aBcD%.0s' $(seq $(($2 / 4)))
  } >"$1"
}

# A corpus, a model and all kinds of broken things -------------------------------------------------

accept corpus make demo --utterances 1
accept corpus check demo
holds out.txt SYNTHETIC
holds out.txt 'Silence: '
accept corpus check demo --json --strict
holds out.txt '"total"'
accept corpus list
holds out.txt iemocap
fast=(--corpus demo --cache cache --preset mel --direction first)
accept train "${fast[@]}" --folds 1 --epochs 1 --out run
holds out.txt 'WA:'
for name in config.json metrics.jsonl genotype.json model.safetensors results.json report.html \
  folds/session1-test-Ses01F/predictions.csv checkpoint/session1-test-Ses01F.json; do
  [ -s "run/$name" ] || fail "the run folder lacks $name"
done
model=run/model.safetensors
speech=$(find demo -name '*.wav' | sort | head -n 1)

mkdir -p bad/empty bad/full
echo 'this is a text' >bad/text.wav
: >bad/zero_bytes.wav
wav bad/no_samples.wav 0
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n' >bad/pointer.wav
cp bad/text.wav bad/full/
head -c 3000 $model >bad/cut.safetensors
{ head -c 8 $model; head -c 9000 /dev/zero; } >bad/noise.safetensors
printf '\xff\xff\xff\xff\xff\xff\xff\x7f{}' >bad/long_header.safetensors
sed 's/serenade-recogniser-1/serenade-recogniser-0/' $model >bad/version.safetensors
sed 's/"2x8/"2x7/g' $model >bad/other_shape.safetensors
sed 's/\\"conv3\\"/\\"conv9\\"/g' $model >bad/other_layer.safetensors
echo '{"epohcs": 3}' >bad/unknown.json
echo '{"mel_bands": 40}' >bad/former.json
echo '{"mode": "joint"}' >bad/mode.json
echo '{"epochs": ' >bad/broken.json
echo '{"epochs": "many"}' >bad/value.json
echo '{"epochs": [1]}' >bad/list.json
echo '[1]' >bad/no_object.json
sed 's/"2x8"/"2x99"/' run/genotype.json >bad/candidate.json
printf 'path,label\na.wav,sad\n' >bad/columns.csv
printf 'path,label,speaker\ntext.wav,sad,A\n' >bad/unusable.csv

# The line itself ----------------------------------------------------------------------------------

refuse 2 subcommand
refuse 2 "did you mean 'train'" trian
refuse 2 "did you mean 'check'" corpus chekc demo
refuse 2 "did you mean '--epochs'" train --epohcs 3
refuse 2 "did you mean '--strict'" corpus check demo --stritc
refuse 2 epochs train --epochs many --corpus demo
refuse 2 epochs train --epochs 0 --corpus demo
refuse 2 '--learning-rate must be a number' train --learning-rate nan --corpus demo
refuse 2 CNN_SeqCap train --system CNN --corpus demo
refuse 2 huge train --preset huge --corpus demo
refuse 2 threads train --threads -1 --corpus demo
refuse 2 "--device must" train --device tpu --corpus demo --out x
refuse 2 serenade\ search train --strategy joint --corpus demo
refuse 2 serenade\ train search --strategy none --corpus demo
refuse 2 'dropout: --num-masked must leave' search --num-masked 4 --corpus demo
refuse 2 "did you mean '--num-masked'" search --masked 2 --corpus demo
refuse 2 "did you mean '--strategy'" search --mode joint --corpus demo
refuse 2 "did you mean '--strategies'" table2 --modes none --corpus demo
refuse 2 "did you mean '--trials'" search --random-architectures 3 --corpus demo
refuse 2 --gain-augment train --gain-augment 6 --level loudness --corpus demo
refuse 2 "must be a number" train --trim -1 --corpus demo
refuse 2 --levels predict --levels=200 $model "$speech"
refuse 2 temperature search --strategy gumbel --temperature -1 --corpus demo
refuse 2 'tournament must not exceed population; got 11 and 10' search --strategy evolution --tournament 11 --corpus demo
refuse 2 'must fall' search --strategy gdas --final-temperature 20 --corpus demo
refuse 2 "did you mean 'gumbel'" strategies gumbl
refuse 2 "did you mean '--n-fft'" train --dft 1024 --corpus demo
refuse 2 "did you mean '--hop-length'" train --shift=80 --corpus demo
refuse 2 "did you mean 'iemocap'" train --corpus-kind imocap --corpus demo
refuse 2 --resume train "${fast[@]}" --out x --resume --replace
refuse 2 files predict $model
refuse 2 "did you mean 'dropout'" table2 --strategies dropuot --corpus demo
refuse 2 CNN_SeqCap table2 --systems CNN --corpus demo
if "$serenade" info --json | grep -q '"gpu": "none'; then
  refuse 2 '--device cuda' train --device cuda --corpus demo
  refuse 2 'use --device cpu' predict --device cudnn $model no.wav
fi

# Corpora ------------------------------------------------------------------------------------------

refuse 2 --corpus train
refuse 2 nowhere train --corpus nowhere
refuse 2 bad/empty train --corpus bad/empty
refuse 2 bad/full train --corpus bad/full
refuse 2 bad/columns.csv:1 train --corpus bad/columns.csv
refuse 2 unusable train --corpus bad/unusable.csv
refuse 2 run/genotype.json train --corpus run/genotype.json
refuse 2 nowhere corpus check nowhere
refuse 2 imocap corpus check demo --corpus-kind imocap
refuse 2 foo corpus check demo --label-set foo
refuse 2 four corpus check demo --label-set four
refuse 2 'there are angry 10, happy 10' corpus check demo --labels neutral,bored
refuse 2 'at least two' corpus check demo --labels sad
refuse 2 'at least two' train --corpus demo --labels sad
refuse 2 'bad/no_object.json: a label map' corpus check demo --map bad/no_object.json
refuse 2 'bad/no_object.json: a label map' train --corpus demo --map bad/no_object.json
refuse 5 absent.json corpus check demo --map absent.json
refuse 2 bad corpus make bad
refuse 2 utterances corpus make q --utterances 0
refuse 2 bad/empty evaluate $model --corpus bad/empty
refuse 2 Ses01F evaluate $model --corpus demo --speakers Ses01G
refuse 2 'who trained it' evaluate $model --corpus demo --speakers Ses02F,Ses03F
holds err.txt 'of 8 recordings the model knows 7 more'
refuse 2 'choose others: --speakers Ses01F, or pass --allow-seen' evaluate $model --corpus demo

# Configuration and genotypes ----------------------------------------------------------------------

for name in unknown.json:epochs former.json:n_mels mode.json:strategy broken.json:JSON value.json:many list.json:epochs \
  no_object.json:object absent.json:absent.json; do
  refuse 2 "${name#*:}" train --corpus demo --config "bad/${name%:*}"
  holds err.txt "bad/${name%:*}"
done
refuse 2 CNN_GRU_att train "${fast[@]}" --system CNN_SeqCap --genotype run/genotype.json --out x
refuse 2 2x99 train "${fast[@]}" --genotype bad/candidate.json --out x
refuse 2 run/config.json train "${fast[@]}" --genotype run/config.json --out x
refuse 2 absent.json train "${fast[@]}" --genotype absent.json --out x
refuse 2 genotype search "${fast[@]}" --strategy joint --genotype run/genotype.json --out x

# Run folders --------------------------------------------------------------------------------------

cp -r run before
refuse 2 'run: this folder exists' train "${fast[@]}" --folds 1 --epochs 1 --out run
refuse 2 "'seed' was 0 in this run, not 7" train --out run --resume --seed 7
refuse 2 'bad: not a' train "${fast[@]}" --out bad --replace
refuse 2 'bad: not a' train "${fast[@]}" --out bad --resume
refuse 2 bad/text.wav train "${fast[@]}" --out bad/text.wav
refuse_later 5 bad/text.wav/run train "${fast[@]}" --out bad/text.wav/run
diff -r run before || fail 'a refused command changed the run folder'
[ -e x ] && fail 'a refused command left a run folder'
refuse 2 nowhere report nowhere
refuse 2 bad report bad

# Models and sounds --------------------------------------------------------------------------------

refuse 2 'run: a folder' predict run "$speech"
refuse 2 nowhere predict nowhere "$speech"
refuse 2 bad/text.wav predict bad/text.wav "$speech"
for name in cut noise long_header version other_shape other_layer; do
  refuse 2 "bad/$name.safetensors" predict bad/$name.safetensors "$speech"
  refuse 2 "bad/$name.safetensors" evaluate bad/$name.safetensors --corpus demo
done
for name in text zero_bytes no_samples pointer absent; do
  refuse 2 "bad/$name.wav" predict $model bad/$name.wav
  refuse 2 "bad/$name.wav" features bad/$name.wav
done
refuse 2 'bad: is a folder' predict $model bad

# Memory: a batch of segments of 1000 s under a limit of 2 GB. (Sanitizers need more than that to begin.)
if ! grep -q '^SERENADE_SANITIZE:STRING=.' "$build/CMakeCache.txt" 2>/dev/null; then
  limit=$(ulimit -Sv)
  ulimit -Sv 2000000
  refuse_later 3 'out of memory' train "${fast[@]}" --folds 1 --segment-frames 100000 --out large
  ulimit -Sv "$limit"
fi

# What works ---------------------------------------------------------------------------------------

accept --version
accept --help
for command in train search evaluate predict table2 report corpus features strategies tabulate statistics replay info; do
  holds out.txt "  $command"
done
accept strategies
holds out.txt 'Real et al., AAAI 2019'
accept strategies gumbel
holds out.txt --final-temperature
accept strategies joint
holds out.txt 'no settings of its own'
accept search --help
holds out.txt 'Settings of single strategies'
holds out.txt 'gumbel, gdas: '
made_table() {  # of 80 architectures, two seeds, one epoch and four speakers, beside table.csv
  cp table.csv.json made.csv.json
  head -n 1 table.csv
  awk 'BEGIN {
    OFS = ","
    split("2x8 2x7 2x6 1x9 1x10 3x5", wide); split("8x2 7x2 6x2 9x1 10x1 5x3", tall)
    split("5x5 5x4 4x5 4x4 4x6 6x4", body); split("32 48 64 80", width)
    for (i = 0; i < 80; ++i) for (seed = 0; seed < 2; ++seed) for (part = 0; part < 4; ++part)
      print wide[1 + i % 6], tall[1 + int(i / 6) % 6], body[1 + int(i * i / 7) % 6], body[1 + int(i * 7 / 5) % 6],
        width[1 + int(i * 11 / 9) % 4], seed, 1, "speaker" part, 1,
        10 + 2 * (i % 6) + (7 * i + 3 * seed + part) % 5, 40 }'
}
small_table=(tabulate table.csv --corpus demo --cache cache --preset mel --folds 1 --architectures 1)
for _ in 1 2; do  # the second time there is nothing left to train
  accept "${small_table[@]}" --epochs 1
  holds out.txt 'table.csv: 2 rows of 1 architectures'
done
refuse_later 2 'begun with epochs 1, and not 2' "${small_table[@]}" --epochs 2
refuse 2 "there are 5184 in all; got 6000" tabulate new.csv --corpus demo --architectures 6000
[ -e new.csv.json ] && fail 'a refused plan leaves the settings of a table'
accept tabulate --help
holds out.txt '--conv2-set'
grep -qF -e '--num-masked' -e '--search-epochs' out.txt && fail 'tabulate offers settings of searches'

made_table >made.csv
refuse 2 'table.csv: there must be more than 1 architectures' replay table.csv --strategies random
refuse 2 'a table holds no supernet, which dropout trains; there are bayesian,' replay table.csv --strategies dropout
refuse 2 "--judged-by: the table has no speaker 'nobody'; it has Ses01F, Ses01M" \
  replay table.csv --chosen-by Ses01F --judged-by nobody
refuse 2 'belong together; got --judged-by Ses01F alone' replay table.csv --judged-by Ses01F
refuse 2 'no scores of untrained networks' replay made.csv --strategies zero_cost
refuse 2 "--strategies must be one of" replay made.csv --strategies evolutoin
refuse 2 --seed replay made.csv --seed -1
for command in statistics replay; do
  refuse 2 'absent.csv: there is no such table' $command absent.csv
  refuse 2 'table.csv.gz: there is no such table; did you mean table.csv?' $command table.csv.gz
  refuse 2 'give table.csv' $command table.csv.json
done
accept statistics table.csv
holds out.txt 'One architecture has nothing to be ranked'
accept statistics made.csv
holds out.txt 'The noise ceiling'
gzip made.csv
refuse_later 2 'was tested on a speaker that judges' replay made.csv.gz --repeats 1 --strategies none --answers run
refuse 5 nowhere/config.json replay made.csv.gz --strategies none --answers nowhere
refuse 5 second/config.json replay made.csv.gz --strategies none --answers before,second
accept replay made.csv.gz --repeats 3 --costs 1,5 --out replayed
holds out.txt 'All scores are modelled: the table holds 80 of 5,184'
holds out.txt bayesian
holds out.txt 'evolution: all 7 trials are random'
[ -s replayed/regret.svg ] || fail 'replay draws no picture'
: >err.txt
"$serenade" replay made.csv.gz --repeats 100000 --strategies evolution --out stopped >out.txt 2>err.txt &
pid=$!
for _ in $(seq 3000); do
  grep -q 'replays:' err.txt && break
  sleep 0.02
done
kill -TERM $pid
wait $pid
[ $? -eq 143 ] || fail 'a stopped replay does not end with 128 + the signal'
holds err.txt 'serenade: stopped; nothing is written'
[ -e stopped ] && fail 'a stopped replay leaves a folder'
[ -s out.txt ] && fail 'a stopped replay gives answers'
accept info
holds out.txt 833,076
accept info --json
holds out.txt '"parameters": 833076'
holds out.txt '"parameters": 703540'
# As many threads as the environment says, else as processors may be used.
OMP_NUM_THREADS=3 accept info --json
holds out.txt '"threads": 3,'
OMP_NUM_THREADS=1000000 accept info --json
holds out.txt '"threads": 4096,'
if command -v taskset >/dev/null; then
  env -u OMP_NUM_THREADS taskset -c "$(taskset -cp $$ | grep -oE '[0-9]+$')" "$serenade" info --json >out.txt
  holds out.txt '"threads": 1,'
  OMP_NUM_THREADS=many accept info --json
fi
wav other.wav 16000
accept predict $model "$speech" other.wav
holds out.txt other.wav
holds out.txt neutral
accept predict $model other.wav --json
holds out.txt '"probabilities"'
{ head -c 44 other.wav; head -c 16000 /dev/zero; } >silent.wav
accept predict $model silent.wav "$speech"
grep -q 'silent.wav  *no speech' out.txt || fail "silence is answered: $(cat out.txt)"
grep "$speech" out.txt | grep -q 'no speech' && fail "speech is not answered: $(cat out.txt)"
accept predict $model silent.wav --json
holds out.txt '"emotion": "no speech"'
holds out.txt '"probabilities": null'
accept predict $model "$speech" --json
holds out.txt '"level_dependent"'
accept predict $model "$speech" --json --no-level-check
grep -q level_dependent out.txt && fail 'predict --no-level-check checks levels'
"$serenade" predict $model bad/text.wav other.wav >out.txt 2>err.txt
[ $? -eq 2 ] || fail 'predict: a bad file among good ones must give exit code 2'
holds out.txt other.wav # the good ones are answered all the same
holds err.txt bad/text.wav
accept features other.wav --preset small --json
holds out.txt '"rows": 200'
accept features --corpus demo --cache cache --preset mel
holds out.txt 40
accept evaluate $model --corpus demo --cache cache --speakers Ses01F --json
holds out.txt '"recordings": 4'
accept evaluate $model --corpus demo --cache cache --allow-seen
holds out.txt 'majority:'
holds err.txt 'accuracies are too good'
holds out.txt 'at -6 dB: WA '
holds out.txt 'at +6 dB: WA '
accept evaluate $model --corpus demo --cache cache --allow-seen --no-level-check
grep -q ' dB' out.txt && fail 'evaluate --no-level-check checks levels'
accept evaluate $model --corpus demo --cache cache --speakers Ses01F --levels=-20,12 --json
holds out.txt '"decibels": -20.0'
accept train "${fast[@]}" --folds 1 --epochs 1 --level loudness --trim 40 --out level
accept evaluate level/model.safetensors --corpus demo --cache cache --allow-seen --levels=-20,12
holds out.txt 'No answer changes with the volume.'
accept predict level/model.safetensors "$speech" --levels=-20,12
grep -q level-dependent out.txt && fail "answers at one loudness change: $(cat out.txt)"
# Other classes than the four.
accept corpus check demo --label-set all
echo '{"happy": "lively", "angry": "lively", "sad": null}' >map.json
accept train "${fast[@]}" --folds 1 --epochs 1 --map map.json --out mapped
holds mapped/config.json '{\"happy\":\"lively\"'
accept predict mapped/model.safetensors other.wav
holds out.txt lively
accept evaluate mapped/model.safetensors --corpus demo --cache cache --speakers Ses01F --json
holds out.txt '"recordings": 3'
accept train "${fast[@]}" --folds 1 --epochs 1 --labels sad,angry,neutral --out three
holds three/folds/session1-test-Ses01F/predictions.csv 'id,speaker,label,predicted,sad,angry,neutral'
refuse 2 "has 'happy' as well" evaluate three/model.safetensors --corpus demo --speakers Ses01F --label-set impro4
accept evaluate three/model.safetensors --corpus demo --cache cache --speakers Ses01F --labels sad,angry
holds out.txt 'classes that occur: sad, angry'
accept train --config three/config.json --out three-again
cmp three/model.safetensors three-again/model.safetensors || fail 'other classes are not repeated'
accept report three

# Names from data are never paths, and never two fields.
mapfile -t sounds < <(find demo -name '*.wav' | sort)
mkdir -p deep/er
{
  printf 'speaker\tmood\tlabel\tpath\n'
  i=0
  for speaker in ../../../evil/x a/b . .. 'Weber, Anna' 'weber, anna' $'\xc3\xa4' '~'; do
    for label in x y; do
      printf '%s\t-\t%s\t../../%s\n' "$speaker" $label "${sounds[i]}"
      i=$((i + 1))
    done
  done
} >deep/er/names.csv
: >made-before
find . -not -path './cache/*' -not -path './deep/er/run*' | sort >made-before
accept train --corpus deep/er/names.csv --label-set all --cache cache --preset mel --epochs 1 --out deep/er/run
holds err.txt 'are not read: "mood"'
find . -not -path './cache/*' -not -path './deep/er/run*' | sort | diff made-before - ||
  fail 'a speaker that looks like a path makes files outside of the run'
[ "$(ls deep/er/run/folds | wc -l)" -eq 8 ] || fail "folds are missing: $(ls deep/er/run/folds)"
for file in deep/er/run/folds/*/predictions.csv; do
  holds "$file" 'id,speaker,label,predicted,x,y'
done
holds deep/er/run/folds/session2-test-Weber%2C%20Anna/predictions.csv ',"Weber, Anna",x,'
accept report deep/er/run

# The final model: of everybody, resumed to the same bits, and added to a run that had none.
last=(train "${fast[@]}" --folds 2 --epochs 4 --checkpoint-minutes 0)
accept "${last[@]}" --final --out final
holds out.txt 'trained on all speakers'
holds final/results.json '"fold": "final"'
cmp final/model.safetensors final/folds/final/model.safetensors || fail 'the final model is not the run'"'"'s'
for path in "$work" build/features; do
  grep -aqF "$path" final/model.safetensors && fail "model.safetensors holds the path $path"
done
refuse 2 'give recordings that it does not know' evaluate final/model.safetensors --corpus demo
accept report final
holds final/report.html 'trained on all speakers'
"$serenade" "${last[@]}" --final --out final-broken >/dev/null 2>&1 &
pid=$!
for _ in $(seq 3000); do
  [ -e final-broken/checkpoint/train-final.safetensors ] && break
  sleep 0.02
done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
accept train --resume --out final-broken
cmp final/model.safetensors final-broken/model.safetensors || fail 'a final model that was resumed is another'
accept "${last[@]}" --out final-later
cmp -s final/model.safetensors final-later/model.safetensors && fail 'a final model that nobody asked for'
accept train --resume --final --out final-later
cmp final/model.safetensors final-later/model.safetensors || fail 'a final model that came later is another'
if command -v python3 >/dev/null; then  # front ends side by side; the second time all is there
  for _ in 1 2; do
    checks=$((checks + 1))
    python3 "$tests/bench/level.py" --serenade "$serenade" --corpus demo --out levels --folds 1 \
      --direction first --epochs 1 --only recorded,loudness --levels=-20,0 >out.txt 2>err.txt ||
      fail "level.py: $(tail -n 1 err.txt)"
    [ "$(grep -c '^| CNN_GRU_att |' out.txt)" -eq 2 ] || fail "level.py: $(cat out.txt)"
  done
fi
rm run/report.html
accept report run
[ -s run/report.html ] || fail 'report does not write report.html again'
accept train "${fast[@]}" --folds 1 --epochs 1 --out run --resume
accept train "${fast[@]}" --folds 1 --epochs 2 --out run --replace
holds run/config.json '"epochs": 2'
accept train --config before/config.json --out again
diff <(sed '/"seconds"/d' before/results.json) <(sed '/"seconds"/d' again/results.json) ||
  fail 'the configuration of a run does not repeat it'
for mode in dropout random; do
  accept search "${fast[@]}" --folds 1 --strategy $mode --search-epochs 1 --epochs 1 \
    --trials 2 --out found-$mode
  cp err.txt said-$mode.txt
  accept train "${fast[@]}" --folds 1 --epochs 1 --genotype found-$mode/genotype.json \
    --out trained-$mode
done
holds said-random.txt 'note: not read by random: --search-epochs (of a supernet)'
holds said-dropout.txt 'note: not read by dropout: --trials (of random,'
[ -s found-dropout/figure3_a.svg ] || fail 'a search does not draw Figure 3'
holds found-random/folds/session1-test-Ses01F/trials.csv '2,conv1='
holds found-random/report.html 'score of a trial'
accept search "${fast[@]}" --folds 1 --strategy gumbel --search-epochs 2 --epochs 1 --temperature 3 --out noisy
holds noisy/folds/session1-test-Ses01F/measured.csv '1,temperature,3'
holds noisy/report.html 'type="range"'
accept search "${fast[@]}" --folds 1 --system CNN_SeqCap --strategy sampling --search-epochs 1 \
  --epochs 1 --out capsules
accept predict capsules/model.safetensors other.wav

accept table2 "${fast[@]}" --folds 1 --epochs 1 --search-epochs 1 --strategies none,dropout \
  --systems CNN_GRU_att --out table --json
holds out.txt '"wa": 0.682' # the paper's
[ -s table/report.html ] || fail 'table2 does not write a report'
refuse 2 'table: this folder exists' table2 "${fast[@]}" --out table
accept report table

# Broken off in the second fold and resumed: the same results as in one go --------------------------

two=("${fast[@]}" --folds 2 --epochs 15)
accept train "${two[@]}" --out whole
"$serenade" train "${two[@]}" --out broken >/dev/null 2>&1 &
pid=$!
for _ in $(seq 3000); do
  [ -e broken/checkpoint/session1-test-Ses01F.json ] && break
  sleep 0.02
done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
[ -e broken/results.json ] && fail 'the run was over before it could be broken off'
printf '{"epoch": 3, "fo' >>broken/metrics.jsonl # as a break in the middle of a line leaves it
accept train "${two[@]}" --out broken --resume
diff <(sed '/"seconds"/d' whole/results.json) <(sed '/"seconds"/d' broken/results.json) ||
  fail 'a resumed run gives other results'
diff <(sed 's/"seconds":[^,}]*//' whole/metrics.jsonl) \
  <(sed 's/"seconds":[^,}]*//' broken/metrics.jsonl) || fail 'a resumed run logs other epochs'
cmp whole/model.safetensors broken/model.safetensors || fail 'a resumed run gives another model'
echo '{}' >broken/checkpoint/session1-test-Ses01F.json # a damaged file is named, and its fold run again
accept train --out broken --resume
holds err.txt 'session1-test-Ses01F.json: not a saved run of a fold'
cmp whole/model.safetensors broken/model.safetensors || fail 'a fold that was run again is another'

# Stopped by signals, and gone on by the folder alone, from elsewhere, with more epochs at the end.
sed 's/.*"epochs": 15.*/  "epochs": 4000,/' whole/config.json >longer.json
for signal in INT:130 TERM:143 HUP:129; do
  timeout --preserve-status -s ${signal%:*} 1 "$serenade" train --config longer.json --out stopped \
    --resume >/dev/null 2>err.txt
  code=$?
  checks=$((checks + 1))
  [ $code -eq "${signal#*:}" ] || fail "SIG${signal%:*}: exit code $code: $(tail -n 1 err.txt)"
  holds err.txt 'serenade: stopped; all that was done is kept: go on with `serenade train --resume --out stopped`'
done
rm -rf grown && cp -r whole grown
(cd / && "$serenade" train --out "$work/grown" --resume --epochs 20 >/dev/null 2>&1) ||
  fail 'a run does not go on with more epochs from another folder'
accept train "${fast[@]}" --folds 2 --epochs 20 --out twenty
cmp grown/model.safetensors twenty/model.safetensors ||
  fail 'a run that has grown is not what one go gives'

# The old run stands until the new one is whole; what is not ours is not touched.
cp -r whole guest
echo mine >guest/notes.txt
refuse 2 'it holds notes.txt' train "${fast[@]}" --folds 1 --epochs 1 --out guest --replace
cp -r whole old
accept train "${fast[@]}" --folds 1 --epochs 1 --out old --replace
compgen -G 'old.*' >/dev/null && fail 'a replaced run leaves folders behind'
cmp -s whole/model.safetensors old/model.safetensors && fail 'a run was not replaced'

[ $failed -eq 0 ] && echo "program: $checks commands behave"
exit $failed
