# Sourced by torture.sh, part `memory`: allocations that fail, one at a time, spread evenly over a
# prediction and a training of one epoch. The program must end with exit code 3 and one line; where it
# could do without the memory, with 0 and the right results.

points_per_run=${points_per_run:-300}

failed_allocation() {  # failed_allocation NAME NUMBER
  local name=$1 number=$2 fault=malloc:$2:fail folder=memory-$1-$2
  if [ "$name" = predict ]; then
    predict "$folder" env LD_PRELOAD="$shim" SERENADE_FAULT=$fault
  else
    begin "$name" "$folder" timeout 300 env LD_PRELOAD="$shim" SERENADE_FAULT=$fault
  fi
  local code=$?
  case $code in
    0)
      if [ "$name" = predict ]; then
        cmp -s predicted.out "$folder.out" || echo "FAIL: $name $fault: exit code 0, other answers"
      else
        same "$name" "$folder" >/dev/null || echo "FAIL: $name $fault: exit code 0, other results"
      fi
      echo ok
      ;;
    3)
      one_line "$folder.err" || echo "FAIL: $name $fault: not one line: $(head -c 300 "$folder.err")"
      if [ "$name" = predict ]; then echo ok; else must_recover "$name" "$folder" "$name $fault" && echo ok; fi
      ;;
    *) echo "FAIL: $name $fault: exit code $code: $(tail -n 1 "$folder.err")" ;;
  esac
  rm -rf "$folder" "$folder.out" "$folder.err"
}

predict() {  # predict FOLDER BEFORE..
  "${@:2}" "$serenade" predict ref/train/model.safetensors spoken.wav >"$1.out" 2>"$1.err"
}
export -f failed_allocation predict

undisturbed train
undisturbed short
cp "$(find corpus -name '*.wav' | sort | head -n 1)" spoken.wav
predict predicted env LD_PRELOAD="$shim" SERENADE_FAULT_COUNTS=counted-predict.counts
for name in predict short; do
  total=$(calls malloc $name)
  seq $((1 + RANDOM % 7)) $((total / points_per_run + 1)) "$total" | sed "s/^/$name /"
done | each memory failed_allocation
report memory "$(grep -cE '^(ok|FAIL)' found-memory)" allocations "$(grep -c '^ok' found-memory)" \
  "$(grep -c FAIL: found-memory)"
