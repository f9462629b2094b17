#!/usr/bin/env bash
# What plan tells of memory, traffic and files against what a run counts; what it refuses.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

models=$(dirname -- "${BASH_SOURCE[0]}")/../models
get() { "$HELPERS/json_get" "$@"; }
# near NAME PLANNED COUNTED TOLERANCE
near() {
  check "$1: $2 of $3" awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN { exit !(a >= (1 - t) * b && a <= (1 + t) * b) }'
}

# compare NAME MODEL OPTION...: a plan by one process of the prune by all ranks.
compare() {
  local name=$1 planned counted
  shift
  run 1 plan "$@" --ranks "$RANKS" --json plan.json --quiet >table
  must prune "$@" -o p.h5 --quiet
  near "$name: peak memory" "$(get plan.json memory peak_bytes)" "$(get p.h5.report.json run peak_anonymous_bytes max)" 0.15
  near "$name: statistics" "$(get plan.json files statistics_bytes)" "$(stat -c %s p.h5.stats.h5)" 0.01
  near "$name: pruned model" "$(get plan.json files pruned_bytes)" "$(stat -c %s p.h5)" 0.02
  for kind in allreduce iallreduce exchange gather bcast; do
    planned=$(get plan.json traffic $kind bytes) counted=$(get p.h5.report.json run traffic $kind bytes)
    near "$name: $kind" "$planned" "$counted" "${tolerance:-0.05}"
  done
}

for model_name in llama gpt2; do
  folder=$models/$model_name
  compare $model_name "$folder" -d "$folder/calibration.h5" --samples 16 --micro-batch 4 --pilot 1024
done
images=(-d "$data" "${collection[@]}")
must train -d "$data" --hidden 512,256 --epochs 1 --micro-batch 16 -o wide.h5
compare mlp wide.h5 "${images[@]}"
compare "mlp, codes, allreduce" wide.h5 "${images[@]}" --moments codes --reduce allreduce --repair least-squares
tolerance=0.1 # the samples of a bin fill their few words unevenly
for criterion in mi-mrmr mi-jmi mi-cmim; do
  compare "mlp, $criterion" wide.h5 "${images[@]}" --criterion $criterion --sparsity 0.25 --repair none
done
unset tolerance
compare "mlp, codes, exchange" wide.h5 "${images[@]}" --moments codes --reduce exchange --repair none

must plan "$model" --stats "$stats" --ranks 2 --json plan.json
check "from statistics" test "$(get plan.json micro_batches)" = 10
check "the table has every phase" grep -q "^joint counts" stdout
expect_failure "more than there is" "programs and libraries" -- plan "$model" "${images[@]}" --ranks 2 --memory 1M
expect_failure "more ranks than work" "micro-batches" -- plan "$model" "${images[@]}" --ranks 100
expect_failure "no data" "--data" -- plan "$model" --ranks 2
expect_failure "a criterion without data" "max-entropy" -- plan "$model" "${images[@]}" --ranks 2 --criterion max-entropy
expect_failure "whole layers" "--sites block" -- \
  plan "$models/llama" -d "$models/llama/calibration.h5" --ranks 2 --criterion block
expect_failure "an unknown way" "--reduce" -- plan "$model" "${images[@]}" --reduce both
finish
