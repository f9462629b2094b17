#!/usr/bin/env bash
# One call of one rank of three fails (fault.c), in a small collect, prune and export. Every such run ends by itself, with one line
# and a code, or as if nothing had been; no file under a final name is partial; and the same command then gives the same bytes.
#   ESPALIER  the program   FAULT  the preloaded library   SCRATCH  folder of this test   MPIEXEC  mpirun
#   EVERY     try every n-th call: 1 all of them; unset: a sample, one of each kind, the commands in turn
#   CALLS     names of calls, all by default     COMMANDS  likewise
#   RANKS     whose calls fail, "0 1" by default: the last rank does what the second does
#   LIMIT_S   seconds that a run may take: 30, more on a machine that is busy
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
: "${MPIEXEC:=mpirun}" "${CALLS:=write pwrite fsync rename mmap malloc flock open ftruncate fallocate unlink mkdir read}"
: "${COMMANDS:=collect prune export}" "${RANKS:=0 1}" "${LIMIT_S:=30}"
# Several times faster: no search for networks, no second's wait for ranks to end where one has failed.
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=self,vader OMPI_MCA_osc=^ucx OMPI_MCA_odls_base_sigkill_timeout=0
RANDOM=${SEED:-13}
tried=0 tolerated=0 failures=0 limit_s=$LIMIT_S

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH/work"
cp -r "$here/golden/transformers/llama-mha-f32" "$SCRATCH/work/m"
cd "$SCRATCH/work"

# shellcheck disable=SC2034 # used by name
collect=(collect m -d m/reference.h5 --micro-batch 1 --halves --save-every 0 -o s.h5)
# shellcheck disable=SC2034
prune=(prune m -d m/reference.h5 --stats ../s.h5 --stability -o p.h5)
# shellcheck disable=SC2034
export=(export ../p.h5 hf)
declare -A outputs=([collect]="s.h5" [prune]="p.h5 p.h5.report.json" [export]="hf")

# run COMMAND [VARIABLE=VALUE...]: its stderr goes to ../errors.
run() {
  local -n line=$1
  : >../errors
  # shellcheck disable=SC2016
  env "${@:2}" timeout -k 2 "$limit_s" "$MPIEXEC" -n 3 sh -c 'LD_PRELOAD=$LOADED exec "$@" 2>>../errors' run \
    "$ESPALIER" "${line[@]}" --quiet >../stdout 2>../mpirun.log
}
clear_outputs() { find . -mindepth 1 -maxdepth 1 ! -name m -exec rm -rf {} +; }
# A report holds times, so of it only the end is looked at.
is_same() {
  if [[ $1 == *.json ]]; then [[ $(tail -n 1 "$1") == "}" ]]; else diff -r "$1" "../whole.$1" >/dev/null 2>&1; fi
}

# What is wrong after a run that ended with this code; nothing if all is as promised.
find_fault() { # COMMAND CODE
  local lines output
  lines=$(grep -acE '^espalier: (error: |rank [0-9]+: )' ../errors || true)
  if (($2 == 124 || $2 == 137)); then echo "it did not end in $limit_s s"
  elif (($2 > 7 && $2 != 70)); then echo "exit code $2"
  elif (($2 && lines != 1)); then echo "$lines lines for code $2"
  elif (($2 == 0 && lines)); then echo "an error, and code 0"
  fi
  for output in ${outputs[$1]}; do
    if [[ -e $output ]] && ! is_same "$output"; then echo "$output is partial"; fi
    if [[ ! -e $output ]] && (($2 == 0)); then echo "no $output, and code 0"; fi
  done
}

find_fault_again() { # COMMAND
  local output
  run "$1" LOADED= || { echo "the same command fails afterwards: $(tail -n 1 ../errors)"; return; }
  for output in ${outputs[$1]}; do is_same "$output" || echo "other bytes of $output afterwards"; done
  [[ $(find . -mindepth 1 -maxdepth 1 | wc -l) == $(($(wc -w <<<"${outputs[$1]}") + 1)) ]] ||
    echo "left behind: $(ls)"
}

# try COMMAND CALL RANK NTH ERRNO LASTING
try() {
  local code=0 fault again
  clear_outputs
  rm -f ../counts
  run "$1" LOADED="$FAULT" FAULT_FOLDER="$SCRATCH/work" FAULT_CALL="$2" FAULT_RANK="$3" FAULT_NTH="$4" FAULT_ERRNO="$5" \
    FAULT_LASTING="$6" FAULT_COUNTS=../counts || code=$?
  tried=$((tried + 1))
  tell "$1: $2 $4 of rank $3, errno $5, lasting $6: code $code $(grep -a '^espalier: ' ../errors | tail -n 1)"
  ((code)) || tolerated=$((tolerated + 1))
  fault=$(find_fault "$1" "$code")
  [[ -n $fault ]] && cp ../errors ../errors.first
  # An output that is there and whole needs no second run, but where a folder must be new.
  again=""
  if ((code)) && ! [[ $1 == export && -e hf ]]; then again=$(find_fault_again "$1"); fi
  if [[ -z $fault$again ]]; then return; fi
  failures=$((failures + 1))
  echo "FAILED  $1: $2 $4 of rank $3, errno $5, lasting $6: $fault $again"
  [[ -z $fault ]] || cat ../errors.first
}
# Each fault is told, where they are few.
tell() { [[ ${EVERY-} ]] || echo "$1"; }

errno_of() { # CALL TURN
  local -a numbers
  case $1 in
    write | pwrite) numbers=(28 5 122) ;; # ENOSPC EIO EDQUOT
    fsync | read) numbers=(5) ;;
    mmap) numbers=(12 19) ;;         # ENOMEM ENODEV
    malloc) numbers=(12) ;;
    flock) numbers=(37 38 95) ;;     # ENOLCK ENOSYS EOPNOTSUPP
    fallocate) numbers=(28 95 5) ;;  # ENOSPC EOPNOTSUPP EIO
    open) numbers=(13 24 5) ;;       # EACCES EMFILE EIO
    *) numbers=(5 28 13) ;;
  esac
  echo "${numbers[$2 % ${#numbers[@]}]}"
}

# Every EVERY-th call of each of the ranks.
sweep() { # COMMAND CALL
  local rank n count
  for rank in $RANKS; do
    count=$(awk -v r="$rank" -v c="$2" '$1 == r && $2 == c { print $3 }' "../counts.$1")
    for ((n = 1; n <= count; n += EVERY)); do try "$1" "$2" "$rank" "$n" "$(errno_of "$2" $((n / EVERY)))" $((n / EVERY % 2)); done
  done
}

# One call of a kind, by the next command that makes any.
sample() { # CALL
  local rank=$((RANDOM % 2)) count
  for _ in $COMMANDS; do
    # shellcheck disable=SC2086 # words
    set -- "$1" $COMMANDS
    turn=$((turn + 1))
    local name=${*:turn % ($# - 1) + 2:1}
    count=$(awk -v r="$rank" -v c="$1" '$1 == r && $2 == c { print $3 }' "../counts.$name")
    if ((count)); then
      try "$name" "$1" "$rank" $((RANDOM % count + 1)) "$(errno_of "$1" $RANDOM)" $((RANDOM % 2))
      return
    fi
    rank=0 # which makes the most calls
  done
}

# The bytes of runs that were left alone, and how many calls they make.
for name in collect prune export; do
  rm -f ../counts
  run $name LOADED="$FAULT" FAULT_FOLDER="$SCRATCH/work" FAULT_COUNTS=../counts || { cat ../errors ../mpirun.log; exit 1; }
  mv ../counts "../counts.$name"
  for output in ${outputs[$name]}; do cp -r "$output" "../whole.$output"; done
  for output in ${outputs[$name]}; do mv "$output" ..; done
done

turn=0
for call in $CALLS; do
  if [[ -z ${EVERY-} ]]; then
    sample "$call"
    continue
  fi
  for name in $COMMANDS; do
    sweep "$name" "$call"
    echo "$name $call: $tried faults so far, $tolerated without effect, $failures against the promise"
  done
done
echo "$tried faults, $tolerated without effect, $failures against the promise"
exit $((failures > 0))
