#!/usr/bin/env bash
# Every criterion ranks every kind of site of a small trained model, the same at any number of ranks; and the warning
# where there are few samples for the bins.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

select_units() { # RANKS CRITERION OUTPUT [TARGETS]
  local targets=()
  [[ ${4-} || $2 == mi-jmi || $2 == mi-cmim ]] && targets=(--targets "${4:-1}") # named in a warning where nothing reads them
  run "$1" prune "$llama" --stats s.h5 --sites ffn=0.5,attention=0.34,width=0.25 --criterion "$2" --repair none \
    -o "$3" --quiet --no-stability "${targets[@]}" >stdout
}

run 2 collect "$llama" -d "$llama/calibration.h5" --samples 8 --micro-batch 2 --fisher-tokens 0 -o s.h5 --quiet >/dev/null
for criterion in set-mi set-mi-forward mi mi-mrmr mi-jmi mi-cmim wanda flap leverage activation magnitude random; do
  check "$criterion on all sites" select_units 1 $criterion $criterion.h5
  check "$criterion: one of three query heads" test "$(get $criterion.h5.report.json sites 1 kept)" = 4
  check "$criterion: half of the neurons" test "$(get $criterion.h5.report.json sites 2 kept)" = 256
  check "$criterion: a quarter of the width" test "$(get $criterion.h5.report.json sites 0 kept)" = 144
done
for criterion in mi-mrmr mi-jmi mi-cmim; do
  select_units 3 $criterion ranks.h5
  check "$criterion: the same units at 1 and 3 ranks" h5diff $criterion.h5 ranks.h5 /kept
  check "$criterion: the same scores" h5diff $criterion.h5 ranks.h5 /scores
  check "$criterion: not what mi keeps" eval "! h5diff mi.h5 $criterion.h5 /kept"
done
select_units 1 mi-jmi targets.h5 2
check "more targets, other units" eval '! h5diff mi-jmi.h5 targets.h5 /kept'
select_units 1 mi-mrmr targets.h5 2
check "mi-mrmr has no targets" h5diff mi-mrmr.h5 targets.h5 /kept

select_units 2 mi warned.h5
check "few samples: one line" test "$(grep -c "warning: S = 1024 rows are few for B = 4 bins" "$ERRORS")" = 1
check "few samples: nothing else" test "$(wc -l <"$ERRORS")" = 1
check "few samples: in the report" grep -q "rows are few" <(get warned.h5.report.json warnings 0)
run 2 collect "$llama" -d "$llama/calibration.h5" --samples 64 --bins 2 --no-width --fisher-tokens 0 -o enough.h5 --quiet >/dev/null
run 1 prune "$llama" --stats enough.h5 --criterion mi --repair none --no-stability -o enough-pruned.h5 --quiet >/dev/null
check "enough samples: no line" test ! -s "$ERRORS"
check "enough samples: none in the report" grep -q '"warnings": \[\]' enough-pruned.h5.report.json

expect_failure "no target" "targets" -- \
  prune "$llama" --stats s.h5 --criterion mi-jmi --targets 0 --repair none -o out/p.h5
finish
