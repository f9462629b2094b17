#!/usr/bin/env bash
# What an interrupted run has left: gone on with at any number of ranks, refused to another command, and found out where it is
# damaged.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

models=$(dirname -- "${BASH_SOURCE[0]}")/../models
make_narrow "$models/gpt2" narrow.h5
must export narrow.h5 gpt2 --quiet
cp gpt2/model.safetensors weights
cp "$models/gpt2/calibration.h5" data.h5
collect=(collect gpt2 --data data.h5 --samples 16 --micro-batch 2 --pilot 256 --save-every 0 -o s.h5)
prune=(prune gpt2 --sites ffn,attention --data data.h5 --samples 16 --micro-batch 2 --pilot 256 -o p.h5)

size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }
# interrupt FILE RECORD ARGUMENT...: ask the command to stop (SIGUSR1) when the file's journal has a record.
interrupt() {
  local code=0 job
  for ((tries = 0; tries < 20; tries++)); do
    rm -f "$1" "$1.journal"
    "$MPIEXEC" -n "$RANKS" "$ESPALIER" "${@:3}" >stdout 2>log &
    job=$!
    until grep -qas "$2" "$1.journal" || ! kill -0 $job 2>/dev/null; do sleep 0.01; done
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
check "collect stops when asked to" interrupt s.h5 "attention.1" "${collect[@]}"
check "and says how to go on" grep -qF "give the same command again" log
check "no statistics yet" test ! -e s.h5
keep s.h5
expect_failure "collect: other options" "expected bins 4, found bins 5" -- "${collect[@]}" --bins 5
expect_failure "collect: other samples" "interrupted run of another command" -- "${collect[@]}" --samples 8
expect_failure "collect: other seed" "expected seed 1, found seed 2" -- "${collect[@]}" --seed 2
printf '\001' | dd of=gpt2/model.safetensors bs=1 seek=300000 conv=notrunc status=none
expect_failure "collect: other weights" "expected model fingerprint" -- "${collect[@]}"
cp weights gpt2/model.safetensors
cp "$models/gpt2/heldout.h5" data.h5
expect_failure "collect: other data" "expected data fingerprint" -- "${collect[@]}"
cp "$models/gpt2/calibration.h5" data.h5
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
mv s.h5.partial partial
cp whole.h5 s.h5
goes_on "killed when the file had its name" "was complete" "$RANKS"
must "${collect[@]}" --bins 5 --restart
check "--restart: no word of going on" eval '! grep -q resuming "$ERRORS"'
check "--restart: nothing is left" test "$(echo s.h5*)" = s.h5

must "${prune[@]}"
mv p.h5 whole2.h5
check "prune stops when asked to" interrupt p.h5 "sequential attention.3" "${prune[@]}"
check "the statistics are complete" test -e p.h5.stats.tmp
keep p.h5
expect_failure "prune: other options" "expected --criterion set-mi, found --criterion random" -- "${prune[@]}" --criterion random
expect_failure "prune: other statistics" "other statistics" -- "${prune[@]}" --stats whole.h5
cp "$models/gpt2/heldout.h5" data.h5
expect_failure "prune: other data" "collected other statistics: expected data fingerprint" -- "${prune[@]}"
cp "$models/gpt2/calibration.h5" data.h5
check "what there is stays" is_kept
must "${prune[@]}"
check "prune: gone on" says "resuming after 12 sites"
check "prune: it does not collect again" eval '! grep -q collect: "$ERRORS"'
check "prune: the same bytes" cmp p.h5 whole2.h5
check "prune: nothing is left" test "$(echo p.h5*)" = "p.h5 p.h5.report.json"
back p.h5
run 3 "${prune[@]}" >stdout
check "prune: repairs of small systems go on at three ranks" grep -qE "resuming after 12 sites selected, [1-9][0-9]* repairs" "$ERRORS"
check "prune: none is made again" eval '! says "not used"'
check "prune: the same bytes by three ranks" cmp p.h5 whole2.h5
back p.h5
truncate -s -1000 p.h5.journal
must "${prune[@]}"
check "prune: a torn record" says "was torn"
check "prune: the same bytes behind it" cmp p.h5 whole2.h5

# kill_at_report FILE ARGUMENT...: SIGKILL when the model is written, and its report isn't; its bytes go to whole.FILE.
kill_at_report() {
  local job
  hold_report "$1"
  "$MPIEXEC" -n "$RANKS" "$ESPALIER" "${@:2}" >stdout 2>log &
  job=$!
  while [[ ! -e $1 ]] && kill -0 $job 2>/dev/null; do sleep 0.02; done
  # shellcheck disable=SC2046
  kill -KILL $(list_ranks $job) $job
  wait $job 2>/dev/null || true
  let_go "$1"
  mv "$1" "whole.$1"
}
# cut_behind FILE RECORD: a journal as it was when a record had been appended that is empty.
cut_behind() {
  local at
  at=$(LC_ALL=C grep -abom1 "$2" "$1" | cut -d: -f1)
  truncate -s $((at + ${#2} + 2)) "$1"
}

rounds=(prune "$model" --criterion max-entropy --samples 128 --micro-batch 64 --data images --repair sequential --no-stability -o r.h5)
cp -r "$data" images
check "rounds: killed at its report" kill_at_report r.h5 "${rounds[@]}"
keep r.h5
expect_failure "rounds: other statistics" "expected statistics (collected in rounds), found statistics (given, or collected once)" -- "${rounds[@]}" --stats r.h5.stats.tmp
expect_failure "rounds: other samples" "expected --samples 128, found --samples 256" -- "${rounds[@]}" --samples 256
rm -r images && mkdir images && "$HELPERS/make_data" images 8 4 500 200
expect_failure "rounds: other data for the repair" "found other data (" -- "${rounds[@]}"
check "what there is stays" is_kept
rm -r images && cp -r "$data" images
must "${rounds[@]}"
check "rounds: gone on" says "rounds of samples"
check "rounds: they are not collected again" eval '! grep -q collect: "$ERRORS"'
check "rounds: the same bytes" cmp r.h5 whole.r.h5
back r.h5
cut_behind r.h5.journal "collecting in round 0"
must "${rounds[@]}"
check "rounds: statistics of a later round are not those of the first" says "collect: 128 samples"
check "rounds: the same bytes from the beginning" cmp r.h5 whole.r.h5

masks=(prune "$model" --structure unstructured --criterion wanda --repair none -d "$data" --micro-batch 64 --pilot 256 -o m.h5)
check "masks: killed at its report" kill_at_report m.h5 "${masks[@]}"
keep m.h5
expect_failure "masks: another sparsity" "expected --sparsity 0.5, found --sparsity 0.3" -- "${masks[@]}" --sparsity 0.3
run 1 "${masks[@]}" >stdout
check "masks: gone on by one rank" says "3 matrices masked"
check "masks: the same bytes" cmp m.h5 whole.m.h5
back m.h5
cut_behind m.h5.journal collecting
must "${masks[@]}"
check "killed when the statistics had their name: they are taken" eval '! grep -q collect: "$ERRORS"'
check "and give the same bytes" cmp m.h5 whole.m.h5

weights=(prune "$model" --criterion magnitude --repair none -o w.h5)
check "by weights alone: killed at its report" kill_at_report w.h5 "${weights[@]}"
keep w.h5
expect_failure "by weights alone: with statistics" "expected statistics (none are read), found statistics (given, or collected once)" -- "${weights[@]}" --stats "$stats"
check "what there is stays" is_kept
run 1 "${weights[@]}" >stdout
check "by weights alone: gone on by one rank" says "resuming after 2 sites"
check "by weights alone: the same bytes" cmp w.h5 whole.w.h5
finish
