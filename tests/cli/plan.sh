#!/usr/bin/env bash
# What plan tells of memory, traffic and files against what a run counts; what it refuses.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Without mpirun, which takes longer; its libraries hold less then, so plans to be compared are started alike.
alone() { OMPI_MCA_ess_singleton_isolated=1 timeout -k 5 60 "$ESPALIER" "$@" 2>"$ERRORS"; }

count_doublings() {
  local n=0
  while get p.h5.report.json doublings $((n + 1)) rows >/dev/null 2>&1; do n=$((n + 1)); done
  echo $n
}

# compare NAME MODEL OPTION...: a plan by one process of the prune by all ranks.
compare() {
  local name=$1 planned counted doublings
  shift
  must prune "$@" -o p.h5 --quiet
  doublings=$(count_doublings)
  start_alike plan "$@" --ranks "$RANKS" --doublings $((doublings > 0 ? doublings : 1)) --json plan.json --quiet >table
  counted=$(get p.h5.report.json run peak_anonymous_bytes max)
  near "$name: peak memory" "$(get plan.json memory peak_bytes)" "$counted" 0.15 $((held_by_mpi + ${untouched:-0}))
  near "$name: pruned model" "$(get plan.json files pruned_bytes)" "$(stat -c %s p.h5)" 0.02
  if [[ -f p.h5.stats.h5 ]]; then
    near "$name: statistics" "$(get plan.json files statistics_bytes)" "$(stat -c %s p.h5.stats.h5)" 0.01
    mv p.h5.stats.h5 s.h5
  fi
  ((RANKS > 1)) || return 0 # nothing is sent
  for kind in allreduce iallreduce exchange gather bcast; do
    planned=$(get plan.json traffic $kind bytes) counted=$(get p.h5.report.json run traffic $kind bytes)
    near "$name: $kind" "$planned" "$counted" "${tolerance:-0.05}" 1024
  done
}

# Formulas that hang on the number of ranks as others do are compared at one number.
few=(--samples 4 --micro-batch 1 --pilot 256 --no-stability)
((RANKS != 2)) || compare gpt2 "$gpt2" -d "$gpt2/calibration.h5" "${few[@]}" --fisher-tokens 0 --repair least-squares \
  --allocation uniform --keep-stats
((RANKS != 2)) || compare "llama, for itself alone" "$llama" -d "$llama/calibration.h5" "${few[@]}" --fisher-tokens 256 \
  --sites ffn.0,ffn.2 --allocation uniform --repair least-squares
compare llama "$llama" -d "$llama/calibration.h5" "${few[@]}" --fisher-tokens 256 \
  --sites ffn.0,attention.1,width=0.25 --allocation uniform --keep-stats
((RANKS != 2)) || compare "llama, few rows for its repair" "$llama" -d "$llama/calibration.h5" "${few[@]}" --fisher-tokens 256 \
  --sites attention
tolerance=0.4 # how many trials there are, and what they keep, is not known
((RANKS != 2)) || compare "llama, balanced" "$llama" --stats s.h5 --repair least-squares # trials take the most
unset tolerance
reuse=("$llama" --stats s.h5 --repair none) # with the residual stream
untouched=2097152 # buffers of products, and small blocks between the samples of a run's peak
compare "readers by information" "${reuse[@]}" --criterion mi --sites width=0.25
compare "masks" "${reuse[@]}" --structure unstructured --criterion wanda
unset untouched
compare "whole layers, refitted" "$llama" --stats s.h5 --criterion block --sparsity 0.75
if ((RANKS == 2)); then
  compare "whole layers by cosine" "${reuse[@]}" --criterion block-cosine
  untouched=2097152 # as above
  compare "masks without statistics" "$llama" --repair none --structure unstructured --criterion magnitude
  compare "units by weights alone" "$llama" --repair none --criterion magnitude --sites ffn,attention
  unset untouched
fi

# What is executed against what a hand count needs; the way back of the Fisher information makes the inside of every
# sub-layer again, which is what lies above.
needs() {
  local name=$1 table=$2 within=$3
  shift 3
  for phase in "$@"; do
    near "$name: $phase" "$(get "$table" work "$phase" executed)" "$(get "$table" work "$phase" needed)" "$within"
  done
}
if ((RANKS == 1)); then
  default=("$llama" -d "$llama/calibration.h5" --ranks 4 --quiet)
  run 1 plan "${default[@]}" --json plan.json >table
  needs "default request" plan.json 0.15 collect
  needs "default request" plan.json 0.1 "joint counts" select stability repair
  run 1 plan "${default[@]}" --fisher-tokens 0 --json without.json >table
  needs "without Fisher information" without.json 0.1 collect "joint counts" select stability repair
  run 1 plan "${default[@]}" --criterion flap --repair least-squares --sites ffn.0,ffn.2 --json flap.json >table
  needs "flap, for itself alone" flap.json 0.1 collect
  check "flap, for itself alone: nothing is counted" eval '! grep -q "^joint counts" table'
  needs "flap, whose small systems every rank factors" flap.json 0.25 repair
  run 1 plan "${default[@]}" --fisher-tokens 0 --sites attention --json heads.json >table
  needs "heads, for themselves alone" heads.json 0.1 collect "joint counts" select stability repair
fi

images=(-d "$data" "${collection[@]}" --keep-stats)
must train -d "$data" --hidden 512,256 --epochs 1 --micro-batch 16 -o wide.h5 --quiet
compare mlp wide.h5 "${images[@]}"
reuse=(wide.h5 --stats s.h5 --repair none)
if ((RANKS > 1)); then # one rank sends no counts
  untouched=1048576 # buffers of products, which these runs call none of, are in every plan
  compare "mlp, codes, allreduce" "${reuse[@]}" --moments codes --reduce allreduce
  compare "mlp, codes, exchange" "${reuse[@]}" --moments codes --reduce exchange --no-stability
  unset untouched
fi
tolerance=0.15 # sites share otherwise under one threshold
untouched=1048576 # as above
compare "mlp, mi-jmi, global" "${reuse[@]}" --criterion mi-jmi --targets 2 --allocation global --sparsity 0.4 \
  --no-stability
unset untouched
tolerance=0.1 # the samples of a bin fill their few words unevenly
compare "mlp, mi-mrmr" "${reuse[@]}" --criterion mi-mrmr --sparsity 0.25
unset tolerance
untouched=524288 # MPI's memory between ranks, which no plan knows, is much of so small a process
((RANKS == 1)) || compare "max-entropy" "$model" --criterion max-entropy --samples 512 --micro-batch 64 \
  --repair least-squares
unset untouched

runner=alone
expect_failure "more than there is" "programs and libraries" -- plan "$model" "${images[@]}" --ranks 2 --memory 1M
expect_failure "more ranks than work" "micro-batches" -- plan "$model" "${images[@]}" --ranks 100
expect_failure "no data" "--data" -- plan "$model" --ranks 2
expect_failure "data that nothing reads" "leave --data out" -- \
  plan "$model" "${images[@]}" --ranks 2 --criterion max-entropy --repair none
expect_failure "a criterion of units" "does not rank whole layers" -- plan "$llama" --stats s.h5 --sites block
expect_failure "masks, refitted" "give --repair none" -- plan "$llama" --structure unstructured --criterion magnitude
expect_failure "an unknown way" "--reduce" -- plan "$model" "${images[@]}" --reduce both
finish
