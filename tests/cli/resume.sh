#!/usr/bin/env bash
# Training that is killed goes on from its checkpoint to the same bytes; bad checkpoints are refused.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

training=(train -d "$data" --hidden 24,16 --epochs 16 --batch 64 --micro-batch 16 --save-every 0 --quiet -o m.h5)
checkpoint=m.h5.checkpoint.h5

interrupt() {
  "$MPIEXEC" -n "$RANKS" "$ESPALIER" "${training[@]}" >/dev/null 2>&1 &
  local job=$!
  for ((i = 0; i < 3000; i++)); do
    [[ ! -e $checkpoint ]] || break
    sleep 0.01
  done
  kill -TERM $job
  wait $job || true
}

must "${training[@]}"
mv m.h5 whole.h5
check "a finished training leaves no checkpoint" test ! -e $checkpoint
interrupt
check "an interrupted one leaves a checkpoint" test -e $checkpoint
check "and no model" test ! -e m.h5
cp $checkpoint kept
expect_failure "options of another training" "expected no --rate, found --rate 0.1" -- "${training[@]}" --rate 0.1
expect_failure "data of another training" "interrupted run of another command" -- "${training[@]}" -d "$SHARED/more-classes"
check "a refused checkpoint stays" cmp kept $checkpoint
damage_h5 $checkpoint checkpoint "${training[@]}"
check "no model from a bad checkpoint" test ! -e m.h5
must "${training[@]}"
check "resumed: the same bytes" cmp m.h5 whole.h5
finish
