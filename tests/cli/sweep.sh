#!/usr/bin/env bash
# The command sweep: points of lists, evaluated and gathered as those of slurm/sweep.sbatch; gone on with; one that fails.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

sweep=(sweep "$model" --stats "$stats" --data "$data" --no-speed --no-stability)
column() { python3 -c 'import csv, sys; print(*(row[sys.argv[2]] for row in csv.DictReader(open(sys.argv[1]))))' "$@"; }
state() { (cd "$1" && sha256sum ./*.h5 eval.*.json); }

must "${sweep[@]}" --sparsity 0.25,0.5,...,0.75 --criterion random,magnitude --repair none,bias -o folder --json all.json
check "12 points" test "$(get all.json failed)$(grep -c '^[^#]' folder/sweep.txt)" = 012
check "12 models" test "$(find folder -name '*.h5' | wc -l)" = 12
check "the dense model and 12 rows" test "$(grep -c 'h5$' stdout)" = 13
if command -v python3 >/dev/null; then
  check "table.csv: as gather makes it" test "$(column folder/table.csv task | wc -w)" = 13
  check "table.csv: every row has an accuracy" test "$(column folder/table.csv accuracy | wc -w)" = 13
  check "table.txt" grep -q '^12 of 12 tasks succeeded$' folder/table.txt
fi
must prune "$model" --stats "$stats" --no-stability --sparsity 0.5 --criterion magnitude --repair none -o one.h5 --quiet
check "a point is what prune makes" h5diff one.h5 folder/magnitude-0.5-none.h5 /model
must eval "$model" one.h5 -d "$data" --no-speed --json one.json --quiet
check "and as eval measures it" test "$(get one.json results 1 accuracy)" = "$(get folder/eval.magnitude-0.5-none.json results 1 accuracy)"

# Gone on with: what is finished stays, what is missing or of another request is made.
state folder >before
rm folder/random-0.5-none.h5 folder/eval.magnitude-0.25-none.json
must "${sweep[@]}" --sparsity 0.25,0.5,0.75 --criterion random,magnitude --repair none,bias -o folder
check "kept: 11 points" test "$(grep -c 'finished before' "$ERRORS")" = 11
check "the same files" diff before <(state folder)
must "${sweep[@]}" --sparsity 0.5 --criterion random --repair none --seed 5 -o folder
check "another request: pruned again" grep -q 'random-0.5-none was made by another request' "$ERRORS"
check "another request: another model" eval '! state folder | diff -q before -'
must "${sweep[@]}" --sparsity 0.5 --criterion random --repair none -o folder --quiet
run 3 "${sweep[@]}" --sparsity 0.25,0.5,0.75 --criterion random --repair none -o three --quiet >stdout
for point in random-0.25-none random-0.75-none; do
  check "3 ranks: $point" h5diff "three/$point.h5" "folder/$point.h5" /model
done

# A point that fails is a line of the table; the others go on.
code=0
espalier "${sweep[@]}" --sparsity 0.5 --criterion max-entropy,random --repair none -o some --json some.json >stdout || code=$?
check "failing: exit code" test "$code" = 4
check "failing: said at the end" grep -q 'error: 1 of 2 points failed, first max-entropy-0.5-none: .*uses no data' "$ERRORS"
check "failing: in the result" grep -q '^failed: max-entropy-0.5-none' stdout
check "failing: the other is there" test -s some/random-0.5-none.h5
check "failing: said in the JSON" test "$(get some.json failed)" = 1
! command -v python3 >/dev/null || check "failing: said in the table" grep -q '^failed: max-entropy-0.5-none: ' some/table.txt

# Without analysis/ there is the table that is printed.
mkdir alone && cp "$ESPALIER" alone/espalier
(ESPALIER=$SCRATCH/alone/espalier && must "${sweep[@]}" --sparsity 0.5 --criterion random --repair none -o bare && cp "$ERRORS" bare.log)
check "without scripts: why" grep -q 'no table.csv and no page: analysis/gather.sh is not found' bare.log

# By weights alone there is nothing to collect.
weights=(sweep "$model" --data "$data" --no-speed --sparsity 0.5 --criterion random,magnitude --repair none)
must "${weights[@]}" -o weights
check "no statistics: the same model" h5diff weights/magnitude-0.5-none.h5 folder/magnitude-0.5-none.h5 /model
must "${weights[@]}" -o weights
check "no statistics: finished points are kept" test "$(grep -c 'finished before' "$ERRORS")" = 2

fail=("${sweep[@]}" -o out/folder)
expect_failure "no statistics" "flap-0.5-none reads them" -- "${weights[@]}" --criterion magnitude,flap -o out/folder
expect_failure "trials read statistics" "give --stats" -- "${weights[@]}" --allocation balanced -o out/folder
expect_failure "no data" "give --data" -- sweep "$model" --stats "$stats" -o out/folder
expect_failure "no folder" "give -o FOLDER" -- "${sweep[@]}"
expect_failure "an unknown criterion" "magnitude" -- "${fail[@]}" --criterion magnitud
expect_failure "a bad list" "--sparsity: expected" -- "${fail[@]}" --sparsity 0.1,...,0.7
expect_failure "a budget beside a list" "does not take --max-bytes" -- "${fail[@]}" --max-bytes 1k
expect_failure "statistics of another model" "model_fingerprint" -- sweep "$llama" --stats "$stats" --data "$llama/heldout.h5" -o out/folder
expect_failure "data of another model" "token file" -- sweep "$model" --stats "$stats" --data "$llama/heldout.h5" -o out/folder
: >file
expect_failure "a file in its place" "a file is in its place" -- "${sweep[@]}" -o file
cp "$model" folder/random-0.5-none.h5
expect_failure "a point over the model" "random-0.5-none.h5" -- \
  sweep folder/random-0.5-none.h5 --stats "$stats" --data "$data" --no-speed --sparsity 0.5 --criterion random --repair none -o folder
check "the model is as it was" cmp "$model" folder/random-0.5-none.h5
finish
