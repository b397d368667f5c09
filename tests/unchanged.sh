#!/usr/bin/env bash
# Nothing that the program computes has changed: ten short runs on a demo corpus (both systems, all
# five modes), with the instruction sets avx2 and baseline, give the very bits that are recorded in
# unchanged.txt beside this file: of the weights, of the alphas and of the predictions.
#
#   bash tests/unchanged.sh BUILD_DIR           runs BUILD_DIR/serenade and compares
#   bash tests/unchanged.sh BUILD_DIR --record  writes unchanged.txt anew, for a change on purpose
#
# Another compiler, C library, OpenBLAS or espeak-ng gives other bits, rightly. So the record names
# them, and where they differ, or where AVX2 is missing, the test ends with 77 (skipped). Where they
# are the same, the corpus and its features are the program's work too, and must be those recorded.
# Names of settings, which stand in the model's metadata, and the headings of tables do not count.
set -u
export LC_ALL=C
build=$(realpath "${1:?usage: tests/unchanged.sh BUILD_DIR [--record]}")
serenade=$build/serenade
record=$(dirname "$(realpath "$0")")/unchanged.txt
[ -x "$serenade" ] || { echo "FAIL: no program $serenade; build it first"; exit 1; }
[ "${2:---record}" = --record ] || { echo "FAIL: $2 is not --record"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
# Two runs go on at a time. OpenBLAS takes the kernels of the same processor everywhere.
export OMP_NUM_THREADS=1 OPENBLAS_CORETYPE=Haswell

skip() {
  echo "skipped: $*"
  exit 77
}

stop() {
  echo "FAIL: $*"
  exit 1
}

short() { sha256sum | cut -c1-16; }  # the hash of stdin

# What the bits rightly depend on ------------------------------------------------------------------

grep -q '^SERENADE_SANITIZE:STRING=.' "$build/CMakeCache.txt" 2>/dev/null &&
  skip 'a build with sanitizers takes too long'
for isa in avx2 baseline; do
  SERENADE_ISA=$isa "$serenade" info >log 2>&1 && continue
  grep -q 'does not have it' log && skip "$(tail -n 1 log)"
  stop "SERENADE_ISA=$isa serenade info: $(tail -n 1 log)"
done
OPENBLAS_VERBOSE=2 "$serenade" --version 2>&1 | grep -qx 'Core: Haswell' ||
  skip 'this OpenBLAS cannot be told to take the kernels of OPENBLAS_CORETYPE=Haswell'
command -v espeak-ng >/dev/null || skip 'espeak-ng, which speaks the demo corpus, is not installed'

library() {  # library NAME: the file, with its version, that the program loads
  local path
  path=$(ldd "$serenade" | awk -v name="$1" 'index($1, name) == 1 { print $3 }')
  [ -n "$path" ] && basename "$(realpath "$path")"
}

surroundings() {
  echo "compiler $(sed -nE 's/^set\(CMAKE_CXX_COMPILER_(ID|VERSION) "(.*)"\)/\2/p' \
    "$build"/CMakeFiles/*/CMakeCXXCompiler.cmake | awk '!seen[$0]++' | paste -sd ' ')"
  echo "libc $(getconf GNU_LIBC_VERSION 2>&1)"
  for name in libopenblas libkissfft libsoxr; do
    echo "library $(library $name)"
  done
  # espeak-ng's own sound, before the program does anything with it.
  espeak-ng -m -v en-gb+f2 -p 48 -s 172 -a 60 -w voice.wav \
    '<speak><prosody range="130%">The keys are in the other coat.</prosody></speak>' >log 2>&1
  echo "espeak-ng $(short <voice.wav)"
}

surroundings >outside
if [ $# -eq 1 ]; then
  [ -s "$record" ] || stop "no $record; write it with --record"
  while read -r line; do
    grep -qxF -e "$line" "$record" ||
      skip "'$line' is not what the hashes were recorded with: $(grep "^${line%% *} " "$record" |
        paste -sd ';')"
  done <outside
fi

# What goes in -------------------------------------------------------------------------------------

"$serenade" corpus make corpus --utterances 5 >log 2>&1 || stop "corpus make: $(tail -n 1 log)"
"$serenade" features --corpus corpus --cache cache --preset mel >log 2>&1 ||
  stop "features: $(tail -n 1 log)"
spectrograms() {  # spectrograms PACK: a hash of each one's values (apps/ser/features/feature_pack.h)
  local header offset frames
  read -ra header < <(od -An -v -t u8 -w32 -N 32 "$1")  # magic, version, bins, count
  od -An -v -t u8 -w32 -j 64 -N $((32 * header[3])) "$1" | while read -r _ offset frames _; do
    tail -c +$((offset + 1)) "$1" | head -c $((4 * header[2] * frames)) | sha256sum
  done
}

{
  echo "sound $(find corpus -name '*.wav' | sort | xargs sha256sum | short)"
  echo "features $(for pack in cache/*.pack; do spectrograms "$pack"; done | sort | short)"
} >inputs
if [ $# -eq 1 ]; then  # espeak-ng and the libraries are those recorded: these too are the program's
  while read -r name is; do
    was=$(sed -n "s/^$name //p" "$record")
    [ "$is" = "$was" ] || stop "the demo corpus: other $name: $is, recorded $was"
  done <inputs
fi

# The runs -----------------------------------------------------------------------------------------

run() {  # run ISA SYSTEM MODE: leaves its folder ISA-SYSTEM-MODE, or a file failed-ISA-SYSTEM-MODE
  local command=search folder=$1-$2-$3
  [ "$3" = none ] && command=train
  SERENADE_ISA=$1 timeout 300 "$serenade" $command --corpus corpus --cache cache --system "$2" \
    --strategy "$3" --preset mel --direction first --folds 1 --search-epochs 3 --epochs 2 \
    --device cpu --out "$folder" >"log-$folder" 2>&1 ||
    echo "exit code $?: $(tail -n 1 "log-$folder")" >"failed-$folder"
}

weights() {  # weights FILE: hashes of the tensors' names, types and shapes, and of their values
  local header
  header=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
  # Within the metadata every quotation mark comes behind a backslash.
  head -c $((8 + header)) "$1" | tail -c +9 | grep -aoE '"[^"\\]+":\{"[^{}\\]*\}' |
    sed -E 's/"data_offsets":\[[0-9, ]*\],?//' | sort | short
  tail -c +$((9 + header)) "$1" | short
}

table() {  # table FOLDER NAME: hash of the lines below the heading of the fold's table; - for none
  local found=("$1"/folds/*/"$2")
  [ -e "${found[0]}" ] || { echo -; return; }
  # The hashes of predictions.csv are of the time when its four probabilities were one field, those
  # of alphas.csv of the time when its epochs counted from 0.
  tail -q -n +2 "${found[@]}" | if [ "$2" = predictions.csv ]; then
    sed -E 's/,([^,]*),([^,]*),([^,]*)$/ \1 \2 \3/'
  else
    awk 'BEGIN { FS = OFS = "," } { $1 -= 1; print }'
  fi | short
}

names=()
for isa in baseline avx2; do  # the slow ones first
  for mode in random dropout sampling joint none; do
    for system in CNN_GRU_att CNN_SeqCap; do
      while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
      run $isa $system $mode &
      names+=("$isa $system $mode")
    done
  done
done
wait
for name in "${names[@]}"; do
  folder=${name// /-}
  [ -e "failed-$folder" ] && stop "$name: $(cat "failed-$folder")"
  [ -s "$folder/model.safetensors" ] || stop "$name: leaves no model.safetensors"
  echo "$name $({ weights "$folder/model.safetensors"
    table "$folder" alphas.csv
    table "$folder" predictions.csv; } | paste -sd ' ')" >>results
done
sort -o results results
nothing=$(short </dev/null)
grep -F -e "$nothing" outside inputs results && stop "$nothing is the hash of nothing"

# The comparison -----------------------------------------------------------------------------------

if [ $# -eq 2 ]; then
  {
    echo '# What short runs of the program give, for tests/unchanged.sh to compare: the first'
    echo '# 16 digits of SHA-256. After a change that is meant to change results, record anew:'
    echo '#   bash tests/unchanged.sh BUILD_DIR --record'
    echo '# First what the bits rightly depend on; then the corpus; then each run:'
    echo '# set, system, mode, tensors (names and shapes), tensors (values), alphas, predictions'
    cat outside inputs results
  } >"$record" && echo "unchanged: recorded ${#names[@]} runs in $record"
  exit
fi
failed=0
differs() {  # differs WHAT IS WAS
  echo "FAIL: $1: $2, recorded $3"
  failed=1
}

kinds=('names and shapes in model.safetensors' 'tensors of model.safetensors' alphas.csv
  predictions.csv)
while read -r isa system mode hashes; do
  name="$isa $system $mode"
  read -ra is <<<"$hashes"
  read -ra was < <(sed -n "s/^$name //p" "$record")
  for i in "${!kinds[@]}"; do
    [ "${is[i]}" = "${was[i]:-nothing}" ] ||
      differs "$name: other ${kinds[i]}" "${is[i]}" "${was[i]:-nothing}"
  done
done <results
[ $failed -eq 0 ] || exit 1
echo "unchanged: ${#names[@]} runs give the recorded bits"
