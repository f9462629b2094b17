#!/usr/bin/env bash
# More ranks than micro-batches: refused, or accepted with --allow-idle and then the same result.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

few=(--samples 100 --micro-batch 64 --pilot 256) # 2 micro-batches
train=(train -d "$data" --hidden 16 --epochs 2 --batch 64 --micro-batch 32 -o)

expect_failure "collect" "--allow-idle" -- collect "$model" -d "$data" "${few[@]}" -o "$out/s.h5"
expect_failure "prune --data" "at most 2 ranks" -- prune "$model" -d "$data" "${few[@]}" -o "$out/p.h5"
expect_failure "train" "--allow-idle" -- "${train[@]}" "$out/m.h5"
run 2 collect "$model" -d "$data" "${few[@]}" -o two.h5 >/dev/null
expect_failure "prune --stats" "--allow-idle" -- prune "$model" --stats two.h5 -o "$out/p.h5"

must collect "$model" -d "$data" "${few[@]}" -o idle.h5 --allow-idle
check "collect: the same bytes" cmp two.h5 idle.h5
mkdir two idle
(cd two && run 2 "${train[@]}" m.h5 --allow-idle >/dev/null)
(cd idle && must "${train[@]}" m.h5 --allow-idle)
check "train: the same bytes" cmp two/m.h5 idle/m.h5
prune=(prune "$model" --stats "$SCRATCH/two.h5" --repair none --allow-idle -o p.h5)
(cd two && run 2 "${prune[@]}" >checksum)
(cd idle && must "${prune[@]}" && cp stdout checksum)
check "prune: the same checksum" cmp two/checksum idle/checksum
check "prune: the same bytes" cmp two/p.h5 idle/p.h5
check "sequential repair with idle ranks" must prune "$model" --stats two.h5 --allow-idle -o seq.h5
finish
