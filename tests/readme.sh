#!/usr/bin/env bash
# The READMEs keep their word: links and paths exist, commands and options are known, and the first
# program of README.md compiles against the library and runs.
#
#   bash tests/readme.sh BUILD_DIR
set -u
build=$(realpath "${1:?usage: tests/readme.sh BUILD_DIR}")
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() {
  echo "FAIL: $*"
  failed=1
}

layers=(kernels tensor autograd nn nas apps tests)
mapfile -t pages < <(find . -name '*.md' -not -path './build/*' -not -path './.git/*' | sort)

# Commands of a page: fenced blocks that are no program, with continued lines joined, and code within
# text, one per line.
code() {
  awk '
    /^ *```/ { fence = !fence; shown = fence && $0 !~ /```(cpp|csv|json|html)/; next }
    fence { if (shown) { if (sub(/\\$/, "")) printf "%s ", $0; else print } next }
    { n = split($0, part, "`"); for (i = 2; i < n; i += 2) print part[i] }' "$1"
}

# Links and paths ----------------------------------------------------------------------------------

# Text without fenced blocks.
prose() { awk '/^ *```/ { fence = !fence; next } !fence' "$1"; }

for page in "${pages[@]}"; do
  folder=$(dirname "$page")
  while read -r target; do
    [ -e "$folder/${target%%#*}" ] || fail "$page links to $target, which does not exist"
  done < <(prose "$page" | sed 's/`[^`]*`//g' | grep -oE '\]\([^)# ][^) ]*' | cut -c3- |
    grep -vE '^[a-z]+:')
  # Paths are named from the page's folder or from the root; a bare file name may lie anywhere.
  while read -r path; do
    [ -e "$folder/$path" ] || [ -e "$path" ] && continue
    [[ $path != */* ]] && [ -n "$(find "${layers[@]}" -name "$path" -print -quit)" ] && continue
    fail "$page names $path, which does not exist"
  done < <(prose "$page" | grep -oE '`[^` ]+`' | tr -d '`' |
    grep -xE '[A-Za-z0-9_./-]+\.(h|cpp|cu|cuh|md|sh)|(tensor|autograd|kernels|nn|nas|apps|tests)/[a-z0-9_/]*')
done

# Verbs of the Makefile, commands and options of the program ---------------------------------------

serenade=$build/serenade
[ -x "$serenade" ] || fail "no program $serenade; build it first"
"$serenade" --help >"$work/help" 2>&1
commands=$(awk '/^Subcommands:/ { on = 1; next } on && /^  [a-z]/ { print $1 }' "$work/help")
for command in $commands; do
  "$serenade" "$command" --help >"$work/help-$command" 2>&1
done
for command in check list make; do
  "$serenade" corpus $command --help >"$work/help-corpus-$command" 2>&1
done
"$build/capsnet" --help 2>&1 | sed "s/{false}//g" >"$work/help.capsnet"

for command in search train draw; do
  "$(dirname "$serenade")/darts" "$command" --help >"$work/help-darts-$command" 2>&1
done
check_call() {  # check_call PAGE LINE: LINE begins with a command of the program
  local page=$1 words help
  read -ra words <<<"$2"
  local name=${words[0]:-}
  [[ $name =~ ^[a-z][a-z0-9]*$ ]] || return 0
  help=$work/help-$name
  [ -s "$help" ] || { fail "$page: there is no command serenade $name"; return; }
  if [ "$name" = corpus ] && [[ ${words[1]:-} =~ ^[a-z] ]]; then
    help=$work/help-corpus-${words[1]}
    [ -s "$help" ] || { fail "$page: there is no command serenade corpus ${words[1]}"; return; }
  fi
  local option
  for option in $(grep -oE -e '--[a-z][a-z0-9-]*' <<<"$2"); do
    grep -qE -e "$option( |,|\$)" "$help" || fail "$page: serenade $name has no option $option"
  done
}

for page in "${pages[@]}"; do
  code "$page" >"$work/code"
  for verb in $(grep -oE '(^|[;&] *)make [a-z][a-z-]*' "$work/code" | sed 's/.*make //' | sort -u); do
    grep -qE "^$verb:" Makefile || fail "$page: the Makefile has no verb $verb"
  done
  while read -r line; do
    check_call "$page" "$line"
  done < <(sed -nE 's/.*(^|[ /])serenade ([a-z].*)/\2/p' "$work/code" | sed 's/ [|#&;>].*//')
  for option in $(sed -nE 's#.*build/capsnet( [^|;&>]*).*#\1#p' "$work/code" | sed 's/ #.*//' |
    grep -oE -e '--[a-z][a-z0-9-]*' | sort -u); do
    grep -qE -e "$option( |,|\$)" "$work/help.capsnet" || fail "$page: capsnet has no option $option"
  done
  # Options that stand alone in the text belong to some command.
  while read -r option; do
    cat "$work"/help* Makefile | grep -qE -e "$option( |,|\$)" ||
      fail "$page: no command has the option $option"
  done < <(grep -oE -e '^--[a-z][a-z0-9-]*' "$work/code" | sort -u)
done

# The first program of README.md -------------------------------------------------------------------

awk '/^```cpp/ && !done { on = 1; next } /^```/ && on { on = 0; done = 1 } on' README.md \
  >"$work/first.cpp" 2>/dev/null
if [ ! -s "$work/first.cpp" ]; then
  fail 'README.md has no ```cpp block that shows a program'
else
  flags=(-std=c++20 -O1 -Wall -Wextra -I.)
  sanitizers=$(sed -n 's/^SERENADE_SANITIZE:STRING=//p' "$build/CMakeCache.txt" 2>/dev/null)
  [ -z "$sanitizers" ] || flags+=("-fsanitize=$sanitizers")
  libraries=("$build/libserenade_core.a")
  if [ -e "$build/libserenade_cuda.a" ]; then
    cudart=$(sed -n 's/^CUDA_cudart_static_LIBRARY:[A-Z]*=//p' "$build/CMakeCache.txt")
    libraries+=("$build/libserenade_cuda.a" "$cudart" -lrt -lpthread)
  fi
  read -ra blas < <(pkg-config --libs openblas 2>/dev/null || echo -lopenblas)
  if ! "${CXX:-g++}" "${flags[@]}" "$work/first.cpp" "${libraries[@]}" -o "$work/first" \
    "${blas[@]}" -ldl 2>"$work/errors"; then
    fail "the first program of README.md does not compile: $(head -n 5 "$work/errors")"
  elif ! (cd "$work" && timeout 60 ./first >output 2>errors); then
    fail "the first program of README.md does not run: $(tail -n 3 "$work/errors")"
  fi
fi

[ $failed -eq 0 ] && echo "readme: ${#pages[@]} pages keep their word"
exit $failed
