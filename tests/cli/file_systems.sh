#!/usr/bin/env bash
# File systems without locks, without mappings, and files that are cut while they are read.
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

preloaded=$HELPERS/../fault.so
# run_without CALL ERRNO ARGUMENT...: every such call of every rank fails, on files of this folder.
run_without() {
  : >"$ERRORS"
  # shellcheck disable=SC2016
  FAULT_CALL=$1 FAULT_ERRNO=$2 FAULT_NTH=1 FAULT_LASTING=1 FAULT_RANK=-1 FAULT_FOLDER=$SCRATCH timeout -k 5 120 \
    "$MPIEXEC" -n "$RANKS" sh -c 'LD_PRELOAD=$1 && shift && export LD_PRELOAD && exec "$0" "$@" 2>>"$ERRORS"' "$ESPALIER" "$preloaded" \
    "${@:3}" >stdout 2>mpirun.log
}
cp -r "$tests/golden/transformers/llama-mha-f32" small
pruning=(prune small -d small/reference.h5 --micro-batch 1 --no-stability --repair sequential --keep-stats -o)
must "${pruning[@]}" whole.h5 --quiet

for errno in 37 38 95; do # ENOLCK ENOSYS EOPNOTSUPP
  check "no locks, errno $errno" run_without flock $errno "${pruning[@]}" p.h5 --quiet
  check "no locks, errno $errno: said once an output" test "$(grep -c "cannot lock it" "$ERRORS")" = 2
  check "no locks, errno $errno: the same statistics" cmp p.h5.stats.h5 whole.h5.stats.h5
  rm -f p.h5*
done

check "no room set aside" run_without fallocate 95 "${pruning[@]}" p.h5 --quiet # EOPNOTSUPP
check "no room set aside: the same statistics" cmp p.h5.stats.h5 whole.h5.stats.h5
rm -f p.h5*

evaluate=(eval small -d small/reference.h5 --no-speed --json)
must "${evaluate[@]}" mapped.json
check "no mappings" run_without mmap 19 "${evaluate[@]}" read.json # ENODEV
check "no mappings: said" grep -q "small/model.safetensors: its file system maps no files" "$ERRORS"
check "no mappings: the same loss" test "$(get read.json results 0 loss_nats)" = "$(get mapped.json results 0 loss_nats)"
run_unmapped() { run_without mmap 12 "$@"; } # ENOMEM
runner=run_unmapped expect_failure "a mapping that fails" "small/model.safetensors" -- eval small -d small/reference.h5 --no-speed

cp -r "$llama" cut
cut_while_read() {
  : >"$ERRORS"
  # shellcheck disable=SC2016
  timeout -k 5 120 "$MPIEXEC" -n "$RANKS" sh -c 'exec "$0" "$@" 2>>"$ERRORS"' "$ESPALIER" collect cut -d cut/calibration.h5 \
    --micro-batch 4 --samples 64 -o cut.h5 --quiet 2>mpirun.log &
  until [[ -s cut.h5.journal ]] || ! kill -0 $! 2>/dev/null; do sleep 0.05; done
  truncate -s 100000 cut/model.safetensors
  code=0
  wait $! || code=$?
}
cut_while_read
check "cut while it is read: exit code $code" test "$code" = 2
check "cut while it is read: lines that name the file" grep -q "espalier: error: rank [0-9] cannot read cut/model.safetensors: " "$ERRORS"
check "cut while it is read: the journal is kept" test -s cut.h5.journal
cp "$llama/model.safetensors" cut/
must collect cut -d cut/calibration.h5 --micro-batch 4 --samples 64 -o cut.h5
check "cut while it is read: nothing left behind" test "$(echo cut.h5*)" = cut.h5
finish
