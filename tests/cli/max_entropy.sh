#!/usr/bin/env bash
# Pruning without data: one selection at any number of ranks, samples doubled until the scores rest, and the errors.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

for ranks in 1 3; do
  run $ranks prune "$model" --criterion max-entropy --samples 512 --micro-batch 64 --repair least-squares --keep-stats -o "p$ranks.h5" --quiet |
    grep checksum >"checksum$ranks"
  check "np$ranks: selection" cmp checksum1 "checksum$ranks"
  check "np$ranks: statistics" cmp p1.h5.stats.h5 "p$ranks.h5.stats.h5"
done
n=1
while get p1.h5.report.json doublings $n rows >/dev/null 2>&1; do n=$((n + 1)); done
check "rows double" test "$(get p1.h5.report.json doublings 1 rows)" = 1024
check "the scores have come to rest" awk -v x="$(get p1.h5.report.json doublings $((n - 1)) change)" 'BEGIN { exit !(x < 0.05) }'
check "and not before" awk -v x="$(get p1.h5.report.json doublings $((n - 2)) change 2>/dev/null || echo 1)" 'BEGIN { exit !(x >= 0.05) }'
check "statistics are of no data" test "$(get p1.h5.report.json collection data)" = maximum-entropy
must prune "$model" --criterion max-entropy --stats p1.h5.stats.h5 --repair least-squares -o again.h5 --quiet
check "statistics serve again" test "$(get again.h5.report.json selection_checksum)" = "$(get p1.h5.report.json selection_checksum)"
must collect "$model" --data maximum-entropy "${collection[@]}" --samples 512 -o made.h5 --quiet
must prune "$model" --stats made.h5 --criterion flap --repair sequential -o flap.h5 --quiet
must prune "$model" --stats made.h5 --criterion max-entropy --data "$data" --repair sequential -o repaired.h5 --quiet

expect_failure "statistics with data" "uses no data" -- prune "$model" --criterion max-entropy --stats "$stats" -o out/p.h5
expect_failure "data that nothing reads" "leave --data out" -- \
  prune "$model" --criterion max-entropy --data "$data" --repair none -o out/p.h5
expect_failure "no end" "give --samples" -- collect "$model" --data maximum-entropy --samples 0 -o out/s.h5
expect_failure "eval" "give real data" -- eval "$model" --data maximum-entropy
finish
