#!/usr/bin/env bash
# Whole layers of trained models: one selection at any number of ranks, a model that opens again, a repair that helps,
# and clear words for what does not go together.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

perplexity() { get eval.json results "$1" perplexity; }

cut_tokens 24 "$llama/heldout.h5" few.h5
for ranks in 2 3; do
  run $ranks collect "$llama" -d "$llama/calibration.h5" --samples 12 --micro-batch 4 --fisher-tokens 0 -o "s$ranks.h5" --quiet >/dev/null
done
mv s2.h5 s.h5
check "cosines at any number of ranks" h5diff s.h5 s3.h5 /layers
for criterion in block block-cosine; do
  [[ $criterion == block ]] && counts="1 3 4" || counts="1 4"
  for ranks in $counts; do
    run $ranks prune "$llama" --stats s.h5 --sites block=0.5 --criterion $criterion --repair none -o "p$ranks.h5" \
      --no-stability --allow-idle --quiet | grep checksum >"checksum$ranks"
    check "$criterion np$ranks: selection" cmp checksum1 "checksum$ranks"
    check "$criterion np$ranks: the same file" h5diff p1.h5 "p$ranks.h5" /model
  done
done
check "two layers are kept" test "$(h5dump -d /kept/block p1.h5 | grep -c '(0): [0-9], [0-9]$')" = 1
must info p1.h5 --json info.json
check "layers are numbered anew" test "$(get info.json sites 3 site 2>/dev/null || get info.json sites 3 name)" = ffn.1

for repair in none sequential; do
  must prune "$llama" --stats s.h5 -d "$llama/calibration.h5" --criterion block --sparsity 0.5 --repair $repair \
    --no-stability -o $repair.h5 --quiet
done
must export sequential.h5 exported --quiet
must eval none.h5 sequential.h5 exported -d few.h5 --no-speed --json eval.json --quiet
check "a criterion of layers implies the site" test "$(get none.h5.report.json sites 0 kept)" = 2
check "sequential repair helps" awk "BEGIN { exit !($(perplexity 1) < 0.95 * $(perplexity 0)) }"
check "export: layers" grep -q '"num_hidden_layers": 2' exported/config.json
check "export: the same perplexity" test "$(perplexity 2)" = "$(perplexity 1)"
must prune "$bert" -d "$bert/calibration.h5" --samples 32 --micro-batch 4 --sites block=0.25 \
  --fisher-tokens 0 --criterion block-cosine -o bert.h5 --quiet
check "without statistics, an encoder" test "$(get bert.h5.report.json sites 0 units)" -gt \
  "$(get bert.h5.report.json sites 0 kept)"

refused=(--stats s.h5 --repair none -o out/p.h5)
expect_failure "a criterion of units" "does not rank whole layers" -- prune "$llama" "${refused[@]}" --sites block
expect_failure "other sites" "give --sites block" -- prune "$llama" "${refused[@]}" --sites ffn --criterion block
expect_failure "with other sites" "no other sites with them" -- \
  prune "$llama" "${refused[@]}" --sites block=0.25,ffn --criterion block
expect_failure "a repair from the statistics" "choose sequential or none" -- \
  prune "$llama" "${refused[@]}" --repair least-squares --sites block --criterion block
expect_failure "an allocation over sites" "nothing to share out" -- \
  prune "$llama" "${refused[@]}" --sites block --criterion block --allocation global
expect_failure "no residual stream" "family 'mlp' has no residual stream" -- \
  prune "$model" --stats "$stats" --sites block --criterion block --repair none -o out/p.h5
run 1 collect "$llama" -d "$llama/calibration.h5" --samples 2 --micro-batch 1 --no-width --fisher-tokens 0 -o n.h5 --quiet >/dev/null
expect_failure "statistics without the stream" "--sites block needs the residual stream" -- \
  prune "$llama" --stats n.h5 --sites block --criterion block --repair none -o out/p.h5 --allow-idle
finish
