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
exit $((failures > 0))
