#!/usr/bin/env bash
# analysis/gather.py with Python's standard library: failed tasks by name and reason, and why there is no page. CTest
# gives SCRATCH, the folder of this test.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
rm -rf "$SCRATCH" && mkdir -p "$SCRATCH/out" && cd "$SCRATCH"
failures=0
check() { # NAME COMMAND...
  if "${@:2}"; then echo "ok      $1"; else
    echo "FAILED  $1: ${*:2}"
    failures=$((failures + 1))
  fi
}
gather() { python3 "$@" "$root/analysis/gather.py" sweep.txt out >stdout; }

printf 'good --sparsity 0.5\nbad --sparsity 2\nlate\n' >sweep.txt
echo 'espalier: error: --sparsity: expected less than 1, found 2' >out/bad.log
gather
check "no result: no page" grep -q '^no page report.html: no task has a result' stdout
check "failed: reason" grep -q '^failed: bad: --sparsity: expected less than 1' stdout
check "failed.txt" diff out/failed.txt <(printf 'good: never started\nbad: --sparsity: expected less than 1, found 2\nlate: never started\n')

: >out/good.h5
cat >out/good.h5.report.json <<'END'
{"criterion": "mi", "moments": "activations", "repair": "none", "sparsity_asked": 0.5, "sparsity_prunable": 0.5,
 "parameters": 5, "parameters_dense": 10, "ranks": 1, "selection_checksum": "0", "warnings": [],
 "run": {"phases_s": {"read": {"max": 1}}, "peak_rss_bytes": {"max": 1}}}
END
gather -S -I # no packages but the standard library
check "a Python without packages: why" grep -q '^no page report.html: .* has no h5py, matplotlib, numpy; ' stdout
check "a Python without packages: also in the table" grep -q '^no page' out/table.txt
printf 'good\n' >sweep.txt
gather
check "nothing failed: no failed.txt" test ! -e out/failed.txt

# A sweep that recovers: beside what was pruned, and what is missing is said.
: >out/recovers.txt
gather
check "not recovered: said" grep -q '^not recovered: good: ' out/table.txt
: >out/good.recovered.h5
echo '{"steps": 7, "run": {"phases_s": {"read": {"max": 1}, "train": {"max": 2.5}}}}' >out/good.recovered.json
cat >out/eval.0.json <<'END'
{"results": [{"model": "dense.h5", "perplexity": 3.0, "loss_nats": 1.1, "parameters": 10},
             {"model": "out/good.h5", "perplexity": 5.0, "loss_nats": 1.6, "parameters": 5},
             {"model": "out/good.recovered.h5", "perplexity": 4.0, "loss_nats": 1.4, "parameters": 5}]}
END
gather
column() { python3 -c 'import csv, sys; print(*(row[sys.argv[1]] for row in csv.DictReader(open("out/table.csv"))))' "$1"; }
check "recovered: listed behind its model" diff <(python3 "$root/analysis/gather.py" --list sweep.txt out) \
  <(printf 'out/good.h5\nout/good.recovered.h5\n')
check "recovered: pruned stays" test "$(column perplexity)" = "3.0 5.0"
check "recovered: beside it" test "$(column recovered_perplexity)" = " 4.0"
check "recovered: steps and seconds" test "$(column recovery_steps)$(column recovery_seconds)" = " 7 3.5"
check "recovered: in the Markdown" grep -q '| recovered_perplexity |' out/table.md
check "recovered: nothing is missing" eval '! grep -q "^not " out/table.txt'
printf 'good\ngood.recovered\n' >sweep.txt
check "names that would be one file" eval '! gather 2>message && grep -q "good.recovered" message'
exit $((failures > 0))
