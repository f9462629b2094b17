#!/usr/bin/env bash
# Unstructured masks: one result at any number of ranks, exact counts, shapes that stay, and the errors.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

unstructured=(--structure unstructured --repair none)

for ranks in 1 3; do
  run $ranks prune "$model" "${unstructured[@]}" --criterion wanda --stats "$stats" --sparsity 0.3 -o p.h5 --quiet |
    grep checksum >"checksum$ranks"
  mv p.h5 "p$ranks.h5"
  check "np$ranks: masks" cmp checksum1 "checksum$ranks"
  check "np$ranks: file" cmp p1.h5 "p$ranks.h5"
done
# 64-24-16-4: rows of 64 keep 45, of 24 keep 17, of 16 keep 11.
check "wanda keeps by output" test "$(get p.h5.report.json parameters_unmasked)" = $((24 * 45 + 16 * 17 + 4 * 11 + 24 + 16 + 4))
check "the first layer's input is not measured" test "$(get p.h5.report.json matrices 0 input_norms)" = none
check "the second's is" test "$(get p.h5.report.json matrices 1 input_norms)" = hidden.0

must prune "$model" "${unstructured[@]}" --criterion magnitude --sparsity 0.5 -o magnitude.h5 --quiet # no statistics
must eval "$model" magnitude.h5 -d "$data" --no-speed --json eval.json
check "nothing is smaller" test "$(get eval.json results 1 parameters)" = "$(get eval.json results 0 parameters)"
check "half of the matrices is zero" test "$(get eval.json results 1 nonzero_parameters)" \
  = $(($(get eval.json results 0 nonzero_parameters) - (64 * 24 + 24 * 16 + 16 * 4) / 2))
check "eval says so" grep -q "magnitude.h5 is sparse, not smaller" stdout

must collect "$gpt2" -d "$gpt2/calibration.h5" --samples 4 --micro-batch 2 --fisher-tokens 0 -o gpt2.h5 --quiet
must prune "$gpt2" "${unstructured[@]}" --criterion wanda --stats gpt2.h5 --sites ffn=0.5 -o ffn.h5 --quiet
check "only the sites chosen" test "$(get ffn.h5.report.json matrices 0 weight)" = transformer.h.0.mlp.c_fc.weight
check "producers read the stream" test "$(get ffn.h5.report.json matrices 0 input_norms)" = width.ffn.0
must export ffn.h5 ffn --quiet
cut_tokens 4 "$gpt2/heldout.h5" few.h5
must eval ffn.h5 ffn -d few.h5 --no-speed --json eval.json
check "exported alike" test "$(get eval.json results 0 perplexity)" = "$(get eval.json results 1 perplexity)"

expect_failure "another criterion" "'flap'" -- prune "$model" "${unstructured[@]}" --criterion flap --stats "$stats" -o out/p.h5
expect_failure "a repair" "give --repair none" -- \
  prune "$model" --structure unstructured --criterion wanda --stats "$stats" --repair bias -o out/p.h5
expect_failure "the width" "choose other --sites" -- \
  prune "$gpt2" "${unstructured[@]}" --criterion magnitude --sites width=0.1 -o out/p.h5
must collect "$gpt2" -d "$gpt2/calibration.h5" --samples 2 --micro-batch 1 --no-width --fisher-tokens 0 -o narrow.h5 --quiet
expect_failure "no stream" "--width" -- prune "$gpt2" "${unstructured[@]}" --criterion wanda --stats narrow.h5 -o out/p.h5
finish
