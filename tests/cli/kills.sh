#!/usr/bin/env bash
# Collecting and pruning, in each of its ways, are killed at random points (seeded): SIGKILL to all ranks or to one, SIGTERM and
# SIGUSR1. The same command goes on and gives the bytes of a run that was left alone. A third of the points are moments of such a
# run's time, the rest are chosen by how far the journal has grown; two are places. CTest's RANKS ranks; MORE kills of each command
# beside its own number.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

gpt2=$(dirname -- "${BASH_SOURCE[0]}")/../models/gpt2
tokens=$gpt2/calibration.h5
RANDOM=${SEED:-20}
declare -A codes
ended=0

# Journals of an output: its own, and that of the statistics that it collects.
size_of() { cat "$1".journal "$1".stats.tmp.journal 2>/dev/null | wc -c; }

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# wait_point OUTPUT JOB: until the journals have grown some times or a part of the run's time has passed, or the job has ended.
wait_point() {
  local before after left=$((RANDOM % 6 + 1)) until
  before=$(size_of "$1")
  until=$(($(now_ms) + RANDOM % whole_ms))
  (((RANDOM >> 5) % 3)) && until=0
  while kill -0 "$2" 2>/dev/null && ((left > 0)); do
    if ((until)); then
      (($(now_ms) < until)) || return 0
    else
      after=$(size_of "$1")
      if ((after != before)); then before=$after left=$((left - 1)); fi
    fi
    sleep 0.02
  done
}

# One signal, as from a batch system, a crash or an administrator.
strike() { # MPIRUN
  local ranks
  ranks=$(list_ranks "$1")
  case $(((RANDOM >> 5) % 7)) in
    0 | 1) struck="SIGKILL to all" && kill -KILL $ranks "$1" ;;
    2 | 3) struck="SIGKILL to one rank" && kill -KILL "${ranks##*$'\n'}" ;;
    4) struck="SIGTERM to one rank" && kill -TERM "${ranks##*$'\n'}" ;;
    5) struck="SIGTERM to mpirun" && kill -TERM "$1" ;;
    6) struck="SIGUSR1 to mpirun" && kill -USR1 "$1" ;;
  esac 2>/dev/null || true
}

start() { # ARGUMENT...
  "$MPIEXEC" -n "$RANKS" "$ESPALIER" "$@" -o out.h5 >stdout 2>log &
  job=$!
}
end() { # sets code
  code=0
  wait $job 2>/dev/null || code=$?
}
note() { # WHERE
  codes[$code]=$((${codes[$code]-0} + 1))
  struck_times=$((struck_times + 1))
  echo "$name $struck_times: $1, exit code $code, journals of $(size_of out.h5) bytes, $(grep -c resuming log) resumed" >>kills.log
}

is_whole() { for file in whole."$name".*h5; do cmp "$file" "out.${file#whole."$name".}" || return 1; done; }

# disturb KILLS ARGUMENT...: kill the command again and again; whenever it gets to its end, its bytes are right.
disturb() {
  local n=0 struck
  while ((n < $1 + ${MORE:-0})); do
    start "${@:2}"
    wait_point out.h5 $job
    strike $job
    end
    if ((code == 0)) && [[ -e out.h5 || $struck != *mpirun ]]; then # one that is struck itself may say 0 all the same
      is_whole || return 1
      rm out.h5* && ended=$((ended + 1))
      continue
    fi
    n=$((n + 1))
    note "$struck"
    # There it is, where the blow fell between the last rename and the end of the process.
    [[ ! -e out.h5 ]] || cmp out.h5 "whole.$name.h5" || return 1
  done
}

# kill_when NAME CONDITION...: one kill of the command as soon as a condition holds.
kill_when() {
  local ranks
  start "${command[@]}"
  until "${@:2}" || ! kill -0 $job 2>/dev/null; do sleep 0.01; done
  ranks=$(list_ranks $job)
  kill -KILL $ranks $job 2>/dev/null || true
  end
  note "$1"
  ((code != 0))
}

# leave_alone NAME: the bytes of an undisturbed run, and how long it took. The report in a pruned file names the output, so all are
# made under one name.
leave_alone() {
  local begin file
  begin=$(now_ms)
  name=$1 struck_times=0
  must "${command[@]}" -o out.h5
  whole_ms=$(($(now_ms) - begin))
  rm -f out.h5.report.json
  for file in out.*h5; do mv "$file" "whole.$name.${file#out.}"; done
}

# go_on LEFT: to the end.
go_on() {
  must "${command[@]}" -o out.h5
  check "$name: then the same bytes" is_whole
  check "$name: and nothing left behind" test "$(echo out.h5*)" = "$1"
  rm -f out.h5*
}
undisturbed() {
  leave_alone "$1"
  check "$1, killed $2 times: never half a file under the final name" disturb "$2" "${command[@]}"
}

make_narrow "$gpt2" tiny.h5
pruned=("out.h5 out.h5.report.json")

command=(collect tiny.h5 -d "$tokens" --samples 6 --micro-batch 1 --pilot 64 --fisher-tokens 100 --halves --save-every 0)
undisturbed collect 5
go_on out.h5

command=(prune tiny.h5 -d "$tokens" --stats whole.collect.h5 --sites "ffn,attention,width=0.25" --metric fisher --stability)
undisturbed units 3
repairs_readers() { grep -qa "repaired by any ranks: sequential attention.1" out.h5.journal 2>/dev/null; }
check "units: killed while the width's readers are repaired" kill_when "SIGKILL in the repair" repairs_readers
hold_report out.h5
RANKS=$((RANKS + 1)) check "units: gone on at one rank more, killed between the model and its report" kill_when "SIGKILL before the report" test -e out.h5
check "units: the model is whole" is_whole
let_go out.h5
RANKS=1 go_on "$pruned"

command=(prune tiny.h5 -d "$tokens" --stats whole.collect.h5 --sites block=0.5 --criterion block)
undisturbed layers 4
go_on "$pruned"

command=(prune tiny.h5 --stats whole.collect.h5 --structure unstructured --criterion wanda --repair none)
undisturbed masks 3
go_on "$pruned"

command=(prune "$model" --criterion max-entropy --samples 128 --micro-batch 64 --no-stability --save-every 0)
undisturbed rounds 3
repairs() { grep -qa "repaired by any ranks" out.h5.journal 2>/dev/null; }
check "rounds: killed when the scores have come to rest" kill_when "SIGKILL in the repair" repairs
go_on "$pruned"
cat kills.log
echo "$ended ends between"
finish
