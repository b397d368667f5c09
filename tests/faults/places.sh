# Sourced by torture.sh, part `places`: folders that cannot be written to, and a clock that is set back.
# Uses its functions and variables; each test makes a run of train and ends as a point does.

place() {  # place WHAT CODE FOLDER BEFORE..: the run must end with CODE and one line, and then go on
  local what=$1 wanted=$2 folder=$3
  begin train "$folder" "${@:4}"
  local code=$?
  if [ $code -ne "$wanted" ]; then
    echo "FAIL: $what: exit code $code, not $wanted: $(tail -n 1 "$folder.err")"
  elif [ "$wanted" -ne 0 ] && ! one_line "$folder.err"; then
    echo "FAIL: $what: not one line: $(head -c 300 "$folder.err")"
  fi
}

recovers() { must_recover train "$2" "$1" && echo "ok"; }  # recovers WHAT FOLDER

# What an owner of the machine (root) is allowed in a read-only folder is refused by the shim.
read_only() {
  place 'a read-only file system' 5 read-only env LD_PRELOAD="$shim" \
    SERENADE_FAULT=open:1+:EROFS,mkdir:1+:EROFS
  recovers 'a read-only file system' read-only
  place 'no permission half-way' 5 forbidden env LD_PRELOAD="$shim" SERENADE_FAULT=open:5+:EACCES
  recovers 'no permission half-way' forbidden
}

vanished() {  # the folder goes while the program works in it
  local folder=vanished i
  begin train $folder &
  local job=$!
  for ((i = 0; i < 2000; ++i)); do
    [ -e $folder/folds/session1-test-Ses01F/model.safetensors ] && break
    sleep 0.005
  done
  mv $folder gone
  wait $job
  local code=$?
  [ $code -eq 5 ] || echo "FAIL: a vanished folder: exit code $code: $(tail -n 1 $folder.err)"
  rm -rf $folder
  recovers 'a vanished folder, begun anew' $folder
  mv gone $folder
  recovers 'a vanished folder, put back' $folder
}

small_files() {  # a limit on the size of files, as ulimit and quotas set it
  (ulimit -f 100 && place 'files of 100 KB at most' 5 limited)
  recovers 'files of 100 KB at most' limited
}

small_disk() {
  local kilobytes=$(($(du -sk ref/train | cut -f 1) / 2))
  mkdir small
  if ! mount -t tmpfs -o size=${kilobytes}k none small 2>mount.err; then
    echo "skipped: a disk of half the size: $(tail -n 1 mount.err)"
    return
  fi
  place 'a disk of half the size' 5 small/run
  mount -o remount,size=100m small
  recovers 'a disk of half the size' small/run
  umount small
}

clock_back() {
  local n
  for n in 1 2 3; do
    place "the clock a day back at its read $n" 0 "clock-$n" env LD_PRELOAD="$shim" \
      SERENADE_FAULT=clock:$n+:back
    recovers "the clock a day back at its read $n" "clock-$n"
  done
}

undisturbed train
for test in read_only vanished small_files small_disk clock_back; do
  $test
done >found-places 2>&1
grep -E 'FAIL:|skipped:' found-places
cat found-places >>found
report places "$(grep -cE 'ok|FAIL' found-places)" places "$(grep -c '^ok' found-places)" \
  "$(grep -c FAIL: found-places)"
