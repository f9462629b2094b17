#!/usr/bin/env bash
# What can be asked of prune: criteria, moments, repairs, sparsities; from one collection or from data.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

from_stats=(prune "$model" --stats "$stats")
checksum() { awk '/^selection checksum/ { print $3 }' stdout; }

for criterion in random magnitude mi set-mi set-mi-forward; do
  check "criterion $criterion" must "${from_stats[@]}" --criterion $criterion -o "$criterion.h5"
done
for criterion in set-mi set-mi-forward; do
  check "criterion $criterion, moments from codes" must "${from_stats[@]}" --criterion $criterion --moments codes -o codes.h5
done
for repair in none bias least-squares sequential; do
  check "repair $repair" must "${from_stats[@]}" --repair $repair -o "$repair.h5"
done

for sparsity in 0 0.75 0.99 0.5; do
  must "${from_stats[@]}" --sparsity $sparsity -o "stats-$sparsity.h5"
done
once=$(checksum)
must prune "$model" -d "$data" "${collection[@]}" --sparsity 0.5 --keep-stats -o data-0.5.h5
check "one collection selects what a run of its own does" test "$once" = "$(checksum)"
check "the same kept units" h5diff stats-0.5.h5 data-0.5.h5 /kept
check "the same weights" h5diff stats-0.5.h5 data-0.5.h5 /model
check "prune --keep-stats keeps what it collected" cmp "$stats" data-0.5.h5.stats.h5

echo kept >alone.h5.stats.h5 # by an earlier run
must prune "$model" -d "$data" "${collection[@]}" --sparsity 0.5 -o alone.h5
check "what is not kept selects the same" test "$once" = "$(checksum)"
check "the same weights from it" h5diff stats-0.5.h5 alone.h5 /model
check "it is removed, and what was kept is not" test "$(echo alone.h5*)" = "alone.h5 alone.h5.report.json alone.h5.stats.h5"
check "nor written" grep -qx kept alone.h5.stats.h5
information() { get "$1.report.json" sites 0 information_kept; }
check "set-mi's report tells the same information" test "$(information alone.h5)" = "$(information data-0.5.h5)"
must prune "$model" -d "$data" "${collection[@]}" --criterion flap -o flap.h5
check "flap's tells none" eval '! information flap.h5'
check "and why" eval 'get flap.h5.report.json information_note | grep -q "reads no codes"'
expect_failure "a failure behind the collection leaves nothing" "was not collected" -- \
  prune "$model" -d "$data" "${collection[@]}" --metric fisher --fisher-tokens 0 -o "$out/p.h5"

info() { must info "$1" --json info.json && get info.json "${@:2}"; }
units() { echo "$(info "$1" sites 0 units) $(info "$1" sites 1 units)"; }
check "sparsity 0 keeps all" test "$(units stats-0.h5)" = "24 16"
check "sparsity 0.75 keeps a quarter" test "$(units stats-0.75.h5)" = "6 4"
check "sparsity 0.99 keeps one" test "$(units stats-0.99.h5)" = "1 1"
must "${from_stats[@]}" --sparsity 0.75 --multiple-of 8 -o multiple.h5
check "multiple of 8" test "$(units multiple.h5)" = "8 8"
must "${from_stats[@]}" --sparsity 0.75 --min-keep 5 -o least.h5
check "at least 5" test "$(units least.h5)" = "6 5"
must "${from_stats[@]}" --sparsity 0 --repair none -o whole.h5
check "sparsity 0 changes no weight" h5diff "$model" whole.h5 /model
must "${from_stats[@]}" --criterion random --seed 2 -o random2.h5
check "another seed, another random choice" eval '! h5diff random.h5 random2.h5 /kept'

must eval "$model" stats-0.h5 stats-0.5.h5 data-0.5.h5 least.h5 -d "$data" --repeats 1
check "eval reads pruned models" test "$(wc -l <stdout)" = 6
check "a pruned model can be pruned again" must prune stats-0.5.h5 -d "$data" "${collection[@]}" -o twice.h5
check "twice pruned" test "$(units twice.h5)" = "6 4"
finish
