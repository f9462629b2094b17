#!/usr/bin/env bash
# Fisher information as set-mi's metric: one selection at any number of ranks, another than without, and the errors.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Padded sequences, one label each, norms behind the sub-layers.
for ranks in 1 3; do
  run $ranks collect "$bert" -d "$bert/calibration.h5" --samples 64 --micro-batch 8 --fisher-tokens 300 --no-width -o "s$ranks.h5" --quiet >/dev/null
done
check "statistics at 1 and 3 ranks" cmp s1.h5 s3.h5
for ranks in 1 2 3; do
  run $ranks prune "$bert" --stats s1.h5 --sites ffn=0.5 --metric fisher --repair none -o "p$ranks.h5" --quiet |
    grep checksum >"checksum$ranks"
  check "np$ranks: selection" cmp checksum1 "checksum$ranks"
done
must prune "$bert" --stats s1.h5 --sites ffn=0.5 --metric outputs --repair none -o outputs.h5 --quiet
must prune "$bert" --stats s1.h5 --sites ffn=0.5 --repair none -o auto.h5 --quiet
check "it is the default where it was collected" test "$(get p1.h5.report.json selection_checksum)" = "$(get auto.h5.report.json selection_checksum)"
check "the metric changes the selection" test "$(get p1.h5.report.json selection_checksum)" != "$(get outputs.h5.report.json selection_checksum)"
check "the report names it" test "$(get p1.h5.report.json metric)" = fisher
check "and its absence" test "$(get outputs.h5.report.json metric)" = outputs

expect_failure "another criterion" "'magnitude'" -- \
  prune "$bert" --stats s1.h5 --criterion magnitude --metric fisher --repair none -o out/p.h5
run 1 collect "$model" -d "$data" "${collection[@]}" --fisher-tokens 0 -o none.h5 --quiet >/dev/null
expect_failure "not collected" "--fisher-tokens" -- \
  prune "$model" --stats none.h5 --metric fisher --repair none -o out/p.h5
must prune "$model" --stats none.h5 --repair none -o auto.h5 --quiet
check "and outputs where it was not" test "$(get auto.h5.report.json metric)" = outputs
finish
