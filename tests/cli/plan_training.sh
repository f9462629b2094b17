#!/usr/bin/env bash
# What plan tells of train, recover and prune --recover-tokens against what runs count; what it refuses.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# near_run NAME REPORT: memory and traffic of plan.json against run.
near_run() {
  local kind
  near "$1: peak memory" "$(get plan.json memory peak_bytes)" "$(get "$2" run peak_anonymous_bytes max)" 0.15 $held_by_mpi
  ((RANKS > 1)) || return 0 # nothing is sent
  for kind in allreduce iallreduce exchange gather bcast reduce_scatter allgather; do
    near "$1: $kind" "$(get plan.json traffic $kind bytes)" "$(get "$2" run traffic $kind bytes)" 0.05 1024
  done
}

# compare NAME JOB ARGUMENT...: a plan by one process of the job by all ranks.
compare() {
  local name=$1 job=$2
  shift 2
  must "$job" "$@" -o trained.h5 --json run.json --quiet
  start_alike plan --job "$job" "$@" --ranks "$RANKS" --json plan.json --quiet >table
  near_run "$name" run.json
  near "$name: file" "$(get plan.json files trained_bytes)" "$(stat -c %s trained.h5)" 0.02
  check "$name: steps" test "$(get plan.json training steps)" = "$(get run.json steps_planned)"
  check "$name: what trains" test "$(get plan.json training parameters_trainable)" = "$(get run.json parameters_trainable)"
}

cut_tokens 24 "$llama/calibration.h5" text.h5
few=(-d text.h5 --micro-batch 1 --batch 3 --steps 2 --evaluate-every 2)
compare "llama" train "$llama" "${few[@]}"
must prune "$llama" -d text.h5 --samples 8 --micro-batch 1 --pilot 64 --no-stability --criterion magnitude --repair none \
  --sites ffn -o cut.h5
compare "llama, norms, with a teacher" train cut.h5 "${few[@]}" --trainable norms --teacher "$llama"
((RANKS != 2)) || compare "gpt2, sgd, sums of floats" train "$gpt2" "${few[@]}" --optimizer sgd --gradients float \
  --trainable blocks --validation text.h5
((RANKS != 2)) || compare "bert, masked" train "$bert" -d "$bert/calibration.h5" --batch 32 --steps 1 --hold-out 0
compare "mlp, new" train -d "$data" --hidden 2048,1024 --micro-batch 16 --batch 64 --steps 4
if ((RANKS == 2)); then
  frozen=(-d "$data" --hidden 300,100 --micro-batch 16 --batch 64 --steps 2 --policy freezenet --final-sparsity 0.9)
  must train "${frozen[@]}" -o trained.h5 --json run.json --quiet
  start_alike plan --job train "${frozen[@]}" --ranks 2 --json plan.json --quiet
  near "frozen: file" "$(get plan.json files trained_bytes)" "$(stat -c %s trained.h5)" 0.02
  for kind in allreduce reduce_scatter allgather; do
    near "frozen: $kind" "$(get plan.json traffic $kind bytes)" "$(get run.json run traffic $kind bytes)" 0.02
  done
fi
compare "recovery" recover cut.h5 "${few[@]}"

if ((RANKS == 2)); then
  pruning=("$llama" -d text.h5 --samples 8 --micro-batch 1 --pilot 64 --no-stability --criterion magnitude --repair none
    --sites ffn --recover-tokens 4096)
  must prune "${pruning[@]}" -o recovered.h5 --quiet
  start_alike plan "${pruning[@]}" --ranks 2 --json plan.json --quiet >table
  near_run "prune, recover" recovered.h5.report.json
  check "prune, recover: a phase" grep -q '^recover  ' table
  check "prune, recover: steps" test "$(get plan.json training steps)" = "$(get recovered.h5.report.json recovery steps_planned)"
fi

alone() { OMPI_MCA_ess_singleton_isolated=1 timeout -k 5 60 "$ESPALIER" "$@" 2>"$ERRORS"; }
runner=alone
expect_failure "more than there is" "--trainable" -- plan "$llama" --job train "${few[@]}" --ranks 2 --memory 1M
expect_failure "more ranks than work" "micro-batches" -- plan "$llama" --job train "${few[@]}" --ranks 4
expect_failure "nothing trains" "--trainable none" -- plan "$llama" --job train "${few[@]}" --trainable none
expect_failure "no pruned model" "PRUNED.h5" -- plan --job recover "${few[@]}"
expect_failure "no model" "give MODEL" -- plan "${few[@]:0:2}"
expect_failure "not a pruned model" "--teacher" -- plan "$llama" --job recover "${few[@]}"
expect_failure "its own teacher" "found this one" -- plan "$llama" --job train "${few[@]}" --teacher "$llama/"
expect_failure "an unknown job" "--job" -- plan "$llama" --job eval "${few[@]}"
alone plan "$llama" --job train "${few[@]}" --sparsity 0.5 >table
check "an option of another job" grep -q 'without effect.*--sparsity' "$ERRORS"
finish
