# Sourced by the scripts of this folder: the small runs that are broken off, and how one that was
# resumed is compared with one that nothing disturbed. Works in the current folder, which holds
# corpus/, cache/ and, after undisturbed NAME, ref/NAME. Sets nothing but functions and the variables
# serenade (the program), shim (the library of shim.cpp) and run_names.

run_names=(train dropout joint sampling random two_stage capsules table2)

# arguments NAME: leaves the command line of a run, without its folder, in the array `line`.
arguments() {
  # Two folds of one session share their training in some modes, and are then kept as one.
  local fast=(--corpus corpus --cache cache --preset mel --device cpu)
  case $1 in
    train) line=(train "${fast[@]}" --direction both --folds 1 --epochs 3) ;;
    short) line=(train "${fast[@]}" --direction first --folds 1 --epochs 1) ;;
    dropout) line=(search "${fast[@]}" --direction first --folds 2 --search-epochs 2 --epochs 1) ;;
    joint | sampling)
      line=(search "${fast[@]}" --direction both --strategy "$1" --folds 1 --search-epochs 2 --epochs 1) ;;
    random)
      line=(search "${fast[@]}" --direction first --strategy random --folds 1 --trials 2 --epochs 1) ;;
    two_stage)
      line=(search "${fast[@]}" --direction first --folds 1 --bilevel two_stage --search-epochs 1 \
        --architecture-epochs 1 --epochs 1) ;;
    capsules)
      line=(search "${fast[@]}" --direction first --folds 1 --system CNN_SeqCap --search-epochs 1 --epochs 1) ;;
    table2)
      line=(table2 "${fast[@]}" --direction both --folds 1 --epochs 1 --search-epochs 1 --strategies none,sampling \
        --systems CNN_GRU_att --jobs 1) ;;
  esac
}

make_inputs() {  # make_inputs: a corpus of 40 recordings, and its features
  "$serenade" corpus make corpus --utterances 1 >log 2>&1 &&
    "$serenade" features --corpus corpus --cache cache --preset mel >>log 2>&1 ||
    { echo "FAIL: no demo corpus: $(tail -n 1 log)"; exit 1; }
}

undisturbed() {  # undisturbed NAME: makes ref/NAME once, and ref/NAME.seconds, how long it took
  [ -e "ref/$1.seconds" ] && return
  mkdir -p ref
  local line before
  arguments "$1"
  before=$(date +%s.%N)
  "$serenade" "${line[@]}" --out "ref/$1" >log 2>&1 ||
    { echo "FAIL: the undisturbed run of $1: $(tail -n 1 log)"; exit 1; }
  echo "$(date +%s.%N) $before" | awk '{ print $1 - $2 }' >"ref/$1.seconds"
}

# begin NAME FOLDER BEFORE..: the run as a user would type it, with the words BEFORE.. before the
# program. Every step is kept, so that there is much to go wrong.
begin() {
  local line
  arguments "$1"
  "${@:3}" "$serenade" "${line[@]}" --checkpoint-minutes 0 --out "$2" >"$2.out" 2>"$2.err"
}

# resume NAME FOLDER BEFORE..: goes on with a folder that knows what it is for; where the run was
# broken off before that, everything has to be said again.
resume() {
  local line
  arguments "$1"
  [ -e "$2/serenade.json" ] && line=("${line[0]}")
  "${@:3}" "$serenade" "${line[@]}" --out "$2" --resume >"$2.out" 2>"$2.err"
}

# What a run found out, as one text: times differ between two runs, all else must not.
findings() {  # findings FOLDER
  (
    cd "$1" || exit
    find . -type f ! -name '*.previous' | sort  # of states, as many as there was time for
    find . -type f \( -name '*.safetensors' -o -name '*.csv' -o -name 'genotype.json' \
      -o -name '*.dot' -o -name '*.svg' \) ! -path '*/checkpoint/*' | sort | xargs -r sha256sum
    find . -name 'results.json' -o -name 'metrics.jsonl' -o -name 'table2.json' | sort |
      xargs -r sed -E 's/"[a-z_]*seconds": ?[-0-9.e+]*,?//g; /"command":/d'
  )
}

same() {  # same NAME FOLDER: one line for each difference from the undisturbed run
  diff <(findings "ref/$1") <(findings "$2")
}

one_line() {  # one_line FILE: whether what a failed program said ends with its one line
  [ "$(grep -c '^serenade: ' "$1")" -eq 1 ] && tail -n 1 "$1" | grep -q '^serenade: '
}

# Takes up what was broken off and compares: prints what is wrong, removes the folder if nothing is.
must_recover() {  # must_recover NAME FOLDER WHAT
  local difference
  if ! resume "$1" "$2" timeout 300; then
    echo "FAIL: $3: not resumed: $(tail -n 1 "$2.err")"
  elif ! difference=$(same "$1" "$2"); then
    echo "FAIL: $3: resumed, but other than undisturbed: $(head -n 4 <<<"$difference" | paste -sd ' ')"
  else
    rm -rf "$2" "$2.out" "$2.err"
    return 0
  fi
  return 1
}
export -f arguments begin resume findings same one_line must_recover
