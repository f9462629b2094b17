# Sourced by the scripts of this folder. CTest gives
#   ESPALIER  the program            HELPERS  folder of make_data and json_get
#   RANKS     ranks of a run         SHARED   folder of the data, model and statistics that prepare.sh makes
#   SCRATCH   folder of this test
# shellcheck shell=bash
set -euo pipefail
export MPIEXEC="${MPIEXEC:-mpirun}"

tests=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
llama=$tests/models/llama gpt2=$tests/models/gpt2 bert=$tests/models/bert # trained, with their data
data=$SHARED/data model=$SHARED/model.h5 stats=$SHARED/stats.h5
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH/out"
cd "$SCRATCH"
out=out # where failing commands write: must stay empty
export ERRORS=$SCRATCH/errors
# Several times faster: no search for networks, no second's wait for ranks to end where one has failed, no shared table of ranks.
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_osc=^ucx OMPI_MCA_odls_base_sigkill_timeout=0 PMIX_MCA_gds=hash
collection=(--micro-batch 64 --pilot 256)
failures=0 cases=0

# run_alone ARGUMENT...: one process without mpirun, which takes three times as long. Several at once must share neither memory nor
# a folder.
run_alone() {
  local folder code=0
  folder=$(mktemp -d)
  TMPDIR=$folder OMPI_MCA_ess_singleton_isolated=1 OMPI_MCA_btl=self timeout -k 5 120 "$ESPALIER" "$@" || code=$?
  rm -r "$folder"
  return $code
}

# launch RANKS ARGUMENT...: the program under mpirun. The ranks' stderr goes to $ERRORS, mpirun's own to mpirun.log.
launch() {
  : >"$ERRORS"
  # shellcheck disable=SC2016
  timeout -k 5 120 "$MPIEXEC" -n "$1" sh -c 'exec "$0" "$@" 2>>"$ERRORS"' "$ESPALIER" "${@:2}" 2>mpirun.log
}

# run RANKS ARGUMENT...: likewise, one rank without mpirun.
run() {
  if (($1 > 1)); then
    launch "$@"
  else
    : >"$ERRORS"
    run_alone "${@:2}" 2>>"$ERRORS"
  fi
}

# One process, started as $RANKS ranks are: mpirun's libraries hold more memory.
start_alike() { if ((RANKS > 1)); then launch 1 "$@"; else run 1 "$@"; fi; }

# All ranks under a limit on file sizes (EFBIG), LIMIT times 512 bytes, for the ranks alone: mpirun needs larger files. No shared
# memory, for the same reason.
run_limited() {
  : >"$ERRORS"
  # shellcheck disable=SC2016
  LIMIT=$LIMIT OMPI_MCA_btl=self,tcp timeout -k 5 120 "$MPIEXEC" -n "$RANKS" \
    sh -c 'ulimit -f "$LIMIT"; exec "$0" "$@" 2>>"$ERRORS"' "$ESPALIER" "$@" 2>mpirun.log
}
# MPICH doesn't start so.
starts_limited() { run_limited info >stdout || { skip "a limit of $((LIMIT / 2)) KiB on files: this MPI does not start"; false; }; }

espalier() { run "$RANKS" "$@"; }

# get FILE KEY...: a value of a JSON file.
get() { "$HELPERS/json_get" "$@"; }

must() {
  espalier "$@" >stdout && return
  echo "exit code $? of: espalier $*" >&2
  cat "$ERRORS" >&2
  return 1
}

# check NAME CONDITION...: a condition is a command.
check() {
  cases=$((cases + 1))
  if "${@:2}" >check.log 2>&1; then
    echo "ok      $1"
  else
    failures=$((failures + 1))
    echo "FAILED  $1: ${*:2}"
    cat check.log
  fi
}

# near NAME PLANNED COUNTED TOLERANCE [BYTES]: within a part of what was counted, and some bytes
near() {
  check "$1: $2 of $3" awk -v a="$2" -v b="$3" -v t="$4" -v c="${5:-0}" \
    'BEGIN { exit !(a >= (1 - t) * b - c && a <= (1 + t) * b + c) }'
}

# MPICH and UCX hold some 1.5 MiB more once ranks have talked, which no plan knows.
export held_by_mpi=0
if "$MPIEXEC" --version 2>/dev/null | grep -q HYDRA; then held_by_mpi=2097152; fi

# What is wrong with a failure of this exit code; nothing if it is as it should be.
find_fault() {
  local code=$1 text=$2 error lines
  # A warning comes before the work; a count of lines (scripts/coverage) that another user cannot write, after it.
  error=$(grep -avE '^espalier: warning: (without effect|.*: checkpoints of )|^profiling:' "$ERRORS" || true)
  lines=$(grep -c '' <<<"$error" || true)
  if ((code == 0)); then echo "it succeeded"
  elif ((code == 124 || code == 137)); then echo "it did not end in time"
  elif ((code > 7)); then echo "exit code $code"
  elif ((lines != 1)); then echo "$lines lines on stderr"
  elif [[ $error != "espalier: error: "* ]]; then echo "no line 'espalier: error: ...'"
  elif [[ $error != *"$text"* ]]; then echo "no '$text' in the message"
  elif [[ $(ls -A "$out") ]]; then echo "left behind: $(ls -A "$out")"
  fi
}

# expect_failure NAME TEXT -- ARGUMENT...: one line with TEXT from rank 0, an exit code, no output, no hang.
expect_failure() {
  local name=$1 text=$2 code=0 fault
  cases=$((cases + 1))
  ${runner:-espalier} "${@:4}" --quiet >stdout || code=$?
  fault=$(find_fault "$code" "$text")
  if [[ -z $fault ]]; then
    echo "ok      $name: $(<"$ERRORS")"
    return
  fi
  failures=$((failures + 1))
  echo "FAILED  $name: $fault"
  cat "$ERRORS"
  find "${out:?}" -mindepth 1 -delete
}

# Overwrite bytes of a file: patch FILE OFFSET ESCAPES
patch() {
  # shellcheck disable=SC2059
  printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Where the values of a contiguous data set begin: offset_of FILE NAME
offset_of() { h5dump -p -H -d "$2" "$1" | awk '$1 == "OFFSET" { print $2 }'; }

# A token file of another's first sequences: cut_tokens COUNT FILE OUTPUT
cut_tokens() {
  h5dump -d /tokens -s 0,0 -c "$1,128" -b LE -o tokens "$2" >h5dump.log
  h5import tokens -dims "$1,128" -path /tokens -type IN -size 32 -o "$3"
}

# Made integers, in rows: numbers ROWS COLUMNS BELOW SEED
numbers() {
  awk -v rows="$1" -v columns="$2" -v below="$3" -v seed="$4" 'BEGIN {
    for (i = 0; i < rows; i++) for (j = 0; j < columns; j++) {
      seed = (seed * 16807) % 2147483647
      printf "%d%s", seed % below, j + 1 < columns ? " " : "\n"
    }
  }'
}

# A column of a token file: add_column FILE NAME DIMENSIONS <numbers
add_column() {
  cat >column.txt
  h5import column.txt -dims "$3" -path "$2" -type TEXTIN -size 32 -o "$1"
}

nan='\0\0\300\177' # float32, little-endian
huge='\377\377\177\177'

# damage_h5 FILE KIND COMMAND...: the damages that every HDF5 file can have, FILE being what COMMAND reads.
damage_h5() {
  local file=$1 kind=$2
  shift 2
  mv "$file" good
  [[ $kind == checkpoint ]] || expect_failure "$kind: missing" "cannot open" -- "$@" # it then starts anew
  mkdir "$file"
  expect_failure "$kind: a folder" "$file" -- "$@"
  rmdir "$file" && : >"$file"
  expect_failure "$kind: empty" "$file is" -- "$@"
  head -c $(($(stat -c %s good) / 2)) good >"$file"
  expect_failure "$kind: cut in half" "truncated" -- "$@"
  head -c -1 good >"$file"
  expect_failure "$kind: last byte missing" "truncated" -- "$@"
  cp good "$file" && patch "$file" 0 'PK\003\004'
  expect_failure "$kind: wrong magic" "$file is" -- "$@"
  cp good "$file" && patch "$file" 12 '\252\252\252\252\252\252\252\252'
  expect_failure "$kind: damaged superblock" "$file" -- "$@"
  LC_ALL=C sed 's/"version": 1/"version": 9/' good >"$file"
  expect_failure "$kind: version of the future" "has version 9" -- "$@"
  LC_ALL=C sed 's/"format": "espalier/"format": "espatier/' good >"$file"
  expect_failure "$kind: wrong format" "is a file of format 'espatier-" -- "$@"
  LC_ALL=C sed 's/"version": 1/"version"; 1/' good >"$file"
  expect_failure "$kind: broken JSON" "/meta is not JSON" -- "$@"
  cp good "$file"
}

# make_narrow MODEL FILE: its units and hidden dimensions thinned out, so that runs are short, but as many stages as before.
make_narrow() {
  must prune "$1" -d "$1/calibration.h5" --samples 2 --micro-batch 1 --pilot 64 --fisher-tokens 0 --no-stability \
    --criterion magnitude --repair none --sites ffn=0.8,attention=0.6,width=0.6 -o "$2"
}

# The ranks among the descendants of a process.
list_ranks() {
  local child
  for child in $(pgrep -P "$1"); do
    if [[ $(cat "/proc/$child/comm" 2>/dev/null) == espalier* ]]; then echo "$child"; else list_ranks "$child"; fi
  done
}

# hold_report FILE: writing the report of FILE waits for a reader, so that a run can be killed between the two; let go of it.
hold_report() {
  mkfifo "$1.report.json.partial"
  touch "$1.report.json.journal" # or the other would be removed as stale
}
let_go() { rm "$1".report.json.*; }

skip() { echo "skipped $1"; }

finish() {
  echo "$cases cases, $failures failed"
  exit $((failures > 0))
}
