#!/usr/bin/env bash
# What an interrupted run has left: gone on with at any number of ranks, refused to another command, and found out where it is
# damaged.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

models=$(dirname -- "${BASH_SOURCE[0]}")/../models
cp -r "$models/gpt2" gpt2
cp gpt2/calibration.h5 data.h5
collect=(collect gpt2 --data data.h5 --samples 16 --micro-batch 2 --pilot 256 --save-every 0 -o s.h5)
prune=(prune gpt2 --data data.h5 --samples 16 --micro-batch 2 --pilot 256 -o p.h5)

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }
# interrupt JOURNAL BYTES ARGUMENT...: ask the command to stop (SIGUSR1) when its journal has so many bytes.
interrupt() {
  local code=0 job
  for ((tries = 0; tries < 20; tries++)); do
    rm -f "$1" "${1%.journal}"
    "$MPIEXEC" -n "$RANKS" "$ESPALIER" "${@:3}" >stdout 2>log &
    job=$!
    while (($(size_of "$1") < $2)) && kill -0 $job 2>/dev/null; do sleep 0.01; done
    kill -USR1 $job 2>/dev/null || true
    code=0
    wait $job || code=$?
    ((code != 6)) || return 0 # it may have ended before
  done
  cat log
  return 1
}
says() { grep -qF -- "$1" "$ERRORS"; }
keep() { rm -rf kept && mkdir kept && cp "$1".* kept; }
is_kept() { for file in kept/*; do cmp "$file" "${file#kept/}" || return 1; done; }
back() { rm -f "$1" "$1".* && cp kept/* .; }

must "${collect[@]}"
mv s.h5 whole.h5
check "collect stops when asked to" interrupt s.h5.journal 700 "${collect[@]}"
check "and says how to go on" grep -qF "give the same command again" log
check "no statistics yet" test ! -e s.h5
keep s.h5
expect_failure "collect: other options" "bins was 4 then and is 5 now" -- "${collect[@]}" --bins 5
expect_failure "collect: other samples" "interrupted run of another command" -- "${collect[@]}" --samples 8
expect_failure "collect: other seed" "seed was 1 then and is 2 now" -- "${collect[@]}" --seed 2
printf '\001' | dd of=gpt2/model.safetensors bs=1 seek=900000 conv=notrunc status=none
expect_failure "collect: other weights" "model_fingerprint was" -- "${collect[@]}"
cp "$models/gpt2/model.safetensors" gpt2
cp gpt2/heldout.h5 data.h5
expect_failure "collect: other data" "data_fingerprint was" -- "${collect[@]}"
cp gpt2/calibration.h5 data.h5
check "what there is stays" is_kept
exec 9<s.h5.journal
flock 9
expect_failure "two runs at once" "another run is writing" -- "${collect[@]}"
exec 9<&-

goes_on() { # NAME TEXT RANKS: the run goes on, or begins again, as it says, to the same bytes
  run "$3" "${collect[@]}" >stdout
  check "$1: it says so" says "$2"
  check "$1: the same bytes" cmp s.h5 whole.h5
  check "$1: nothing is left" test "$(echo s.h5*)" = s.h5
  back s.h5
}
goes_on "gone on" "resuming after" "$RANKS"
goes_on "gone on by one rank" "resuming after" 1
goes_on "gone on by four" "resuming after" 4
head -c -1 kept/s.h5.journal >s.h5.journal
goes_on "the last record is torn" "was torn" "$RANKS"
echo garbage >>s.h5.journal
goes_on "garbage behind the last record" "was torn" "$RANKS"
patch s.h5.journal $(($(size_of s.h5.journal) - 30)) 'x'
goes_on "a damaged record" "was torn" "$RANKS"
patch s.h5.journal 40 'x'
goes_on "a damaged description" "damaged from its beginning" "$RANKS"
truncate -s -1000 s.h5.partial
goes_on "a truncated partial file" "is truncated" "$RANKS"
rm s.h5.partial
goes_on "no partial file" "beginning again" "$RANKS"
must "${collect[@]}" --bins 5 --restart
check "--restart: no word of going on" eval '! grep -q resuming "$ERRORS"'
check "--restart: nothing is left" test "$(echo s.h5*)" = s.h5

must "${prune[@]}"
mv p.h5 whole2.h5
run 3 "${prune[@]}" >stdout
mv p.h5 whole3.h5
rm p.h5.*
check "prune stops when asked to" interrupt p.h5.journal 300000 "${prune[@]}"
check "the statistics are complete" test -e p.h5.stats.h5
keep p.h5
expect_failure "prune: other options" 'criterion was "set-mi" then and is "random" now' -- "${prune[@]}" --criterion random
expect_failure "prune: other statistics" "other statistics" -- "${prune[@]}" --stats whole.h5
cp gpt2/heldout.h5 data.h5
expect_failure "prune: other data" "from other data" -- "${prune[@]}"
cp gpt2/calibration.h5 data.h5
check "what there is stays" is_kept
must "${prune[@]}"
check "prune: gone on" says "resuming after 12 sites"
check "prune: it does not collect again" eval '! grep -q collect: "$ERRORS"'
check "prune: the same bytes" cmp p.h5 whole2.h5
check "prune: nothing is left" test "$(echo p.h5*)" = "p.h5 p.h5.report.json p.h5.stats.h5"
back p.h5
run 3 "${prune[@]}" >stdout
check "prune: repairs of other ranks are not used" says "another number of ranks"
check "prune: the bytes of three ranks" cmp p.h5 whole3.h5
back p.h5
truncate -s -1000 p.h5.journal
must "${prune[@]}"
check "prune: a torn record" says "was torn"
check "prune: the same bytes behind it" cmp p.h5 whole2.h5
finish
