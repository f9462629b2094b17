#!/usr/bin/env bash
# The width of a trained language model: one selection at any number of ranks, a model that opens again, and an
# information criterion that beats chance.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

perplexity() { get eval.json results "$1" perplexity; }

run 2 collect "$llama" -d "$llama/calibration.h5" --samples 24 --fisher-tokens 0 -o s.h5 --quiet >/dev/null
for ranks in 1 2 3; do
  run $ranks prune "$llama" --stats s.h5 --sites width=0.25 --repair none --no-stability -o "p$ranks.h5" --quiet |
    grep checksum >"checksum$ranks"
  check "np$ranks: selection" cmp checksum1 "checksum$ranks"
  check "np$ranks: kept units" h5diff p1.h5 "p$ranks.h5" /kept
  check "np$ranks: weights" h5diff p1.h5 "p$ranks.h5" /model
done
for criterion in random set-mi set-mi-forward; do
  must prune "$llama" --stats s.h5 -d "$llama/calibration.h5" --sites width=0.25 --criterion $criterion --no-stability -o $criterion.h5 --quiet
done
cut_tokens 32 "$llama/heldout.h5" few.h5
must eval random.h5 set-mi.h5 set-mi-forward.h5 -d few.h5 --no-speed --json eval.json --quiet
check "dimensions kept" test "$(get set-mi.h5.report.json sites 0 kept)" = 144
check "set-mi below random" awk "BEGIN { exit !($(perplexity 1) < $(perplexity 0)) }"
check "set-mi-forward below random" awk "BEGIN { exit !($(perplexity 2) < $(perplexity 0)) }"
must info set-mi.h5 --json info.json
check "info: the width is a site" test "$(get info.json sites 8 units)" = 144

expect_failure "a model without a width" "width" -- \
  prune "$model" --stats "$stats" --sites width --repair none -o out/p.h5
run 1 collect "$llama" -d "$llama/calibration.h5" --samples 2 --micro-batch 1 --no-width --fisher-tokens 0 -o n.h5 --quiet >/dev/null
expect_failure "statistics without it" "--width" -- \
  prune "$llama" --stats n.h5 --sites width --repair none -o out/p.h5 --allow-idle
finish
