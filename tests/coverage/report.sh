#!/usr/bin/env bash
# report.sh BUILD_FOLDER: which lines of our code the tests have run, after `make coverage` has run
# them. Prints the files below 90 % with the lines that nothing runs, then the branches of all that
# reads what others wrote, and of the writer of checkpoints: each place where a condition was never
# true, or never false. Fails below 90 % of all lines. The CUDA kernels are left out: nvcc compiles
# them, and the emulation's copies count as its own.
#
# A line and a condition are clang's: those of the source, without the branches that a compiler makes
# for exceptions and destructors.
set -u
build=$(realpath "${1:?usage: tests/coverage/report.sh BUILD_FOLDER}")
llvm=19  # as in the Makefile
for tool in llvm-profdata llvm-cov; do
  command -v $tool-"$llvm" >/dev/null || { echo "coverage: $tool-$llvm is wanted, of the package llvm-$llvm" >&2; exit 2; }
done
compgen -G "$build/profiles/*.profraw" >/dev/null || { echo "coverage: nothing has run; \`make coverage\` does" >&2; exit 2; }
cd "$(dirname "$(realpath "$0")")/../.." || exit 2
llvm-profdata-"$llvm" merge -sparse "$build"/profiles/*.profraw -o "$build/profile" || exit 1
objects=()
for program in serenade serenade_tests serenade_tests_systems serenade_tests_apps serenade_tests_capsnet \
  serenade_tests_darts serenade_tests_cuda; do
  [ -x "$build/$program" ] && objects+=(-object "$build/$program")
done
cov() {  # cov VERB OPTION.. FILE..: the first program is named without -object
  local verb=$1
  shift
  llvm-cov-"$llvm" "$verb" "${objects[@]:1}" -instr-profile="$build/profile" -use-color=0 "$@" \
    2>>"$build/coverage.log"
}
ours=$(git ls-files kernels tensor autograd nn nas apps | grep -E '\.(cpp|h)$' | grep -vE '/(cuda|emulation)/')
readers=$(grep -E '^(tensor/(safetensors.*|files|text|json|csv)\.cpp|nn/checkpoint\.cpp|nn/data/.*\.cpp|'\
'nas/(genotype.*|history|strategy|supernet_search_state|cell_text)\.cpp|'\
'apps/ser/corpus/(corpora/.*|audio|named_files|path_spelling|sound_.*|wav_layout)\.cpp|'\
'apps/ser/features/feature_(cache|pack|store)\.cpp|'\
'apps/ser/training/(config|model_file|checkpoints|records|experiment_json)\.cpp|'\
'apps/ser/report/(result_folder|own_files|folder_lock|run_folder|table2_results)\.cpp)$' <<<"$ours")

# Columns of llvm-cov's report: file; regions, missed, share; functions, ..; lines, ..; branches, ..
# shellcheck disable=SC2086
cov report -show-branch-summary -sources $ours | awk 'NF >= 13 && $1 != "Filename"' >"$build/files"
echo "coverage: files of which the tests run less than 90 % of the lines (lines, not run, share)"
awk '$1 != "TOTAL" && $8 > 0 && $10 + 0 < 90 {print $1, $8, $9, $10}' "$build/files" | sort -k4 -n | column -t
echo "coverage: readers and checkpoints (lines, not run, share; branches, not taken, share)"
# shellcheck disable=SC2086
cov report -show-branch-summary -sources $readers | awk 'NF >= 13 && $1 != "Filename" {print $1, $8, $9, $10, $11, $12, $13}' | column -t
echo "coverage: their branches that no test takes are listed in $build/branches"
# shellcheck disable=SC2086
cov show -show-branches=count -sources $readers |
  awk '/^\/.*:$/ {file = $0; next} /Branch \(/ {print file $0}' | grep -E '(True|False): 0[],]' |
  sed "s|^$PWD/||; s/: *[|]* *Branch (/:/; s/): / /" | sort -u >"$build/branches"
awk -F: '{++count[$1]} END {for (file in count) print count[file], file}' "$build/branches" | sort -rn
total=$(awk '$1 == "TOTAL" {print $10}' "$build/files")
echo "lines: $total of all"
awk -v share="${total%\%}" 'BEGIN {exit !(share >= 90)}'
