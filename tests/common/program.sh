# Sourced by the scripts that run the program from outside, which are given BUILD_DIR: finds the program,
# goes to a folder that is gone at the end, and counts. Sets build, serenade, work, failed and checks.
build=$(realpath "${1:?usage: $0 BUILD_DIR}")
serenade=$build/serenade
[ -x "$serenade" ] || { echo "FAIL: no program $serenade; build it first"; exit 1; }
# Networks this small gain nothing from threads, and on a busy machine waiting for them costs most.
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
checks=0

fail() {
  echo "FAIL: $*"
  failed=1
}

stop_early() {  # stop_early FOLDER COMMAND..: a signal ends the command once its run has begun
  local folder=$1 run status
  shift
  "$@" >out.txt 2>err.txt &
  run=$!
  for _ in $(seq 500); do
    [ -s "$folder/config.json" ] && break
    sleep 0.01
  done
  kill -TERM $run
  wait $run
  status=$?
  [ $status = 143 ] || fail "$*: stopped with code $status, not 143: $(cat err.txt)"
}

holds() {  # holds FILE WORD: the file has the word
  grep -qF -e "$2" "$1" || fail "$1 lacks '$2': $(head -c 300 "$1")"
}
