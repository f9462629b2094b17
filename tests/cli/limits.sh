#!/usr/bin/env bash
# Limits that batch systems and shells set on a process: each ends with one line and a code, or is no hindrance.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

evaluate=(eval "$model" -d "$data" --no-speed)
# The limits hold for the ranks alone, in the way of run: RANKS of them.
run_limited_by() {
  : >"$ERRORS"
  # shellcheck disable=SC2016,SC2086
  LIMITS=$LIMITS timeout -k 5 60 "$MPIEXEC" -n "$RANKS" \
    sh -c 'ulimit $LIMITS; exec "$0" "$@" 2>>"$ERRORS"' "$ESPALIER" "$@" 2>mpirun.log
}
runner=run_limited_by
LIMITS="-s 256" expect_failure "stack" "stacks is 256 KiB" -- "${evaluate[@]}"
LIMITS="-n 20" expect_failure "open files" "open files is 20" -- "${evaluate[@]}"
LIMITS="-d 102400" expect_failure "data" "data (ulimit -d) is 100 MiB, of which" -- "${evaluate[@]}"
if [[ $(ldd "$ESPALIER") != *asan* ]]; then
  OMP_NUM_THREADS=8 LIMITS="-v 1000000" expect_failure "address space" "needs" -- "${evaluate[@]}"
  check "address space: the arithmetic" grep -q "BLAS 1024 MiB.*(ulimit -v) is 977 MiB, of which" "$ERRORS"
fi
unset runner

# A limit on CPU time is a signal to stop, some time before the kernel kills.
spend() { LIMITS="-t 3" run_limited_by collect "$llama" -d "$llama/calibration.h5" --micro-batch 4 -o cpu.h5 --quiet; }
code=0
spend || code=$?
if ((code)); then
  check "CPU time: told to stop" test "$code" = 6
  check "CPU time: one line" test "$(grep -c "espalier: error:.*goes on from there" "$ERRORS")" = 1
  check "CPU time: the journal is kept" test -s cpu.h5.journal
else
  skip "CPU time: the run was done before"
fi
burn() { LIMITS="-t 2" run_limited_by "${evaluate[@]:0:1}" "$llama" -d "$llama/heldout.h5" --no-speed --state-bytes 1; }
code=0
burn >stdout || code=$?
if ((code)); then check "CPU time: a line where nothing is kept" grep -q "has used its CPU time" "$ERRORS"; fi

# plan counts what a process may take.
planned() {
  (ulimit -v 1500000; "$ESPALIER" plan "$llama" -d "$llama/calibration.h5" --ranks 1 --json -) >plan.json 2>plan.err
  [[ $(get plan.json memory limit_from) == "what the limit on address space"* ]]
}
if [[ $(ldd "$ESPALIER") != *asan* ]]; then check "plan: the limit on address space" planned; fi
granted() {
  SLURM_MEM_PER_CPU=50 SLURM_CPUS_ON_NODE=3 "$ESPALIER" plan "$llama" -d "$llama/calibration.h5" --ranks 1 --json - >plan.json 2>plan.err
  [[ $(get plan.json memory limit_from) == "SLURM_MEM_PER_CPU x 3 150 MiB / 1 ranks a node" ]]
}
check "plan: what Slurm grants by CPU" granted
finish
