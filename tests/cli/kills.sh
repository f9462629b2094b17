#!/usr/bin/env bash
# Collecting and pruning are killed at random points (seeded): SIGKILL to all ranks or to one, SIGTERM and SIGUSR1. The same
# command goes on and gives the bytes of a run that was left alone. A third of the points are moments, the rest are chosen by how
# far the journal has grown. CTest's RANKS ranks; KILLS kills of each command (11).
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

gpt2=$(dirname -- "${BASH_SOURCE[0]}")/../models/gpt2
RANDOM=${SEED:-20}
kills=${KILLS:-11}
collect=(collect "$gpt2" -d "$gpt2/calibration.h5" --samples 16 --micro-batch 2 --pilot 256 --fisher-tokens 300 --halves --save-every 0)
prune=(prune "$gpt2" -d "$gpt2/calibration.h5" --stats whole.stats.h5 --sites ffn,attention,width=0.25 --metric fisher --stability)

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# wait_point FILE JOB: until the journal has grown by some bytes or some time has passed, or the job has ended.
wait_point() {
  local begin deadline grow=$(((RANDOM >> 5) % 3)) left=$((RANDOM % 60))
  begin=$(size_of "$1")
  ((grow)) && left=$((RANDOM % 12 + 1))
  for ((deadline = 0; deadline < 2000; deadline++)); do
    kill -0 "$2" 2>/dev/null || return 0
    if ((grow)); then
      local now
      now=$(size_of "$1")
      if ((now > begin)); then begin=$now left=$((left - 1)); fi
    else
      left=$((left - 1))
    fi
    ((left > 0)) || return 0
    sleep 0.02
  done
}

# The ranks among the descendants of a process.
list_ranks() {
  local child
  for child in $(pgrep -P "$1"); do
    if [[ $(cat "/proc/$child/comm" 2>/dev/null) == espalier* ]]; then echo "$child"; else list_ranks "$child"; fi
  done
}

# One signal, as from a batch system, a crash or an administrator.
strike() { # MPIRUN
  local ranks
  ranks=$(list_ranks "$1")
  case $(((RANDOM >> 5) % 5)) in
    0) struck="SIGKILL to all" && kill -KILL $ranks "$1" ;;
    1) struck="SIGKILL to one rank" && kill -KILL "${ranks##*$'\n'}" ;;
    2) struck="SIGTERM to one rank" && kill -TERM "${ranks##*$'\n'}" ;;
    3) struck="SIGTERM to mpirun" && kill -TERM "$1" ;;
    4) struck="SIGUSR1 to mpirun" && kill -USR1 "$1" ;;
  esac 2>/dev/null || true
}

declare -A codes
# disturb NAME OUTPUT ARGUMENT...: kill the command again and again; whenever it gets to its end, its bytes are right.
disturb() {
  local name=$1 output=$2 n=0 ends=0 code job struck
  while ((n < kills)); do
    "$MPIEXEC" -n "$RANKS" "$ESPALIER" "${@:3}" -o "$output" >stdout 2>log &
    job=$!
    wait_point "$output.journal" $job
    strike $job
    code=0
    wait $job 2>/dev/null || code=$?
    codes[$code]=$((${codes[$code]-0} + 1))
    if ((code == 0)); then
      cmp "$output" "whole.$name.h5" && rm "$output" && ends=$((ends + 1)) && continue
      return 1
    fi
    n=$((n + 1))
    echo "$name $n: $struck, exit code $code, journal of $(size_of "$output.journal") bytes, $(grep -c resuming log) resumed"
    [[ ! -e $output ]] || return 1
  done >>kills.log
  echo "$name: $n kills, $ends ends between" >>kills.log
}

# The report in a pruned file names the output, so all are made under one name.
must "${collect[@]}" -o out.h5
mv out.h5 whole.stats.h5
check "collecting, killed $kills times: never half a file under the final name" disturb stats out.h5 "${collect[@]}"
must "${collect[@]}" -o out.h5
check "then the same bytes" cmp out.h5 whole.stats.h5
check "and nothing left behind" test "$(ls out.h5*)" = out.h5
must "${prune[@]}" -o out.h5
mv out.h5 whole.pruned.h5
rm out.h5.report.json
check "pruning, killed $kills times: never half a file under the final name" disturb pruned out.h5 "${prune[@]}"
must "${prune[@]}" -o out.h5
check "then the same bytes" cmp out.h5 whole.pruned.h5
check "and nothing left behind but the report" test "$(echo out.h5*)" = "out.h5 out.h5.report.json"
cat kills.log
finish
