#!/usr/bin/env bash
# The program and a hostile surrounding: names that are no text, damaged models, output that cannot be
# written, readers that go away, limits. Each case has an exit code, at most one line of error, and
# loses no answer that can be given.
#
#   bash tests/bad_input.sh BUILD_DIR       runs BUILD_DIR/serenade; needs espeak-ng for a corpus
set -u
. "$(dirname "$0")/common/program.sh"

ends() {  # ends CODE NAME COMMAND..: exit code; NAME is for the message; output in out.txt, err.txt
  local code=$1 name=$2
  shift 2
  checks=$((checks + 1))
  timeout 120 "$@" >out.txt 2>err.txt
  local status=$?
  [ $status -eq "$code" ] || fail "$name: exit code $status, not $code: $(tail -n 1 err.txt)"
  [ "$(grep -c '^serenade: ' err.txt)" -le 1 ] || fail "$name: several errors: $(cat err.txt)"
}

silence() { head -c "$1" /dev/zero; }

wav() {  # wav FILE SECONDS: silence, 16 kHz, 16 bit
  local bytes=$(($2 * 32000)) i size=''
  for i in 0 8 16 24; do size+=$(printf '\\x%02x' $(((bytes >> i) & 255))); done
  {
    printf "RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00"
    printf "\x00\x7d\x00\x00\x02\x00\x10\x00data$size"
    silence $bytes
  } >"$1"
}

# A corpus of names that need care, and a model ----------------------------------------------------

"$serenade" corpus make demo --utterances 1 >/dev/null 2>&1 || fail 'no demo corpus'
mkdir quoted
{
  echo path,label,speaker,group
  number=0
  find demo -name '*.wav' | sort | while read -r file; do
    number=$((number + 1))
    name="take \"$number\", ${file##*/}"
    cp "$file" "quoted/$name"
    speaker=$(basename "$file" | grep -oE '^Ses0[0-9][FM]|Ses0[0-9]' | head -n 1)
    gender=$(basename "$file" | grep -oE '_[FM][0-9]+' | cut -c2)
    label=$(grep -h "$(basename "$file" .wav)" -r demo --include='*.txt' |
      grep -oE '(neu|ang|hap|sad)' | head -n 1)
    case $label in neu) label=neutral ;; ang) label=angry ;; hap) label=happy ;; esac
    echo "\"quoted/${name//\"/\"\"}\",$label,${speaker:0:5}$gender,${speaker:0:5}"
  done
} >quoted.csv
train=(train --preset mel --direction first --folds 1 --epochs 1)
ends 0 'a corpus of quoted names' "$serenade" "${train[@]}" --cache cache --corpus quoted.csv --out run
model=run/model.safetensors
predictions=$(echo run/folds/*/predictions.csv)
head -n 1 "$predictions" | grep -qx 'id,speaker,label,predicted,neutral,angry,happy,sad' ||
  fail "the columns of predictions.csv: $(head -n 1 "$predictions")"
tail -n +2 "$predictions" | grep -vqE '^"quoted/take ""[0-9]+"", [^"]*",([^,]*,){6}[^,]*$' &&
  fail "predictions.csv is not quoted: $(sed -n 2p "$predictions")"
speech=$(find demo -name '*.wav' | sort | head -n 1)

# Names that are no text ---------------------------------------------------------------------------

cp "$speech" good.wav
latin=$'\xe4nne\n.wav'
cp "$speech" "$latin"
ends 0 'predict --json and Latin-1' "$serenade" predict --json $model good.wav "$latin"
holds out.txt '\\xE4nne\\x0A.wav'
holds out.txt '"file": "good.wav"'
ends 0 'predict and Latin-1' "$serenade" predict $model good.wav "$latin"
holds out.txt '\xE4nne\x0A.wav'
ends 0 'features --json and Latin-1' "$serenade" features --preset mel --json good.wav "$latin"
holds out.txt '\\xE4nne\\x0A.wav'
ends 2 'a missing Latin-1 file' "$serenade" predict $model good.wav $'no\xe4\n.wav'
holds out.txt good.wav
holds err.txt 'no\xE4'
[ "$(wc -l <err.txt)" -eq 1 ] || fail "a name with a line end makes two lines: $(cat err.txt)"
echo x >broken.wav
ends 2 'features: a bad file among good ones' "$serenade" features broken.wav good.wav
holds out.txt good.wav

# A word that is a book -----------------------------------------------------------------------------

{ printf '{"'; silence 5000000 | tr '\0' a; echo '": 1}'; } >book.json
ends 2 'a key of five million letters' timeout 20 "$serenade" "${train[@]}" --corpus demo --config book.json --out book
holds err.txt "book.json: unknown key 'aaaa"
holds err.txt 'bytes left out'
[ "$(wc -c <err.txt)" -lt 5000 ] || fail "a line of $(wc -c <err.txt) bytes"

# Values that are not finite -----------------------------------------------------------------------

{ head -c -4 $model; printf '\x00\x00\xc0\x7f'; } >nan.safetensors
checks=$((checks + 1))
"$serenade" predict nan.safetensors good.wav >out.txt 2>err.txt
status=$? # refused when it is read, or its answer is
[ $status -eq 2 ] || [ $status -eq 4 ] || fail "a weight that is no number: exit code $status"
[ -s out.txt ] && fail "a network of NaN answers: $(cat out.txt)"

# Long recordings in little memory -----------------------------------------------------------------

wav long.wav 1500
if ! grep -q '^SERENADE_SANITIZE:STRING=.' "$build/CMakeCache.txt" 2>/dev/null; then
  ends 0 'half an hour in 512 MB' bash -c "ulimit -Sv 512000; '$serenade' predict $model long.wav"
  holds out.txt long.wav
  ends 0 'features of half an hour in 512 MB' \
    bash -c "ulimit -Sv 512000; '$serenade' features --preset small long.wav --json"
  holds out.txt '"seconds": 1500.0'
fi

# Output that cannot be written --------------------------------------------------------------------

for arguments in "predict $model good.wav" "predict --json $model good.wav" 'features good.wav' \
  "evaluate $model --corpus demo --cache cache --allow-seen" 'corpus list' 'corpus check demo' info --help \
  --version 'report run'; do
  # shellcheck disable=SC2086
  ends 5 "$arguments to a full disk" bash -c '"$0" "$@" >/dev/full' "$serenade" $arguments
  holds err.txt 'standard output'
  # shellcheck disable=SC2086
  ends 5 "$arguments to a closed stream" bash -c '"$0" "$@" >&-' "$serenade" $arguments
done
ends 2 'a bad file, and a full disk' \
  bash -c '"$0" "$@" >/dev/full' "$serenade" predict $model good.wav broken.wav
for command in 'corpus list' "predict $model good.wav" info; do
  checks=$((checks + 1))
  # shellcheck disable=SC2086
  { "$serenade" $command; echo $? >status.txt; } 2>err.txt | sleep 0.2
  grep -qx '[05]' status.txt || fail "$command: exit code $(cat status.txt) where the reader went away"
  [ -s err.txt ] && grep -v '^note' err.txt && fail "$command: complains about a reader: $(cat err.txt)"
done
# Nobody listens any more, and the run goes on to its end.
checks=$((checks + 1))
"$serenade" "${train[@]}" --cache cache --corpus demo --out unheard 2>&1 | head -n 1 >/dev/null
[ -s unheard/report.html ] || fail 'a run ends because nobody reads what it says'
ends 5 'a limit on the size of files' bash -c "ulimit -f 64; '$serenade' ${train[*]} \
  --corpus demo --out limited --cache limited-cache"
holds err.txt limited
find limited-cache -name '*.partial' | grep -q . && fail 'a write that failed leaves a partial file'

ends 5 'a voice that cannot be written whole' bash -c "ulimit -f 4; '$serenade' corpus make cut --utterances 1"
holds err.txt '.part.wav: could not be written whole; is the disk full?'

# A pipe that brings more than fits ----------------------------------------------------------------

ends 2 'more than a pipe may bring' \
  bash -c "head -c $(((1 << 30) + 1)) /dev/zero | '$serenade' features /dev/stdin"
holds err.txt '/dev/stdin: more than 1 GiB came through this pipe; write it to a file'

# A corpus without two of the classes --------------------------------------------------------------

{ head -n 1 quoted.csv; grep -E ',(sad|neutral),' quoted.csv; } >two.csv
ends 0 'evaluate without a class' "$serenade" evaluate $model --corpus two.csv --cache cache --allow-seen
holds out.txt 'classes that occur: neutral, sad'
ends 0 'the same as JSON' "$serenade" evaluate $model --corpus two.csv --cache cache --allow-seen --json
holds out.txt '"angry": null'

# A cache that was cut, zeroed, or left behind ------------------------------------------------------

"$serenade" evaluate $model --corpus demo --cache cache --allow-seen >before.txt 2>/dev/null
for pack in cache/*.pack; do
  size=$(stat -c %s "$pack")
  silence 4096 | dd of="$pack" bs=1 seek=$((size / 2)) conv=notrunc status=none
done
ends 0 'a zeroed cache' "$serenade" evaluate $model --corpus demo --cache cache --allow-seen
diff before.txt out.txt || fail 'zeros in the cache change a result'
for pack in cache/*.pack; do truncate -s 5000 "$pack"; done
ends 0 'a truncated cache' "$serenade" evaluate $model --corpus demo --cache cache --allow-seen
diff before.txt out.txt || fail 'a truncated cache changes a result'
bash -c 'exit 0' &
wait $!
touch -d '2 hours ago' "cache/0123456789abcdef-0123456789abcdef.pack.$!.0.partial"
ends 0 'a cache with remains' "$serenade" evaluate $model --corpus demo --cache cache --allow-seen
find cache -name '*.partial' | grep -q . && fail 'remains of a killed writer stay in the cache'

# A damaged recording ------------------------------------------------------------------------------

# It is left out, and whoever reads the results is told, also when the report is written again.
cp -r demo damaged
victim=$(find damaged -name '*.wav' | sort | head -n 1)
truncate -s 3000 "$victim"
ends 0 'a corpus with a damaged recording' "$serenade" corpus check damaged
holds out.txt "$(basename "$victim")"
ends 0 'a training without it' "$serenade" "${train[@]}" --corpus damaged --cache cache --out without
for file in err.txt without/results.json without/report.html; do holds $file "$(basename "$victim")"; done
rm without/report.html
ends 0 'its report again' "$serenade" report without
holds without/report.html "$(basename "$victim")"

[ $failed -eq 0 ] && echo "bad input: $checks cases behave"
exit $failed
