#!/usr/bin/env bash
# report.sh BUILD_FOLDER: how much of our code the tests have run, after `make coverage` has run them.
# Prints the files of which less than 90 % of the lines ran, then all files that read what others
# wrote, and the writer of checkpoints; where a condition of these was never true, or never false, is
# listed in BUILD_FOLDER/branches. Fails below 90 % of all lines. The CUDA kernels are left out: nvcc
# compiles them, and the emulation's copies count as its own.
#
# A line and a condition are clang's: those of the source, without the branches that a compiler makes
# for exceptions and destructors.
set -u
build=$(realpath "${1:?usage: tests/coverage/report.sh BUILD_FOLDER}")
llvm=19  # as in the Makefile
for tool in llvm-profdata llvm-cov; do
  command -v $tool-$llvm >/dev/null || { echo "coverage: $tool-$llvm is wanted, of the package llvm-$llvm" >&2; exit 2; }
done
compgen -G "$build/profiles/*.profraw" >/dev/null || { echo "coverage: nothing has run; \`make coverage\` does" >&2; exit 2; }
cd "$(dirname "$(realpath "$0")")/../.." || exit 2
llvm-profdata-$llvm merge -sparse "$build"/profiles/*.profraw -o "$build/profile" || exit 1
programs=("$build/serenade")
for program in "$build"/serenade_tests*; do
  [ -f "$program" ] && [ -x "$program" ] && programs+=(-object "$program")
done
cov() {  # cov VERB OPTION FILE..
  local verb=$1 option=$2
  shift 2
  llvm-cov-$llvm "$verb" "${programs[@]}" -instr-profile="$build/profile" -use-color=0 "$option" \
    -sources "$@" 2>>"$build/coverage.log"
}
mapfile -t ours < <(git ls-files kernels tensor autograd nn nas apps |
  grep -E '\.(cpp|h)$' | grep -vE '/(cuda|emulation)/')
readers='^(tensor/(safetensors.*|files|text|json|csv)[.]cpp|nn/checkpoint[.]cpp|nn/data/.*[.]cpp'
readers+='|nas/(genotype.*|history|strategy|supernet_search_state|cell_text)[.]cpp'
readers+='|apps/ser/corpus/(corpora/.*|audio|named_files|path_spelling|sound_.*|wav_layout)[.]cpp'
readers+='|apps/ser/features/feature_(cache|pack|store)[.]cpp'
readers+='|apps/ser/training/(config|model_file|checkpoints|records|experiment_json)[.]cpp'
readers+='|apps/ser/report/(result_folder|own_files|folder_lock|run_folder|table2_results)[.]cpp)$'
mapfile -t reading < <(printf '%s\n' "${ours[@]}" | grep -E "$readers")

# Columns of llvm-cov: file; regions, missed, share; functions, ..; lines, ..; branches, ..
cov report -show-branch-summary "${ours[@]}" | awk 'NF >= 13 && $1 != "Filename"' >"$build/files"
echo "coverage: files of which less than 90 % of the lines ran (lines, not run, share)"
awk '$1 != "TOTAL" && $8 > 0 && $10 + 0 < 90 {print $1, $8, $9, $10}' "$build/files" | sort -k4 -n | column -t
echo "coverage: readers and checkpoints (lines, not run, share; branches, not taken, share)"
awk -v readers="$readers" '$1 ~ readers {
    print $1, $8, $9, $10, $11, $12, $13
    lines += $8; missed += $9; branches += $11; not_taken += $12
  }
  END {
    if (lines && branches) printf "together %d %d %.2f%% %d %d %.2f%%\n", lines, missed,
      100 - 100 * missed / lines, branches, not_taken, 100 - 100 * not_taken / branches
  }' "$build/files" | column -t
# A template has a line for each type; what one of them has seen is seen.
cov show -show-branches=count -show-instantiations=0 "${reading[@]}" | awk -v here="$PWD/" '
  /^\/.*:$/ {file = substr($0, length(here) + 1, length($0) - length(here) - 1); next}
  match($0, /Branch \([0-9]+:[0-9]+\)/) {
    place = file ":" substr($0, RSTART + 8, RLENGTH - 9)
    match($0, /True: [^,]*/);   if (substr($0, RSTART + 6, RLENGTH - 6) != "0") was_true[place] = 1
    match($0, /False: [^]]*/);  if (substr($0, RSTART + 7, RLENGTH - 7) != "0") was_false[place] = 1
    all[place] = 1
  }
  END {
    for (place in all) {
      if (!(place in was_true)) print place " never true"
      if (!(place in was_false)) print place " never false"
    }
  }' | sort -t: -k1,1 -k2,2n >"$build/branches"
echo "coverage: $(wc -l <"$build/branches") times a condition of these was never true or never false: $build/branches"
total=$(awk '$1 == "TOTAL" {print $10}' "$build/files")
echo "lines: ${total:-none} of all"
awk -v share="${total%\%}" 'BEGIN {exit !(share >= 90)}'
