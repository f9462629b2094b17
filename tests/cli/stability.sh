#!/usr/bin/env bash
# Stability of the selection: near 1 from many samples, lower from few, the same at any number of ranks, and a note
# where there is nothing to compare.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# prune_from STATISTICS OUTPUT OPTION...
prune_from() { must prune "$model" --stats "$1" --repair none -o "$2" "${@:3}" --quiet; }
stability() { get "$1.report.json" stability; }
is_above() { awk "BEGIN { exit !($1 > $2) }"; }

must collect "$model" -d "$data" --samples 12 --micro-batch 4 -o few.h5 --quiet
for criterion in set-mi mi; do
  prune_from "$stats" "many-$criterion.h5" --criterion $criterion
  prune_from few.h5 "few-$criterion.h5" --criterion $criterion
  many=$(stability many-$criterion.h5) few=$(stability few-$criterion.h5)
  check "$criterion: $many from 600 samples, near 1" is_above "$many" 0.8
  check "$criterion: $few from 12, lower" is_above "$many" "$few"
done
for key in stability stability_by_chance; do
  check "a site's $key" get many-mi.h5.report.json sites 1 $key
done
check "by chance a half" test "$(get many-mi.h5.report.json stability_by_chance)" = 0.5
prune_from "$stats" table.h5
check "the table has it" grep -q "stability *by chance" stdout

prune_from "$stats" without.h5 --no-stability
check "--no-stability" eval '! get without.h5.report.json stability'
check "the selection is the same" h5diff many-set-mi.h5 without.h5 /kept
prune_from "$stats" random.h5 --criterion random
check "random: no stability" eval '! get random.h5.report.json stability'
check "random: why" grep -q "reads no calibration data" random.h5.report.json
prune_from "$stats" whole.h5 --sparsity 0
check "nothing removed: why" grep -q "keeps all its units" whole.h5.report.json

must collect "$model" -d "$data" --samples 32 --micro-batch 64 -o one.h5 --quiet --allow-idle
prune_from one.h5 one-out.h5 --allow-idle
check "one micro-batch: why" grep -q "half of the calibration data is empty" one-out.h5.report.json
must collect "$model" -d "$data" "${collection[@]}" --no-halves -o old.h5 --quiet
prune_from old.h5 old-out.h5
check "no halves: why" grep -q -- "--halves" old-out.h5.report.json
check "no halves: the same selection" h5diff many-set-mi.h5 old-out.h5 /kept

must collect "$model" -d "$data" --samples 40 --micro-batch 20 -o singular.h5 --quiet
prune_from singular.h5 singular-out.h5 --ridge 1e-8
check "halves too small for the criterion: why" grep -q "stability_note.*positive definite" singular-out.h5.report.json

run 2 collect "$llama" -d "$llama/calibration.h5" --samples 12 --micro-batch 2 --fisher-tokens 0 -o llama.h5 --quiet >/dev/null
for ranks in 1 3; do
  run $ranks prune "$llama" --stats llama.h5 --sites ffn=0.5,attention=0.5,width=0.25 --repair none -o "p$ranks.h5" \
    --quiet >"table$ranks"
  check "np$ranks: the same table" cmp table1 "table$ranks"
done
check "the width too" get p1.h5.report.json sites 0 stability
check "of heads too" is_above "$(get p1.h5.report.json sites 1 stability)" 0.4
finish
