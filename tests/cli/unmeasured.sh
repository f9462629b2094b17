#!/usr/bin/env bash
# Nothing is measured where neither criterion nor repair reads statistics, and no data are asked for: the same selections and
# weights, and reports and plans that say so.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

cp "$model" dense.h5
prune=(prune dense.h5 --repair none --criterion)
without() { run "$1" "${prune[@]}" "${@:2}" --quiet >stdout; }
for criterion in magnitude random; do
  run 1 "${prune[@]}" $criterion --stats "$stats" -o given.h5 --quiet >stdout
  check "$criterion: no data" without 1 $criterion -o p1.h5
  check "$criterion: nothing is left" test "$(echo p1.h5*)" = "p1.h5 p1.h5.report.json"
  for place in kept scores model; do check "$criterion: the same /$place" h5diff given.h5 p1.h5 /$place; done
done
cp p1.h5 one.h5
check "three ranks: the same file" eval 'without 3 random -o p1.h5 && cmp p1.h5 one.h5'
report=p1.h5.report.json
check "the report says so" eval 'get $report statistics_note | grep -qF "so nothing was measured"'
for key in samples bins collection "run phases_s collect"; do
  # shellcheck disable=SC2086
  check "the report has no $key" eval "! get $report $key"
done
check "a global allocation" without 2 magnitude --allocation global -o p.h5

run 1 "${prune[@]}" magnitude -d "$data" "${collection[@]}" --samples 64 --keep-stats -o k.h5 --quiet >stdout
check "what is kept has all" eval 'run 1 "${prune[@]}" set-mi --stats k.h5.stats.h5 -o s.h5 --quiet >stdout'
width=(prune "$llama" --criterion magnitude --repair none --sites ffn,width=0.25 -o w.h5 --quiet)
run 1 "${width[@]}" -d "$llama/calibration.h5" >stdout
check "the width of a vocabulary: --data is not read" grep -qE "without effect.*--data" "$ERRORS"
check "its report says so" eval 'get w.h5.report.json statistics_note | grep -qF "so nothing was measured"'
rm w.h5*
run 1 "${width[@]}" >stdout
mv w.h5 w1.h5
check "three ranks: the same width" eval 'run 3 "${width[@]}" >stdout && cmp w.h5 w1.h5'
check "a plan of it" eval 'run 1 plan "${width[@]:1:7}" --ranks 3 --quiet >table && grep -q "nothing is measured" table'

touch l.h5.stats.tmp{,.partial,.journal} # of a run that was interrupted in its collection
run 1 "${prune[@]}" magnitude --restart -o l.h5 --quiet >stdout
check "begun again, nothing is left of a collection" test -z "$(find . -name 'l.h5.stats.tmp*')"

plan() { run 1 plan dense.h5 --repair none --criterion magnitude "$@" --quiet >table; }
check "a plan" plan --ranks 5 --json plan.json
check "of no measurement" grep -q "nothing is measured" table
check "and of no counts" eval '! grep -q "^joint counts" table'
for key in rows "work collect" "memory phases eval" "files statistics_bytes"; do
  check "the plan has no $key" eval "! get plan.json $key"
done

recover=(recover p1.h5 -d "$data" --epochs 1 --batch 256 -o)
run 1 "${recover[@]}" r.h5 --quiet >stdout
check "recovered" test -s r.h5
runner="run 1"
run 1 train -d "$data" --hidden 24,16 --epochs 1 --seed 5 -o dense.h5 --quiet >stdout
expect_failure "the dense model has become another" "cut from (fingerprint" -- "${recover[@]}" "$out/r.h5"
expect_failure "statistics that are to be kept" "give --data" -- "${prune[@]}" magnitude --keep-stats -o "$out/p.h5"
expect_failure "masks, likewise" "give --data" -- \
  "${prune[@]}" magnitude --structure unstructured --keep-stats -o "$out/p.h5"
expect_failure "a repair reads them" "give --data" -- prune dense.h5 --criterion magnitude --repair bias -o "$out/p.h5"
expect_failure "trials read them" "give --data" -- \
  prune "$llama" --criterion magnitude --repair none --allocation balanced -o "$out/p.h5"
finish
