#!/usr/bin/env bash
# Training, recovery and a pruning that recovers are killed at random points (seeded): SIGKILL to all ranks or to one. The same command goes on, and what
# it writes has the bytes of a run of one rank that was left alone. SIGTERM and SIGUSR1 stop at a step. CTest's RANKS ranks; MORE
# kills of each command beside its own number.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

golden=$tests/golden
RANDOM=${SEED:-20}
ended=0

start() { # COMMAND...
  "$MPIEXEC" -n "$RANKS" "$ESPALIER" "$@" -o out.h5 >stdout 2>log &
  job=$!
}
end() { # sets code
  code=0
  wait $job 2>/dev/null || code=$?
}
step_of() { stat -c %i.%Y.%y out.h5.checkpoint.h5 2>/dev/null || true; }

# wait_point: until some checkpoints have been written, and a moment longer, so that the blow falls anywhere in a step.
wait_point() {
  local before after left=$((RANDOM % 5 + 1))
  before=$(step_of)
  while kill -0 $job 2>/dev/null && ((left > 0)); do
    after=$(step_of)
    if [[ $after != "$before" ]]; then before=$after left=$((left - 1)); fi
    sleep 0.004
  done
  sleep "0.0$((RANDOM % 30 + 10))"
}

strike() {
  local ranks
  ranks=$(list_ranks $job)
  if ((RANDOM % 2)); then
    struck="all ranks" && kill -KILL $ranks $job
  else
    struck="one rank" && kill -KILL "${ranks##*$'\n'}"
  fi 2>/dev/null || true
}

# disturb KILLS: kill the command again and again; whenever it gets to its end, its bytes are right.
disturb() {
  local n=0 struck
  while ((n < $1 + ${MORE:-0})); do
    start "${command[@]}"
    wait_point
    strike
    end
    if ((code == 0)); then
      cmp out.h5 "whole.$name.h5" || return 1
      rm out.h5* && ended=$((ended + 1))
      continue
    fi
    n=$((n + 1))
    echo "$name $n: SIGKILL to $struck, exit code $code, $(grep -o 'going on after step [0-9]*' log || echo 'from the beginning')" >>kills.log
    # There it is, where the blow fell between the last rename and the end of the process.
    [[ ! -e out.h5 ]] || cmp out.h5 "whole.$name.h5" || return 1
  done
}

go_on() {
  must "${command[@]}" -o out.h5
  check "$name: then the bytes of one rank left alone" cmp out.h5 "whole.$name.h5"
  [[ ! -e out.h5.early.h5 ]] || check "$name: the early weights too" cmp out.h5.early.h5 whole.early.h5
  check "$name: and nothing left behind" test "$(echo out.h5*)" = "${left:-out.h5}"
  rm -f out.h5*
}

leave_alone() { # NAME
  name=$1
  run 1 "${command[@]}" -o out.h5 >stdout
  check "$name: something was learnt" grep -q "held-out loss" stdout
  mv out.h5 "whole.$name.h5"
}

undisturbed() { # NAME KILLS
  leave_alone "$1"
  check "$1, killed $2 times: never half a file under the final name" disturb "$2"
  go_on
}

# stop SIGNAL: the ranks are asked to stop, and say at which step.
stop() {
  local before
  before=$(step_of)
  start "${command[@]}"
  until [[ $(step_of) != "$before" ]] || ! kill -0 $job 2>/dev/null; do sleep 0.004; done
  kill "-$1" "$(list_ranks $job | head -n 1)"
  end
  ((code == 6)) && [[ ! -e out.h5 ]] && [[ $(grep -c "espalier: error: " log) == 1 ]] &&
    grep -Eq "training stopped after step [0-9]+ of [0-9]+ as asked; the same command goes on" log
}

small=(--micro-batch 2 --batch 6 --hold-out 4 --evaluate-every 7 --save-every 0)
command=(train "$golden/transformers/llama-mha-f32" -d "$golden/training/tokens.h5" --rate 0.01 --steps 45 "${small[@]}")
undisturbed train 11
for signal in TERM USR1; do
  check "SIG$signal stops at a step" stop $signal
done
go_on

# A lottery ticket, with the weights behind a step.
must train "$golden/transformers/gpt2-f32" -d "$golden/training/tokens.h5" --rate 0.005 --steps 6 --save-step 3 "${small[@]}" \
  --policy tickets --prune-fraction 0 -o level.h5
command=(train level.h5 -d "$golden/training/tokens.h5" --rate 0.005 --steps 30 --save-step 12 "${small[@]}"
  --policy tickets --rewind level.h5.early.h5)
left="out.h5 out.h5.early.h5"
leave_alone tickets
mv out.h5.early.h5 whole.early.h5
check "tickets, killed 3 times: never half a file under the final name" disturb 3
go_on
left=

# Policies whose scores, draws or bounds go on from a checkpoint.
for policy in "edge-popup --final-sparsity 0.5" "l0 --penalty 30" "irrelevance --bound 100"; do
  command=(train "$golden/transformers/gpt2-f32" -d "$golden/training/tokens.h5" --rate 0.005 --steps 16 "${small[@]}" --policy $policy)
  undisturbed "${policy%% *}" 1
done

must prune "$golden/transformers/gpt2-f32" -d "$golden/training/tokens.h5" --micro-batch 2 --pilot 64 --fisher-tokens 0 \
  --no-stability --criterion magnitude --repair none --sparsity 0.5 --keep-stats -o pruned.h5
command=(recover pruned.h5 -d "$golden/training/tokens.h5" --rate 0.005 --steps 30 "${small[@]}")
undisturbed recover 6

# With its checkpoint in the journal of the pruning.
command=(prune "$golden/transformers/gpt2-f32" -d "$golden/training/tokens.h5" --stats pruned.h5.stats.h5 --micro-batch 2
  --criterion magnitude --repair none --no-stability --sparsity 0.5 --recover-tokens 30000 --save-every 0)
name=prune left="out.h5 out.h5.report.json"
run 1 "${command[@]}" -o out.h5 >stdout
mv out.h5 whole.prune.h5
rm out.h5.*
check "prune, killed 3 times: never half a file under the final name" disturb 3
go_on
cat kills.log
echo "$ended ends between"
finish
